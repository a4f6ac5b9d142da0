"""Exact HTTP requests of stored and stateless conversations."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableConfig

from langchain_mistral_agents import ChatMistralAgent
from langchain_mistral_agents._errors import DivergenceError
from mistral_agents._border.turns import HEADS
from mistral_agents.errors import ConfigurationError, PendingCallsError
from tests.wire.conftest import Wire

from .conftest import sse
from .turns import events

Make = Callable[..., ChatMistralAgent]
BASE = "https://service.test"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins as a process that knows no conversation."""
    monkeypatch.setattr(HEADS, "_heads", type(HEADS._heads)())


def user(text: str) -> dict[str, Any]:
    return {"type": "message.input", "role": "user", "content": text}


def said(text: str) -> dict[str, Any]:
    return {"type": "message.output", "role": "assistant", "content": text}


def reply(conversation: str, entry: str, text: str = "ok", calls: tuple[str, ...] = ()) -> Any:
    outputs: list[dict[str, Any]] = [{"type": "message.output", "id": entry, "role": "assistant", "content": text}]
    outputs += [
        {"type": "function.call", "id": f"fc_{c}", "tool_call_id": c, "name": "add", "arguments": "{}"} for c in calls
    ]
    return (200, {"conversation_id": conversation, "outputs": outputs, "usage": {"total_tokens": 1}})


def sent(wire: Wire) -> list[tuple[str, str, Any]]:
    """Method, path and body of each request."""
    return [(r.method, r.url.path, json.loads(r.content) if r.content else None) for r in wire.requests]


class Talk:
    """A conversation of some turns, with every message kept."""

    def __init__(self, model: ChatMistralAgent, wire: Wire) -> None:
        self.model, self.wire, self.messages = model, wire, list[AnyMessage]()

    def say(self, text: str, conversation: str, entry: str, **options: Any) -> AIMessage:
        self.wire.answer(reply(conversation, entry, **options))
        self.messages.append(HumanMessage(text))
        answer = self.model.invoke(self.messages)
        self.messages.append(answer)
        return answer


@pytest.fixture
def talk(prepared: Make, wire: Wire) -> Talk:
    made = Talk(prepared(store=True, instructions="Be brief."), wire)
    made.say("one", "conv_a", "msg_1")
    made.say("two", "conv_a", "msg_2")
    wire.requests.clear()
    return made


def test_start_and_append(prepared: Make, wire: Wire) -> None:
    talk = Talk(prepared(store=True, instructions="Be brief.", temperature=0.2), wire)
    talk.say("one", "conv_a", "msg_1")
    talk.say("two", "conv_a", "msg_2")
    assert sent(wire) == [
        (
            "POST",
            "/v1/conversations",
            {
                "inputs": [user("one")],
                "model": "mistral-small-latest",
                "instructions": "Be brief.",
                "completion_args": {"temperature": 0.2},
                "store": True,
            },
        ),
        (
            "POST",
            "/v1/conversations/conv_a",
            {"inputs": [user("two")], "completion_args": {"temperature": 0.2}},
        ),
    ]


def test_stateless_sends_everything(prepared: Make, wire: Wire) -> None:
    talk = Talk(prepared(), wire)
    talk.say("one", "conv_a", "msg_1")
    wire.requests.clear()
    talk.say("two", "conv_b", "msg_2")
    body = sent(wire)[0][2]
    assert body["inputs"] == [user("one"), said("ok"), user("two")]
    assert body["store"] is False


def test_an_edit_in_the_middle_branches_at_the_last_shared_answer(talk: Talk) -> None:
    talk.messages[2] = HumanMessage("TWO")
    talk.say("three", "conv_b", "msg_9")
    assert sent(talk.wire) == [
        (
            "POST",
            "/v1/conversations/conv_a/restart",
            {"from_entry_id": "msg_1", "inputs": [user("TWO"), said("ok"), user("three")]},
        )
    ]
    assert talk.messages[-1].response_metadata["conversation_id"] == "conv_b"


def test_after_a_branch_the_new_conversation_goes_on(talk: Talk) -> None:
    talk.messages[2] = HumanMessage("TWO")
    talk.say("three", "conv_b", "msg_9")
    talk.wire.requests.clear()
    talk.say("four", "conv_b", "msg_10")
    assert sent(talk.wire) == [("POST", "/v1/conversations/conv_b", {"inputs": [user("four")]})]


def test_regenerating_branches_before_the_answer(talk: Talk) -> None:
    del talk.messages[2:]
    talk.say("two", "conv_b", "msg_9")
    assert sent(talk.wire)[0][1:] == (
        "/v1/conversations/conv_a/restart",
        {"from_entry_id": "msg_1", "inputs": [user("two")]},
    )


