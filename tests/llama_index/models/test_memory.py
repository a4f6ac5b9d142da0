"""A conversation as memory: in chat engines and agents, nothing kept twice, nothing lost, nothing billed unseen."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from llama_index.core.agent.workflow import CodeActAgent, FunctionAgent
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    CondenseQuestionChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.memory import Memory
from llama_index.core.query_engine import RetrieverQueryEngine

from llama_index_mistral_agents import MistralConversationMemory, MistralWorkflowAgent
from llama_index_mistral_agents.memory import ConversationHistoryBlock, load_conversation_history
from mistral_agents.errors import ConfigurationError, MistralAgentsError
from mistral_agents.tools import ImageGeneration
from tests.llama_index.models.test_llm_engines import OnePassage
from tests.support.scripted import call, say


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def user(text: str) -> ChatMessage:
    return ChatMessage(role="user", content=text)


def told(messages: list[ChatMessage]) -> list[tuple[str, str]]:
    return [(message.role.value, message.content or "") for message in messages]


def sent(service: Any) -> list[list[str]]:
    return [[str(e.get("content", e.get("result"))) for e in body["inputs"]] for _, body in service.turns]


def stored_texts(memory: MistralConversationMemory) -> list[tuple[str, str]]:
    """What the service really holds."""
    assert memory.conversation_id is not None
    return told(load_conversation_history(memory.conversation_id, client=memory.client))


@pytest.fixture
def memory(llm: Any) -> MistralConversationMemory:
    return MistralConversationMemory(client=llm.client)


async def test_a_simple_chat_engine_sends_only_what_is_new(llm: Any, memory: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Fine."))
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory, system_prompt="Be kind.")
    engine.chat("one")
    await engine.achat("two")
    "".join(engine.stream_chat("three").response_gen)
    stream = await engine.astream_chat("four")
    assert "".join([token async for token in stream.async_response_gen()]) == "Fine."
    assert sent(service) == [["one"], ["two"], ["three"], ["four"]]
    expected = [pair for text in ("one", "two", "three", "four") for pair in (("user", text), ("assistant", "Fine."))]
    assert told(engine.chat_history) == stored_texts(memory) == expected
    assert memory.unsaved == []


async def test_another_process_goes_on_by_the_id(llm: Any, memory: Any, service: Any, scripted: Any) -> None:
    scripted.script(say("Noted."), say("Ada."))
    SimpleChatEngine.from_defaults(llm=llm, memory=memory).chat("I am Ada.")
    again = MistralConversationMemory(memory.conversation_id, client=llm.client)
    assert told(again.get()) == [("user", "I am Ada."), ("assistant", "Noted.")]
    answer = await SimpleChatEngine.from_defaults(llm=llm, memory=again).achat("Who am I?")
    assert str(answer) == "Ada."
    assert sent(service)[-1] == ["Who am I?"]
    assert again.conversation_id == memory.conversation_id


ENGINES = {
    "context": lambda llm, memory: ContextChatEngine.from_defaults(OnePassage(), llm=llm, memory=memory),
    "condense question": lambda llm, memory: CondenseQuestionChatEngine.from_defaults(
        RetrieverQueryEngine.from_args(OnePassage(), llm=llm), llm=llm, memory=memory
    ),
    "condense plus context": lambda llm, memory: CondensePlusContextChatEngine.from_defaults(
        OnePassage(), llm=llm, memory=memory
    ),
}


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", list(ENGINES))
async def test_chat_engines_keep_each_message_once(
    llm: Any, memory: Any, scripted: Any, name: str, streaming: bool
) -> None:
    scripted.always(say("Close the valve."))
    questions = ["one?", "two?", "three?"]
    engine = ENGINES[name](llm, memory)
    for question in questions:
        if streaming and name != "condense question":
            stream = await engine.astream_chat(question)
            answer = "".join([token async for token in stream.async_response_gen()])
        else:
            answer = str(await engine.achat(question)) if streaming else str(engine.chat(question))
        assert answer == "Close the valve."
    expected = [pair for text in questions for pair in (("user", text), ("assistant", "Close the valve."))]
    assert [pair for pair in told(memory.get()) if "Instructions for" not in pair[1]] == expected
    assert memory.unsaved == [] or name == "condense question"


@pytest.mark.parametrize("kind", [FunctionAgent, MistralWorkflowAgent])
async def test_agents_keep_calls_and_results(llm: Any, memory: Any, service: Any, scripted: Any, kind: Any) -> None:
    scripted.script(
        call("multiply", {"a": 6, "b": 7}),
        call("multiply", {"a": 2, "b": 3}),
        say("42 and 6."),
        say("You are welcome."),
    )
    agent = kind(llm=llm, tools=[multiply])
    assert str(await agent.run(user_msg="6*7, then 2*3?", memory=memory)) == "42 and 6."
    assert memory.unsaved == []
    assert str(await agent.run(user_msg="Thanks", memory=memory)) == "You are welcome."
    assert sent(service) == [["6*7, then 2*3?"], ["42"], ["6"], ["Thanks"]]
    roles = [message.role.value for message in memory.get()]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "assistant", "user", "assistant"]
    assert len({path for path, _ in service.turns[1:]}) == 1


async def test_an_agent_that_writes_code_says_nothing_twice(llm: Any, memory: Any, service: Any, scripted: Any) -> None:
    scripted.script(
        say("<execute>first()</execute>"), say("<execute>second()</execute>"), say("Done."), say("You are welcome.")
    )
    agent = CodeActAgent(code_execute_fn=lambda code: f"ran {code}", llm=llm)
    assert str(await agent.run(user_msg="Run both.", memory=memory)) == "Done."
    assert str(await agent.run(user_msg="Thanks", memory=memory)) == "You are welcome."
    ran = [[f"Result of executing the code given:\n\nran {name}()"] for name in ("first", "second")]
    assert sent(service) == [["Run both."], *ran, ["Thanks"]]
    assert memory.unsaved == []


def test_a_put_is_never_sent_by_itself(memory: Any, service: Any) -> None:
    memory.put(user("one"))
    memory.put_messages([ChatMessage(role="assistant", content="written by me"), user("two")])
    assert told(memory.unsaved) == [("user", "one"), ("assistant", "written by me"), ("user", "two")]
    assert told(memory.get()) == told(memory.unsaved)
    assert service.faults.requests == []


def test_what_was_put_goes_out_with_the_next_turn(llm: Any, memory: Any, service: Any, scripted: Any) -> None:
    scripted.script(say("Fine."))
    memory.put(user("one"))
    memory.put(ChatMessage(role="assistant", content="written by me"))
    SimpleChatEngine.from_defaults(llm=llm, memory=memory).chat("two")
    assert sent(service) == [["one", "written by me", "two"]]
    assert service.turns[0][1]["store"] is True
    assert memory.unsaved == []


def test_a_message_the_service_holds_is_not_put(llm: Any, memory: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Fine."))
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory)
    engine.chat("one")
    for message in memory.get():
        memory.put(message)
    assert memory.unsaved == []
    engine.chat("one")
    assert sent(service) == [["one"], ["one"]]
    assert len(stored_texts(memory)) == 4


def test_another_providers_answer_is_refused_with_advice(memory: Any, service: Any) -> None:
    engine = SimpleChatEngine.from_defaults(llm=MockLLM(), memory=memory)
    with pytest.raises(ConfigurationError, match="ChatMemoryBuffer"):
        engine.chat("Hi")
    with pytest.raises(ConfigurationError, match="MockLLM"):
        MistralConversationMemory.from_defaults(llm=MockLLM())
    assert service.faults.requests == []


async def test_set_branches_after_what_is_shared(llm: Any, memory: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Fine."))
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory)
    engine.chat("one")
    engine.chat("two")
    old, kept = memory.conversation_id, memory.get()
    await memory.aset([*kept[:2], user("a correction")])
    assert told(memory.get()) == [*told(kept[:2]), ("user", "a correction")]
    await engine.achat("three")
    assert service.turns[-1][0] == f"/v1/conversations/{old}/restart"
    assert sent(service)[-1] == ["a correction", "three"]
    assert memory.conversation_id != old
    assert [text for role, text in stored_texts(memory) if role == "user"] == ["one", "a correction", "three"]
    assert len(load_conversation_history(old, client=llm.client)) == 4
    engine.chat("four")
    assert service.turns[-1][0] == f"/v1/conversations/{memory.conversation_id}"


def test_another_conversation_is_another_history(llm: Any, memory: Any, service: Any, scripted: Any) -> None:
    """A memory that was read, and then is set to or copied for another user's conversation."""
    scripted.always(say("Fine."))
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory)
    engine.chat("of Ada")
    first = memory.conversation_id
    memory.reset()
    engine.chat("of Bob")
    second, bobs = memory.conversation_id, told(memory.get())
    copied = memory.model_copy(update={"conversation_id": first})
    assert told(copied.get()) == stored_texts(copied) == [("user", "of Ada"), ("assistant", "Fine.")]
    assert told(memory.get()) == bobs
    copied.put(user("more of Ada"))
    assert told(memory.get()) == bobs, "what waits in the copy waits there alone"
    memory.conversation_id = first
    assert told(memory.get()) == stored_texts(memory)
    engine.chat("on")
    assert service.turns[-1][0] == f"/v1/conversations/{first}"
    assert second != first


