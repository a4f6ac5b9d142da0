"""A history for each session: found again, kept apart, followed when another process goes on."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.exceptions import ModelNotFoundError
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables.history import RunnableWithMessageHistory
from langgraph.store.memory import InMemoryStore

from langchain_mistral_agents import ChatMistralAgent, MistralAgentRunnable, MistralSessionHistories
from langchain_mistral_agents.threads import InMemoryConversations, SqliteConversations, StoreConversations
from mistral_agents import MistralAgents
from mistral_agents.errors import ConfigurationError
from tests.support.running import Standin

pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainDeprecationWarning")
MODEL = "mistral-small-latest"
ADA: Any = {"configurable": {"session_id": "ada"}}
BOB: Any = {"configurable": {"session_id": "bob"}}


@pytest.fixture
def service(standin_factory: Callable[..., Standin]) -> Standin:
    return standin_factory()


@pytest.fixture
def client(service: Standin) -> Iterator[MistralAgents]:
    with MistralAgents(api_key="test-key", base_url=service.base_url) as made:
        yield made


@pytest.fixture
def model(client: MistralAgents) -> ChatMistralAgent:
    return ChatMistralAgent(model=MODEL, store=True, client=client)


class AsyncOnly(InMemoryStore):
    """A store that may not block, as those over an asynchronous driver."""

    def batch(self, ops: Any) -> Any:
        raise AssertionError("a blocking call on an asynchronous store")

    async def abatch(self, ops: Any) -> Any:
        return InMemoryStore.batch(self, ops)


@pytest.fixture(params=["memory", "sqlite", "store"])
def conversations(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made = {
        "memory": InMemoryConversations,
        "sqlite": lambda: SqliteConversations(tmp_path / "sessions.sqlite"),
        "store": lambda: StoreConversations(InMemoryStore()),
    }
    return made[request.param]()


def starts(service: Standin) -> int:
    return sum(seen.method == "POST" and seen.path == "/v1/conversations" for seen in service.faults.requests)


def types(history: Any) -> list[str]:
    return [message.type for message in history.messages]


PAIR = ["human", "ai"]


def test_sessions_are_kept_apart_and_found_again(
    client: MistralAgents, service: Standin, model: ChatMistralAgent, conversations: Any
) -> None:
    histories = MistralSessionHistories(conversations, client=client)
    chat = RunnableWithMessageHistory(model, histories)
    chat.invoke("My name is Ada.", ADA)
    chat.invoke("My name is Bob.", BOB)
    chat.invoke("Who am I?", ADA)

    later = MistralSessionHistories(conversations, client=client)
    RunnableWithMessageHistory(model, later).invoke("And now?", ADA)

    assert starts(service) == 2
    assert types(later("ada")) == PAIR * 3
    assert types(later("bob")) == PAIR
    assert later("ada").conversation_id == conversations.get("ada", "history")
    assert histories("ada").unsaved == later("ada").unsaved == []


async def test_without_blocking(client: MistralAgents, service: Standin, model: ChatMistralAgent) -> None:
    conversations = StoreConversations(AsyncOnly())
    for words in ("My name is Ada.", "Who am I?"):
        histories = MistralSessionHistories(conversations, client=client)
        await RunnableWithMessageHistory(model, histories).ainvoke(words, ADA)

    assert starts(service) == 1
    assert len(await histories("ada").aget_messages()) == 4
    await histories("ada").aclear()
    assert await conversations.aget("ada", "history") is None
    await client.aclose()


async def test_the_runnable_does_not_block_on_its_map_either(client: MistralAgents, service: Standin) -> None:
    made = await client.agents.acreate(model=MODEL, name="clerk")
    thread: Any = {"configurable": {"thread_id": "ada"}}
    agent = MistralAgentRunnable(agent_id=made["id"], client=client, conversations=StoreConversations(AsyncOnly()))

    first = await agent.ainvoke("My name is Ada.", thread)
    chunks = [chunk async for chunk in agent.astream("Who am I?", thread)]

    assert starts(service) == 1
    assert chunks[0].response_metadata["conversation_id"] == first.response_metadata["conversation_id"]
    await client.aclose()


def test_behind_a_parser(client: MistralAgents, service: Standin, model: ChatMistralAgent, conversations: Any) -> None:
    histories = MistralSessionHistories(conversations, client=client)
    chain = histories("ada").recording(model) | StrOutputParser()
    chat = RunnableWithMessageHistory(chain, histories)
    chat.invoke("My name is Ada.", ADA)
    chat.invoke("Who am I?", ADA)

    assert starts(service) == 1
    assert types(MistralSessionHistories(conversations, client=client)("ada")) == PAIR * 2


def test_another_process_may_have_gone_on(
    client: MistralAgents, service: Standin, model: ChatMistralAgent, conversations: Any
) -> None:
    here, there = (MistralSessionHistories(conversations, client=client) for _ in range(2))
    RunnableWithMessageHistory(model, here).invoke("My name is Ada.", ADA)
    RunnableWithMessageHistory(model, there).invoke("I live in Paris.", ADA)
    here("ada").add_user_message("By the way.")
    there("ada").clear()
    RunnableWithMessageHistory(model, there).invoke("A new start.", ADA)

    RunnableWithMessageHistory(model, here).invoke("Hello?", ADA)

    texts = [str(m.text) for m in here("ada").messages if m.type == "human"]
    assert texts == ["A new start.", "By the way.", "Hello?"]
    assert here("ada").conversation_id == there("ada").conversation_id


def test_clearing_forgets_the_session(client: MistralAgents, model: ChatMistralAgent, conversations: Any) -> None:
    histories = MistralSessionHistories(conversations, client=client)
    RunnableWithMessageHistory(model, histories).invoke("My name is Ada.", ADA)
    old = conversations.get("ada", "history")

    MistralSessionHistories(conversations, client=client)("ada").clear()

    assert conversations.get("ada", "history") is None
    assert histories("ada").messages == []
    with pytest.raises(ModelNotFoundError):
        model.invoke("Who am I?", conversation_id=old)


def test_a_fork_leaves_the_session_alone(client: MistralAgents, model: ChatMistralAgent, conversations: Any) -> None:
    histories = MistralSessionHistories(conversations, client=client)
    first = RunnableWithMessageHistory(model, histories).invoke("My name is Ada.", ADA)
    before = conversations.get("ada", "history")

    branch = histories("ada").fork(first.id)
    RunnableWithMessageHistory(model, lambda: branch).invoke("I live in Rome.")
    RunnableWithMessageHistory(model, lambda: branch).invoke("Where?")

    assert conversations.get("ada", "history") == before


def test_a_session_has_one_owner(client: MistralAgents, model: ChatMistralAgent, conversations: Any) -> None:
    histories = MistralSessionHistories(conversations, client=client)
    RunnableWithMessageHistory(model, histories).invoke("My name is Ada.", ADA)

    with pytest.raises(ConfigurationError, match="belongs to history, not to other"):
        _ = MistralSessionHistories(conversations, owner="other", client=client)("ada").messages


def test_a_released_session_shows_what_was_unsaved(client: MistralAgents, service: Standin) -> None:
    histories = MistralSessionHistories(InMemoryConversations(), client=client)
    histories("ada").add_user_message("Remember this.")

    assert histories("ada") is histories("ada")
    assert [message.text for message in histories.release("ada")] == ["Remember this."]
    assert histories.release("ada") == []
    assert histories("ada").messages == []
    assert service.faults.requests == []


@pytest.mark.parametrize("again", [lambda one: pickle.loads(pickle.dumps(one)), copy.deepcopy], ids=["pickle", "copy"])
def test_a_chain_with_sessions_can_be_copied(
    client: MistralAgents, model: ChatMistralAgent, again: Callable[[Any], Any]
) -> None:
    histories = MistralSessionHistories(InMemoryConversations(), client=client)
    chain = RunnableWithMessageHistory(model, histories)
    chain.invoke("Hello", {"configurable": {"session_id": "ada"}})
    copied = again(chain.get_session_history)("ada")
    assert copied is not histories("ada")
    assert types(copied) == PAIR
