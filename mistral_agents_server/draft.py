"""An answer's entry while it is being written: its events as they happen, and what it is in the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mistral_agents_server import ids

Wire = dict[str, Any]


@dataclass(slots=True)
class Author:
    """Who writes: the `model` of every entry and event, and in agent mode the agent."""

    model: str
    agent_id: str | None = None

    def fields(self) -> Wire:
        """The fields that name the author."""
        return {"model": self.model} if self.agent_id is None else {"model": self.model, "agent_id": self.agent_id}


def event(kind: str, **fields: Any) -> Wire:
    """One event, dated now."""
    return {"type": kind, "created_at": ids.now(), **fields}


@dataclass(slots=True)
class Draft:
    """What drafts of every kind have.

    Attributes:
        author: who writes it.
        index: its place among the outputs.
        id: its id.
        created_at: when it began.
    """

    author: Author
    index: int
    id: str
    created_at: str = field(default_factory=ids.now)

    def _entry(self, kind: str, completed: bool = True, **fields: Any) -> Wire:
        return {
            "object": "entry",
            "type": kind,
            "created_at": self.created_at,
            "completed_at": ids.now() if completed else None,
            **self.author.fields(),
            "id": self.id,
            **fields,
        }


@dataclass(slots=True)
class MessageDraft(Draft):
    """A `message.output`."""

    chunks: list[Wire] = field(default_factory=list)

    def text(self, text: str) -> Iterator[Wire]:
        """Write on, in the present text chunk or a new one."""
        if text:
            if not self.chunks or self.chunks[-1]["type"] != "text":
                self.chunks.append({"type": "text", "text": ""})
            self.chunks[-1]["text"] += text
            yield self._delta(text)

    def thought(self, text: str) -> Iterator[Wire]:
        """Think on. `closed` is true on each delta, as recorded."""
        if not self.chunks or self.chunks[-1]["type"] != "thinking":
            self.chunks.append({"type": "thinking", "thinking": [{"type": "text", "text": ""}], "closed": True})
        self.chunks[-1]["thinking"][0]["text"] += text
        yield self._delta({"type": "thinking", "thinking": [{"type": "text", "text": text}], "closed": True})

    def chunk(self, chunk: Wire) -> Iterator[Wire]:
        """Put in a whole chunk: a file or a reference."""
        self.chunks.append(chunk)
        yield self._delta(chunk)

    def end(self) -> Iterator[Wire]:
        """An answer with nothing in it still shows in a stream."""
        if not self.chunks:
            self.chunks.append({"type": "text", "text": ""})
            yield self._delta("")

    def _delta(self, content: str | Wire) -> Wire:
        return event(
            "message.output.delta",
            output_index=self.index,
            id=self.id,
            content_index=len(self.chunks) - 1,
            **self.author.fields(),
            role="assistant",
            content=content,
        )

    def entry(self) -> Wire:
        """The finished entry: its content is a string when there is only text."""
        content: Any = self.chunks
        if all(chunk["type"] == "text" for chunk in self.chunks):
            content = "".join(chunk["text"] for chunk in self.chunks)
        return self._entry("message.output", role="assistant", content=content)


@dataclass(slots=True)
class CallDraft(Draft):
    """A `function.call`: the client's, or a hosted one that waits to be confirmed."""

    name: str = ""
    tool_call_id: str = field(default_factory=ids.tool_call_id)
    arguments: str = ""
    status: str | None = None

    def _status(self) -> Wire:
        return {} if self.status is None else {"confirmation_status": self.status}

    def part(self, arguments: str) -> Iterator[Wire]:
        """Write a piece of the arguments; the name and id stand in every event."""
        self.arguments += arguments
        yield event(
            "function.call.delta",
            output_index=self.index,
            id=self.id,
            **self.author.fields(),
            name=self.name,
            tool_call_id=self.tool_call_id,
            arguments=arguments,
            **self._status(),
        )

    def entry(self) -> Wire:
        """The finished entry; a call is never completed."""
        return self._entry(
            "function.call",
            completed=False,
            tool_call_id=self.tool_call_id,
            name=self.name,
            arguments=self.arguments,
            **self._status(),
        )


@dataclass(slots=True)
class RunDraft(Draft):
    """A `tool.execution`."""

    name: str = ""
    function: str = ""
    arguments: str = ""
    info: Wire = field(default_factory=dict)

    def _event(self, stage: str, who: Wire, **fields: Any) -> Wire:
        return event(
            f"tool.execution.{stage}",
            output_index=self.index,
            id=self.id,
            **who,
            name=self.name,
            **fields,
        )

    def started(self) -> Iterator[Wire]:
        """The run is announced, before any of its arguments."""
        yield self._event("started", self.author.fields(), arguments="", function=self.function)

    def part(self, arguments: str) -> Iterator[Wire]:
        """Write a piece of the arguments."""
        if arguments:
            self.arguments += arguments
            yield self._event("delta", {}, arguments=arguments, function=self.function)

    def done(self, info: Wire) -> Iterator[Wire]:
        """The run ended with `info`."""
        self.info = info
        yield self._event("done", {}, function=self.function, info=info)

    def entry(self) -> Wire:
        """The finished entry."""
        return self._entry(
            "tool.execution", name=self.name, arguments=self.arguments, function=self.function, info=self.info
        )


@dataclass(slots=True)
class HandoffDraft(Draft):
    """An `agent.handoff`."""

    previous: Wire = field(default_factory=dict)
    following: Wire = field(default_factory=dict)

    def _sides(self) -> tuple[Wire, Wire]:
        before = {"previous_agent_id": self.previous["id"], "previous_agent_name": self.previous["name"]}
        after = {"next_agent_id": self.following["id"], "next_agent_name": self.following["name"]}
        return before, after

    def events(self) -> Iterator[Wire]:
        """Started and done, one behind the other."""
        before, after = self._sides()
        yield event("agent.handoff.started", output_index=self.index, id=self.id, **before)
        yield event("agent.handoff.done", output_index=self.index, id=self.id, **after)

    def entry(self) -> Wire:
        """The finished entry; it names both agents and no model."""
        before, after = self._sides()
        return {
            "object": "entry",
            "type": "agent.handoff",
            "created_at": self.created_at,
            "completed_at": ids.now(),
            "id": self.id,
            **before,
            **after,
        }
