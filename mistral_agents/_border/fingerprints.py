"""What is the same: tools, what is fixed at a conversation's start, and histories.

A wing says its messages as `Item`s. An answer of a stored conversation carries a `Mark` with a digest of the history up
to it, so that an edited, trimmed or rewound history is told from a continuation without asking the service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mistral_agents._border.calls import EntryWithFiles, ToldCall, is_said, split_files
from mistral_agents._border.text import parse_json
from mistral_agents._json import digest, objects_of
from mistral_agents._tools.translate import translate_tools
from mistral_agents.entries import Entry, content_chunks, is_input
from mistral_agents.turn import Turn

ItemKind = Literal["system", "input", "answer", "result"]


def tool_name(tool: Mapping[str, Any]) -> str:
    """What a tool is called: a function or connector by its name, any other by its type."""
    function = tool.get("function")
    name = function.get("name") if isinstance(function, Mapping) else tool.get("connector_id")
    return f"{tool.get('type')} {name}" if name is not None else str(tool.get("type"))


def tool_identity(tool: Mapping[str, Any]) -> str:
    """Everything that makes two tools different, whatever defaults the service adds; credentials don't count."""
    told = {key: value for key, value in tool.items() if key != "authorization"}
    if isinstance(told.get("library_ids"), (list, tuple)):
        told["library_ids"] = sorted(map(str, told["library_ids"]))
    return digest(_drop_defaults(told, depth=2))


def _drop_defaults(value: object, depth: int) -> Any:
    """Without what is not told; what is false or empty counts as not told, but for a function's own schema."""
    if not isinstance(value, Mapping) or depth == 0:
        return sorted(value) if isinstance(value, (list, tuple)) and all(isinstance(i, str) for i in value) else value
    known = {key: _drop_defaults(item, 0 if key == "parameters" else depth - 1) for key, item in value.items()}
    return {key: item for key, item in known.items() if item not in (None, False, "", [], {})}


@dataclass(frozen=True, slots=True)
class Setup:
    """What is fixed at a conversation's start.

    Attributes:
        agent_id: The agent; it brings its own tools and instructions.
        agent_version: Its version or alias.
        model: The model that was asked for; None with an agent, and where it is not known.
        instructions: The system prompt; None where it does not count.
        tools: The tools, as the service is told them.
        guardrails: Moderation rules; None where none were given.
    """

    agent_id: str | None = None
    agent_version: int | str | None = None
    instructions: str | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    guardrails: Sequence[Any] | None = None
    model: str | None = None

    @classmethod
    def of(
        cls,
        instructions: str | None,
        tools: Sequence[Mapping[str, Any]],
        guardrails: Any = None,
        model: str | None = None,
    ) -> Setup:
        """The setup of a model with tools as they are given, which may say more than the service takes."""
        if any("config" in tool for tool in tools):
            told = translate_tools(tools)
            instructions, tools = told.added_to(instructions), told.tools
        return cls(instructions=instructions, tools=tools, guardrails=guardrails, model=model)

    @classmethod
    def of_info(cls, info: Mapping[str, Any]) -> Setup:
        """The setup of a stored conversation, as the service tells it."""
        agent_id = info.get("agent_id")
        if agent_id is not None:
            return cls(agent_id, info.get("agent_version"))
        return cls(instructions=info.get("instructions"), tools=objects_of(info.get("tools")), model=info.get("model"))

    @property
    def key(self) -> str:
        """A digest that two equal setups share; behind it, where it is known, that of the model."""
        tools = sorted(map(tool_identity, self.tools))
        rules = [list(self.guardrails)] if self.guardrails is not None else []
        fixed = digest(self.agent_id, str(self.agent_version), self.instructions, tools, *rules)
        return f"{fixed}.{digest(self.model)}" if self.model is not None else fixed

    def fits(self, key: str) -> bool:
        """Whether a conversation whose setup has this key can go on with this one."""
        (fixed, _, model), (own, _, asked) = key.partition("."), self.key.partition(".")
        return fixed == own and (model == asked or not (model and asked))

    def differences(self, info: Mapping[str, Any]) -> list[str]:
        """What is asked for and was set otherwise at a conversation's start; what is not asked for does not count."""
        held, changed = Setup.of_info(info), []
        if self.instructions is not None and self.instructions != held.instructions:
            changed.append("instructions")
        if self.tools and sorted(map(tool_identity, self.tools)) != sorted(map(tool_identity, held.tools)):
            changed.append("tools")
        if self.guardrails is not None and info.get("guardrails", self.guardrails) != self.guardrails:
            changed.append("guardrails")
        return changed


