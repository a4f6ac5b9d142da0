"""Conversations that the service keeps: only what is new is sent, and nothing is mixed."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.llms import ChatMessage

from llama_index_mistral_agents import MistralAgentLLM
from mistral_agents.errors import ConfigurationError, DivergenceError
from tests.support.scripted import say


def user(text: str) -> ChatMessage:
    return ChatMessage(role="user", content=text)


def system(text: str) -> ChatMessage:
    return ChatMessage(role="system", content=text)


def said(body: Any) -> list[str]:
    return [entry["content"] for entry in body["inputs"]]


async def test_only_the_new_part_is_sent_in_all_four_forms(
    stored: MistralAgentLLM, service: Any, scripted: Any
) -> None:
    scripted.always(say("Fine."))
    messages = [system("Be kind."), user("one")]
    messages.append(stored.chat(messages).message)
    messages.append(user("two"))
    messages.append((await stored.achat(messages)).message)
    messages.append(user("three"))
    messages.append(list(stored.stream_chat(messages))[-1].message)
    messages.append(user("four"))
    messages.append([r async for r in await stored.astream_chat(messages)][-1].message)

    [first, *rest] = service.turns
    conversation = messages[2].additional_kwargs["conversation_id"]
    assert first[0] == "/v1/conversations"
    assert first[1]["store"] is True
    assert [path for path, _ in rest] == [f"/v1/conversations/{conversation}"] * 3
    assert [said(body) for _, body in rest] == [["two"], ["three"], ["four"]]
    assert not any("tools" in body or "instructions" in body for _, body in rest)
    assert service.reads == []


def test_two_chats_on_one_model_never_meet(stored: MistralAgentLLM, service: Any, scripted: Any) -> None:
    scripted.always(say("Yes."))
    first = [user("A1")]
    second = [user("B1")]
    for chat in (first, second, first, second):
        chat.append(stored.chat(chat).message)
        chat.append(user(f"{chat[0].content} again"))
    ids = [path.rpartition("/")[2] for path, _ in service.turns[2:]]
    assert ids == [first[1].additional_kwargs["conversation_id"], second[1].additional_kwargs["conversation_id"]]
    assert [said(body) for _, body in service.turns[2:]] == [["A1 again"], ["B1 again"]]


def test_bind_gives_a_new_model_that_sends_the_tail(llm: MistralAgentLLM, service: Any, scripted: Any) -> None:
    scripted.always(say("Noted."))
    started = llm.client.conversations.start("My name is Ada.", model="mistral-medium-latest", store=True)
    bound = llm.bind(started.conversation_id)
    assert llm.conversation_id is None
    assert bound.conversation_id == started.conversation_id
    answer = bound.chat([user("What is my name?")]).message
    assert service.turns[-1][0] == f"/v1/conversations/{started.conversation_id}"
    assert said(service.turns[-1][1]) == ["What is my name?"]
    assert answer.additional_kwargs["conversation_id"] == started.conversation_id
    assert len(llm.client.conversations.get_history(started.conversation_id).entries) == 4


def test_messages_that_lost_their_marks_are_found_in_the_history(
    llm: MistralAgentLLM, service: Any, scripted: Any
) -> None:
    scripted.always(say("Blue."))
    started = llm.client.conversations.start("Sky?", model="mistral-medium-latest", store=True)
    bound = llm.bind(started.conversation_id)
    bare = [user("Sky?"), ChatMessage(role="assistant", content="Blue."), user("Why?")]
    bound.chat(bare)
    assert said(service.turns[-1][1]) == ["Why?"]
    assert bare[1].additional_kwargs == {}


def test_messages_of_another_conversation_are_refused_before_sending(
    llm: MistralAgentLLM, service: Any, scripted: Any
) -> None:
    scripted.always(say("Blue."))
    started = llm.client.conversations.start("Sky?", model="mistral-medium-latest", store=True)
    before = len(service.turns)
    foreign = [user("Sea?"), ChatMessage(role="assistant", content="Green."), user("Why?")]
    with pytest.raises(ConfigurationError, match="do not continue"):
        llm.bind(started.conversation_id).chat(foreign)
    assert len(service.turns) == before


def test_nothing_new_is_refused(stored: MistralAgentLLM, service: Any, scripted: Any) -> None:
    scripted.always(say("Hello."))
    messages = [user("Hi")]
    messages.append(stored.chat(messages).message)
    with pytest.raises(ConfigurationError, match="nothing new"):
        stored.chat(messages)
    assert len(service.turns) == 1


def test_changed_tools_begin_a_new_conversation_with_the_whole_history(
    make_llm: Any, service: Any, scripted: Any
) -> None:
    scripted.always(say("Hello."))
    messages = [user("Hi")]
    messages += [make_llm(store=True).chat(messages).message, user("Search")]
    make_llm(store=True, tools=[{"type": "web_search"}]).chat(messages)
    path, body = service.turns[-1]
    assert (path, body["tools"]) == ("/v1/conversations", [{"type": "web_search"}])
    assert said(body) == ["Hi", "Hello.", "Search"]


def test_a_divergence_may_be_refused(make_llm: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Hello."))
    messages = [user("Hi")]
    messages += [make_llm(store=True).chat(messages).message, user("Search")]
    searching = make_llm(store=True, tools=[{"type": "web_search"}], on_divergence="raise")
    with pytest.raises(DivergenceError, match="the tools or instructions changed"):
        searching.chat(messages)
    assert len(service.turns) == 1


def test_an_edited_history_branches_at_the_last_shared_answer(
    stored: MistralAgentLLM, service: Any, scripted: Any
) -> None:
    scripted.always(say("Hello."))
    messages = [user("one")]
    for text in ("two", "three"):
        messages += [stored.chat(messages).message, user(text)]
    messages[2] = user("TWO")
    messages[4:] = [stored.chat(messages).message]
    path, body = service.turns[-1]
    assert path.endswith("/restart")
    assert said(body)[0] == "TWO"
    messages[0] = user("ONE")
    stored.chat([*messages, user("four")])
    path, body = service.turns[-1]
    assert (path, said(body)[0]) == ("/v1/conversations", "ONE")


def test_a_changed_system_message_reaches_the_conversation(
    stored: MistralAgentLLM, service: Any, scripted: Any
) -> None:
    scripted.always(say("Hello."))
    messages = [system("Be kind."), user("Hi")]
    messages.append(stored.chat(messages).message)
    stored.chat([system("Be kind."), *messages[1:], user("same")])
    assert said(service.turns[-1][1]) == ["same"]
    messages.append(user("other"))
    stored.chat([system("Be rude."), *messages[1:]])
    note, other = said(service.turns[-1][1])
    assert "Be rude." in note
    assert other == "other"


def test_a_stored_answer_can_go_to_a_stateless_model(make_llm: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Hello."))
    messages = [user("Hi")]
    messages += [make_llm(store=True).chat(messages).message, user("And?")]
    make_llm().chat(messages)
    path, body = service.turns[-1]
    assert path == "/v1/conversations"
    assert said(body) == ["Hi", "Hello.", "And?"]


def test_an_agent_takes_no_completion_options(make_llm: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Ahoy."))
    llm = make_llm()
    agent = llm.client.agents.create(model="mistral-medium-latest", name="pirate", instructions="Be a pirate.")
    answering = make_llm(agent_id=agent.id, store=True)
    assert answering.metadata.model_name == agent.id
    answer = answering.chat([system("Short."), user("Hi")]).message
    body = service.turns[-1][1]
    assert (body["agent_id"], "model" in body, "instructions" in body) == (agent.id, False, False)
    assert "Short." in said(body)[0]
    assert said(body)[1] == "Hi"
    before = len(service.turns)
    with pytest.raises(ConfigurationError, match="temperature"):
        answering.chat([user("Hi"), answer, user("More")], temperature=0.1)
    assert len(service.turns) == before
    assert make_llm(agent_id=agent.id, temperature=0.1).agent_id == agent.id


def test_a_model_and_an_agent_together_are_refused() -> None:
    for given in ({}, {"model": "m", "agent_id": "ag_1"}):
        with pytest.raises(ConfigurationError, match="not both"):
            MistralAgentLLM(**given)


def test_an_unknown_option_is_named(llm: MistralAgentLLM, service: Any) -> None:
    with pytest.raises(ConfigurationError, match="top_k"):
        llm.chat([user("Hi")], top_k=3)
    assert service.turns == []


def test_the_input_is_never_changed(stored: MistralAgentLLM, scripted: Any) -> None:
    scripted.always(say("Hello."))
    messages = [system("Be kind."), user("Hi")]
    before = [message.model_copy(deep=True) for message in messages]
    stored.chat(messages)
    list(stored.stream_chat(messages))
    assert messages == before
