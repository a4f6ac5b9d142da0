"""The classic memory interface over a conversation of the service, and the maps of sessions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_classic.chains import LLMChain
from langchain_classic.memory import ConversationBufferMemory
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langgraph.store.memory import InMemoryStore
from pydantic import ValidationError

from langchain_mistral_agents import ChatMistralAgent
from langchain_mistral_agents.history import MistralConversationHistory
from langchain_mistral_agents.memory import MistralConversationMemory
from langchain_mistral_agents.threads import InMemoryConversations, SqliteConversations, StoreConversations
from mistral_agents import MistralAgents
from mistral_agents.errors import ConfigurationError, NotFoundError
from tests.support.running import Standin

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
MODEL = "mistral-small-latest"
PROMPT = ChatPromptTemplate.from_messages(
    [("system", "Be brief."), MessagesPlaceholder("history"), ("human", "{input}")]
)


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


@pytest.fixture
def memory(client: MistralAgents) -> MistralConversationMemory:
    return MistralConversationMemory(client=client)


def chain(model: ChatMistralAgent, memory: MistralConversationMemory) -> LLMChain:
    return LLMChain(llm=memory.recording(model), prompt=PROMPT, memory=memory)


def sent(service: Standin) -> list[tuple[str, list[str]]]:
    """Where each turn went, and its words."""
    posts = [seen for seen in service.faults.requests if seen.method == "POST"]
    return [(seen.path.rsplit("/", 1)[-1], [entry["content"] for entry in seen.json["inputs"]]) for seen in posts]


def stored(client: MistralAgents, conversation_id: str | None) -> list[str]:
    assert conversation_id is not None
    return [entry.type for entry in client.conversations.get_history(conversation_id).entries]


def test_another_conversation_takes_another_memory(
    client: MistralAgents, model: ChatMistralAgent, memory: MistralConversationMemory
) -> None:
    """What records into a memory would mix two users' conversations; a copy is a memory of its own."""
    chain(model, memory).invoke({"input": "of Ada"})
    first, kept = memory.chat_memory.conversation_id, memory.load_memory_variables({})
    other = MistralConversationMemory(client=client)
    chain(model, other).invoke({"input": "of Bob"})
    copied = memory.model_copy(update={"conversation_id": other.chat_memory.conversation_id})
    assert copied.load_memory_variables({}) == other.load_memory_variables({})
    for name in ("conversation_id", "session_id"):
        with pytest.raises(ConfigurationError, match=f"{name} of a memory can't be changed"):
            setattr(memory, name, other.chat_memory.conversation_id)
    assert memory.chat_memory.conversation_id == first
    assert memory.load_memory_variables({}) == kept
    memory.memory_key = "past"
    assert memory.load_memory_variables({}) == {"past": kept["history"]}


def test_a_classic_chain_sends_only_what_is_new_and_stores_it_once(
    service: Standin, client: MistralAgents, model: ChatMistralAgent, memory: MistralConversationMemory
) -> None:
    talk = chain(model, memory)

    for words in ("My name is Ada.", "What is my name?", "Thanks"):
        assert talk.invoke({"input": words})["text"]

    conversation_id = memory.chat_memory.conversation_id
    assert sent(service) == [
        ("conversations", ["My name is Ada."]),
        (conversation_id, ["What is my name?"]),
        (conversation_id, ["Thanks"]),
    ]
    assert stored(client, conversation_id) == ["message.input", "message.output"] * 3
    loaded = memory.load_memory_variables({})["history"]
    assert [message.type for message in loaded] == ["human", "ai"] * 3
    assert memory.unsaved == []


async def test_the_same_without_blocking(
    service: Standin, client: MistralAgents, model: ChatMistralAgent, memory: MistralConversationMemory
) -> None:
    talk = chain(model, memory)

    await talk.ainvoke({"input": "My name is Ada."})
    await talk.ainvoke({"input": "What is my name?"})

    assert [words for _, words in sent(service)] == [["My name is Ada."], ["What is my name?"]]
    assert len((await memory.aload_memory_variables({}))["history"]) == 4
    assert memory.unsaved == []
    old = memory.chat_memory.conversation_id
    await memory.aclear()
    assert (await memory.aload_memory_variables({}))["history"] == []
    with pytest.raises(NotFoundError):
        await client.conversations.aget(str(old))
    await client.aclose()


def test_a_buffer_memory_over_the_history(service: Standin, client: MistralAgents, model: ChatMistralAgent) -> None:
    history = MistralConversationHistory(client=client)
    memory = ConversationBufferMemory(chat_memory=history, return_messages=True)
    talk = LLMChain(llm=history.recording(model), prompt=PROMPT, memory=memory)

    talk.invoke({"input": "My name is Ada."})
    talk.invoke({"input": "What is my name?"})

    assert [words for _, words in sent(service)] == [["My name is Ada."], ["What is my name?"]]
    assert stored(client, history.conversation_id) == ["message.input", "message.output"] * 2
    assert history.unsaved == []


def test_a_prompt_of_text_alone_stores_nothing_twice_either(
    client: MistralAgents, model: ChatMistralAgent, memory: MistralConversationMemory
) -> None:
    from langchain_core.prompts import PromptTemplate

    prompt = PromptTemplate.from_template("Talk with a {mood} user. {history} User: {input}")
    talk = LLMChain(llm=memory.recording(model), prompt=prompt.partial(mood="calm"), memory=memory)

    talk.invoke({"input": "Hello"})

    assert memory.unsaved == []
    assert stored(client, memory.chat_memory.conversation_id) == ["message.input", "message.output"]
    assert len(memory.load_memory_variables({})["history"]) == 2


