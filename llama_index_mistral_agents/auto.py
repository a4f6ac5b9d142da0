"""A retriever whose filters and query an LLM chooses, from the fields that the library's documents really have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.bridge.pydantic import BaseModel, ValidationError
from llama_index.core.indices.vector_store.retrievers import VectorIndexAutoRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import MetadataFilters, MetadataInfo, VectorStoreInfo, VectorStoreQuerySpec

from llama_index_mistral_agents._asking import AskedRetriever
from mistral_agents.retrieval.documents import describe_fields
from mistral_agents.retrieval.snapshot import Snapshot

if TYPE_CHECKING:
    from llama_index.core.llms import LLM

    from llama_index_mistral_agents.index import MistralLibraryIndex
    from llama_index_mistral_agents.retriever import MistralLibraryRetriever

_SAMPLES = 8


class MistralAutoRetriever(AskedRetriever, VectorIndexAutoRetriever):
    """Lets an LLM turn a question into a query, filters and `top_k`.

    The LLM is shown each metadata field of the library's documents with its type and some values, gathered at the
    last sync. A plan that can't be read falls back to the plain question, as in LlamaIndex.

    Args:
        index: The library.
        llm: The LLM; None takes `Settings.llm`.
        description: What the library holds, for the LLM.
        similarity_top_k: Most passages to return.
        max_top_k: Most that the LLM may ask for.
        extra_filters: Filters that always apply.
        retriever_options: As of `MistralLibraryRetriever`.
    """

    def __init__(
        self,
        index: MistralLibraryIndex,
        *,
        llm: LLM | None = None,
        description: str = "Passages of a document library.",
        similarity_top_k: int = 5,
        max_top_k: int = 10,
        extra_filters: MetadataFilters | None = None,
        **retriever_options: object,
    ) -> None:
        self._library = index
        self._options = retriever_options
        self._description = description
        self._base: MistralLibraryRetriever = index.as_retriever(**retriever_options)  # type: ignore[assignment]
        super().__init__(
            index,  # type: ignore[arg-type]
            VectorStoreInfo(metadata_info=[], content_info=description),
            llm=llm,
            similarity_top_k=similarity_top_k,
            max_top_k=max_top_k,
            extra_filters=extra_filters,
        )

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        self._describe(self._base.engine.current())
        return super()._retrieve(query_bundle)

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        self._describe(await self._base.engine.acurrent())
        return await super()._aretrieve(query_bundle)

    def _describe(self, snapshot: Snapshot) -> None:
        info = list(metadata_schema(document.metadata() for document in snapshot.documents.values()))
        self._vector_store_info = VectorStoreInfo(metadata_info=info, content_info=self._description)

    def _parse_generated_spec(self, output: str, query_bundle: QueryBundle) -> BaseModel:
        try:
            return super()._parse_generated_spec(output, query_bundle)
        except ValidationError:  # which early 0.14 releases of LlamaIndex let through
            return VectorStoreQuerySpec(query=query_bundle.query_str, filters=[], top_k=None)

    def _build_retriever_from_spec(self, spec: VectorStoreQuerySpec) -> tuple[BaseRetriever, QueryBundle]:  # type: ignore[override]
        top_k = self._similarity_top_k if spec.top_k is None else max(1, min(spec.top_k, self._max_top_k))
        chosen = [*spec.filters, *self._extra_filters.filters]
        filters = MetadataFilters(filters=chosen) if chosen else None
        retriever = self._library.as_retriever(**{**self._options, "similarity_top_k": top_k, "filters": filters})
        return retriever, QueryBundle(spec.query)


def metadata_schema(rows: Iterable[dict[str, Any]]) -> Iterable[MetadataInfo]:
    """Fields that may be filtered by, with their type and a few values."""
    for key, seen in describe_fields(rows, _SAMPLES).items():
        kind = type(seen[0]).__name__
        yield MetadataInfo(name=key, type=kind, description=f"for example: {', '.join(map(str, seen))}")
