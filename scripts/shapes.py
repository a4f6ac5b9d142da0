"""Derives `tests/shapes/` from recorded replies of the service: `python -m scripts.shapes FOLDER`.

FOLDER holds the recordings, which are not part of this project. The skeletons keep keys, types, optionality and the
order of events; the stand-in and the cassettes are checked against them (`tests/shapes_check.py`).
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mistral_agents._http.sse import EventDecoder
from scripts.skeleton import Schema, Skeletons, order_of

OUT = Path(__file__).parent.parent / "tests" / "shapes"
RECORDED = Skeletons(closed=True)
PRINTED = Skeletons(closed=False)
SINGLE = {
    "library": (RECORDED, ["library_create_response.json", "library_delete_response.json"]),
    "document": (RECORDED, ["library_document_upload_response.json"]),
    "document_status": (RECORDED, ["library_document_status_running.json", "library_document_status_done.json"]),
    "file": (RECORDED, ["files_upload_response.json"]),
    "conversation": (PRINTED, ["docs_conversation_get.json"]),
    "history": (PRINTED, ["docs_conversation_history.json"]),
    "messages": (PRINTED, ["docs_conversation_messages.json"]),
    "function_call": (PRINTED, ["docs_function_call_response.json"]),
}
_QUOTA = re.compile(r"^x-ratelimit-(?:limit|remaining)-(.+)-(minute|day)$")


def replies(folder: Path) -> Iterator[tuple[str, Any]]:
    """The recorded JSON replies: file name and body. Exchanges give one for each response."""
    for path in sorted(folder.glob("*.json")):
        if path.name.endswith(("_request.json", "errors.json", "headers.json")) or "_camelcase" in path.name:
            continue
        data = json.loads(path.read_text("utf-8"))
        for step in data if isinstance(data, list) else [data]:
            is_exchange = set(step) == {"request", "response"}
            body = step["response"].get("body") if is_exchange else step
            if isinstance(body, dict):
                yield path.name, body


def streams(folder: Path) -> Iterator[tuple[str, list[Schema]]]:
    """The recorded streams: file name and events."""
    for path in sorted(folder.glob("*.sse")):
        decoder = EventDecoder()
        yield path.name, [*decoder.feed(path.read_bytes()), *decoder.flush()]


def is_turn(body: Any) -> bool:
    """Whether a reply is a conversation turn."""
    return body.get("object") == "conversation.response"


def shape(name: str, schema: Schema, evidence: list[str], *, recorded: bool) -> Schema:
    """A skeleton with what it was derived from."""
    grade = "recorded replies" if recorded else "samples printed in the documentation of 2025; fields may be added"
    return {"$comment": f"{name}: derived from {grade}", "evidence": evidence, **schema}


def turn_shape(folder: Path) -> Schema:
    """The skeleton of a turn, from today's recordings."""
    found = [(name, body) for name, body in replies(folder) if is_turn(body) and not name.startswith("docs_")]
    return shape("turn", RECORDED.of([body for _, body in found]), sorted({name for name, _ in found}), recorded=True)


def stream_shape(folder: Path) -> Schema:
    """The skeleton of a stream's events, and their order."""
    found = list(streams(folder))
    events = [events for _, events in found]
    schema = RECORDED.of(events and [[event for one in events for event in one]])
    schema["order"] = order_of(events)
    return shape("stream", schema, [name for name, _ in found], recorded=True)


def agent_shape(folder: Path) -> Schema:
    """The skeleton of an agent."""
    found = [body for name, body in replies(folder) if name == "agent_create_2026_exchange.json"]
    return shape("agent", RECORDED.of(found), ["agent_create_2026_exchange.json"], recorded=True)


def error_shape(folder: Path) -> Schema:
    """The skeletons of error bodies: one for each set of keys."""
    items = json.loads((folder / "errors.json").read_text("utf-8"))["errors"]
    bodies = [
        item.get("body", item.get("body_partial"))
        for item in items
        if "chat" not in item["endpoint"] or item["status"] == 401
    ]
    kinds: dict[tuple[str, ...], list[Any]] = {}
    for body in filter(None, bodies):
        kinds.setdefault(tuple(sorted(body)), []).append(body)
    return shape("error", {"anyOf": [PRINTED.of(found) for found in kinds.values()]}, ["errors.json"], recorded=True)


def header_shape(folder: Path) -> Schema:
    """Names of the quota headers of calls: what is counted, and per which window."""
    recorded = json.loads((folder / "response_headers.json").read_text("utf-8"))
    calls = {name: headers for name, headers in recorded.items() if name.startswith("conversation_")}
    quotas: dict[str, set[str]] = {}
    for headers in calls.values():
        for found in filter(None, map(_QUOTA.match, headers)):
            quotas.setdefault(found.group(1), set()).add(found.group(2))
    stream = calls["conversation_stream_2026_09_07"]
    return {
        "$comment": "headers: derived from recorded replies",
        "evidence": ["response_headers.json"],
        "always": sorted(name for name in stream if name.startswith(("content", "mistral"))),
        "quotas_of_calls": {name: sorted(windows) for name, windows in sorted(quotas.items())},
        "quotas_of_streams": sorted(name for name in stream if "ratelimit" in name),
    }


def derive(folder: Path) -> dict[str, Schema]:
    """Every skeleton by its name."""
    shapes = {
        "turn": turn_shape(folder),
        "stream": stream_shape(folder),
        "agent": agent_shape(folder),
        "error": error_shape(folder),
        "headers": header_shape(folder),
    }
    for name, (skeletons, files) in SINGLE.items():
        bodies = [json.loads((folder / file).read_text("utf-8")) for file in files]
        shapes[name] = shape(name, skeletons.of(bodies), files, recorded=skeletons is RECORDED)
    return shapes


def written(schema: Schema) -> str:
    """The text of a skeleton's file."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the skeletons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the recorded replies")
    folder = parser.parse_args().folder
    OUT.mkdir(exist_ok=True)
    for name, schema in derive(folder).items():
        (OUT / f"{name}.json").write_text(written(schema), "utf-8")
        print(OUT / f"{name}.json")


if __name__ == "__main__":
    main()
