"""`create_agent` on a stored conversation: what goes out, where it goes on, and who confirms hosted tools."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, SystemMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from langchain_mistral_agents import ChatMistralAgent, MistralConversationMiddleware
from langchain_mistral_agents._errors import DivergenceError
from mistral_agents import CodeInterpreter, MistralAgents
from mistral_agents._border.turns import HEADS
from mistral_agents.entries import MessageInput
from mistral_agents.errors import ConfigurationError, MistralAgentsError
from tests.support.running import Standin
from tests.support.scripted import ScriptedModel, call, calls, say

MODEL = "mistral-small-latest"
THREAD = {"configurable": {"thread_id": "ada"}}
ROOT = Path(__file__).parents[2]

BLOCKING = [True, False] if sys.version_info >= (3, 11) else [True]
"""Python 3.10 hands no context to tasks, so LangGraph can't interrupt an asynchronous graph there."""


@pytest.fixture
def service(standin_factory: Callable[..., Standin], scripted: ScriptedModel) -> Standin:
    return standin_factory(model_url=scripted.url, allow_code=True)


@pytest.fixture
def client(service: Standin) -> Iterator[MistralAgents]:
    with MistralAgents(api_key="test-key", base_url=service.base_url, max_retries=0) as made:
        yield made


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def agent_of(client: MistralAgents, *, saver: Any = None, tools: Any = (), **settings: Any) -> Any:
    model = ChatMistralAgent(**{"model": MODEL, "client": client, **settings})
    return create_agent(
        model,
        tools=list(tools),
        middleware=[MistralConversationMiddleware()],
        checkpointer=InMemorySaver() if saver is None else saver,
    )


CAREFUL = [add, CodeInterpreter(requires_confirmation=True)]


def bodies(service: Standin) -> list[tuple[str, dict[str, Any]]]:
    """The turns that were asked for: the path after `/conversations` and the body."""
    seen = [each for each in service.faults.requests if each.method == "POST" and "/conversations" in each.path]
    return [(each.path.partition("/conversations")[2], each.json) for each in seen]


def user(text: str) -> dict[str, Any]:
    return {"type": "message.input", "role": "user", "content": text}


def kinds(client: MistralAgents, conversation_id: str) -> list[str]:
    return [entry.type for entry in client.conversations.get_history(conversation_id).entries]


def last(result: dict[str, Any]) -> str:
    return str(result["messages"][-1].text)


# what goes out, and the state ------------------------------------------------------------------------------------


async def test_only_what_is_new_goes_out(client: MistralAgents, service: Standin, scripted: ScriptedModel) -> None:
    for blocking in (True, False):
        scripted.script(call("add", {"a": 3, "b": 4}), say("It is 7."), say("You asked for a sum."))
        service.faults.requests.clear()
        agent = agent_of(client, tools=[add])
        for words in ("What is 3 + 4?", "What did I ask?"):
            given = {"messages": [HumanMessage(words)]}
            result = agent.invoke(given, THREAD) if blocking else await agent.ainvoke(given, THREAD)

        (start, first), (path, second), (again, third) = bodies(service)
        assert (start, path) == ("", f"/{result['conversation_id']}")
        assert again == path
        assert first["inputs"] == [user("What is 3 + 4?")]
        assert first["store"] is True
        [answer] = second["inputs"]
        assert (answer["type"], answer["result"]) == ("function.result", "7")
        assert third["inputs"] == [user("What did I ask?")]
        assert "tools" not in third
        assert last(result) == "You asked for a sum."
        assert result["last_entry_id"] == result["messages"][-1].response_metadata["last_entry_id"]
        assert set(result) == {"messages", "conversation_id", "last_entry_id"}
    await client.aclose()


