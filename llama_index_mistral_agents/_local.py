"""Mode `local`: the foundation's engine, its hits as nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from llama_index.core.schema import QueryBundle

from llama_index_mistral_agents._backend import RetrievalReport, Retrieved
from llama_index_mistral_agents._embedding import ModelEmbedder
from llama_index_mistral_agents._nodes import nodes_of
from mistral_agents.retrieval.engine import LibraryEngine
from mistral_agents.retrieval.filters import Filter
from mistral_agents.retrieval.snapshot import SCORE_KINDS, Hit, Query, Strategy, Unit, scale_scores
from mistral_agents.retrieval.vectors import Fusion

Normalise = Literal["none", "minmax"]


@dataclass(slots=True)
class LocalBackend:
    """Searches the local snapshot."""

    engine: LibraryEngine
    embedder: ModelEmbedder | None
    top_k: int
    strategy: Strategy
    filter: Filter | None
    score_cutoff: float | None
    normalise: Normalise
    unit: Unit
    fusion: Fusion

    def _make_query(self, text: str, vector: list[float] | None) -> Query:
        return Query(text, self.top_k, self.strategy, vector, self.filter, self.score_cutoff, self.unit, self.fusion)

    def retrieve(self, bundle: QueryBundle, text: str) -> Retrieved:
        """Search."""
        vector = self.embedder.bundle(bundle) if self.embedder is not None else None
        return self._report_hits(self.engine.search(self._make_query(text, vector)), text)

    async def aretrieve(self, bundle: QueryBundle, text: str) -> Retrieved:
        """As `retrieve`, without blocking."""
        vector = await self.embedder.abundle(bundle) if self.embedder is not None else None
        return self._report_hits(await self.engine.asearch(self._make_query(text, vector)), text)

    def with_engine(self, engine: LibraryEngine) -> LocalBackend:
        """The same with another engine."""
        return replace(self, engine=engine)

    def with_top_k(self, top_k: int) -> LocalBackend:
        """The same with another number of passages."""
        return replace(self, top_k=top_k)

    def _report_hits(self, hits: list[Hit], text: str) -> Retrieved:
        nodes = nodes_of(hits, self.unit)
        if self.normalise == "minmax":
            for node, score in zip(nodes, scale_scores([node.get_score() for node in nodes]), strict=True):
                node.score = score
        snapshot = self.engine.snapshot
        report = RetrievalReport(
            mode="local",
            score_kind=SCORE_KINDS[self.strategy],
            outcome="passages" if nodes else "nothing_found",
            snapshot_id=snapshot.id if snapshot is not None else None,
            queries=[text],
        )
        return nodes, report
