"""`MistralSearchIndexVectorStore`: a search index of the service as a vector store. Experimental, as the service is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.schema import BaseNode, MetadataMode, TextNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict
from typing_extensions import Unpack

from llama_index_mistral_agents._filters import filter_of
from llama_index_mistral_agents._settings import Dumped, check_further_names
from mistral_agents._http.concealed import conceal_text
from mistral_agents.client import MistralAgents, choose_client
from mistral_agents.errors import ConfigurationError, NotFoundError
from mistral_agents.retrieval.search_indexes import (
    CHUNK_FIELDS,
    DOCUMENT_FIELDS,
    FieldType,
    SearchIndexes,
    SearchKind,
    checked_name,
    compile_filter,
    make_index,
    make_locator,
    make_retriever,
)

_KINDS: dict[VectorStoreQueryMode, SearchKind] = {
    VectorStoreQueryMode.DEFAULT: "nearest_neighbour",
    VectorStoreQueryMode.SPARSE: "keyword",
    VectorStoreQueryMode.TEXT_SEARCH: "keyword",
    VectorStoreQueryMode.HYBRID: "rrf",
}


class MistralSearchIndexVectorStore(BasePydanticVectorStore):
    """Nodes and vectors in a search index; the index is made with the first nodes.

    The search-index API is a public preview, and no recorded reply of it was available: expect changes. An `add`
    replaces whole documents, so all nodes of a document must come in one call. Scores are the service's own; for
    `HYBRID` they are about 0.02.

    Args:
        index_name: 1 to 63 letters, digits or `_`.
        client: The client; else one is made of `api_key` and `base_url`.
        api_key: The key; None reads MISTRAL_API_KEY.
        base_url: The service's address; None reads MISTRAL_BASE_URL.
        attribute_fields: Metadata to filter by beside the usual, and their types, e.g. `{"year": "int"}`.
        embedding_name: What the index calls the model that makes the vectors.
    """

    stores_text: bool = True
    index_name: str = Field(description="The index.")
    attribute_fields: dict[str, FieldType] = Field(default_factory=dict, description="Further fields to filter by.")
    embedding_name: str = Field(default="custom", description="The index's name of the embedding model.")
    _client: MistralAgents = PrivateAttr()

    def __init__(
        self,
        index_name: str,
        *,
        client: MistralAgents | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        attribute_fields: Mapping[str, FieldType] | None = None,
        embedding_name: str = "custom",
        **further: Unpack[Dumped],
    ) -> None:
        api_key, base_url = conceal_text(api_key), conceal_text(base_url)
        check_further_names(type(self), further)
        known = dict(attribute_fields) if attribute_fields is not None else {}
        fields: dict[str, Any] = {
            "index_name": checked_name(index_name),
            "attribute_fields": known,
            "embedding_name": embedding_name,
        }
        super().__init__(**fields)
        self._client = choose_client(client, api_key=api_key, base_url=base_url)

    @classmethod
    def class_name(cls) -> str:
        """The class's name."""
        return "MistralSearchIndexVectorStore"

    @property
    def client(self) -> SearchIndexes:
        """The service's search indexes."""
        return self._client.search_indexes

    # writing ---------------------------------------------------------------------------------------------------

    def add(self, nodes: Sequence[BaseNode], **_: object) -> list[str]:
        """Put nodes in; their documents are replaced as a whole.

        Raises:
            IngestError: The index rejected documents.
            IndexNotReadyError: The index can't be used.
        """
        if nodes:
            self.client.ensure(self.index_name, **self._make_index(nodes))
            self.client.ingest(self.index_name, self._make_documents(nodes))
        return [node.node_id for node in nodes]

    async def async_add(self, nodes: Sequence[BaseNode], **_: object) -> list[str]:
        """As `add`, without blocking."""
        if nodes:
            await self.client.aensure(self.index_name, **self._make_index(nodes))
            await self.client.aingest(self.index_name, self._make_documents(nodes))
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **_: object) -> None:
        """Delete a document's nodes; an absent one is no error, and neither is an index that is not made yet."""
        with suppress(NotFoundError):
            self.client.delete_documents(self.index_name, [ref_doc_id])

    async def adelete(self, ref_doc_id: str, **_: object) -> None:
        """As `delete`, without blocking."""
        with suppress(NotFoundError):
            await self.client.adelete_documents(self.index_name, [ref_doc_id])

    def clear(self) -> None:
        """Delete the index, if there is one."""
        with suppress(NotFoundError):
            self.client.delete(self.index_name)

    async def aclear(self) -> None:
        """As `clear`, without blocking."""
        with suppress(NotFoundError):
            await self.client.adelete(self.index_name)

    def _make_index(self, nodes: Sequence[BaseNode]) -> dict[str, Any]:
        return make_index(self.embedding_name, len(nodes[0].get_embedding()), self._list_document_fields())

    @property
    def field_types(self) -> dict[str, FieldType]:
        """The fields that can be filtered by, and their types."""
        return {**self._list_document_fields(), **CHUNK_FIELDS}

    def _list_document_fields(self) -> dict[str, FieldType]:
        return {**DOCUMENT_FIELDS, **self.attribute_fields}

    def _make_documents(self, nodes: Sequence[BaseNode]) -> list[dict[str, Any]]:
        documents: dict[str, dict[str, Any]] = {}
        for node in nodes:
            source = node.ref_doc_id if node.ref_doc_id is not None else node.node_id
            own = {key: node.metadata[key] for key in self._list_document_fields() if key in node.metadata}
            documents.setdefault(source, {"source_id": source, **own, "chunks": []})["chunks"].append(_make_chunk(node))
        return list(documents.values())

    # searching -------------------------------------------------------------------------------------------------

    def query(self, query: VectorStoreQuery, **_: object) -> VectorStoreQueryResult:
        """Search by vector (`DEFAULT`), words (`SPARSE`, `TEXT_SEARCH`) or both (`HYBRID`).

        Raises:
            ConfigurationError: The mode is another, `top_k` above 100, or the query lacks what the mode needs.
            UnsupportedFilterError: The index can't apply a filter.
        """
        return _read_hits(self.client.search(self.index_name, self._make_retriever(query)))

    async def aquery(self, query: VectorStoreQuery, **_: object) -> VectorStoreQueryResult:
        """As `query`, without blocking."""
        return _read_hits(await self.client.asearch(self.index_name, self._make_retriever(query)))

    def _make_retriever(self, query: VectorStoreQuery) -> dict[str, Any]:
        kind = _KINDS.get(query.mode)
        if kind is None:
            raise ConfigurationError(f"A search index has no query mode {query.mode.value!r}.")
        filter_ = filter_of(query.filters)
        compiled = compile_filter(filter_, self.field_types) if filter_ is not None else None
        return make_retriever(kind, query.similarity_top_k, query.query_str, query.query_embedding, compiled)


