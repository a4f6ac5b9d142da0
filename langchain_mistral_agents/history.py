"""`MistralConversationHistory`: a conversation on the service as a LangChain chat message history."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import LLMResult
from langchain_core.runnables import Runnable

from langchain_mistral_agents._errors import model_errors
from langchain_mistral_agents._history import Converter, begin_ledger
from mistral_agents import MistralAgents
from mistral_agents._border.fingerprints import Setup
from mistral_agents._border.turns import HEADS
from mistral_agents._http.concealed import conceal_text
from mistral_agents._steps import Job, Steps, arun, run
from mistral_agents.client import choose_client
from mistral_agents.conversations import History
from mistral_agents.errors import ConfigurationError, NotFoundError


def conversation_of(message: BaseMessage) -> str | None:
    """The stored conversation that an answer of `ChatMistralAgent` belongs to; None for every other message."""
    facts = message.response_metadata if isinstance(message, AIMessage) else {}
    found = facts.get("conversation_id") if facts.get("stored") else None
    return found if isinstance(found, str) else None


class MistralConversationHistory(BaseChatMessageHistory):
    """The messages of a conversation that the service keeps; use it with `ChatMistralAgent(store=True)`.

    The service can't store a message without answering it, and this class never runs a completion behind your back.
    So `add_messages` does nothing for what the model call stored already, and keeps everything else here (`unsaved`)
    until the next call sends it along. The conversation's id is learnt from the first answer added; `restart` of a
    branch changes it.

    It serves `RunnableWithMessageHistory` and classic memories. New applications better keep messages in a graph's
    state with `MistralConversationMiddleware`: LangChain has deprecated histories.

    Args:
        conversation_id: A conversation to go on with; None begins one with the first answer.
        api_key: The key; None reads MISTRAL_API_KEY.
        base_url: The service's address; None reads MISTRAL_BASE_URL.
        client: Your own client, instead of `api_key` and `base_url`.

    Raises:
        ConfigurationError: An argument is wrong. Nothing is sent before messages are read.

    Examples:
        >>> history = MistralConversationHistory()
        >>> model = ChatMistralAgent(model="mistral-small-latest", store=True)
        >>> chat = RunnableWithMessageHistory(model, lambda: history)
        >>> chat.invoke("My name is Ada."), history.conversation_id
    """

    def __init__(
        self,
        conversation_id: str | None = None,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        client: MistralAgents | None = None,
    ) -> None:
        api_key, base_url = conceal_text(api_key), conceal_text(base_url)
        self.client = choose_client(client, api_key=api_key, base_url=base_url)
        self._conversation_id = conversation_id
        self._setup: tuple[str, str] | None = None
        self._converter = Converter()
        self._ledger = begin_ledger(empty=conversation_id is None)
        self._until: str | None = None
        self._recorded: AIMessage | None = None

    @property
    def conversation_id(self) -> str | None:
        """The conversation's id; None until the first answer."""
        return self._conversation_id

    @property
    def unsaved(self) -> list[BaseMessage]:
        """What the service did not hold when it was last looked at; the next call of the model sends it along."""
        return list(self._ledger.unsaved)

    # reading -------------------------------------------------------------------------------------------------------

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """All messages, oldest first: those of the service, then the unsaved; one request, none without an id.

        Raises:
            MistralAgentsError: The conversation can't be read.
        """
        return run(self._read())

    async def aget_messages(self) -> list[BaseMessage]:
        """As `messages`, without blocking."""
        return await arun(self._read())

    def _read(self) -> Steps[list[BaseMessage]]:
        key, conversations = self._conversation_id, self.client.conversations
        if key is None:
            return self.unsaved
        with model_errors(stored=True):
            setup = self._find_setup(key)
            if setup is None:
                info = yield Job(lambda: conversations.get(key), lambda: conversations.aget(key))
                setup = Setup.of_info(info).key
            history = yield Job(lambda: conversations.get_history(key), lambda: conversations.aget_history(key))
        return self._convert_history(history, setup)

    def get_messages(self, limit: int | None = None) -> list[BaseMessage]:
        """The last `limit` messages; None gives all. The service sends the whole history in any case."""
        return _cut_last(self.messages, limit)

    async def aget_last_messages(self, limit: int | None = None) -> list[BaseMessage]:
        """As `get_messages`, without blocking."""
        return _cut_last(await self.aget_messages(), limit)

    def _find_setup(self, conversation_id: str) -> str | None:
        known = self._setup
        return known[1] if known is not None and known[0] == conversation_id else None

    def _convert_history(self, history: History, setup: str) -> list[BaseMessage]:
        conversation_id = history.conversation_id
        self._setup = (conversation_id, setup)
        HEADS.set(self.client.base_url, conversation_id, history.last_entry_id)
        held = self._converter.convert(history.entries, conversation_id, setup)
        self._ledger.look(held)
        return [*self._cut(held), *self._ledger.unsaved]

    def _cut(self, held: list[BaseMessage]) -> list[BaseMessage]:
        if self._until is None:
            return held
        places = (i for i, m in enumerate(held) if self._until in (m.id, *m.response_metadata.get("entry_ids", ())))
        place = next(places, None)
        if place is None:
            raise ConfigurationError(
                f"The conversation holds no entry {self._until!r} to branch at.", conversation_id=self._conversation_id
            )
        return held[: place + 1]

    # writing -------------------------------------------------------------------------------------------------------

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Take note of messages; sends nothing.

        An answer of the chat model tells its conversation, and that the service holds it and what came before it.
        Other messages are kept here until the service holds an equal one.
        """
        answers = [(place, answer) for place, message in enumerate(messages) if (answer := self._answer(message))]
        rest = messages
        if answers:
            place, answer = answers[-1]
            rest = messages[place + 1 :]
            self._adopt(answer)
            self._ledger.settle(answer)
            self._recorded = None
        self._ledger.add(rest)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """As `add_messages`, which needs no request."""
        self.add_messages(messages)

    def _answer(self, message: BaseMessage) -> BaseMessage | None:
        """The answer that a message is, or whose text it is where a parser stood between; None for other messages."""
        if conversation_of(message) is not None:
            return message
        recorded = self._recorded
        same = recorded is not None and isinstance(message, AIMessage) and message.text == recorded.text
        return recorded if same else None

    def _record(self, answer: AIMessage) -> None:
        if conversation_of(answer) is not None:
            self._recorded = answer
            self._adopt(answer)

    def _adopt(self, answer: BaseMessage) -> None:
        conversation_id = conversation_of(answer)
        if conversation_id is None:
            return
        if conversation_id != self._conversation_id:
            self._conversation_id, self._until = conversation_id, None
        setup = answer.response_metadata.get("setup_digest")
        if isinstance(setup, str):
            self._setup = (conversation_id, setup)

    def recording(self, model: Runnable[Any, Any]) -> Runnable[Any, Any]:
        """The model (or a chain), whose answers tell this history their conversation.

        Needed only where answers reach the history as plain text: behind an output parser, or in a classic chain.
        """
        return model.with_config(callbacks=[_Recorder(self)])

    def clear(self) -> None:
        """Delete the conversation on the service, and forget its id and what is unsaved; in a map of sessions too."""
        run(self._delete())

    async def aclear(self) -> None:
        """As `clear`, without blocking."""
        await arun(self._delete())

    def _delete(self) -> Steps[None]:
        key, conversations = self._conversation_id, self.client.conversations
        if key is not None:
            with model_errors(stored=True), suppress(NotFoundError):  # it is gone already: just what was asked for
                yield Job(partial(conversations.delete, key), partial(conversations.adelete, key))
        self._forget()

    def _forget(self) -> None:
        HEADS.set(self.client.base_url, self._conversation_id, None)
        self._conversation_id = self._setup = self._until = self._recorded = None
        self._ledger, self._converter = begin_ledger(empty=True), Converter()

    # branches ------------------------------------------------------------------------------------------------------

    def fork(self, entry_id: str) -> MistralConversationHistory:
        """A history that ends at an answer; the next call on it branches there, and this one stays as it is.

        Args:
            entry_id: The id of an answer (`message.id`) or of one of its entries.

        Raises:
            ConfigurationError: When it is read: there is no such entry.
        """
        made = MistralConversationHistory(self._conversation_id, client=self.client)
        made._setup, made._until = self._setup, entry_id
        return made

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.__dict__.get('_conversation_id')!r})"  # None where the constructor failed


def _cut_last(messages: list[BaseMessage], limit: int | None) -> list[BaseMessage]:
    if limit is None:
        return messages
    if limit < 0:
        raise ConfigurationError(f"limit must be a whole number from 0, not {limit!r}.")
    return messages[len(messages) - limit :] if limit < len(messages) else messages


class _Recorder(BaseCallbackHandler):
    """Tells a history which conversation an answer belongs to, before a parser turns the answer into text."""

    def __init__(self, history: MistralConversationHistory) -> None:
        self._history = history

    def on_llm_end(self, response: LLMResult, **_: object) -> None:
        """Take note of the answer."""
        for generations in response.generations:
            for generation in generations:
                message = getattr(generation, "message", None)
                if isinstance(message, AIMessage):
                    self._history._record(message)
