"""A stream's events as message chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.messages import AIMessageChunk

from langchain_mistral_agents._messages import Sent, chunk_of, last_chunk
from langchain_mistral_agents._stopping import Stopper
from langchain_mistral_agents._streaming import Assembler, Step
from mistral_agents._border.events import Record, StreamStart
from mistral_agents.turn import Turn


class Chunks:
    """Takes records of events, then the turn; gives chunks. All carry one id; the first tells the conversation."""

    def __init__(self, sent: Sent) -> None:
        self._sent = sent
        self._assembler = Assembler()
        self._stopper = Stopper(sent.stop, first_call_only=sent.first_call_only)
        self._opening: dict[str, Any] = {}

    @property
    def stopped(self) -> bool:
        """Whether a stop sequence came."""
        return self._stopper.hit

    def feed(self, records: Sequence[Record]) -> Iterator[AIMessageChunk]:
        """The chunk of an event, if it makes one."""
        for record in records:
            if isinstance(record, StreamStart) and record.event.get("conversation_id") is not None:
                self._opening = {"conversation_id": record.event["conversation_id"]}
        yield from self._chunk(self._assembler.take(records))

    def end(self, turn: Turn) -> Iterator[AIMessageChunk]:
        """What was held back, then the last chunk."""
        yield from self._chunk(self._assembler.finish())
        last = last_chunk(turn, self._sent, self._assembler.first_id)
        last.response_metadata.update(self._take_opening())
        yield last

    def _chunk(self, steps: list[Step]) -> Iterator[AIMessageChunk]:
        shown = self._stopper.steps(steps)
        chunk = chunk_of(shown, id=self._assembler.first_id)
        if chunk.content:
            chunk.response_metadata.update(self._take_opening())
            yield chunk

    def _take_opening(self) -> dict[str, Any]:
        taken, self._opening = self._opening, {}
        return taken