def test_set_of_all_and_more_keeps_the_conversation(llm: Any, memory: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Fine."))
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory)
    engine.chat("one")
    old = memory.conversation_id
    engine.chat("three", chat_history=[*memory.get(), user("two")])
    assert sent(service)[-1] == ["two", "three"]
    assert memory.conversation_id == old


def test_set_of_something_else_starts_anew(llm: Any, memory: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Fine."))
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory)
    engine.chat("one")
    memory.set([user("elsewhere")])
    assert memory.conversation_id is None
    engine.chat("two")
    assert service.turns[-1][0] == "/v1/conversations"
    assert sent(service)[-1] == ["elsewhere", "two"]


def test_reset_starts_a_new_id_and_leaves_the_old(llm: Any, memory: Any, scripted: Any) -> None:
    scripted.always(say("Fine."))
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory)
    engine.chat("one")
    old = memory.conversation_id
    engine.reset()
    assert memory.get() == []
    engine.chat("two")
    assert memory.conversation_id not in (None, old)
    assert len(load_conversation_history(old, client=llm.client)) == 2


def test_the_history_is_read_once_a_turn_and_only_new_entries_are_converted(
    llm: Any, memory: Any, service: Any, scripted: Any
) -> None:
    scripted.always(say("Fine."))
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory)
    for number in range(5):
        engine.chat(f"question {number}")
    assert len(memory.get()) == len(memory.get()) == 10
    assert memory.entries_converted == 10
    assert len(service.reads) == 5
    memory.refresh()
    memory.get()
    assert memory.entries_converted == 10


