"""A conversation of the service as a chat message history: nothing lost, nothing stored twice, nothing run in secret."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.exceptions import ModelNotFoundError
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import Runnable

from langchain_mistral_agents._history import Converter
from langchain_mistral_agents.chat_models import ChatMistralAgent
from langchain_mistral_agents.history import MistralConversationHistory
from mistral_agents import MistralAgents
from mistral_agents.entries import parse_entries
from mistral_agents.errors import ConfigurationError
from tests.support.running import Standin

MODEL = "mistral-small-latest"
pytestmark = pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")


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
def history(client: MistralAgents) -> MistralConversationHistory:
    return MistralConversationHistory(client=client)


def remembering(runnable: Any, history: MistralConversationHistory, **keys: str) -> Runnable[Any, Any]:
    from langchain_core.runnables.history import RunnableWithMessageHistory

    return RunnableWithMessageHistory(runnable, lambda: history, **keys)


def turns(service: Standin) -> list[tuple[str, Any]]:
    """What was sent to the service as turns: the path's last part and the inputs."""
    posts = [seen for seen in service.faults.requests if seen.method == "POST"]
    return [(seen.path.rsplit("/", 1)[-1], seen.json.get("inputs")) for seen in posts]


def said(messages: list[BaseMessage]) -> list[tuple[str, str]]:
    return [(message.type, str(message.text)) for message in messages]


def user(text: str) -> dict[str, Any]:
    return {"type": "message.input", "role": "user", "content": text}


def stored(client: MistralAgents, history: MistralConversationHistory) -> list[str]:
    assert history.conversation_id is not None
    return [entry.type for entry in client.conversations.get_history(history.conversation_id).entries]


PAIR = ["message.input", "message.output"]


# with RunnableWithMessageHistory ---------------------------------------------------------------------------------


def test_turns_are_stored_once_and_only_the_new_part_goes_out(
    service: Standin, client: MistralAgents, model: ChatMistralAgent, history: MistralConversationHistory
) -> None:
    chat = remembering(model, history)
    assert history.messages == []

    first = chat.invoke("My name is Ada.")
    second = chat.invoke("What is my name?")

    conversation_id = first.response_metadata["conversation_id"]
    assert history.conversation_id == second.response_metadata["conversation_id"] == conversation_id
    assert turns(service) == [
        ("conversations", [user("My name is Ada.")]),
        (conversation_id, [user("What is my name?")]),
    ]
    assert stored(client, history) == PAIR * 2
    assert [kind for kind, _ in said(history.messages)] == ["human", "ai"] * 2
    assert history.unsaved == []


async def test_the_same_without_blocking(
    service: Standin, client: MistralAgents, model: ChatMistralAgent, history: MistralConversationHistory
) -> None:
    chat = remembering(model, history)

    await chat.ainvoke("My name is Ada.")
    await chat.ainvoke("What is my name?")

    assert [inputs for _, inputs in turns(service)] == [[user("My name is Ada.")], [user("What is my name?")]]
    assert [kind for kind, _ in said(await history.aget_messages())] == ["human", "ai"] * 2
    assert history.unsaved == []
    await client.aclose()


def test_streams_are_remembered_too(
    service: Standin, client: MistralAgents, model: ChatMistralAgent, history: MistralConversationHistory
) -> None:
    chat = remembering(model, history)

    for words in ("My name is Ada.", "What is my name?"):
        assert "".join(str(chunk.text) for chunk in chat.stream(words))

    assert [len(inputs) for _, inputs in turns(service)] == [1, 1]
    assert stored(client, history) == PAIR * 2
    assert history.unsaved == []


def test_a_prompt_with_a_place_for_the_history(
    service: Standin, client: MistralAgents, model: ChatMistralAgent, history: MistralConversationHistory
) -> None:
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Be brief."), MessagesPlaceholder("history"), ("human", "{question}")]
    )
    chat = remembering(prompt | model, history, input_messages_key="question", history_messages_key="history")

    for question in ("My name is Ada.", "What is my name?", "And again?"):
        chat.invoke({"question": question})

    assert [len(inputs) for _, inputs in turns(service)] == [1, 1, 1]
    assert len({place for place, _ in turns(service)}) == 2
    assert stored(client, history) == PAIR * 3
    assert history.messages[-2].text == "And again?"
    assert history.unsaved == []


def test_another_process_goes_on_with_the_id_alone(
    service: Standin, client: MistralAgents, model: ChatMistralAgent, history: MistralConversationHistory
) -> None:
    from mistral_agents._border.turns import HEADS

    conversation_id = remembering(model, history).invoke("My name is Ada.").response_metadata["conversation_id"]
    HEADS.set(client.base_url, conversation_id, None)

    later = MistralConversationHistory(conversation_id, client=client)
    remembering(model, later).invoke("What is my name?")

    assert later.conversation_id == conversation_id
    assert turns(service)[-1] == (conversation_id, [user("What is my name?")])


