"""One table of options: names, refusals, choices, and a page of the docs that is current."""

from __future__ import annotations

import warnings
from typing import Any, get_type_hints

import pytest

from langchain_mistral_agents import ChatMistralAgent, MistralAgentRunnable
from llama_index_mistral_agents import MistralAgentLLM
from mistral_agents import Conversation, MistralAgents
from mistral_agents import options as typed
from mistral_agents._border.options import (
    TABLE,
    check_agent_options,
    fit_options,
    resolve_completion_args,
    resolve_options,
    take_completion,
)
from mistral_agents._border.tool_choices import choose_tools
from mistral_agents.errors import ConfigurationError
from scripts.options_page import PAGE, render_page

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
CLOCK = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}
HOSTED = {"type": "web_search"}


def resolved(where: Any = "call", **given: Any) -> dict[str, Any]:
    return resolve_options(given, what="Model", where=where)


def test_the_page_of_the_docs_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_page(), "run: python -m scripts.options_page"


def test_every_name_stands_once() -> None:
    names = [name for option in TABLE for name in (option.name, *option.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("kind", "where"),
    [("ModelOptions", "constructor"), ("CallOptions", "call"), ("ConversationOptions", "conversation")],
)
def test_the_types_name_what_the_table_takes(kind: str, where: Any) -> None:
    of_wings = {"instructions", "tools", "connectors", "model"}
    hints = set(get_type_hints(getattr(typed, kind), localns={"SecretStr": str})) | of_wings
    known = {n for o in TABLE if where in o.given and o.goes != "refused" for n in (o.name, *o.aliases)}
    assert known <= hints | of_wings
    assert hints - of_wings <= known


@pytest.mark.parametrize("name", ["temperature", "top_p", "presence_penalty", "frequency_penalty"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_does_not_know_is_refused_by_name(name: str, value: float) -> None:
    """It was refused too, when it was written, but as "the request cannot be written"."""
    for where in ("constructor", "call", "conversation"):
        with pytest.raises(ConfigurationError, match=f"{name}=-?(nan|inf) can't be honoured: a number is wanted"):
            resolved(where, **{name: value})


def test_aliases_are_one_option() -> None:
    found = resolved(
        "constructor", seed=1, model_name="m", api_base="http://a", max_completion_tokens=5, request_timeout=3
    )
    assert found == {"random_seed": 1, "model": "m", "base_url": "http://a", "max_tokens": 5, "timeout": 3}


def test_none_was_not_given_and_n_of_one_asks_for_nothing() -> None:
    assert resolved(temperature=None, n=1, stream_usage=True, seed=None) == {}
    assert resolved(temperature=0.0, stop="x") == {"temperature": 0.0, "stop": "x"}


def test_none_was_not_given_for_what_only_a_framework_knows_either() -> None:
    unset: Any = {"streaming": None, "disable_streaming": None, "include_response_headers": None, "verbose": None}
    model = ChatMistralAgent(model="m", api_key="k", **unset)
    assert model == ChatMistralAgent(model="m", api_key="k")
    unset = {"context_window": None, "pydantic_program_mode": None, "callback_manager": None, "system_prompt": None}
    llm = MistralAgentLLM("m", api_key="k", **unset)
    assert llm.context_window == MistralAgentLLM("m", api_key="k").context_window
    unset = {"max_rounds": None, "conversations": None, "store": None, "name": None}
    assert MistralAgentRunnable(agent_id="ag_1", api_key="k", **unset).max_rounds == 10


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"temprature": 0}, "temprature; did you mean temperature"),
        ({"frobnicate": 1}, "takes no frobnicate; it takes .*temperature"),
        ({"n": 2}, "n=2.*one answer"),
        ({"stream_usage": False}, "stream_usage"),
        ({"logprobs": True}, "logprobs.*probabilities"),
        ({"safe_mode": True}, "safe_mode.*guardrails"),
        ({"built_in_tools": [{"type": "web_search"}]}, "built_in_tools.*connectors"),
        ({"track_previous_responses": True}, "track_previous_responses.*store=True"),
        ({"api_key": "k"}, "api_key here.*setting of the model"),
        ({"seed": 1, "random_seed": 2}, "seed and random_seed are one option"),
        ({"max_tokens": "5"}, "max_tokens='5'.*whole number"),
        ({"timeout": True}, "timeout=True"),
        ({"handoff_execution": "both"}, "'server' or 'client'"),
        ({"guardrails": {"a": 1}}, "list of dicts"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        resolved(**given)


def test_names_of_the_service_inside_completion_args() -> None:
    assert resolve_completion_args({"seed": 3, "stop": None}) == {"random_seed": 3}
    with pytest.raises(ConfigurationError, match="did you mean temperature"):
        resolve_completion_args({"temperatur": 1})
    with pytest.raises(ConfigurationError, match="api_key is no completion option"):
        resolve_completion_args({"api_key": "k"})
    with pytest.warns(UserWarning, match="quantum_leap"):
        assert resolve_completion_args({"quantum_leap": 1}) == {"quantum_leap": 1}


def test_completion_args_win_and_their_dialects_add_up() -> None:
    found = resolved(temperature=0.1, top_p=0.5, model_kwargs={"temperature": 0.2}, additional_kwargs={"seed": 4})
    assert take_completion(found) == {"temperature": 0.2, "top_p": 0.5, "random_seed": 4}
    assert found == {}


def test_an_agent_brings_its_own_options() -> None:
    check_agent_options({"timeout": 3, "metadata": {}, "tool_choice": "auto", "temperature": None, "connectors": []})
    with pytest.raises(ConfigurationError, match="stop, temperature, tool_choice"):
        check_agent_options({"stop": ["x"], "temperature": 0.0, "tool_choice": "none"})
    check_agent_options({"stop": ["x"]}, enforced=("stop",))
    with pytest.warns(UserWarning, match="can't be forced on an agent"):
        check_agent_options({"tool_choice": "any"})


@pytest.mark.parametrize(
    "choice",
    [
        "weather",
        {"type": "function", "function": {"name": "weather"}},
        {"type": "function", "name": "weather"},
        {"type": "tool", "name": "weather"},
        {"name": "weather"},
    ],
)
def test_a_named_tool_is_the_only_one_and_must_be_called(choice: Any) -> None:
    assert choose_tools([WEATHER, CLOCK, HOSTED], choice) == ([WEATHER], "required")


@pytest.mark.parametrize(
    ("choice", "word"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("any", "required"),
        ("required", "required"),
        (True, "required"),
        (None, None),
        (False, None),
        ({"type": "any"}, "required"),
        ({"type": "auto"}, "auto"),
    ],
)
def test_words_of_every_framework(choice: Any, word: str | None) -> None:
    assert choose_tools([WEATHER], choice) == ([WEATHER], word)


@pytest.mark.parametrize("choice", ["wether", {"type": "function"}, 3, {"function": {"name": ""}}])
def test_a_choice_of_nothing_is_refused(choice: Any) -> None:
    with pytest.raises(ConfigurationError, match="tool_choice"):
        choose_tools([WEATHER], choice)


@pytest.mark.parametrize("choice", ["any", "required", True, {"type": "any"}])
def test_a_forced_choice_without_tools_is_refused(choice: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"tool_choice=.* no tool to call"):
        choose_tools([], choice)
    assert choose_tools([], choice, has_own=True) == ([], "required")
    with pytest.raises(ConfigurationError, match="tool_choice"):
        Conversation(MistralAgents(api_key="k"), model="m", tool_choice=choice)


def test_a_choice_that_forces_nothing_needs_no_tools() -> None:
    assert [choose_tools([], choice) for choice in ("auto", "none", None)] == [([], "auto"), ([], "none"), ([], None)]


def test_a_conversation_with_an_agent_names_what_the_agent_brings() -> None:
    client = MistralAgents(api_key="k")
    with pytest.raises(ConfigurationError, match="stop, temperature"):
        Conversation(client, agent_id="ag_1", temperature=0, stop=["x"])
    with pytest.warns(UserWarning, match="can't be forced on an agent"):
        made = Conversation(client, agent_id="ag_1", tool_choice="any")
    assert made._exchanges.start_options == {"agent_id": "ag_1"}


def test_a_forced_choice_beside_hosted_tools_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)web_search.*response_format"):
        choose_tools([WEATHER, HOSTED], "any")


def test_what_comes_too_late_is_named() -> None:
    given = {"metadata": {"a": 1}, "name": "x", "guardrails": [], "timeout": 3}
    assert fit_options(given, "start") == given
    with pytest.warns(UserWarning, match="name can be given only where"):
        assert fit_options(given, "restart") == {"metadata": {"a": 1}, "guardrails": [], "timeout": 3}
    with pytest.warns(UserWarning, match="metadata, name"):
        assert fit_options(given, "append") == {"timeout": 3}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit_options({"guardrails": [], "timeout": 3}, "append") == {"timeout": 3}


def test_a_conversation_takes_the_same_names() -> None:
    client = MistralAgents(api_key="k", base_url="http://127.0.0.1:9")
    made = Conversation(
        client,
        model_name="m",
        seed=3,
        temperature=None,
        guardrails=[{"block_on_error": True}],
        default_headers={"x": "y"},
    )
    kept = made._exchanges
    assert kept.start_options == {
        "model": "m",
        "completion_args": {"random_seed": 3},
        "guardrails": [{"block_on_error": True}],
    }
    assert kept.settings.per_turn == {"headers": {"x": "y"}}
    with pytest.raises(ConfigurationError, match="did you mean temperature"):
        Conversation(client, model="m", temprature=0)  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match="n=2"):
        Conversation(client, model="m", n=2)  # type: ignore[typeddict-item, arg-type]


@pytest.mark.parametrize("empty", [[], "", ()])
def test_no_stop_texts_are_no_stop(empty: Any) -> None:
    assert resolve_options({"stop": empty}, what="it", where="call") == {}
    assert resolve_completion_args({"stop": empty}) == {}
