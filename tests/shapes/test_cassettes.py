"""Every reply in the cassettes has a recorded shape, and no damage to one loses what it says."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from mistral_agents import Turn
from mistral_agents._http.fold import EventFold
from mistral_agents._http.sse import EventDecoder
from mistral_agents.entries import replayable
from scripts.cassettes import FOLDER
from tests.shapes_check import differences, header_differences, sse_differences, unproven

NAMES = sorted(path.parent.name for path in FOLDER.glob("*/cassette.yaml"))
TURN = ("POST", re.compile(r"/v1/conversations(/[^/]+(/restart)?)?$"))
OBJECTS = (
    ("POST", r"/v1/agents$", "agent"),
    ("POST", r"/v1/libraries$", "library"),
    ("DELETE", r"/v1/libraries/[^/]+$", "library"),
    ("POST", r"/v1/libraries/[^/]+/documents$", "document"),
    ("GET", r"/v1/libraries/[^/]+/documents/[^/]+/status$", "document_status"),
    ("GET", r"/v1/conversations/[^/]+$", "conversation"),
    ("POST", r"/v1/files$", "file"),
)


def interactions(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load((FOLDER / name / "cassette.yaml").read_text())["interactions"])


def path_of(found: dict[str, Any]) -> str:
    return re.sub(r"^https://[^/]+|\?.*$|#.*$", "", found["request"]["uri"])


def body_of(found: dict[str, Any]) -> bytes:
    value = found["response"]["body"]["string"]
    return value if isinstance(value, bytes) else value.encode()


def is_turn(found: dict[str, Any]) -> bool:
    return found["request"]["method"] == TURN[0] and TURN[1].match(path_of(found)) is not None


def kind_of(found: dict[str, Any]) -> str | None:
    for method, pattern, name in OBJECTS:
        if found["request"]["method"] == method and re.match(pattern, path_of(found)):
            return name
    return None


def turn_differences(found: dict[str, Any]) -> list[str]:
    headers = {name.lower(): values[0] for name, values in found["response"]["headers"].items()}
    stream = headers["content-type"].startswith("text/event-stream")
    if stream:
        return sse_differences(body_of(found)) + header_differences(headers, stream=True)
    reply = json.loads(body_of(found))
    shape = "function_call" if unproven(reply) == {"function.call"} and len(reply["outputs"]) == 1 else "turn"
    if shape == "function_call":
        # Printed in 2025 with null usage fields that today's replies leave out.
        reply["usage"] = {"connector_tokens": None, "connectors": None, **reply["usage"]}
    connectors = list(reply["usage"].get("connectors") or [])
    return differences(shape, reply) + header_differences(headers, stream=False, connectors=connectors)


@pytest.mark.parametrize("name", NAMES)
def test_replies_have_recorded_shapes(name):
    for found in interactions(name):
        status = found["response"]["status"]["code"]
        if status >= 400:
            try:
                error = json.loads(body_of(found))
            except ValueError:
                continue  # a proxy's plain text
            assert differences("error", error) == [] or error["object"] == "error"
        elif is_turn(found):
            assert turn_differences(found) == []
        elif kind_of(found) is not None:
            assert differences(str(kind_of(found)), json.loads(body_of(found))) == []


def turns() -> Iterator[tuple[str, dict[str, Any]]]:
    """The turns in the cassettes, as a call gives them."""
    for name in NAMES:
        for place, found in enumerate(interactions(name)):
            if is_turn(found) and found["response"]["status"]["code"] == 200:
                data = body_of(found)
                if data.startswith(b"event:"):
                    fold = EventFold()
                    for event in EventDecoder().feed(data):
                        fold.apply(event)
                    yield f"{name}-{place}", fold.response()
                else:
                    yield f"{name}-{place}", json.loads(data)


TURNS = dict(turns())
DAMAGE = {"null": None, "number": 7, "list": [1], "object": {"type": "brand_new"}, "text": "brand new"}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def damaged(value: Any, path: tuple[Any, ...], how: str) -> Any:
    changed = copy.deepcopy(value)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    if how == "deleted":
        del inner[path[-1]]
    else:
        inner[path[-1]] = DAMAGE[how]
    return changed


@pytest.mark.parametrize("how", ["deleted", *DAMAGE])
@pytest.mark.parametrize("name", TURNS)
def test_no_damage_raises_or_loses_the_text(name, how):
    reply = TURNS[name]
    whole = Turn.from_response(reply).text
    for path in places(reply):
        turn = Turn.from_response(damaged(reply, path, how))
        for part in ("citations", "code_runs", "files", "searches", "reasoning", "function_calls", "timings", "usage"):
            getattr(turn, part)
        replayable(turn.entries)
        touched = path[0] == "outputs" and (len(path) <= 2 or "content" in path or path[-1] == "type")
        assert touched or turn.text == whole, path