@pytest.mark.parametrize("known", [True, False])
def test_behind_a_parser_answers_are_plain_text_and_still_stored_once(
    service: Standin, client: MistralAgents, model: ChatMistralAgent, history: MistralConversationHistory, known: bool
) -> None:
    if known:
        begun = client.conversations.start("Hello", model=MODEL, store=True)
        history = MistralConversationHistory(begun.conversation_id, client=client)
    chat = remembering(history.recording(model) | StrOutputParser(), history)

    assert isinstance(chat.invoke("My name is Ada."), str)
    assert isinstance(chat.invoke("What is my name?"), str)

    assert turns(service)[-1] == (history.conversation_id, [user("What is my name?")])
    assert stored(client, history) == PAIR * (3 if known else 2)
    assert len(history.messages) == (6 if known else 4)
    assert history.unsaved == []


def test_plain_text_answers_of_a_known_conversation_are_not_stored_twice_even_unrecorded(
    service: Standin, client: MistralAgents, model: ChatMistralAgent
) -> None:
    begun = client.conversations.start("Hello", model=MODEL, store=True)
    history = MistralConversationHistory(begun.conversation_id, client=client)
    chat = remembering(model | StrOutputParser(), history)

    for words in ("My name is Ada.", "What is my name?", "Thanks"):
        chat.invoke(words)

    assert [inputs for _, inputs in turns(service)][1:] == [
        [user("My name is Ada.")],
        [user("What is my name?")],
        [user("Thanks")],
    ]
    assert stored(client, history) == PAIR * 4
    assert history.unsaved == []


# adding by hand --------------------------------------------------------------------------------------------------


def test_what_is_added_waits_for_the_next_turn_and_goes_out_once(
    service: Standin, client: MistralAgents, model: ChatMistralAgent, history: MistralConversationHistory
) -> None:
    chat = remembering(model, history)
    chat.invoke("Hello")
    sent = len(service.faults.requests)

    history.add_user_message("By the way, the code word is heron.")
    assert len(service.faults.requests) == sent
    assert [message.text for message in history.unsaved] == ["By the way, the code word is heron."]
    chat.invoke("What is the code word?")

    assert turns(service)[-1][1] == [user("By the way, the code word is heron."), user("What is the code word?")]
    assert history.messages[-3].text == "By the way, the code word is heron."
    assert history.unsaved == []
    chat.invoke("Thanks")
    assert turns(service)[-1][1] == [user("Thanks")]


def test_a_history_may_be_seeded_before_it_begins(
    service: Standin, client: MistralAgents, model: ChatMistralAgent, history: MistralConversationHistory
) -> None:
    history.add_messages([HumanMessage("I am Ada."), AIMessage("Hello Ada.")])
    assert said(history.messages) == [("human", "I am Ada."), ("ai", "Hello Ada.")]
    assert service.faults.requests == []

    remembering(model, history).invoke("Who am I?")

    assert [entry["type"] for entry in turns(service)[0][1]] == ["message.input", "message.output", "message.input"]
    assert len(history.messages) == 4
    assert history.unsaved == []


def test_words_said_before_may_be_said_again(
    service: Standin, client: MistralAgents, model: ChatMistralAgent, history: MistralConversationHistory
) -> None:
    chat = remembering(model, history)
    chat.invoke("yes")
    chat.invoke("yes")
    history.add_user_message("yes")

    assert [message.text for message in history.unsaved] == ["yes"]
    assert [text for kind, text in said(history.messages) if kind == "human"] == ["yes"] * 3
    chat.invoke("no")
    assert turns(service)[-1][1] == [user("yes"), user("no")]
    assert stored(client, history).count("message.input") == 4


def test_words_of_a_turn_may_be_added_right_after_it(
    model: ChatMistralAgent, history: MistralConversationHistory
) -> None:
    remembering(model, history).invoke("yes")

    history.add_messages([HumanMessage("yes"), AIMessage("Well then.")])

    assert [message.text for message in history.unsaved] == ["yes", "Well then."]
    assert [kind for kind, _ in said(history.messages)] == ["human", "ai"] * 2
    assert len(history.unsaved) == 2


def test_words_that_an_unread_conversation_holds_already_may_be_added(client: MistralAgents, service: Standin) -> None:
    begun = client.conversations.start("yes", model=MODEL, store=True)
    history = MistralConversationHistory(begun.conversation_id, client=client)

    history.add_user_message("yes")

    assert [text for kind, text in said(history.messages) if kind == "human"] == ["yes", "yes"]
    assert len(history.unsaved) == 1


