"""Turns as LlamaIndex responses, whole or event by event."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    MessageRole,
    TextBlock,
)
from llama_index_instrumentation.span import active_span_id

from llama_index_mistral_agents._items import history_digest, with_marks
from llama_index_mistral_agents._messages_in import THINKING, TOOL_CALL, answer_message, call_block
from llama_index_mistral_agents._plan import Request
from llama_index_mistral_agents._sessions import count_turn
from llama_index_mistral_agents.turn_events import announce
from mistral_agents._border.copies import copy_with
from mistral_agents._border.events import CallDelta, Record, TextDelta, ThinkingDelta, arguments_text, name_of
from mistral_agents._border.stops import AnswerCut
from mistral_agents._border.turns import TurnRequest
from mistral_agents._json import JsonDict
from mistral_agents.turn import Turn


def begin(request: Request) -> TurnRequest:
    """The turn of a request, which is on its way from now on."""
    if request.session is not None:
        request.session.turn_begins()
    return request.turn


def finish(request: Request, turn: Turn, *, notify: bool = True, span_id: str | None = None) -> ChatResponse:
    """The response of a finished turn; sends its events and tells the memory that the messages came from.

    Args:
        request: The request.
        turn: The turn.
        notify: Whether events are sent.
        span_id: The span of LlamaIndex that they belong to; None for the one that is open.
    """
    if notify:
        announce(turn, span_id)
    marks = dict(request.marks) if request.stored else {}
    message = answer_message(
        turn,
        stored=request.stored,
        first_call_only=request.first_call_only,
        stop=request.stop,
        undecided=request.undecided,
        draft=request.draft,
        **marks,
    )
    if request.stored:
        message = with_marks(message, history_digest=history_digest([message], request.prefix))
    count_turn()
    if request.stored and request.session is not None and turn.conversation_id is not None:
        request.session.turn_applied(turn.conversation_id, request.sent, message, request.marks)
    usage = message.additional_kwargs["usage"]
    return ChatResponse(message=message, raw=turn.raw, delta="", additional_kwargs=dict(usage))


_TEXT = TextBlock(text="")
_MESSAGE = ChatMessage(role=MessageRole.ASSISTANT, blocks=[], additional_kwargs={})
_RESPONSE = ChatResponse(message=_MESSAGE, delta="", raw=None, additional_kwargs={})


def give_one(response: ChatResponse) -> ChatResponseGen:
    """A stream of one response."""
    yield response


async def agive_one(response: ChatResponse) -> ChatResponseAsyncGen:
    """As `give_one`, for asynchronous streams."""
    yield response


class Progress:
    """Turns the records of events into responses whose message grows: text and calls so far, and what is new.

    It is made while the span of its stream is open, which is closed before the stream is read.
    """

    def __init__(self, request: Request, watch: Callable[[JsonDict], None] | None = None) -> None:
        self._watch = watch
        self._request = request
        self._cut = AnswerCut(request.stop, first_call_only=request.first_call_only)
        self._text = ""
        self._thinking = ""
        self._calls: dict[str, JsonDict] = {}
        self._span_id = active_span_id.get()

    @property
    def is_over(self) -> bool:
        """Whether nothing more is shown, so that a stream that nobody keeps may be left."""
        return self._cut.hit and not self._request.stored

    def take(self, event: JsonDict, records: Sequence[Record]) -> ChatResponse | None:
        """The response after an event; None for events that change nothing of the message."""
        if self._watch is not None:
            self._watch(event)
        return self._show(event, self._cut.take(records))

    def _show(self, event: JsonDict, records: Sequence[Record]) -> ChatResponse | None:
        text = thinking = ""
        called = False
        for record in records:
            if isinstance(record, TextDelta):
                text += record.text
            elif isinstance(record, ThinkingDelta):
                thinking += record.text
            elif isinstance(record, CallDelta) and record.entry.get("confirmation_status") is None:
                self._calls[record.key] = record.entry
                called = True
        self._text += text
        self._thinking += thinking
        return self._make_response(event, text, thinking) if text or thinking or called else None

    def end(self, turn: Turn) -> Iterator[ChatResponse]:
        """What was held back, then the response of the finished turn."""
        rest = self._show({}, self._cut.end())
        if rest is not None:
            yield rest
        yield finish(self._request, turn, span_id=self._span_id)

    def _make_response(self, event: JsonDict, delta: str, thinking: str) -> ChatResponse:
        blocks: list[Any] = [THINKING(content=self._thinking)] if self._thinking and THINKING is not None else []
        if self._text:
            blocks.append(copy_with(_TEXT, text=self._text))
        calls = [
            (name_of(entry.get("tool_call_id")), name_of(entry.get("name")), arguments_text(entry))
            for entry in self._calls.values()
        ]
        kwargs: JsonDict = {"incomplete": True}
        if calls:
            if TOOL_CALL is not None:
                blocks.extend(call_block(name, call_id, arguments) for call_id, name, arguments in calls)
            kwargs["tool_calls"] = [
                {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
                for call_id, name, arguments in calls
            ]
        message = copy_with(_MESSAGE, blocks=blocks, additional_kwargs=kwargs)
        extra = {"thinking_delta": thinking} if thinking else {}
        return copy_with(_RESPONSE, message=message, delta=delta, raw=event, additional_kwargs=extra)
