"""Limits on tool runs: a turn is ended in time and keeps what had arrived."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from mistral_agents import MistralAgents
from mistral_agents._http.guard import TurnGuard
from mistral_agents._tools.policy import POLICY_KEY, Policy
from mistral_agents.errors import ToolBudgetExceededError
from mistral_agents.tools import CodeInterpreter, WebSearch
from tests.wire.conftest import Wire

Make = Callable[..., MistralAgents]


def started(key: str, name: str = "code_interpreter") -> dict[str, Any]:
    return {
        "type": "tool.execution.started",
        "id": key,
        "name": name,
        "function": name,
        "arguments": "",
        "output_index": 0,
    }


def done(key: str, name: str = "code_interpreter") -> dict[str, Any]:
    info = {"result": [{"type": "text", "text": "42"}], "code_output": "42"}
    return {"type": "tool.execution.done", "id": key, "name": name, "function": name, "info": info, "output_index": 0}


BEGIN = {"type": "conversation.response.started", "conversation_id": "conv_1"}
TEXT = {"type": "message.output.delta", "id": "msg_1", "content": "so far", "content_index": 0, "output_index": 1}
END = {"type": "conversation.response.done", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}


def sse(*events: dict[str, Any]) -> bytes:
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events).encode()


def test_a_run_too_many_ends_the_turn_and_keeps_what_had_arrived(make_client: Make, wire: Wire) -> None:
    wire.answer((200, sse(BEGIN, started("t1"), done("t1"), TEXT, started("t2"), done("t2"), END)))
    client = make_client()
    with pytest.raises(
        ToolBudgetExceededError, match="code_interpreter began run 2 of this turn; 1 are allowed"
    ) as caught:
        client.conversations.start("go", model="m", tools=[CodeInterpreter(max_iterations=1)])
    assert caught.value.turn is not None
    assert caught.value.turn.text == "so far"
    assert not caught.value.turn.complete
    assert caught.value.turn.code_runs[0].output == "42"
    assert caught.value.conversation_id == "conv_1"


async def test_the_same_without_blocking_and_in_streams(make_client: Make, wire: Wire) -> None:
    wire.answer((200, sse(BEGIN, started("t1"), done("t1"), started("t2"), END)))
    client, tools = make_client(), [CodeInterpreter(max_iterations=1)]
    with pytest.raises(ToolBudgetExceededError):
        await client.conversations.astart("go", model="m", tools=tools)
    with (
        pytest.raises(ToolBudgetExceededError),
        client.conversations.start_stream("go", model="m", tools=tools) as stream,
    ):
        stream.read()
    with pytest.raises(ToolBudgetExceededError):
        async with client.conversations.astart_stream("go", model="m", tools=tools) as astream:
            await astream.aread()


def test_within_the_budget_the_turn_is_whole_and_the_policy_goes_on_with_the_conversation(
    make_client: Make, wire: Wire
) -> None:
    wire.answer((200, sse(BEGIN, started("t1"), done("t1"), TEXT, END)))
    client = make_client()
    turn = client.conversations.start("go", model="m", tools=[CodeInterpreter(max_iterations=1)])
    assert (turn.complete, turn.text) == (True, "so far")
    assert turn.policy == Policy(tool_runs={"code_interpreter": 1})
    body = wire.bodies[0]
    assert body["stream"] is True
    assert body["tools"] == [{"type": "code_interpreter"}]
    assert json.loads(body["metadata"][POLICY_KEY]) == {"tool_runs": {"code_interpreter": 1}}
    assert body["instructions"] == "Run code at most 1 times in one answer."
    wire.answer((200, sse(BEGIN, started("t3"), done("t3"), started("t4"), END)))
    with pytest.raises(ToolBudgetExceededError):
        client.conversations.append("conv_1", "again")


def test_another_client_meets_the_policy_by_reading_the_conversation(make_client: Make, wire: Wire) -> None:
    policy = Policy(tool_runs={"code_interpreter": 1})
    wire.answer((200, {"id": "conv_1", "metadata": policy.to_metadata()}))
    client = make_client()
    client.conversations.get("conv_1")
    wire.answer((200, sse(BEGIN, started("t1"), done("t1"), started("t2"), END)))
    with pytest.raises(ToolBudgetExceededError):
        client.conversations.append("conv_1", "again")


def test_citations_shown_are_limited_the_others_kept(make_client: Make, wire: Wire) -> None:
    chunks = [{"type": "tool_reference", "tool": "web_search", "url": f"https://{n}.test"} for n in "abc"]
    output = {"type": "message.output", "id": "msg_1", "content": chunks}
    wire.answer((200, {"conversation_id": "conv_1", "outputs": [output]}))
    turn = make_client().conversations.start("go", model="m", tools=[WebSearch(max_results=2)])
    assert [c.url for c in turn.citations] == ["https://a.test", "https://b.test"]
    assert len(turn.raw["outputs"][0]["content"]) == 3
    assert "stream" not in wire.bodies[0], "nothing to watch, so a plain call with its quota headers"


def test_an_overdue_run_ends_a_silent_stream() -> None:
    guard = TurnGuard(Policy(tool_seconds={"code_interpreter": 0.05}))
    silent = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"one"
        silent.wait(20)

    def read() -> None:
        for _ in guard.watch(chunks()):
            guard.take(started("t1"))

    with pytest.raises(ToolBudgetExceededError, match=r"A run of code_interpreter took more than 0\.05 s"):
        read()
    silent.set()


async def test_an_overdue_run_ends_a_silent_asynchronous_stream() -> None:
    guard = TurnGuard(Policy(tool_seconds={"code_interpreter": 0.05}))

    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.Event().wait()

    async def read() -> None:
        async for _ in guard.awatch(chunks()):
            guard.take(started("t1"))

    with pytest.raises(ToolBudgetExceededError):
        await read()


def test_only_the_run_is_timed_not_the_thinking_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("mistral_agents._http.guard.time.monotonic", lambda: now[0])
    guard = TurnGuard(Policy(tool_seconds={"code_interpreter": 5}))
    guard.take(BEGIN)
    now[0] += 60
    guard.take(started("t1"))
    assert guard.seconds_left == 5
    guard.take(started("w1", "web_search"))
    now[0] += 4
    guard.take(done("t1"))
    now[0] += 60
    guard.take(TEXT)
    assert guard.seconds_left is None


def test_a_failure_in_the_reading_thread_reaches_the_reader() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(TurnGuard(Policy(tool_seconds={"x": 1})).watch(chunks()))
    assert list(TurnGuard(Policy(tool_seconds={"x": 1})).watch(iter([b"a", b"b"]))) == [b"a", b"b"]