def test_given_messages_are_not_changed(model: ChatMistralAgent, history: MistralConversationHistory) -> None:
    given = [HumanMessage("I am Ada."), AIMessage("Hello Ada.")]
    before = copy.deepcopy(given)

    history.add_messages(given)
    remembering(model, history).invoke("Who am I?")

    assert given == before


# clearing and branching ------------------------------------------------------------------------------------------


def test_clearing_deletes_the_conversation_and_forgets_its_id(
    client: MistralAgents, model: ChatMistralAgent, history: MistralConversationHistory
) -> None:
    chat = remembering(model, history)
    old = chat.invoke("My name is Ada.").response_metadata["conversation_id"]
    history.add_user_message("more")

    history.clear()

    assert history.conversation_id is None
    assert history.messages == []
    with pytest.raises(ModelNotFoundError):
        _ = MistralConversationHistory(old, client=client).messages
    new = chat.invoke("Hello").response_metadata["conversation_id"]
    assert new != old
    assert history.conversation_id == new


async def test_clearing_without_blocking_and_twice(
    client: MistralAgents, model: ChatMistralAgent, history: MistralConversationHistory
) -> None:
    conversation_id = (await remembering(model, history).ainvoke("Hello")).response_metadata["conversation_id"]
    await client.conversations.adelete(conversation_id)

    await history.aclear()
    await history.aclear()

    assert history.conversation_id is None
    await client.aclose()


def test_a_fork_branches_at_an_answer_and_leaves_the_rest_as_it_is(
    service: Standin, client: MistralAgents, model: ChatMistralAgent, history: MistralConversationHistory
) -> None:
    chat = remembering(model, history)
    first = chat.invoke("My name is Ada.")
    chat.invoke("I live in Paris.")
    before = said(history.messages)

    branch = history.fork(first.id)
    assert said(branch.messages) == before[:2]
    remembering(model, branch).invoke("I live in Rome.")

    sent = [seen for seen in service.faults.requests if seen.path.endswith("/restart")]
    assert [seen.json["from_entry_id"] for seen in sent] == [first.response_metadata["last_entry_id"]]
    assert sent[0].json["inputs"] == [user("I live in Rome.")]
    assert branch.conversation_id != history.conversation_id
    assert [text for kind, text in said(branch.messages) if kind == "human"] == ["My name is Ada.", "I live in Rome."]
    assert said(history.messages) == before


def test_a_fork_at_nothing_is_refused(model: ChatMistralAgent, history: MistralConversationHistory) -> None:
    remembering(model, history).invoke("Hello")

    with pytest.raises(ConfigurationError, match="msg_unknown"):
        _ = history.fork("msg_unknown").messages


# reading ---------------------------------------------------------------------------------------------------------


def test_an_answer_read_again_is_the_answer_that_was_given(
    model: ChatMistralAgent, history: MistralConversationHistory
) -> None:
    answer = remembering(model, history).invoke("What is 2 + 3?")

    found = history.messages[-1]

    assert isinstance(found, AIMessage)
    assert (found.content, found.id) == (answer.content, answer.id)
    for key in ("conversation_id", "last_entry_id", "history_digest", "setup_digest", "stored", "model_provider"):
        assert found.response_metadata[key] == answer.response_metadata[key]


def test_only_entries_not_seen_before_are_converted(
    model: ChatMistralAgent, history: MistralConversationHistory
) -> None:
    chat = remembering(model, history)
    for number in range(5):
        chat.invoke(f"This is number {number}.")
    _ = history.messages

    assert history._converter.converted == 10
    chat.invoke("One more.")
    _ = history.messages
    assert history._converter.converted == 12


def test_the_last_messages_only(model: ChatMistralAgent, history: MistralConversationHistory) -> None:
    chat = remembering(model, history)
    chat.invoke("one")
    chat.invoke("two")

    assert said(history.get_messages(2))[0] == ("human", "two")
    assert history.get_messages(0) == []
    assert len(history.get_messages(99)) == 4
    with pytest.raises(ConfigurationError, match="limit"):
        history.get_messages(-1)


def test_making_one_sends_nothing_and_warns_of_nothing(service: Standin) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = MistralConversationHistory("conv_1", api_key="k", base_url=service.base_url)

    assert service.faults.requests == []
    assert repr(made) == "MistralConversationHistory('conv_1')"
    with pytest.raises(ConfigurationError, match="client"):
        MistralConversationHistory(client=made.client, base_url="http://127.0.0.1:1")


