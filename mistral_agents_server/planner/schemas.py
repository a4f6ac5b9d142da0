"""Values for a JSON schema, taken from a text where it has them."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from typing import Any

from mistral_agents_server.planner import compute
from mistral_agents_server.planner.extract import words

Schema = dict[str, Any]

_DEPTH = 6
_MOST_VALUES = 1000
"""Values and parts of schemas that are looked at for one answer: schemas may contain themselves several times over."""
_MOST_ITEMS = 100
_MOST_CHARACTERS = 50_000
"""Of a longer text only the beginning is looked through, once for each property."""
_LONGEST_CALL = 4000
_QUOTED = re.compile(
    r"(?<!\w)(?:'([^'\n]{1,500})'|\"([^\"\n]{1,500})\"|“([^”\n]{1,500})”|«([^»\n]{1,500})»|`([^`\n]{1,500})`)(?!\w)"
)
_PROPER = re.compile(r"(?<![.!?:]\s)(?<!^)\b[A-Z][\w'-]*(?:,?\s+[A-Z][\w'-]*)*")
_WHOLE = frozenset({"query", "question", "prompt", "text", "input", "message", "content", "code", "request", "task"})
_FORMATS = {
    "date": (r"\d{4}-\d{2}-\d{2}", "2000-01-01"),
    "date-time": (r"\d{4}-\d{2}-\d{2}T[\d:.]+(?:Z|[+-]\d{2}:\d{2})?", "2000-01-01T00:00:00Z"),
    "time": (r"\d{2}:\d{2}(?::\d{2})?", "00:00:00"),
    "email": (r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+", "nobody@example.org"),
    "uri": (r"https?://[^\s)\]>\"']+", "https://example.org/"),
    "uuid": (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "00000000-0000-4000-8000-000000000000"),
}
_VALUE_END = re.compile(r"[,;]|\.\s")
_CLASS = re.compile(r"\\.|\[\^?\]?[^\]]*\]")
_CHOICE = re.compile(r"[*+?|]|\{\d*,\d*\}")
_NESTED = re.compile(r"\)[*+{]")
_BACK_REFERENCE = re.compile(r"\\[1-9]|\(\?P=|\(\?[<=!(]")
_MOST_PLACES = 1_000_000
_NOT = frozenset(words("no not false never without off"))


class _Text:
    """A text that gives each of its values once."""

    def __init__(self, text: str) -> None:
        self.text = text = text[:_MOST_CHARACTERS]
        self.words = frozenset(words(text))
        quoted = ["".join(groups) for groups in _QUOTED.findall(text)]
        self._quoted = iter(quoted)
        self._proper = iter([found.rstrip(",") for found in _PROPER.findall(text)])
        self._numbers = iter(compute.numbers(re.sub(r"[(),=]", " ", text)))

    def quoted(self) -> str | None:
        return next(self._quoted, None)

    def proper(self) -> str | None:
        return next(self._proper, None)

    def number(self) -> float | None:
        return next(self._numbers, None)

    def numbers(self) -> Iterator[float]:
        return self._numbers

    def labelled(self, name: str) -> str | None:
        """What stands behind the name: `city: Paris`, `city is Paris`, `city = Paris`."""
        spoken = re.sub(r"[_-]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).lower()
        label = rf"\b(?:{re.escape(spoken)}|{re.escape(name)})\b['\"]?\s*(?:is|are|=|:|named|called)\s*"
        found = re.search(label, self.text, re.IGNORECASE)
        if found is None:
            return None
        line = self.text[found.end() :].partition("\n")[0]
        return _VALUE_END.split(line, maxsplit=1)[0].strip().rstrip(",;.").strip("'\" ") or None

    def pattern(self, pattern: str) -> str | None:
        """The first stretch of the text that a pattern of JSON Schema fits, if looking for it can't take long."""
        longest = _searchable_characters(pattern)
        pieces = (self.text[:longest], *self.text.split()[:_MOST_ITEMS]) if longest else ()
        for piece in pieces:
            found = re.search(pattern.strip("^$"), piece[:longest])
            if found and found[0]:
                return found[0]
        return None


def _searchable_characters(pattern: str) -> int:
    """How long a text may be that a foreign pattern is looked for in; 0 for one that may take for ever, or is none.

    A backtracking search with `n` choices (repeats, options, alternatives) looks at about `length ** (n + 1)` places,
    and at exponentially many where repeats stand within repeats.
    """
    without_classes = _CLASS.sub("x", pattern)
    if _NESTED.search(without_classes) or _BACK_REFERENCE.search(pattern):
        return 0
    try:
        re.compile(pattern.strip("^$"))
    except (re.error, OverflowError, RecursionError):
        return 0
    choices = len(_CHOICE.findall(without_classes))
    return int(_MOST_PLACES ** (1 / (choices + 1)))


def fill(schema: Schema, text: str) -> Any:
    """A value that fits the schema, the same for the same text."""
    return _Filler(schema, text).value(schema, "", 0)


