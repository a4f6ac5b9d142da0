"""A turn as a timeline for people: who did what, with which code or query, how long, for how many tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mistral_agents._display.shown import Shown
from mistral_agents._printable import show_text
from mistral_agents._turn.content import parse_time
from mistral_agents.entries import Entry, FunctionCall, FunctionResult, Handoff, Message, ToolExecution
from mistral_agents.usage import Prices, Usage

_WIDTH = 100
_KEYS = ("code", "query", "prompt", "url", "document_id", "document_name_contains")


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """One entry of a timeline.

    Attributes:
        at: Seconds since the first entry; None where the service gave no time.
        who: The agent or model.
        what: `said`, `ran code_interpreter`, `called get_weather`, `handed over to Ada`, ...
        detail: The code, the query, the text.
        seconds: How long it took; None where not known.
        failed: Whether a tool reported an error.
    """

    at: float | None
    who: str | None
    what: str
    detail: str
    seconds: float | None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Explanation(Shown):
    """A turn explained; its text form is a table.

    Attributes:
        steps: What happened, in order.
        usage: What it cost in tokens and connector calls.
        price: What it cost by the caller's table; None without one.
        currency: Of the price.
        overlap: Seconds during which hosted tools ran at the same time, by their timestamps.
    """

    steps: list[TimelineStep]
    usage: Usage = field(default_factory=Usage)
    price: float | None = None
    currency: str = ""
    overlap: float = 0.0

    def __str__(self) -> str:
        lines = [_write_line(step) for step in self.steps]
        calls = ", ".join(f"{name} {count}" for name, count in self.usage.connectors.items())
        total = f"{self.usage.total_tokens} tokens" + (f" · {calls}" if calls else "")
        if self.price is not None:
            total += f" · {self.price:.4f} {self.currency}"
        if self.overlap:
            total += f" · tools overlapped for {self.overlap:.2f} s"
        return show_text("\n".join([*lines, total]))


def _write_line(step: TimelineStep) -> str:
    at = f"{step.at:7.2f} s" if step.at is not None else "        –"
    took = f" [{step.seconds:.2f} s]" if step.seconds is not None else ""
    mark = " FAILED" if step.failed else ""
    detail = " ".join(step.detail.split())
    short = detail if len(detail) <= _WIDTH else detail[: _WIDTH - 1] + "…"
    return f"{at}  {step.who or 'you'}  {step.what}{took}{mark}  {short}".rstrip()


def explain(
    entries: Sequence[Entry], usage: Usage, model: str | None = None, prices: Prices | None = None
) -> Explanation:
    """The timeline of a turn: its entries in order, and what it cost by a price table."""
    times = [(parse_time(entry.created_at), parse_time(entry.completed_at)) for entry in entries]
    begun = min((start for start, _ in times if start is not None), default=None)
    steps = [_make_step(entry, start, end, begun) for entry, (start, end) in zip(entries, times, strict=True)]
    spans = [
        (start, end)
        for entry, (start, end) in zip(entries, times, strict=True)
        if isinstance(entry, ToolExecution) and start is not None and end is not None
    ]
    price = prices.of(usage, model) if prices is not None else None
    return Explanation(steps, usage, price, prices.currency if prices is not None else "", overlap_of(spans))


def timing_seconds(entry: Entry) -> float | None:
    """How long an entry took, in seconds; None where the service did not tell."""
    start, end = parse_time(entry.created_at), parse_time(entry.completed_at)
    return (end - start).total_seconds() if start is not None and end is not None else None


def overlap_of(spans: list[tuple[datetime, datetime]]) -> float:
    """Seconds during which at least two spans ran at once."""
    edges = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    running, since, total = 0, None, 0.0
    for moment, change in edges:
        if running >= 2 and since is not None:
            total += (moment - since).total_seconds()
        running, since = running + change, moment
    return total


def _make_step(entry: Entry, start: datetime | None, end: datetime | None, begun: datetime | None) -> TimelineStep:
    what, detail, failed = _describe_entry(entry)
    at = (start - begun).total_seconds() if start is not None and begun is not None else None
    seconds = (end - start).total_seconds() if start is not None and end is not None else None
    return TimelineStep(at, entry.agent_id or entry.model, what, detail, seconds, failed)


def _describe_entry(entry: Entry) -> tuple[str, str, bool]:
    if isinstance(entry, Message):
        return "said", entry.text, False
    if isinstance(entry, ToolExecution):
        given = entry.args
        detail = next((str(given[key]) for key in _KEYS if key in given), entry.arguments)
        return f"ran {entry.function or entry.name}", entry.error or detail, entry.error is not None
    if isinstance(entry, FunctionCall):
        waits = " (waits for confirmation)" if entry.needs_confirmation else ""
        return f"called {entry.name}{waits}", entry.arguments, False
    if isinstance(entry, FunctionResult):
        return "answered a call", entry.result, False
    if isinstance(entry, Handoff):
        return f"handed over to {entry.next_agent_name or entry.next_agent_id or '?'}", "", False
    return entry.type or "unknown entry", "", False