def test_it_survives_a_pickle_and_a_deep_copy(model: ChatMistralAgent, history: MistralConversationHistory) -> None:
    remembering(model, history).invoke("My name is Ada.")
    history.add_user_message("more")

    for twin in (pickle.loads(pickle.dumps(history)), copy.deepcopy(history)):
        assert twin.conversation_id == history.conversation_id
        assert said(twin.messages) == said(history.messages)
        assert [message.text for message in twin.unsaved] == ["more"]


# entries as messages ---------------------------------------------------------------------------------------------


def converted(*raw: dict[str, Any]) -> list[BaseMessage]:
    return Converter().convert(parse_entries(list(raw)), "conv_1", "setup")


def test_calls_and_their_results() -> None:
    messages = converted(
        {"type": "message.input", "id": "msg_1", "role": "user", "content": "Add."},
        {"type": "function.call", "id": "fc_1", "name": "add", "tool_call_id": "aaaaaaaaa", "arguments": '{"a": 1}'},
        {"type": "function.call", "id": "fc_2", "name": "sub", "tool_call_id": "bbbbbbbbb", "arguments": "{}"},
        {"type": "function.result", "id": "fr_1", "tool_call_id": "aaaaaaaaa", "result": "3"},
        {"type": "function.result", "id": "fr_2", "tool_call_id": "bbbbbbbbb", "result": "4"},
        {"type": "message.output", "id": "msg_2", "role": "assistant", "content": "Done."},
    )

    assert [message.type for message in messages] == ["human", "ai", "tool", "tool", "ai"]
    call, first, second = messages[1:4]
    assert isinstance(call, AIMessage)
    assert [(c["name"], c["id"]) for c in call.tool_calls] == [("add", "aaaaaaaaa"), ("sub", "bbbbbbbbb")]
    assert isinstance(first, ToolMessage)
    assert (first.name, first.tool_call_id, first.text) == ("add", "aaaaaaaaa", "3")
    assert second.name == "sub"
    assert call.response_metadata["entry_ids"] == ["fc_1", "fc_2"]


def test_hosted_runs_handoffs_and_unknown_entries_are_in_the_answer() -> None:
    messages = converted(
        {"type": "message.input", "id": "msg_1", "role": "user", "content": "Go."},
        {"type": "agent.handoff", "id": "handoff_1", "previous_agent_id": "ag_1", "next_agent_id": "ag_2"},
        {"type": "tool.execution", "id": "tool_1", "name": "code_interpreter"},
        {"type": "memory.recall", "id": "mem_1"},
        {"type": "message.output", "id": "msg_2", "role": "assistant", "content": [{"type": "text", "text": "Done."}]},
    )

    kinds = [block["type"] for block in messages[1].content_blocks]
    assert kinds == ["non_standard", "server_tool_call", "server_tool_result", "non_standard", "text"]


def test_images_and_documents_can_be_sent_again() -> None:
    from langchain_mistral_agents._content import human_content

    content = [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": "https://e.org/a.png"},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}},
        {"type": "document_url", "document_url": "data:application/pdf;base64,BBBB", "document_name": "a.pdf"},
    ]
    (message,) = converted({"type": "message.input", "id": "msg_1", "role": "user", "content": content})

    assert [block["type"] for block in message.content] == ["text", "image", "image", "file"]
    assert message.content[2] == {"type": "image", "base64": "AAAA", "mime_type": "image/jpeg"}
    assert human_content(message.content) == [
        *content[:2],
        {**content[2], "image_url": "data:image/jpeg;base64,AAAA"},
        content[3],
    ]


def test_an_old_history_may_lack_nearly_everything() -> None:
    messages = converted({"type": "message.input"}, {"type": "tool.execution"}, {"type": "message.output"}, {})

    assert [message.type for message in messages] == ["human", "ai"]


def test_an_entry_that_changed_is_converted_again() -> None:
    call = {"type": "function.call", "id": "fc_1", "name": "web_search", "tool_call_id": "aaaaaaaaa", "arguments": "{}"}
    start = [{"type": "message.input", "id": "msg_1", "role": "user", "content": "Go."}]
    converter = Converter()

    before = converter.convert(parse_entries([*start, {**call, "confirmation_status": "pending"}]), "conv_1", "s")
    end = [{**call, "confirmation_status": "allowed"}, {"type": "message.output", "id": "msg_2", "content": "Done."}]
    after = converter.convert(parse_entries([*start, *end]), "conv_1", "s")

    assert before[1].response_metadata["finish_reason"] == "confirmation"
    assert after[1].text == "Done."
    assert converter.converted == 4
    assert after[0] is before[0]