def arguments(function: Schema, text: str) -> Schema:
    """Arguments for a function: as the text writes the call, else one by one from the text."""
    schema = function.get("parameters") or {}
    written = _written(function["name"], list(schema.get("properties", {})), text)
    if written is not None and set(schema.get("required", [])) <= written.keys():
        return written
    filled = fill({"type": "object", **schema}, text)
    return {**filled, **(written or {})} if isinstance(filled, dict) else {}


def _written(name: str, properties: list[str], text: str) -> Schema | None:
    """The arguments of `name(1, b="x")` in the text."""
    found = re.search(rf"\b{re.escape(name)}\(([^()]*)\)", text)
    if found is None or len(found[1]) > _LONGEST_CALL:
        return None
    try:
        call = ast.parse(f"f({found[1]})", mode="eval").body
        assert isinstance(call, ast.Call)
        placed = dict(zip(properties, (ast.literal_eval(value) for value in call.args), strict=False))
        return placed | {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg in properties}
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # the last two: nested too deep for the parser
        return None


class _Filler:
    def __init__(self, root: Schema, text: str) -> None:
        self._root = root
        self._text = _Text(text)
        self._left = _MOST_VALUES

    def value(self, schema: Schema, name: str, depth: int) -> Any:
        """A value for one schema, whose property is called `name`."""
        schema = self._resolved(schema, depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._choice(schema["enum"])
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind in ("integer", "number"):
            return self._number(schema, kind)
        if kind == "boolean":
            return not _NOT & set(words(self._text.labelled(name) or ""))
        return None if kind == "null" else self._string(schema, name)

    def _resolved(self, schema: Schema, depth: int) -> Schema:
        for _ in range(_DEPTH):
            self._left -= 1
            if self._left < 0 or depth > 2 * _DEPTH:
                return {"type": "null"}
            if "$ref" in schema:
                target: Any = self._root
                for part in schema["$ref"].removeprefix("#/").split("/"):
                    target = target.get(part, {}) if isinstance(target, dict) else {}
                schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
            elif "allOf" in schema:
                merged: Schema = {}
                for part in schema["allOf"]:
                    merged |= self._resolved(part, depth + 1)
                schema = {**merged, **{key: value for key, value in schema.items() if key != "allOf"}}
            elif variants := schema.get("anyOf") or schema.get("oneOf"):
                first = next((v for v in variants if v.get("type") != "null"), variants[0])
                schema = {**{k: v for k, v in schema.items() if k not in ("anyOf", "oneOf")}, **first}
            else:
                break
        return schema

    def _choice(self, choices: list[Any]) -> Any:
        if not choices:
            return None
        fitting = (choice for choice in choices if set(words(str(choice))) <= self._text.words)
        return next(fitting, choices[0])

    def _object(self, schema: Schema, depth: int) -> Schema:
        if depth >= _DEPTH:
            return {}
        required = schema.get("required", [])
        filled = {}
        for name, part in schema.get("properties", {}).items():
            if name in required or self._text.labelled(name) is not None:
                filled[name] = self.value(part, name, depth + 1)
        return filled

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        if depth >= _DEPTH:
            return []
        items = self._resolved(schema.get("items") or {"type": "string"}, depth)
        low, high = min(schema.get("minItems", 0), _MOST_ITEMS), schema.get("maxItems", _MOST_ITEMS)
        found: list[Any] = []
        if _kind(items) in ("integer", "number"):
            found = [int(n) if _kind(items) == "integer" else n for n in self._text.numbers()]
        elif _kind(items) == "string" and "enum" not in items:
            listed = self._text.labelled(name)
            found = list(iter(self._text.quoted, None)) or ([listed] if listed else [])
        while len(found) < max(low, 0 if found else 1):
            found.append(self.value(items, name, depth + 1))
        return found[:high]

    def _number(self, schema: Schema, kind: str) -> float:
        found = self._text.number()
        value: float = found if found is not None else schema.get("default", 0)
        value = int(value) if kind == "integer" else value
        step = 1 if kind == "integer" else 1e-6
        value = max(value, _bound(schema, "minimum", step, -math.inf))
        return min(value, _bound(schema, "maximum", -step, math.inf))

    def _string(self, schema: Schema, name: str) -> str:
        if schema.get("format") in _FORMATS:
            pattern, otherwise = _FORMATS[schema["format"]]
            written = re.search(pattern, self._text.text)
            return written[0] if written is not None else otherwise
        if "pattern" in schema and (found := self._text.pattern(schema["pattern"])) is not None:
            return found
        value = self._text.labelled(name) or self._spoken(name)
        value = value if value else str(schema.get("default", name))
        return value[: schema["maxLength"]] if "maxLength" in schema else value

    def _spoken(self, name: str) -> str:
        whole = self._text.text.strip()
        if name.lower() in _WHOLE:
            return whole
        return self._text.quoted() or self._text.proper() or whole


def _bound(schema: Schema, name: str, step: float, otherwise: float) -> float:
    """The `minimum` or `maximum`, whether written inclusive or exclusive."""
    if name in schema:
        return schema[name]  # type: ignore[no-any-return]
    exclusive = schema.get(f"exclusive{name.capitalize()}")
    return otherwise if exclusive is None else exclusive + step


def _kind(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(kind)