def test_a_turn_that_was_applied_but_not_seen_is_not_sent_again(
    llm: Any, memory: Any, service: Any, scripted: Any
) -> None:
    scripted.always(say("Fine."))
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory)
    engine.chat("one")
    service.faults.drop_after(method="POST")
    assert str(engine.chat("two")) == "Fine."
    memory.put(user("three"))
    asked = memory.get()
    service.faults.drop_after(method="POST")
    service.faults.answer(500, method="GET", path="/history", times=3)
    with pytest.raises(MistralAgentsError):
        list(llm.stream_chat(asked))
    assert told(memory.get())[-2:] == [("user", "three"), ("assistant", "Fine.")]
    assert memory.unsaved == []
    assert [text for role, text in stored_texts(memory) if role == "user"] == ["one", "two", "three"]


def test_a_turn_that_failed_keeps_its_message(llm: Any, memory: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Fine."))
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory)
    engine.chat("one")
    service.faults.answer(422, {"detail": "no"})
    with pytest.raises(MistralAgentsError):
        engine.chat("two")
    assert told(memory.unsaved) == [("user", "two")]
    engine.chat("three")
    assert sent(service)[-1] == ["two", "three"]


def test_unsaved_messages_survive_as_json(llm: Any, memory: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Fine."))
    SimpleChatEngine.from_defaults(llm=llm, memory=memory).chat("one")
    memory.put(user("two"))
    again = MistralConversationMemory.from_export(json.loads(json.dumps(memory.export())), client=llm.client)
    assert told(again.get()) == told(memory.get())
    assert again.conversation_id == memory.conversation_id


def test_it_survives_pickle(llm: Any, memory: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Fine."))
    SimpleChatEngine.from_defaults(llm=llm, memory=memory).chat("one")
    memory.put(user("two"))
    again = pickle.loads(pickle.dumps(memory))
    assert told(again.get()) == told(memory.get())
    SimpleChatEngine.from_defaults(llm=llm, memory=again).chat("three")
    assert sent(service)[-1] == ["two", "three"]
    assert again.unsaved == []
    assert told(memory.unsaved) == [("user", "two")]


def test_hosted_tools_and_a_system_prompt_cost_no_extra_reading(make_llm: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Fine."))
    llm = make_llm(tools=[ImageGeneration()])
    memory = MistralConversationMemory(client=llm.client)
    engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory, system_prompt="Be kind.")
    for text in ("one", "two", "three"):
        engine.chat(text)
    assert sent(service) == [["one"], ["two"], ["three"]]
    assert {path.rpartition("/")[2] for path in service.reads} == {"history"}


async def test_a_read_only_block_shows_another_conversation(llm: Any, memory: Any, service: Any, scripted: Any) -> None:
    scripted.always(say("Noted."))
    SimpleChatEngine.from_defaults(llm=llm, memory=memory).chat("I am Ada.")
    block = ConversationHistoryBlock(conversation_id=memory.conversation_id, client=llm.client, last=1)
    composed = Memory.from_defaults(memory_blocks=[block])
    turns = len(service.turns)
    await composed.aput(user("Hello"))
    assert [text for _, text in told(await composed.aget())] == ["Noted.", "Hello"]
    assert len(service.turns) == turns
    whole = ConversationHistoryBlock(conversation_id=memory.conversation_id, client=llm.client)
    assert told(await whole.aget()) == [("user", "I am Ada."), ("assistant", "Noted.")]
