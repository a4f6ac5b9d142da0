"""A loopback OpenAI-compatible chat endpoint that says what a test wants said."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from mistral_agents_server.offers import transfer_name
from mistral_agents_server.testing.running import Served


@dataclass(frozen=True)
class Call:
    """One call of a function."""

    name: str
    arguments: Any


@dataclass(frozen=True)
class Reply:
    """What the model says: text, reasoning, calls, or a failure."""

    text: str = ""
    calls: Sequence[Call] = ()
    thinking: str = ""
    status: int = 200
    body: Any = None
    broken: bool = False
    usage: dict[str, int] = field(default_factory=lambda: {"prompt_tokens": 11, "completion_tokens": 7})


def say(text: str, *, thinking: str = "", calls: Sequence[Call | Reply] = ()) -> Reply:
    """An answer in words, perhaps with reasoning before it and calls behind it."""
    return Reply(text=text, thinking=thinking, calls=_flat(calls))


def call(name: str, arguments: Any = None) -> Reply:
    """One call. `arguments` is a dict, or a str that is sent as it stands."""
    return Reply(calls=(Call(name, {} if arguments is None else arguments),))


def calls(*several: Call | Reply) -> Reply:
    """Several calls in one reply: `calls(call("a"), call("b"))`."""
    return Reply(calls=_flat(several))


def hand_over(agent: str) -> Reply:
    """Hand the conversation over to the agent of this name; it must be among the handoffs of the one that speaks."""
    return call(transfer_name(agent))


def ask_confirmation(tool: str, arguments: Any = None) -> Reply:
    """Call a hosted tool that was declared with `requires_confirmation`: the turn ends and waits for a decision.

    The declaration makes it wait; a tool without it runs at once.
    """
    return call(tool, arguments)


def fail(status: int, body: Any = None) -> Reply:
    """An error of the endpoint."""
    return Reply(status=status, body=body if body is not None else {"error": {"message": "planned"}})


def stop_short(text: str) -> Reply:
    """An answer whose stream ends in the middle."""
    return Reply(text=text, broken=True)


def _flat(several: Sequence[Call | Reply]) -> tuple[Call, ...]:
    found: list[Call] = []
    for one in several:
        found.extend([one] if isinstance(one, Call) else one.calls)
    return tuple(found)


Step = Reply | Callable[[dict[str, Any]], Reply]


class ScriptedModel(Served):
    """The endpoint. Each request takes the next step of the script; a function step gets the request's body.

    When the script is at its end it answers `""`, so that a test that asks too often sees it in `requests`.

    Attributes:
        url: for `model_url`.
        requests: the bodies received.
    """

    def __init__(self) -> None:
        self._steps: deque[Step] = deque()
        self._always: Step | None = None
        self.requests: list[dict[str, Any]] = []
        super().__init__(Starlette(routes=[Route("/v1/chat/completions", self._answer, methods=["POST"])]))
        self.url = f"{self.base_url}/v1"

    def script(self, *replies: Step) -> None:
        """Forget what was planned and requested, and plan anew."""
        self._steps = deque(replies)
        self._always = None
        self.requests.clear()

    def always(self, step: Step) -> None:
        """Answer every further request in one way."""
        self.script()
        self._always = step

    async def _answer(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append(body)
        step = self._steps.popleft() if self._steps else self._always
        reply = step(body) if callable(step) else step if step is not None else Reply()
        if reply.status != 200:
            return JSONResponse(reply.body, reply.status)
        if body.get("stream"):
            return StreamingResponse(_events(reply, body.get("model", "")), media_type="text/event-stream")
        return JSONResponse(_whole(reply, body.get("model", "")))


def _arguments(one: Call) -> str:
    return one.arguments if isinstance(one.arguments, str) else json.dumps(one.arguments, ensure_ascii=False)


def _calls(reply: Reply) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "id": f"call{index:05d}",
            "type": "function",
            "function": {"name": one.name, "arguments": _arguments(one)},
        }
        for index, one in enumerate(reply.calls)
    ]


def _whole(reply: Reply, model: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "reasoning_content": reply.thinking}
    if reply.calls:
        message["tool_calls"] = _calls(reply)
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if reply.calls else "stop"}
    return {"object": "chat.completion", "model": model, "choices": [choice], "usage": reply.usage}


def _deltas(reply: Reply) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in _pieces(reply.thinking, 6)]
    deltas += [{"content": piece} for piece in _pieces(reply.text, 4)]
    for one in _calls(reply):
        arguments = one["function"]["arguments"]
        deltas.append({"tool_calls": [{**one, "function": {"name": one["function"]["name"], "arguments": ""}}]})
        deltas += [
            {"tool_calls": [{"index": one["index"], "function": {"arguments": piece}}]}
            for piece in _pieces(arguments, 7)
        ]
    return deltas


def _pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


async def _events(reply: Reply, model: str) -> AsyncIterator[str]:
    for delta in _deltas(reply):
        yield _line({"model": model, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    if reply.broken:
        return
    reason = "tool_calls" if reply.calls else "stop"
    yield _line({"model": model, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    yield _line({"model": model, "choices": [], "usage": reply.usage})
    yield "data: [DONE]\n\n"


def _line(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