def _make_chunk(node: BaseNode) -> dict[str, Any]:
    start, end = (node.start_char_idx, node.end_char_idx) if isinstance(node, TextNode) else (None, None)
    page = node.metadata.get("page_label")
    return {
        "content": node.get_content(MetadataMode.NONE),
        "locator": make_locator(node.node_id, start, end, page),
        "start_offset": start,
        "end_offset": end,
        "content_embedding": node.get_embedding(),
        "metadata": node_to_metadata_dict(node, remove_text=True),
        **({"page_label": page} if page is not None else {}),
    }


def _read_hits(hits: list[dict[str, Any]]) -> VectorStoreQueryResult:
    nodes = [_restore_node(hit["chunk"]) for hit in hits]
    scores = [float(hit["score"]) for hit in hits]
    return VectorStoreQueryResult(nodes=nodes, similarities=scores, ids=[node.node_id for node in nodes])


def _restore_node(chunk: dict[str, Any]) -> BaseNode:
    """The node as it was put in; a chunk that something else put in becomes a plain node."""
    metadata = chunk.get("metadata")
    if isinstance(metadata, dict) and "_node_content" in metadata:
        return metadata_dict_to_node(metadata, text=chunk.get("content"))
    return TextNode(
        id_=str(chunk.get("id")), text=str(chunk.get("content")), metadata={"source_id": chunk.get("source_id")}
    )
