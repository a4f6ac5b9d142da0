"""Branches of conversations: drawn as a tree, compared side by side.

The service keeps no word of where a conversation came from; `Conversation` writes it into the metadata, and this module
reads it there.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from itertools import zip_longest
from typing import Any, Protocol

from mistral_agents._conversation.lineage import FROM_ENTRY, parent_of
from mistral_agents._display.shown import Shown
from mistral_agents._printable import show_text
from mistral_agents.history import Event, History

_WIDTH = 100  # characters of a comparison
_ROW, _INDENT, _CHAR = 28, 24, 7.5  # pixels of a drawing


@dataclass(slots=True)
class Branch(Shown):
    """A conversation in a tree.

    Attributes:
        conversation_id: Its id.
        name: Its name, else what its metadata calls `title`, else nothing.
        from_entry_id: The entry of its parent that it goes on from; None for a root.
        missing: Whether it was deleted: its branches still name it.
        children: What was branched from it, oldest first.
    """

    conversation_id: str
    name: str = ""
    from_entry_id: str | None = None
    missing: bool = False
    children: list[Branch] = field(default_factory=list)

    @property
    def label(self) -> str:
        """One line of a drawing."""
        name = f" {self.name}" if self.name else ""
        origin = f" (from {self.from_entry_id})" if self.from_entry_id else ""
        text = f"{self.conversation_id}{name}{origin}{' (deleted)' if self.missing else ''}"
        return show_text(text, one_line=True)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Branch]]:
        """This branch and all below it, each with its depth."""
        waiting = [(depth, self)]
        while waiting:
            place, branch = waiting.pop()
            yield place, branch
            waiting.extend((place + 1, child) for child in reversed(branch.children))

    def __str__(self) -> str:
        return "\n".join(self._write_lines())

    def _write_lines(self) -> Iterator[str]:
        waiting = [("", "", self)]
        while waiting:
            first, rest, branch = waiting.pop()
            yield first + branch.label
            for child in reversed(branch.children):
                last = child is branch.children[-1]
                waiting.append((rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "), child))

    def to_svg(self) -> str:
        """The tree as an SVG drawing."""
        rows = list(self.walk())
        places = {id(branch): (depth * _INDENT + 12, row * _ROW + 20) for row, (depth, branch) in enumerate(rows)}
        parts = [_draw_joint(places[id(branch)], places[id(child)]) for _, branch in rows for child in branch.children]
        parts += [_draw_dot(*places[id(branch)], branch) for _, branch in rows]
        width = max(places[id(branch)][0] + 20 + _CHAR * len(branch.label) for _, branch in rows)
        height = len(rows) * _ROW + 12
        size = f'width="{width:.0f}" height="{height}" viewBox="0 0 {width:.0f} {height}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="monospace" font-size="12">'
        return "\n".join([head, *parts, "</svg>"])


def _draw_joint(parent: tuple[int, int], child: tuple[int, int]) -> str:
    path = f"M{parent[0]} {parent[1] + 5} V{child[1]} H{child[0] - 5}"
    return f'<path d="{path}" fill="none" stroke="#888"/>'


def _draw_dot(x: int, y: int, branch: Branch) -> str:
    fill = "#fff" if branch.missing else "#4477aa"
    circle = f'<circle cx="{x}" cy="{y}" r="5" fill="{fill}" stroke="#4477aa"/>'
    return f'{circle}<text x="{x + 12}" y="{y + 4}" fill="currentColor">{escape(branch.label)}</text>'


def family(conversation_id: str, infos: Iterable[Mapping[str, Any]]) -> Branch:
    """The tree that a conversation belongs to.

    Args:
        conversation_id: A conversation of it.
        infos: What the service lists: the conversations among which parents and branches are looked for.
    """
    known = {str(info["id"]): info for info in infos if "id" in info}
    below: dict[str, list[str]] = {}
    for found, info in sorted(known.items(), key=lambda row: str(row[1].get("created_at"))):
        parent = parent_of(info)
        if parent is not None:
            below.setdefault(parent, []).append(found)
    root, seen = conversation_id, {conversation_id}
    while (above := parent_of(known.get(root, {}))) is not None and above not in seen:
        root = above
        seen.add(above)
    return _grow(root, known, below)


def _grow(root: str, known: Mapping[str, Mapping[str, Any]], below: Mapping[str, list[str]]) -> Branch:
    top = _make_branch(root, known)
    waiting, seen = [top], {root}
    for branch in waiting:
        fresh = [child for child in below.get(branch.conversation_id, []) if child not in seen]
        seen.update(fresh)
        branch.children = [_make_branch(child, known) for child in fresh]
        waiting.extend(branch.children)
    return top


def _make_branch(found: str, known: Mapping[str, Mapping[str, Any]]) -> Branch:
    info = known.get(found)
    metadata = info.get("metadata") if info is not None else None
    told = metadata if isinstance(metadata, Mapping) else {}
    name = info.get("name") if info is not None else None
    return Branch(found, str(name or told.get("title") or ""), told.get(FROM_ENTRY), info is None)


@dataclass(frozen=True, slots=True)
class Comparison(Shown):
    """Two conversations side by side; its text form is a table of two columns.

    Attributes:
        left_id: The one conversation.
        right_id: The other.
        shared: The events both begin with.
        left: What only the one goes on with.
        right: What only the other goes on with.
    """

    left_id: str
    right_id: str
    shared: list[Event]
    left: list[Event]
    right: list[Event]

    def __str__(self) -> str:
        half = (_WIDTH - 3) // 2
        lines = [f"shared: {len(self.shared)} entries"]
        lines += [f"  {_shorten_event(event, _WIDTH - 2)}" for event in self.shared]
        lines += _write_columns([self.left_id], [self.right_id], half)
        lines.append("─" * half + "─┼─" + "─" * half)
        for one, other in zip_longest(self.left, self.right):
            lines += _write_columns(_wrap_event(one, half), _wrap_event(other, half), half)
        return "\n".join(lines)


def _label_event(event: Event) -> str:
    return show_text(f"{event.role or event.kind}: {event.text}")


def _shorten_event(event: Event, width: int) -> str:
    return textwrap.shorten(_label_event(event), width, placeholder=" …")


def _wrap_event(event: Event | None, width: int) -> list[str]:
    return textwrap.wrap(_label_event(event), width) if event is not None else []


def _write_columns(left: list[str], right: list[str], width: int) -> list[str]:
    rows = zip_longest(left, right, fillvalue="")
    return [f"{textwrap.shorten(one, width) if len(one) > width else one:<{width}} │ {other}" for one, other in rows]


def _say_the_same(one: Event, other: Event) -> bool:
    return (one.kind, one.role, one.text) == (other.kind, other.role, other.text)


def compare_histories(left: History, right: History) -> Comparison:
    """Two histories side by side. Entries are equal when they say the same: whether branches keep ids is not told."""
    one, other = left.events, right.events
    pairs = enumerate(zip(one, other, strict=False))
    shared = next(
        (place for place, (mine, theirs) in pairs if not _say_the_same(mine, theirs)), min(len(one), len(other))
    )
    return Comparison(left.conversation_id, right.conversation_id, one[:shared], one[shared:], other[shared:])


class Readable(Protocol):
    """Whatever has a history; `mistral_agents.Conversation` does."""

    def history(self) -> History:
        """Every entry so far."""

    async def ahistory(self) -> History:
        """As `history`, without blocking."""


def compare(left: Readable, right: Readable) -> Comparison:
    """Read two conversations and put them side by side.

    Raises:
        MistralAgentsError: A history can't be read.
    """
    return compare_histories(left.history(), right.history())


async def acompare(left: Readable, right: Readable) -> Comparison:
    """As `compare`, without blocking."""
    return compare_histories(await left.ahistory(), await right.ahistory())
