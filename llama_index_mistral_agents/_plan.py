"""Which request a list of messages becomes: a new conversation, the next turn of one, or a branch of one.

State travels with the messages. An answer of a stored conversation carries in `additional_kwargs`:
`conversation_id`, `stored` (True), `entry_id` (the last entry known), `tools` and `system` (what the conversation was
started with), `skipped_calls`. The last such message is the anchor: only what stands after it is new and is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from llama_index.core.base.llms.types import ChatMessage

from llama_index_mistral_agents._messages import (
    SYSTEM,
    answered,
    fingerprint,
    is_answer,
    is_confirmation,
    is_result,
    short_hash,
    system_text,
    to_inputs,
    tool_calls,
)
from llama_index_mistral_agents._options import CallOptions, tool_name
from llama_index_mistral_agents._sessions import Session, session_of
from mistral_agents._border.options import SKIPPED, fit_options
from mistral_agents._json import JsonDict
from mistral_agents.entries import function_result, user_message
from mistral_agents.errors import ConfigurationError

Kind = Literal["start", "append", "restart"]
_NOTHING_NEW = "There is nothing new to send: the last message is already part of conversation {}."
_DIVERGED = (
    "These messages do not continue conversation {}: none of its answers is among them. Nothing was sent. Pass only "
    "the new messages, or use the model without conversation_id."
)
_TOOLS = (
    "Conversation {} was started without these tools: {}. The tools of a conversation are fixed at its start; start a "
    "new one."
)
_CONFIRM = "A confirmation can go only to the stored conversation that waits for it: use the model with store=True."
_UNDECLARED = (
    "Agent {} does not declare {}. The service takes no tools beside agent_id: declare them on the agent "
    "(client.agents.update, or MistralWorkflowAgent.from_new), then pass them here to have them run."
)
SYSTEM_NOTE = "Instructions for what follows:\n\n{}"


@dataclass(frozen=True, slots=True)
class Target:
    """What the model is set to: who answers, and where the conversation is kept.

    Attributes:
        model: The model; None with an agent.
        agent_id: The agent; None with a model.
        agent_version: Its version or alias.
        store: Whether a new conversation is kept.
        conversation_id: The conversation to go on with.
        handoff_execution: Who runs handoffs of an agent.
    """

    model: str | None = None
    agent_id: str | None = None
    agent_version: int | str | None = None
    store: bool = False
    conversation_id: str | None = None
    handoff_execution: Literal["server", "client"] | None = None


@dataclass(slots=True)
class Request:
    """One turn to be made.

    Attributes:
        kind: The call.
        inputs: The entries to send.
        options: Its other arguments.
        conversation_id: The conversation to go on with or to branch.
        from_entry_id: Where to branch.
        stored: Whether the service keeps the result.
        first_call_only: Whether one function call at a time is wanted.
        marks: What the answer must carry for the next turn.
        sent: The messages that `inputs` says.
        session: The memory to tell.
    """

    kind: Kind
    inputs: list[JsonDict] | None
    options: JsonDict
    conversation_id: str | None = None
    from_entry_id: str | None = None
    stored: bool = False
    first_call_only: bool = False
    marks: JsonDict = field(default_factory=dict)
    sent: list[ChatMessage] = field(default_factory=list)
    session: Session | None = None


class Draft:
    """The plan for a list of messages, before what it may need to know of a stored conversation.

    Attributes:
        conversation_id: The conversation to go on with; None starts one.
        needs_history: Whether its history must be read, since the messages do not say where they belong.
        needs_info: Whether the tools and instructions of the conversation, or of the agent that starts one, must be
            read.
    """

    def __init__(self, messages: Sequence[ChatMessage], target: Target, options: CallOptions) -> None:
        self._messages = list(messages)
        self._target = target
        self._options = options
        self._session = session_of(messages)
        self._stored = target.store or target.conversation_id is not None or self._session is not None
        self._at = _anchor(self._messages, target.conversation_id) if self._stored else None
        self.conversation_id = target.conversation_id if self._at is None else self._mark("conversation_id")
        said = [message for message in self._messages if message.role not in SYSTEM]
        self.needs_history = self.conversation_id is not None and self._at is None and any(map(is_answer, said))
        self.needs_info = self._needs_info()

    def _needs_info(self) -> bool:
        unknown_tools = bool(self._options.tools) and self._mark("tools") is None
        if self.conversation_id is None:
            return unknown_tools and self._target.agent_id is not None
        return unknown_tools or (bool(system_text(self._messages)) and self._mark("system") is None)

    def _mark(self, name: str) -> Any:
        return None if self._at is None else self._messages[self._at].additional_kwargs.get(name)

    def request(self, history: Sequence[ChatMessage] | None = None, info: JsonDict | None = None) -> Request:
        """The request.

        Args:
            history: The conversation's messages, where `needs_history`.
            info: What the service tells of the conversation (or agent), where `needs_info`.

        Raises:
            ConfigurationError: The messages can't be sent so; nothing was sent.
        """
        if self.conversation_id is None:
            return self._start(info)
        if history is not None:
            self._at = _place(self._messages, history, self.conversation_id)
        self._check_tools(info)
        return self._continue(info)

    def _start(self, agent: JsonDict | None) -> Request:
        if self._messages and is_confirmation(self._messages[-1]):
            raise ConfigurationError(_CONFIRM)
        target, system = self._target, system_text(self._messages)
        inputs = to_inputs(self._messages)
        options: JsonDict = {"store": self._stored, "handoff_execution": target.handoff_execution}
        if target.agent_id is not None:
            options.update(agent_id=target.agent_id, agent_version=target.agent_version)
            if system:
                inputs.insert(0, user_message(SYSTEM_NOTE.format(system)))
            self._check_declared(agent)
        else:
            options.update(model=target.model, instructions=system or None, tools=self._options.tools or None)
        if not inputs:
            raise ConfigurationError("There is nothing to send: no message with content beside system messages.")
        return self._made("start", inputs, options, self._messages, system)

    def _continue(self, info: JsonDict | None) -> Request:
        new = self._messages if self._at is None else self._messages[self._at + 1 :]
        inputs = answered(to_inputs(new), self._open_calls())
        inputs = [function_result(call_id, SKIPPED) for call_id in self._mark("skipped_calls") or ()] + inputs
        confirmed = self._confirmations(new)
        if not any(message.role not in SYSTEM for message in new) or not (inputs or confirmed):
            raise ConfigurationError(_NOTHING_NEW.format(self.conversation_id))
        system = system_text(self._messages)
        if system and short_hash(system) != self._known_system(info):
            place = sum(entry["type"] == "function.result" for entry in inputs)
            inputs.insert(place, user_message(SYSTEM_NOTE.format(system)))
        branch = bool(self._mark("branch"))
        options: JsonDict = {"handoff_execution": self._target.handoff_execution}
        if confirmed:
            options["tool_confirmations"] = confirmed
        if not branch and self._mark("entry_id") is not None:
            options["after_entry_id"] = self._mark("entry_id")
        request = self._made("restart" if branch else "append", inputs or None, options, new, system)
        request.from_entry_id = self._mark("entry_id") if branch else None
        return request

    def _confirmations(self, new: Sequence[ChatMessage]) -> list[JsonDict]:
        """The decisions on hosted tools that wait; a tool nothing is said about is denied, since it blocks the rest."""
        decisions = {call["id"]: "deny" for call in self._mark("pending_confirmations") or ()}
        said = [message.additional_kwargs for message in new if is_confirmation(message)]
        decisions.update((kwargs["tool_call_id"], kwargs["confirmation"]) for kwargs in said)
        return [{"tool_call_id": call_id, "confirmation": decision} for call_id, decision in decisions.items()]

    def _open_calls(self) -> list[str]:
        if self._at is None or not is_answer(self._messages[self._at]):
            return []
        return [call_id for call_id, _, _ in tool_calls(self._messages[self._at])]

    def _known_system(self, info: JsonDict | None) -> str | None:
        known = self._mark("system")
        if known is None and info is not None and isinstance(info.get("instructions"), str):
            return short_hash(info["instructions"].strip())
        return known if isinstance(known, str) else None

    def _check_tools(self, info: JsonDict | None) -> None:
        known = self._mark("tools")
        if known is None and info is not None and isinstance(info.get("tools"), list):
            known = [tool_name(tool) for tool in info["tools"]]
        missing = [name for name in self._options.tool_names if known is not None and name not in known]
        if missing:
            raise ConfigurationError(_TOOLS.format(self.conversation_id, ", ".join(missing)))

    def _check_declared(self, agent: JsonDict | None) -> None:
        declared = [tool_name(tool) for tool in agent.get("tools") or ()] if agent is not None else []
        missing = [name for name in self._options.tool_names if name not in declared]
        if missing:
            raise ConfigurationError(_UNDECLARED.format(self._target.agent_id, ", ".join(missing)))

    def _made(
        self, kind: Kind, inputs: list[JsonDict] | None, options: JsonDict, sent: Sequence[ChatMessage], system: str
    ) -> Request:
        options |= fit_options(self._options.request, kind)
        if self._options.completion_args:
            options["completion_args"] = self._options.completion_args
        tools = self._options.tool_names if kind == "start" else self._mark("tools") or self._options.tool_names
        return Request(
            kind,
            inputs,
            {name: value for name, value in options.items() if value is not None},
            conversation_id=self.conversation_id,
            stored=self._stored,
            first_call_only=self._options.first_call_only,
            marks={"tools": tools, "system": short_hash(system) if system else self._mark("system")},
            sent=[message for message in sent if message.role not in SYSTEM],
            session=self._session,
        )


def _anchor(messages: Sequence[ChatMessage], conversation_id: str | None) -> int | None:
    """Where the last message stands that the conversation (or, with None, any stored one) holds."""
    known, found = {conversation_id}, None
    for place, message in enumerate(messages):
        kwargs = message.additional_kwargs
        if kwargs.get("stored") is not True or not isinstance(kwargs.get("conversation_id"), str):
            continue
        if conversation_id is None or kwargs["conversation_id"] in known or kwargs.get("continues") in known:
            known.add(kwargs["conversation_id"])
            found = place
    return found


def _place(messages: list[ChatMessage], history: Sequence[ChatMessage], conversation_id: str) -> int:
    """Find the last answer that the service holds too, where messages were rebuilt from text and lost their marks.

    The message found is replaced (in our own list) by the one of the history, which has its marks.
    """
    last = next((message for message in reversed(history) if is_answer(message)), None)
    if last is not None:
        for place in range(len(messages) - 1, -1, -1):
            if is_answer(messages[place]) and fingerprint(messages[place]) == fingerprint(last):
                messages[place] = last
                return place
    raise ConfigurationError(_DIVERGED.format(conversation_id))


def needs_answer(messages: Sequence[ChatMessage]) -> bool:
    """Whether the last message is one that the assistant should answer."""
    return bool(messages) and (is_result(messages[-1]) or not is_answer(messages[-1]))
