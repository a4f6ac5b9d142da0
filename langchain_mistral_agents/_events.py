"""A stream's events in LangChain's own event protocol (v3): each block ends when it ends, with all its citations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from langchain_core.messages import AIMessage

from langchain_mistral_agents._answer_chunk import AnswerChunk
from langchain_mistral_agents._chunks import ChunkWriter
from langchain_mistral_agents._messages_in import Sent, make_answer, make_cut
from langchain_mistral_agents._streaming import Assembler, Step
from langchain_mistral_agents._translator import PROVIDER
from mistral_agents._border.events import Record
from mistral_agents.turn import Turn

Event = dict[str, Any]
_HEAVY = ("args", "output", "value", "annotations")
_CALLS = ("tool_call_chunk", "server_tool_call_chunk")


def _wants_snapshots() -> bool:
    """Before langchain-core 1.7 the pieces of a call's arguments are told as everything so far."""
    return hasattr(import_module("langchain_core.language_models._compat_bridge"), "_should_emit_delta")


class ProtocolEvents:
    """Takes records of events, then the turn; gives protocol events, and the chunk for handlers of tokens."""

    def __init__(self, sent: Sent) -> None:
        self._sent = sent
        self._assembler = Assembler()
        self._cut = make_cut(sent)
        self._snapshots: dict[int, Event] | None = {} if _wants_snapshots() else None
        self._writer = ChunkWriter(blocks=sent.blocks)
        self._started = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more is shown, so that a stream that nobody keeps may be left."""
        return self._cut.hit and not self._sent.stored

    def feed(self, records: Sequence[Record]) -> tuple[AnswerChunk | None, list[Event]]:
        """What the records of an event make."""
        return self._make_events(self._assembler.take(self._cut.take(records)))

    def end(self, turn: Turn) -> tuple[AnswerChunk | None, list[Event]]:
        """What was held back, and the end of the message."""
        chunk, events = self._make_events([*self._assembler.take(self._cut.end()), *self._assembler.finish()])
        whole = make_answer(turn, self._sent)
        last: Event = {"event": "message-finish", "metadata": whole.response_metadata}
        if whole.usage_metadata is not None:
            last["usage"] = dict(whole.usage_metadata)
        return chunk, [*self._start(), *events, last]

    def _make_events(self, steps: list[Step]) -> tuple[AnswerChunk | None, list[Event]]:
        if not steps:
            return None, []
        chunk = self._writer.write(steps, self._assembler.first_id, {})
        return chunk, [*self._start(), *(event for step in steps for event in self._make_event(step))]

    def _start(self) -> Iterator[Event]:
        if not self._started:
            self._started = True
            message_id = self._assembler.first_id
            known = message_id if message_id is not None else ""
            yield {"event": "message-start", "role": "ai", "id": known, "metadata": {"provider": PROVIDER}}

    def _make_event(self, step: Step) -> Iterator[Event]:
        block = {**step.block, "index": step.index}
        if step.kind == "open":
            yield {"event": "content-block-start", "index": step.index, "content": _make_skeleton(block)}
        elif step.kind == "add":
            yield {"event": "content-block-delta", "index": step.index, "delta": self._make_delta(step)}
        else:
            if block["type"] in ("tool_call", "invalid_tool_call"):
                del block["index"]
            yield {"event": "content-block-finish", "index": step.index, "content": block}
        if self._snapshots is not None and step.kind == "open":
            self._snapshots[step.index] = dict(block)

    def _make_delta(self, step: Step) -> Event:
        kind = step.block["type"]
        if kind not in _CALLS:
            return {"type": f"{kind}-delta", kind: step.block[kind]}
        if self._snapshots is None:
            return {"type": "tool-call-delta", "args": step.block["args"]}
        so_far = self._snapshots[step.index]
        so_far["args"] += step.block["args"]
        return {"type": "block-delta", "fields": dict(so_far)}


def events_of_message(message: AIMessage) -> Iterator[Event]:
    """A whole answer as protocol events, as LangChain itself writes those of an answer from a cache."""
    bridge = import_module("langchain_core.language_models._compat_bridge")
    yield from bridge.message_to_events(message, message_id=message.id)


def _make_skeleton(block: Event) -> Event:
    """A block at its start: its heavy fields come with its end."""
    kind = block["type"]
    light = {name: value for name, value in block.items() if name not in _HEAVY}
    if kind in ("text", "reasoning"):
        return {"type": kind, kind: ""}
    if kind in _CALLS:
        return {**light, "args": ""}
    return {**light, "value": {}} if kind == "non_standard" else light
