"""What can be drawn: a few kinds of blocks, of which every view is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Sign = Literal["+", "-", " ", "~"]
"""Of a line in a diff: what shall be, what is, what stays, and a heading."""


@dataclass(frozen=True, slots=True)
class Prose:
    """Markdown that somebody wrote."""

    text: str


@dataclass(frozen=True, slots=True)
class Words:
    """Plain text; `role` tells how it looks."""

    text: str
    role: Literal["note", "code", "output", "error"] = "note"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A text cut into pieces, each with whether it is marked."""

    pieces: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text below a head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Source:
    """One numbered source."""

    number: int
    title: str
    url: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Sources:
    """A list of sources."""

    rows: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """An image whose bytes are here; `media_type` is one of `PICTURES`."""

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Drawing:
    """An SVG that this package drew, with its text form."""

    svg: str
    text: str


@dataclass(frozen=True, slots=True)
class Diff:
    """Lines with signs."""

    lines: tuple[tuple[Sign, str], ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """Blocks below a title that opens and closes them."""

    title: str
    blocks: Sequence[Block]
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Bubble:
    """What one side said."""

    who: str
    side: Literal["left", "right", "middle"]
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Columns:
    """Lists of blocks side by side, each below its title."""

    columns: tuple[tuple[str, Sequence[Block]], ...]


Block = Prose | Words | Excerpt | Table | Sources | Picture | Drawing | Diff | Fold | Bubble | Columns


@dataclass(frozen=True, slots=True)
class View:
    """What is drawn of one object.

    Attributes:
        title: One line.
        blocks: What it is made of.
        plain: Its text, where neither HTML nor colours can be shown.
        other: Further forms by media type (`image/svg+xml`, `text/vnd.mermaid`, `image/png`).
    """

    title: str
    blocks: Sequence[Block]
    plain: str
    other: dict[str, str | bytes] = field(default_factory=dict)


PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Media types that a browser draws and that can hold no program."""
