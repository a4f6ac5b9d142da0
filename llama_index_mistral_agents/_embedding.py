"""A LlamaIndex embedding model as the engine's embedder."""

from __future__ import annotations

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.schema import QueryBundle
from pydantic import PrivateAttr

from mistral_agents.client import MistralAgents
from mistral_agents.embeddings import EmbeddingModel


class ServiceEmbedding(BaseEmbedding):
    """An embedding model of the service as a model of LlamaIndex's.

    Args:
        client: Asks for the vectors.
        model_name: The model's name.

    Raises:
        ConfigurationError: The name is blank.
    """

    _model: EmbeddingModel = PrivateAttr()

    def __init__(self, client: MistralAgents, model_name: str) -> None:
        model = EmbeddingModel(client.embeddings, model_name)
        super().__init__(model_name=model_name, embed_batch_size=model.batch_size)
        self._model = model

    @classmethod
    def class_name(cls) -> str:
        """The name in serialized settings."""
        return "MistralServiceEmbedding"

    def _get_query_embedding(self, query: str) -> Embedding:
        return self._model.query(query)

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return await self._model.aquery(query)

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._model.texts([text])[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._model.atexts([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return list(self._model.texts(texts))

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return list(await self._model.atexts(texts))


class ModelEmbedder:
    """Embeds with a LlamaIndex model; its class and model name tell whether stored vectors still fit.

    Args:
        model: The embedding model.
        batch_size: Texts per request; by default the model's `embed_batch_size`.
    """

    def __init__(self, model: BaseEmbedding, batch_size: int | None = None) -> None:
        self.model = model
        self.name = f"{type(model).__name__}:{model.model_name}"
        self.batch_size = batch_size if batch_size is not None else model.embed_batch_size

    def texts(self, texts: list[str]) -> list[list[float]]:
        """Vectors of passages."""
        return self.model.get_text_embedding_batch(texts)

    async def atexts(self, texts: list[str]) -> list[list[float]]:
        """As `texts`, without blocking."""
        return await self.model.aget_text_embedding_batch(texts)

    def query(self, text: str) -> list[float]:
        """The vector of a question."""
        return self.model.get_query_embedding(text)

    async def aquery(self, text: str) -> list[float]:
        """As `query`, without blocking."""
        return await self.model.aget_query_embedding(text)

    def bundle(self, bundle: QueryBundle) -> list[float]:
        """The vector of a query: its own where it brings one, else the mean over its embedding texts."""
        if bundle.embedding is not None:
            return bundle.embedding
        return self.model.get_agg_embedding_from_queries(bundle.embedding_strs)

    async def abundle(self, bundle: QueryBundle) -> list[float]:
        """As `bundle`, without blocking."""
        if bundle.embedding is not None:
            return bundle.embedding
        return await self.model.aget_agg_embedding_from_queries(bundle.embedding_strs)
