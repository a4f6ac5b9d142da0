"""Skeletons of JSON: which keys, of which types, always there or not. No value and no text of a sample survives.

A skeleton is a JSON Schema. What a sample cannot prove stays open: a field seen only as null may be anything, a list
seen only empty may hold anything. Names that tell kinds apart (`type`, `object`, `role`) are kept, since they are
structure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

Schema = dict[str, Any]
NAMES = ("type", "object", "role")
"""Fields whose value is structure."""
FORMATS = {
    "time": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$",
    "uuid": r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
}
PREFIXED = re.compile(r"^([a-z_]+)_[0-9a-f]{32}$")
FAILED = "^Error executing tool"
_SHORT_ID = re.compile(r"^[A-Za-z0-9]{8}$")
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


class Skeletons:
    """Derives skeletons of a kind of evidence.

    Args:
        closed: Whether a field that no sample has is refused. True for recordings of today's service, False for
            printed samples of older ones.
    """

    def __init__(self, *, closed: bool) -> None:
        self._closed = closed

    def of(self, samples: Sequence[Any], key: str = "") -> Schema:
        """The skeleton of samples that stand at one place, below the field `key`."""
        lists = [item for sample in samples if isinstance(sample, list) for item in sample]
        objects = [sample for sample in samples if isinstance(sample, dict)]
        texts = [sample for sample in samples if isinstance(sample, str)]
        types = sorted({_type(sample) for sample in samples})
        if types == ["null"] or not types:
            return {}
        schema: Schema = {"type": types[0] if len(types) == 1 else types}
        if "array" in types:
            schema["items"] = self._objects(lists) if lists and _all_typed(lists) else self.of(lists)
        if objects:
            schema.update(self._object(objects, key))
        if texts:
            schema.update(self._text(texts, key))
        return schema

    def _objects(self, samples: list[Any]) -> Schema:
        """Objects of several kinds, told apart by their `type`."""
        kinds = sorted({sample["type"] for sample in samples})
        cases = [self._case("type", kind, [s for s in samples if s["type"] == kind]) for kind in kinds]
        return {"type": "object", "required": ["type"], "allOf": cases}

    def _case(self, name: str, value: str, samples: list[Any]) -> Schema:
        condition = {"properties": {name: {"const": value}}, "required": [name]}
        return {"if": condition, "then": self.of(samples)}

    def _object(self, samples: list[Any], key: str) -> Schema:
        fields = sorted({field for sample in samples for field in sample})
        if not fields:
            return {}
        if key == "connectors" or all(
            _SHORT_ID.match(field) and field not in ("metadata", "snippets") for field in fields
        ):
            values = [value for sample in samples for value in sample.values()]
            if key == "connectors" or all(isinstance(value, dict) for value in values):
                return {"additionalProperties": self.of(values)}
        schema: Schema = {
            "properties": {field: self.of(_values(samples, field), field) for field in fields if field != "info"},
            "required": [field for field in fields if all(field in sample for sample in samples)],
        }
        if "info" in fields:
            schema["properties"]["info"] = {"type": "object"}
            schema["allOf"] = self._infos([sample for sample in samples if "info" in sample])
        if self._closed:
            schema["additionalProperties"] = False
        return schema

    def _infos(self, samples: list[Any]) -> list[Schema]:
        """What each tool reports, by its inner function; a failed run reports a text."""
        cases = []
        for function in sorted({sample["function"] for sample in samples if "function" in sample}):
            infos = [sample["info"] for sample in samples if sample.get("function") == function]
            good = [info for info in infos if not _failed(info)]
            info: Schema = {
                "if": {"properties": {"result": {"type": "string", "pattern": FAILED}}, "required": ["result"]},
                "then": {"type": "object", "properties": {"result": {"type": "string"}}},
            }
            if good:
                info["else"] = self.of(good)
            condition = {"properties": {"function": {"const": function}}, "required": ["function", "info"]}
            cases.append({"if": condition, "then": {"properties": {"info": info}}})
        return cases

    def _text(self, samples: list[str], key: str) -> Schema:
        if key in NAMES:
            names = sorted(set(samples))
            return {"const": names[0]} if len(names) == 1 else {"enum": names}
        for pattern in FORMATS.values():
            if all(re.match(pattern, sample) for sample in samples):
                return {"pattern": pattern}
        prefixes = {found.group(1) if (found := PREFIXED.match(sample)) else None for sample in samples}
        if len(prefixes) == 1 and None not in prefixes:
            return {"pattern": f"^{prefixes.pop()}_[0-9a-f]{{32}}$"}
        parsed = [_parsed(sample) for sample in samples]
        if all(isinstance(value, dict) for value in parsed) and key in ("result", "text"):
            return {"contentMediaType": "application/json", "contentSchema": self.of(parsed)}
        return {}


def order_of(streams: Sequence[Sequence[Schema]]) -> Schema:
    """The order of events: how streams begin and end, and what one entry's events are, in order."""
    lives: dict[str, set[str]] = {}
    for events in streams:
        for life in lives_of(events):
            lives.setdefault(life.split(".")[0], set()).add(life)
    return {
        "first": sorted({events[0]["type"] for events in streams}),
        "last": sorted({events[-1]["type"] for events in streams}),
        "entries": sorted(life for found in lives.values() for life in found),
    }


def lives_of(events: Sequence[Schema]) -> list[str]:
    """The events of each entry, in order, with repeats written as `+`."""
    steps: dict[str, list[str]] = {}
    for event in events:
        if "id" in event:
            steps.setdefault(event["id"], []).append(event["type"])
    return [" ".join(_collapsed(found)) for found in steps.values()]


def _collapsed(names: list[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        if found and found[-1] in (name, name + "+"):
            found[-1] = name + "+"
        else:
            found.append(name)
    return [name if name.endswith("+") or not name.endswith(".delta") else name + "+" for name in found]


def _type(sample: Any) -> str:
    if isinstance(sample, dict):
        return "object"
    return "array" if isinstance(sample, list) else _TYPES[type(sample)]


def _all_typed(samples: list[Any]) -> bool:
    return all(isinstance(sample, dict) and isinstance(sample.get("type"), str) for sample in samples)


def _values(samples: list[Any], field: str) -> list[Any]:
    return [sample[field] for sample in samples if field in sample]


def _failed(info: Any) -> bool:
    result = info.get("result")
    return isinstance(result, str) and re.match(FAILED, result) is not None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
