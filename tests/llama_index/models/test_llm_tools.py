"""Functions of the client and tools of the service."""

from __future__ import annotations

import json
from typing import Any

import pytest
from llama_index.core.base.llms.types import ImageBlock
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool

from llama_index_mistral_agents import MistralAgentLLM
from mistral_agents.errors import ConfigurationError
from mistral_agents.tools import ImageGeneration
from tests.support.scripted import call, calls, say


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


TIMES = FunctionTool.from_defaults(multiply)
SIX_BY_SEVEN = call("multiply", {"a": 6, "b": 7})


def user(text: str) -> ChatMessage:
    return ChatMessage(role="user", content=text)


def result(call_id: str, text: str) -> ChatMessage:
    return ChatMessage(role="tool", content=text, additional_kwargs={"tool_call_id": call_id})


def asked(llm: MistralAgentLLM, how: str, history: list[ChatMessage], **options: Any) -> Any:
    if how == "call":
        return llm.chat_with_tools([TIMES], chat_history=history, **options)
    return list(llm.stream_chat_with_tools([TIMES], chat_history=history, **options))[-1]


@pytest.mark.parametrize("how", ["call", "stream"])
@pytest.mark.parametrize("store", [False, True])
def test_a_function_is_called_and_its_result_used(
    make_llm: Any, service: Any, scripted: Any, how: str, store: bool
) -> None:
    scripted.script(SIX_BY_SEVEN, say("It is 42."))
    llm = make_llm(store=store)
    history = [user("6 times 7?")]
    response = asked(llm, how, history)
    assert history == [user("6 times 7?")]
    [selection] = llm.get_tool_calls_from_response(response)
    assert (selection.tool_name, selection.tool_kwargs) == ("multiply", {"a": 6, "b": 7})
    history += [response.message, result(selection.tool_id, "42")]
    assert asked(llm, how, history).message.content == "It is 42."
    _, body = service.turns[-1]
    kinds = [entry["type"] for entry in body["inputs"]]
    assert kinds == (["function.result"] if store else ["message.input", "function.call", "function.result"])
    assert body["inputs"][-1] == {"type": "function.result", "tool_call_id": selection.tool_id, "result": "42"}


def test_the_user_message_is_added_to_a_copy(llm: MistralAgentLLM, service: Any, scripted: Any) -> None:
    scripted.script(say("Hello."))
    history: list[ChatMessage] = []
    llm.chat_with_tools([TIMES], user_msg="Hi", chat_history=history)
    assert history == []
    assert service.turns[-1][1]["inputs"][0]["content"] == "Hi"


@pytest.mark.parametrize("how", ["call", "stream"])
def test_one_call_at_a_time_and_the_others_are_answered(
    stored: MistralAgentLLM, service: Any, scripted: Any, how: str
) -> None:
    scripted.script(calls(SIX_BY_SEVEN, call("multiply", {"a": 1, "b": 1})), say("Done."))
    history = [user("Both?")]
    response = asked(stored, how, history)
    [selection] = stored.get_tool_calls_from_response(response)
    history += [response.message, result(selection.tool_id, "42")]
    assert asked(stored, how, history).message.content == "Done."
    sent = {entry["tool_call_id"]: entry["result"] for entry in service.turns[-1][1]["inputs"]}
    assert len(sent) == 2
    assert sent.pop(selection.tool_id) == "42"
    assert "one call at a time" in next(iter(sent.values()))


def test_parallel_calls_are_all_kept(llm: MistralAgentLLM, scripted: Any) -> None:
    scripted.script(calls(SIX_BY_SEVEN, call("multiply", {"a": 1, "b": 1})))
    response = llm.chat_with_tools([TIMES], user_msg="Both?", allow_parallel_tool_calls=True)
    found = llm.get_tool_calls_from_response(response)
    assert [selection.tool_kwargs["a"] for selection in found] == [6, 1]
    assert len({selection.tool_id for selection in found}) == 2


def test_an_unanswered_call_gets_an_answer(stored: MistralAgentLLM, service: Any, scripted: Any) -> None:
    scripted.script(SIX_BY_SEVEN, say("Never mind."))
    history = [user("6 times 7?")]
    history += [stored.chat_with_tools([TIMES], chat_history=history).message, user("Forget it.")]
    assert stored.chat_with_tools([TIMES], chat_history=history).message.content == "Never mind."
    assert [entry["type"] for entry in service.turns[-1][1]["inputs"]] == ["function.result", "message.input"]


def test_no_call_is_an_error_only_when_asked(llm: MistralAgentLLM, scripted: Any) -> None:
    scripted.script(say("No."))
    response = llm.chat([user("Hi")])
    assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
    with pytest.raises(ValueError, match="at least one tool call"):
        llm.get_tool_calls_from_response(response)


def test_predict_and_call_runs_the_function(llm: MistralAgentLLM, scripted: Any) -> None:
    scripted.script(SIX_BY_SEVEN)
    assert llm.predict_and_call([TIMES], "6 times 7?").response == "42"


