"""Searches one index: by words, by vectors, or both, under filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np

from mistral_agents.retrieval.analysis import Analyzer, QueryTerm
from mistral_agents.retrieval.keyword import KeywordIndex
from mistral_agents.retrieval.postings import Numbering, TermRows, Vocabulary
from mistral_agents_server.errors import ApiError, bad_request
from mistral_agents_server.search_index.hashing import embed
from mistral_agents_server.search_index.ingest import moment
from mistral_agents_server.search_index.models import (
    And,
    Config,
    Equal,
    Fields,
    Filter,
    Keyword,
    NearestNeighbour,
    Not,
    Or,
    Range,
    Retriever,
    Rrf,
)

Wire = dict[str, Any]
Scored = list[tuple[int, float, float | None]]
"""Number of a chunk, its score, and its distance where vectors were compared; best first."""

_SYSTEM_FIELDS = ("id", "source_id", "locator", "chunk_type")
_UNSEARCHED = ("json", "dense_vector")


class Searcher:
    """The chunks of an index, ready for searches; made anew when they change.

    Args:
        name: the index.
        config: its vectors.
        fields: its own fields.
        bodies: its chunks, as searches show them.
        embeddings: their vectors, one row each.
    """

    def __init__(self, name: str, config: Config, fields: Fields, bodies: list[Wire], embeddings: Any) -> None:
        self._name = name
        self._config = config
        self._types = {field: d.type for field, d in {**fields.document_fields, **fields.chunk_fields}.items()}
        self._bodies = bodies
        self._embeddings = embeddings
        self._words: dict[str, tuple[KeywordIndex, list[set[str]]]] = {}
        self._analyzer = Analyzer("english")

    def search(self, retriever: Retriever) -> list[Wire]:
        """The hits of a search, best first.

        Raises:
            ApiError: 400 when a field isn't there or a vector has the wrong length.
        """
        return [
            {"chunk": self._bodies[number], "score": score, "index_name": self._name, "distance": distance}
            for number, score, distance in self._ranked(retriever)
        ]

    def _ranked(self, retriever: Retriever) -> Scored:
        keeps = self._filter(retriever.filter_)
        if isinstance(retriever, Rrf):
            return self._fused(retriever, keeps)[: retriever.top_k]
        found = self._by_words(retriever) if isinstance(retriever, Keyword) else self._by_vectors(retriever)
        return [hit for hit in found if keeps(self._bodies[hit[0]])][: retriever.top_k]

    def _fused(self, retriever: Rrf, keeps: Callable[[Wire], bool]) -> Scored:
        weights = retriever.weights if retriever.weights is not None else [1.0] * len(retriever.retrievers)
        scores: dict[int, float] = {}
        for child, weight in zip(retriever.retrievers, weights, strict=True):
            for rank, (number, _, _) in enumerate(self._ranked(child), start=1):
                if keeps(self._bodies[number]):
                    scores[number] = scores.get(number, 0.0) + weight / (retriever.rank_constant + rank)
        return [(number, score, None) for number, score in sorted(scores.items(), key=lambda item: -item[1])]

    def _by_words(self, retriever: Keyword) -> Scored:
        field = retriever.field if retriever.field is not None else "content"
        if field != "content" and self._types.get(field) not in ("text", "keyword"):
            raise bad_request(f"Field {field!r} can't be searched by words")
        index, words = self._index_of(field)
        asked = self._analyzer.query_terms(retriever.query)
        scores = index.scores(asked)
        order = sorted(range(len(self._bodies)), key=lambda number: -scores[number])
        every = asked if retriever.operator == "and" else []
        return [(n, float(scores[n]), None) for n in order if scores[n] > 0 and _satisfies(words[n], every)]

    def _index_of(self, field: str) -> tuple[KeywordIndex, list[set[str]]]:
        if field not in self._words:
            vocabulary = Vocabulary()
            numbering = Numbering(self._analyzer, vocabulary)
            texts = [str(body.get(field) or "") for body in self._bodies]
            index = KeywordIndex(vocabulary, [TermRows.of([numbering.row(text)]) for text in texts])
            self._words[field] = index, [set(self._analyzer.terms(text)) for text in texts]
        return self._words[field]

    def _by_vectors(self, retriever: NearestNeighbour) -> Scored:
        """All chunks by distance. The score is a guess: one less the distance, or the product, or 1/(1+l2)."""
        if retriever.field not in (None, "content", "content_embedding"):
            raise bad_request(f"Field {retriever.field!r} holds no vectors")
        embedding = self._config.embedding
        asked = np.asarray(self._asked(retriever), dtype="float32")
        products = self._embeddings @ asked
        if embedding.distance_metric == "inner_product":
            scores, distances = products, -products
        elif embedding.distance_metric == "l2":
            distances = np.linalg.norm(self._embeddings - asked, axis=1)
            scores = 1 / (1 + distances)
        else:
            lengths = np.linalg.norm(self._embeddings, axis=1) * np.linalg.norm(asked)
            scores = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
            distances = 1 - scores
        order = np.argsort(distances, kind="stable")
        return [(int(n), float(scores[n]), float(distances[n])) for n in order]

    def _asked(self, retriever: NearestNeighbour) -> list[float]:
        embedding = self._config.embedding
        if retriever.query is not None:
            if embedding.type == "custom":
                raise bad_request("An index with custom embeddings needs query_embedding")
            return embed(retriever.query, embedding.dimensions)
        given = retriever.query_embedding if retriever.query_embedding is not None else []
        if len(given) != embedding.dimensions:
            raise bad_request(f"query_embedding must have {embedding.dimensions} numbers, not {len(given)}")
        return given

    def _filter(self, wanted: Filter | None) -> Callable[[Wire], bool]:
        if wanted is None:
            return lambda _: True
        if isinstance(wanted, (And, Or)):
            parts = [self._filter(match) for match in wanted.matches]
            together = all if isinstance(wanted, And) else any
            return lambda body: together(part(body) for part in parts)
        if isinstance(wanted, Not):
            inner = self._filter(wanted.match)
            return lambda body: not inner(body)
        kind = self._kind(wanted.field)
        if isinstance(wanted, Range):
            return self._range(wanted, kind)
        values = [
            _comparable(value, kind) for value in ([wanted.value] if isinstance(wanted, Equal) else wanted.values)
        ]
        return lambda body: any(
            _comparable(held, kind) in values for held in _held(body, wanted.field) if held is not None
        )

    def _kind(self, field: str) -> str:
        kind = "keyword" if field in _SYSTEM_FIELDS else self._types.get(field)
        if kind is None or kind in _UNSEARCHED:
            raise bad_request(f"Field {field!r} can't be filtered by")
        return kind.removesuffix("[]")

    @staticmethod
    def _range(wanted: Range, kind: str) -> Callable[[Wire], bool]:
        def bound(value: Any) -> Any:
            return _comparable(value, kind) if value is not None else None

        above, least, below, most = bound(wanted.gt), bound(wanted.gte), bound(wanted.lt), bound(wanted.lte)

        def lies(value: Any) -> bool:
            return (
                (above is None or value > above)
                and (least is None or value >= least)
                and (below is None or value < below)
                and (most is None or value <= most)
            )

        return lambda body: any(lies(_comparable(held, kind)) for held in _held(body, wanted.field) if held is not None)


def _held(body: Wire, field: str) -> list[Any]:
    value = body.get(field)
    return value if isinstance(value, list) else [value]


def _comparable(value: Any, kind: str) -> Any:
    """A value as it is compared with others of its field.

    Raises:
        ApiError: 400 when it is none of this kind.
    """
    if kind != "timestamp":
        if isinstance(value, datetime) or (isinstance(value, str) != (kind in ("keyword", "text"))):
            raise _wrong(value, kind)
        return value
    if isinstance(value, str):
        try:
            value = moment(value)
        except ValueError as error:
            raise _wrong(value, kind) from error
    if isinstance(value, (int, float)):
        value = datetime.fromtimestamp(value, timezone.utc)
    return value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)


def _wrong(value: Any, kind: str) -> ApiError:
    return bad_request(f"{value!r} can't be compared with a field of type {kind}")


def _satisfies(words: set[str], asked: Sequence[QueryTerm]) -> bool:
    return all(any(words.issuperset(way.terms) for way in ways) for ways in asked)
