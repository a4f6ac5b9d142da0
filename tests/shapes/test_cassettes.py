"""Every reply in the cassettes has a recorded shape, and no damage to one loses what it says."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from mistral_agents import Turn
from mistral_agents._http.fold import EventFold
from mistral_agents._http.sse import EventDecoder
from mistral_agents.entries import replayable
from scripts.cassettes import FOLDER
from tests.shapes_check import body_of, differences_told, is_turn, story_differences

NAMES = sorted(path.parent.name for path in FOLDER.glob("*/cassette.yaml"))


def interactions(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load((FOLDER / name / "cassette.yaml").read_text())["interactions"])


@pytest.mark.parametrize("name", NAMES)
def test_replies_have_recorded_shapes_but_for_what_its_recording_told(name):
    told = differences_told((FOLDER / name / "README.md").read_text())
    assert set(story_differences(interactions(name))) <= set(told)
    assert not told or "live service" in (FOLDER / name / "README.md").read_text()


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
