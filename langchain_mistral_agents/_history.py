"""Entries of a stored conversation as LangChain messages that `ChatMistralAgent` recognises as held by the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_mistral_agents._items import history_digest
from langchain_mistral_agents._messages_in import Sent, make_answer
from mistral_agents._border.histories import ConvertedHistory, Identity, Ledger
from mistral_agents._json import JsonDict
from mistral_agents.entries import Entry, FunctionCall, FunctionResult, Message, is_input
from mistral_agents.turn import Turn


def _print_message(message: BaseMessage) -> str:
    return history_digest([message], systems=True)


def _is_result(message: BaseMessage) -> bool:
    return isinstance(message, ToolMessage)


def _is_system(message: BaseMessage) -> bool:
    return isinstance(message, SystemMessage)


_IDENTITY: Identity[BaseMessage] = Identity(
    print_of=_print_message,
    key_of=attrgetter("id"),
    is_result=_is_result,
    is_system=_is_system,
)


def begin_ledger(*, empty: bool) -> Ledger[BaseMessage]:
    """A ledger of LangChain's messages."""
    return Ledger(_IDENTITY, empty=empty)


class Converter(ConvertedHistory[BaseMessage]):
    """Converts a conversation's history into messages that carry where they stand."""

    def convert(self, entries: Sequence[Entry], conversation_id: str, setup: str) -> list[BaseMessage]:
        """The messages of a history, oldest first."""
        names = {e.tool_call_id: e.name for e in entries if isinstance(e, FunctionCall)}

        def make(group: list[Entry], before: str) -> tuple[BaseMessage, str]:
            message = _make_input(group[0], names) if is_input(group[0]) else None
            if message is None:
                turn = Turn(conversation_id, list(group))
                message = make_answer(turn, Sent(stored=True, prefix=before, setup=setup, model=None))
                message.response_metadata["held"] = True  # it was read from the service: see `Mark`
            return message, history_digest([message], systems=True, start=before)

        return self.read(entries, (conversation_id, setup), make)


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
