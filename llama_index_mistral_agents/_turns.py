"""Turns as LlamaIndex responses, whole or event by event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole, TextBlock

from llama_index_mistral_agents._blocks import THINKING, TOOL_CALL, answer_message, call_block
from llama_index_mistral_agents._items import history_digest, with_marks
from llama_index_mistral_agents._plan import Request
from llama_index_mistral_agents._sessions import count_turn
from llama_index_mistral_agents.turn_events import announce
from mistral_agents._border.turns import TurnRequest
from mistral_agents._json import JsonDict
from mistral_agents.entries import chunk_text, content_chunks, thinking_text
from mistral_agents.turn import Turn


def begin(request: Request) -> TurnRequest:
    """The turn of a request, which is on its way from now on."""
    if request.session is not None:
        request.session.turn_begins()
    return request.turn


def finish(request: Request, turn: Turn, *, notify: bool = True) -> ChatResponse:
    """The response of a finished turn; sends its events and tells the memory that the messages came from."""
    if notify:
        announce(turn)
    marks = dict(request.marks) if request.stored else {}
    message = answer_message(turn, stored=request.stored, first_call_only=request.first_call_only, **marks)
    if request.stored:
        message = with_marks(message, history_digest=history_digest([message], request.prefix))
    count_turn()
    if request.stored and request.session is not None and turn.conversation_id is not None:
        request.session.turn_applied(turn.conversation_id, request.sent, message, request.marks)
    usage = message.additional_kwargs["usage"]
    return ChatResponse(message=message, raw=turn.raw, delta="", additional_kwargs=dict(usage))


class Progress:
    """Turns events into responses whose message grows: the text so far, the calls so far, and what is new."""

    def __init__(self, request: Request, watch: Callable[[JsonDict], None] | None = None) -> None:
        self._watch = watch
        self._first_call_only = request.first_call_only
        self._text = ""
        self._thinking = ""
        self._calls: dict[str, list[str]] = {}

    def take(self, event: JsonDict) -> ChatResponse | None:
        """The response after an event; None for events that change nothing of the message."""
        if self._watch is not None:
            self._watch(event)
        kind = event.get("type")
        if kind == "message.output.delta":
            chunks = content_chunks(event.get("content"))
            text = "".join(map(chunk_text, chunks))
            thinking = "".join(map(thinking_text, chunks))
            self._text += text
            self._thinking += thinking
            return self._response(event, text, thinking) if text or thinking else None
        if kind == "function.call.delta" and event.get("confirmation_status") is None:
            self._add_call(event)
            return self._response(event, "", "")
        return None

    def _add_call(self, event: JsonDict) -> None:
        call_id = str(event.get("tool_call_id"))
        call = self._calls.setdefault(call_id, [str(event.get("name", "")), ""])
        piece = event.get("arguments")
        call[1] += piece if isinstance(piece, str) else ""

    def _response(self, event: JsonDict, delta: str, thinking: str) -> ChatResponse:
        blocks: list[Any] = [THINKING(content=self._thinking)] if self._thinking and THINKING is not None else []
        if self._text:
            blocks.append(TextBlock(text=self._text))
        calls = list(self._calls.items())[: 1 if self._first_call_only else None]
        kwargs: JsonDict = {}
        if calls:
            if TOOL_CALL is not None:
                blocks.extend(call_block(name, call_id, arguments) for call_id, (name, arguments) in calls)
            kwargs["tool_calls"] = [
                {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
                for call_id, (name, arguments) in calls
            ]
        message = ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs=kwargs)
        extra = {"thinking_delta": thinking} if thinking else {}
        return ChatResponse(message=message, delta=delta, raw=event, additional_kwargs=extra)
