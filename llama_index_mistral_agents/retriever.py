"""`MistralLibraryRetriever`: passages of Mistral's document libraries."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.node_parser import NodeParser
from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle, QueryType
from llama_index.core.settings import Settings as LlamaSettings
from llama_index.core.storage.docstore.types import BaseDocumentStore
from llama_index.core.vector_stores.types import BasePydanticVectorStore, MetadataFilters
from typing_extensions import Self

from llama_index_mistral_agents._asking import AskedRetriever, make_bundle
from llama_index_mistral_agents._backend import Backend, RetrievalReport, Retrieved, clean_query
from llama_index_mistral_agents._build import Choices, Mode, backend_for, engine_for
from llama_index_mistral_agents._local import Normalise
from llama_index_mistral_agents.retrieval_events import LibraryRetrievalEvent, dispatcher, failures_announced
from mistral_agents._http.concealed import conceal_text
from mistral_agents.client import MistralAgents, choose_client
from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.engine import LibraryEngine
from mistral_agents.retrieval.events import SyncReport
from mistral_agents.retrieval.search_indexes import FieldType
from mistral_agents.retrieval.settings import OnEmpty, OnFailed, OnPending, Refresh, checked_library_ids
from mistral_agents.retrieval.snapshot import Strategy, Unit, check_top_k


class MistralLibraryRetriever(AskedRetriever):
    """Retrieves passages of one or several document libraries.

    Mode `local` (default) copies the libraries' texts into this process and ranks them here: exact passages, real
    scores, filters, `top_k`, page labels, no model tokens. Mode `conversation` asks a Mistral model with the
    `document_library` tool and takes the passages its search returned: nothing is copied, a turn is paid, there are
    no scores. Mode `index` (experimental, as the service's preview is) keeps a search index of the service like the
    libraries, with vectors of `embed_model`, and searches there. Node ids, metadata and relationships are alike in all.

    Args:
        library_ids: One library id or several; several form one corpus, so that scores compare.
        mode: `local`, `conversation` or `index`.
        client: The client; else one is made of `api_key` and `base_url`.
        api_key: The key; None reads MISTRAL_API_KEY.
        base_url: The service's address; None reads MISTRAL_BASE_URL.
        similarity_top_k: Most passages to return, from 1.
        strategy: `bm25`, `vector` (cosine) or `hybrid` (both, each standardised; scores from 0 to 1).
        embed_model: For `vector` and `hybrid`: a model of LlamaIndex's, or the name of one of the service
            (`mistral-embed`); None takes LlamaIndex's `Settings.embed_model`.
        embed_batch_size: Texts per embedding request; None takes the model's.
        words_top_k: For `hybrid`: how many of the best passages by words are candidates; None takes 100, or
            `similarity_top_k` where this is more.
        vectors_top_k: The same by vectors.
        words_weight: For `hybrid`: how much words count, from 0.
        vectors_weight: The same of vectors.
        node_parser: Cuts texts; must give parts of the text unchanged. None cuts at paragraphs and sentences.
        chunk_size: Most characters of a passage, where no `node_parser` is given.
        chunk_overlap: Most characters that a passage repeats of the one before.
        language: For stop words and stems (`english`, `french`, ...; `none`).
        filters: Metadata filters, nested ones included; applied before `similarity_top_k`.
        score_cutoff: Passages with a lower score are left out.
        retrieval_mode: `passages`, or `documents`: whole documents, each ranked by its best passage (mode `local`).
        normalize_scores: `minmax` scales the scores of one result to 0..1.
        pages: `exact` reads page by page, for page labels (one request more for each page).
        refresh: When to look for changes: `ttl`, `on_start`, `always`, or `never` (only by `refresh()`).
        ttl: Seconds, for `refresh="ttl"`.
        persist_dir: Folder to keep the snapshot in; an interrupted sync goes on from there.
        on_pending: Documents still being processed: `skip`, `wait`, `error`.
        on_failed: Documents that could not be processed: `warn`, `error`, `skip`.
        on_empty: Libraries without a document: `empty` result or `error`.
        on_blank: A blank query: `empty` result or `error`.
        lazy_top_documents: Rank documents by name and summary first and read only so many texts; for big libraries.
        max_concurrency: How many texts are read at once.
        model: For `conversation`: the model that calls the tool.
        agent_id: For `conversation`: an agent with the tool, instead of `model`.
        on_no_passages: For `conversation`: `error`, `local` (search locally instead) or `empty`.
        rescore: For `conversation`: score the passages here by BM25.
        vector_store: Keep nodes and vectors in this store of LlamaIndex's (Qdrant, pgvector, ...) instead of this
            process; with `strategy` `vector`, or `hybrid` where the store can. Filters are then the store's own.
        docstore: Remembers which documents `vector_store` holds, and their texts where the store keeps none.
        index_name: For `index`: the search index to fill and search.
        attribute_fields: For `index`: attributes to filter by and their types, e.g. `{"year": "int"}`.
        show_progress: Show bars while syncing.
        callback_manager: LlamaIndex's; None takes `Settings.callback_manager`.
        verbose: As in every retriever of LlamaIndex.

    Raises:
        ConfigurationError: An argument is wrong. Nothing is sent before the first retrieval.

    Examples:
        >>> retriever = MistralLibraryRetriever(library_id, similarity_top_k=3)
        >>> [(n.score, n.metadata["file_name"]) for n in retriever.retrieve("How long is the warranty?")]
    """

    def __init__(
        self,
        library_ids: str | Sequence[str],
        *,
        mode: Mode = "local",
        client: MistralAgents | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        similarity_top_k: int = 5,
        strategy: Strategy = "bm25",
        embed_model: BaseEmbedding | str | None = None,
        embed_batch_size: int | None = None,
        words_top_k: int | None = None,
        vectors_top_k: int | None = None,
        words_weight: float = 1.0,
        vectors_weight: float = 1.0,
        node_parser: NodeParser | None = None,
        chunk_size: int = 1500,
        chunk_overlap: int = 150,
        language: str = "english",
        filters: MetadataFilters | None = None,
        score_cutoff: float | None = None,
        retrieval_mode: Unit = "passages",
        normalize_scores: Normalise = "none",
        pages: Literal["none", "exact"] = "none",
        refresh: Refresh = "ttl",
        ttl: float = 300.0,
        persist_dir: str | os.PathLike[str] | None = None,
        on_pending: OnPending = "skip",
        on_failed: OnFailed = "warn",
        on_empty: OnEmpty = "empty",
        on_blank: OnEmpty = "empty",
        lazy_top_documents: int | None = None,
        max_concurrency: int = 8,
        model: str = "mistral-small-latest",
        agent_id: str | None = None,
        on_no_passages: Literal["error", "local", "empty"] = "error",
        rescore: bool = False,
        vector_store: BasePydanticVectorStore | None = None,
        docstore: BaseDocumentStore | None = None,
        index_name: str | None = None,
        attribute_fields: Mapping[str, FieldType] | None = None,
        show_progress: bool = False,
        callback_manager: CallbackManager | None = None,
        verbose: bool = False,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in _OWN}
        chosen = Choices(library_ids=checked_library_ids(library_ids), **given)
        api_key, base_url = conceal_text(api_key), conceal_text(base_url)
        found = choose_client(client, api_key=api_key, base_url=base_url)
        manager = callback_manager if callback_manager is not None else LlamaSettings.callback_manager
        super().__init__(callback_manager=manager, verbose=verbose)
        self.client = found
        self._library_ids = chosen.library_ids
        self._mode = mode
        self._top_k = chosen.similarity_top_k
        self._on_blank = on_blank
        self.engine: LibraryEngine = engine_for(self.client, chosen)
        self._backend: Backend = backend_for(self.client, self.engine, chosen)

    @property
    def library_ids(self) -> list[str]:
        """The libraries; another retriever searches others."""
        return list(self._library_ids)

    @property
    def mode(self) -> Mode:
        """How it searches."""
        return self._mode

    @property
    def similarity_top_k(self) -> int:
        """Most passages to return; may be set, as of LlamaIndex's own retrievers."""
        return self._top_k

    @similarity_top_k.setter
    def similarity_top_k(self, top_k: int) -> None:
        check_top_k(top_k, "similarity_top_k")
        self._top_k = top_k
        self._backend = self._backend.with_top_k(top_k)

    # retrieval -------------------------------------------------------------------------------------------------

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._search(query_bundle)[0]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return (await self._asearch(query_bundle))[0]

    def retrieve_with_report(self, str_or_query_bundle: QueryType) -> Retrieved:
        """The nodes, and what finding them took. Sends no retrieval events of LlamaIndex's own."""
        return self._search(make_bundle(str_or_query_bundle))

    async def aretrieve_with_report(self, str_or_query_bundle: QueryType) -> Retrieved:
        """As `retrieve_with_report`, without blocking."""
        return await self._asearch(make_bundle(str_or_query_bundle))

    def _search(self, bundle: QueryBundle) -> Retrieved:
        with failures_announced():
            text, began = clean_query(bundle), time.monotonic()
            found = self._answer_blank() if not text else self._backend.retrieve(bundle, text)
        return _report_search(found, began)

    async def _asearch(self, bundle: QueryBundle) -> Retrieved:
        with failures_announced():
            text, began = clean_query(bundle), time.monotonic()
            found = self._answer_blank() if not text else await self._backend.aretrieve(bundle, text)
        return _report_search(found, began)

    def _answer_blank(self) -> Retrieved:
        if self._on_blank == "error":
            raise ConfigurationError("The query is blank.")
        return [], RetrievalReport(mode=self.mode, score_kind=None, outcome="blank_query")

    def share_engine(self, engine: LibraryEngine) -> Self:
        """Search with another retriever's engine, so that the libraries are read once for both."""
        self.engine = engine
        self._backend = self._backend.with_engine(engine)
        return self

    # sync ------------------------------------------------------------------------------------------------------

    def refresh(self) -> SyncReport:
        """Look for changes in the libraries now; says what it found and did.

        Raises:
            MistralAgentsError: The sync failed; the snapshot of before is still served.
        """
        with failures_announced():
            return self.engine.refresh()

    async def arefresh(self) -> SyncReport:
        """As `refresh`, without blocking."""
        with failures_announced():
            return await self.engine.arefresh()

    # links -----------------------------------------------------------------------------------------------------

    def get_download_url(self, node: BaseNode | NodeWithScore) -> str:
        """A link to the node's original file, made now; it works for a while without a key, so keep it secret."""
        return self.client.libraries.signed_url(*_read_ids(node))

    async def aget_download_url(self, node: BaseNode | NodeWithScore) -> str:
        """As `get_download_url`, without blocking."""
        return await self.client.libraries.asigned_url(*_read_ids(node))

    def get_text_url(self, node: BaseNode | NodeWithScore) -> str:
        """A link to the text taken from the node's file; as `get_download_url`."""
        return self.client.libraries.signed_url(*_read_ids(node), extracted_text=True)

    async def aget_text_url(self, node: BaseNode | NodeWithScore) -> str:
        """As `get_text_url`, without blocking."""
        return await self.client.libraries.asigned_url(*_read_ids(node), extracted_text=True)

    # life ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the client's connections; the retriever can be used again afterwards."""
        self.client.close()

    async def aclose(self) -> None:
        """As `close`, for the connections of the running event loop."""
        await self.client.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __getstate__(self) -> dict[str, Any]:
        kept = {key: value for key, value in self.__dict__.items() if key != "callback_manager"}
        return {**kept, "object_map": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.callback_manager = LlamaSettings.callback_manager


_OWN = frozenset({"self", "__class__", "library_ids", "client", "api_key", "base_url", "on_blank"}) | {
    "callback_manager",
    "verbose",
}


def _report_search(found: Retrieved, began: float) -> Retrieved:
    found[1].seconds = time.monotonic() - began
    dispatcher.event(LibraryRetrievalEvent(report=asdict(found[1])))
    return found


def _read_ids(node: BaseNode | NodeWithScore) -> tuple[str, str]:
    metadata = node.node.metadata if isinstance(node, NodeWithScore) else node.metadata
    try:
        return metadata["library_id"], metadata["document_id"]
    except KeyError as error:
        raise ConfigurationError(f"The node's metadata has no {error}.") from error