@pytest.mark.parametrize("choice", ["any", "required"])
def test_a_required_tool_reaches_the_service(llm: MistralAgentLLM, service: Any, scripted: Any, choice: str) -> None:
    scripted.always(SIX_BY_SEVEN)
    llm.chat_with_tools([TIMES], user_msg="x", tool_choice=choice)
    llm.chat_with_tools([TIMES], user_msg="x", tool_required=True)
    assert [body["completion_args"]["tool_choice"] for _, body in service.turns] == ["required", "required"]


def test_what_the_service_refuses_of_tool_choice_is_not_sent(make_llm: Any, service: Any) -> None:
    with pytest.raises(ValueError, match="web_search"):
        make_llm(tools=[{"type": "web_search"}]).chat_with_tools([TIMES], user_msg="x", tool_required=True)
    with pytest.raises(ValueError, match="divide"):
        make_llm().chat_with_tools([TIMES], user_msg="x", tool_choice="divide")
    assert service.turns == []


@pytest.mark.parametrize("how", ["call", "stream"])
async def test_a_hosted_tool_runs_and_its_file_is_fetched(make_llm: Any, service: Any, scripted: Any, how: str) -> None:
    scripted.script(call("generate_image", {"prompt": "a tree"}), say("Here is a tree."))
    llm = make_llm(tools=[ImageGeneration()])
    message = (llm.chat([user("Draw")]) if how == "call" else list(llm.stream_chat([user("Draw")]))[-1]).message
    assert service.turns[-1][1]["tools"] == [{"type": "image_generation"}]
    assert message.content == "Here is a tree."
    [run] = message.additional_kwargs["server_tools"]
    assert run["name"] == "image_generation"
    assert json.loads(run["arguments"]) == {"prompt": "a tree"}
    for full in (llm.fetch_files(message), await llm.afetch_files(message)):
        [image] = [block for block in full.blocks if isinstance(block, ImageBlock)]
        assert image.image_mimetype in ("image/png", "image/jpeg")
        assert image.resolve_image().read(4) in (b"\x89PNG", b"\xff\xd8\xff\xe0")
        assert full.content == "Here is a tree."
    assert json.dumps(message.additional_kwargs)


def test_a_hosted_run_is_replayed_without_a_server(make_llm: Any, service: Any, scripted: Any) -> None:
    scripted.script(call("generate_image", {"prompt": "a tree"}), say("Here."), say("You are welcome."))
    llm = make_llm(tools=[ImageGeneration()])
    messages = [user("Draw")]
    messages += [llm.chat(messages).message, user("Thanks")]
    assert llm.chat(messages).message.content == "You are welcome."
    kinds = [entry["type"] for entry in service.turns[-1][1]["inputs"]]
    assert kinds == ["message.input", "function.call", "function.result", "message.output", "message.input"]


@pytest.mark.parametrize("allow", [True, False])
def test_a_hosted_tool_waits_for_the_user(make_llm: Any, service: Any, scripted: Any, allow: bool) -> None:
    scripted.script(call("generate_image", {"prompt": "a tree"}), say("Here." if allow else "As you like."))
    llm = make_llm(store=True, tools=[ImageGeneration(requires_confirmation=True)])
    messages = [user("Draw")]
    messages.append(llm.chat(messages).message)
    [waiting] = messages[-1].additional_kwargs["pending_confirmations"]
    assert waiting["function"]["arguments"] == '{"prompt": "a tree"}'
    answer = llm.chat([*messages, *llm.confirm(messages[-1], allow=allow)]).message
    assert service.turns[-1][1]["tool_confirmations"] == [
        {"tool_call_id": waiting["id"], "confirmation": "allow" if allow else "deny"}
    ]
    assert "inputs" not in service.turns[-1][1]
    assert bool(answer.additional_kwargs["server_tools"]) is allow
    assert answer.content == ("Here." if allow else "As you like.")


def test_a_tool_nobody_confirmed_is_denied(make_llm: Any, service: Any, scripted: Any) -> None:
    scripted.script(call("generate_image", {"prompt": "a tree"}), say("All right."))
    llm = make_llm(store=True, tools=[ImageGeneration(requires_confirmation=True)])
    messages = [user("Draw")]
    messages += [llm.chat(messages).message, user("Stop, talk instead.")]
    assert llm.chat(messages).message.content == "All right."
    assert service.turns[-1][1]["tool_confirmations"][0]["confirmation"] == "deny"


def test_a_confirmation_needs_a_stored_conversation(make_llm: Any, service: Any, scripted: Any) -> None:
    scripted.script(call("generate_image", {"prompt": "a tree"}))
    llm = make_llm(tools=[ImageGeneration(requires_confirmation=True)])
    answer = llm.chat([user("Draw")]).message
    with pytest.raises(ConfigurationError, match="store=True"):
        llm.chat([user("Draw"), answer, *llm.confirm(answer)])
    assert len(service.turns) == 1
