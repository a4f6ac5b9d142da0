"""Mode `conversation`: an agent's own library search, read from what the tool returned."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from llama_index.core.schema import NodeWithScore, QueryBundle

from llama_index_mistral_agents._backend import Backend, RetrievalReport, Retrieved
from llama_index_mistral_agents._blocks import usage_dict
from llama_index_mistral_agents._nodes import node_of_passage
from llama_index_mistral_agents.turn_events import announce
from mistral_agents.client import MistralAgents
from mistral_agents.errors import ConfigurationError, PartialTurn, StreamInterruptedError, TurnFailedError
from mistral_agents.retrieval.analysis import Analyzer
from mistral_agents.retrieval.engine import LibraryEngine
from mistral_agents.retrieval.errors import PassagesUnavailableError
from mistral_agents.retrieval.keyword import KeywordIndex
from mistral_agents.retrieval.passages import SEARCH_ONLY, Found, Passage, find_passages, with_library
from mistral_agents.retrieval.postings import Numbering, TermRows, Vocabulary
from mistral_agents.turn import Turn

OnNoPassages = Literal["error", "local", "empty"]
_EMPTY = frozenset({"nothing_found"})
"""Outcomes that are an honest empty result: the libraries were searched."""
_WHY = {
    "documents_only": "the search named documents but gave no text of them",
    "tool_not_called": "the model answered without searching the library",
    "tool_failed": "the search failed on the service",
    "id_mangled": "the model searched a library it was not given",
    "unreadable": "the search's result has a shape this version does not know",
    "stream_error": "the stream broke off",
}


@dataclass(slots=True)
class ConversationBackend:
    """Asks a throwaway conversation (`store=False`) and takes the passages its search returned.

    Costs a turn with model and connector tokens. There are no scores unless `rescore` is set, and no filters; what is
    found may differ from one call to the next. A node is never made of the model's answer.
    """

    client: MistralAgents
    library_ids: tuple[str, ...]
    top_k: int
    model: str
    agent_id: str | None
    on_no_passages: OnNoPassages
    rescore: bool
    language: str
    max_tokens: int
    fallback: Backend | None = field(default=None)

    def __post_init__(self) -> None:
        if self.on_no_passages not in ("error", "local", "empty"):
            raise ConfigurationError(f"on_no_passages must be error, local or empty, not {self.on_no_passages!r}.")

    def _request(self, text: str) -> dict[str, Any]:
        if self.agent_id is not None:
            return {"inputs": text, "agent_id": self.agent_id, "store": False}
        return {
            "inputs": text,
            "model": self.model,
            "store": False,
            "instructions": SEARCH_ONLY,
            "tools": [{"type": "document_library", "library_ids": list(self.library_ids)}],
            "completion_args": {"temperature": 0.0, "max_tokens": self.max_tokens},
        }

    def retrieve(self, bundle: QueryBundle, text: str) -> Retrieved:
        """Search."""
        try:
            with self.client.conversations.start_stream(**self._request(text)) as stream:
                turn = stream.read()
        except (StreamInterruptedError, TurnFailedError) as error:
            if self.on_no_passages != "local" or self.fallback is None:
                raise _make_broken_error(error) from error
            return self.fallback.retrieve(bundle, text)
        found = find_passages(turn, self.library_ids)
        if self._falls_back(found) and self.fallback is not None:
            return self.fallback.retrieve(bundle, text)
        return self._collect_nodes(turn, found, text)

    async def aretrieve(self, bundle: QueryBundle, text: str) -> Retrieved:
        """As `retrieve`, without blocking."""
        try:
            async with self.client.conversations.astart_stream(**self._request(text)) as stream:
                turn = await stream.aread()
        except (StreamInterruptedError, TurnFailedError) as error:
            if self.on_no_passages != "local" or self.fallback is None:
                raise _make_broken_error(error) from error
            return await self.fallback.aretrieve(bundle, text)
        found = find_passages(turn, self.library_ids)
        if self._falls_back(found) and self.fallback is not None:
            return await self.fallback.aretrieve(bundle, text)
        return self._collect_nodes(turn, found, text)

    def with_engine(self, engine: LibraryEngine) -> ConversationBackend:
        """The same with another engine to fall back to."""
        return replace(self, fallback=self.fallback.with_engine(engine) if self.fallback is not None else None)

    def _falls_back(self, found: Found) -> bool:
        return self.on_no_passages == "local" and found.outcome not in ("passages", "nothing_found")

    def _collect_nodes(self, turn: Turn, found: Found, text: str) -> Retrieved:
        announce(turn)
        if not found.passages and found.outcome not in _EMPTY and self.on_no_passages != "empty":
            raise _make_unavailable_error(found.outcome, turn)
        passages = [with_library(passage, self.library_ids) for passage in found.passages]
        nodes = [NodeWithScore(node=node_of_passage(passage)) for passage in passages]
        if self.rescore:
            nodes = self._rescore_nodes(nodes, passages, text)
        report = RetrievalReport(
            mode="conversation",
            score_kind="bm25" if self.rescore else None,
            outcome=found.outcome,
            usage=usage_dict(turn),
            queries=list(found.queries),
        )
        return nodes[: self.top_k], report

    def _rescore_nodes(self, nodes: list[NodeWithScore], passages: list[Passage], text: str) -> list[NodeWithScore]:
        """Every node gets a BM25 score of its passage, 0 where no word matches."""
        analyzer, vocabulary = Analyzer(self.language), Vocabulary()
        numbering = Numbering(analyzer, vocabulary)
        rows = [TermRows.of([numbering.row(passage.text)]) for passage in passages]
        scores = KeywordIndex(vocabulary, rows).scores(analyzer.query_terms(text))
        for node, score in zip(nodes, scores, strict=True):
            node.score = float(score)
        return sorted(nodes, key=lambda node: -node.get_score())


def _make_unavailable_error(outcome: str, turn: PartialTurn | None) -> PassagesUnavailableError:
    return PassagesUnavailableError(
        f"The agent's search gave no passages: {_WHY.get(outcome, outcome)}.",
        outcome=outcome,
        turn=turn,
        conversation_id=turn.conversation_id if turn is not None else None,
        hint='Use mode="local", or on_no_passages="local" to search locally in this case.',
    )


def _make_broken_error(error: StreamInterruptedError | TurnFailedError) -> PassagesUnavailableError:
    return _make_unavailable_error("stream_error", error.turn)
