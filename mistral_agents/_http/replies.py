"""What a reply's bytes hold: JSON that may be damaged or too deep, and failures that are told inside a 200."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mistral_agents._border.text import parse_json
from mistral_agents._http.failures import (
    failed_output,
    is_failed_turn,
    is_failure,
    is_turn_reply,
    named_status,
    tells_failure,
)
from mistral_agents._http.fold import EventFold
from mistral_agents._http.sse import EventDecoder
from mistral_agents._json import JsonDict
from mistral_agents.errors import (
    MistralAgentsError,
    ResponseFormatError,
    ServerFailureError,
    TurnFailedError,
    error_for_status,
    is_block,
    make_block_error,
    read_error_message,
)

_SHOWN = 200
_KEPT = 1_000_000
_UNREAD: Any = object()
AFTER = "The turn may have been applied; read the conversation's history before sending it again."


def holds_answer(content: bytes) -> bool:
    """Whether some bytes are a whole conversation response; JSON says itself where it ends."""
    try:
        value = parse_json(content)
    except ValueError:
        return False
    return is_turn_reply(value) and not is_failed_turn(value)


def body_or_text(content: bytes) -> Any:
    """A body for an error: parsed JSON where it is JSON, else its text."""
    text = content.decode("utf-8", "replace")
    try:
        return parse_json(text)
    except ValueError:
        return text[:_KEPT]


def headers_of(response: Any) -> dict[str, str]:
    """A response's headers with lower-cased names."""
    headers = response.headers
    encoding = headers.encoding  # asked for once: the library finds it anew for each name and value
    found: dict[str, str] = {}
    for raw_name, raw_value in headers.raw:
        name, value = raw_name.decode(encoding).lower(), raw_value.decode(encoding)
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


@dataclass(slots=True)
class Reply:
    """A reply read to its end.

    Attributes:
        status: HTTP status.
        headers: Lower-cased names.
        content: The bytes.
        response: The HTTP library's object.
        what: What was asked for, for error messages.
        conversation_id: The conversation concerned, for errors.
        hide: Takes out of the response what credentials it repeats, where it is the report of a failure.
    """

    status: int
    headers: dict[str, str]
    content: bytes
    response: Any = None
    what: str = "The request"
    conversation_id: str | None = None
    hide: Callable[[], None] | None = None
    _value: Any = _UNREAD
    _answer: JsonDict | None = None

    def json(self) -> Any:
        """The parsed JSON.

        Raises:
            ResponseFormatError: It is no JSON; the error's `body` keeps the text.
            MistralAgentsError: It tells a failure.
        """
        if self._value is _UNREAD:
            try:
                self._value = self._read_json()
            except MistralAgentsError:
                if self.hide is None:
                    raise
        if self._value is _UNREAD and self.hide is not None:  # once more, as a report
            self.hide()
            self.hide, self.content = None, self.response.content
            self._value = self._read_json()
        return self._value

    def _read_json(self) -> Any:
        value = self._parse()
        if is_failure(value):
            raise failure_in(value, self)
        return value

    def answer(self) -> JsonDict:
        """The JSON of a conversation response; a whole stream of events, which some gateways send instead, is read too.

        Raises:
            ResponseFormatError: It is something else; the error's `body` keeps it.
            MistralAgentsError: It tells a failure.
        """
        if self._answer is not None:
            return self._answer
        value = self._value if self._value is not _UNREAD else self._parse(turn=True)
        if not is_turn_reply(value) or is_failed_turn(value):
            if tells_failure(value):
                raise failure_in(value, self, turn=True)
            message = f"{self.what}: the service sent no conversation response but {_quote_content(self.content)}."
            raise ResponseFormatError(message, hint=AFTER, **{**self.facts(), "body": value})
        answer: JsonDict = value
        self._value = self._answer = answer
        return answer

    def _parse(self, *, turn: bool = False) -> Any:
        try:
            return parse_json(self.content)
        except ValueError as error:
            value: Any = self._read_events() if turn else None
            if value is not None:
                return value
            told = f"answered {self.status} with something that is no JSON: {_quote_content(self.content)}"
            hint = AFTER if turn else None
            raise ResponseFormatError(f"{self.what}: the service {told}", hint=hint, **self.facts()) from error

    def _read_events(self) -> JsonDict | None:
        """The reply that events add up to; None where they are none, or cut."""
        fold = _fold_events(self.content)
        if self.conversation_id is None:
            self.conversation_id = fold.conversation_id
        if fold.whole is not None and fold.error is None:
            return fold.whole
        failure = fold.error if fold.error is not None else fold.suspect
        if failure is not None and (fold.error is failure or fold.has_failed or not fold.done):
            raise failure_in(failure, self, turn=True, begun=fold.conversation_id is not None)
        return fold.response() if fold.done else None

    def facts(self) -> JsonDict:
        """What an error about this reply carries."""
        return {
            "status_code": self.status,
            "request_id": self.headers.get("mistral-correlation-id"),
            "conversation_id": self.conversation_id,
            "body": self.content[:_KEPT].decode("utf-8", "replace"),
            "response": self.response,
        }


def _fold_events(content: bytes) -> EventFold:
    """What a body of server-sent events, or of a line of JSON for each event, adds up to."""
    decoder, fold = EventDecoder(), EventFold()
    for event in (*decoder.feed(content), *decoder.flush()) or decoder.read_lines():
        fold.apply(event)
    fold.done = fold.done and not decoder.damaged and not decoder.torn
    return fold


def reply_of(response: Any, what: str = "The request", conversation_id: str | None = None) -> Reply:
    """A response that was read to its end."""
    return Reply(response.status_code, headers_of(response), response.content, response, what, conversation_id)


def _quote_content(content: bytes) -> str:
    text = content[: _SHOWN + 1].decode("utf-8", "replace")
    return repr(text if len(content) <= _SHOWN else text[:_SHOWN] + "…") if content else "nothing"


def failure_in(body: JsonDict, reply: Reply, *, turn: bool = False, begun: bool = False) -> MistralAgentsError:
    """The error for a failure that is told in a reply with a good status.

    Its kind is that of the HTTP status which the body names, where it names one and nothing had begun: a turn that was
    under way is not refused, and must not be sent again as one that was.
    """
    status, found = named_status(body), body.get("conversation_id")
    if isinstance(found, str) and reply.conversation_id is None:
        reply.conversation_id = found
    if status is not None and not begun:
        return error_for_status(
            status,
            body,
            what=reply.what,
            headers=reply.headers,
            response=reply.response,
            conversation_id=reply.conversation_id,
        )
    told = failed_output(body) or body
    if is_block(status, told):
        what = f"{reply.what} failed, although the status is {reply.status}"
        return make_block_error(what, **{**reply.facts(), "body": told})
    message, code = read_error_message(told)
    kind = TurnFailedError if turn else ServerFailureError
    text = f"{reply.what} failed, although the status is {reply.status}: {message or 'no message from the service'}"
    return kind(text, code=code, hint=AFTER if turn else None, **{**reply.facts(), "body": body})


def unreadable(what: str, error: Exception, conversation_id: str | None, **facts: Any) -> ResponseFormatError:
    """The error for a reply that arrived, but can't be unpacked."""
    message = f"{what}: the service answered, but its reply can't be read: {str(error) or type(error).__name__}"
    return ResponseFormatError(message, conversation_id=conversation_id, **facts)
