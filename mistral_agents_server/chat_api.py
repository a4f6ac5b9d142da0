"""The route of /v1/chat/completions: thin, so that other clients of the service start.

What answers conversations answers here, without hosted tools and without a memory.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mistral_agents_server import ids
from mistral_agents_server.errors import ApiError, invalid_model
from mistral_agents_server.messages import content_text, input_content
from mistral_agents_server.thinking import CallPart, ChatRequest, Part, Text, Thought, Tokens, count_tokens
from mistral_agents_server.turn_queue import TurnQueue
from mistral_agents_server.turns import Services
from mistral_agents_server.wire import FunctionTool, Guardrail, ResponseFormat, read_body, wire
from mistral_agents_server.wire_entries import DocumentURLChunk, ImageURLChunk, TextChunk, ToolFileChunk

Wire = dict[str, Any]

_NO_ARGUMENTS = ("model", "messages", "tools", "tool_choice", "stream", "guardrails")
_CHUNKS: dict[str, type[BaseModel]] = {
    "text": TextChunk,
    "image_url": ImageURLChunk,
    "document_url": DocumentURLChunk,
    "tool_file": ToolFileChunk,
}


class ToolCall(BaseModel):
    """A call that an assistant's message made."""

    model_config = ConfigDict(extra="allow")
    id: str = "null"
    function: dict[str, Any]


class Message(BaseModel):
    """A message of the chat."""

    model_config = ConfigDict(extra="allow")
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None

    @field_validator("content")
    @classmethod
    def _check_chunks(cls, content: Any) -> Any:
        """Chunks that are read here have what they are named after; others are left out later."""
        for chunk in content if isinstance(content, list) else ():
            known = _CHUNKS.get(chunk.get("type", "text")) if isinstance(chunk.get("type", "text"), str) else None
            if known is not None:
                known.model_validate({name: chunk[name] for name in known.model_fields if name in chunk})
        return content


class NamedFunction(BaseModel):
    """A function that is to be called, by its name."""

    model_config = ConfigDict(extra="allow")
    name: str


class FunctionChoice(BaseModel):
    """The choice of one function."""

    model_config = ConfigDict(extra="allow")
    function: NamedFunction


class ChatBody(BaseModel):
    """POST /v1/chat/completions. Arguments that are not known are passed on or left out, never refused."""

    model_config = ConfigDict(extra="allow")
    model: str
    messages: list[Message] = Field(min_length=1)
    tools: list[FunctionTool] | None = None
    tool_choice: str | FunctionChoice | None = None
    stream: bool | None = None
    stop: str | list[str] | None = None
    max_tokens: int | None = Field(None, ge=0)
    response_format: ResponseFormat | None = None
    guardrails: list[Guardrail] | None = None


@dataclass(slots=True)
class _Answer:
    """What was said so far."""

    thought: str = ""
    text: str = ""
    calls: dict[int, Wire] = field(default_factory=dict)
    tokens: Tokens | None = None

    def take(self, part: Part) -> Wire:
        """Take a part; what a stream's delta shows of it."""
        if isinstance(part, Thought):
            self.thought += part.text
            return {"content": [_thinking(part.text)]}
        if isinstance(part, Text):
            self.text += part.text
            return {"content": part.text}
        if isinstance(part, CallPart):
            return {"tool_calls": [self._take_call(part)]}
        self.tokens = part
        return {}

    def _take_call(self, part: CallPart) -> Wire:
        if part.index not in self.calls:
            call_id = part.id if part.id is not None else ids.tool_call_id()
            function = {"name": part.name if part.name is not None else "", "arguments": ""}
            self.calls[part.index] = {"id": call_id, "type": "function", "function": function, "index": part.index}
        call = self.calls[part.index]
        call["function"]["arguments"] += part.arguments
        return {**call, "function": {"name": call["function"]["name"], "arguments": part.arguments}}

    @property
    def finish_reason(self) -> str:
        """Why it ended. Whether it was cut at `max_tokens` is not known here."""
        return "tool_calls" if self.calls else "stop"

    def message(self) -> Wire:
        """The whole message."""
        content: Any = self.text
        if self.thought:
            content = [_thinking(self.thought), {"type": "text", "text": self.text}]
        return {"role": "assistant", "content": content, "tool_calls": list(self.calls.values()) or None}

    def usage(self, request: ChatRequest) -> Wire:
        """What it cost: as the brain tells, else counted roughly."""
        tokens = self.tokens
        if tokens is None:
            asked = sum(count_tokens(str(message.get("content", ""))) for message in request.messages)
            called = "".join(call["function"]["arguments"] for call in self.calls.values())
            tokens = Tokens(asked, count_tokens(self.text + called))
        total = tokens.prompt + tokens.completion
        return {"prompt_tokens": tokens.prompt, "completion_tokens": tokens.completion, "total_tokens": total}


def _thinking(text: str) -> Wire:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