# Histories ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mark:
    """What an answer of a stored conversation tells of where it stands.

    Attributes:
        conversation_id: Its conversation.
        entry_id: The last entry of the conversation then.
        history: Digest of the history up to it; None where it is not told, which counts as another history.
        setup: Digest of the conversation's setup; None where it is not told.
        continues: The conversation it was branched from by that turn.
        covers: Whether it stands for everything before it, whatever messages are shown there.
        branch: Whether the next turn must branch, since what follows was cut off.
        skipped: The ids of its calls that were left out, since one at a time was asked for.
        waiting: The ids of hosted calls that wait for a decision after it.
        held: Whether it was read from the service (a history, a memory), which tells of one conversation for all who
            use it: what they say at the same time goes into that.
    """

    conversation_id: str
    entry_id: str | None
    history: str | None = None
    setup: str | None = None
    continues: str | None = None
    covers: bool = False
    branch: bool = False
    skipped: Sequence[str] = ()
    waiting: Sequence[str] = ()
    held: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One message of a history, whatever the framework's class for it.

    Attributes:
        kind: Who said it.
        words: What it says, in a form that can be compared: see `answer_words`, `input_words`, `result_words`.
        mark: Where an answer of a stored conversation stands.
        calls: The function calls of an answer, unreadable ones included: id, name and arguments.
        kept: Whether it is an answer that a stored conversation gave, whatever its mark says now.
    """

    kind: ItemKind
    words: Any
    mark: Mark | None = None
    calls: Sequence[ToldCall] = ()
    kept: bool = False


def answer_item(text: str, calls: Sequence[ToldCall], mark: Mark | None, *, kept: bool = False) -> Item:
    """The item of an answer."""
    return Item("answer", answer_words(text, calls), mark, calls, kept or mark is not None)


def answer_words(text: str, calls: Sequence[ToldCall] = ()) -> list[Any]:
    """The words of an answer: its text and its calls (id, name, arguments)."""
    return [text.strip(), sorted(digest(call_id, name, _parse_loosely(args)) for call_id, name, args in calls)]


def input_words(content: object) -> list[Any]:
    """The words of what a user said: a text, or chunks as the service takes them."""
    chunks = [{k: v for k, v in chunk.items() if v is not None} for chunk in content_chunks(content)]
    return [chunk.get("text", "").strip() if set(chunk) == {"type", "text"} else chunk for chunk in chunks]


def result_words(call_id: str, text: str) -> list[Any]:
    """The words of a function's result."""
    return [call_id, text.strip()]


def entry_words(made: EntryWithFiles) -> list[Any]:
    """The words of an input as it is sent."""
    entry, files = split_files(made)
    if is_said(entry):
        return input_words(entry["content"])
    return [*result_words(entry["tool_call_id"], entry["result"]), *files]


def _parse_loosely(arguments: object) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        return parse_json(arguments) if arguments.strip() else {}
    except ValueError:
        return arguments


def chain(items: Sequence[Item], *, systems: bool, start: str = "") -> list[str]:
    """The digest of the history up to and including each item.

    Args:
        items: The history.
        systems: Whether system messages are part of it; else they belong to the setup.
        start: The digest of what stands before.
    """
    found, last = [], start
    for item in items:
        if systems or item.kind != "system":
            last = digest(last, item.kind, item.words)
        found.append(last)
    return found


@dataclass(frozen=True, slots=True)
class HeldAnswer:
    """An answer in a conversation's history: its words and its last entry."""

    words: Any
    entry_id: str | None


def held_answers(entries: Sequence[Entry]) -> list[HeldAnswer]:
    """The answers of a history, each from one input to the next."""
    found: list[HeldAnswer] = []
    for group in group_entries(entries):
        if not is_input(group[0]):
            turn = Turn(None, list(group))
            calls = [(call.tool_call_id, call.name, call.arguments) for call in turn.function_calls]
            found.append(HeldAnswer(answer_words(turn.text, calls), turn.last_entry_id))
    return found


def group_entries(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Each input alone; what follows it until the next input together: that is one answer."""
    answer: list[Entry] = []
    for entry in entries:
        if not is_input(entry):
            answer.append(entry)
            continue
        if answer:
            yield answer
            answer = []
        yield [entry]
    if answer:
        yield answer


def says_the_same(given: Any, held: Any) -> bool:
    """Whether an answer is one that is held; an answer rebuilt from text has lost its calls."""
    return bool(given[0] == held[0] and (not given[1] or given[1] == held[1]))