def test_checkpoint_replay_in_another_process_reads_where_the_conversation_stands(talk: Talk) -> None:
    HEADS.set(BASE, "conv_a", None)
    del talk.messages[2:]
    talk.messages.append(HumanMessage("other"))
    entries = [{"type": "message.output", "id": f"msg_{n}", "role": "assistant", "content": "ok"} for n in (1, 2)]
    talk.wire.answer((200, {"conversation_id": "conv_a", "entries": entries}), reply("conv_b", "msg_9"))
    talk.model.invoke(talk.messages)
    assert [request[:2] for request in sent(talk.wire)] == [
        ("GET", "/v1/conversations/conv_a/history"),
        ("POST", "/v1/conversations/conv_a/restart"),
    ]


def test_another_process_appends_where_nothing_happened_since(talk: Talk) -> None:
    HEADS.set(BASE, "conv_a", None)
    entries = [{"type": "message.output", "id": "msg_2", "role": "assistant", "content": "ok"}]
    talk.wire.answer((200, {"conversation_id": "conv_a", "entries": entries}), reply("conv_a", "msg_3"))
    talk.model.invoke([*talk.messages, HumanMessage("three")])
    assert sent(talk.wire)[1][1:] == ("/v1/conversations/conv_a", {"inputs": [user("three")]})


def test_parallel_tool_results_go_together(prepared: Make, wire: Wire) -> None:
    talk = Talk(prepared(store=True), wire)
    talk.say("add", "conv_a", "msg_1", calls=("abcdefghi", "jklmnopqr"))
    wire.requests.clear()
    wire.answer(reply("conv_a", "msg_2"))
    results = [ToolMessage("1", tool_call_id="abcdefghi"), ToolMessage("2", tool_call_id="jklmnopqr", status="error")]
    talk.model.invoke([*talk.messages, *results])
    assert sent(wire)[0][2]["inputs"] == [
        {"type": "function.result", "tool_call_id": "abcdefghi", "result": "1"},
        {"type": "function.result", "tool_call_id": "jklmnopqr", "result": "Error: 2"},
    ]


def test_a_missing_result_is_refused_before_the_request(prepared: Make, wire: Wire) -> None:
    asked = AIMessage("", tool_calls=[{"name": "add", "args": {}, "id": key} for key in ("abcdefghi", "jklmnopqr")])
    history = [HumanMessage("add"), asked, ToolMessage("1", tool_call_id="abcdefghi"), HumanMessage("go on")]
    with pytest.raises(PendingCallsError) as caught:
        prepared(store=False).invoke(history)
    assert caught.value.call_ids == ["jklmnopqr"]
    assert wire.requests == []


def test_a_missing_result_of_a_stored_conversation_is_given_for_the_user(prepared: Make, wire: Wire) -> None:
    talk = Talk(prepared(store=True), wire)
    talk.say("add", "conv_a", "msg_1", calls=("abcdefghi", "jklmnopqr"))
    wire.requests.clear()
    talk.messages.append(ToolMessage("1", tool_call_id="abcdefghi"))
    talk.say("go on", "conv_a", "msg_2")
    inputs = sent(talk.wire)[0][2]["inputs"]
    results = {entry["tool_call_id"]: entry["result"] for entry in inputs if entry["type"] == "function.result"}
    assert results.keys() == {"abcdefghi", "jklmnopqr"}
    assert "interrupted" in results["jklmnopqr"]


def test_a_trimmed_history_is_a_new_conversation(talk: Talk) -> None:
    talk.messages = talk.messages[2:]
    talk.say("three", "conv_b", "msg_9")
    method, path, body = sent(talk.wire)[0]
    assert (method, path) == ("POST", "/v1/conversations")
    assert body["inputs"] == [user("two"), said("ok"), user("three")]


def test_changed_instructions_are_a_new_conversation(talk: Talk) -> None:
    talk.messages.insert(0, SystemMessage("Rhyme."))
    talk.say("three", "conv_b", "msg_9")
    _, path, body = sent(talk.wire)[0]
    assert path == "/v1/conversations"
    assert body["instructions"] == "Be brief.\n\nRhyme."


def test_changed_tools_are_a_new_conversation(talk: Talk) -> None:
    talk.model = talk.model.model_copy(update={"connectors": [{"type": "web_search"}]})
    talk.say("three", "conv_b", "msg_9")
    assert sent(talk.wire)[0][2]["tools"] == [{"type": "web_search"}]