class ChatApi:
    """The route of /v1/chat/completions.

    Args:
        services: the server's rooms; their brain answers.
        queue: where the answer finds its place.
    """

    def __init__(self, services: Services, queue: TurnQueue) -> None:
        self._services = services
        self._queue = queue

    def routes(self) -> list[Route]:
        """The route."""
        return [Route("/v1/chat/completions", self.complete, methods=["POST"])]

    async def complete(self, request: Request) -> Response:
        """One answer, whole or as a stream that ends with `[DONE]`."""
        body = await read_body(request, ChatBody)
        if not self._services.models.knows(body.model):
            raise invalid_model(body.model)
        self._services.quota.require(["tokens"])
        guardrails = [wire(one) for one in body.guardrails or []]
        said = [content_text(message.content) for message in body.messages if message.content is not None]
        self._services.moderator.check(guardrails, said)
        head = {
            "id": uuid.uuid4().hex,
            "created": int(time.time()),
            "model": self._services.brain.label(body.model),
        }
        asked = _chat_request(body)
        response = ChatResponse(self._services, self._queue, asked, head, bool(body.stream))
        response.guardrails, response.said = guardrails, said
        return response


class ChatResponse(Response):
    """Lets the brain answer while a place in the queue is held; what fails before the first word is a status.

    Args:
        services: the server's rooms.
        queue: where the answer finds its place.
        asked: the request to the brain.
        head: what every reply and chunk begins with.
        stream: whether to send chunks.

    Attributes:
        guardrails: what checks the answer.
        said: what was said before it.
    """

    def __init__(self, services: Services, queue: TurnQueue, asked: ChatRequest, head: Wire, stream: bool) -> None:
        super().__init__()
        self._services, self._queue = services, queue
        self._asked, self._head, self._stream = asked, head, stream
        self._answer = _Answer()
        self.guardrails: list[Wire] = []
        self.said: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer and send it."""
        async with self._queue.place():
            deltas = self._queue.iterate(self._deltas())
            first = await anext(deltas, None)
            if self._stream:
                events = self._events(first, deltas)
                response: Response = StreamingResponse(events, media_type="text/event-stream; charset=utf-8")
            else:
                async for _ in deltas:
                    pass
                response = self._whole()
            await response(scope, receive, send)

    def _deltas(self) -> Iterator[Wire]:
        for part in self._services.brain.think(self._asked):
            delta = self._answer.take(part)
            if delta:
                yield delta

    def _whole(self) -> Response:
        usage = self._charge()
        verdicts = self._check()
        choice = {"index": 0, "message": self._answer.message(), "finish_reason": self._answer.finish_reason}
        whole = {**self._head, "object": "chat.completion", "choices": [choice], "usage": usage}
        if verdicts is not None:
            whole["guardrails"] = verdicts
        return JSONResponse(whole, headers=self._services.quota.headers(["tokens"]))

    def _check(self) -> list[Wire] | None:
        return self._services.moderator.check(self.guardrails, [*self.said, self._answer.text])

    def _charge(self) -> Wire:
        usage = self._answer.usage(self._asked)
        self._services.quota.count("tokens", usage["total_tokens"])
        return usage

    async def _events(self, first: Wire | None, deltas: AsyncIterator[Wire]) -> AsyncIterator[bytes]:
        yield _chunk(self._head, {"role": "assistant", "content": ""}, None)
        try:
            if first is not None:
                yield _chunk(self._head, first, None)
            async for delta in deltas:
                yield _chunk(self._head, delta, None)
            self._check()
        except ApiError as error:
            yield _data({**error.body, "object": "error"})
            return
        yield _chunk(self._head, {"content": ""}, self._answer.finish_reason, usage=self._charge())
        yield b"data: [DONE]\n\n"


def _chat_request(body: ChatBody) -> ChatRequest:
    tools = [wire(tool) for tool in body.tools or []]
    choice = body.tool_choice
    if isinstance(choice, FunctionChoice):  # one function by name: only this one is offered
        name = choice.function.name
        tools, choice = [tool for tool in tools if tool["function"]["name"] == name], "required"
    choice = {"any": "required", None: "auto"}.get(choice, choice)
    args = {name: value for name, value in wire(body).items() if name not in _NO_ARGUMENTS}
    offered = [{"type": "function", **tool} for tool in tools]
    return ChatRequest(body.model, [_message(one) for one in body.messages], offered, str(choice), args)


def _message(message: Message) -> Wire:
    """A message in OpenAI's form."""
    content = message.content if message.content is not None else ""
    if message.role == "user":
        return {"role": "user", "content": input_content(content)}
    plain: Wire = {"role": "system" if message.role == "developer" else message.role, "content": content_text(content)}
    if message.tool_calls:
        plain["tool_calls"] = [
            {"id": one.id, "type": "function", "function": _function(one)} for one in message.tool_calls
        ]
    if message.tool_call_id is not None:
        plain["tool_call_id"] = message.tool_call_id
    return plain


def _function(call: ToolCall) -> Wire:
    given = call.function.get("arguments", "{}")
    return {"name": call.function.get("name", ""), "arguments": given if isinstance(given, str) else json.dumps(given)}


def _chunk(head: Wire, delta: Wire, reason: str | None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return _data({**head, "object": "chat.completion.chunk", "choices": [choice], **more})


def _data(value: Wire) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
