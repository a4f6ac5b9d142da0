"""The entries and chunks that a request may hold, as the official description gives them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag


class Strict(BaseModel):
    """A body or a part of one in which every field is known."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", protected_namespaces=(), populate_by_name=True)


class _Entry(Strict):
    object: Literal["entry"] = "entry"
    created_at: str | None = None
    completed_at: str | None = None
    id: str | None = None


class TextChunk(Strict):
    """Text."""

    type: Literal["text"] = "text"
    text: str


class ImageURL(Strict):
    """Where an image is; a `data:` URL holds it."""

    url: str
    detail: Literal["low", "auto", "high"] | None = None


class ImageURLChunk(Strict):
    """An image."""

    type: Literal["image_url"] = "image_url"
    image_url: ImageURL | str


class DocumentURLChunk(Strict):
    """A document."""

    type: Literal["document_url"] = "document_url"
    document_url: str
    document_name: str | None = None


class ToolFileChunk(Strict):
    """A file that a hosted tool made."""

    type: Literal["tool_file"] = "tool_file"
    tool: str
    file_id: str
    file_name: str | None = None
    file_type: str | None = None


class ToolReferenceChunk(Strict):
    """A source that a hosted tool found."""

    type: Literal["tool_reference"] = "tool_reference"
    tool: str
    title: str
    url: str | None = None
    favicon: str | None = None
    description: str | None = None


class ReferenceChunk(Strict):
    """Numbers of sources."""

    type: Literal["reference"] = "reference"
    reference_ids: list[int | str]


class ThinkChunk(Strict):
    """Reasoning."""

    type: Literal["thinking"] = "thinking"
    thinking: list[TextChunk | ToolReferenceChunk | ReferenceChunk]
    signature: str | None = None
    closed: bool = True


class MessageInputEntry(_Entry):
    """What the user says."""

    type: Literal["message.input"] = "message.input"
    role: Literal["assistant", "user"]
    content: str | list[TextChunk | ImageURLChunk | ToolFileChunk | DocumentURLChunk | ThinkChunk]
    prefix: bool = False


class MessageOutputEntry(_Entry):
    """What the model said."""

    type: Literal["message.output"] = "message.output"
    agent_id: str | None = None
    model: str | None = None
    role: Literal["assistant"] = "assistant"
    content: str | list[TextChunk | ImageURLChunk | ToolFileChunk | DocumentURLChunk | ThinkChunk | ToolReferenceChunk]


class FunctionCallEntry(_Entry):
    """A call of a function, or of a hosted tool that is replayed."""

    type: Literal["function.call"] = "function.call"
    agent_id: str | None = None
    model: str | None = None
    tool_call_id: str
    name: str
    arguments: dict[str, Any] | str
    confirmation_status: Literal["pending", "allowed", "denied"] | None = None


class FunctionResultEntry(_Entry):
    """The result of a call."""

    type: Literal["function.result"] = "function.result"
    tool_call_id: str
    result: str


class ToolExecutionEntry(_Entry):
    """A run of a hosted tool."""

    type: Literal["tool.execution"] = "tool.execution"
    agent_id: str | None = None
    model: str | None = None
    name: str
    function: str | None = None
    arguments: str
    info: dict[str, Any] = Field(default_factory=dict)


class AgentHandoffEntry(_Entry):
    """A handover from one agent to another."""

    type: Literal["agent.handoff"] = "agent.handoff"
    previous_agent_id: str
    previous_agent_name: str
    next_agent_id: str
    next_agent_name: str


def _kind(data: Any) -> str:
    """The entry's kind: its `type`, or where that is left out the kind its fields belong to."""
    if not isinstance(data, dict):
        return str(getattr(data, "type", "message.input"))
    if "type" in data:
        return str(data["type"])
    if "result" in data:
        return "function.result"
    if "tool_call_id" in data:
        return "function.call"
    if "next_agent_id" in data:
        return "agent.handoff"
    if "arguments" in data:
        return "tool.execution"
    return "message.input" if "role" in data else "message.output"


InputEntry = Annotated[
    Annotated[MessageInputEntry, Tag("message.input")]
    | Annotated[MessageOutputEntry, Tag("message.output")]
    | Annotated[FunctionResultEntry, Tag("function.result")]
    | Annotated[FunctionCallEntry, Tag("function.call")]
    | Annotated[ToolExecutionEntry, Tag("tool.execution")]
    | Annotated[AgentHandoffEntry, Tag("agent.handoff")],
    Discriminator(_kind),
]
Inputs = str | list[InputEntry]
