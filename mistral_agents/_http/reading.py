"""What the blocking stream of a turn and the asynchronous one share: from bytes to events to a turn, and its ends."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mistral_agents._border.events import FRAME, Record, StreamEnd, StreamStart
from mistral_agents._border.text import parse_json
from mistral_agents._http import sdk as sdk_layer
from mistral_agents._http.calls import Call
from mistral_agents._http.concealed import hide_echo, hide_echo_in, mask_credentials
from mistral_agents._http.failures import UNREADABLE, is_failed_turn, is_turn_reply, named_status, tells_failure
from mistral_agents._http.fold import EventFold
from mistral_agents._http.guard import TurnGuard
from mistral_agents._http.records import RequestRecord
from mistral_agents._http.replies import (
    AFTER,
    Reply,
    failure_in,
    headers_of,
    unreadable,
)
from mistral_agents._http.sse import EventDecoder
from mistral_agents._http.transport import Opened, Transport, reason
from mistral_agents._json import JsonDict
from mistral_agents._tools.policy import Policy
from mistral_agents._turn.replay import reply_events
from mistral_agents.errors import (
    ConfigurationError,
    MistralAgentsError,
    ResponseFormatError,
    StreamInterruptedError,
    TimeoutExceededError,
    ToolBudgetExceededError,
    TurnFailedError,
    is_block,
    make_block_error,
    read_error_message,
)
from mistral_agents.turn import Turn

_CUT = "The stream ended before `conversation.response.done`; the answer may be incomplete."
_DAMAGED = "An event of the stream arrived damaged ({}); the answer may be incomplete."
_SHOWN = 300
_LAST = "{} What came last is no event that is known: {}"
_CUT_BY = "{}: the stream broke off before its end; what came last is no event: {!r}"
_SHARED = "The stream is read by another thread or task already; one reads it, and hands its events on."
_NOT_A_STREAM = "{}: the service answered the request for a stream with something else: {!r}"


@dataclass(frozen=True, slots=True)
class Watch:
    """What goes along with a stream.

    Attributes:
        policy: What is enforced while it is read.
        met: Told the conversation's id and the policy, once the id is known.
    """

    policy: Policy
    met: Callable[[str | None, Policy], None]


class Reading:
    """What both streams share: bytes to events, the turn so far, and how a stream may end.

    Attributes:
        headers: The reply's headers.
        records: What the event given last added, typed; for those who show a turn as it comes.
    """

    def __init__(self, transport: Transport, call: Call, watch: Watch | None) -> None:
        self._transport = transport
        self._call = call
        self._watch = watch
        self._guard = TurnGuard(watch.policy) if watch is not None and watch.policy.watches_stream else None
        self._decoder = EventDecoder(transport.clients.max_body_bytes)
        self._fold = EventFold()
        self._pending: deque[JsonDict] = deque()
        self._whole: JsonDict | None = None
        self._opened: Opened | None = None
        self._record = RequestRecord(call.method, call.path)
        self._over = False
        self._at_work = threading.Lock()
        self._has_begun = False
        self._asked = self._last_event = 0.0
        self.headers: dict[str, str] = {}
        self.records: Sequence[Record] = ()

    @property
    def conversation_id(self) -> str | None:
        """The conversation's id: from the first event on; for `append` from the start."""
        found = self._fold.conversation_id
        return found if found is not None else self._call.conversation_id

    @property
    def turn(self) -> Turn:
        """What has arrived so far; `complete` is True once the stream has ended well."""
        turn = Turn.from_response(
            self._whole if self._whole is not None and self._fold.done else self._fold.response(),
            headers=self.headers,
            unknown_events=list(self._fold.unknown),
            complete=self._fold.done and not self._decoder.damaged and not self._has_hole,
        )
        if turn.conversation_id is None:
            turn.conversation_id = self.conversation_id
        if self._watch is not None and self._watch.policy:
            turn.policy = self._watch.policy
        return turn

    @property
    def _has_hole(self) -> bool:
        """Whether something stood between the events that was perhaps one."""
        return self._decoder.torn and self._whole is None

    @property
    def _after(self) -> str:
        """What to do after a failure: whether the turn was applied is not known."""
        return self._call.advice if self._call.advice is not None else AFTER

    def _begin_reading(self) -> None:
        """Refuse a second reader, who would send the turn once more or take pieces out of the first one's events.

        Raises:
            ConfigurationError: Another thread or task reads, and has not released `_at_work` yet.
        """
        if not self._at_work.acquire(blocking=False):
            raise ConfigurationError(_SHARED)

    # from bytes to events --------------------------------------------------------------------------------------

    def _begin(self, opened: Opened) -> None:
        self._opened = opened
        self._record = RequestRecord(self._call.method, self._call.path)
        self.headers = headers_of(opened.response)
        self._last_event = time.monotonic()

    def _take_chunk(self, chunk: bytes) -> None:
        """Decode the next bytes.

        Raises:
            TimeoutExceededError: Only comments, or parts of an event, have come for too long, or parts of a whole reply
                for as long as a call may take.
        """
        events = self._decoder.feed(chunk)
        now = time.monotonic()
        if events:
            self._last_event = now
            self._pending.extend(events)
            return
        if not self._has_begun and self._decoder.is_document:  # a whole reply, which has as long as that of a call
            if now - self._asked > self._transport.seconds_of(self._call):
                raise self._add_facts(self._transport.make_expired_error(self._call))
        elif now - self._last_event > self._transport.clients.stream_event_timeout:
            seconds = self._transport.clients.stream_event_timeout
            message = (
                f"No event of the stream came for {seconds:g} s, only bytes that keep it open (stream_event_timeout)."
            )
            raise TimeoutExceededError(message, hint=self._after, **self._collect_facts())

    def _take_end(self) -> None:
        """The bytes are at their end: take what is left, or find out what came instead of a stream."""
        self._pending.extend(self._decoder.flush())
        if not self._pending and not self._fold.done and self._decoder.stray:
            self._take_stray()

    def _take_stray(self) -> None:
        content = self._decoder.stray
        try:
            value = parse_json(content)
        except ValueError:
            value = None
            self._pending.extend(self._decoder.read_lines())
        if self._pending:
            return
        if is_turn_reply(value) and not is_failed_turn(value):
            self._whole = value
            self._pending.extend(reply_events(value))
            return
        content = hide_echo(content, self._call.body, self._tokens)
        if tells_failure(value):
            self._hide_sent(value)
            begun = self._fold.conversation_id is not None
            error = failure_in(value, self._reply(content), turn=True, begun=begun)
            error.hint = self._after if error.hint == AFTER else error.hint
            raise self._add_facts(error)
        text = content.decode("utf-8", "replace")
        began = self._has_begun
        kind, message = (StreamInterruptedError, _CUT_BY) if began else (ResponseFormatError, _NOT_A_STREAM)
        told = message.format(self._call.what, text[:_SHOWN])
        raise kind(
            told,
            hint=self._after,
            body=value if value is not None else text[:1_000_000],
            status_code=self._opened.response.status_code if self._opened is not None else None,
            **self._collect_facts(),
        )

    @property
    def _tokens(self) -> list[str]:
        return self._opened.tokens if self._opened is not None else []

    def _hide_sent(self, event: JsonDict) -> None:
        """Take out of an event that tells of a failure, and of those not known, what credentials they repeat."""
        for one in (event, *self._fold.unknown):
            hide_echo_in(one, self._call.body, self._tokens)

    def _reply(self, content: bytes = b"") -> Reply:
        response = self._opened.response if self._opened is not None else None
        status = response.status_code if response is not None else 0
        return Reply(status, self.headers, content, response, self._call.what, self.conversation_id)

    # from events to a turn -------------------------------------------------------------------------------------

    def _take_pending(self) -> JsonDict:
        """The next decoded event, after it was taken into the turn."""
        event = self._pending.popleft()
        self._has_begun = True
        self.records = records = self._fold.apply(event)
        frame = records[0] if records and type(records[0]) in FRAME else None
        if frame is not None:
            self._note_frame(frame)
        if self._guard is not None:
            self._guard.take(event)
        if isinstance(frame, StreamEnd):
            self._finish()
        return event

    def _note_frame(self, record: Record) -> None:
        """Note what is no part of the answer.

        Raises:
            TurnFailedError: It tells of a failure.
        """
        if isinstance(record, StreamStart) and self._watch is not None:
            self._watch.met(self.conversation_id, self._watch.policy)
        elif self._fold.error is not None:
            raise self._make_failed_error(self._fold.error)
        elif self._whole is None and self._fold.whole is not None:
            self._whole = self._fold.whole
            self._pending.extend(reply_events(self._whole))

    def _finish(self) -> None:
        """The closing event is there.

        Raises:
            StreamInterruptedError: An event before it can't be read, so that the answer may have a hole.
            TurnFailedError: Nothing was answered, but an event before it told of an error.
        """
        if self._fold.has_failed:
            raise self._make_failed_error(self._fold.suspect or {})
        if self._decoder.damaged:
            raise self._make_damaged_error()
        if self._has_hole:
            self._take_stray()
        if self._opened is not None and self._opened.hooks.traced:
            self._opened.hooks.end_span(self._opened.response, self.turn.raw)

    def _make_damaged_error(self) -> StreamInterruptedError:
        count = f"{self._decoder.damaged} of them unreadable"
        message = self._add_reason(_DAMAGED.format(count))
        return StreamInterruptedError(message, hint=self._after, **self._collect_facts())

    def _check_end(self) -> None:
        """The bytes are at their end and all events were taken.

        Raises:
            MistralAgentsError: The closing event is missing.
        """
        if self._fold.done:
            return
        if self._fold.suspect is not None:
            raise self._make_failed_error(self._fold.suspect)
        if self._decoder.damaged:
            raise self._make_damaged_error()
        raise StreamInterruptedError(self._add_reason(_CUT), hint=self._after, **self._collect_facts())

    def _add_reason(self, message: str) -> str:
        """A message about a stream without its end, with what the service had told that may be the reason."""
        fold = self._fold
        if fold.suspect is not None:
            self._hide_sent(fold.suspect)
            told = read_error_message(fold.suspect)[0]
            return f"{message} The service had told of an error: {told}" if told is not None else message
        if not fold.unknown:
            return message
        last = fold.unknown[-1]
        self._hide_sent(last)
        return _LAST.format(message, repr(last.get("data") if last.get("type") == UNREADABLE else last)[:_SHOWN])

    def _collect_facts(self) -> JsonDict:
        return {
            "conversation_id": self.conversation_id,
            "request_id": self.headers.get("mistral-correlation-id"),
            "turn": self.turn,
        }

    def _add_facts(self, error: MistralAgentsError) -> MistralAgentsError:
        for name, value in self._collect_facts().items():
            if value is not None:
                setattr(error, name, value)
        return error

    def _make_failed_error(self, event: JsonDict) -> MistralAgentsError:
        self._hide_sent(event)
        if self._fold.conversation_id is None and named_status(event) is not None:
            return self._add_facts(failure_in(event, self._reply()))  # refused before anything began
        told = {key: value for key, value in event.items() if key != "type"} or event
        if is_block(named_status(event), told):
            return make_block_error(f"{self._call.what} failed in the stream", **self._collect_facts(), body=told)
        message, code = read_error_message(told)
        return TurnFailedError(
            f"{self._call.what} failed in the stream: {message or 'no message from the service'}",
            code=code,
            body=event,
            hint=self._after,
            **self._collect_facts(),
        )

    def _take_found(self, turn: Turn) -> None:
        """Tell a turn that was applied and whose stream was lost before its first event, as its stream would have."""
        self._whole, self._opened, self._over = turn.raw, None, False
        self._decoder, self._fold = EventDecoder(self._transport.clients.max_body_bytes), EventFold()
        self._pending.extend(reply_events(turn.raw))

    def _type_failure(self, error: Exception) -> Exception:
        """The error to raise for what went wrong while reading."""
        if isinstance(error, (ToolBudgetExceededError, ResponseFormatError)):
            return self._add_facts(error)
        if isinstance(error, MistralAgentsError):
            return error
        if sdk_layer.is_unreadable(error):
            return self._add_facts(unreadable(self._call.what, error, self.conversation_id, hint=self._after))
        if sdk_layer.timed_out(error):
            seconds = self._transport.idle_seconds_of(self._call)
            message = f"The stream fell silent for {seconds:g} s (stream_idle_timeout, else timeout)."
            return TimeoutExceededError(self._add_reason(message), hint=self._after, **self._collect_facts())
        if sdk_layer.is_transport_error(error):
            text = f"The stream broke off: {mask_credentials(reason(error))}"
            return StreamInterruptedError(self._add_reason(text), hint=self._after, **self._collect_facts())
        return error

    def _note_end(self, error: BaseException | None) -> None:
        """Tell the log and the trace how it ended; after a good end the trace was told already."""
        if self._opened is None:
            return
        self._record.note_stream_end(error, self._fold.response, done=self._fold.done)
        if not self._opened.hooks.traced:
            return
        if isinstance(error, Exception):
            self._opened.hooks.fail_span(error, self._opened.response, self._fold.response())
        else:
            self._opened.hooks.leave_span(self.conversation_id)
