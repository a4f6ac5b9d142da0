"""One tree of errors: each says what happened, where, and what to do next.

Every error carries the HTTP status, the server's code, the request id, the conversation id (once one is known), the
body and a hint. The wings add their framework's own kinds to these classes by inheritance, so retry middleware works.
"""

from __future__ import annotations

import json
import math
from typing import Any, Protocol, TypedDict

from typing_extensions import Unpack

from mistral_agents._http.quotas import WINDOW_SECONDS, Quota, quotas_from_headers
from mistral_agents._printable import show_text

__all__ = [
    "AuthenticationError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailedError",
    "ContextWindowExceededError",
    "DivergenceError",
    "GuardrailBlockedError",
    "InvalidRequestError",
    "LateConfirmationError",
    "MissingFieldError",
    "MistralAgentsError",
    "NotFoundError",
    "PendingCallsError",
    "PermissionDeniedError",
    "RateLimitedError",
    "RedirectRefusedError",
    "ResponseFormatError",
    "ServerFailureError",
    "StreamInterruptedError",
    "TimeoutExceededError",
    "ToolBudgetExceededError",
    "TurnFailedError",
    "UnknownModelError",
    "UnknownOutcomeError",
    "UnknownToolNameError",
]


class PartialTurn(Protocol):
    """What an error needs of the turn it interrupted; `mistral_agents.Turn` is one."""

    conversation_id: str | None
    entries: Any
    complete: bool

    @property
    def text(self) -> str:
        """The text that had arrived."""


class Facts(TypedDict, total=False):
    """What an error may carry beside its message; see `MistralAgentsError`."""

    status_code: int | None
    code: int | str | None
    request_id: str | None
    conversation_id: str | None
    body: object
    response: object
    hint: str | None
    turn: PartialTurn | None


class MistralAgentsError(Exception):
    """Base of every error of this package.

    Args:
        message: What happened, in one sentence.
        status_code: HTTP status, where there was a reply.
        code: The server's own code (an int on conversations, a string on chat endpoints).
        request_id: The `mistral-correlation-id` header, for support.
        conversation_id: The conversation concerned, once an id is known.
        body: The reply's body: parsed JSON where it was JSON, else text.
        response: The HTTP response object, for tools such as LangSmith that read it.
        hint: What to do next.
        turn: What had arrived of the answer before the failure.

    Attributes:
        found: The whole turn, where only a part of its stream arrived and the history of its conversation holds it.
            It was paid for and is not to be sent again; it has no usage, which the history does not keep.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        code: int | str | None = None,
        request_id: str | None = None,
        conversation_id: str | None = None,
        body: object = None,
        response: object = None,
        hint: str | None = None,
        turn: PartialTurn | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.code = code
        self.request_id = request_id
        self.conversation_id = conversation_id
        self.body: Any = body
        self.response: Any = response
        self.hint = hint
        self.turn = turn
        self.found: PartialTurn | None = None

    retryable = False
    """Whether the same call may be sent again without risk of applying it twice."""

    def __str__(self) -> str:
        facts = {
            "status": self.status_code,
            "code": self.code,
            "conversation": self.conversation_id,
            "request": self.request_id,
        }
        shown = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
        text = f"{self.message} ({shown})" if shown else self.message
        return show_text(f"{text}\n{self.hint}" if self.hint else text)

    def __reduce__(self) -> tuple[Any, ...]:
        state = {name: value for name, value in self.__dict__.items() if name != "response"}
        return (_rebuild, (type(self), self.message, state))


def _rebuild(kind: type[MistralAgentsError], message: str, state: dict[str, Any]) -> MistralAgentsError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.response = None
    error.__dict__.update(state)
    return error


class ConfigurationError(MistralAgentsError, ValueError):
    """An argument or setting is wrong; nothing was sent."""


class DivergenceError(ConfigurationError):
    """The messages are no continuation of the stored conversation, and `on_divergence` forbids to begin another."""


class LateConfirmationError(DivergenceError):
    """A decision about a call that is no longer at the end of its conversation; the service takes none there."""


class ConnectionFailedError(MistralAgentsError):
    """The request surely did not arrive: no connection could be made."""

    retryable = True


class TimeoutExceededError(MistralAgentsError):
    """No answer within the time allowed (seconds); or a 408, with which a proxy says the same."""


class StreamInterruptedError(MistralAgentsError):
    """A stream ended before `conversation.response.done`; `.turn` holds what had arrived."""


class TurnFailedError(MistralAgentsError):
    """The service reported an error inside the stream (`conversation.response.error`)."""


class UnknownOutcomeError(MistralAgentsError):
    """The turn may or may not have been applied; it was not sent again.

    `start` and `append` are not idempotent. Read the conversation's history before sending the same input once more.
    """


class ResponseFormatError(MistralAgentsError):
    """The reply can't be read: no JSON object, damaged, nested too deeply or too large; `.body` keeps its text."""


