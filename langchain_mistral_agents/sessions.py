"""`MistralSessionHistories`: a history for each session of an application, found again in other processes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from langchain_core.messages import BaseMessage

from langchain_mistral_agents._history import begin_ledger
from langchain_mistral_agents.history import MistralConversationHistory
from langchain_mistral_agents.threads import ConversationStore
from mistral_agents import MistralAgents
from mistral_agents._http.concealed import conceal_text
from mistral_agents._steps import Job, Steps, arun, run
from mistral_agents.client import choose_client


class MistralSessionHistory(MistralConversationHistory):
    """The history of one session: its conversation's id is read from a map, and kept there.

    The map is asked when messages are read or added, so another process may have gone on meanwhile; what is unsaved
    belongs to this process. A `fork` is a history of its own and does not change the session.

    Args:
        session_id: The session.
        conversations: The map.
        owner: Whose sessions these are; the map refuses a session of another owner.
        client: The client.
    """

    def __init__(self, session_id: str, conversations: ConversationStore, owner: str, *, client: MistralAgents) -> None:
        super().__init__(client=client)
        self.session_id = session_id
        self._conversations = conversations
        self._owner = owner
        self._mapped: str | None = None

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """All messages of the session's conversation; see `MistralConversationHistory.messages`."""
        run(self._follow_map())
        return super().messages

    async def aget_messages(self) -> list[BaseMessage]:
        """As `messages`, without blocking."""
        await arun(self._follow_map())
        return await super().aget_messages()

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """As `MistralConversationHistory.add_messages`; a conversation that began or branched goes into the map."""
        run(self._add_mapped(messages))

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """As `add_messages`, without blocking."""
        await arun(self._add_mapped(messages))

    def _add_mapped(self, messages: Sequence[BaseMessage]) -> Steps[None]:
        yield from self._follow_map()
        super().add_messages(messages)
        conversation_id = self.conversation_id
        if conversation_id is not None and conversation_id != self._mapped:
            kept, store = (self.session_id, self._owner, conversation_id), self._conversations
            yield Job(partial(store.set, *kept), partial(store.aset, *kept))
            self._mapped = conversation_id

    def _delete(self) -> Steps[None]:
        store = self._conversations
        yield from self._follow_map()
        yield from super()._delete()
        yield Job(partial(store.delete, self.session_id), partial(store.adelete, self.session_id))
        self._mapped = None

    def _follow_map(self) -> Steps[None]:
        """Follow the map where it changed since this process looked; unsaved messages stay."""
        asked, store = (self.session_id, self._owner), self._conversations
        mapped = yield Job(partial(store.get, *asked), partial(store.aget, *asked))
        if mapped == self._mapped:
            return
        waiting = self.unsaved
        self._mapped = self._conversation_id = mapped
        self._ledger = begin_ledger(empty=mapped is None)
        self._ledger.add(waiting)


class MistralSessionHistories:
    """Gives the history of a session; what `RunnableWithMessageHistory` wants as `get_session_history`.

    Args:
        conversations: The map of sessions to conversations, of `langchain_mistral_agents.threads`.
        owner: Whose sessions these are, where applications share a map.
        api_key: The key; None reads MISTRAL_API_KEY.
        base_url: The service's address; None reads MISTRAL_BASE_URL.
        client: Your own client, instead of `api_key` and `base_url`.

    Examples:
        >>> histories = MistralSessionHistories(SqliteConversations("sessions.sqlite"))
        >>> chat = RunnableWithMessageHistory(ChatMistralAgent(model="mistral-small-latest", store=True), histories)
        >>> chat.invoke("My name is Ada.", {"configurable": {"session_id": "ada"}})
    """

    def __init__(
        self,
        conversations: ConversationStore,
        *,
        owner: str = "history",
        api_key: str | None = None,
        base_url: str | None = None,
        client: MistralAgents | None = None,
    ) -> None:
        api_key, base_url = conceal_text(api_key), conceal_text(base_url)
        self._client = choose_client(client, api_key=api_key, base_url=base_url)
        self._conversations = conversations
        self._owner = owner
        self._histories: dict[str, MistralSessionHistory] = {}

    def __call__(self, session_id: str) -> MistralSessionHistory:
        """The session's history; asks nothing. The same object each time, since what is unsaved lives in it."""
        found = self._histories.get(session_id)
        if found is None:
            made = MistralSessionHistory(session_id, self._conversations, self._owner, client=self._client)
            found = self._histories.setdefault(session_id, made)  # one step: threads that ask at once share the first
        return found

    def release(self, session_id: str) -> list[BaseMessage]:
        """Drop a session's history from this process's memory, and give what was unsaved; nothing is deleted."""
        found = self._histories.pop(session_id, None)
        return found.unsaved if found is not None else []
