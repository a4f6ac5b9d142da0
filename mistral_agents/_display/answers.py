"""Blocks of what frameworks hold: messages, their sources, passages that were found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mistral_agents._display.blocks import Block, Bubble, Source, Sources, Words
from mistral_agents._display.words import shorten


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage as a framework holds it.

    Attributes:
        text: Its text.
        metadata: What is known of it; `file_name` (or `source`) and `page_label` are shown.
        key: Its id, for one that tells no name.
        score: How well it fits, if that is a number.
    """

    text: str
    metadata: Mapping[str, Any]
    key: str | None
    score: object = None


def view_passages(passages: Iterable[FoundPassage]) -> list[Block]:
    """Numbered passages, each with where it stands."""
    blocks: list[Block] = []
    for number, passage in enumerate(passages, 1):
        told = passage.metadata
        name = told.get("file_name", told.get("source", passage.key))
        page = f", p. {told['page_label']}" if "page_label" in told else ""
        score = f" · score {passage.score:.3f}" if isinstance(passage.score, float) else ""
        blocks += [Words(f"{number}. {name}{page}{score}"), Words(passage.text, "output")]
    return blocks


def view_sources(notes: Iterable[Mapping[str, Any]], quote: str) -> list[Block]:
    """The sources that an answer names, each once.

    Args:
        notes: Title, url and document of each.
        quote: What the framework calls the words that were cited.
    """
    found: dict[str, Source] = {}
    for note in notes:
        key = str(note.get("url") or note.get("document_id") or note.get("title"))
        detail = shorten(str(note.get(quote) or ""), 120)
        found.setdefault(key, Source(len(found) + 1, str(note.get("title") or key), note.get("url"), detail))
    return [Sources(tuple(found.values()))] if found else []


def make_bubble(who: str, blocks: Sequence[Block], *, is_user: bool) -> Bubble:
    """What one side said."""
    return Bubble("you" if is_user else who, "right" if is_user else "left", blocks)


def write_data(value: object) -> str:
    """A text as it is, anything else as JSON on lines."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str, indent=1)
