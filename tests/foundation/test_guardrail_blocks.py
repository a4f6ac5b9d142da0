"""The block of a guardrail is one error, wherever and however it is told: by a 403, by its code, or inside a stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.exceptions import ModelPermissionDeniedError

from langchain_mistral_agents import ChatMistralAgent
from llama_index_mistral_agents import MistralAgentLLM
from mistral_agents import Connector, MistralAgents
from mistral_agents.errors import ConfigurationError, GuardrailBlockedError, PermissionDeniedError

from ..support.running import Standin

DECISION = {"threshold": 0.2, "score": 0.7, "violated": True}
FINE = {"threshold": 0.2, "score": 0.0, "violated": False}
RESULT = {"model_name": "m", "decisions": {"selfharm": DECISION, "pii": FINE}, "violated": True, "action": "block"}
WITH_DECISIONS = {
    "error": {"message": "Content blocked by guardrail", "status": 403},
    "guardrails": {"results": {"moderation_llm_v2": RESULT}},
}
BY_CODE = {"object": "error", "message": "the check failed", "type": "invalid_request_error", "code": 3201}
BODIES = {
    "403 with decisions": (403, WITH_DECISIONS, ["selfharm"]),
    "403 without decisions": (403, {**WITH_DECISIONS, "guardrails": None}, []),
    "403 with its code": (403, BY_CODE, []),
    "400 with its code": (400, BY_CODE, []),
    "422 with its code as a text": (422, {**BY_CODE, "code": "3201"}, []),
    "500 with its code": (500, BY_CODE, []),
    "200 with decisions": (200, WITH_DECISIONS, ["selfharm"]),
    "200 with its code": (200, BY_CODE, []),
}
START = {"type": "conversation.response.started", "conversation_id": "conv_1", "created_at": "2026-01-01T00:00:00Z"}
PIECE = {"type": "message.output.delta", "id": "msg_1", "content": "half", "role": "assistant", "output_index": 0}
ERROR = {"type": "conversation.response.error", "message": "blocked", "code": 3201}
TOLD = {"type": "conversation.response.error", **WITH_DECISIONS}
STREAMS = {
    "at once": ([ERROR], []),
    "after the start": ([START, ERROR], []),
    "after the start, with decisions": ([START, TOLD], ["selfharm"]),
    "in the answer": ([START, PIECE, TOLD], ["selfharm"]),
    "in an event of another name": ([START, PIECE, {**TOLD, "type": "error"}], ["selfharm"]),
}


@pytest.fixture(scope="module")
def standin() -> Iterator[Standin]:
    server = Standin()
    yield server
    server.stop()


def settings(standin: Standin) -> dict[str, Any]:
    return {"api_key": "k", "base_url": standin.base_url, "max_retries": 0}


def start(standin: Standin) -> Any:
    return MistralAgents(**settings(standin)).conversations.start("q", model="m")


def invoke(standin: Standin) -> Any:
    return ChatMistralAgent(model="m", **settings(standin)).invoke("q")


def complete(standin: Standin) -> Any:
    return MistralAgentLLM(model="m", **settings(standin)).complete("q")


def acomplete(standin: Standin) -> Any:
    return asyncio.run(MistralAgentLLM(model="m", **settings(standin)).acomplete("q"))


@pytest.mark.parametrize("ask", [start, invoke, complete, acomplete])
@pytest.mark.parametrize("told", BODIES)
def test_a_block_of_a_call_is_one_error(standin: Standin, ask: Callable[[Standin], Any], told: str) -> None:
    status, body, violations = BODIES[told]
    standin.faults.answer(status, body)
    with pytest.raises(GuardrailBlockedError) as caught:
        ask(standin)
    assert list(caught.value.violations) == violations
    assert all(name in str(caught.value) for name in violations)
    assert caught.value.body == body
    assert "thresholds" in str(caught.value.hint)
    assert isinstance(caught.value, ModelPermissionDeniedError) is (ask is invoke)
    assert not caught.value.retryable


def read_stream(standin: Standin) -> Any:
    with MistralAgents(**settings(standin)).conversations.start_stream("q", model="m") as stream:
        return stream.read()


def stream_chat(standin: Standin) -> Any:
    return list(ChatMistralAgent(model="m", **settings(standin)).stream("q"))


def stream_llm(standin: Standin) -> Any:
    return list(MistralAgentLLM(model="m", **settings(standin)).stream_complete("q"))


def aread_stream(standin: Standin) -> Any:
    async def read() -> Any:
        async with MistralAgents(**settings(standin)).conversations.astart_stream("q", model="m") as stream:
            return await stream.aread()

    return asyncio.run(read())


@pytest.mark.parametrize("ask", [read_stream, aread_stream, stream_chat, stream_llm])
@pytest.mark.parametrize("told", STREAMS)
def test_a_block_inside_a_stream_is_the_same_error(standin: Standin, ask: Callable[[Standin], Any], told: str) -> None:
    events, violations = STREAMS[told]
    text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    standin.faults.answer(200, text, headers={"content-type": "text/event-stream"})
    with pytest.raises(GuardrailBlockedError) as caught:
        ask(standin)
    assert list(caught.value.violations) == violations
    if len(events) > 1:
        assert caught.value.conversation_id == "conv_1"
    if PIECE in events:
        assert caught.value.turn is not None
        assert caught.value.turn.text == "half"


def test_a_403_of_the_account_is_no_block(standin: Standin) -> None:
    standin.faults.answer(403, {"detail": "not yours"})
    with pytest.raises(PermissionDeniedError) as caught:
        start(standin)
    assert not isinstance(caught.value, GuardrailBlockedError)


def test_scores_are_told_in_both_wings(standin: Standin) -> None:
    rules = [{"moderation_llm_v2": {"action": "none"}}]
    scores = MistralAgents(**settings(standin)).conversations.start("q", model="m", guardrails=rules).guardrails
    assert "decisions" in scores[0]["results"]["moderation_llm_v2"]
    message = ChatMistralAgent(model="m", guardrails=rules, **settings(standin)).invoke("q")
    assert message.response_metadata["guardrails"] == scores
    response = MistralAgentLLM(model="m", guardrails=rules, **settings(standin)).complete("q")
    assert response.additional_kwargs["guardrails"] == scores


@pytest.mark.parametrize("wrong", [{"moderation_llm_v2": {}}, "block", ["block"], 5])
def test_guardrails_that_are_no_list_of_rules_are_refused_before_anything_is_sent(standin: Standin, wrong: Any) -> None:
    client = MistralAgents(**settings(standin))
    standin.faults.requests.clear()
    for ask in (
        lambda: client.conversations.start("q", model="m", guardrails=wrong),
        lambda: client.conversations.restart("conv_1", "msg_1", "q", guardrails=wrong),
        lambda: client.agents.create(model="m", name="n", guardrails=wrong),
        lambda: client.agents.update("ag_1", guardrails=wrong),
    ):
        with pytest.raises(ConfigurationError, match="guardrails must be a list of mappings"):
            ask()
    with pytest.raises(ConfigurationError, match="tool_confirmations must be a list of mappings"):
        client.conversations.append("conv_1", tool_confirmations={"tool_call_id": "a", "confirmation": "allow"})
    assert standin.faults.requests == []


@pytest.mark.parametrize("wrong", ["", "  ", 5, None])
def test_a_connector_without_a_name_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="connector_id must be a non-empty text"):
        Connector(wrong)
