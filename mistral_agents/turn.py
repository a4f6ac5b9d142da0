"""One turn of a conversation: the same result from a call and from a stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mistral_agents._display.shown import Shown
from mistral_agents._json import JsonDict, text_or_none
from mistral_agents._tools.policy import Policy
from mistral_agents._turn.content import parse_time
from mistral_agents._turn.sources import (
    Citation,
    Search,
    SearchHit,
    cite,
    library_citation,
    limited,
    reference_citation,
    search_hits,
    search_of,
    search_origin,
    with_footnotes,
)
from mistral_agents._turn.timeline import Explanation, explain
from mistral_agents.entries import (
    Entry,
    FunctionCall,
    Handoff,
    MessageOutput,
    ToolExecution,
    parse_entries,
    settle_calls,
    thinking_text,
)
from mistral_agents.usage import Quota, Usage, quotas_from_headers

if TYPE_CHECKING:
    from mistral_agents.usage import Prices

__all__ = [
    "Citation",
    "CodeRun",
    "FileRef",
    "Search",
    "SearchHit",
    "Timing",
    "Turn",
    "cite",
    "library_citation",
    "open_calls",
    "parse_time",
    "reference_citation",
    "search_hits",
]


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file made during the turn; fetch it with `client.files.download(ref.file_id)`.

    Attributes:
        file_id: The file's id; None where only a link that expires within the hour was given.
        name: As named by the service.
        declared_type: As told (`png`); the bytes may be of another type, so sniff them.
        tool: The tool that made it.
        url: A signed link, where that is all there is.
    """

    file_id: str | None
    name: str
    declared_type: str | None = None
    tool: str | None = None
    url: str | None = None
    raw: JsonDict = field(default_factory=dict, repr=False, hash=False, compare=False)

    @property
    def is_image(self) -> bool:
        """Whether it is declared to be an image, or was made by the image tool."""
        kind = (self.declared_type or self.name.rpartition(".")[2]).lower()
        return self.tool == "image_generation" or kind in {"png", "jpg", "jpeg", "webp", "gif"}


@dataclass(frozen=True, slots=True)
class CodeRun:
    """One run of the code interpreter.

    Attributes:
        code: The Python that ran.
        output: What it printed; None where nothing was reported.
        error: The message of a run that failed, else None.
        seconds: How long it took, from the entry's times; None where they are missing.
    """

    code: str
    output: str | None
    error: str | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one entry took, by the service's clock."""

    entry_id: str | None
    what: str
    started: datetime
    ended: datetime | None

    @property
    def seconds(self) -> float | None:
        """Seconds from start to end."""
        return (self.ended - self.started).total_seconds() if self.ended is not None else None


