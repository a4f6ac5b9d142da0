"""A conversation on the service as LlamaIndex memory."""

from __future__ import annotations

import copy
import os
import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypedDict

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms import LLM
from llama_index.core.memory import BaseMemory, BaseMemoryBlock
from pydantic import ConfigDict, Field, PrivateAttr
from typing_extensions import Self, Unpack, override

from llama_index_mistral_agents._agent_state import dumped, undumped, unmarked
from llama_index_mistral_agents._items import history_digest, with_marks
from llama_index_mistral_agents._messages_in import history_messages, make_history_message
from llama_index_mistral_agents._messages_out import IDENTITY, is_answer, text_of
from llama_index_mistral_agents._sessions import live_session, register, turns_made
from llama_index_mistral_agents.llm import MistralAgentLLM
from mistral_agents import MistralAgents
from mistral_agents._border.histories import ConvertedHistory, Unsaved, count_shared
from mistral_agents._http.concealed import conceal_text
from mistral_agents._json import JsonDict
from mistral_agents._warnings import warn_user
from mistral_agents.client import choose_client
from mistral_agents.entries import Entry
from mistral_agents.errors import ConfigurationError

_LOCK = threading.RLock()
_SAVED: deque[Any] = deque(maxlen=64)
"""The memories that went into a context last: between two runs of a reused context nothing else may hold them."""
_NO_ANSWER = "Empty Response"
"""What LlamaIndex's synthesizers say without asking any model, where nothing was retrieved."""
_OTHER = (
    "This answer is no turn of a MistralAgentLLM on this memory's messages. A conversation on the service can only be "
    "continued by its own model or agent: use LlamaIndex's Memory or ChatMemoryBuffer with other providers. To add an "
    "answer of your own, use set()."
)

_ELSEWHERE = (
    "The MistralConversationMemory of this context can't be made here: {}. Pass it to run() again, as "
    "memory=MistralConversationMemory({!r}, client=...)."
)


class MemoryConnection(TypedDict, total=False):
    """How a memory reaches the service; see `MistralConversationMemory`."""

    client: MistralAgents | None
    api_key: str | Callable[[], str] | None
    base_url: str | None


class MemoryOptions(MemoryConnection, total=False):
    """What `MistralConversationMemory.from_defaults` takes."""

    conversation_id: str | None


