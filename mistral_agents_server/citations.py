"""Marks such as `[[c9GdG1mO]]` in an answer's text become `tool_reference` chunks where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mistral_agents_server.messages import result_text
from mistral_agents_server.strict_json import read_json

Wire = dict[str, Any]

_MARK = re.compile(r"\[\[([A-Za-z0-9]{1,16})\]\]")
_OPEN = re.compile(r"\[(\[[A-Za-z0-9]{0,16}\]?)?$")


def marks_of(info: Wire, references: Sequence[Wire]) -> dict[str, Wire]:
    """The references of one run by the keys under which the result's text lists them."""
    by_url = {reference.get("url"): reference for reference in references}
    try:
        listed = read_json(result_text(info))
    except ValueError:
        return {}
    if not isinstance(listed, dict):
        return {}
    return {
        key: by_url[value["url"]]
        for key, value in listed.items()
        if isinstance(value, dict) and value.get("url") in by_url
    }


class CitationSplitter:
    """Splits a text that arrives in pieces into text and references. An unknown mark stays text."""

    def __init__(self, marks: Mapping[str, Wire]) -> None:
        self._marks = marks
        self._held = ""

    def feed(self, text: str) -> Iterator[str | Wire]:
        """Give what is sure so far; the start of a mark is held back until its end is there."""
        if not self._marks:
            yield text
            return
        text = self._held + text
        start = _OPEN.search(text)
        self._held = text[start.start() :] if start else ""
        yield from self._split(text[: start.start()] if start else text)

    def flush(self) -> Iterator[str | Wire]:
        """Give what was held back."""
        if self._held:
            yield self._held
        self._held = ""

    def _split(self, text: str) -> Iterator[str | Wire]:
        last = 0
        for mark in _MARK.finditer(text):
            if mark[1] not in self._marks:
                continue
            if mark.start() > last:
                yield text[last : mark.start()]
            yield self._marks[mark[1]]
            last = mark.end()
        if last < len(text):
            yield text[last:]
