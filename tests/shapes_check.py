"""Hold replies (of the stand-in, of cassettes) against the skeletons in `tests/shapes/`.

Every function returns what differs, empty where nothing does. Kinds that were never recorded are not judged here;
`unproven` names them.
"""

from __future__ import annotations

import json
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
