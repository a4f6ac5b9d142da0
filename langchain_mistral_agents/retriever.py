"""`MistralLibraryRetriever`: passages of Mistral's document libraries as LangChain documents."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypedDict, cast

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableConfig, RunnableSerializable
from langchain_core.runnables.configurable import RunnableConfigurableFields
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, field_validator, model_validator
from typing_extensions import Required, Self, Unpack, override

from langchain_mistral_agents._remaking import Remaking
from langchain_mistral_agents._serialization import Address
from mistral_agents import MistralAgents
from mistral_agents._http.concealed import conceal_settings
from mistral_agents._json import JsonDict
from mistral_agents.client import choose_client
from mistral_agents.embeddings import EmbeddingModel
from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.chunking import Splitter
from mistral_agents.retrieval.engine import LibraryEngine
from mistral_agents.retrieval.events import SyncReport
from mistral_agents.retrieval.filters import AnyFilter, as_filter
from mistral_agents.retrieval.settings import OnEmpty, OnFailed, OnPending, Refresh, Settings, checked_library_ids
from mistral_agents.retrieval.snapshot import Hit, Query, Strategy, Unit, check_top_k, fusion_of
from mistral_agents.retrieval.vectors import EVEN, Embedder, Fusion

_BATCH = 64
_MOST_VARIANTS = 100  # of a retriever's configurable fields, each with what it has read
_OF_A_FUSION = frozenset({"words_top_k", "vectors_top_k", "words_weight", "vectors_weight"})
_NAMES_OF_OTHERS = {
    "top_k": "the number of passages is k",
    "search_type": "choose strategy",
    "search_kwargs": "give k, filter and score_cutoff themselves",
    "score_threshold": "the lowest score is score_cutoff",
    "vectorstore": "libraries are searched in this process",
}
"""What other retrievers call it, and what it is here."""


class _Embedder:
    """LangChain embeddings as the engine's embedder; class and model name tell whether stored vectors still fit."""

    batch_size = _BATCH

    def __init__(self, embeddings: Embeddings) -> None:
        self._embeddings = embeddings
        model = getattr(embeddings, "model", getattr(embeddings, "model_name", ""))
        self.name = f"{type(embeddings).__name__}:{model}"

    def texts(self, texts: list[str]) -> list[list[float]]:
        return self._embeddings.embed_documents(texts)

    async def atexts(self, texts: list[str]) -> list[list[float]]:
        return await self._embeddings.aembed_documents(texts)

    def query(self, text: str) -> list[float]:
        return self._embeddings.embed_query(text)

    async def aquery(self, text: str) -> list[float]:
        return await self._embeddings.aembed_query(text)


class SearchOptions(TypedDict, total=False):
    """What one call of `MistralLibraryRetriever` takes; None takes the retriever's own."""

    k: int | None
    filter: AnyFilter | None


class RetrieverOptions(TypedDict, total=False):
    """What `MistralLibraryRetriever` takes."""

    library_ids: Required[str | Sequence[str]]
    k: int
    strategy: Strategy
    embed_model: str | None
    embeddings: Embeddings | None
    words_top_k: int | None
    vectors_top_k: int | None
    words_weight: float
    vectors_weight: float
    score_cutoff: float | None
    filter: AnyFilter | None
    retrieval_mode: Unit
    chunk_size: int
    chunk_overlap: int
    language: str
    exact_pages: bool
    refresh: Refresh
    ttl: float
    persist_dir: str | os.PathLike[str] | None
    on_pending: OnPending
    on_failed: OnFailed
    on_empty: OnEmpty
    api_key: str | SecretStr | None
    base_url: str | None
    client: MistralAgents | None
    name: str | None
    tags: list[str] | None
    metadata: dict[str, Any] | None