def test_without_a_storing_model_it_is_kept_here_and_nothing_is_run(
    service: Standin, memory: MistralConversationMemory
) -> None:
    memory.save_context({"input": "I am Ada."}, {"output": "Hello Ada."})
    memory.save_context({"input": "Bye."}, {"output": "Goodbye."})

    assert service.faults.requests == []
    assert [message.text for message in memory.unsaved] == ["I am Ada.", "Hello Ada.", "Bye.", "Goodbye."]
    assert memory.load_memory_variables({})["history"] == memory.unsaved


def test_text_for_models_that_keep_nothing(client: MistralAgents) -> None:
    memory = MistralConversationMemory(
        client=client, return_messages=False, memory_key="past", human_prefix="U", ai_prefix="A"
    )
    memory.save_context({"input": "I am Ada."}, {"output": "Hello Ada."})

    assert memory.memory_variables == ["past"]
    assert memory.load_memory_variables({}) == {"past": "U: I am Ada.\nA: Hello Ada."}


def test_keys_choose_the_input_and_the_output(client: MistralAgents) -> None:
    memory = MistralConversationMemory(client=client)
    with pytest.raises(ConfigurationError, match="input_key"):
        memory.save_context({"input": "a", "context": "b"}, {"output": "c"})
    with pytest.raises(ConfigurationError, match="output_key"):
        memory.save_context({"input": "a"}, {"output": "c", "sources": "d"})

    chosen = MistralConversationMemory(client=client, input_key="input", output_key="output")
    chosen.save_context({"input": "a", "context": "b"}, {"output": "c", "sources": "d"})
    assert [message.text for message in chosen.unsaved] == ["a", "c"]


def test_whole_messages_may_be_saved(client: MistralAgents, memory: MistralConversationMemory) -> None:
    memory.save_context({"input": HumanMessage("a", name="Ada")}, {"output": AIMessage("b")})

    assert memory.unsaved == [HumanMessage("a", name="Ada"), AIMessage("b")]


# sessions --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "sqlite", "langgraph"])
def conversations(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "memory":
        return InMemoryConversations()
    if request.param == "sqlite":
        return SqliteConversations(tmp_path / "threads.sqlite")
    return StoreConversations(InMemoryStore())


def test_a_session_is_found_again_and_sessions_do_not_meet(
    client: MistralAgents, model: ChatMistralAgent, conversations: Any
) -> None:
    def memory(session: str) -> MistralConversationMemory:
        return MistralConversationMemory(session_id=session, conversations=conversations, client=client)

    first = memory("ada")
    chain(model, first).invoke({"input": "My name is Ada."})
    chain(model, memory("bob")).invoke({"input": "My name is Bob."})
    again = memory("ada")
    chain(model, again).invoke({"input": "What is my name?"})

    assert again.chat_memory.conversation_id == first.chat_memory.conversation_id
    words = [str(message.text) for message in again.load_memory_variables({})["history"]]
    assert words[0] == "My name is Ada."
    assert len(words) == 4
    assert not any("Bob" in text for text in words)
    assert memory("bob").load_memory_variables({})["history"][0].text == "My name is Bob."

    again.clear()
    assert memory("ada").load_memory_variables({})["history"] == []
    assert memory("bob").load_memory_variables({})["history"] != []


async def test_a_session_without_blocking(client: MistralAgents, model: ChatMistralAgent, conversations: Any) -> None:
    first = MistralConversationMemory(session_id="ada", conversations=conversations, client=client)
    await chain(model, first).ainvoke({"input": "My name is Ada."})

    again = MistralConversationMemory(session_id="ada", conversations=conversations, client=client)
    assert len((await again.aload_memory_variables({}))["history"]) == 2
    await again.aclear()
    assert await conversations.aget("ada", "memory") is None
    await client.aclose()


async def test_a_thread_of_two_agents_is_refused_and_a_branch_replaces(conversations: Any) -> None:
    assert conversations.get("t", "ag_1") is None
    conversations.set("t", "ag_1", "conv_1")
    await conversations.aset("t", "ag_1", "conv_2")

    assert conversations.get("t", "ag_1") == await conversations.aget("t", "ag_1") == "conv_2"
    with pytest.raises(ConfigurationError, match="ag_1"):
        conversations.get("t", "ag_2")
    conversations.delete("t")
    await conversations.adelete("t")
    assert conversations.get("t", "ag_2") is None


def test_the_file_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "threads.sqlite"
    code = (
        "import sys; from langchain_mistral_agents.threads import SqliteConversations;"
        "SqliteConversations(sys.argv[1]).set('t', 'ag_1', 'conv_1')"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)

    assert SqliteConversations(path).get("t", "ag_1") == "conv_1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"session_id": "ada"},
        {"conversations": InMemoryConversations()},
        {"session_id": "ada", "conversations": InMemoryConversations(), "conversation_id": "conv_1"},
        {"api_key": "k", "client": MistralAgents(api_key="k", base_url="http://127.0.0.1:1")},
    ],
)
def test_wrong_arguments_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MistralConversationMemory(**wrong)


def test_a_key_is_not_shown() -> None:
    memory = MistralConversationMemory(api_key="very-secret", base_url="http://127.0.0.1:1")

    assert "very-secret" not in repr(memory) + str(memory)


def test_without_langchain_classic_one_sentence_says_so() -> None:
    code = (
        "import sys; sys.modules['langchain_classic'] = None\n"
        "import langchain_mistral_agents as wing\n"
        "wing.MistralConversationHistory\n"
        "try: wing.MistralConversationMemory\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert "langchain-classic" in done.stdout


@pytest.mark.parametrize("path", ["", ":memory:"])
def test_threads_need_a_file(path: str) -> None:
    with pytest.raises(ConfigurationError, match="path must name a file") as caught:
        SqliteConversations(path)

    assert "InMemoryConversations" in str(caught.value.hint)
