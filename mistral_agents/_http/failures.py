"""Which JSON tells of a failure, whatever the status says: a body, an output of a reply, or an event of a stream."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mistral_agents._json import JsonDict
from mistral_agents.errors import REASONS

UNREADABLE = "unreadable"
"""The type of an event whose data is no JSON; it has the event's name and the data as text."""
_ERROR_KEYS = frozenset(
    {
        "object",
        "type",
        "error",
        "detail",
        "message",
        "code",
        "status",
        "status_code",
        "statusCode",
        "param",
        "request_id",
        "raw_status_code",
    }
)
_STATUS_KEYS = ("status_code", "statusCode", "status", "raw_status_code", "code")
_FAILED_NAME = re.compile(r"(?:.*[._-])?(?:error|exception|failed|failure)", re.IGNORECASE)


def is_turn_reply(value: object) -> bool:
    """Whether some JSON is a conversation response: it has outputs, or says what it is."""
    if not isinstance(value, dict):
        return False
    return "outputs" in value or value.get("object") == "conversation.response" or bool(value.get("conversation_id"))


def is_whole_answer(event: JsonDict) -> bool:
    """Whether an event of a stream is a whole conversation response: some gateways send it as one event."""
    kind = event.get("type")
    return isinstance(event.get("outputs"), list) and (not kind or event.get("object") == "conversation.response")


def is_error_object(value: Mapping[str, object]) -> bool:
    """Whether an object calls itself an error, as the service's error bodies do."""
    kind = value.get("object")
    return isinstance(kind, str) and kind.lower() == "error"


def is_failure(value: object) -> bool:
    """Whether a body is nothing but the report of a failure, whatever its status says.

    A message alone is none: that is what the service says where it did something that leaves no record.
    """
    if not isinstance(value, dict):
        return False
    if is_error_object(value) or failed_output(value) is not None:
        return True
    told = value.get("error") or value.get("detail") or (value.get("message") and named_status(value) is not None)
    return bool(told) and value.keys() <= _ERROR_KEYS


def is_failed_turn(value: JsonDict) -> bool:
    """Whether a body that was to be a turn tells why there is none: a reason, and nothing that was answered."""
    return is_failure(value) or (not value.get("outputs") and names_reason(value))


def names_reason(value: JsonDict) -> bool:
    """Whether an object has a field for the reason of a failure, and something in it."""
    return any(value.get(key) for key in REASONS)


def tells_failure(value: object) -> bool:
    """Whether some JSON that came in a turn's place says why there is no turn, or with which status."""
    return isinstance(value, dict) and (names_reason(value) or is_failure(value) or named_status(value) is not None)


def failed_output(value: JsonDict) -> JsonDict | None:
    """The first output of a reply all of whose outputs are reports of a failure."""
    outputs = value.get("outputs")
    if not isinstance(outputs, list) or not outputs:
        return None
    return outputs[0] if all(isinstance(one, dict) and _is_report(one) for one in outputs) else None


def _is_report(value: JsonDict) -> bool:
    return is_error_object(value) or _is_error_name(value.get("type"))


def _is_error_name(name: object) -> bool:
    return isinstance(name, str) and name.lower() in ("error", "conversation.response.error")


def find_report(event: JsonDict) -> JsonDict | None:
    """What an event of a kind not known says of a failure that is certain; None where it says none."""
    kind = event.get("type")
    if "output_index" in event:  # an entry of the answer
        return None
    if kind == UNREADABLE:
        return {"message": event.get("data")} if _is_error_name(event.get("event")) else None
    return event if _is_report(event) or (not kind and is_failure(event)) else None


def may_report(event: JsonDict) -> bool:
    """Whether an event of a kind not known may be the report of a failure, which the end of the stream decides."""
    kind = event.get("type")
    if "id" in event or "output_index" in event:
        return False
    if event.get("error") or event.get("detail"):
        return True
    if not kind:
        return names_reason(event) or isinstance(event.get("data"), (str, list))
    return isinstance(kind, str) and _FAILED_NAME.fullmatch(kind) is not None


def named_status(body: JsonDict) -> int | None:
    """The HTTP status of a failure that a body names, if it names one."""
    inner = body.get("error")
    for place in (body, inner if isinstance(inner, dict) else {}):
        for key in _STATUS_KEYS:
            value = place.get(key)
            number = (
                int(value)
                if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3
                else value
            )
            if isinstance(number, int) and not isinstance(number, bool) and 400 <= number <= 599:
                return number
    return None
