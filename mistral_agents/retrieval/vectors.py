"""Vectors of chunks: cosine similarity, and the interface to whatever makes the vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol

from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval._extras import load

RRF_CONSTANT = 60
"""From Cormack, Clarke and Büttcher (2009)."""
DOCUMENT_WEIGHT = 0.5
"""How much a document's mean direction counts beside a passage's own."""
_BLOCK = 10_000  # passages that are compared at once, which bounds memory


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


def normalised(vectors: object) -> Any:
    """Rows of length one (float32); a row of zeros stays."""
    numpy = load("numpy")
    rows = numpy.atleast_2d(numpy.asarray(vectors, dtype="float32"))
    lengths = numpy.linalg.norm(rows, axis=1, keepdims=True)
    return rows / numpy.where(lengths > 0, lengths, 1)


class VectorIndex:
    """Similarity of a query to every passage: the cosine to the passage's vector, with its document's mixed in.

    A passage that is cut out of its document says less of what it is about, so each counts as the sum of its vector
    and half the mean direction of its document's passages.

    Args:
        matrix: One row of length one per passage.
        document_of: Each passage's document, ascending from 0.
    """

    def __init__(self, matrix: Any, document_of: Any) -> None:
        numpy = load("numpy")
        self.matrix = matrix
        self._document_of = document_of
        first = numpy.flatnonzero(numpy.concatenate([[True], document_of[1:] != document_of[:-1]]))
        self._means = normalised(numpy.add.reduceat(matrix, first, axis=0)) if len(matrix) else matrix
        self._lengths = numpy.ones(len(matrix), dtype="float32")
        for start in range(0, len(matrix), _BLOCK):
            part = slice(start, start + _BLOCK)
            shared = (matrix[part] * self._means[document_of[part]]).sum(axis=1)
            self._lengths[part] = numpy.sqrt(1 + DOCUMENT_WEIGHT**2 + 2 * DOCUMENT_WEIGHT * shared)

    def scores(self, query: Sequence[float]) -> Any:
        """A score for each passage, -1 to 1.

        Raises:
            ConfigurationError: The query's vector has another length than the passages'.
        """
        if len(self.matrix) and len(query) != self.matrix.shape[1]:
            message = f"The query's vector has {len(query)} numbers, the library's have {self.matrix.shape[1]}."
            raise ConfigurationError(message)
        if not len(self.matrix):
            return load("numpy").zeros(0)
        asked = normalised(query)[0]
        whole = DOCUMENT_WEIGHT * (self._means @ asked)
        return (self.matrix @ asked + whole[self._document_of]) / self._lengths


@dataclass(frozen=True, slots=True)
class Fusion:
    """How `hybrid` joins words and vectors.

    Attributes:
        words_top_k: How many of the best passages by words are candidates; None takes 100, or as many as are to be
            returned where these are more.
        vectors_top_k: The same by vectors.
        words_weight: How much words count, from 0.
        vectors_weight: How much vectors count, from 0.

    Raises:
        ConfigurationError: A value is wrong.
    """

    words_top_k: int | None = None
    vectors_top_k: int | None = None
    words_weight: float = 1.0
    vectors_weight: float = 1.0

    def __post_init__(self) -> None:
        for name, depth in (("words_top_k", self.words_top_k), ("vectors_top_k", self.vectors_top_k)):
            if depth is not None and (type(depth) is not int or depth < 1):
                raise ConfigurationError(f"{name} must be a whole number from 1, or None, not {depth!r}.")
        weights = {"words_weight": self.words_weight, "vectors_weight": self.vectors_weight}
        for name, weight in weights.items():
            if type(weight) not in (int, float) or not 0 <= weight < inf:
                raise ConfigurationError(f"{name} must be a number from 0, not {weight!r}.")
        if not any(weights.values()):
            raise ConfigurationError("words_weight and vectors_weight can't both be 0: nothing would be ranked.")

    def join(self, words: object, vectors: object) -> Any:
        """Scores of candidates from 0 to 1, of their scores by words and by vectors.

        Each kind is standardised over the candidates, since the two have different scales, and the weighted mean goes
        through a logistic function: 0.5 is a candidate like the average. Every candidate has both scores, so nothing
        is lost of how much better one is than the next, as it is where only ranks are added.
        """
        numpy = load("numpy")
        total = self.words_weight * _standardised(words) + self.vectors_weight * _standardised(vectors)
        return 1 / (1 + numpy.exp(-2 * total / (self.words_weight + self.vectors_weight)))


EVEN = Fusion()
"""Words and vectors count alike."""


def _standardised(scores: Any) -> Any:
    """Scores with mean 0 and deviation 1; all 0 where they are equal."""
    deviation = float(scores.std()) if len(scores) else 0.0
    return (scores - scores.mean()) / deviation if deviation > 1e-9 else scores * 0.0


def fuse(rankings: Sequence[Sequence[int]]) -> dict[int, float]:
    """Reciprocal rank fusion of rankings without scores: the sum of 1 / (60 + rank); ranks begin at 1."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1.0 / (RRF_CONSTANT + rank)
    return scores
