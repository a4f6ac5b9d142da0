"""A vector store as the local index: for libraries that outgrow one process, or one machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from itertools import islice
from typing import Any

from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.storage.docstore.types import BaseDocumentStore
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from llama_index_mistral_agents._backend import RetrievalReport, Retrieved
from llama_index_mistral_agents._embedding import ModelEmbedder
from llama_index_mistral_agents._filters import filter_of, with_known_fields
from llama_index_mistral_agents._nodes import is_of, restored, store_node_of
from mistral_agents._steps import Job, Steps, arun, run
from mistral_agents._warnings import warn_user
from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.documents import LibraryDocument, Signature, read_signatures
from mistral_agents.retrieval.engine import LibraryEngine, warn_of_unknown_fields
from mistral_agents.retrieval.events import SyncReport
from mistral_agents.retrieval.filters import conditions, matches
from mistral_agents.retrieval.reading import ReadText
from mistral_agents.retrieval.snapshot import Snapshot, StoredText, Strategy
from mistral_agents.retrieval.store import Journal

_MODES: dict[str, VectorStoreQueryMode] = {
    "bm25": VectorStoreQueryMode.TEXT_SEARCH,
    "vector": VectorStoreQueryMode.DEFAULT,
    "hybrid": VectorStoreQueryMode.HYBRID,
}
_CAN_NOT = (NotImplementedError, ValueError)
"""What stores raise that can't delete: some have no such call, LanceDB's quotes its condition wrongly."""


class StoreEngine(LibraryEngine):
    """Keeps a vector store (and a docstore) like the libraries.

    Documents are read and written in small groups, so memory stays bounded whatever the libraries hold. A document
    counts as written once the docstore has its signature, after its nodes; a killed sync writes the rest. The
    docstore must live as long as the vector store: a new one makes the next sync write everything again.

    Args:
        args: As of `LibraryEngine`, with an embedder and without `persist_dir`.
        vector_store: Where nodes and vectors go.
        docstore: Where signatures go, and nodes where the vector store keeps no text.
    """

    def __init__(
        self,
        *args: Any,
        vector_store: BasePydanticVectorStore,
        docstore: BaseDocumentStore | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        if not isinstance(self.embedder, ModelEmbedder):
            raise ConfigurationError("A vector store needs an embedding model.")
        if self.persist_dir is not None:
            raise ConfigurationError("Give vector_store (with docstore), or persist_dir, not both.")
        self.vector_store = vector_store
        self.docstore: BaseDocumentStore = docstore if docstore is not None else SimpleDocumentStore()
        self._has_docstore = docstore is not None
        self._is_checked = False
        self._keeps = False
        self.model = self.embedder

    @property
    def key(self) -> str:
        """As of every engine; stores are told apart by identity."""
        return f"{super().key} {id(self.vector_store)} {id(self.docstore)}"

    def _renewed(self, old: Snapshot | None, report: SyncReport) -> Steps[Snapshot]:  # noqa: ARG002 - the stores know
        if not self._is_checked:
            yield from self._check()
        sync = self._steps()
        hashes = yield Job(self.docstore.get_all_document_hashes, self.docstore.aget_all_document_hashes)
        written = read_signatures(hashes, self.settings.library_ids)
        plan = yield from sync.plan(written, report, key=lambda doc: Signature.of(doc, sync.settings_key).text_key)
        wanted = [*plan.read, *plan.renew]
        sync.check(report, len(plan.keep) + len(wanted), plan.listed)
        for document_id in report.deleted:
            yield from self._drop(document_id)
        # Stores such as Qdrant refuse to delete before anything was added.
        replaced = set(written) if any(one.is_finished for one in written.values()) else set()
        for group in _split_documents(wanted, self.settings.max_concurrency):
            texts: list[StoredText] = []
            yield from sync.read(group, Journal({}, {}), report, partial(self._put, texts))
            yield from self._write(texts, replaced)
            report.embedded += sum(len(text.chunks) for text in texts)
        left_out = {*report.failed, *report.deleted}
        usable = [plan.listed[key] for key in plan.keep] + [doc for doc in wanted if doc.document_id not in left_out]
        known = [StoredText(document, "", (), ()) for document in usable]
        catalogue = Snapshot(known, sync.preparation.vocabulary, sync.settings_key)
        report.snapshot_id = catalogue.id
        return catalogue

    def _check(self) -> Steps[None]:
        """Refuse a store that can't filter, before a text is read or embedded.

        LlamaIndex has no sign for it: such stores refuse any query with filters, in a sentence about that, before they
        look at its vector. What else a store says of this query (it may be empty yet) is no answer to the question.
        """
        asked = VectorStoreQuery(query_embedding=[0.0], similarity_top_k=1, filters=self.own_filter())
        try:
            yield Job(partial(self.vector_store.query, asked), partial(self.vector_store.aquery, asked))
        except Exception as error:  # noqa: BLE001 - each store has errors of its own
            self._check_failure(error)
        self._note_check()

    def own_filter(self) -> MetadataFilters:
        """Only nodes of these libraries: the store may hold other things too. Not every store knows `IN`."""
        ids = list(self.settings.library_ids)
        only = MetadataFilter(key="library_id", value=ids[0], operator=FilterOperator.EQ)
        several = MetadataFilter(key="library_id", value=ids, operator=FilterOperator.IN)
        return MetadataFilters(filters=[only if len(ids) == 1 else several])

    def _check_failure(self, error: Exception) -> None:
        text = str(error).lower()
        if "filter" in text and ("not implemented" in text or "not support" in text):
            raise ConfigurationError(
                f"{type(self.vector_store).__name__} can't filter by metadata, which this index needs: {error}",
                hint="Some that can: QdrantVectorStore, ChromaVectorStore, LanceDBVectorStore, SimpleVectorStore.",
            ) from error

    def _note_check(self) -> None:
        self._is_checked = True
        if not self._has_docstore:
            warn_user(
                f"{type(self.vector_store).__name__} without docstore=: nobody remembers what it holds, so each new "
                "retriever writes every document again; what is gone from the libraries is left out of the hits. "
                "Give docstore= one that is kept."
            )

    def _put(self, texts: list[StoredText], document: LibraryDocument, read: ReadText) -> None:
        texts.append(self._steps().preparation.store(document, read.text, read.pages))

    def _drop(self, document_id: str) -> Steps[None]:
        store, docs = self.vector_store, self.docstore
        try:
            yield Job(partial(store.delete, document_id), partial(store.adelete, document_id))
        except _CAN_NOT as error:
            self._note_kept(error)
        for forget, aforget in (
            (docs.delete_ref_doc, docs.adelete_ref_doc),
            (docs.delete_document, docs.adelete_document),
        ):
            yield Job(partial(forget, document_id, raise_error=False), partial(aforget, document_id, raise_error=False))

    def _note_kept(self, error: Exception) -> None:
        """Say once that a store keeps what is gone; its hits are told by their state."""
        if not self._keeps:
            self._keeps = True
            text = f"{type(self.vector_store).__name__} can't delete ({error}): what is gone or changed stays in it"
            warn_user(f"{text}, and is left out of the hits. Empty the store and fill it anew to free the room.")

    # writing ---------------------------------------------------------------------------------------------------

    def _write(self, texts: list[StoredText], replaced: set[str]) -> Steps[None]:
        nodes = self._make_nodes(texts)
        passages = [node.text for node in nodes]
        vectors: list[list[float]] = []
        if nodes:
            vectors = yield Job(partial(self.model.texts, passages), partial(self.model.atexts, passages))
        for stored in texts:
            if stored.document.document_id in replaced:
                yield from self._drop(stored.document.document_id)
            yield self._sign(stored, Signature.of_unfinished(stored.document))
        if nodes:
            self._keep_nodes(nodes)
            given = _attach_vectors(nodes, vectors)
            yield Job(partial(self.vector_store.add, given), partial(self.vector_store.async_add, given))
        for stored in texts:
            yield self._sign(stored, Signature.of(stored.document, self._steps().settings_key))

    def _make_nodes(self, texts: list[StoredText]) -> list[TextNode]:
        is_flat = bool(getattr(self.vector_store, "flat_metadata", False))  # a field of some stores only
        return [
            store_node_of(stored, place, is_flat=is_flat) for stored in texts for place in range(len(stored.chunks))
        ]

    def _sign(self, stored: StoredText, signature: Signature) -> Job:
        key, docs = stored.document.document_id, self.docstore
        return Job(
            partial(docs.set_document_hash, key, str(signature)), partial(docs.aset_document_hash, key, str(signature))
        )

    def _keep_nodes(self, nodes: list[TextNode]) -> None:
        if not self.vector_store.stores_text:
            self.docstore.add_documents(nodes)


@dataclass(slots=True)
class StoreBackend:
    """Searches the vector store, which is synced first where that is due."""

    engine: StoreEngine
    mode: str
    top_k: int
    strategy: Strategy
    filters: MetadataFilters | None
    score_cutoff: float | None

    def with_engine(self, engine: LibraryEngine) -> StoreBackend:
        """The same with another engine."""
        if not isinstance(engine, StoreEngine):
            raise ConfigurationError("This retriever searches a vector store; the other's engine has none.")
        return replace(self, engine=engine)

    def with_top_k(self, top_k: int) -> StoreBackend:
        """The same with another number of passages."""
        return replace(self, top_k=top_k)

    def retrieve(self, bundle: QueryBundle, text: str) -> Retrieved:
        """Search."""
        return run(self._search(bundle, text))

    async def aretrieve(self, bundle: QueryBundle, text: str) -> Retrieved:
        """As `retrieve`, without blocking."""
        return await arun(self._search(bundle, text))

    def _search(self, bundle: QueryBundle, text: str) -> Steps[Retrieved]:
        engine, store = self.engine, self.engine.vector_store
        snapshot = yield Job(engine.current, engine.acurrent)
        vector = yield Job(partial(engine.model.bundle, bundle), partial(engine.model.abundle, bundle))
        found: list[NodeWithScore] = []
        for size in self._list_sizes():
            query = self._make_query(text, vector, snapshot, size)
            result = yield Job(partial(store.query, query), partial(store.aquery, query))
            found, is_enough = self._collect_hits(result, snapshot, size)
            if is_enough:
                break
        return self._report_hits(found, text, snapshot)

    def _list_sizes(self) -> list[int]:
        """How many hits are asked for, until enough of them are of documents that are there."""
        return [self.top_k * factor for factor in (1, 4, 16, 64)]

    def _make_query(self, text: str, vector: list[float], snapshot: Snapshot, size: int) -> VectorStoreQuery:
        return VectorStoreQuery(
            query_embedding=vector,
            query_str=text,
            similarity_top_k=size,
            hybrid_top_k=size,
            sparse_top_k=size,
            mode=_MODES[self.strategy],
            filters=self._join_filters(snapshot),
        )

    def _join_filters(self, snapshot: Snapshot) -> MetadataFilters:
        """The user's filters beside the libraries'."""
        own = self.engine.own_filter()
        if self.filters is None or not self.filters.filters:
            return own
        warn_of_unknown_fields(filter_of(self.filters), snapshot)
        given = with_known_fields(self.filters, snapshot.fields)
        if given.condition in (None, FilterCondition.AND):
            return MetadataFilters(filters=[*own.filters, *given.filters])
        return MetadataFilters(filters=[*own.filters, given])

    def _read_nodes(self, result: VectorStoreQueryResult) -> Sequence[BaseNode | None]:
        """The nodes, from the docstore where the store keeps no text; None for those it does not know any more."""
        if result.nodes is not None:
            return result.nodes
        known = self.engine.docstore.get_document
        return [known(key, raise_error=False) for key in (result.ids if result.ids is not None else [])]

    def _collect_hits(
        self, result: VectorStoreQueryResult, snapshot: Snapshot, size: int
    ) -> tuple[list[NodeWithScore], bool]:
        """Hits of documents that are in the libraries now, each once; and whether it makes sense to ask for more."""
        nodes = self._read_nodes(result)
        scores = result.similarities if result.similarities is not None else [None] * len(nodes)
        now = datetime.now(timezone.utc)
        found: dict[str, NodeWithScore] = {}
        passes = self._choose_check()
        for node, score in zip(nodes, scores, strict=True):
            document = snapshot.documents.get(str(node.metadata.get("document_id"))) if node is not None else None
            if node is None or document is None or document.expired(now) or not is_of(node, document):
                continue
            if node.node_id not in found and passes(restored(node, document).metadata):
                number = float(score) if score is not None else None
                if self.score_cutoff is None or (number is not None and number >= self.score_cutoff):
                    found[node.node_id] = NodeWithScore(node=restored(node, document), score=number)
        is_enough = len(nodes) < size or len(found) >= self.top_k
        return list(found.values())[: self.top_k], is_enough

    def _choose_check(self) -> Callable[[Mapping[str, Any]], bool]:
        """A second look at the filters, as some stores ignore them; stores read texts by rules of their own."""
        filter_ = filter_of(self.filters)
        if filter_ is None or any(one.operator.startswith("text_match") for one in conditions(filter_)):
            return lambda _: True
        return partial(matches, filter_)

    def _report_hits(self, found: list[NodeWithScore], text: str, snapshot: Snapshot) -> Retrieved:
        outcome = "passages" if found else "nothing_found"
        kind = "store" if any(node.score is not None for node in found) else None
        return found, RetrievalReport(self.mode, kind, outcome, snapshot_id=snapshot.id, queries=[text])


def _split_documents(documents: list[LibraryDocument], size: int) -> Iterator[list[LibraryDocument]]:
    rest = iter(documents)
    while group := list(islice(rest, size)):
        yield group


def _attach_vectors(nodes: list[TextNode], vectors: list[list[float]]) -> list[BaseNode]:
    for node, vector in zip(nodes, vectors, strict=True):
        node.embedding = vector
    return list(nodes)
