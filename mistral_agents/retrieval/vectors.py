"""Vectors of chunks: cosine similarity, and the interface to whatever makes the vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval._extras import load

RRF_CONSTANT = 60
"""From Cormack, Clarke and Büttcher (2009)."""


class Embedder(Protocol):
    """Makes vectors of texts; `name` and the vectors' length decide whether stored vectors still fit."""

    name: str
    batch_size: int

    def texts(self, texts: list[str]) -> list[list[float]]:
        """Vectors of passages."""

    async def atexts(self, texts: list[str]) -> list[list[float]]:
        """As `texts`, without blocking."""

    def query(self, text: str) -> list[float]:
        """The vector of a question."""

    async def aquery(self, text: str) -> list[float]:
        """As `query`, without blocking."""


def normalised(vectors: Any) -> Any:
    """Rows of length one (float32); a row of zeros stays."""
    numpy = load("numpy")
    rows = numpy.atleast_2d(numpy.asarray(vectors, dtype="float32"))
    lengths = numpy.linalg.norm(rows, axis=1, keepdims=True)
    return rows / numpy.where(lengths > 0, lengths, 1)


class VectorIndex:
    """Cosine similarity of a query to every chunk.

    Args:
        matrix: One row of length one per chunk.
    """

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix

    def scores(self, query: Sequence[float]) -> Any:
        """A score for each chunk, -1 to 1.

        Raises:
            ConfigurationError: The query's vector has another length than the chunks'.
        """
        if len(self.matrix) and len(query) != self.matrix.shape[1]:
            message = f"The query's vector has {len(query)} numbers, the library's have {self.matrix.shape[1]}."
            raise ConfigurationError(message)
        return self.matrix @ normalised(query)[0] if len(self.matrix) else load("numpy").zeros(0)


def fuse(rankings: Sequence[Sequence[int]]) -> dict[int, float]:
    """Reciprocal rank fusion: the sum of 1 / (60 + rank) over the rankings that hold an item; ranks begin at 1."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1.0 / (RRF_CONSTANT + rank)
    return scores
