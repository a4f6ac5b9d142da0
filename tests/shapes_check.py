"""Hold replies (of the stand-in, of cassettes) against the skeletons in `tests/shapes/`.

Every function returns what differs, empty where nothing does. Kinds that were never recorded are not judged here;
`unproven` names them.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, validators

from mistral_agents._http.sse import EventDecoder
from scripts.skeleton import lives_of

SHAPES = Path(__file__).parent / "shapes"
UNSETTLED = (
    # No agent's turn was recorded; the official description has `agent_id` there, beside or in the place of `model`.
    "'model' is a required property",
    "('agent_id' was unexpected)",
    # Only an agent's conversation was printed, and only an agent with instructions was recorded.
    "'agent_id' is a required property",
    "instructions: None is not of type 'string'",
)


@cache
def shape(name: str) -> dict[str, Any]:
    """A committed skeleton."""
    return json.loads((SHAPES / f"{name}.json").read_text("utf-8"))


def _content_schema(validator: Any, schema: Any, instance: Any, _whole: Any) -> Any:
    """JSON inside a text (JSON Schema leaves this keyword to applications)."""
    if isinstance(instance, str):
        try:
            value = json.loads(instance)
        except ValueError:
            yield from validator.descend(instance, {"type": "object"})
            return
        yield from validator.descend(value, schema)


_Checker = validators.extend(Draft202012Validator, {"contentSchema": _content_schema})


def differences(name: str, value: Any) -> list[str]:
    """What differs in a reply."""
    found = []
    for error in _Checker(shape(name)).iter_errors(value):
        place = ".".join(str(step) for step in error.absolute_path)
        found.append(f"{name}: {place or 'reply'}: {error.message[:300]}")
    return [text for text in found if not any(known in text for known in UNSETTLED)]


def stream_differences(events: list[dict[str, Any]]) -> list[str]:
    """What differs in a stream: each event, how it begins and ends, and the order of each entry's events."""
    found, order = differences("stream", [_with_text(event) for event in events]), shape("stream")["order"]
    found += [text for event in events for text in _chunk_differences(event.get("content"))]
    if not events or events[0]["type"] not in order["first"] or events[-1]["type"] not in order["last"]:
        found.append(f"stream: begins or ends with the wrong event: {[event['type'] for event in events]}")
    proven = {life.split()[0] for life in order["entries"]}
    found += [
        f"stream: an entry's events are {life!r}; recorded: {order['entries']}"
        for life in lives_of(events)
        if life.split()[0] in proven and life not in order["entries"]
    ]
    return found


def _with_text(event: dict[str, Any]) -> dict[str, Any]:
    """An event without its chunk: no recorded stream has a reference or file, the official description allows them."""
    return {**event, "content": ""} if isinstance(event.get("content"), dict) else event


def _chunk_differences(chunk: Any) -> list[str]:
    """What differs in a chunk from the same chunk of a call."""
    if not isinstance(chunk, dict):
        return []
    (said,) = [
        case["then"]
        for case in shape("turn")["properties"]["outputs"]["items"]["allOf"]
        if case["if"]["properties"]["type"]["const"] == "message.output"
    ]
    return [
        f"stream: chunk: {error.message[:300]}"
        for error in _Checker(said["properties"]["content"]["items"]).iter_errors(chunk)
    ]


def sse_differences(data: bytes) -> list[str]:
    """As `stream_differences`, for the bytes of a stream; each event's name must repeat its `type`."""
    decoder = EventDecoder()
    events = [*decoder.feed(data), *decoder.flush()]
    names = [line[6:].strip().decode() for line in data.splitlines() if line.startswith(b"event:")]
    wrong = [] if names == [event["type"] for event in events] else [f"stream: event names {names} are not the types"]
    return wrong + stream_differences(events)


def header_differences(headers: dict[str, str], *, stream: bool, connectors: list[str] | None = None) -> list[str]:
    """What differs in a turn's headers: what is always there, and the quotas of the connectors that ran."""
    known = shape("headers")
    lowered = {name.lower() for name in headers}
    found = [f"headers: {name} is missing" for name in known["always"] if name not in lowered]
    quotas = {name for name in lowered if name.startswith("x-ratelimit-")}
    if stream:
        return found + [f"headers: {name} in a stream" for name in sorted(quotas - set(known["quotas_of_streams"]))]
    for name in ["tokens", *[one.replace("_", "-") for one in connectors or []]]:
        for window in known["quotas_of_calls"].get(name, []):
            wanted = {f"x-ratelimit-{side}-{name}-{window}" for side in ("limit", "remaining")}
            found += [f"headers: {missing} is missing" for missing in sorted(wanted - quotas)]
    return found