class MistralLibraryRetriever(Remaking, BaseRetriever):
    """Finds passages of one or several document libraries, ranked in this process.

    The libraries' texts are copied here when first needed, and again when they changed; the service is not asked to
    search, and no model tokens are spent. The service's own search, which reports no scores, is the hosted tool
    `DocumentLibrary` of `ChatMistralAgent`. Needs the extra `retrieval`.

    Args:
        library_ids: One library id or several; several form one corpus, so that scores compare.
        k: Most passages to return, from 1; also per call: `retriever.invoke(question, k=3)`.
        strategy: `bm25`, `vector` (cosine) or `hybrid` (both, each standardised; scores from 0 to 1).
        embed_model: For `vector` and `hybrid`: an embedding model of the service, such as `mistral-embed`.
        embeddings: Embeddings of LangChain, instead of `embed_model`.
        words_top_k: For `hybrid`: how many of the best passages by words are candidates; None takes 100, or `k`
            where this is more.
        vectors_top_k: The same by vectors.
        words_weight: For `hybrid`: how much words count, from 0.
        vectors_weight: The same of vectors.
        score_cutoff: Passages with a lower score are left out.
        filter: Only passages whose metadata fits: `{"file_name": "a.pdf"}` (all must be equal), with operators
            (`{"year": {"$gte": 2024}}`, `$in`, `$or`, …), or a tree of `mistral_agents.retrieval.filters`; also per
            call.
        retrieval_mode: `passages`, or `documents`: whole documents, each ranked by its best passage.
        chunk_size: Most characters of a passage.
        chunk_overlap: Most characters that a passage repeats of the one before.
        language: For stop words and stems (`english`, `french`, ...; `none`).
        exact_pages: Read page by page, for `page_label`; one request more for each page.
        refresh: When to look for changes: `ttl`, `on_start`, `always`, or `never` (only by `refresh_now()`).
        ttl: Seconds, for `refresh="ttl"`.
        persist_dir: Folder to keep the texts in between processes.
        on_pending: Documents still being processed: `skip`, `wait`, `error`.
        on_failed: Documents that could not be processed: `warn`, `error`, `skip`.
        on_empty: Libraries without a document: `empty` result or `error`.
        api_key: The key; None reads MISTRAL_API_KEY.
        base_url: The service's address; None reads MISTRAL_BASE_URL.
        client: Your own client, instead of `api_key` and `base_url`.

    Raises:
        ValidationError: An argument is wrong. Nothing is sent before the first search.

    Examples:
        >>> retriever = MistralLibraryRetriever(library_ids=library.id, k=3)
        >>> [(d.metadata["file_name"], d.metadata["score"]) for d in retriever.invoke("How long is the warranty?")]
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, hide_input_in_errors=True)

    library_ids: list[str]
    k: int = Field(default=5, ge=1)
    strategy: Strategy = "bm25"
    embed_model: str | None = None
    embeddings: Embeddings | None = None
    words_top_k: int | None = None
    vectors_top_k: int | None = None
    words_weight: float = 1.0
    vectors_weight: float = 1.0
    score_cutoff: float | None = None
    filter: AnyFilter | None = None
    retrieval_mode: Unit = "passages"
    chunk_size: int = 1500
    chunk_overlap: int = 150
    language: str = "english"
    exact_pages: bool = False
    refresh: Refresh = "ttl"
    ttl: float = 300.0
    persist_dir: str | os.PathLike[str] | None = None
    on_pending: OnPending = "skip"
    on_failed: OnFailed = "warn"
    on_empty: OnEmpty = "empty"
    api_key: SecretStr | None = Field(default=None, repr=False)
    base_url: Address = None
    client: MistralAgents | None = Field(default=None, exclude=True, repr=False)

    _read_later: ClassVar[frozenset[str]] = frozenset(
        {"k", "filter", "score_cutoff", "retrieval_mode", "name", "tags", "metadata"}
    )
    _variants: tuple[MistralLibraryRetriever, ...] = PrivateAttr(default=())
    _engine: LibraryEngine = PrivateAttr()
    _fusion: Fusion = PrivateAttr(default=EVEN)

    def __init__(self, **options: Unpack[RetrieverOptions]) -> None:
        options = conceal_settings(options)
        super().__init__(**cast("JsonDict", options))

    @override
    def invoke(  # type: ignore[override]
        self, input: str, config: RunnableConfig | None = None, **kwargs: Unpack[SearchOptions]
    ) -> list[Document]:
        return super().invoke(input, config, **kwargs)

    @override
    async def ainvoke(  # type: ignore[override]
        self, input: str, config: RunnableConfig | None = None, **kwargs: Unpack[SearchOptions]
    ) -> list[Document]:
        return await super().ainvoke(input, config, **kwargs)

    @override
    def configurable_fields(self, **kwargs: Any) -> RunnableSerializable[str, list[Document]]:
        checked: Any = super().configurable_fields(**kwargs)
        return _ConfigurableRetriever(default=self, fields=checked.fields)

    def _find_variant(self, made: MistralLibraryRetriever) -> MistralLibraryRetriever:
        """A retriever of this one's configurable fields; where one reads alike, it searches what that has read."""
        known = next((one for one in (self, *self._variants) if one._reads_like(made)), None)
        if known is None:
            self._variants = (*self._variants[1 - _MOST_VARIANTS :], made)
        else:
            made._engine = known._engine
        return made

    def _reads_like(self, other: MistralLibraryRetriever) -> bool:
        """Whether two retrievers differ only in what each search is asked for."""
        names = type(self).model_fields.keys() - self._read_later - _OF_A_FUSION
        return all(self.__dict__[name] == other.__dict__[name] for name in names)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, given: object) -> object:
        """A name of another retriever is refused, since a search without it would look as if it had been heeded."""
        known = cls.model_fields.keys()
        for name in given if isinstance(given, dict) else ():
            if name not in known:
                way_out = _NAMES_OF_OTHERS.get(name, f"known are {', '.join(sorted(known))}")
                raise ConfigurationError(f"MistralLibraryRetriever knows no {name!r}: {way_out}.")
        return given

    @field_validator("library_ids", mode="before")
    @classmethod
    def _check_ids(cls, value: str | Sequence[str]) -> list[str]:
        return list(checked_library_ids(value))

    @model_validator(mode="after")
    def _prepare(self) -> Self:
        self._remake()
        return self

    @override
    def _remake(self) -> None:
        """Check what belongs together, and make what reads and ranks the texts; nothing is read yet."""
        client = choose_client(self.client, api_key=self.api_key, base_url=self.base_url)
        if self.embed_model is not None and self.embeddings is not None:
            raise ConfigurationError("Give embed_model or embeddings, not both.")
        if self.strategy != "bm25" and self.embed_model is None and self.embeddings is None:
            raise ConfigurationError(
                f'strategy={self.strategy!r} needs embed_model= (for example "mistral-embed") or embeddings=.'
            )
        as_filter(self.filter)
        self._fusion = fusion_of(
            self.strategy,
            words_top_k=self.words_top_k,
            vectors_top_k=self.vectors_top_k,
            words_weight=self.words_weight,
            vectors_weight=self.vectors_weight,
        )
        settings = Settings(
            library_ids=checked_library_ids(self.library_ids),
            splitter=Splitter(self.chunk_size, self.chunk_overlap),
            language=self.language,
            exact_pages=self.exact_pages,
            refresh=self.refresh,
            ttl=self.ttl,
            on_pending=self.on_pending,
            on_failed=self.on_failed,
            on_empty=self.on_empty,
        )
        embedder = self._choose_embedder(client)
        self._engine = LibraryEngine(client, settings, embedder=embedder, persist_dir=self.persist_dir)

    def _choose_embedder(self, client: MistralAgents) -> Embedder | None:
        if self.strategy == "bm25":
            return None
        if self.embed_model is not None:
            return EmbeddingModel(client.embeddings, self.embed_model)
        return _Embedder(self.embeddings) if self.embeddings is not None else None

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - given by the base class
        k: int | None = None,
        filter: AnyFilter | None = None,
        **unknown: object,
    ) -> list[Document]:
        _refuse_unknown_options(unknown)
        return [self._make_document(hit) for hit in self._engine.search(self._make_query(query, k, filter))]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002 - given by the base class
        k: int | None = None,
        filter: AnyFilter | None = None,
        **unknown: object,
    ) -> list[Document]:
        _refuse_unknown_options(unknown)
        return [self._make_document(hit) for hit in await self._engine.asearch(self._make_query(query, k, filter))]

    def _make_query(self, text: str, k: int | None, filter_: AnyFilter | None) -> Query:
        check_top_k(k if k is not None else self.k, "k")
        return Query(
            text,
            top_k=k if k is not None else self.k,
            strategy=self.strategy,
            filter=as_filter(filter_ if filter_ is not None else self.filter),
            score_cutoff=self.score_cutoff,
            unit=self.retrieval_mode,
            fusion=self._fusion,
        )

    def _make_document(self, hit: Hit) -> Document:
        if self.retrieval_mode == "documents":
            whole = {**hit.document.metadata(), "start_index": 0, "score": hit.score}
            return Document(page_content=hit.stored.text, metadata=whole, id=hit.document.document_id)
        place = {"start_index": hit.chunk.start, "score": hit.score}
        return Document(page_content=hit.text, metadata={**hit.metadata, **place}, id=hit.chunk.id)

    def refresh_now(self) -> SyncReport:
        """Look for changes in the libraries now; says what was found and done.

        Raises:
            MistralAgentsError: The sync failed; what was there before is still served.
        """
        return self._engine.refresh()

    async def arefresh_now(self) -> SyncReport:
        """As `refresh_now`, without blocking."""
        return await self._engine.arefresh()


class _ConfigurableRetriever(RunnableConfigurableFields[str, list[Document]]):
    """Makes a retriever for each call, as LangChain does, without reading the libraries each time."""

    def _prepare(self, config: RunnableConfig | None = None) -> tuple[Runnable[str, list[Document]], RunnableConfig]:
        made, found = super()._prepare(config)
        return cast("MistralLibraryRetriever", self.default)._find_variant(cast("Any", made)), found


def _refuse_unknown_options(unknown: Mapping[str, object]) -> None:
    for name in unknown:
        way_out = _NAMES_OF_OTHERS.get(name, "a call takes k and filter")
        raise ConfigurationError(f"A call of MistralLibraryRetriever knows no {name!r}: {way_out}.")
