"""From a retriever's arguments to its engine and backend."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.node_parser import NodeParser
from llama_index.core.schema import Document, MetadataMode
from llama_index.core.settings import Settings as LlamaSettings
from llama_index.core.storage.docstore.types import BaseDocumentStore
from llama_index.core.vector_stores.types import BasePydanticVectorStore, MetadataFilters

from llama_index_mistral_agents._backend import Backend
from llama_index_mistral_agents._conversation import ConversationBackend
from llama_index_mistral_agents._embedding import ModelEmbedder, ServiceEmbedding
from llama_index_mistral_agents._filters import filter_of
from llama_index_mistral_agents._local import LocalBackend, Normalise
from llama_index_mistral_agents._store import StoreBackend, StoreEngine
from llama_index_mistral_agents.retrieval_events import announce_sync
from llama_index_mistral_agents.turn_events import announce
from llama_index_mistral_agents.vector_store import MistralSearchIndexVectorStore
from mistral_agents.client import MistralAgents
from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.agent_search import AgentSearch, OnNoPassages
from mistral_agents.retrieval.chunking import AnySplitter, PieceSplitter, Splitter
from mistral_agents.retrieval.documents import PREFIX
from mistral_agents.retrieval.engine import LibraryEngine
from mistral_agents.retrieval.filters import conditions, refused
from mistral_agents.retrieval.lazy import LazyEngine
from mistral_agents.retrieval.progress import Bars
from mistral_agents.retrieval.search_indexes import FieldType, compile_filter
from mistral_agents.retrieval.settings import OnEmpty, OnFailed, OnPending, Refresh, Settings
from mistral_agents.retrieval.snapshot import Query, Strategy, Unit, check_top_k, fusion_of
from mistral_agents.retrieval.vectors import EVEN, Fusion

Mode = Literal["local", "conversation", "index"]
_CHOICES = {
    "mode": ("local", "conversation", "index"),
    "normalize_scores": ("none", "minmax"),
    "pages": ("none", "exact"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """A retriever's arguments; see `MistralLibraryRetriever`."""

    library_ids: tuple[str, ...]
    mode: Mode
    similarity_top_k: int
    strategy: Strategy
    embed_model: BaseEmbedding | str | None
    embed_batch_size: int | None
    words_top_k: int | None
    vectors_top_k: int | None
    words_weight: float
    vectors_weight: float
    node_parser: NodeParser | None
    chunk_size: int
    chunk_overlap: int
    language: str
    filters: MetadataFilters | None
    score_cutoff: float | None
    retrieval_mode: Unit
    normalize_scores: Normalise
    pages: Literal["none", "exact"]
    refresh: Refresh
    ttl: float
    persist_dir: str | os.PathLike[str] | None
    on_pending: OnPending
    on_failed: OnFailed
    on_empty: OnEmpty
    lazy_top_documents: int | None
    max_concurrency: int
    model: str
    agent_id: str | None
    on_no_passages: OnNoPassages
    rescore: bool
    show_progress: bool
    vector_store: BasePydanticVectorStore | None
    docstore: BaseDocumentStore | None
    index_name: str | None
    attribute_fields: Mapping[str, FieldType] | None

    def __post_init__(self) -> None:
        check_top_k(self.similarity_top_k, "similarity_top_k")
        filter_of(self.filters)
        Query("", self.similarity_top_k, self.strategy, None, None, self.score_cutoff, self.retrieval_mode)  # refuses
        if self.retrieval_mode == "documents" and (self.mode != "local" or self.vector_store is not None):
            raise ConfigurationError('retrieval_mode="documents" goes only with mode="local", without vector_store.')
        if self.fusion != EVEN and (self.mode != "local" or self.vector_store is not None):
            raise ConfigurationError('Depths and weights of words and vectors go only with mode="local" alone.')
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigurationError(f"{name} must be one of {', '.join(known)}, not {getattr(self, name)!r}.")

    @property
    def splitter(self) -> AnySplitter:
        """What cuts the texts."""
        if self.node_parser is None:
            return Splitter(self.chunk_size, self.chunk_overlap)
        parser = self.node_parser
        return PieceSplitter(_Pieces(parser), f"{type(parser).__name__}:{parser.to_json()}")

    def embedder(self, client: MistralAgents) -> ModelEmbedder | None:
        """What makes vectors; None where the strategy needs none."""
        if self.strategy == "bm25" and self.mode != "index":
            return None
        if isinstance(self.embed_model, str):
            return ModelEmbedder(ServiceEmbedding(client, self.embed_model), self.embed_batch_size)
        model: object = self.embed_model if self.embed_model is not None else LlamaSettings.embed_model
        if not isinstance(model, BaseEmbedding):
            kinds = "an embedding model of LlamaIndex's or the name of one of the service"
            raise ConfigurationError(f"embed_model must be {kinds}, not {model!r}.")
        return ModelEmbedder(model, self.embed_batch_size)

    @property
    def fusion(self) -> Fusion:
        """How `hybrid` joins words and vectors."""
        return fusion_of(
            self.strategy,
            words_top_k=self.words_top_k,
            vectors_top_k=self.vectors_top_k,
            words_weight=self.words_weight,
            vectors_weight=self.vectors_weight,
        )