def unproven(value: Any) -> set[str]:
    """The kinds of entries or events that no recording proves, in a turn or a list of events."""
    kinds = {item.get("type") for item in (value if isinstance(value, list) else value["outputs"])}
    items = shape("stream" if isinstance(value, list) else "turn")
    cases = items["items"] if isinstance(value, list) else items["properties"]["outputs"]["items"]
    return kinds - {case["if"]["properties"]["type"]["const"] for case in cases["allOf"]}


# cassettes -------------------------------------------------------------------------------------------------------

_TURN = re.compile(r"/v1/conversations(/[^/]+(/restart)?)?$")
_OBJECTS = (
    ("POST", r"/v1/agents$", "agent"),
    ("POST", r"/v1/libraries$", "library"),
    ("DELETE", r"/v1/libraries/[^/]+$", "library"),
    ("POST", r"/v1/libraries/[^/]+/documents$", "document"),
    ("GET", r"/v1/libraries/[^/]+/documents/[^/]+/status$", "document_status"),
    ("GET", r"/v1/conversations/[^/]+$", "conversation"),
    ("POST", r"/v1/files$", "file"),
)
_TOLD = "It differs from the shapes recorded before:"


def _path_of(found: dict[str, Any]) -> str:
    return re.sub(r"^https://[^/]+|\?.*$|#.*$", "", found["request"]["uri"])


def body_of(found: dict[str, Any]) -> bytes:
    """The body of a recorded reply."""
    value = found["response"]["body"]["string"]
    return value if isinstance(value, bytes) else value.encode()


def is_turn(found: dict[str, Any]) -> bool:
    """Whether a recorded exchange is a turn."""
    return found["request"]["method"] == "POST" and _TURN.match(_path_of(found)) is not None


def _kind_of(found: dict[str, Any]) -> str | None:
    for method, pattern, name in _OBJECTS:
        if found["request"]["method"] == method and re.match(pattern, _path_of(found)):
            return name
    return None


def _turn_differences(found: dict[str, Any]) -> list[str]:
    headers = {name.lower(): values[0] for name, values in found["response"]["headers"].items()}
    stream = headers["content-type"].startswith("text/event-stream")
    if stream:
        return sse_differences(body_of(found)) + header_differences(headers, stream=True)
    reply = json.loads(body_of(found))
    kind = "function_call" if unproven(reply) == {"function.call"} and len(reply["outputs"]) == 1 else "turn"
    if kind == "function_call":
        # Printed in 2025 with null usage fields that today's replies leave out.
        reply["usage"] = {"connector_tokens": None, "connectors": None, **reply["usage"]}
    connectors = list(reply["usage"].get("connectors") or [])
    return differences(kind, reply) + header_differences(headers, stream=False, connectors=connectors)


def _differences_of(found: dict[str, Any]) -> list[str]:
    if found["response"]["status"]["code"] >= 400:
        try:
            error = json.loads(body_of(found))
        except ValueError:
            return []  # a proxy's plain text
        return [] if isinstance(error, dict) and error.get("object") == "error" else differences("error", error)
    if is_turn(found):
        return _turn_differences(found)
    kind = _kind_of(found)
    return differences(kind, json.loads(body_of(found))) if kind is not None else []


def story_differences(interactions: list[dict[str, Any]]) -> list[str]:
    """What differs in the replies of a cassette, each difference once."""
    found = (" ".join(text.split()) for one in interactions for text in _differences_of(one))
    return list(dict.fromkeys(found))


def tell_differences(found: list[str]) -> str:
    """The lines of a cassette's README about them."""
    return f"\n{_TOLD}\n\n" + "".join(f"- {text}\n" for text in found) if found else ""


def differences_told(readme: str) -> list[str]:
    """The differences that a cassette's README tells."""
    return [line[2:] for line in readme.partition(_TOLD)[2].splitlines() if line.startswith("- ")]
