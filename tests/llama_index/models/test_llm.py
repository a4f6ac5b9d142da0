"""The model: one answer in every form, and what is sent for it."""

from __future__ import annotations

from typing import Any

from llama_index.core.llms import LLM, ChatMessage

from llama_index_mistral_agents import MistralAgentLLM
from tests.support.scripted import say


def user(text: str) -> ChatMessage:
    return ChatMessage(role="user", content=text)


def test_it_is_a_llama_index_model() -> None:
    assert issubclass(MistralAgentLLM, LLM)
    assert MistralAgentLLM.class_name() == "MistralAgentLLM"


async def test_every_form_gives_the_same_text(llm: MistralAgentLLM, scripted: Any) -> None:
    scripted.always(say("The sky is blue."))
    question = [user("Which colour has the sky?")]
    *_, streamed = llm.stream_chat(question)
    *_, completed = llm.stream_complete("Which colour has the sky?")
    texts = [
        llm.chat(question).message.content,
        (await llm.achat(question)).message.content,
        streamed.message.content,
        [r async for r in await llm.astream_chat(question)][-1].message.content,
        llm.complete("Which colour has the sky?").text,
        (await llm.acomplete("Which colour has the sky?")).text,
        completed.text,
        [r async for r in await llm.astream_complete("Which colour has the sky?")][-1].text,
    ]
    assert set(texts) == {"The sky is blue."}


def test_a_call_is_stateless_by_default(llm: MistralAgentLLM, service: Any, scripted: Any) -> None:
    scripted.always(say("Hello."))
    first = llm.chat([user("Hi")]).message
    llm.chat([ChatMessage(role="system", content="Be kind."), user("Hi"), first, user("And now?")])
    path, body = service.turns[-1]
    assert path == "/v1/conversations"
    assert body["store"] is False
    assert body["instructions"] == "Be kind."
    assert [(entry["type"], entry["content"]) for entry in body["inputs"]] == [
        ("message.input", "Hi"),
        ("message.output", "Hello."),
        ("message.input", "And now?"),
    ]


def test_deltas_add_up_to_the_text(llm: MistralAgentLLM, scripted: Any) -> None:
    scripted.script(say("One two three four five."))
    responses = list(llm.stream_chat([user("Count")]))
    assert "".join(response.delta or "" for response in responses) == "One two three four five."
    assert [len(response.message.blocks) for response in responses] == [1] * len(responses)
    so_far = ""
    for response in responses:
        so_far += response.delta or ""
        assert response.message.content == so_far
