"""Entries of a stored conversation as LangChain messages that `ChatMistralAgent` recognises as held by the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from langchain_mistral_agents._items import history_digest
from langchain_mistral_agents._messages import Sent, message_of
from mistral_agents._border.fingerprints import group_entries
from mistral_agents._json import JsonDict
from mistral_agents.entries import Entry, FunctionCall, FunctionResult, Message, is_input
from mistral_agents.turn import Turn


@dataclass(slots=True)
class _Part:
    """Entries that make one message, the message, and the digest of the history up to it."""

    raws: list[JsonDict]
    message: BaseMessage
    digest: str


class Converter:
    """Converts a conversation's history; a history read again converts only what is new in it.

    Attributes:
        converted: How many entries were converted so far.
    """

    def __init__(self) -> None:
        self.converted = 0
        self._key: tuple[str, str] | None = None
        self._parts: list[_Part] = []

    def messages(self, entries: Sequence[Entry], conversation_id: str, setup: str) -> list[BaseMessage]:
        """The messages of a history, oldest first."""
        if self._key != (conversation_id, setup):
            self._key, self._parts = (conversation_id, setup), []
        groups = list(group_entries(entries))
        known = self._find_known(groups)
        del self._parts[known:]
        names = {e.tool_call_id: e.name for e in entries if isinstance(e, FunctionCall)}
        for group in groups[known:]:
            self._add(group, conversation_id, setup, names)
        return [part.message for part in self._parts]

    def _find_known(self, groups: Sequence[Sequence[Entry]]) -> int:
        pairs = zip(self._parts, groups, strict=False)
        return next(
            (i for i, (p, g) in enumerate(pairs) if p.raws != _list_raws(g)), min(len(self._parts), len(groups))
        )

    def _add(self, group: Sequence[Entry], conversation_id: str, setup: str, names: Mapping[str, str]) -> None:
        before = self._parts[-1].digest if self._parts else ""
        message = _make_input(group[0], names) if is_input(group[0]) else None
        if message is None:
            turn = Turn(conversation_id, list(group))
            message = message_of(turn, Sent(stored=True, prefix=before, setup=setup, model=None))
        after = history_digest([message], systems=True, start=before)
        self._parts.append(_Part(_list_raws(group), message, after))
        self.converted += len(group)


def _list_raws(group: Sequence[Entry]) -> list[JsonDict]:
    return [entry.raw for entry in group]


def _make_input(entry: Entry, names: Mapping[str, str]) -> BaseMessage:
    if isinstance(entry, FunctionResult):
        call_id = entry.tool_call_id
        return ToolMessage(entry.result, tool_call_id=call_id, name=names.get(call_id), id=entry.id)
    content = _make_content(entry)
    if isinstance(entry, Message) and entry.role == "assistant":
        return AIMessage(content, id=entry.id)
    return HumanMessage(content, id=entry.id)


def _make_content(entry: Entry) -> str | list[str | JsonDict]:
    if not isinstance(entry, Message):
        return ""
    return entry.content if isinstance(entry.content, str) else [_make_block(chunk) for chunk in entry.chunks]


def _make_block(chunk: JsonDict) -> JsonDict:
    """A chunk as a standard block, which the chat model can send again."""
    kind = chunk.get("type")
    if kind == "image_url":
        address = chunk.get("image_url")
        return _read_data("image", address.get("url") if isinstance(address, dict) else address)
    if kind == "document_url":
        name = chunk.get("document_name")
        extras = {"extras": {"name": name}} if isinstance(name, str) else {}
        return {**_read_data("file", chunk.get("document_url")), **extras}
    return {key: value for key, value in chunk.items() if value is not None}


def _read_data(kind: str, address: object) -> JsonDict:
    text = str(address)
    head, comma, data = text.partition(",")
    if not (comma and head.startswith("data:") and head.endswith(";base64")):
        return {"type": kind, "url": text}
    mime = head.removeprefix("data:").removesuffix(";base64")
    return {"type": kind, "base64": data, "mime_type": mime}
