"""Searching libraries without a framework: one engine for each set of libraries and settings, kept for later."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypedDict

from mistral_agents.embeddings import EmbeddingModel, Embeddings
from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.engine import LibraryEngine
from mistral_agents.retrieval.filters import Filter, as_filter
from mistral_agents.retrieval.service import LibraryApi
from mistral_agents.retrieval.settings import OnEmpty, OnFailed, OnPending, Refresh, Settings, checked_library_ids
from mistral_agents.retrieval.snapshot import Hit, Query, Strategy, Unit
from mistral_agents.retrieval.vectors import EVEN, Embedder, Fusion


class SearchOptions(TypedDict, total=False):
    """Options of a search; those of a sync are as of `mistral_agents.retrieval.settings.Settings`.

    Attributes:
        strategy: `bm25`, or with `embed_model` or `embedder` `vector` or `hybrid`.
        embed_model: An embedding model of the service, such as `mistral-embed`.
        embedder: Makes vectors, instead of `embed_model`.
        fusion: How `hybrid` joins words and vectors.
        filter: Only passages whose metadata fits: a dict (all must be equal), or a tree of `retrieval.filters`.
        score_cutoff: Passages with a lower score are left out.
        retrieval_mode: `passages`, or `documents`: each document once, by its best passage (`hit.stored.text` is all).
        persist_dir: Folder to keep the texts in between processes.
        language: For stop words and stems.
        exact_pages: Read page by page, for page labels.
        refresh: When to look for changes.
        ttl: Seconds, for `refresh="ttl"`.
        on_pending: What to do with documents still being processed.
        on_failed: What to do with documents that could not be processed.
        on_empty: What to do where there is no document.
        wait_timeout: Seconds to wait for pending documents.
        max_concurrency: How many texts are read at once.
    """

    strategy: Strategy
    embed_model: str | None
    embedder: Embedder | None
    fusion: Fusion
    filter: Filter | Mapping[str, Any] | None
    score_cutoff: float | None
    retrieval_mode: Unit
    persist_dir: str | os.PathLike[str] | None
    language: str
    exact_pages: bool
    refresh: Refresh
    ttl: float
    on_pending: OnPending
    on_failed: OnFailed
    on_empty: OnEmpty
    wait_timeout: float
    max_concurrency: int


@dataclass(frozen=True, slots=True)
class _Client:
    libraries: LibraryApi


_OF_SETTINGS = frozenset(field.name for field in fields(Settings)) & SearchOptions.__annotations__.keys()


class Searches:
    """Keeps the engines of a client's searches.

    Args:
        libraries: The client's libraries.
        embeddings: The client's embeddings.
    """

    def __init__(self, libraries: LibraryApi, embeddings: Embeddings) -> None:
        self._embeddings = embeddings
        self._client = _Client(libraries)
        self._engines: dict[str, LibraryEngine] = {}

    def find(self, library_ids: str | Sequence[str], text: str, top_k: int, options: SearchOptions) -> list[Hit]:
        """Search.

        Raises:
            ConfigurationError: An option is wrong.
        """
        return self._engine(library_ids, options).search(_query_of(text, top_k, options))

    async def afind(self, library_ids: str | Sequence[str], text: str, top_k: int, options: SearchOptions) -> list[Hit]:
        """As `find`, without blocking."""
        return await self._engine(library_ids, options).asearch(_query_of(text, top_k, options))

    def _engine(self, library_ids: str | Sequence[str], options: SearchOptions) -> LibraryEngine:
        unknown = sorted(options.keys() - SearchOptions.__annotations__.keys())
        if unknown:
            known = ", ".join(sorted(SearchOptions.__annotations__))
            raise ConfigurationError(f"A search knows no {', '.join(unknown)}: known are top_k, {known}.")
        given: dict[str, Any] = {key: value for key, value in options.items() if key in _OF_SETTINGS}
        settings = Settings(checked_library_ids(library_ids), **given)
        embedder = self._embedder(options) if options.get("strategy", "bm25") != "bm25" else None
        engine = LibraryEngine(self._client, settings, embedder=embedder, persist_dir=options.get("persist_dir"))
        return self._engines.setdefault(engine.key, engine)

    def _embedder(self, options: SearchOptions) -> Embedder | None:
        model, embedder = options.get("embed_model"), options.get("embedder")
        if model is None:
            if embedder is None and options["strategy"] in ("vector", "hybrid"):
                asked = options["strategy"]
                raise ConfigurationError(
                    f'strategy={asked!r} needs embed_model= (for example "mistral-embed") or embedder=.'
                )
            return embedder
        if embedder is not None:
            raise ConfigurationError("Give embed_model or embedder, not both.")
        return EmbeddingModel(self._embeddings, model)


def _query_of(text: str, top_k: int, options: SearchOptions) -> Query:
    return Query(
        text,
        top_k=top_k,
        strategy=options.get("strategy", "bm25"),
        filter=as_filter(options.get("filter")),
        score_cutoff=options.get("score_cutoff"),
        unit=options.get("retrieval_mode", "passages"),
        fusion=options.get("fusion", EVEN),
    )
