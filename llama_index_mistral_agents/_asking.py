"""What is asked is looked at before LlamaIndex makes an event of it, whose own error names a class of its own."""

from __future__ import annotations

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.response.schema import RESPONSE_TYPE
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle, QueryType
from typing_extensions import override

from mistral_agents.retrieval.snapshot import is_question


def make_bundle(asked: object) -> QueryBundle:
    """What is asked, as LlamaIndex passes it on.

    Raises:
        ConfigurationError: It is neither a text nor a bundle with one.
    """
    bundle = asked if isinstance(asked, QueryBundle) else None
    text = bundle.query_str if bundle is not None else asked
    is_question(text)
    return bundle if bundle is not None else QueryBundle(str(text))


class AskedRetriever(BaseRetriever):
    """A retriever that refuses what is no question.

    Raises:
        ConfigurationError: What is asked is no text.
    """

    @override
    def retrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        make_bundle(str_or_query_bundle)
        return super().retrieve(str_or_query_bundle)

    @override
    async def aretrieve(self, str_or_query_bundle: QueryType) -> list[NodeWithScore]:
        make_bundle(str_or_query_bundle)
        return await super().aretrieve(str_or_query_bundle)


class _AskedEngine(RetrieverQueryEngine):
    @override
    def query(self, str_or_query_bundle: QueryType) -> RESPONSE_TYPE:
        make_bundle(str_or_query_bundle)
        return super().query(str_or_query_bundle)

    @override
    async def aquery(self, str_or_query_bundle: QueryType) -> RESPONSE_TYPE:
        make_bundle(str_or_query_bundle)
        return await super().aquery(str_or_query_bundle)


def refusing(engine: BaseQueryEngine) -> BaseQueryEngine:
    """The engine, which refuses what is no question."""
    if type(engine) is RetrieverQueryEngine:
        engine.__class__ = _AskedEngine
    return engine
