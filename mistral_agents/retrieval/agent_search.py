"""Searching a library by an agent's own search: a throwaway turn, of which only what the tool returned counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mistral_agents._json import JsonDict
from mistral_agents._steps import Job, Steps
from mistral_agents.errors import (
    ConfigurationError,
    MistralAgentsError,
    PartialTurn,
    ResponseFormatError,
    StreamInterruptedError,
    TimeoutExceededError,
    TurnFailedError,
)
from mistral_agents.retrieval.analysis import Analyzer
from mistral_agents.retrieval.errors import PassagesUnavailableError
from mistral_agents.retrieval.keyword import KeywordIndex
from mistral_agents.retrieval.passages import SEARCH_ONLY, Found, Passage, find_passages, with_library
from mistral_agents.retrieval.postings import Numbering, TermRows, Vocabulary
from mistral_agents.turn import Turn

if TYPE_CHECKING:
    from mistral_agents.client import MistralAgents

OnNoPassages = Literal["error", "local", "empty"]
_MAX_TOKENS = 256
"""Enough for a tool call; the answer itself is thrown away."""
_HONEST = frozenset({"passages", "nothing_found"})
"""Outcomes of libraries that were searched."""
_BROKEN = (StreamInterruptedError, TurnFailedError, TimeoutExceededError, ResponseFormatError)
"""How a stream that has begun ends without its end."""
_WHY = {
    "documents_only": "the search named documents but gave no text of them",
    "tool_not_called": "the model answered without searching the library",
    "tool_failed": "the search failed on the service",
    "id_mangled": "the model searched a library it was not given",
    "unreadable": "the search's result has a shape this version does not know",
    "stream_error": "the stream broke off",
}


@dataclass(frozen=True, slots=True)
class AgentSearchResult:
    """What an agent's search found.

    Attributes:
        passages: The passages, best first, each with its score where there is one.
        found: How the search ended, and what the model searched for.
        turn: The turn, which was paid for.
    """

    passages: list[tuple[Passage, float | None]]
    found: Found
    turn: Turn


@dataclass(frozen=True, slots=True)
class AgentSearch:
    """Asks a throwaway conversation (`store=False`) and takes the passages its search returned.

    Costs a turn with model and connector tokens. There are no scores unless `rescore` is set, and no filters; what is
    found may differ from one call to the next. A passage is never made of the model's answer.

    Attributes:
        client: The client.
        library_ids: The libraries.
        top_k: Most passages to return.
        model: The model that calls the tool.
        agent_id: An agent with the tool, instead of the model.
        on_no_passages: What to do where no search was made, or it failed: raise, search locally, or find nothing.
        rescore: Whether passages are scored here, by BM25.
        language: For stop words and stems of those scores.
        notify: Told each turn that was paid for.
    """

    client: MistralAgents
    library_ids: tuple[str, ...]
    top_k: int
    model: str
    agent_id: str | None = None
    on_no_passages: OnNoPassages = "error"
    rescore: bool = False
    language: str = "english"
    notify: Callable[[Turn], None] | None = None

    def __post_init__(self) -> None:
        if self.on_no_passages not in ("error", "local", "empty"):
            raise ConfigurationError(f"on_no_passages must be error, local or empty, not {self.on_no_passages!r}.")

    def find(self, text: str) -> Steps[AgentSearchResult | None]:
        """The passages for a question; None where the caller shall search locally instead.

        Raises:
            PassagesUnavailableError: No search was made, or it failed, and `on_no_passages` is `error`.
        """
        broken: MistralAgentsError | None = None
        try:
            turn: Turn = yield self._ask(text)
        except _BROKEN as error:
            if not isinstance(error.turn, Turn):
                raise  # it never began
            turn, found, broken = error.turn, Found("stream_error"), error
        else:
            if self.notify is not None:
                self.notify(turn)
            found = find_passages(turn, self.library_ids)
        if found.outcome not in _HONEST and self.on_no_passages == "local":
            return None
        if found.outcome not in _HONEST and self.on_no_passages == "error":
            raise _make_error(found.outcome, turn) from broken
        passages = [with_library(passage, self.library_ids) for passage in found.passages]
        return AgentSearchResult(self._score(passages, text)[: self.top_k], found, turn)

    def _ask(self, text: str) -> Job:
        request, conversations = self._make_request(text), self.client.conversations

        def call() -> Turn:
            with conversations.start_stream(**request) as stream:
                return stream.read()

        async def acall() -> Turn:
            async with conversations.astart_stream(**request) as stream:
                return await stream.aread()

        return Job(call, acall)

    def _make_request(self, text: str) -> JsonDict:
        if self.agent_id is not None:
            return {"inputs": text, "agent_id": self.agent_id, "store": False}
        return {
            "inputs": text,
            "model": self.model,
            "store": False,
            "instructions": SEARCH_ONLY,
            "tools": [{"type": "document_library", "library_ids": list(self.library_ids)}],
            "completion_args": {"temperature": 0.0, "max_tokens": _MAX_TOKENS},
        }

    def _score(self, passages: list[Passage], text: str) -> list[tuple[Passage, float | None]]:
        """The passages as they came; with `rescore` each with a BM25 score, 0 where no word matches, best first."""
        if not self.rescore:
            return [(passage, None) for passage in passages]
        analyzer, vocabulary = Analyzer(self.language), Vocabulary()
        numbering = Numbering(analyzer, vocabulary)
        rows = [TermRows.of([numbering.row(passage.text)]) for passage in passages]
        scores = KeywordIndex(vocabulary, rows).scores(analyzer.query_terms(text))
        pairs = [(passage, float(score)) for passage, score in zip(passages, scores, strict=True)]
        return [*sorted(pairs, key=lambda pair: -pair[1])]


def _make_error(outcome: str, turn: PartialTurn | None) -> PassagesUnavailableError:
    return PassagesUnavailableError(
        f"The agent's search gave no passages: {_WHY.get(outcome, outcome)}.",
        outcome=outcome,
        turn=turn,
        conversation_id=turn.conversation_id if turn is not None else None,
        hint='Use mode="local", or on_no_passages="local" to search locally in this case.',
    )
