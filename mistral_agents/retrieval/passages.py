"""Passages that an agent's own library search found, read from the turn; and why there are none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal
from uuid import NAMESPACE_DNS, uuid5

from mistral_agents._turn.sources import SearchHit, search_hits, search_origin
from mistral_agents.entries import ToolExecution
from mistral_agents.turn import Turn

Outcome = Literal[
    "passages",
    "documents_only",
    "nothing_found",
    "tool_not_called",
    "tool_failed",
    "id_mangled",
    "unreadable",
    "stream_error",
]
SEARCH_ONLY = (
    "You are a search front end. Search the document library once with the user's question as the query, then answer "
    "with the single word: done. Never answer from memory."
)
"""Instructions for a turn of which only the search matters; the tool itself can't be forced."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage as the service gave it.

    Attributes:
        document_id: Its document.
        library_id: Its library, where told.
        file_name: The document's name, where told.
        text: The passage.
        page: The page's label (from "1"), where told; the service's own count begins at 0.
    """

    document_id: str
    library_id: str | None
    file_name: str | None
    text: str
    page: str | None

    @property
    def id(self) -> str:
        """Stable in every process. The service gives no offsets, so the text's hash is the locator."""
        digest = sha256(self.text.encode()).hexdigest()[:16]
        return str(uuid5(NAMESPACE_DNS, f"{self.document_id}:text:{digest}"))


@dataclass(frozen=True, slots=True)
class Found:
    """What a turn's library searches gave.

    Attributes:
        outcome: `passages`; `documents_only` (documents named, no text); `nothing_found` (searched, no hit);
            `tool_not_called`; `tool_failed`; `id_mangled` (the model searched a library it was not given);
            `unreadable` (a result of an unknown shape); `stream_error` (the turn broke off).
        passages: Each once, in the order found.
        document_ids: Documents that were named.
        queries: What the model searched for.
    """

    outcome: Outcome
    passages: tuple[Passage, ...] = ()
    document_ids: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()


def find_passages(turn: Turn, library_ids: Sequence[str]) -> Found:
    """Read the passages of a turn. Only what the tool returned counts, never the answer's text.

    Args:
        turn: The turn.
        library_ids: The libraries that were asked for; hits of others are left out.
    """
    runs = [entry for entry in turn.tool_executions if search_origin(entry) == "library"]
    hits = [hit for run in runs if run.error is None for hit in search_hits(run)]
    own = [hit for hit in hits if hit.metadata.get("library_id") in (None, *library_ids)]
    passages = tuple({passage.id: passage for hit in own for passage in _read_passages(hit, hits)}.values())
    documents = tuple(dict.fromkeys([*(hit.url for hit in own if hit.url), *_find_referenced(turn)]))
    mangled = len(own) < len(hits) or any(_is_foreign(run, library_ids) for run in runs)
    outcome = _judge_outcome(runs, passages, documents, mangled)
    queries = tuple(run.args["query"] for run in runs if isinstance(run.args.get("query"), str))
    return Found(outcome, passages, documents, queries)


def _judge_outcome(runs: list[ToolExecution], passages: object, documents: object, mangled: bool) -> Outcome:
    if passages:
        return "passages"
    if mangled:
        return "id_mangled"
    if documents:
        return "documents_only"
    if not runs:
        return "tool_not_called"
    if all(run.error is not None or not run.info for run in runs):
        return "tool_failed"
    searched = [run for run in runs if run.error is None and run.info]
    return "nothing_found" if any(run.result in ({}, []) for run in searched) else "unreadable"


def _is_foreign(run: ToolExecution, library_ids: Sequence[str]) -> bool:
    """Whether the model named a library that it was not given; it may drop a part of an id."""
    named = run.args.get("library_ids", run.args.get("libraries_ids"))
    return isinstance(named, list) and any(one not in library_ids for one in named)


def _find_referenced(turn: Turn) -> Iterable[str]:
    for message in turn.messages:
        for chunk in message.chunks:
            is_library = chunk.get("type") == "tool_reference" and chunk.get("tool") == "document_library"
            if is_library and isinstance(chunk.get("url"), str):
                yield chunk["url"]


def _read_passages(hit: SearchHit, hits: list[SearchHit]) -> Iterable[Passage]:
    """A hit's snippets are the matched text, then the summary and the file name, which are no passages."""
    if not hit.url:
        return
    known = next((other for other in hits if other.url == hit.url and other.metadata.get("library_id")), hit)
    pages = hit.metadata.get("relevant_pages")
    page = pages[0] if isinstance(pages, list) and len(pages) == 1 and isinstance(pages[0], int) else None
    for text in hit.snippets:
        if text.strip() and text not in (hit.description, hit.title):
            yield Passage(
                document_id=hit.url,
                library_id=known.metadata.get("library_id"),
                file_name=hit.title,
                text=text,
                page=str(page + 1) if page is not None else None,
            )


def with_library(passage: Passage, library_ids: Sequence[str]) -> Passage:
    """The passage with its library, where only one was searched."""
    only = library_ids[0] if passage.library_id is None and len(library_ids) == 1 else passage.library_id
    return replace(passage, library_id=only)
