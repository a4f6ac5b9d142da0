"""What every mode of the retriever offers, and what a search reports."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Protocol

from llama_index.core.schema import NodeWithScore, QueryBundle

from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.engine import LibraryEngine

_TOOL_QUERY = re.compile(r"\s*input is (.*)\n\s*", re.DOTALL)


@dataclass(slots=True)
class RetrievalReport:
    """What a search did and cost.

    Attributes:
        mode: `local`, `conversation` or `index`.
        score_kind: `bm25`, `cosine`, `fused` (0 to 1), `server`, or None where nodes have no score.
        outcome: Of mode `conversation`: what the agent's search gave; else `passages` or `nothing_found`.
        seconds: How long it took, a sync that was due included.
        usage: Tokens and connector calls of a turn; empty where no model ran.
        snapshot_id: Names the state of the libraries that was searched.
        queries: What was searched for; a model may have written it anew.
    """

    mode: str
    score_kind: str | None
    outcome: str = "passages"
    seconds: float = 0.0
    usage: dict[str, Any] = field(default_factory=dict)
    snapshot_id: str | None = None
    queries: list[str] = field(default_factory=list)


Retrieved = tuple[list[NodeWithScore], RetrievalReport]


class Backend(Protocol):
    """One way to search."""

    def retrieve(self, bundle: QueryBundle, text: str) -> Retrieved:
        """Search for the clean `text` of a query."""

    async def aretrieve(self, bundle: QueryBundle, text: str) -> Retrieved:
        """As `retrieve`, without blocking."""

    def with_engine(self, engine: LibraryEngine) -> Backend:
        """The same with another engine."""

    def with_top_k(self, top_k: int) -> Backend:
        """The same with another number of passages."""


def clean_query(bundle: QueryBundle) -> str:
    """The question itself: without white space around it and without what RetrieverTool puts before it.

    Raises:
        ConfigurationError: The query is an image without words.
    """
    found = _TOOL_QUERY.fullmatch(bundle.query_str)
    text = (found.group(1) if found is not None else bundle.query_str).strip()
    if not text and bundle.image_path is not None:
        raise ConfigurationError("A library can't be searched with an image alone; give the query words.")
    return text
