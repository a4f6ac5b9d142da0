"""The numbers and bullets that Word shows before the items of lists and before numbered headings."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from mistral_agents_server.readers.xml import attribute_of, child_of, children_of, is_on, text_value

_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"),
    (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip


@dataclass(slots=True, frozen=True)
class _Level:
    """One level of a list: how its numbers are written (`decimal`, `bullet` …), `%1.%2`, and the first of them."""

    form: str
    text: str
    start: int
    is_legal: bool

    @classmethod
    def read(cls, level: Element) -> _Level:
        """Read `w:lvl`."""
        start = text_value(child_of(level, "start")) or "1"
        return cls(
            text_value(child_of(level, "numFmt")) or "decimal",
            text_value(child_of(level, "lvlText")) or "",
            int(start) if start.isdecimal() else 1,
            is_on(child_of(level, "isLgl")),
        )


class ListNumbers:
    """Counts the items of a document's lists.

    Args:
        root: `numbering.xml`; None for a document without lists.
    """

    def __init__(self, root: Element | None) -> None:
        abstract = {attribute_of(one, "abstractNumId"): one for one in children_of(root, "abstractNum")}
        self._lists: dict[str, tuple[str, dict[int, _Level]]] = {}
        self._counts: dict[str, dict[int, int]] = {}
        for one in children_of(root, "num"):
            kind = text_value(child_of(one, "abstractNumId")) or ""
            levels = _levels(abstract.get(kind))
            overridden = False
            for override in children_of(one, "lvlOverride"):
                overridden = self._override(override, levels) or overridden
            number = attribute_of(one, "numId") or ""
            self._lists[number] = (f"{kind}/{number}" if overridden else kind, levels)

    @staticmethod
    def _override(override: Element, levels: dict[int, _Level]) -> bool:
        """Apply a list's own level; True where its numbers begin anew."""
        index = int(attribute_of(override, "ilvl") or 0)
        own, start = child_of(override, "lvl"), text_value(child_of(override, "startOverride"))
        if own is not None:
            levels[index] = _Level.read(own)
        if start is not None and start.isdecimal() and index in levels:
            levels[index] = _Level(levels[index].form, levels[index].text, int(start), levels[index].is_legal)
        return start is not None

    def next(self, properties: Element | None) -> str:
        """What stands before the next item, with a space; empty for a paragraph that is none.

        Args:
            properties: the `w:numPr` of the paragraph or of its style.
        """
        kind, levels = self._lists.get(text_value(child_of(properties, "numId")) or "", ("", {}))
        index_text = text_value(child_of(properties, "ilvl")) or "0"
        level = levels.get(int(index_text)) if index_text.isdecimal() else None
        if level is None or level.form == "none":
            return ""
        index = int(index_text)
        counts = self._counts.setdefault(kind, {})
        counts[index] = counts.get(index, level.start - 1) + 1
        for deeper in [one for one in counts if one > index]:
            del counts[deeper]
        if level.form == "bullet":
            return "- "
        text = re.sub(
            r"%([1-9])", lambda found: _written(counts, levels, int(found[1]) - 1, level.is_legal), level.text
        )
        return f"{text} " if text.strip() else ""


def _levels(abstract: Element | None) -> dict[int, _Level]:
    return {int(attribute_of(one, "ilvl") or 0): _Level.read(one) for one in children_of(abstract, "lvl")}


def _written(counts: dict[int, int], levels: dict[int, _Level], index: int, is_legal: bool) -> str:
    level = levels.get(index)
    number = counts.get(index, level.start if level is not None else 1)
    return written_number(level.form if level is not None and not is_legal else "", number)


def written_number(form: str, number: int) -> str:
    """A number in one of the forms of lists (`lowerLetter`, `upperRoman` …); as figures in any other."""
    return _FORMS.get(form, str)(number)


def _letters(number: int) -> str:
    """A … z, aa, bb …, as Word counts."""
    return chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1) if 0 < number <= 780 else str(number)


def _roman(number: int) -> str:
    if not 0 < number < 4000:
        return str(number)
    written = ""
    for value, letters in _ROMAN:
        written += letters * (number // value)
        number %= value
    return written


_FORMS: dict[str, Callable[[int], str]] = {
    "lowerLetter": _letters,
    "upperLetter": lambda number: _letters(number).upper(),
    "lowerRoman": _roman,
    "upperRoman": lambda number: _roman(number).upper(),
    "decimalZero": lambda number: f"{number:02}",
}
