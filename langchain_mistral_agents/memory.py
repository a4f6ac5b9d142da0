"""`MistralConversationMemory`: a conversation of the service as the memory of LangChain's classic chains."""

from __future__ import annotations

from typing import Any, ClassVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, get_buffer_string
from langchain_core.runnables import Runnable
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, model_validator
from typing_extensions import Self, override

from langchain_mistral_agents._remaking import Remaking
from langchain_mistral_agents._serialization import Address
from langchain_mistral_agents.history import MistralConversationHistory
from langchain_mistral_agents.sessions import MistralSessionHistory
from mistral_agents import MistralAgents
from mistral_agents.client import choose_client
from mistral_agents.errors import ConfigurationError

try:
    from langchain_classic.base_memory import BaseMemory
except ImportError as error:
    raise ImportError(
        "MistralConversationMemory needs the package langchain-classic: pip install langchain-classic"
    ) from error

_OWNER = "memory"
_ANOTHER = "Make another memory, or one by model_copy(update=...), and its own memory.recording(model)."


class MistralConversationMemory(Remaking, BaseMemory):  # type: ignore[misc, unused-ignore]
    """The memory of a classic chain, kept by the service as a conversation.

    Give the chain `memory.recording(model)` with `ChatMistralAgent(store=True)` as its model, and a prompt with a
    `MessagesPlaceholder` for the history: then each turn sends only what is new, the service stores it, and
    `save_context` stores nothing twice. What the service does not hold (the model is another one, or stores nothing)
    is kept in this process and can be seen as `unsaved`; no completion is run to store it.

    New applications better use `create_agent` with `MistralConversationMiddleware`: classic memories are deprecated.

    Args:
        conversation_id: A conversation to go on with; None begins one with the first answer.
        session_id: A name of your own for the conversation, looked up in `conversations`.
        conversations: Where sessions are kept: `InMemoryConversations`, `SqliteConversations` or
            `StoreConversations` of `langchain_mistral_agents.threads`; needed with `session_id`.
        memory_key: The variable of the prompt that the history fills.
        input_key: Which input of the chain is the user's; needed where there are several.
        output_key: Which output is the answer; needed where there are several.
        return_messages: Messages, for a `MessagesPlaceholder`; False gives text, which fits models that keep nothing.
        human_prefix: Before the user's words, in text.
        ai_prefix: Before the answers, in text.
        api_key: The key; None reads MISTRAL_API_KEY.
        base_url: The service's address; None reads MISTRAL_BASE_URL.
        client: Your own client, instead of `api_key` and `base_url`.

    Raises:
        ConfigurationError: An argument is wrong (inside a `ValidationError` when it is made).
        MistralAgentsError: The conversation can't be read or deleted.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    conversation_id: str | None = None
    session_id: str | None = None
    conversations: Any = None
    memory_key: str = "history"
    input_key: str | None = None
    output_key: str | None = None
    return_messages: bool = True
    human_prefix: str = "Human"
    ai_prefix: str = "AI"
    api_key: SecretStr | None = Field(default=None, repr=False)
    base_url: Address = None
    client: MistralAgents | None = Field(default=None, exclude=True, repr=False)

    _read_later: ClassVar[frozenset[str]] = frozenset(
        {"memory_key", "input_key", "output_key", "return_messages", "human_prefix", "ai_prefix"}
    )
    _history: MistralConversationHistory = PrivateAttr()

    @model_validator(mode="after")
    def _prepare(self) -> Self:
        if (self.session_id is None) != (self.conversations is None):
            raise ConfigurationError("session_id and conversations go together: the second is where sessions are kept.")
        if self.session_id is not None and self.conversation_id is not None:
            raise ConfigurationError("Give conversation_id or session_id, not both.")
        client = choose_client(self.client, api_key=self.api_key, base_url=self.base_url)
        made = MistralConversationHistory(self.conversation_id, client=client)
        if self.session_id is not None:
            made = MistralSessionHistory(self.session_id, self.conversations, _OWNER, client=client)
        self._history = made
        return self

    @override
    def _remake(self) -> None:
        self._prepare()  # type: ignore[operator]

    @override
    def __setattr__(self, name: str, value: object) -> None:
        if name in type(self).model_fields and name not in self._read_later:
            why = "the models that record into this memory would go on telling it of its old conversation"
            raise ConfigurationError(f"{name} of a memory can't be changed: {why}.", hint=_ANOTHER)
        super().__setattr__(name, value)

    @property
    def chat_memory(self) -> MistralConversationHistory:
        """The history behind this memory; its `conversation_id` is the current one."""
        return self._history

    @property
    def unsaved(self) -> list[BaseMessage]:
        """What the service did not hold when it was last looked at."""
        return self._history.unsaved

    def recording(self, model: Runnable[Any, Any]) -> Runnable[Any, Any]:
        """The model for the chain: its answers tell this memory their conversation, which a chain's text does not."""
        return self._history.recording(model)

    @property
    def memory_variables(self) -> list[str]:
        """The variable that this memory fills."""
        return [self.memory_key]

    # the classic interface -------------------------------------------------------------------------------------------

    def load_memory_variables(self, inputs: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """The history, for the prompt."""
        return self._read_variables(self._history.messages)

    async def aload_memory_variables(self, inputs: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """As `load_memory_variables`, without blocking."""
        return self._read_variables(await self._history.aget_messages())

    def _read_variables(self, messages: list[BaseMessage]) -> dict[str, Any]:
        if self.return_messages:
            return {self.memory_key: messages}
        return {self.memory_key: get_buffer_string(messages, self.human_prefix, self.ai_prefix)}

    def save_context(self, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
        """Take note of a turn; what the service holds already is not kept again. Sends nothing.

        Raises:
            ConfigurationError: There are several inputs or outputs, and no key says which.
        """
        self._history.add_messages(self._make_turn(inputs, outputs))

    async def asave_context(self, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
        """As `save_context`, without blocking."""
        await self._history.aadd_messages(self._make_turn(inputs, outputs))

    def _make_turn(self, inputs: dict[str, Any], outputs: dict[str, Any]) -> list[BaseMessage]:
        asked = _find_one(inputs, self.input_key, "input_key", {self.memory_key, "stop"})
        answer = _find_one(outputs, self.output_key, "output_key", set())
        return [
            asked if isinstance(asked, BaseMessage) else HumanMessage(asked),
            answer if isinstance(answer, BaseMessage) else AIMessage(answer),
        ]

    def clear(self) -> None:
        """Delete the conversation on the service and forget it, in the map of sessions too."""
        self._history.clear()

    async def aclear(self) -> None:
        """As `clear`, without blocking."""
        await self._history.aclear()


def _find_one(values: dict[str, Any], key: str | None, name: str, apart: set[str]) -> Any:
    """The value under a key, or the only one there is."""
    if key is not None:
        return values[key]
    keys = [found for found in values if found not in apart]
    if len(keys) != 1:
        raise ConfigurationError(f"Give {name}: the chain has {', '.join(sorted(keys)) or 'none'}.")
    return values[keys[0]]
