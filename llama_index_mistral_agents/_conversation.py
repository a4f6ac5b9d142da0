"""Mode `conversation`: an agent's own library search, its passages as nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from llama_index.core.schema import NodeWithScore, QueryBundle

from llama_index_mistral_agents._backend import Backend, RetrievalReport, Retrieved
from llama_index_mistral_agents._messages_in import usage_dict
from llama_index_mistral_agents._nodes import node_of_passage
from mistral_agents._steps import arun, run
from mistral_agents.retrieval.agent_search import AgentSearch, AgentSearchResult
from mistral_agents.retrieval.engine import LibraryEngine


@dataclass(slots=True)
class ConversationBackend:
    """Searches by an agent, else by the fallback."""

    search: AgentSearch
    fallback: Backend

    def retrieve(self, bundle: QueryBundle, text: str) -> Retrieved:
        """Search."""
        found = run(self.search.find(text))
        return self._collect_nodes(found) if found is not None else self.fallback.retrieve(bundle, text)

    async def aretrieve(self, bundle: QueryBundle, text: str) -> Retrieved:
        """As `retrieve`, without blocking."""
        found = await arun(self.search.find(text))
        return self._collect_nodes(found) if found is not None else await self.fallback.aretrieve(bundle, text)

    def with_engine(self, engine: LibraryEngine) -> ConversationBackend:
        """The same with another engine to fall back to."""
        return replace(self, fallback=self.fallback.with_engine(engine))

    def with_top_k(self, top_k: int) -> ConversationBackend:
        """The same with another number of passages."""
        return replace(self, search=replace(self.search, top_k=top_k), fallback=self.fallback.with_top_k(top_k))

    def _collect_nodes(self, result: AgentSearchResult) -> Retrieved:
        report = RetrievalReport(
            mode="conversation",
            score_kind="bm25" if self.search.rescore else None,
            outcome=result.found.outcome,
            usage=usage_dict(result.turn),
            queries=list(result.found.queries),
        )
        return [NodeWithScore(node=node_of_passage(passage), score=score) for passage, score in result.passages], report
