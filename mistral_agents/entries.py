"""JsonDict dicts ↔ small typed entries, and the dicts that may be sent.

Reading is tolerant: no field is required, an unknown kind becomes an `UnknownEntry`, and every entry keeps the dict it
was made of in `.raw`, so fields this module has never heard of survive.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mistral_agents._border.blocks import make_text_result
from mistral_agents._border.dialects import read_value
from mistral_agents._border.text import mend_text, parse_json
from mistral_agents._json import JsonDict, text_or_none
from mistral_agents._turn.content import (
    as_json_text,
    chunk_text,
    content_chunks,
    joined_text,
    parse_arguments,
    thinking_text,
)
from mistral_agents.errors import ConfigurationError

__all__ = [
    "ERROR_MARK",
    "Entry",
    "FunctionCall",
    "FunctionResult",
    "Handoff",
    "Message",
    "MessageInput",
    "MessageOutput",
    "ToolExecution",
    "UnknownEntry",
    "as_inputs",
    "assistant_message",
    "chunk_text",
    "content_chunks",
    "function_call",
    "function_result",
    "parse_arguments",
    "parse_entries",
    "parse_entry",
    "replayable",
    "short_call_id",
    "thinking_text",
    "user_message",
]

ERROR_MARK = "Error executing tool"
"""How the text of a failed hosted tool begins, inside an HTTP 200 (seen in recordings)."""


@dataclass(slots=True)
class Entry:
    """What every entry of a conversation has.

    Attributes:
        type: The wire name of its kind.
        id: The entry's id; None for entries without one (inputs echoed by some replies).
        created_at: ISO 8601 time, as sent.
        completed_at: ISO 8601 time, as sent; null for function calls and in histories.
        model: The model that wrote it.
        agent_id: The agent that wrote it.
        raw: The whole dict as it came.
    """

    kind: ClassVar[str] = ""

    type: str = ""
    id: str | None = None
    created_at: str | None = None
    completed_at: str | None = None
    model: str | None = None
    agent_id: str | None = None
    raw: JsonDict = field(default_factory=dict, repr=False)

    @property
    def role(self) -> str | None:
        """`user` or `assistant` for messages, None for every other kind."""
        return None


def _read_common(data: JsonDict) -> dict[str, Any]:
    names = ("id", "created_at", "completed_at", "model", "agent_id")
    return {"type": str(data.get("type", "")), "raw": data, **{name: text_or_none(data.get(name)) for name in names}}


@dataclass(slots=True)
class Message(Entry):
    """A message of the user (`message.input`) or of the assistant (`message.output`)."""

    role: str = ""
    content: Any = None
    prefix: bool = False

    @property
    def chunks(self) -> list[JsonDict]:
        """The content as a list of chunk dicts, whichever form it came in."""
        return content_chunks(self.content)

    @property
    def text(self) -> str:
        """The text chunks, joined."""
        return "".join(chunk_text(chunk) for chunk in self.chunks)


@dataclass(slots=True)
class MessageInput(Message):
    """What the user said."""

    kind: ClassVar[str] = "message.input"


@dataclass(slots=True)
class MessageOutput(Message):
    """What the assistant said."""

    kind: ClassVar[str] = "message.output"


@dataclass(slots=True)
class ToolExecution(Entry):
    """One run of a hosted tool.

    Attributes:
        name: The tool, e.g. `web_search` or `<connector>_<tool>`.
        function: The tool's inner function; tells `web_search` from `open_url`. Older replies lack it.
        arguments: The arguments' JSON text as the model wrote it (sometimes plain text).
        info: What the tool reported; its shape differs per tool (see `result_text`).
    """

    kind: ClassVar[str] = "tool.execution"

    name: str = ""
    function: str | None = None
    arguments: str = ""
    info: JsonDict = field(default_factory=dict)

    @property
    def args(self) -> JsonDict:
        """The arguments as a dict; text that is no JSON object becomes `{"input": text}`."""
        return parse_arguments(self.arguments)

    @property
    def result_text(self) -> str | None:
        """`info.result` as text, whether it came as a string or as text items; None where there is none."""
        return joined_text(self.info.get("result"))

    @property
    def error(self) -> str | None:
        """The message of a failed run, which the service sends inside an HTTP 200; None for a success."""
        text = self.result_text
        return text if text is not None and text.startswith(ERROR_MARK) else None

    @property
    def result(self) -> Any:
        """`info.result` parsed as JSON where it is JSON, else its text."""
        text = self.result_text
        if text is None:
            return self.info.get("result")
        try:
            return parse_json(text)
        except ValueError:
            return text


@dataclass(slots=True)
class FunctionCall(Entry):
    """A function the client must run, or a hosted tool that waits for confirmation.

    Attributes:
        tool_call_id: The id that the result or confirmation must carry (not the entry's `id`).
        arguments: JSON text.
        confirmation_status: `pending` when the user must allow or deny a hosted tool; else None or the decision.
    """

    kind: ClassVar[str] = "function.call"

    name: str = ""
    tool_call_id: str = ""
    arguments: str = ""
    confirmation_status: str | None = None

    @property
    def args(self) -> JsonDict:
        """The arguments as a dict; text that is no JSON object becomes `{"input": text}`."""
        return parse_arguments(self.arguments)

    @property
    def needs_confirmation(self) -> bool:
        """Whether it waits for allow or deny, not for a result."""
        return self.confirmation_status == "pending"


@dataclass(slots=True)
class FunctionResult(Entry):
    """The client's answer to a function call."""

    kind: ClassVar[str] = "function.result"

    tool_call_id: str = ""
    result: str = ""


@dataclass(slots=True)
class Handoff(Entry):
    """The conversation moved from one agent to another."""

    kind: ClassVar[str] = "agent.handoff"

    previous_agent_id: str | None = None
    previous_agent_name: str | None = None
    next_agent_id: str | None = None
    next_agent_name: str | None = None


@dataclass(slots=True)
class UnknownEntry(Entry):
    """An entry of a kind this version does not know; see `.raw`."""


def _read_message(kind: type[Message], data: JsonDict) -> Message:
    role = text_or_none(data.get("role")) or ("user" if kind is MessageInput else "assistant")
    return kind(**_read_common(data), role=role, content=data.get("content"), prefix=data.get("prefix") is True)


def _read_tool_execution(data: JsonDict) -> ToolExecution:
    info = data.get("info")
    return ToolExecution(
        **_read_common(data),
        name=text_or_none(data.get("name")) or "",
        function=text_or_none(data.get("function")),
        arguments=as_json_text(data.get("arguments")),
        info=info if isinstance(info, dict) else {},
    )


def _read_function_call(data: JsonDict) -> FunctionCall:
    return FunctionCall(
        **_read_common(data),
        name=text_or_none(data.get("name")) or "",
        tool_call_id=text_or_none(data.get("tool_call_id")) or "",
        arguments=as_json_text(data.get("arguments")),
        confirmation_status=text_or_none(data.get("confirmation_status")),
    )


def _read_function_result(data: JsonDict) -> FunctionResult:
    return FunctionResult(
        **_read_common(data),
        tool_call_id=text_or_none(data.get("tool_call_id")) or "",
        result=as_json_text(data.get("result")),
    )


def _read_handoff(data: JsonDict) -> Handoff:
    names = ("previous_agent_id", "previous_agent_name", "next_agent_id", "next_agent_name")
    agents: dict[str, Any] = {name: text_or_none(data.get(name)) for name in names}
    return Handoff(**_read_common(data), **agents)


_READERS: dict[str, Any] = {
    "message.input": lambda data: _read_message(MessageInput, data),
    "message.output": lambda data: _read_message(MessageOutput, data),
    "tool.execution": _read_tool_execution,
    "function.call": _read_function_call,
    "function.result": _read_function_result,
    "agent.handoff": _read_handoff,
}


def is_input(entry: Entry) -> bool:
    """Whether the client said it."""
    return isinstance(entry, (MessageInput, FunctionResult))


def parse_entry(data: object) -> Entry:
    """Read one entry. Never raises: what is no dict, or of an unknown kind, becomes an `UnknownEntry`."""
    if not isinstance(data, dict):
        return UnknownEntry(raw={"value": data})
    reader = _READERS.get(str(data.get("type")))
    return reader(data) if reader is not None else UnknownEntry(**_read_common(data))


def parse_entries(data: object) -> list[Entry]:
    """Read a list of entries; anything but a list counts as empty."""
    return [parse_entry(item) for item in data] if isinstance(data, list) else []


# What may be sent ---------------------------------------------------------------------------------------------------


def user_message(content: str | Sequence[Mapping[str, Any]]) -> JsonDict:
    """A `message.input` of the user.

    Raises:
        ConfigurationError: `content` is neither a text nor a list of chunks.
    """
    return {"type": "message.input", "role": "user", "content": _read_chunks(content)}


def assistant_message(content: str | Sequence[Mapping[str, Any]]) -> JsonDict:
    """A `message.output` to replay; without an id, since ids are refused as inputs.

    Raises:
        ConfigurationError: `content` is neither a text nor a list of chunks.
    """
    return {"type": "message.output", "role": "assistant", "content": _read_chunks(content)}


def _read_chunks(content: object) -> str | list[JsonDict]:
    if isinstance(content, str):
        return content
    chunks = list(content) if isinstance(content, Iterable) and not isinstance(content, (bytes, Mapping)) else [None]
    found = [dict(chunk) for chunk in chunks if isinstance(chunk, Mapping)]
    if len(found) < len(chunks):
        raise ConfigurationError(f"content must be a text or a list of chunks (dicts with a `type`), not {content!r}.")
    return found


def function_call(tool_call_id: str, name: str, arguments: str | Mapping[str, Any]) -> JsonDict:
    """A `function.call` to replay."""
    return {"type": "function.call", "tool_call_id": tool_call_id, "name": name, "arguments": as_json_text(arguments)}


def function_result(tool_call_id: str, result: object) -> JsonDict:
    """A `function.result`; anything but a string is sent as JSON text.

    Warns:
        UserWarning: It holds a picture or a document, which no result can: give it in a `user_message` behind it.
    """
    text = result if isinstance(result, str) else make_text_result(read_value(result))
    return {"type": "function.result", "tool_call_id": tool_call_id, "result": text}


def replayable(entries: Iterable[Entry]) -> list[JsonDict]:
    """Entries as inputs that the service accepts.

    A hosted run goes in as `function.call` + `function.result` without ids (a recording shows it accepted); ids,
    execution entries and reference chunks are refused as inputs, so references are left out.
    """
    sent: list[JsonDict] = []
    for entry in entries:
        sent.extend(_replay_entry(entry))
    return sent


def _replay_entry(entry: Entry) -> list[JsonDict]:
    if isinstance(entry, MessageInput):
        return [user_message(entry.content if isinstance(entry.content, str) else entry.chunks)]
    if isinstance(entry, MessageOutput):
        chunks = [chunk for chunk in entry.chunks if chunk.get("type") in ("text", "thinking")]
        content = entry.content if isinstance(entry.content, str) else chunks
        return [assistant_message(content)] if content else []
    if isinstance(entry, ToolExecution):
        call_id = short_call_id(entry.id if entry.id is not None else entry.arguments)
        result = entry.info.get("result", entry.info)
        return [function_call(call_id, entry.name, entry.arguments or "{}"), function_result(call_id, result)]
    if isinstance(entry, FunctionCall):
        return [function_call(entry.tool_call_id, entry.name, entry.arguments or "{}")]
    if isinstance(entry, FunctionResult):
        return [function_result(entry.tool_call_id, entry.result)]
    return []


def short_call_id(seed: str) -> str:
    """A stable 9-character alphanumeric id, the form Mistral's models use for tool calls."""
    return hashlib.sha256(mend_text(seed).encode()).hexdigest()[:9]


class CallIds:
    """Gives each call of one turn an id of its own, since results are told apart by it alone.

    Mistral's models do so themselves; other engines behind the same API leave ids out, or give several calls the same.
    A handoff voids the calls before it, so those behind it begin anew.
    """

    __slots__ = ("_settled",)

    def __init__(self) -> None:
        self._settled: dict[str, str] = {}

    def settle(self, key: str, call_id: object) -> str:
        """The id of the call with a key (its entry's id, or its place): as it came, unless another call has it."""
        known = self._settled.get(key)
        if known is None:
            given = call_id if isinstance(call_id, str) else ""
            known = given if given and given not in self._settled.values() else short_call_id(f"{key} {given}")
            self._settled[key] = known
        return known


def settle_calls(outputs: Any) -> Any:
    """The outputs of one turn, with an id of its own for each call that waits at the same time."""
    if not isinstance(outputs, list):
        return outputs
    ids = CallIds()
    settled: list[Any] = []
    for place, entry in enumerate(outputs):
        kind = entry.get("type") if isinstance(entry, dict) else None
        if kind == "agent.handoff":
            ids = CallIds()
        if kind == "function.call":
            key = str(entry.get("id") or f"{kind}@{place}")
            settled.append({**entry, "tool_call_id": ids.settle(key, entry.get("tool_call_id"))})
        else:
            settled.append(entry)
    return settled


Inputs = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any] | Entry]
"""What is said in a turn: a text, an entry, or a list of texts and entries."""


