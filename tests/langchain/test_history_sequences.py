"""Random lives of a history: whatever is said or added, it is kept once and in order."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables.history import RunnableWithMessageHistory

from langchain_mistral_agents import ChatMistralAgent, MistralConversationHistory
from mistral_agents import MistralAgents
from mistral_agents._border.turns import HEADS
from mistral_agents.errors import MistralAgentsError
from tests.support.running import Standin


class Life:
    """One history, and what may happen to it. Few different words, so that equal messages meet."""

    def __init__(self, service: Standin, seed: int) -> None:
        self.service = service
        self.client = MistralAgents(api_key="test-key", base_url=service.base_url, max_retries=0)
        self.model = ChatMistralAgent(model="mistral-small-latest", store=True, client=self.client)
        self.history = MistralConversationHistory(client=self.client)
        self.random = random.Random(seed)
        self.expected: list[tuple[str, str]] = []

    def words(self) -> str:
        return self.random.choice(["yes", "no"])

    def chat(self, *, parsed: bool) -> Any:
        model: Any = self.history.recording(self.model) | StrOutputParser() if parsed else self.model
        return RunnableWithMessageHistory(model, lambda: self.history)

    def speak(self) -> None:
        words = self.words()
        chat = self.chat(parsed=self.random.random() < 0.5)
        if self.random.random() < 0.5:
            pieces = [piece if isinstance(piece, str) else str(piece.text) for piece in chat.stream(words)]
            answer = "".join(pieces)
        else:
            found = chat.invoke(words)
            answer = found if isinstance(found, str) else str(found.text)
        self.expected += [("human", words), ("ai", answer)]

    def add(self) -> None:
        words = self.words()
        self.history.add_messages([HumanMessage(words)])
        self.expected.append(("human", words))

    def add_a_pair(self) -> None:
        words = self.words()
        self.history.add_messages([HumanMessage(words), AIMessage(words)])
        self.expected += [("human", words), ("ai", words)]

    def add_again(self) -> None:
        """Answers that the service holds may be given again; it stays one."""
        answers = [message for message in self.history.messages if message.response_metadata.get("stored")]
        if answers and not self.history.unsaved:
            self.history.add_messages([answers[-1]])

    def fail(self) -> None:
        self.service.faults.answer(500, method="POST", path="/conversations")
        with pytest.raises(MistralAgentsError):
            self.chat(parsed=False).invoke(self.words())

    def start_anew(self) -> None:
        """As in another process, which knows the id alone."""
        if not self.history.unsaved and self.history.conversation_id is not None:
            HEADS.set(self.client.base_url, self.history.conversation_id, None)
            self.history = MistralConversationHistory(self.history.conversation_id, client=self.client)

    def check(self) -> None:
        found = [(message.type, str(message.text)) for message in self.history.messages]
        assert found == self.expected
        if self.history.conversation_id is not None:
            entries = self.client.conversations.get_history(self.history.conversation_id).entries
            assert len(entries) + len(self.history.unsaved) == len(self.expected)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainDeprecationWarning")
def test_everything_is_kept_once(standin_factory: Callable[..., Standin], seed: int) -> None:
    life = Life(standin_factory(), seed)
    events = [life.speak, life.speak, life.speak, life.add, life.add_a_pair, life.add_again, life.fail, life.start_anew]
    happened: list[str] = []
    for _ in range(25):
        event = life.random.choice(events)
        happened.append(event.__name__)
        try:
            event()
            if life.random.random() < 0.7:
                life.check()
        except Exception as error:
            raise AssertionError(f"after {', '.join(happened)}") from error
    life.check()
    life.client.close()
