"""Steps of blocks as LangChain messages, with the metadata of a turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import invalid_tool_call, tool_call

from langchain_mistral_agents._blocks import VERSION, drop_none
from langchain_mistral_agents._items import history_digest
from langchain_mistral_agents._streaming import Assembler, Step
from langchain_mistral_agents._translator import PROVIDER
from mistral_agents._border.stops import AnswerCut, cut_turn
from mistral_agents._json import JsonDict
from mistral_agents.entries import FunctionCall
from mistral_agents.turn import Turn
from mistral_agents.usage import Usage


@dataclass(frozen=True, slots=True)
class Sent:
    """What must be known of a request to describe its answer.

    Attributes:
        stored: Whether the service keeps the conversation.
        prefix: Digest of all messages given.
        setup: Digest of the tools and instructions, where the conversation is kept.
        model: The model asked for (or the agent), where the answer names none.
        stop: Stop sequences that we must enforce.
        headers: Whether to show the reply's headers.
        blocks: Whether the content is blocks always, a text alone too (`output_version="v1"`).
        first_call_only: Whether only the first function call of the turn is kept.
        continues: The conversation that the turn branches from.
        draft: The words of the turn that used tools, where another one wrote the answer in a form.
        undecided: Hosted calls of earlier answers that go on waiting for a decision.
    """

    stored: bool
    prefix: str
    setup: str
    model: str | None
    stop: tuple[str, ...] = ()
    headers: bool = False
    blocks: bool = False
    first_call_only: bool = False
    continues: str | None = None
    draft: str | None = None
    undecided: Sequence[JsonDict] = ()


def _find_reason(calls: Sequence[FunctionCall], pending: Sequence[JsonDict]) -> str:
    """Why the answer ended; the service tells no reason, so it is read from what the answer shows."""
    if calls:
        return "tool_calls"
    return "confirmation" if pending else "stop"


def closing_metadata(turn: Turn, sent: Sent, answer: AIMessage) -> dict[str, Any]:
    """What is known of an answer at its end; `conversation_id` is told at its beginning."""
    ids = {call["id"] for call in (*answer.tool_calls, *answer.invalid_tool_calls)}
    calls = [call for call in turn.function_calls if call.tool_call_id in ids]
    skipped = [call.tool_call_id for call in turn.function_calls if call not in calls]
    pending = [
        *sent.undecided,
        *({"tool_call_id": c.tool_call_id, "name": c.name, "args": c.args} for c in turn.pending_confirmations),
    ]
    facts: JsonDict = {
        "model_name": turn.model if turn.model is not None else sent.model,
        "agent_id": turn.agent_id,
        "finish_reason": _find_reason(calls, pending),
        "token_usage": _count_tokens(turn.usage),
        "stored": sent.stored or None,
        "last_entry_id": turn.last_entry_id,
        "entry_ids": [entry.id for entry in turn.entries if entry.id is not None],
        "history_digest": history_digest([answer], systems=False, start=sent.prefix) if sent.stored else None,
        "setup_digest": sent.setup if sent.stored else None,
        "continues": sent.continues,
        "pending_confirmations": pending or None,
        "skipped_calls": skipped or None,
        "draft": sent.draft,
        "guardrails": turn.guardrails,
        "connectors": turn.usage.connectors or None,
        "quotas": _list_quotas(turn) or None,
        "request_id": turn.request_id,
        "headers": dict(turn.headers) if sent.headers else None,
    }
    return drop_none(**facts)


def _count_tokens(usage: Usage) -> dict[str, int] | None:
    """The figures of `usage_metadata` under the names that other chat models give them here."""
    found = usage_metadata(usage)
    names = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "total_tokens": "total_tokens"}
    return {name: cast("JsonDict", found)[key] for name, key in names.items()} if found is not None else None


def _list_quotas(turn: Turn) -> dict[str, Any]:
    return {f"{q.name}/{q.window}": {"limit": q.limit, "remaining": q.remaining} for q in turn.quotas}


def usage_metadata(usage: Usage) -> UsageMetadata | None:
    """Tokens that add up: connector tokens count as input, and stand in its details too.

    In every reply recorded the total is prompt + completion + connector tokens.

    Returns:
        None where the service reported no usage.
    """
    if not usage.raw:
        return None
    read = usage.prompt_tokens + usage.connector_tokens
    found: dict[str, Any] = {
        "input_tokens": read,
        "output_tokens": usage.completion_tokens,
        "total_tokens": read + usage.completion_tokens,
    }
    if usage.connector_tokens:
        found["input_token_details"] = {"connector": usage.connector_tokens}
    return cast("UsageMetadata", found)


def make_cut(sent: Sent) -> AnswerCut:
    """What is enforced while an answer comes."""
    return AnswerCut(sent.stop, first_call_only=sent.first_call_only)


def make_answer(turn: Turn, sent: Sent) -> AIMessage:
    """The answer of a turn that came as a call."""
    assembler = Assembler()
    steps = assembler.take_turn(cut_turn(turn, sent.stop), first_call_only=sent.first_call_only)
    message = _build_message(steps, assembler.first_id, blocks=sent.blocks)
    message.usage_metadata = usage_metadata(turn.usage)
    opening = {"conversation_id": turn.conversation_id} if turn.conversation_id is not None else {}
    message.response_metadata.update({**opening, **closing_metadata(turn, sent, message)})
    return message


def _build_message(steps: Sequence[Step], message_id: str | None, *, blocks: bool) -> AIMessage:
    """The closed blocks as a message: text alone is a string, unless blocks are wanted."""
    shown = [step for step in steps if step.kind == "close" and not _is_empty(step.block)]
    closed = [_add_index(step) for step in sorted(shown, key=lambda step: step.index)]
    if not blocks and is_plain(closed):
        text = "".join(block["text"] for block in closed)
        return AIMessage(content=text, id=message_id, response_metadata={"model_provider": PROVIDER})
    return AIMessage(
        content=[*closed],
        id=message_id,
        response_metadata=dict(VERSION),
        tool_calls=[tool_call(**_collect_fields(block)) for block in closed if block["type"] == "tool_call"],
        invalid_tool_calls=[
            invalid_tool_call(**_collect_fields(block)) for block in closed if block["type"] == "invalid_tool_call"
        ],
    )


def is_plain(blocks: Sequence[JsonDict]) -> bool:
    """Whether an answer's blocks are one text without sources, so that a string says it all."""
    return all(block["type"] == "text" and block["index"] == 0 and "annotations" not in block for block in blocks)


def _is_empty(block: JsonDict) -> bool:
    """Whether nothing of a text is left before a stop sequence."""
    return block["type"] == "text" and not block["text"] and "annotations" not in block


def _add_index(step: Step) -> JsonDict:
    """A block with its index; LangChain's sums take it from calls."""
    if step.block["type"] in ("tool_call", "invalid_tool_call"):
        return step.block
    return {**step.block, "index": step.index}


def _collect_fields(call: JsonDict) -> JsonDict:
    return {name: value for name, value in call.items() if name != "type"}
