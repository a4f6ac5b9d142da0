"""The conversation object: resumed, carried on through functions and confirmations, never stuck."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mistral_agents import CodeInterpreter, MistralAgents, Safeguards
from mistral_agents.conversation import Conversation
from mistral_agents.costs import BudgetExceededError, Meter, Prices
from mistral_agents.entries import function_result
from mistral_agents.errors import (
    ConfigurationError,
    MistralAgentsError,
    NotFoundError,
    PendingCallsError,
    ToolBudgetExceededError,
    UnknownOutcomeError,
)
from tests.conftest import API_KEY
from tests.support.scripted import ScriptedModel, call, calls, say

MODEL = "mistral-small-latest"


def tool(name: str) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": name,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }


@pytest.fixture
def served(standin_factory: Callable[..., Any], scripted: ScriptedModel) -> Any:
    return standin_factory(model_url=scripted.url, allow_code=True)


@pytest.fixture
def talker(served: Any) -> Iterator[MistralAgents]:
    with MistralAgents(api_key=API_KEY, base_url=served.base_url, max_retries=0) as client:
        yield client


def kinds(conversation: Conversation) -> list[str]:
    return [entry.type for entry in conversation.history().entries]


def results(conversation: Conversation) -> list[str]:
    return [entry.result for entry in conversation.history().entries if entry.type == "function.result"]


def test_a_conversation_is_resumed_by_its_id_from_another_client(
    talker: MistralAgents, scripted: ScriptedModel
) -> None:
    scripted.script(say("Hello Ada."), say("You are Ada."))
    first = Conversation(talker, model=MODEL, metadata={"user": "ada"})
    assert first.id is None
    assert first.append("I am Ada.").text == "Hello Ada."
    other = MistralAgents(api_key=API_KEY, base_url=talker.base_url)
    second = Conversation(other, first.id)
    assert second.append("Who am I?").text == "You are Ada."
    said = [message["content"] for message in scripted.requests[1]["messages"]]
    assert said == ["I am Ada.", "Hello Ada.", "Who am I?"]
    assert second.id == second.conversation_id == first.id
    assert second.usage.total_tokens == 18
    assert second.context_tokens == 18
    assert other.conversations.get(str(first.id)).metadata["user"] == "ada"
    first.delete()
    with pytest.raises(NotFoundError):
        second.append("Still there?")


def test_functions_are_run_at_once_and_all_of_the_exchange_is_returned(
    talker: MistralAgents, scripted: ScriptedModel
) -> None:
    both = threading.Barrier(2, timeout=10)

    def weather(city: str) -> dict[str, Any]:
        both.wait()
        return {"city": city, "sky": "blue"}

    scripted.script(calls(call("weather", {"city": "Paris"}), call("weather", {"city": "Rome"})), say("Blue skies."))
    conversation = Conversation(talker, model=MODEL, tools=[tool("weather")], functions={"weather": weather})
    turn = conversation.append("Weather?")
    assert turn.text == "Blue skies."
    assert [entry.type for entry in turn.entries] == ["function.call"] * 2 + ["function.result"] * 2 + [
        "message.output"
    ]
    assert turn.usage.total_tokens == 36, "both requests"
    assert [json.loads(text)["city"] for text in results(conversation)] == ["Paris", "Rome"]
    assert conversation.open_calls == []


async def test_the_same_without_blocking_with_asynchronous_functions(
    talker: MistralAgents, scripted: ScriptedModel
) -> None:
    async def weather(city: str) -> str:
        await asyncio.sleep(0)
        return f"sun in {city}"

    def blocking(city: str) -> str:
        return f"rain in {city}"

    scripted.script(calls(call("weather", {"city": "Paris"}), call("blocking", {"city": "Rome"})), say("Mixed."))
    conversation = Conversation(
        talker,
        model=MODEL,
        tools=[tool("weather"), tool("blocking")],
        functions={"weather": weather, "blocking": blocking},
    )
    assert (await conversation.aappend("Weather?")).text == "Mixed."
    assert results(conversation) == ["sun in Paris", "rain in Rome"]
    assert (await conversation.astats()).functions == {"weather": 1, "blocking": 1}
    await talker.aclose()


@pytest.mark.parametrize("mode", ["call", "stream", "acall", "astream"])
async def test_call_and_stream_give_the_same_exchange(
    talker: MistralAgents, scripted: ScriptedModel, mode: str
) -> None:
    scripted.script(call("weather", {"city": "Paris"}), say("Blue."))
    conversation = Conversation(
        talker, model=MODEL, tools=[tool("weather")], functions={"weather": lambda city: "blue"}
    )
    if mode == "call":
        conversation.append("Weather?")
    elif mode == "acall":
        await conversation.aappend("Weather?")
    else:
        events = (
            list(conversation.stream("Weather?"))
            if mode == "stream"
            else [e async for e in conversation.astream("Weather?")]
        )
        assert [event["type"] for event in events].count("conversation.response.done") == 2
    turn = conversation.last_turn
    assert turn is not None
    assert (turn.text, turn.usage.total_tokens) == ("Blue.", 36)
    assert [entry.type for entry in turn.entries] == ["function.call", "function.result", "message.output"]
    await talker.aclose()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"city": "Paris"}, "ValueError: no such city"), ("[1]", "JSON object"), ("not json", "no JSON object")],
)
def test_what_goes_wrong_in_a_function_is_told_to_the_model(
    talker: MistralAgents, scripted: ScriptedModel, arguments: Any, words: str
) -> None:
    def weather(city: str) -> str:
        raise ValueError("no such city")

    scripted.script(calls(call("weather", arguments), call("unheard_of")), say("Sorry."))
    conversation = Conversation(
        talker, model=MODEL, tools=[tool("weather"), tool("unheard_of")], functions={"weather": weather}
    )
    assert conversation.append("Weather?").text == "Sorry."
    failed, unknown = results(conversation)
    assert words in failed
    assert "there is no function unheard_of; known are: weather" in unknown


def test_a_result_that_is_no_json_is_sent_as_text(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(call("weather"), say("ok"))
    conversation = Conversation(
        talker, model=MODEL, tools=[tool("weather")], functions={"weather": lambda: Path("a/b")}
    )
    conversation.append("go")
    assert results(conversation) == ["a/b"]


def test_an_endless_loop_of_calls_ends_and_keeps_what_was_paid_for(
    talker: MistralAgents, scripted: ScriptedModel
) -> None:
    scripted.always(call("weather", {"city": "Paris"}))
    conversation = Conversation(
        talker, model=MODEL, tools=[tool("weather")], functions={"weather": lambda city: "x"}, max_rounds=3
    )
    with pytest.raises(ToolBudgetExceededError, match="called functions 3 times") as caught:
        conversation.append("go")
    assert caught.value.turn is not None
    assert len(caught.value.turn.function_calls) == 1
    assert caught.value.conversation_id == conversation.id
    scripted.script(say("done"))
    assert conversation.append("stop now").text == "done"


def test_without_functions_calls_are_left_to_the_caller(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(call("weather"), say("thanks"), call("weather"), say("never mind"))
    conversation = Conversation(talker, model=MODEL, tools=[tool("weather")])
    [waiting] = conversation.append("go").function_calls
    assert conversation.open_calls == [waiting]
    assert conversation.append([function_result(waiting.tool_call_id, "sun")]).text == "thanks"
    conversation.append("again")
    assert conversation.append("forget it").text == "never mind"
    assert results(conversation)[0] == "sun"
    assert "interrupted" in results(conversation)[1]


# interrupted --------------------------------------------------------------------------------------------------------


def test_ctrl_c_in_a_function_leaves_a_conversation_that_goes_on(
    talker: MistralAgents, scripted: ScriptedModel
) -> None:
    def weather(city: str) -> str:
        raise KeyboardInterrupt

    scripted.script(call("weather", {"city": "Paris"}), say("As you wish."))
    conversation = Conversation(talker, model=MODEL, tools=[tool("weather")], functions={"weather": weather})
    with pytest.raises(KeyboardInterrupt):
        conversation.append("Weather?")
    assert len(scripted.requests) == 1, "no turn is made that was not asked for"
    assert conversation.append("Never mind.").text == "As you wish."
    assert "interrupted" in results(conversation)[0]


async def test_a_cancelled_task_leaves_a_conversation_that_goes_on(
    talker: MistralAgents, scripted: ScriptedModel
) -> None:
    running = asyncio.Event()

    async def weather(city: str) -> str:
        running.set()
        await asyncio.Event().wait()
        return "never"

    scripted.script(call("weather", {"city": "Paris"}), say("As you wish."))
    conversation = Conversation(talker, model=MODEL, tools=[tool("weather")], functions={"weather": weather})
    task = asyncio.create_task(conversation.aappend("Weather?"))
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await conversation.aappend("Never mind.")).text == "As you wish."
    assert "interrupted" in results(conversation)[0]
    await talker.aclose()


def test_a_conversation_someone_else_left_open_is_repaired(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(call("weather"), say("fine"), call("weather"), say("fine too"))
    left = talker.conversations.start("go", model=MODEL, tools=[tool("weather")])
    found = Conversation(talker, left.conversation_id)
    assert found.append("hello?").text == "fine", "the refusal is answered by reading the history"
    assert "interrupted" in results(found)[0]
    talker.conversations.append(str(left.conversation_id), "go again")
    other = Conversation(talker, left.conversation_id)
    assert [call.name for call in other.repair()] == ["weather"]
    assert other.append("hello?").text == "fine too"


async def test_repair_without_blocking(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(call("weather"), say("fine"))
    left = talker.conversations.start("go", model=MODEL, tools=[tool("weather")])
    found = Conversation(talker, left.conversation_id)
    assert len(await found.arepair()) == 1
    assert (await found.aappend("hello?")).text == "fine"
    await found.adelete()
    await talker.aclose()


def test_an_abandoned_stream_is_reconciled_before_anything_else_is_sent(
    served: Any, talker: MistralAgents, scripted: ScriptedModel
) -> None:
    scripted.script(call("weather"), say("one two three"), say("fine"))
    conversation = Conversation(talker, model=MODEL, tools=[tool("weather")])
    conversation.append("hello")
    stream = conversation.stream("leave it")
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    before = len(served.faults.requests)
    assert conversation.append("go on").text == "fine"
    asked = [seen.method for seen in served.faults.requests[before:]]
    assert asked[:2] == ["GET", "POST"], "the history first"
    assert asked[2:] in ([], ["GET", "POST"]), "once more where the server still worked on what was abandoned"
    said = [entry.text for entry in conversation.history().entries if entry.type == "message.input"]
    assert said in (["hello", "go on"], ["hello", "leave it", "go on"])
    assert conversation.history().open_calls == []


def test_a_lost_answer_is_found_in_the_history(served: Any, talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(say("one"), say("two"))
    conversation = Conversation(talker, model=MODEL)
    conversation.append("first")
    served.faults.drop_after(method="POST", path="/v1/conversations/")
    assert conversation.append("second").text == "two"
    assert kinds(conversation) == ["message.input", "message.output"] * 2


@pytest.fixture
def careful(served: Any) -> Iterator[MistralAgents]:
    """A client that redacts what it sends: a history holds other words than were said."""
    guard = Safeguards(redact=lambda text: text.replace("Ada", "[name]"))
    with MistralAgents(api_key=API_KEY, base_url=served.base_url, max_retries=0, safeguards=guard) as client:
        yield client


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_lost_answer_to_redacted_words_is_found_and_nothing_is_said_twice(
    served: Any, careful: MistralAgents, scripted: ScriptedModel, blocking: bool
) -> None:
    scripted.script(say("Hello."), say("Well."), say("Again."))
    talk = Conversation(careful, model=MODEL)
    first = talk.append("Hello.")
    served.faults.drop_after(method="POST", path="/v1/conversations/")
    served.faults.answer(500, {"message": "no"}, method="GET", path="/history")
    with pytest.raises(MistralAgentsError):
        talk.append("I am Ada.")
    turn = talk.append("I am Ada.") if blocking else await talk.aappend("I am Ada.")
    assert turn.text == "Well."
    assert [entry.text for entry in talk.history().messages] == ["Hello.", "Hello.", "I am [name].", "Well."]
    after = str(first.last_entry_id)
    assert careful.conversations.recover(str(talk.id), after, "I am Ada.").text == "Well."
    assert (await careful.conversations.arecover(str(talk.id), after, "I am Ada.")).text == "Well."


def test_a_paused_turn_of_redacted_words_goes_on_in_another_process(
    careful: MistralAgents, scripted: ScriptedModel
) -> None:
    def stop(city: str) -> str:
        raise KeyboardInterrupt

    scripted.script(call("weather", {"city": "Rome"}), say("Sunny."))
    talk = Conversation(careful, model=MODEL, tools=[tool("weather")], functions={"weather": stop})
    with pytest.raises(KeyboardInterrupt):
        talk.append("Weather for Ada?")
    other = Conversation(careful, talk.id, functions={"weather": lambda city: f"sun in {city}"})
    assert other.append("Weather for Ada?").text == "Sunny."
    assert kinds(other) == ["message.input", "function.call", "function.result", "message.output"]


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"])
def test_a_copy_goes_on_in_the_same_conversation(
    talker: MistralAgents, scripted: ScriptedModel, again: Callable[[Conversation], Conversation]
) -> None:
    scripted.script(say("one"), say("two"), say("three"))
    conversation = Conversation(talker, model=MODEL)
    conversation.append("first")
    copied = again(conversation)
    assert [copied.append("second").text, conversation.append("third").text] == ["two", "three"]
    assert copied.id == conversation.id


def test_a_failed_request_changes_nothing(served: Any, talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(call("weather"), say("thanks"))
    conversation = Conversation(talker, model=MODEL, tools=[tool("weather")])
    [waiting] = conversation.append("go").function_calls
    served.faults.answer(503, {"object": "Error", "message": "busy"}, path="/v1/conversations/")
    with pytest.raises(UnknownOutcomeError, match="does not hold the turn"):
        conversation.append([function_result(waiting.tool_call_id, "sun")])
    assert conversation.append().text == "thanks", "the result was kept for the next request"
    assert results(conversation) == ["sun"]


def test_turns_wait_for_one_another_across_objects(talker: MistralAgents, scripted: ScriptedModel) -> None:
    inside, most, gate = 0, 0, threading.Lock()

    def answer(body: dict[str, Any]) -> Any:
        nonlocal inside, most
        with gate:
            inside += 1
            most = max(most, inside)
        threading.Event().wait(0.02)
        with gate:
            inside -= 1
        return say("ok")

    scripted.always(answer)
    first = Conversation(talker, model=MODEL)
    first.append("start")
    objects = [Conversation(talker, first.id) for _ in range(4)]
    threads = [threading.Thread(target=one.append, args=("hi",)) for one in objects]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == 1
    assert kinds(first) == ["message.input", "message.output"] * 5


# confirmations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "runs"),
    [
        ("allow", 1),
        ("deny", 0),
        (lambda call: call.args["code"] == "print(6*7)", 1),
        ({"code_interpreter": "deny", "*": "allow"}, 0),
    ],
)
async def test_hosted_tools_wait_for_a_decision(
    talker: MistralAgents, scripted: ScriptedModel, rule: Any, runs: int
) -> None:
    for blocking in (True, False):
        scripted.script(call("code_interpreter", {"code": "print(6*7)"}), say("done"))
        conversation = Conversation(
            talker, model=MODEL, tools=[CodeInterpreter(requires_confirmation=True)], confirm=rule
        )
        turn = conversation.append("compute") if blocking else await conversation.aappend("compute")
        assert turn.text == "done"
        assert len(turn.code_runs) == runs
        assert conversation.open_calls == []
    await talker.aclose()


def test_a_decision_may_be_left_to_the_caller(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(
        call("code_interpreter", {"code": "print(6*7)"}), say("42"), call("code_interpreter", {"code": "1"}), say("ok")
    )
    conversation = Conversation(talker, model=MODEL, tools=[CodeInterpreter(requires_confirmation=True)])
    [waiting] = conversation.append("compute").pending_confirmations
    turn = conversation.confirm_calls({waiting.tool_call_id: True}).append()
    assert (turn.text, turn.code_runs[0].output) == ("42", "42\n")
    conversation.append("compute again")
    turn = conversation.append("no, leave it")
    assert (turn.text, turn.code_runs) == ("ok", []), "what was left open is denied with the next input"


@pytest.mark.parametrize("way", ["call", "stream", "in a running loop"])
def test_an_asynchronous_rule_decides_for_a_caller_that_blocks_too(
    talker: MistralAgents, scripted: ScriptedModel, way: str
) -> None:
    """As asynchronous functions run there; it was refused once the turn was paid for."""

    async def ask(_: Any) -> bool:
        await asyncio.sleep(0)
        return True

    scripted.script(call("code_interpreter", {"code": "print(6 * 7)"}), say("done"))
    talk = Conversation(talker, model=MODEL, tools=[CodeInterpreter(requires_confirmation=True)], confirm=ask)

    async def notebook() -> None:
        talk.append("compute")

    if way == "call":
        talk.append("compute")
    elif way == "stream":
        list(talk.stream("compute"))
    else:
        asyncio.run(notebook())
    assert talk.last_turn is not None
    assert (talk.last_turn.text, len(talk.last_turn.code_runs)) == ("done", 1)


def test_a_rule_must_decide(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(call("code_interpreter", {"code": "1"}), say("ok"))
    conversation = Conversation(
        talker,
        model=MODEL,
        tools=[CodeInterpreter(requires_confirmation=True)],
        confirm=lambda call: "perhaps",  # type: ignore[arg-type,return-value]
    )
    with pytest.raises(ConfigurationError, match="must give allow or deny, not 'perhaps'"):
        conversation.append("compute")
    assert conversation.append("then not").text == "ok"


TWO_KINDS = calls(call("weather", {"city": "Rome"}), call("code_interpreter", {"code": "print(6 * 7)"}))


def mixed(talker: MistralAgents, **options: Any) -> Conversation:
    """A conversation whose model may call a function and a hosted tool that waits, both in one answer."""
    return Conversation(
        talker, model=MODEL, tools=[tool("weather"), CodeInterpreter(requires_confirmation=True)], **options
    )


@pytest.mark.parametrize("way", ["call", "stream", "acall"])
async def test_functions_run_though_a_call_beside_them_waits_for_the_caller(
    talker: MistralAgents, scripted: ScriptedModel, way: str
) -> None:
    """Their results go out with the decision; the model was told that they were interrupted."""
    ran: list[str] = []

    def weather(city: str) -> str:
        ran.append(city)
        return f"sun in {city}"

    scripted.script(TWO_KINDS, say("done"))
    talk = mixed(talker, functions={"weather": weather})
    if way == "stream":
        list(talk.stream("go"))
    else:
        _ = talk.append("go") if way == "call" else await talk.aappend("go")
    assert talk.last_turn is not None
    [waiting] = talk.last_turn.pending_confirmations
    turn = talk.confirm_calls({waiting.tool_call_id: True}).append()
    assert (turn.text, [run.output for run in turn.code_runs]) == ("done", ["42\n"])
    assert (ran, results(talk)) == (["Rome"], ["sun in Rome"])


def test_a_function_that_paused_beside_a_call_that_waits_denies_nothing(
    talker: MistralAgents, scripted: ScriptedModel
) -> None:
    from langgraph.errors import GraphInterrupt

    ran: list[str] = []

    def weather(city: str) -> str:
        ran.append(city)
        if len(ran) == 1:
            raise GraphInterrupt
        return "sun"

    scripted.script(TWO_KINDS, say("done"))
    talk = mixed(talker, functions={"weather": weather})
    with pytest.raises(GraphInterrupt):
        talk.append("go")
    [waiting] = talk.append("go").pending_confirmations
    assert (ran, len(scripted.requests)) == (["Rome", "Rome"], 1)
    turn = talk.confirm_calls({waiting.tool_call_id: True}).append()
    assert (turn.text, len(turn.code_runs), results(talk)) == ("done", 1, ["sun"])


@pytest.mark.parametrize("rule", ["allow", "deny"])
@pytest.mark.parametrize("blocking", [True, False])
async def test_rules_decide_where_the_caller_answers_the_functions_beside(
    talker: MistralAgents, scripted: ScriptedModel, rule: str, blocking: bool
) -> None:
    scripted.script(TWO_KINDS, say("done"))
    talk = mixed(talker, confirm=rule)
    [asked] = talk.append("go").function_calls
    said = [function_result(asked.tool_call_id, "sun")]
    turn = talk.append(said) if blocking else await talk.aappend(said)
    assert (turn.text, len(turn.code_runs)) == ("done", int(rule == "allow"))
    assert results(talk) == ["sun"]


def test_rules_decide_in_a_conversation_that_is_resumed_without_a_word(
    talker: MistralAgents, scripted: ScriptedModel
) -> None:
    scripted.script(call("code_interpreter", {"code": "print(6 * 7)"}), say("done"))
    left = mixed(talker)
    left.append("go")
    turn = Conversation(talker, left.id, confirm="allow").append()
    assert (turn.text, [run.output for run in turn.code_runs]) == ("done", ["42\n"])


@pytest.mark.parametrize("resumed", [True, False])
def test_decisions_and_results_are_not_taken_for_one_another(
    talker: MistralAgents, scripted: ScriptedModel, resumed: bool
) -> None:
    scripted.script(TWO_KINDS, say("done"))
    talk = mixed(talker)
    turn = talk.append("go")
    [asked], [waiting] = turn.function_calls, turn.pending_confirmations
    talk = Conversation(talker, talk.id) if resumed else talk
    with pytest.raises(ConfigurationError, match=f"those that wait: {waiting.tool_call_id}"):
        talk.confirm_calls({asked.tool_call_id: True}).append()
    with pytest.raises(PendingCallsError, match="wait for a decision") as caught:
        talk.append([function_result(waiting.tool_call_id, "42")])
    assert caught.value.call_ids == [waiting.tool_call_id]
    said = [function_result(asked.tool_call_id, "sun")]
    assert talk.confirm_calls({waiting.tool_call_id: True}).append(said).text == "done"


# handoffs, meters ---------------------------------------------------------------------------------------------------


def test_handoffs_on_the_clients_side_show_each_hop(talker: MistralAgents, scripted: ScriptedModel) -> None:
    clerk = talker.agents.create(model=MODEL, name="clerk")
    front = talker.agents.create(model=MODEL, name="front", handoffs=[clerk.id])
    scripted.script(lambda body: call(body["tools"][0]["function"]["name"]), say("I am the clerk."))
    hops: list[str | None] = []

    def go_on(handoff: Any) -> str:
        hops.append(handoff.next_agent_name)
        return "Go on."

    conversation = Conversation(talker, agent_id=front.id, handoff_execution="client", on_handoff=go_on)
    turn = conversation.append("Who can help?")
    assert hops == ["clerk"]
    assert (turn.text, turn.agent_id) == ("I am the clerk.", clerk.id)
    assert [hop.next_agent_id for hop in turn.handoffs] == [clerk.id]


def test_a_meter_adds_up_and_stops_before_a_limit(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.always(say("ok"))
    meter = Meter(Prices(tokens={"*": (1.0, 10.0)}), max_tokens=30)
    conversation = Conversation(talker, model=MODEL, meter=meter)
    conversation.append("one")
    assert meter.cost == pytest.approx((11 * 1.0 + 7 * 10.0) / 1e6)
    conversation.append("two")
    with pytest.raises(BudgetExceededError, match="limit of 30 tokens is reached: 36 used"):
        conversation.append("three")
    assert len(scripted.requests) == 2
    assert meter.usage == conversation.usage
    assert str(meter).startswith("2 turns, 36 tokens")


def test_an_answer_that_is_there_already_is_given_though_a_shared_meter_is_full(
    served: Any, talker: MistralAgents, scripted: ScriptedModel
) -> None:
    scripted.always(say("Ada."))
    meter = Meter(max_tokens=50)
    talk = Conversation(talker, model=MODEL, meter=meter)
    talk.append("I am Ada.")
    served.faults.drop_after(method="POST", path="/v1/conversations/")
    served.faults.answer(500, {"message": "no"}, method="GET", path="/history")
    with pytest.raises(MistralAgentsError):
        talk.append("Who am I?")
    Conversation(talker, model=MODEL, meter=meter).append("one")
    Conversation(talker, model=MODEL, meter=meter).append("two")
    with pytest.raises(BudgetExceededError):
        meter.check()
    assert talk.append("Who am I?").text == "Ada."
    with pytest.raises(BudgetExceededError):
        talk.append("And now?")


# branches, compaction, histories ------------------------------------------------------------------------------------


async def test_branches_begin_where_asked_and_name_their_parent(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(say("SQL or NoSQL?"), say("Tables."), say("Documents."), say("Other."))
    conversation = Conversation(talker, model=MODEL, metadata={"user": "ada"})
    conversation.append("Which database?")
    tables = conversation.branch()
    documents = await conversation.abranch(at=lambda entry: entry.role == "assistant")
    assert tables.id is None
    assert tables.append("SQL please").text == "Tables."
    assert documents.append("NoSQL please").text == "Documents."
    assert len({conversation.id, tables.id, documents.id}) == 3
    info = talker.conversations.get(str(tables.id))
    entries = conversation.history().entries
    assert info.metadata == {
        "user": "ada",
        "mistral_agents_parent": conversation.id,
        "mistral_agents_from_entry": entries[1].id,
    }
    early = conversation.branch(at=0)
    early.append("something else")
    assert [m["content"] for m in scripted.requests[3]["messages"]] == ["Which database?", "something else"]
    assert conversation.branch(at=str(entries[0].id))._exchanges.origin == early._exchanges.origin
    for wrong in (5, "msg_none", lambda entry: False, True):
        with pytest.raises(ConfigurationError):
            conversation.branch(at=wrong)
    await talker.aclose()


@pytest.mark.parametrize("resumed", [True, False])
async def test_a_branch_goes_on_with_its_conversations_version_of_the_agent(
    talker: MistralAgents, scripted: ScriptedModel, resumed: bool
) -> None:
    scripted.always(say("ok"))
    agent = talker.agents.create(model=MODEL, name="clerk", instructions="Be brief.")
    talker.agents.update(agent.id, instructions="Be rude.")
    talk = Conversation(talker, agent_id=agent.id, agent_version=0, metadata={"user": "ada"})
    talk.append("hello")
    parent = Conversation(talker, talk.id) if resumed else talk
    for branch in (parent.branch(), await parent.abranch()):
        branch.append("hello")
        info = talker.conversations.get(str(branch.id))
        assert (info.agent_version, info.metadata["user"]) == (0, "ada")
        assert scripted.requests[-1]["messages"][0]["content"] == "Be brief."
    plain = talker.conversations.restart(str(talk.id), str(talk.history().last_entry_id), "hello")
    assert talker.conversations.get(str(plain.conversation_id)).agent_version is None, "the service's own rule"


def test_a_branch_from_the_middle_of_a_call_answers_it(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(call("weather"), say("sunny"), say("let us leave it"))
    conversation = Conversation(talker, model=MODEL, tools=[tool("weather")], functions={"weather": lambda: "sun"})
    conversation.append("weather?")
    branch = conversation.branch(at=lambda entry: entry.type == "function.call")
    assert branch.append("never mind").text == "let us leave it"
    assert "interrupted" in results(branch)[0]


async def test_a_long_conversation_is_made_short(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(say("a1"), say("a2"), say("a3"), say("SUMMARY"), say("on we go"), say("SUMMARY"), say("on again"))
    conversation = Conversation(talker, model=MODEL, instructions="Be brief.")
    for text in ("q1", "q2", "q3"):
        conversation.append(text)
    short = Conversation(talker, conversation.id).compact(keep=2)
    assert short.summary == "SUMMARY"
    assert "user: q1" in scripted.requests[3]["messages"][-1]["content"]
    assert short.append("next").text == "on we go"
    said = [message["content"] for message in scripted.requests[4]["messages"]]
    assert said == ["Be brief.", "Summary of our conversation so far:\nSUMMARY", "q3", "a3", "next"]
    assert talker.conversations.get(str(short.id)).metadata["mistral_agents_parent"] == conversation.id
    other = await conversation.acompact(keep=0)
    await other.aappend("next")
    assert [m["content"] for m in scripted.requests[6]["messages"]][-2:] == [
        "Summary of our conversation so far:\nSUMMARY",
        "next",
    ]
    await talker.aclose()


def test_only_new_entries_of_a_history_are_turned_into_objects(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.always(say("ok"))
    conversation = Conversation(talker, model=MODEL)
    for number in range(5):
        conversation.append(f"turn {number}")
    before = conversation.history().entries
    conversation.append("one more")
    after = conversation.history().entries
    assert (len(before), len(after)) == (10, 12)
    assert all(entry is kept for entry, kept in zip(before, after, strict=False))


def test_what_does_not_fit_together_is_refused(talker: MistralAgents) -> None:
    with pytest.raises(ConfigurationError, match="fixed at its start; with conversation_id give no model, tools"):
        Conversation(talker, "conv_1", model=MODEL, tools=[])
    with pytest.raises(ConfigurationError, match="Give conversation_id="):
        Conversation(talker)
    with pytest.raises(ConfigurationError, match="has not begun"):
        Conversation(talker, model=MODEL).history()
    with pytest.raises(ConfigurationError, match="inputs is empty"):
        Conversation(talker, model=MODEL).append("  ")


async def test_a_summary_can_be_seen_and_carried_over(talker: MistralAgents, scripted: ScriptedModel) -> None:
    agent = talker.agents.create(model=MODEL, name="carrier")
    scripted.script(say("hello Ada"), say("Ada likes tea."), say("Ada likes tea."), say("Tea?"))
    conversation = Conversation(talker, agent_id=agent.id)
    conversation.append("I am Ada, I like tea.")
    summary = conversation.summarise(model=MODEL)
    assert summary == await conversation.asummarise(model=MODEL) == "Ada likes tea."
    assert len(list(talker.conversations.list())) == 1, "summaries are not stored"
    fresh = Conversation(talker, model=MODEL, instructions=f"You know: {summary}")
    fresh.append("What shall I drink?")
    assert scripted.requests[-1]["messages"][0]["content"] == "You know: Ada likes tea."
    await talker.aclose()


async def test_a_summary_is_metered_like_any_turn(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(say("hello Ada"), say("Short."), say("Short."), say("Short."))
    meter = Meter()
    conversation = Conversation(talker, model=MODEL, meter=meter)
    conversation.append("I am Ada.")
    conversation.summarise()
    await conversation.asummarise()
    conversation.compact()
    assert meter.turns == 4
    assert conversation.usage.total_tokens == meter.usage.total_tokens > 0
    stopped = Conversation(talker, conversation.id, meter=Meter(max_tokens=0))
    for write in (stopped.summarise, stopped.compact):
        with pytest.raises(BudgetExceededError):
            write()
    assert len(scripted.requests) == 4, "a limit stops before anything is sent"
    await talker.aclose()