class MistralConversationMemory(BaseMemory):
    """The memory of a chat engine or workflow agent, kept in a conversation on the service.

    Reading gives the conversation's messages and, behind them, those that are not there yet. A message put here is
    never sent by itself, since the service has no call that stores without a (billed) answer: it goes out with the next
    turn that a `MistralAgentLLM` makes of this memory's messages, whatever the model's own `store`. What such a turn
    has already brought there is not kept twice. Works with `MistralAgentLLM` only.

    The first turn starts a conversation; `conversation_id` is then its id, with which another process goes on.

    In a `Context` of a workflow it stays the same object from run to run, whether `memory=` is passed again or not. A
    context restored in another process makes it anew, with MISTRAL_API_KEY and MISTRAL_BASE_URL; where these don't lead
    to the same address, it warns and takes the `memory=` of the run.

    Args:
        conversation_id: The conversation to go on with; None starts one with the first turn.
        client: Your own client; else one is made of `api_key` and `base_url`.
        api_key: The key, else MISTRAL_API_KEY.
        base_url: Address of the service, else MISTRAL_BASE_URL, else the service's own.

    Examples:
        >>> memory = MistralConversationMemory()
        >>> engine = SimpleChatEngine.from_defaults(llm=MistralAgentLLM("mistral-medium-latest"), memory=memory)
        >>> engine.chat("My name is Ada.")
        >>> memory.conversation_id
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    conversation_id: str | None = Field(default=None, description="The conversation; None before the first turn.")
    client: MistralAgents = Field(description="The client.", exclude=True, repr=False)
    _history: ConvertedHistory[ChatMessage] = PrivateAttr(default_factory=ConvertedHistory)
    _unsaved: Unsaved[ChatMessage] = PrivateAttr(default_factory=partial(Unsaved, IDENTITY))
    _marks: JsonDict = PrivateAttr(default_factory=dict)
    _stale: bool = PrivateAttr(default=True)
    _under_way: bool = PrivateAttr(default=False)
    _settled: int = PrivateAttr(default=0)
    _branch_at: int | None = PrivateAttr(default=None)
    _round: int | None = PrivateAttr(default=None)
    _identity: tuple[int, str] = PrivateAttr(default=(0, ""))

    def __init__(
        self,
        conversation_id: str | None = None,
        *,
        client: MistralAgents | None = None,
        api_key: str | Callable[[], str] | None = None,
        base_url: str | None = None,
    ) -> None:
        api_key, base_url = conceal_text(api_key), conceal_text(base_url)
        made = choose_client(client, api_key=api_key, base_url=base_url)
        fields: JsonDict = {"conversation_id": conversation_id, "client": made}
        super().__init__(**fields)

    @override
    def __setattr__(self, name: str, value: object) -> None:
        if name == "conversation_id" and value != self.conversation_id:  # nothing known is of the other conversation
            self._history, self._marks, self._branch_at = ConvertedHistory(self._history.converted), {}, None
            self._stale, self._under_way, self._round = True, False, None
        super().__setattr__(name, value)

    @override
    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        copied = super().model_copy(deep=deep)
        copied._unsaved = copy.deepcopy(self._unsaved)
        for name, value in (update if update is not None else {}).items():
            setattr(copied, name, value)
        return copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        # The base class only calls the constructor, which would lose what is unsaved.
        super().__setstate__({**state, "__dict__": {k: state["__dict__"][k] for k in ("conversation_id", "client")}})
        for name, value in state["__pydantic_private__"].items():
            setattr(self, name, value)

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex knows this class."""
        return "MistralConversationMemory"

    @classmethod
    def from_defaults(  # type: ignore[override]
        cls, llm: LLM | None = None, chat_history: list[ChatMessage] | None = None, **kwargs: Unpack[MemoryOptions]
    ) -> Self:
        """A memory, perhaps with messages that go out with the first turn.

        Args:
            llm: The model it is for; its client is used.
            chat_history: Messages to begin with.
            kwargs: As the constructor takes them; anything else is refused.

        Raises:
            ConfigurationError: `llm` is of another provider.
        """
        if llm is not None and not isinstance(llm, MistralAgentLLM):
            raise ConfigurationError(f"{type(llm).__name__} can't use it. {_OTHER}")
        if llm is not None and not {"client", "api_key", "base_url"} & set(kwargs):
            kwargs["client"] = llm.client
        memory = cls(**kwargs)
        if chat_history:
            memory._unsaved.messages = unmarked(chat_history)
        return memory

    # reading ---------------------------------------------------------------------------------------------------

    def get(self, input: str | None = None, **kwargs: object) -> list[ChatMessage]:  # noqa: ARG002
        """The conversation's messages, then the unsaved ones."""
        return self.get_all()

    async def aget(self, input: str | None = None, **kwargs: object) -> list[ChatMessage]:  # noqa: ARG002
        """As `get`, without blocking."""
        return await self.aget_all()

    def get_all(self) -> list[ChatMessage]:
        """As `get`. The history is read only when a turn may have changed it, or after `refresh`."""
        if self._stale and self.conversation_id is not None:
            self._take(self.client.conversations.get_history(self.conversation_id).entries)
        return self._hand_out()

    async def aget_all(self) -> list[ChatMessage]:
        """As `get_all`, without blocking."""
        if self._stale and self.conversation_id is not None:
            self._take((await self.client.conversations.aget_history(self.conversation_id)).entries)
        return self._hand_out()

    def refresh(self) -> None:
        """Read the history again at the next `get`: for changes made elsewhere."""
        self._stale = True

    @property
    def unsaved(self) -> list[ChatMessage]:
        """The messages that the service does not hold; they go out with the next turn."""
        with _LOCK:
            return [message.model_copy(deep=True) for message in self._unsaved.messages]

    @property
    def entries_converted(self) -> int:
        """How many entries of histories have been made messages so far."""
        return self._history.converted

    def export(self) -> JsonDict:
        """The id and the unsaved messages as plain JSON, for `from_export`."""
        data: JsonDict = {"v": 1, "conversation_id": self.conversation_id, "unsaved": [dumped(m) for m in self.unsaved]}
        if self._branch_at is not None:
            data["branch_at"] = self._branch_at
        if self._under_way:
            data["settled"] = len(self._history.messages)
        return data

    @classmethod
    def from_export(cls, data: JsonDict, **kwargs: Unpack[MemoryConnection]) -> Self:
        """A memory that goes on where an exported one stopped."""
        memory = cls(data["conversation_id"], **kwargs)
        memory._unsaved.messages = undumped(data["unsaved"])
        memory._branch_at = data.get("branch_at")
        memory._under_way = "settled" in data
        memory._settled = data.get("settled", 0)
        return memory

    def to_dict(self, **kwargs: Any) -> JsonDict:  # noqa: ARG002
        """What a saved `Context` keeps: the export, the address, and which object it is. Never a key."""
        _SAVED.append(self)
        about = {"class_name": self.class_name(), "base_url": self.client.base_url, "live": self._make_known()}
        return {**about, "export": self.export()}

    @classmethod
    def from_dict(cls, data: JsonDict, **kwargs: Any) -> Any:
        """The same object where it lives, since what it knows changes with each turn; else one made of the export.

        Returns:
            The memory; None, with a warning, where the environment has no key or leads to another address: LlamaIndex
            then takes the memory that is passed to the run.
        """
        export = data["export"]
        if kwargs:
            return cls.from_export(export, **kwargs)
        alive = live_session(data["live"])
        if alive is not None:
            return alive
        client = MistralAgents()
        if client.base_url != data["base_url"]:
            why = f"its conversation is at {data['base_url']}, and the environment leads to {client.base_url}"
        elif not os.environ.get("MISTRAL_API_KEY"):
            why = "MISTRAL_API_KEY is not set"
        else:
            return cls.from_export(export, client=client)
        warn_user(_ELSEWHERE.format(why, export["conversation_id"]))
        return None

    def _make_known(self) -> str:
        """The key of this object among the living, which no copy of it shares."""
        if self._identity[0] != id(self):
            self._identity = (id(self), f"memory-{secrets.token_hex(8)}")
        register(self._identity[1], self)
        return self._identity[1]

    def _take(self, entries: list[Entry]) -> None:
        with _LOCK:
            before = max(len(self._history.messages), self._settled)
            self._history.read(entries, self.conversation_id, self._convert)
            if self._under_way:
                for message in self._history.messages[before:]:
                    self._unsaved.take(message)
            self._stale = self._under_way = False

    def _convert(self, group: list[Entry], before: str) -> tuple[ChatMessage, str]:
        """The message of some entries, with the digest of the history up to it."""
        message = make_history_message(group, str(self.conversation_id))
        digest = history_digest([message], before)
        return with_marks(message, history_digest=digest), digest

    def _hand_out(self) -> list[ChatMessage]:
        with _LOCK:
            key = self._make_known()
            self._unsaved.begin_round()
            kept = self._history.messages[: self._branch_at]
            messages = [with_marks(message, memory=key) for message in [*kept, *self._unsaved.messages]]
            if kept:
                branch = {"branch": True} if self._branch_at is not None else {}
                known = {name: value for name, value in self._marks.items() if value}
                messages[len(kept) - 1] = with_marks(messages[len(kept) - 1], **known, **branch)
            self._round = turns_made() if messages else None
            return messages

    # writing ---------------------------------------------------------------------------------------------------

    def put(self, message: ChatMessage) -> None:
        """Keep a message for the next turn; one that the service already holds is left out.

        Raises:
            ConfigurationError: It is an answer of another provider's model.
        """
        with _LOCK:
            if self._unsaved.claim(message) or self._is_entry(message):
                return
            if is_answer(message) and self._round == turns_made() and text_of(message) != _NO_ANSWER:
                raise ConfigurationError(_OTHER)
            self._unsaved.messages.extend(unmarked([message]))

    def _is_entry(self, message: ChatMessage) -> bool:
        """Whether it is an entry of the conversation; of one that is to branch, only what was handed out is."""
        kwargs = message.additional_kwargs
        here = kwargs.get("conversation_id") == self.conversation_id is not None
        return here and kwargs.get("entry_id") is not None and self._branch_at is None

    async def aput(self, message: ChatMessage) -> None:
        """As `put`; nothing here waits."""
        self.put(message)

    async def aput_messages(self, messages: list[ChatMessage]) -> None:
        """Put several."""
        self.put_messages(messages)

    def set(self, messages: list[ChatMessage]) -> None:
        """Replace the messages. The next turn branches after the last one that the conversation still shares.

        Where nothing is shared it starts a new conversation. The old one stays on the service as it is.
        """
        self.get_all()
        self._replace(messages)

    async def aset(self, messages: list[ChatMessage]) -> None:
        """As `set`, without blocking."""
        await self.aget_all()
        self._replace(messages)

    def _replace(self, messages: Sequence[ChatMessage]) -> None:
        with _LOCK:
            kept = count_shared(self._history.messages, messages, IDENTITY)
            if kept == 0:
                self._forget()
            elif kept < len(self._history.messages):
                self._branch_at = kept
            self._unsaved.messages = unmarked(messages[kept:])
            self._unsaved.begin_conversation()
            self._round = None

    def reset(self) -> None:
        """Forget everything: the next turn starts a new conversation. The old one stays on the service."""
        with _LOCK:
            self._forget()
            self._unsaved = Unsaved(IDENTITY)
            self._round = None

    async def areset(self) -> None:
        """As `reset`; nothing here waits."""
        self.reset()

    def _forget(self) -> None:
        self.conversation_id = self._branch_at = None
        self._history = ConvertedHistory(self._history.converted)
        self._marks = {}

    # what the model tells --------------------------------------------------------------------------------------

    def turn_begins(self) -> None:
        """A turn with this memory's messages is on its way (called by `MistralAgentLLM`)."""
        with _LOCK:
            self._stale = self._under_way = True

    def turn_applied(
        self, conversation_id: str, sent: Sequence[ChatMessage], answer: ChatMessage, marks: dict[str, Any]
    ) -> None:
        """The service holds these messages and the answer (called by `MistralAgentLLM`)."""
        with _LOCK:
            if conversation_id != self.conversation_id:
                self._forget()
                self._unsaved.begin_conversation()
                self.conversation_id = conversation_id
            self._under_way = False
            self._marks = dict(marks)
            self._unsaved.note_turn(sent, answer)


