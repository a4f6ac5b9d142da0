"""Widening passages: the chunks before and after, from the retriever's own snapshot."""

from __future__ import annotations

from typing import Any

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle

from llama_index_mistral_agents._nodes import node_of
from llama_index_mistral_agents.retriever import MistralLibraryRetriever


class MistralNeighbourPostprocessor(BaseNodePostprocessor):
    """Puts neighbouring passages beside each passage, in reading order, with the score of the passage found.

    Works from the snapshot of a local retriever, so it sends nothing. Nodes that are not in it stay as they are.

    Args:
        retriever: The retriever whose nodes come.
        before: How many passages before each.
        after: How many after each.
    """

    before: int = Field(default=1, ge=0, description="Passages before each.")
    after: int = Field(default=1, ge=0, description="Passages after each.")
    _retriever: MistralLibraryRetriever = PrivateAttr()

    def __init__(self, retriever: MistralLibraryRetriever, *, before: int = 1, after: int = 1) -> None:
        fields: dict[str, Any] = {"before": before, "after": after}
        super().__init__(**fields)
        self._retriever = retriever

    @classmethod
    def class_name(cls) -> str:
        """The class's name."""
        return "MistralNeighbourPostprocessor"

    def _postprocess_nodes(
        self,
        nodes: list[NodeWithScore],
        query_bundle: QueryBundle | None = None,  # noqa: ARG002
    ) -> list[NodeWithScore]:
        taken = {node.node_id for node in nodes}
        return [near for node in nodes for near in self._around(node, taken)]

    def _around(self, found: NodeWithScore, taken: set[str]) -> list[NodeWithScore]:
        """The passage and its neighbours that are not in the result yet."""
        snapshot = self._retriever.engine.snapshot
        key = found.metadata.get("document_id", "")
        place = snapshot.find_around(key, found.node_id, self.before, self.after) if snapshot is not None else None
        if place is None:
            return [found]
        stored, places = place
        around = []
        for each in places:
            chunk_id = stored.chunks[each].id
            if chunk_id == found.node_id:
                around.append(found)
            elif chunk_id not in taken:
                taken.add(chunk_id)
                around.append(NodeWithScore(node=node_of(stored, each), score=found.score))
        return around