def test_the_state_is_checkpointed(client: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(say("Hello."))
    agent = agent_of(client)
    result = agent.invoke({"messages": "Hi"}, THREAD)

    values = agent.get_state(THREAD).values
    assert values["conversation_id"] == values["answered_in"] == result["conversation_id"]
    assert values["last_entry_id"] == result["last_entry_id"]


_OTHER_PROCESS = """
import json, pickle, sys
from langchain.agents import create_agent
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from langchain_mistral_agents import ChatMistralAgent, MistralConversationMiddleware
from mistral_agents import CodeInterpreter
import tests.langchain.test_middleware as here

base_url, path, words = sys.argv[1:]
model = ChatMistralAgent(model=here.MODEL, api_key="test-key", base_url=base_url)
agent = create_agent(
    model, tools=here.CAREFUL, middleware=[MistralConversationMiddleware()], checkpointer=here.load(path)
)
given = Command(resume=words) if words == "allow" else {"messages": words}
result = agent.invoke(given, here.THREAD)
print(json.dumps({"text": result["messages"][-1].text, "conversation_id": result["conversation_id"]}))
"""


def save(saver: InMemorySaver, path: Path) -> None:
    storage = {
        thread: {space: dict(points) for space, points in found.items()} for thread, found in saver.storage.items()
    }
    path.write_bytes(pickle.dumps((storage, dict(saver.writes), dict(saver.blobs))))


def load(path: str) -> InMemorySaver:
    saver = InMemorySaver()
    storage, writes, blobs = pickle.loads(Path(path).read_bytes())
    for thread, found in storage.items():
        for space, points in found.items():
            saver.storage[thread][space].update(points)
    saver.writes.update(writes)
    saver.blobs.update(blobs)
    return saver


def elsewhere(service: Standin, saver: InMemorySaver, path: Path, words: str) -> dict[str, Any]:
    import json

    save(saver, path)
    command = [sys.executable, "-c", _OTHER_PROCESS, service.base_url, str(path), words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_another_process_goes_on(
    client: MistralAgents, service: Standin, scripted: ScriptedModel, tmp_path: Path
) -> None:
    scripted.script(say("Hello Ada."), say("Ada."))
    saver = InMemorySaver()
    agent = agent_of(client, saver=saver, tools=CAREFUL)
    begun = agent.invoke({"messages": "I am Ada."}, THREAD)

    found = elsewhere(service, saver, tmp_path / "saved", "Who am I?")

    assert found == {"text": "Ada.", "conversation_id": begun["conversation_id"]}
    assert bodies(service)[-1][1]["inputs"] == [user("Who am I?")]


def test_another_process_confirms(
    client: MistralAgents, service: Standin, scripted: ScriptedModel, tmp_path: Path
) -> None:
    scripted.script(call("code_interpreter", {"code": "print(6*7)"}), say("It is 42."))
    saver = InMemorySaver()
    begun = agent_of(client, saver=saver, tools=CAREFUL).invoke({"messages": "6 * 7?"}, THREAD)
    assert begun["__interrupt__"]

    found = elsewhere(service, saver, tmp_path / "saved", "allow")

    assert found == {"text": "It is 42.", "conversation_id": begun["conversation_id"]}
    assert len(bodies(service)) == 2


def test_a_conversation_begun_elsewhere_is_gone_on_with(
    client: MistralAgents, service: Standin, scripted: ScriptedModel
) -> None:
    scripted.script(say("Hello Ada."), say("Ada."), say("Still Ada."))
    begun = client.conversations.start("I am Ada.", model=MODEL, store=True)
    agent = agent_of(client)

    result = agent.invoke({"messages": "Who am I?", "conversation_id": begun.conversation_id}, THREAD)
    agent.invoke({"messages": "And now?"}, THREAD)

    assert result["conversation_id"] == begun.conversation_id
    sent = bodies(service)[1:]
    assert [path for path, _ in sent] == [f"/{begun.conversation_id}"] * 2
    assert [body["inputs"] for _, body in sent] == [[user("Who am I?")], [user("And now?")]]


def test_a_thread_may_change_to_another_conversation(
    client: MistralAgents, service: Standin, scripted: ScriptedModel
) -> None:
    scripted.always(say("Yes."))
    other = client.conversations.start("I am Bob.", model=MODEL, store=True)
    agent = agent_of(client)
    agent.invoke({"messages": "I am Ada."}, THREAD)

    result = agent.invoke({"messages": "Who am I?", "conversation_id": other.conversation_id}, THREAD)
    agent.invoke({"messages": "And now?"}, THREAD)

    assert result["conversation_id"] == other.conversation_id
    assert [path for path, _ in bodies(service)[2:]] == [f"/{other.conversation_id}"] * 2
    assert bodies(service)[2][1]["inputs"] == [user("Who am I?")]


def test_an_agent_of_the_service(client: MistralAgents, service: Standin, scripted: ScriptedModel) -> None:
    scripted.script(call("add", {"a": 1, "b": 1}), say("2"))
    function = ChatMistralAgent(model=MODEL, client=client).bind_tools([add]).kwargs["tools"][0]
    made = client.agents.create(model=MODEL, name="adder", tools=[function])

    result = agent_of(client, tools=[add], model=None, agent_id=made["id"]).invoke({"messages": "1 + 1?"}, THREAD)

    assert last(result) == "2"
    assert bodies(service)[0][1]["agent_id"] == made["id"]


# time travel, edits ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("remembered", [True, False])
def test_an_older_checkpoint_becomes_a_branch(
    client: MistralAgents, service: Standin, scripted: ScriptedModel, remembered: bool
) -> None:
    scripted.always(say("Yes."))
    agent = agent_of(client)
    first = agent.invoke({"messages": "I am Ada."}, THREAD)
    second = agent.invoke({"messages": "I live in Paris."}, THREAD)
    then = next(s for s in agent.get_state_history(THREAD) if len(s.values.get("messages", ())) == 2 and not s.next)
    if not remembered:
        HEADS.set(client.base_url, first["conversation_id"], None)

    forked = agent.invoke({"messages": "I live in Rome."}, then.config)

    path, body = bodies(service)[-1]
    assert path == f"/{first['conversation_id']}/restart"
    assert body["from_entry_id"] == first["last_entry_id"]
    assert body["inputs"] == [user("I live in Rome.")]
    assert forked["conversation_id"] != first["conversation_id"] == second["conversation_id"]
    assert kinds(client, first["conversation_id"]) == ["message.input", "message.output"] * 2
    agent.invoke({"messages": "And then?"}, THREAD)
    assert bodies(service)[-1][0] == f"/{forked['conversation_id']}"


def test_an_edited_message_becomes_a_branch(client: MistralAgents, service: Standin, scripted: ScriptedModel) -> None:
    scripted.always(say("Yes."))
    agent = agent_of(client)
    first = agent.invoke({"messages": "I am Ada."}, THREAD)
    second = agent.invoke({"messages": "I live in Paris."}, THREAD)
    edited = HumanMessage("I live in Rome.", id=second["messages"][2].id)

    agent.update_state(THREAD, {"messages": [edited, RemoveMessage(id=second["messages"][3].id)]})
    agent.invoke({"messages": "Where do I live?"}, THREAD)

    path, body = bodies(service)[-1]
    assert path == f"/{first['conversation_id']}/restart"
    assert body["from_entry_id"] == first["last_entry_id"]
    assert body["inputs"] == [user("I live in Rome."), user("Where do I live?")]


@pytest.mark.parametrize("policy", ["restart", "raise"])
def test_a_history_cut_down_to_nothing_the_service_knows(
    client: MistralAgents, service: Standin, scripted: ScriptedModel, policy: str
) -> None:
    scripted.always(say("Yes."))
    agent = agent_of(client, on_divergence=policy)
    first = agent.invoke({"messages": "I am Ada."}, THREAD)
    removed = [RemoveMessage(id=message.id) for message in first["messages"]]
    agent.update_state(THREAD, {"messages": [HumanMessage("Summary: Ada said hello."), *removed]})

    if policy == "raise":
        with pytest.raises(DivergenceError, match="no answer of the stored conversation"):
            agent.invoke({"messages": "Who am I?"}, THREAD)
        return
    result = agent.invoke({"messages": "Who am I?"}, THREAD)
    assert bodies(service)[-1][0] == ""
    assert bodies(service)[-1][1]["inputs"] == [user("Summary: Ada said hello."), user("Who am I?")]
    assert result["conversation_id"] != first["conversation_id"]


def test_a_failed_turn_can_be_tried_again(client: MistralAgents, service: Standin, scripted: ScriptedModel) -> None:
    scripted.always(say("Yes."))
    agent = agent_of(client)
    begun = agent.invoke({"messages": "I am Ada."}, THREAD)
    service.faults.answer(500, path=begun["conversation_id"], method="POST")
    with pytest.raises(MistralAgentsError):
        agent.invoke({"messages": "Who am I?"}, THREAD)

    agent.invoke(None, THREAD)

    assert kinds(client, begun["conversation_id"]) == ["message.input", "message.output"] * 2


# confirmations ---------------------------------------------------------------------------------------------------


def waiting(agent: Any, words: str = "6 * 7?") -> list[dict[str, Any]]:
    """Ask, and give the calls that the graph then waits for."""
    [interrupt] = agent.invoke({"messages": words}, THREAD)["__interrupt__"]
    assert {config["action_name"] for config in interrupt.value["review_configs"]} == {"code_interpreter"}
    found: list[dict[str, Any]] = interrupt.value["action_requests"]
    return found


COMPUTE = call("code_interpreter", {"code": "print(6*7)"})


@pytest.mark.parametrize(
    ("resume", "word"),
    [
        (lambda _: "allow", "allow"),
        (lambda _: "deny", "deny"),
        (lambda ids: {ids[0]: "deny"}, "deny"),
        (lambda _: {"decisions": [{"type": "approve"}]}, "allow"),
        (lambda _: {"decisions": [{"type": "reject", "message": "no"}]}, "deny"),
    ],
)
@pytest.mark.parametrize("blocking", BLOCKING)
@pytest.mark.parametrize("inside", ["tools", "connectors"])
async def test_a_hosted_tool_waits_for_a_decision(
    client: MistralAgents,
    service: Standin,
    scripted: ScriptedModel,
    resume: Callable[[list[str]], Any],
    word: str,
    blocking: bool,
    inside: str,
) -> None:
    scripted.script(COMPUTE, say("Done."))
    careful = CodeInterpreter(requires_confirmation=True)
    agent = agent_of(client, **{inside: [careful]})
    [asked] = waiting(agent)
    assert (asked["name"], asked["args"]) == ("code_interpreter", {"code": "print(6*7)"})

    command = Command(resume=resume([asked["tool_call_id"]]))
    result = agent.invoke(command, THREAD) if blocking else await agent.ainvoke(command, THREAD)

    assert last(result) == "Done."
    assert "__interrupt__" not in result
    sent = bodies(service)
    assert len(sent) == 2
    confirmed = [{"tool_call_id": asked["tool_call_id"], "confirmation": word}]
    assert sent[1] == (f"/{result['conversation_id']}", {"tool_confirmations": confirmed})
    ran = ["tool.execution"] if word == "allow" else []
    assert kinds(client, result["conversation_id"]) == ["message.input", "function.call", *ran, "message.output"]
    await client.aclose()


@pytest.mark.parametrize("mode", ["messages", "updates"])
async def test_decisions_in_streams(
    client: MistralAgents, service: Standin, scripted: ScriptedModel, mode: str
) -> None:
    for blocking in BLOCKING:
        scripted.script(COMPUTE, say("It is 42."))
        agent = agent_of(client, tools=CAREFUL)

        async def run(given: Any, agent: Any = agent, blocking: bool = blocking) -> list[Any]:
            modes = ["updates", "messages"] if mode == "messages" else ["updates"]
            if blocking:
                return list(agent.stream(given, THREAD, stream_mode=modes))
            return [each async for each in agent.astream(given, THREAD, stream_mode=modes)]

        first = await run({"messages": "6 * 7?"})
        assert [list(each) for kind, each in first if kind == "updates"][-1] == ["__interrupt__"]
        second = await run(Command(resume="allow"))

        words = [str(each[0].text) for kind, each in second if kind == "messages"]
        assert "".join(words) == ("It is 42." if mode == "messages" else "")
        assert bodies(service)[-1][1].get("stream", False) is (mode == "messages")
        state = agent.get_state(THREAD)
        assert state.values["messages"][-1].text == "It is 42."
        assert state.next == ()
    await client.aclose()


def test_a_value_that_decides_nothing_is_asked_about_again(
    client: MistralAgents, service: Standin, scripted: ScriptedModel
) -> None:
    scripted.script(COMPUTE, say("Done."))
    agent = agent_of(client, tools=CAREFUL)
    waiting(agent)

    for wrong in ("perhaps", {"other": "allow"}, {"decisions": []}, {"decisions": ["approve", "approve"]}, 3):
        [again] = agent.invoke(Command(resume=wrong), THREAD)["__interrupt__"]
        assert again.value["error"] == f"{wrong!r} does not decide about every call."
    assert len(bodies(service)) == 1
    assert last(agent.invoke(Command(resume="allow"), THREAD)) == "Done."


def test_a_new_message_instead_of_a_decision_denies(
    client: MistralAgents, service: Standin, scripted: ScriptedModel
) -> None:
    scripted.script(COMPUTE, say("As you wish."))
    agent = agent_of(client, tools=CAREFUL)
    [asked] = waiting(agent)

    result = agent.invoke({"messages": "No, leave it."}, THREAD)

    assert last(result) == "As you wish."
    assert bodies(service)[-1][1] == {
        "inputs": [user("No, leave it.")],
        "tool_confirmations": [{"tool_call_id": asked["tool_call_id"], "confirmation": "deny"}],
    }


def test_our_own_calls_run_before_the_decisions_go_out(
    client: MistralAgents, service: Standin, scripted: ScriptedModel
) -> None:
    scripted.script(calls(COMPUTE, call("add", {"a": 3, "b": 4})), say("42 and 7."))
    agent = agent_of(client, tools=CAREFUL)
    [asked] = waiting(agent)

    result = agent.invoke(Command(resume="allow"), THREAD)

    assert last(result) == "42 and 7."
    body = bodies(service)[-1][1]
    assert [entry["result"] for entry in body["inputs"]] == ["7"]
    assert body["tool_confirmations"] == [{"tool_call_id": asked["tool_call_id"], "confirmation": "allow"}]


def test_a_tool_may_ask_several_times(client: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.script(COMPUTE, call("code_interpreter", {"code": "print(1)"}), say("Done."))
    agent = agent_of(client, tools=CAREFUL)
    waiting(agent)

    [again] = agent.invoke(Command(resume="allow"), THREAD)["__interrupt__"]
    assert again.value["action_requests"][0]["args"] == {"code": "print(1)"}
    assert last(agent.invoke(Command(resume="allow"), THREAD)) == "Done."


@pytest.mark.parametrize("blocking", BLOCKING)
async def test_to_decide_otherwise_later_branches_before_the_question(
    client: MistralAgents, service: Standin, scripted: ScriptedModel, blocking: bool
) -> None:
    again = call("code_interpreter", {"code": "print(6*8)"})
    scripted.script(say("Hello."), COMPUTE, COMPUTE, say("Done."), again, say("As you wish."))
    agent = agent_of(client, tools=CAREFUL)
    first = agent.invoke({"messages": "Hi."}, THREAD)
    waiting(agent)
    asked = agent.get_state(THREAD).config
    agent.invoke(Command(resume="allow"), THREAD)
    old = agent.invoke(Command(resume="allow"), THREAD)
    assert last(old) == "Done."

    deny = Command(resume="deny")
    forked = agent.invoke(deny, asked) if blocking else await agent.ainvoke(deny, asked)

    path, body = bodies(service)[-1]
    assert path == f"/{first['conversation_id']}/restart"
    assert (body["from_entry_id"], body["inputs"]) == (first["last_entry_id"], [user("6 * 7?")])
    assert forked["__interrupt__"][0].value["action_requests"][0]["args"] == {"code": "print(6*8)"}
    assert [message.type for message in forked["messages"]] == ["human", "ai", "human", "ai"]
    assert last(agent.invoke(deny, THREAD)) == "As you wish."
    assert kinds(client, old["conversation_id"]).count("tool.execution") == 2
    await client.aclose()


@pytest.mark.parametrize("same_process", [True, False])
def test_a_decision_whose_reply_was_lost_is_found_or_asked_about_again(
    client: MistralAgents, service: Standin, scripted: ScriptedModel, same_process: bool
) -> None:
    scripted.script(COMPUTE, say("Done."), COMPUTE, say("Done again."))
    agent = agent_of(client, tools=CAREFUL)
    waiting(agent)
    service.faults.drop_after(method="POST", path="/conversations")
    service.faults.answer(500, method="GET", path="/history")
    with pytest.raises(MistralAgentsError, match="may have been applied"):
        list(agent.stream(Command(resume="allow"), THREAD, stream_mode="messages"))

    if same_process:
        assert last(agent.invoke(None, THREAD)) == "Done."
        return
    HEADS.__init__()  # type: ignore[misc]  # another process knows nothing of what was sent
    assert agent.invoke(None, THREAD)["__interrupt__"]
    assert last(agent.invoke(Command(resume="allow"), THREAD)) == "Done again."


def test_a_late_decision_may_be_refused(client: MistralAgents, service: Standin, scripted: ScriptedModel) -> None:
    scripted.script(COMPUTE, say("Done."))
    agent = agent_of(client, tools=CAREFUL, on_divergence="raise")
    waiting(agent)
    asked = agent.get_state(THREAD).config
    agent.invoke(Command(resume="allow"), THREAD)

    with pytest.raises(DivergenceError, match="the conversation has gone on"):
        agent.invoke(Command(resume="deny"), asked)
    assert len(bodies(service)) == 2


def test_calls_that_a_broken_run_left_open_are_answered(
    client: MistralAgents, service: Standin, scripted: ScriptedModel
) -> None:
    def broken(a: int) -> int:
        """A function that fails."""
        raise LookupError("no such thing")

    scripted.script(call("broken", {"a": 1}), say("Never mind."))
    agent = agent_of(client, tools=[broken])
    with pytest.raises(LookupError):
        agent.invoke({"messages": "Go."}, THREAD)

    result = agent.invoke({"messages": "What now?"}, THREAD)

    assert [message.type for message in result["messages"]] == ["human", "ai", "tool", "human", "ai"]
    answer, asked = bodies(service)[-1][1]["inputs"]
    assert answer["result"].startswith("Error: interrupted")
    assert asked == user("What now?")


# what it needs ---------------------------------------------------------------------------------------------------


def test_other_models_are_refused() -> None:
    agent = create_agent(FakeListChatModel(responses=["x"]), middleware=[MistralConversationMiddleware()])

    with pytest.raises(ConfigurationError, match="needs a ChatMistralAgent, not FakeListChatModel"):
        agent.invoke({"messages": "Hi"})


def test_system_prompts_stay_instructions(client: MistralAgents, service: Standin, scripted: ScriptedModel) -> None:
    scripted.script(say("Hello."), say("Hello again."))
    model = ChatMistralAgent(model=MODEL, client=client)
    agent = create_agent(
        model,
        system_prompt=SystemMessage("Be brief."),
        middleware=[MistralConversationMiddleware()],
        checkpointer=InMemorySaver(),
    )
    agent.invoke({"messages": "Hi"}, THREAD)
    result = agent.invoke({"messages": "Hi again"}, THREAD)

    assert isinstance(result["messages"][-1], AIMessage)
    (_, first), (_, second) = bodies(service)
    assert first["instructions"] == "Be brief."
    assert "instructions" not in second


def test_the_package_loads_no_framework_before_it_is_used() -> None:
    code = "import sys, langchain_mistral_agents as p; dir(p); p.MistralConversationHistory; p.ChatMistralAgent;"
    code += "print([n for n in ('langchain', 'langgraph', 'langchain_classic', 'mistralai') if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )

    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("missing", ["langchain", "langgraph"])
def test_without_langchain_one_sentence_says_so(missing: str) -> None:
    code = (
        f"import sys; sys.modules['{missing}'] = None\n"
        "import langchain_mistral_agents as wing\n"
        "wing.MistralConversationHistory\n"
        "try: wing.MistralConversationMiddleware\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )

    assert (
        done.stdout
        == "MistralConversationMiddleware needs the packages langchain and langgraph: pip install langchain\n"
    )


@pytest.mark.parametrize("outer", [True, False], ids=["retry outside", "retry inside"])
def test_retry_middleware_stores_a_message_once(
    client: MistralAgents, service: Standin, scripted: ScriptedModel, outer: bool
) -> None:
    """Each reply is lost, and looking it up fails too: the retry finds the paid answer instead of asking again."""
    scripted.script(say("Hello."), say("Bought."))
    retry = ModelRetryMiddleware(max_retries=2, initial_delay=0, jitter=False, retry_on=(MistralAgentsError,))
    chain = [retry, MistralConversationMiddleware()] if outer else [MistralConversationMiddleware(), retry]
    model = ChatMistralAgent(model="mistral-small-latest", client=client)
    agent: Any = create_agent(model, middleware=chain, checkpointer=InMemorySaver())
    conversation = agent.invoke({"messages": "Hi"}, THREAD)["conversation_id"]
    service.faults.drop_after(method="POST", path="/conversations")
    service.faults.answer(500, method="GET", path="/history")
    assert last(agent.invoke({"messages": "BUY"}, THREAD)) == "Bought."
    entries = client.conversations.get_history(conversation).entries
    assert [entry.text for entry in entries if isinstance(entry, MessageInput)] == ["Hi", "BUY"]