class MissingFieldError(ResponseFormatError, KeyError):
    """The service sent a record without a field that is read; `.body` is the record."""


class RedirectRefusedError(MistralAgentsError):
    """The address answered with a redirect, which is not followed: the text and the key stay where they were sent.

    `.location` is the new address, without credentials and query; None where the reply named none.
    """

    def __init__(self, message: str, *, location: str | None = None, **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.location = location


class InvalidRequestError(MistralAgentsError):
    """The service refused the request (400, 409 aside, or 422)."""


class UnknownToolNameError(ConfigurationError, InvalidRequestError):
    """`requires_confirmation` names a function that its tool does not have; nothing was sent.

    It is an `InvalidRequestError` too, which is what the service's own refusal (422) of such a name is.
    """


class PendingCallsError(InvalidRequestError):
    """The conversation waits for results of function calls, or for confirmations; `.call_ids` names them."""

    def __init__(self, message: str, *, call_ids: list[str] | None = None, **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.call_ids = call_ids if call_ids is not None else []


class ContextWindowExceededError(InvalidRequestError):
    """The conversation no longer fits the model's context window."""


class AuthenticationError(MistralAgentsError):
    """The key is missing or wrong (401)."""


class PermissionDeniedError(MistralAgentsError):
    """The key may not do this (403)."""


class GuardrailBlockedError(PermissionDeniedError):
    """A guardrail blocked the input or the answer (a 403 with `guardrails`, or code 3201; also inside a stream).

    `.violations` has the decisions that led to it, by category: `threshold`, `score`, `violated`. It is empty where the
    check itself failed and the rule has `block_on_error` (code 3201).
    """

    def __init__(self, message: str, *, violations: dict[str, Any] | None = None, **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.violations = violations if violations is not None else {}


class NotFoundError(MistralAgentsError):
    """There is no such thing, or this key can't see it (404).

    The conversations API shows a conversation only to the creator of the API key, and never one started with
    `store=False` (code 3000).
    """


class UnknownModelError(InvalidRequestError, NotFoundError):
    """There is no model of that name, it was retired, or this key may not use it (400 or 404)."""


class ConflictError(MistralAgentsError):
    """The thing is not in a state that allows this (409)."""


class RateLimitedError(MistralAgentsError):
    """A quota is used up (429).

    `.retry_after` says how many seconds to wait, where the service told; `.exhausted` names the quotas that its
    headers show as used up, and `.wait_at_most` is the length of the longest of their windows in seconds.
    """

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        exhausted: list[Quota] | None = None,
        **facts: Unpack[Facts],
    ) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after
        self.exhausted = exhausted if exhausted is not None else []

    @property
    def wait_at_most(self) -> float | None:
        """Seconds after which the call surely goes through again; None where the service told nothing."""
        windows = [WINDOW_SECONDS[quota.window] for quota in self.exhausted]
        return self.retry_after if self.retry_after is not None else max(windows, default=None)


class ServerFailureError(MistralAgentsError):
    """The service failed (5xx); `.retry_after` says how many seconds to wait, where the service told."""

    def __init__(self, message: str, *, retry_after: float | None = None, **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after


class ToolBudgetExceededError(MistralAgentsError):
    """A budget set by the caller (tool runs, seconds, tokens) ran out; `.turn` holds the partial result."""


_BY_STATUS: dict[int, type[MistralAgentsError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: TimeoutExceededError,
    409: ConflictError,
    429: RateLimitedError,
}
_HINTS: dict[type[MistralAgentsError], str] = {
    AuthenticationError: "Check api_key= or MISTRAL_API_KEY.",
    NotFoundError: "The id may be wrong, or belong to what another API key sees.",
    UnknownModelError: "Ask client.models.list() which models this key can use.",
    GuardrailBlockedError: (
        "Nothing is wrong with the settings of the account: change the input, or the thresholds in guardrails=."
    ),
    RateLimitedError: "Wait and send the same call again; nothing was applied.",
}
_NO_CONVERSATION = (
    "The id may be wrong, belong to another API key (conversations are visible only to the key's creator), or name "
    "a conversation started with store=False."
)
_CHECK_FAILED = "3201"
"""The service's code where a guardrail could not be applied and `block_on_error` blocks then."""
_PENDING_MARKS = (
    "function calls and responses",
    "function results are still missing",
    "open function calls",
    "Unexpected tool call id",
)
_MODEL_MARKS = ("invalid model:", "is currently not in use")
"""What the service says of a model that it does not know, or no longer: on chat endpoints, and on conversations."""
_CONTEXT_MARKS = ("context length", "context window", "maximum context", "too many tokens", "too large for model")


REASONS = ("message", "detail", "error", "error_description", "errors", "title")
"""Where an error body says why; gateways use several of them at once."""


def read_error_message(body: object) -> tuple[str | None, int | str | None]:
    """The human message and the server's code in an error body, whichever of its four shapes it has."""
    if isinstance(body, str):
        return (body.strip()[:500] or None), None
    if not isinstance(body, dict):
        return (_flatten(body) if isinstance(body, list) else None), None
    code = body.get("code")
    if isinstance(body.get("error"), dict) and not isinstance(code, (int, str)):
        code = body["error"].get("code")
    told = filter(None, (_flatten(body.get(key)) for key in REASONS))
    if found := ": ".join(dict.fromkeys(told)):
        return found, code if isinstance(code, (int, str)) else None
    return _shorten_json(body), code if isinstance(code, (int, str)) else None


def _flatten(value: object) -> str | None:
    if isinstance(value, str):
        return value or None
    if isinstance(value, dict):
        inner = next((value[key] for key in ("detail", "message") if value.get(key)), None)
        return (inner if isinstance(inner, str) else _flatten(inner)) or (_shorten_json(value) if value else None)
    if isinstance(value, list):
        return "; ".join(filter(None, (_write_detail(item) for item in value))) or None
    return None


def _shorten_json(value: object) -> str:
    try:
        return json.dumps(value)[:500]
    except (ValueError, RecursionError):
        return repr(type(value))


def _write_detail(item: object) -> str | None:
    if not isinstance(item, dict):
        return str(item)
    loc = item.get("loc")
    place = ".".join(str(part) for part in loc if part != "body") if isinstance(loc, list) else ""
    text = item.get("msg") or item.get("type") or _shorten_json(item)
    return f"{place}: {text}" if place else str(text)


_LONGEST_MESSAGE = 2000
"""Characters of the service's message that an error repeats."""


def error_for_status(
    status: int,
    body: object,
    *,
    what: str,
    headers: dict[str, str],
    response: object = None,
    conversation_id: str | None = None,
) -> MistralAgentsError:
    """The error for a reply with a 4xx or 5xx status.

    Decided by status and, within 400 and 422, by the message; but for the block of a guardrail never by `type` or
    `code`, which the service uses for unlike things (`invalid_request_error` on a 503; 3051 for disabled image input).
    """
    message, code = read_error_message(body)
    kind = GuardrailBlockedError if is_block(status, body) else _find_kind(status, message or "")
    facts: dict[str, Any] = {
        "status_code": status,
        "code": code,
        "request_id": headers.get("mistral-correlation-id"),
        "conversation_id": conversation_id,
        "body": body,
        "response": response,
        "hint": _NO_CONVERSATION if kind is NotFoundError and conversation_id is not None else _HINTS.get(kind),
    }
    if kind in (RateLimitedError, ServerFailureError):
        facts["retry_after"] = read_retry_after(headers.get("retry-after"))
    if kind is RateLimitedError:
        facts["exhausted"] = [quota for quota in quotas_from_headers(headers) if quota.remaining == 0]
    if kind is GuardrailBlockedError:
        return make_block_error(f"{what} failed", **facts)
    return kind(f"{what} failed: {_cut_message(message) or 'no message from the service'}", **facts)


def is_block(status: int | None, body: object) -> bool:
    """Whether a failure is a guardrail's: it tells violations, has code 3201, or is a 403 with `guardrails`.

    Args:
        status: The status of the reply, or that which the body names; None where there is none.
        body: The reply, or an event of a stream.
    """
    named = isinstance(body, dict) and "guardrails" in body
    return (
        str(read_error_message(body)[1]) == _CHECK_FAILED or (status == 403 and named) or bool(_find_violations(body))
    )


def make_block_error(what: str, *, body: Any, **facts: Any) -> GuardrailBlockedError:
    """The error of a block; `what` says what failed."""
    violations, message = _find_violations(body), read_error_message(body)[0]
    text = f"{what}: {_cut_message(message) or 'no message from the service'}"
    named = f"{text}: {', '.join(violations)}" if violations else text
    known = {"code": read_error_message(body)[1], "hint": _HINTS[GuardrailBlockedError], **facts}
    return GuardrailBlockedError(named, violations=violations, body=body, **known)


def _cut_message(message: str | None) -> str | None:
    """A message that can be read and logged; `.body` keeps all of it."""
    if message is None or len(message) <= _LONGEST_MESSAGE:
        return message
    return f"{message[:_LONGEST_MESSAGE]}… ({len(message)} characters, see .body)"


def _find_violations(body: object) -> dict[str, Any]:
    """The decisions of guardrails that were violated, by category."""
    found = body.get("guardrails") if isinstance(body, dict) else None
    results = found.get("results") if isinstance(found, dict) else None
    violations: dict[str, Any] = {}
    for result in results.values() if isinstance(results, dict) else ():
        decisions = result.get("decisions") if isinstance(result, dict) else None
        for category, decision in decisions.items() if isinstance(decisions, dict) else ():
            if isinstance(decision, dict) and decision.get("violated") is True:
                violations[str(category)] = decision
    return violations


def _find_kind(status: int, message: str) -> type[MistralAgentsError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return ServerFailureError
    if any(mark in message for mark in _PENDING_MARKS):
        return PendingCallsError
    lowered = message.lower()
    if any(mark in lowered for mark in _CONTEXT_MARKS):
        return ContextWindowExceededError
    if any(mark in lowered for mark in _MODEL_MARKS):
        return UnknownModelError
    return InvalidRequestError


def read_retry_after(value: str | None) -> float | None:
    """Seconds of a `Retry-After` header, in any of its forms (RFC 9110, 10.2.3); None where it tells no usable number.

    A date without a zone is taken as GMT, which is what HTTP dates are.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = _count_seconds_until(value)
    return seconds if 0.0 <= seconds < math.inf else None


def _count_seconds_until(http_date: str) -> float:
    from datetime import datetime, timezone
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(http_date)
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
        return max(0.0, (aware - datetime.now(timezone.utc)).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        return math.nan
