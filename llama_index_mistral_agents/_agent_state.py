"""What a workflow agent remembers between steps and runs: plain JSON in `ctx.store`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from llama_index.core.base.llms.types import ChatMessage

from llama_index_mistral_agents._messages_in import history_messages
from llama_index_mistral_agents._messages_out import SYSTEM, fingerprint, is_answer, is_result, short_hash
from mistral_agents._border.histories import count_new
from mistral_agents._json import JsonDict
from mistral_agents.entries import Entry, is_input

if TYPE_CHECKING:
    from llama_index.core.agent.workflow.agent_context import AgentContext

KEY = "mistral_conversation"
_KNOWN = 256
_MARKS = frozenset({"stored", "memory", "branch", "covers"})
_MEMORIES: WeakValueDictionary[str, object] = WeakValueDictionary()
_MET: WeakValueDictionary[int, object] = WeakValueDictionary()
_FRESH: WeakValueDictionary[int, object] = WeakValueDictionary()


def meet_memory(memory: object, messages: Sequence[ChatMessage]) -> None:
    """Note whether a memory was made for this run, when the first agent of ours in a workflow sees it.

    All that it holds then began with the run's question: another agent may have spoken and handed over since.
    """
    if _MET.get(id(memory)) is not memory:
        _MET[id(memory)] = memory
        kinds = [is_answer(message) or is_result(message) for message in messages if message.role not in SYSTEM]
        if not any(kinds) or (kinds.count(False) == 1 and not kinds[0]):
            _FRESH[id(memory)] = memory


@dataclass(slots=True)
class AgentState:
    """Where an agent stands in its conversation.

    Attributes:
        conversation_id: The conversation; None before the first turn.
        answer: The last answer of the service, whose marks say where to go on.
        known: Fingerprints of the memory's messages that the conversation covers, the last 256 of them.
        asked: Fingerprint of all that the user had said at the last turn.
        memory: Which memory object that was; another one may have lost the messages with its context.
        pad: Answers and results of this run that are not in the memory yet.
        unsent: Those results that the service has not got yet.
        under_way: Whether a turn was sent of which nothing came back yet, or ever.
        v: Version of this form.
    """

    conversation_id: str | None = None
    answer: JsonDict | None = None
    known: list[str] = field(default_factory=list)
    asked: str = ""
    memory: str = ""
    pad: list[JsonDict] = field(default_factory=list)
    unsent: list[JsonDict] = field(default_factory=list)
    under_way: bool = False
    v: int = 1

    @classmethod
    async def load(cls, ctx: AgentContext, name: str) -> AgentState:
        """The state of the agent of that name."""
        found = (await ctx.store.get(KEY, default={})).get(name)
        return cls(**found) if found is not None and found.get("v") == 1 else cls()

    async def save(self, ctx: AgentContext, name: str) -> None:
        """Keep it."""
        states = await ctx.store.get(KEY, default={})
        await ctx.store.set(KEY, {**states, name: asdict(self)})

    @property
    def last(self) -> ChatMessage | None:
        """The last answer."""
        return undumped([self.answer])[0] if self.answer is not None else None

    @property
    def pending(self) -> bool:
        """Whether hosted tools wait for the user."""
        return self.answer is not None and bool(self.answer["additional_kwargs"].get("pending_confirmations"))

    def meets(self, memory: object) -> None:
        """Note which memory object it is, as long as that lives."""
        if _MEMORIES.get(self.memory) is not memory:
            self.memory = secrets.token_hex(8)
            _MEMORIES[self.memory] = memory

    def covers(self, messages: Sequence[ChatMessage]) -> None:
        """Note what the conversation covers."""
        self.known = prints(messages)[-_KNOWN:]

    def reconcile(self, history: Sequence[ChatMessage]) -> list[str] | None:
        """Take over what a turn that was cut off has left in the conversation, so that nothing is sent twice.

        Returns:
            Fingerprints of what the user had said in it, where its answer is there; else None.
        """
        last = self.last
        said: list[str] = []
        places = [place for place, message in enumerate(history) if last is not None and _is_same_entry(message, last)]
        new = history[places[-1] + 1 :] if places and last is not None else ()
        for message in new:
            if is_answer(message):
                kwargs = {**_start_marks(last), **message.additional_kwargs}
                self.answer = dumped(message.model_copy(update={"additional_kwargs": kwargs}))
            elif is_result(message):
                self.unsent = [sent for sent in self.unsent if not _is_same_call(sent, message)]
            else:
                said.append(fingerprint(message))
        self.known = [*self.known, *said]
        self.under_way = False
        return said if new and is_answer(new[-1]) else None

    def take_answer_after(self, entry_id: str, entries: Sequence[Entry]) -> bool:
        """Take over the answer that follows an entry, unless somebody has said something since.

        Returns:
            Whether there is one.
        """
        places = [place for place, entry in enumerate(entries) if entry.id == entry_id]
        after = entries[places[-1] + 1 :] if places else ()
        mine = {sent["additional_kwargs"]["tool_call_id"] for sent in self.unsent}
        if not after or any(is_input(entry) and entry.raw.get("tool_call_id") not in mine for entry in after):
            return False
        answer = history_messages(after, str(self.conversation_id))[-1]
        kwargs = {**_start_marks(self.last), **answer.additional_kwargs}
        self.answer = dumped(answer.model_copy(update={"additional_kwargs": kwargs}))
        return True

    def repeats(self, said: list[str], messages: Sequence[ChatMessage], memory: object) -> bool:
        """Whether a memory holds nothing new but what was said (and answered) in a turn that was cut off."""
        count = self.new_in(messages, memory)
        if count is None or self.unsent:
            return False
        now = prints(messages)
        return now[len(now) - count :] in ([], said)

    def new_in(self, messages: Sequence[ChatMessage], memory: object) -> int | None:
        """How many messages at the end the conversation does not cover; None where the memory was edited.

        A memory cut off at its beginning, or lost with its context, is not an edited one.
        """
        count = count_new(self.known, prints(messages))
        if count is None and (self.lost_in(messages, memory) or not self.known):
            return len(prints(messages))
        return count

    def lost_in(self, messages: Sequence[ChatMessage], memory: object) -> bool:
        """Whether a memory lost what it held: it is another object than at the last turn, and began without answers."""
        began_empty = _FRESH.get(id(memory)) is memory or not any(map(is_answer, messages))
        return _MEMORIES.get(self.memory) is not memory and began_empty


def _is_same_entry(one: ChatMessage, other: ChatMessage) -> bool:
    return one.additional_kwargs.get("entry_id") == other.additional_kwargs.get("entry_id")


def _is_same_call(one: JsonDict, other: ChatMessage) -> bool:
    return bool(one["additional_kwargs"]["tool_call_id"] == other.additional_kwargs.get("tool_call_id"))


def _start_marks(message: ChatMessage | None) -> JsonDict:
    kwargs = message.additional_kwargs if message is not None else {}
    return {name: kwargs[name] for name in ("setup_digest", "system") if name in kwargs}


def prints(messages: Sequence[ChatMessage]) -> list[str]:
    """The messages' fingerprints, without those of the system."""
    return [fingerprint(message) for message in messages if message.role not in SYSTEM]


def asked_by(messages: Sequence[ChatMessage]) -> str:
    """The fingerprint of all that the user said."""
    said = [m for m in messages if m.role not in SYSTEM and not is_answer(m) and not is_result(m)]
    return short_hash("\0".join(prints(said)))


def dumped(message: ChatMessage) -> JsonDict:
    """A message as plain JSON."""
    return message.model_dump(mode="json")


def undumped(messages: Sequence[JsonDict]) -> list[ChatMessage]:
    """Messages out of plain JSON."""
    return [ChatMessage.model_validate(message) for message in messages]


def unmarked(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Copies that belong to no stored conversation any more (`kept`)."""
    return [_drop_marks(message) for message in messages]


def _drop_marks(message: ChatMessage) -> ChatMessage:
    kwargs = {name: value for name, value in message.additional_kwargs.items() if name not in _MARKS}
    if message.additional_kwargs.get("stored") is True:
        kwargs["kept"] = True
    return message.model_copy(update={"additional_kwargs": kwargs})
