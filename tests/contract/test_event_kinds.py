"""A further kind of event is one edit, in the foundation: a wing that makes nothing of its record goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mistral_agents._border.events import ContentPiece, TextDelta
from mistral_agents._border.turns import TurnRequest


@dataclass(slots=True)
class MoodDelta:
    """A record that no wing has heard of."""

    mood: str


def make_records() -> list[Any]:
    piece = ContentPiece("m1", 0, None)
    piece.texts.append("Hello")
    return [MoodDelta("calm"), TextDelta(piece, "Hello")]


def test_langchain_makes_no_block_of_a_record_that_it_does_not_know() -> None:
    from langchain_mistral_agents._streaming import Assembler

    steps = Assembler().take(make_records())
    assert [(step.kind, step.block) for step in steps] == [
        ("open", {"type": "text", "text": ""}),
        ("add", {"type": "text", "text": "Hello"}),
    ]
    assert Assembler().take(make_records()[:1]) == []


def test_llama_index_makes_no_response_of_a_record_that_it_does_not_know() -> None:
    from llama_index_mistral_agents._plan import Request
    from llama_index_mistral_agents._turns import Progress

    progress = Progress(Request(TurnRequest("start", "q")))
    assert progress.take({}, make_records()[:1]) is None
    response = progress.take({}, make_records())
    assert response is not None
    assert response.delta == "Hello"
