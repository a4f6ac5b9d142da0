"""Hold replies against the shapes of recorded ones (`scripts/shapes.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scripts.shapes import hits, json_type, kind_of, order

_DATA = json.loads((Path(__file__).parent / "shapes.json").read_text())
SHAPES: dict[str, Any] = _DATA["shapes"]
STREAMS: list[list[str]] = _DATA["streams"]
HEADERS: list[str] = _DATA["headers"]
AGENT_KEYS = {"agent_id": ("model",)}
"""No agent's entry was recorded; the official description has `agent_id` there, in the place of `model`."""


def problems(name: str, value: Any) -> list[str]:
    """What differs from the recorded shape; empty when nothing does, or when the kind was never recorded."""
    shape = SHAPES.get(name)
    if shape is None:
        return []
    found = _differences(name, shape, value)
    if name == "conversation.response":
        for hit_name, hit in hits(value["outputs"]):
            found += problems(hit_name, hit)
    return found


def stream_problems(events: list[dict[str, Any]]) -> list[str]:
    """What differs in the events of a stream: their shapes, and how a stream begins and ends."""
    found = [problem for event in events for problem in problems(event["type"], event)]
    names = order([event["type"] for event in events])
    if not names or names[0] != STREAMS[0][0] or names[-1] != STREAMS[0][-1]:
        found.append(f"order: a stream runs from {STREAMS[0][0]} to {STREAMS[0][-1]}, not {names}")
    return found


def _differences(place: str, shape: dict[str, Any], value: Any) -> list[str]:
    if shape.get("kind") and kind_of(value) is not None:
        return problems(value["type"], value)
    kind = json_type(value)
    if shape["types"] == ["null"]:
        return []
    if kind not in shape["types"] and kind != "null":
        return [f"{place}: {kind}, recorded {'|'.join(shape['types'])}"]
    if isinstance(value, dict) and "keys" in shape:
        return _key_differences(place, shape["keys"], value)
    if isinstance(value, dict) and "values" in shape:
        return [text for key, inner in value.items() for text in _differences(f"{place}.{key}", shape["values"], inner)]
    if isinstance(value, list) and "items" in shape:
        return [text for inner in value for text in _differences(f"{place}[]", shape["items"], inner)]
    return []


def _key_differences(place: str, keys: dict[str, Any], value: dict[str, Any]) -> list[str]:
    excused = {left_out for key in AGENT_KEYS if key in value for left_out in AGENT_KEYS[key]}
    found = [
        f"{place}.{key}: missing"
        for key, shape in keys.items()
        if not shape["optional"] and key not in value and key not in excused
    ]
    for key, inner in value.items():
        if key in keys:
            found += _differences(f"{place}.{key}", keys[key], inner)
        elif key not in AGENT_KEYS:
            found.append(f"{place}.{key}: never recorded")
    return found
