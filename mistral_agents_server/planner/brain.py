"""The planner as a brain."""

from __future__ import annotations

from collections.abc import Iterator

from mistral_agents_server.thinking import ChatRequest, Part, Text


class Planner:
    """Answers without a language model."""

    def label(self, model: str) -> str:
        """The `model` field: it says who really answers."""
        return f"stand-in:{model}"

    def think(self, request: ChatRequest) -> Iterator[Part]:
        """Answer."""
        for word in ("You ", "said ", str(request.messages[-1]["content"])):
            yield Text(word)
