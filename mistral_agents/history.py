"""A conversation's history: its entries, one uniform view of them, counts, and other forms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mistral_agents._api.records import make_dataframe
from mistral_agents._display.shown import Shown
from mistral_agents._json import JsonDict
from mistral_agents._printable import show_text
from mistral_agents._turn.content import parse_time
from mistral_agents.entries import (
    Entry,
    FunctionCall,
    FunctionResult,
    Handoff,
    Message,
    MessageInput,
    MessageOutput,
    ToolExecution,
    parse_entry,
)
from mistral_agents.turn import open_calls


@dataclass(frozen=True, slots=True)
class Event:
    """One entry, whatever its kind, in one form.

    Attributes:
        kind: The entry's type, such as `message.output`.
        role: `user` or `assistant` for messages, None for the rest.
        time: When it was made; None where the service did not say.
        agent: The agent (or model) that made it; None for inputs.
        text: What it says: a message's text, a tool's name and argument, a result, who hands over to whom.
        id: The entry's id.
        raw: The entry as sent.
    """

    kind: str
    role: str | None
    time: datetime | None
    agent: str | None
    text: str
    id: str | None = None
    raw: JsonDict = field(default_factory=dict, repr=False, hash=False, compare=False)

    @classmethod
    def of(cls, entry: Entry) -> Event:
        """An entry in this form."""
        agent = entry.agent_id if entry.agent_id is not None else entry.model
        return cls(
            entry.type, entry.role, parse_time(entry.created_at), agent, read_event_text(entry), entry.id, entry.raw
        )


def read_event_text(entry: Entry) -> str:
    """What an entry says, in one line of thought."""
    if isinstance(entry, Message):
        return entry.text
    if isinstance(entry, (ToolExecution, FunctionCall)):
        return f"{entry.name}({entry.arguments})"
    if isinstance(entry, FunctionResult):
        return entry.result
    if isinstance(entry, Handoff):
        return f"{entry.previous_agent_name or '?'} → {entry.next_agent_name or '?'}"
    return ""


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of a history.

    Attributes:
        entries: All entries.
        kinds: Entries per kind.
        tools: Runs per hosted tool.
        failed_tools: Hosted runs that failed.
        functions: Calls per client function.
        tool_seconds: Seconds per hosted tool, where both times are known (histories often lack the end).
        first: When the first entry was made.
        last: When the last one was.
    """

    entries: int
    kinds: dict[str, int]
    tools: dict[str, int]
    failed_tools: int
    functions: dict[str, int]
    tool_seconds: dict[str, float]
    first: datetime | None
    last: datetime | None

    @property
    def messages(self) -> int:
        """Messages of both sides (what the seed guide meant by `e.type == 'message'`)."""
        return self.kinds.get(MessageInput.kind, 0) + self.kinds.get(MessageOutput.kind, 0)

    @property
    def tool_executions(self) -> int:
        """Runs of hosted tools (what the seed guide meant by `e.type == 'tool'`)."""
        return self.kinds.get(ToolExecution.kind, 0)


@dataclass(slots=True)
class History(Shown):
    """The entries of a conversation, oldest first.

    Attributes:
        conversation_id: The conversation.
        entries: Every entry, typed; unknown kinds keep their dict in `.raw`.
        raw: The reply's JSON.
    """

    conversation_id: str
    entries: list[Entry]
    raw: JsonDict = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def events(self) -> list[Event]:
        """Every entry in one uniform form."""
        return [Event.of(entry) for entry in self.entries]

    @property
    def messages(self) -> list[Message]:
        """The messages of both sides."""
        return [entry for entry in self.entries if isinstance(entry, Message)]

    @property
    def tool_executions(self) -> list[ToolExecution]:
        """The runs of hosted tools."""
        return [entry for entry in self.entries if isinstance(entry, ToolExecution)]

    @property
    def open_calls(self) -> list[FunctionCall]:
        """Calls without an answer, which keep the conversation from going on."""
        return open_calls(self.entries)

    @property
    def last_entry_id(self) -> str | None:
        """The id of the last entry that has one."""
        return next((entry.id for entry in reversed(self.entries) if entry.id), None)

    def stats(self) -> Stats:
        """Counts per kind, tool and function, and times."""
        runs = self.tool_executions
        seconds: Counter[str] = Counter()
        for run in runs:
            started, ended = parse_time(run.created_at), parse_time(run.completed_at)
            if started is not None and ended is not None:
                seconds[run.name] += (ended - started).total_seconds()  # type: ignore[assignment]
        times = [time for entry in self.entries if (time := parse_time(entry.created_at)) is not None]
        return Stats(
            entries=len(self.entries),
            kinds=dict(Counter(entry.type for entry in self.entries)),
            tools=dict(Counter(run.name for run in runs)),
            failed_tools=sum(run.error is not None for run in runs),
            functions=dict(Counter(call.name for call in self.entries if isinstance(call, FunctionCall))),
            tool_seconds=dict(seconds),
            first=min(times, default=None),
            last=max(times, default=None),
        )

    def to_messages(self) -> list[JsonDict]:
        """The history as chat messages in OpenAI's form; a hosted run becomes a call with its result."""
        return chat_messages(self.entries)

    def to_dataframe(self) -> Any:
        """The events as a pandas DataFrame.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        rows = [(event.kind, event.role, event.time, event.agent, event.text, event.id) for event in self.events]
        return make_dataframe(rows, ["kind", "role", "time", "agent", "text", "id"])

    def __str__(self) -> str:
        return show_text("\n".join(f"{event.role or event.kind}: {event.text}" for event in self.events))


class EntryCache:
    """Entries already turned into objects, by id, so that a history read again costs only what is new."""

    def __init__(self) -> None:
        self._known: dict[str, Entry] = {}

    def entries(self, rows: Iterable[JsonDict]) -> list[Entry]:
        """The rows as entries; one that changed since (a confirmation, say) is read anew."""
        return [self._read_entry(row) for row in rows]

    def _read_entry(self, row: JsonDict) -> Entry:
        key = row.get("id")
        known = self._known.get(key) if isinstance(key, str) else None
        if known is not None and known.raw == row:
            return known
        entry = parse_entry(row)
        if isinstance(key, str):
            self._known[key] = entry
        return entry


def chat_messages(entries: Iterable[Entry]) -> list[JsonDict]:
    """Entries as chat messages in OpenAI's form."""
    messages: list[JsonDict] = []
    for entry in entries:
        if isinstance(entry, Message):
            messages.append({"role": entry.role, "content": entry.text})
        elif isinstance(entry, FunctionCall):
            messages.append(_call_message(entry.tool_call_id, entry.name, entry.arguments))
        elif isinstance(entry, FunctionResult):
            messages.append({"role": "tool", "tool_call_id": entry.tool_call_id, "content": entry.result})
        elif isinstance(entry, ToolExecution):
            key = entry.id if entry.id is not None else entry.name
            messages.append(_call_message(key, entry.function or entry.name, entry.arguments))
            messages.append({"role": "tool", "tool_call_id": key, "content": entry.result_text or ""})
    return messages


def _call_message(key: str, name: str, arguments: str) -> JsonDict:
    call = {"id": key, "type": "function", "function": {"name": name, "arguments": arguments or "{}"}}
    return {"role": "assistant", "content": "", "tool_calls": [call]}