@dataclass(frozen=True, slots=True)
class _Pieces:
    """A node parser as a function from a text to its pieces."""

    parser: NodeParser

    def __call__(self, text: str) -> Sequence[str]:
        nodes = self.parser.get_nodes_from_documents([Document(text=text)])
        return [node.get_content(MetadataMode.NONE) for node in nodes]


def engine_for(client: MistralAgents, chosen: Choices) -> LibraryEngine:
    """The local engine; nothing is read yet."""
    settings = Settings(
        library_ids=chosen.library_ids,
        splitter=chosen.splitter,
        language=chosen.language,
        exact_pages=chosen.pages == "exact",
        refresh=chosen.refresh,
        ttl=chosen.ttl,
        on_pending=chosen.on_pending,
        on_failed=chosen.on_failed,
        on_empty=chosen.on_empty,
        max_concurrency=chosen.max_concurrency,
    )
    if chosen.docstore is not None and chosen.vector_store is None and chosen.mode != "index":
        raise ConfigurationError('docstore goes only with vector_store, or mode="index".')
    notify = Bars(announce_sync) if chosen.show_progress else announce_sync
    if chosen.lazy_top_documents is not None:
        if chosen.strategy != "bm25" or chosen.persist_dir is not None:
            raise ConfigurationError('lazy_top_documents goes only with strategy="bm25" and without persist_dir.')
        if chosen.vector_store is not None or chosen.mode == "index":
            raise ConfigurationError('lazy_top_documents goes with neither vector_store nor mode="index".')
        return LazyEngine(client, settings, notify=notify, top_documents=chosen.lazy_top_documents)
    options: dict[str, Any] = {"embedder": chosen.embedder(client), "persist_dir": chosen.persist_dir, "notify": notify}
    store = _choose_store(client, chosen)
    if store is not None:
        return StoreEngine(client, settings, vector_store=store, docstore=chosen.docstore, **options)
    return LibraryEngine(client, settings, **options)


def _choose_store(client: MistralAgents, chosen: Choices) -> BasePydanticVectorStore | None:
    if chosen.mode != "index":
        if chosen.index_name is not None or chosen.attribute_fields is not None:
            raise ConfigurationError('index_name and attribute_fields go only with mode="index".')
        if chosen.vector_store is not None and chosen.strategy == "bm25":
            raise ConfigurationError('vector_store needs strategy="vector" or "hybrid".')
        return chosen.vector_store
    if chosen.index_name is None or chosen.vector_store is not None:
        raise ConfigurationError('mode="index" needs index_name, and takes no vector_store.')
    filter_ = filter_of(chosen.filters)
    given = chosen.attribute_fields if chosen.attribute_fields is not None else {}
    declared = {name.removeprefix(PREFIX): kind for name, kind in given.items()}  # 0.1.0 had attributes with a prefix
    store = MistralSearchIndexVectorStore(chosen.index_name, client=client, attribute_fields=declared)
    if filter_ is not None:
        compile_filter(filter_, store.field_types)  # refuses here what the index can't apply
    return store


def backend_for(client: MistralAgents, engine: LibraryEngine, chosen: Choices) -> Backend:
    """The backend of a mode."""
    embedder = engine.embedder if isinstance(engine.embedder, ModelEmbedder) else None
    filter_, cutoff = filter_of(chosen.filters), chosen.score_cutoff
    local = LocalBackend(
        engine,
        embedder,
        chosen.similarity_top_k,
        chosen.strategy,
        filter_,
        cutoff,
        chosen.normalize_scores,
        chosen.retrieval_mode,
        chosen.fusion,
    )
    if isinstance(engine, StoreEngine):
        return _store_backend(engine, chosen)
    if chosen.mode == "local":
        return local
    _refuse_what_needs_scores(chosen)
    search = AgentSearch(
        client,
        chosen.library_ids,
        chosen.similarity_top_k,
        chosen.model,
        chosen.agent_id,
        chosen.on_no_passages,
        chosen.rescore,
        chosen.language,
        announce,
    )
    return ConversationBackend(search, local)


def _store_backend(engine: StoreEngine, chosen: Choices) -> StoreBackend:
    if chosen.normalize_scores != "none":
        raise ConfigurationError("normalize_scores goes only with the local ranking.")
    return StoreBackend(
        engine, chosen.mode, chosen.similarity_top_k, chosen.strategy, chosen.filters, chosen.score_cutoff
    )


def _refuse_what_needs_scores(chosen: Choices) -> None:
    filter_ = filter_of(chosen.filters)
    for condition in conditions(filter_) if filter_ is not None else ():
        raise refused(condition, "conversation", "can't filter, since the service's search takes no filter")
    if chosen.score_cutoff is not None or chosen.normalize_scores != "none":
        raise ConfigurationError("mode 'conversation' has no scores, so neither score_cutoff nor normalize_scores.")