@pytest.mark.parametrize("policy", ["new", "raise"])
def test_the_other_policies(talk: Talk, policy: Any) -> None:
    talk.model = talk.model.model_copy(update={"on_divergence": policy})
    del talk.messages[2:]
    if policy == "raise":
        with pytest.raises(DivergenceError, match="gone on"):
            talk.say("two", "conv_b", "msg_9")
        assert talk.wire.requests == []
    else:
        talk.say("two", "conv_b", "msg_9")
        assert sent(talk.wire)[0][1] == "/v1/conversations"


def test_precedence_of_the_conversation(prepared: Make, wire: Wire) -> None:
    """Call keyword > configurable > message > field."""
    talk = Talk(prepared(store=True, conversation_id="conv_field"), wire)
    config: Any = {"configurable": {"conversation_id": "conv_config"}}
    talk.model.invoke("a")
    talk.model.invoke("a", config)
    talk.model.invoke("a", config, conversation_id="conv_call")
    made = Talk(prepared(store=True), wire)
    made.say("x", "conv_message", "msg_1")
    talk.model.invoke([*made.messages, HumanMessage("y")])
    paths = [path.rpartition("/")[2] for _, path, _ in sent(wire)]
    assert paths == ["conv_field", "conv_config", "conv_call", "conversations", "conv_message"]


@pytest.mark.parametrize("way", ["stream", "astream", "events", "aevents"])
async def test_a_config_names_the_conversation_of_every_kind_of_call(prepared: Make, wire: Wire, way: str) -> None:
    model, config = prepared(), RunnableConfig(configurable={"conversation_id": "conv_config"})
    wire.answer((200, sse(*events())))
    if way == "stream":
        list(model.stream("a", config))
    elif way == "astream":
        [chunk async for chunk in model.astream("a", config)]
    elif way == "events":
        _ = model.stream_events("a", config, version="v3").output
    else:
        await (await model.astream_events("a", config, version="v3")).output
    assert [path for _, path, _ in sent(wire)] == ["/v1/conversations/conv_config"]


def test_two_users_on_one_model_never_meet(prepared: Make, wire: Wire) -> None:
    model = prepared(store=True)
    ada, bob = Talk(model, wire), Talk(model, wire)
    ada.say("a", "conv_a", "msg_a")
    bob.say("b", "conv_b", "msg_b")
    wire.requests.clear()
    ada.say("a2", "conv_a", "msg_a2")
    assert sent(wire)[0][1] == "/v1/conversations/conv_a"


def test_nothing_new_is_refused(talk: Talk) -> None:
    with pytest.raises(ConfigurationError, match="no new message"):
        talk.model.invoke(talk.messages)


def test_confirmations(prepared: Make, wire: Wire) -> None:
    talk = Talk(prepared(store=True), wire)
    pending = {
        "type": "function.call",
        "id": "fc_1",
        "tool_call_id": "WJfo42Ow3",
        "name": "gmail_search",
        "arguments": '{"limit": 1}',
        "confirmation_status": "pending",
    }
    wire.answer((200, {"conversation_id": "conv_a", "outputs": [pending]}))
    answer = talk.model.invoke("mail?")
    assert answer.tool_calls == []
    assert answer.response_metadata["pending_confirmations"] == [
        {"tool_call_id": "WJfo42Ow3", "name": "gmail_search", "args": {"limit": 1}}
    ]
    assert answer.response_metadata["finish_reason"] == "confirmation"
    wire.requests.clear()
    wire.answer(reply("conv_a", "msg_2"))
    decisions = [{"tool_call_id": "WJfo42Ow3", "confirmation": "allow"}]
    talk.model.invoke([HumanMessage("mail?"), answer], tool_confirmations=decisions)
    assert sent(wire) == [
        ("POST", "/v1/conversations/conv_a", {"tool_confirmations": decisions}),
    ]


def test_a_lost_answer_is_found_not_sent_again(talk: Talk) -> None:
    entries = [
        {"type": "message.output", "id": "msg_2", "role": "assistant", "content": "ok"},
        user("three") | {"id": "in_3"},
        {"type": "message.output", "id": "msg_3", "role": "assistant", "content": "three too", "completed_at": "x"},
    ]
    talk.wire.answer((503, {"message": "busy"}), (200, {"conversation_id": "conv_a", "entries": entries}))
    answer = talk.model.invoke([*talk.messages, HumanMessage("three")])
    assert answer.text == "three too"
    assert [request[:2] for request in sent(talk.wire)] == [
        ("POST", "/v1/conversations/conv_a"),
        ("GET", "/v1/conversations/conv_a/history"),
    ]