def as_inputs(inputs: object) -> str | list[JsonDict]:
    """Check what a caller gives as `inputs`: a non-empty text, one entry, or a list of entries.

    Raises:
        ConfigurationError: It is empty, or holds something that is no text and no entry.
    """
    if isinstance(inputs, str):
        if not inputs.strip():
            raise ConfigurationError("inputs is empty; give a text or a list of entries.")
        return inputs
    if isinstance(inputs, Mapping):
        return [_check_input(inputs, 0)]
    if not isinstance(inputs, Sequence) or isinstance(inputs, (bytes, bytearray)):
        raise ConfigurationError(f"inputs must be a text or a list of entries, not {type(inputs).__name__}.")
    if not inputs:
        raise ConfigurationError("inputs is empty; give a text or a list of entries.")
    return [_check_input(item, place) for place, item in enumerate(inputs)]


def _check_input(item: object, place: int) -> JsonDict:
    if isinstance(item, str):
        return user_message(item)
    if isinstance(item, Mapping):
        _check_role(item, place)
        return dict(item)
    if isinstance(item, Entry):
        found = _replay_entry(item)
        if len(found) == 1:
            return found[0]
    raise ConfigurationError(
        f"inputs[{place}] is a {type(item).__name__}; each item must be a text or an entry (a dict with a `type`)."
    )


def _check_role(item: Mapping[str, Any], place: int) -> None:
    """Refuse chat messages of roles that a conversation does not have; the service's words about them say little."""
    role = item.get("role")
    if isinstance(role, str) and role not in ("user", "assistant"):
        raise ConfigurationError(
            f"inputs[{place}] has the role {role!r}; a conversation's messages are of user and assistant.",
            hint="A system prompt goes into instructions= of the start, a tool's answer into function_result(...).",
        )