@dataclass(slots=True)
class Turn(Shown):
    """What one `start`, `append` or `restart` gave.

    Attributes:
        conversation_id: Always take it from here: `restart` gives a new one.
        entries: What was added to the conversation, in order.
        usage: Tokens and connector calls.
        guardrails: As sent.
        raw: The reply's JSON (for a stream: the JSON a call would have returned).
        unknown_events: Events of a kind this version does not know.
        headers: The reply's headers, lower-cased.
        complete: False where the stream broke off.
        policy: What this package enforces for the turn; None where nothing was asked.
    """

    conversation_id: str | None
    entries: list[Entry]
    usage: Usage = field(default_factory=Usage)
    guardrails: Any = None
    raw: JsonDict = field(default_factory=dict, repr=False)
    unknown_events: list[JsonDict] = field(default_factory=list, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    complete: bool = True
    policy: Policy | None = None

    @classmethod
    def from_response(
        cls,
        data: JsonDict,
        *,
        headers: Mapping[str, str] | None = None,
        unknown_events: list[JsonDict] | None = None,
        complete: bool = True,
    ) -> Turn:
        """Read a reply's JSON; no field is required."""
        found = data.get("conversation_id")
        return cls(
            conversation_id=found if isinstance(found, str) else None,
            entries=parse_entries(settle_calls(data.get("outputs"))),
            usage=Usage.from_wire(data.get("usage")),
            guardrails=data.get("guardrails"),
            raw=data,
            unknown_events=unknown_events if unknown_events is not None else [],
            headers=dict(headers) if headers is not None else {},
            complete=complete,
        )

    @property
    def id(self) -> str | None:
        """The conversation's id (the seed guide's name for it)."""
        return self.conversation_id

    @property
    def outputs(self) -> list[Entry]:
        """The entries (the service's name for them)."""
        return self.entries

    @property
    def messages(self) -> list[MessageOutput]:
        """The assistant's messages; there may be several, before and after tools."""
        return [entry for entry in self.entries if isinstance(entry, MessageOutput)]

    @property
    def text(self) -> str:
        """All text of the answer, in order; equal to the joined text deltas of the stream."""
        return "".join(message.text for message in self.messages)

    @property
    def reasoning(self) -> str:
        """The thinking chunks' text, joined."""
        return "".join(thinking_text(chunk) for message in self.messages for chunk in message.chunks)

    @property
    def tool_executions(self) -> list[ToolExecution]:
        """Every run of a hosted tool."""
        return [entry for entry in self.entries if isinstance(entry, ToolExecution)]

    @property
    def function_calls(self) -> list[FunctionCall]:
        """Calls that wait for the client: after the last handoff, which voids those before it."""
        return [call for call in self._open_calls() if not call.needs_confirmation]

    @property
    def pending_confirmations(self) -> list[FunctionCall]:
        """Hosted tools that wait for allow or deny."""
        return [call for call in self._open_calls() if call.needs_confirmation]

    def _open_calls(self) -> list[FunctionCall]:
        return open_calls(self.entries)

    @property
    def handoffs(self) -> list[Handoff]:
        """Moves from one agent to another."""
        return [entry for entry in self.entries if isinstance(entry, Handoff)]

    @property
    def model(self) -> str | None:
        """The model that answered last; None where no entry names one."""
        return next((entry.model for entry in reversed(self.entries) if entry.model), None)

    @property
    def agent_id(self) -> str | None:
        """The agent that answered last; None in model mode."""
        return next((entry.agent_id for entry in reversed(self.entries) if entry.agent_id), None)

    @property
    def searches(self) -> list[Search]:
        """Web and library searches, with their hits."""
        return [search_of(entry) for entry in self.tool_executions if search_origin(entry) is not None]

    @property
    def code_runs(self) -> list[CodeRun]:
        """Every run of the code interpreter, failed ones and retries included."""
        runs = (entry for entry in self.tool_executions if "code_interpreter" in (entry.name, entry.function))
        return [_read_code_run(entry) for entry in runs]

    @property
    def citations(self) -> list[Citation]:
        """The sources: what the answer refers to, then the library documents that were found, each once.

        A policy may limit how many are shown; `cite(turn.entries)` gives all.
        """
        found = cite(self.entries)
        return found if self.policy is None else limited(found, self.policy)

    @property
    def files(self) -> list[FileRef]:
        """Files made during the turn, over all messages, in order."""
        found = [_read_file_ref(chunk) for m in self.messages for chunk in m.chunks if chunk.get("type") == "tool_file"]
        made = {ref.tool for ref in found}
        return found + ([] if "image_generation" in made else self._find_linked_images())

    def _find_linked_images(self) -> list[FileRef]:
        return [ref for entry in self.tool_executions if (ref := _read_linked_image(entry)) is not None]

    @property
    def images(self) -> list[FileRef]:
        """The files that are images."""
        return [ref for ref in self.files if ref.is_image]

    @property
    def timings(self) -> list[Timing]:
        """When each entry began and ended, where the service told."""
        return [timing for entry in self.entries if (timing := _read_timing(entry)) is not None]

    @property
    def quotas(self) -> list[Quota]:
        """Quotas from the reply's headers; streams carry none."""
        return quotas_from_headers(self.headers)

    def explain(self, prices: Prices | None = None) -> Explanation:
        """A timeline: who, which tool, which code or query, seconds, tokens, and the price by your own table."""
        return explain(self.entries, self.usage, self.model, prices)

    def footnotes(self) -> str:
        """The text with a number at each reference, and the sources listed below it."""
        return with_footnotes(self.text, self.citations)

    @property
    def request_id(self) -> str | None:
        """The service's id of the request, for support."""
        return self.headers.get("mistral-correlation-id")

    @property
    def last_entry_id(self) -> str | None:
        """The id of the last entry that has one: where a branch may start."""
        return next((entry.id for entry in reversed(self.entries) if entry.id), None)


def open_calls(entries: list[Entry]) -> list[FunctionCall]:
    """Calls without a result, after the last handoff; a handoff voids earlier ones (rule of the service)."""
    calls: dict[str, FunctionCall] = {}
    for entry in entries:
        if isinstance(entry, Handoff):
            calls.clear()
        elif isinstance(entry, FunctionCall) and entry.confirmation_status in (None, "pending"):
            calls[entry.tool_call_id] = entry
        elif entry.type == "function.result":
            calls.pop(str(entry.raw.get("tool_call_id")), None)
    return list(calls.values())


def _read_code_run(entry: ToolExecution) -> CodeRun:
    code = entry.info.get("code", entry.args.get("code", entry.args.get("input")))
    output = entry.info.get("code_output")
    timing = _read_timing(entry)
    return CodeRun(
        code=code if isinstance(code, str) else "",
        output=output if isinstance(output, str) else entry.result_text,
        error=entry.error,
        seconds=timing.seconds if timing is not None else None,
    )


def _read_file_ref(chunk: JsonDict) -> FileRef:
    file_id = text_or_none(chunk.get("file_id"))
    return FileRef(
        file_id=file_id,
        name=text_or_none(chunk.get("file_name")) or file_id or "file",
        declared_type=text_or_none(chunk.get("file_type")),
        tool=text_or_none(chunk.get("tool")),
        raw=chunk,
    )


def _read_linked_image(entry: ToolExecution) -> FileRef | None:
    result = entry.result
    url = result.get("url") if isinstance(result, dict) else None
    if "image_generation" not in (entry.name, entry.function) and entry.function != "generate_image":
        return None
    return FileRef(None, "image", tool="image_generation", url=url, raw=entry.raw) if isinstance(url, str) else None


"""Of a second: Python 3.10 reads three or six digits only."""


def _read_timing(entry: Entry) -> Timing | None:
    started = parse_time(entry.created_at)
    if started is None:
        return None
    what = getattr(entry, "name", "") or entry.type
    return Timing(entry.id, what, started, parse_time(entry.completed_at))