# Reading only -------------------------------------------------------------------------------------------------------


def load_conversation_history(conversation_id: str, *, client: MistralAgents) -> list[ChatMessage]:
    """The messages of a stored conversation."""
    return history_messages(client.conversations.get_history(conversation_id).entries, conversation_id)


async def aload_conversation_history(conversation_id: str, *, client: MistralAgents) -> list[ChatMessage]:
    """As `load_conversation_history`, without blocking."""
    return history_messages((await client.conversations.aget_history(conversation_id)).entries, conversation_id)


class ConversationHistoryBlock(BaseMemoryBlock[list[ChatMessage]]):
    """A block of LlamaIndex's `Memory` that shows another conversation's messages, and never writes.

    Args:
        conversation_id: The conversation.
        client: The client.
        last: Only that many of its newest messages; None takes all.
    """

    name: str = Field(default="MistralConversation", description="The block's name.")
    conversation_id: str = Field(description="The conversation.")
    client: MistralAgents = Field(description="The client.", exclude=True, repr=False)
    last: int | None = Field(default=None, description="Only that many of the newest messages.", gt=0)
    accept_short_term_memory: bool = Field(default=False, description="It takes nothing.")

    async def _aget(self, messages: list[ChatMessage] | None = None, **block_kwargs: object) -> list[ChatMessage]:  # noqa: ARG002
        found = await aload_conversation_history(self.conversation_id, client=self.client)
        return unmarked(found if self.last is None else found[-self.last :])

    async def _aput(self, messages: list[ChatMessage]) -> None:
        """Nothing is written."""
