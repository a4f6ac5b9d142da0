"""Options, schemas and blocks mean the same in both wings, up to the body that is sent."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import inspect
import json
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool as langchain_tool
from langchain_core.tracers.context import collect_runs
from llama_index.core.base.llms.types import ChatMessage, DocumentBlock, ImageBlock, TextBlock
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import NullSpanHandler
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from langchain_mistral_agents import ChatMistralAgent, MistralAgentRunnable, MistralLibraryRetriever
from langchain_mistral_agents._content import human_content, result_content
from llama_index_mistral_agents import MistralAgentLLM, MistralWorkflowAgent
from llama_index_mistral_agents._content import output_blocks
from mistral_agents import Conversation, MistralAgents
from mistral_agents.entries import function_result
from mistral_agents.errors import ConfigurationError, GuardrailBlockedError, MistralAgentsError
from tests.border.service import Service

RULES = [{"block_on_error": True, "moderation_llm_v2": {"action": "block"}}]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(300)
PICTURE = base64.b64encode(PNG).decode()
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "Tells it.", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as found:
        yield found


def chat(service: Service, **more: Any) -> Any:
    mode = {} if "agent_id" in more else {"model": "m"}
    return ChatMistralAgent(**{**mode, "api_key": "k", "base_url": service.url, "max_retries": 0, **more})


def llm(service: Service, **more: Any) -> Any:
    mode = {} if "agent_id" in more else {"model": "m"}
    return MistralAgentLLM(**{**mode, "api_key": "k", "api_base": service.url, "max_retries": 0, **more})


def outcome(service: Service, wing: str, construct: dict[str, Any], call: dict[str, Any]) -> Any:
    try:
        if wing == "LangChain":
            chat(service, **construct).invoke("q", **call)
        else:
            llm(service, **construct).chat([ChatMessage(content="q")], **call)
    except ConfigurationError as error:
        assert service.bodies == []
        return "refused", sorted({*construct, *call} & set(str(error).replace("=", " ").replace(",", " ").split()))
    body = service.bodies.pop()
    return {name: body[name] for name in body if name not in ("inputs", "model", "agent_id", "stream")}


ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "constructor": ({"temperature": 0, "top_p": 0.5, "seed": 1, "frequency_penalty": 1.0}, {}),
    "model_kwargs": ({"model_kwargs": {"top_p": 0.1}, "top_p": 0.9}, {}),
    "call over constructor": ({"temperature": 0.1, "completion_args": {"top_p": 0.3}}, {"temperature": 0.2, "seed": 2}),
    "None": ({"temperature": None, "timeout": None, "max_retries": None, "stop": None}, {"max_tokens": None}),
    "stop": ({"stop_sequences": ["x"]}, {}),
    "effort": ({"reasoning_effort": "max"}, {}),
    "guardrails": ({"guardrails": RULES}, {}),
    "metadata": ({}, {"metadata": {"user": "ada"}, "store": True}),
    "name": ({}, {"name": "n", "description": "d"}),
    "named tool": ({}, {"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "weather"}}),
    "choice of the model": ({"tool_choice": "any"}, {"tools": [WEATHER]}),
    "choice without tools": ({}, {"tool_choice": "any"}),
    "choice of the model without tools": ({"tool_choice": "required"}, {"tools": []}),
    "one at a time": ({"parallel_tool_calls": False}, {"tools": [WEATHER]}),
    "strict": ({}, {"tools": [WEATHER], "strict": True}),
    "unknown": ({}, {"temprature": 0}),
    "unknown in args": ({"completion_args": {"temprature": 0}}, {}),
    "n": ({"n": 2}, {}),
    "top_k": ({}, {"top_k": 3}),
    "key per call": ({}, {"api_key": "other"}),
    "agent with temperature": ({"agent_id": "ag_1", "temperature": 0.1}, {}),
    "agent with max_tokens": ({"agent_id": "ag_1"}, {"max_tokens": 4}),
    "agent with guardrails": ({"agent_id": "ag_1", "guardrails": RULES}, {}),
    "agent and a choice": ({"agent_id": "ag_1"}, {"tool_choice": "auto"}),
}


@pytest.mark.parametrize(("construct", "call"), ROWS.values(), ids=ROWS.keys())
def test_an_option_has_one_meaning(service: Service, construct: dict[str, Any], call: dict[str, Any]) -> None:
    found = outcome(service, "LangChain", construct, call)
    assert found == outcome(service, "LlamaIndex", construct, call)
    name = next(name for name, row in ROWS.items() if row == (construct, call))
    assert isinstance(found, tuple) is (name in REFUSED)


REFUSED = frozenset(
    {
        "unknown",
        "unknown in args",
        "n",
        "top_k",
        "key per call",
        "agent with temperature",
        "agent with max_tokens",
        "choice without tools",
        "choice of the model without tools",
    }
)


def test_what_is_sent_is_what_was_asked(service: Service) -> None:
    body = outcome(
        service, "LangChain", {"seed": 1, "guardrails": RULES, "model_kwargs": {"top_p": 0.1}}, {"stop": ["x"]}
    )
    assert body == {
        "store": False,
        "completion_args": {"random_seed": 1, "top_p": 0.1, "stop": ["x"]},
        "guardrails": RULES,
    }


def test_guardrails_go_with_the_start_and_other_ones_begin_anew(service: Service) -> None:
    for wing in ("LangChain", "LlamaIndex"):
        model: Any = (chat if wing == "LangChain" else llm)(service, store=True, guardrails=RULES)
        other: Any = (chat if wing == "LangChain" else llm)(service, store=True)
        user: Any = HumanMessage("q") if wing == "LangChain" else ChatMessage(content="q")

        def ask(asked: Any, history: list[Any], wing: str = wing) -> Any:
            return asked.invoke(history) if wing == "LangChain" else asked.chat(history).message

        history = [user, ask(model, [user]), user]
        ask(model, history)
        assert service.paths[-1].endswith(service.conversation)
        assert "guardrails" not in service.bodies[-1]
        ask(other, history)
        assert service.paths[-1] == "/v1/conversations"


def test_a_block_by_a_guardrail_is_an_error_of_its_own(service: Service) -> None:
    decisions = {"hate": {"violated": True, "score": 0.9}, "pii": {"violated": False}}
    body = {
        "error": {"message": "Content blocked by guardrail"},
        "guardrails": {"results": {"v2": {"decisions": decisions}}},
    }
    for ask in (
        lambda: chat(service).invoke("q"),
        lambda: llm(service).complete("q"),
        lambda: list(chat(service).stream("q")),
    ):
        service.fail(403, body)
        with pytest.raises(GuardrailBlockedError, match="blocked by guardrail: hate") as caught:
            ask()
        assert caught.value.violations == {"hate": decisions["hate"]}
    service.fail(403, {"object": "error", "message": "moderation is down", "code": 3201})
    with pytest.raises(GuardrailBlockedError) as caught:
        llm(service).complete("q")
    assert caught.value.violations == {}


# keys ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["api_key", "mistral_api_key"])
def test_a_key_is_in_no_text(service: Service, name: str) -> None:
    secret = "k-very-secret"
    given: Any = {"model": "m", name: secret, "endpoint": service.url, "default_headers": {"x-key": secret}}
    model = ChatMistralAgent(**given)
    other = MistralAgentLLM(**given)
    with collect_runs() as runs:
        model.invoke("q", headers={"x-more": secret})
        with pytest.raises(ConfigurationError, match=name):
            model.invoke("q", **{name: secret})
    other.complete("q")
    shown = [
        repr(model),
        dumps(model),
        str(model.model_dump()),
        repr(other),
        other.to_json(),
        json.dumps(service.bodies),
    ]
    traced = [str(run.extra) + str(run.inputs) + str(run.error) for run in runs.traced_runs]
    assert not [text for text in shown + traced if secret in text]
    assert service.headers[0]["authorization"] == f"Bearer {secret}"
    assert service.headers[0]["x-key"] == service.headers[0]["x-more"] == secret


SECRET = "k-very-secret"
CONNECTOR = {"type": "connector", "connector_id": "c", "authorization": {"type": "api-key", "value": SECRET}}


class Watching(BaseEventHandler):
    """Keeps the events of LlamaIndex."""

    told: list[str] = []  # noqa: RUF012 pydantic copies it

    @classmethod
    def class_name(cls) -> str:
        return "Watching"

    def handle(self, event: Any, **_: Any) -> None:
        self.told.append(f"{event!r} {event.model_dump()}")


class Spanning(NullSpanHandler):
    """Keeps what spans are begun with."""

    told: list[str] = []  # noqa: RUF012

    def span_enter(self, id_: str, bound_args: Any, *_: Any, **__: Any) -> None:  # type: ignore[override]
        self.told.append(f"{id_} {bound_args.arguments}")


@pytest.fixture
def watching() -> Iterator[list[str]]:
    root, events, spans = get_dispatcher(), Watching(), Spanning()
    spans.told = events.told
    root.add_event_handler(events)
    root.add_span_handler(spans)
    yield events.told
    root.event_handlers.remove(events)
    root.span_handlers.remove(spans)


async def drain(chunks: Any) -> list[Any]:
    return [chunk async for chunk in await chunks]


def test_headers_that_are_bound_are_in_no_text(service: Service) -> None:
    model, headers = chat(service), {"x-key": SECRET}
    schema = {"title": "t", "type": "object"}
    bound = (
        model.bind(headers=headers),
        model.bind(default_headers=headers),
        model.bind_tools([], headers=headers),
        model.bind_tools([]).bind(headers=headers),
        model.with_config(tags=["a"]).bind(default_headers=headers),
    )
    for one in (*bound, model.with_structured_output(schema, headers=headers)):
        assert SECRET not in f"{one!r} {dumps(one)}"
    with collect_runs() as runs:
        for one in bound:
            one.invoke("q")
        model.generate([[HumanMessage("q")]], headers=headers)
    assert [sent["x-key"] for sent in service.headers] == [SECRET] * 6
    assert SECRET not in "".join(f"{run.extra} {run.serialized}" for run in runs.traced_runs)


SECRETLY: dict[str, Any] = {
    "chat": lambda model, **given: model.chat([ChatMessage(content="q")], **given),
    "achat": lambda model, **given: asyncio.run(model.achat([ChatMessage(content="q")], **given)),
    "stream": lambda model, **given: list(model.stream_chat([ChatMessage(content="q")], **given)),
    "astream": lambda model, **given: asyncio.run(drain(model.astream_chat([ChatMessage(content="q")], **given))),
    "complete": lambda model, **given: model.complete("q", **given),
    "form": lambda model, **given: model.structured_predict(Part, PromptTemplate("q"), llm_kwargs=given),
    "form by place": lambda model, **given: model.structured_predict(Part, PromptTemplate("q"), given),
    "form as a stream": lambda model, **given: list(
        model.stream_structured_predict(Part, PromptTemplate("q"), llm_kwargs=given)
    ),
    "async form as a stream": lambda model, **given: asyncio.run(
        drain(model.astream_structured_predict(Part, PromptTemplate("q"), llm_kwargs=given))
    ),
}


@pytest.mark.parametrize("ask", SECRETLY.values(), ids=SECRETLY.keys())
def test_credentials_of_a_call_are_in_no_trace_of_llama_index(service: Service, watching: list[str], ask: Any) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    model = llm(service, callback_manager=CallbackManager([debug]))
    with contextlib.suppress(MistralAgentsError):  # what this service says has no form, and is no stream
        ask(model, headers={"x-key": SECRET}, tools=[CONNECTOR])
    assert service.headers[0]["x-key"] == SECRET
    assert service.bodies[0]["tools"][0]["authorization"] == CONNECTOR["authorization"]
    assert watching
    assert not [text for text in watching if SECRET in text]
    assert not [event for event in debug.get_events() if SECRET in f"{event.payload}"]


def count_letters(text: str) -> int:
    """Count the letters of a text."""
    return len(text)


def test_functions_of_an_agent_may_come_from_an_iterator(service: Service) -> None:
    tools: Any = iter([count_letters])
    agent = MistralWorkflowAgent(llm=llm(service), tools=tools)
    assert [tool.metadata.name for tool in agent.tools or ()] == ["count_letters"]


def test_headers_of_a_call_with_functions_are_in_no_trace_of_llama_index(service: Service, watching: list[str]) -> None:
    with contextlib.suppress(MistralAgentsError):
        llm(service).chat_with_tools(
            [FunctionTool.from_defaults(count_letters)], user_msg="q", headers={"x-key": SECRET}
        )
    assert service.headers[0]["x-key"] == SECRET
    assert watching
    assert not [text for text in watching if SECRET in text]


def test_a_variable_of_a_prompt_may_have_the_name_of_an_option(service: Service) -> None:
    prompt = PromptTemplate("Explain {headers} and {tools}.")
    with contextlib.suppress(MistralAgentsError):  # what this service says has no form
        llm(service).structured_predict(Part, prompt, headers={"accept": "text/html"}, tools=[CONNECTOR])
    assert "'accept': 'text/html'" in str(service.bodies[0]["inputs"])
    assert SECRET in str(service.bodies[0]["inputs"])


CLIENT = MistralAgents(api_key="k")
WRONG: dict[str, tuple[Any, dict[str, Any]]] = {
    "a constructor without a model": (ChatMistralAgent, {"api_key": SECRET}),
    "a model and an agent": (ChatMistralAgent, {"model": "m", "agent_id": "a", "mistral_api_key": SECRET}),
    "a runnable without an agent": (MistralAgentRunnable, {"api_key": SECRET}),
    "a retriever without a library": (MistralLibraryRetriever, {"api_key": SECRET}),
    "a password in an address": (ChatMistralAgent, {"base_url": f"http://u:{SECRET}@127.0.0.1:9"}),
    "headers as a text": (ChatMistralAgent, {"model": "m", "default_headers": SECRET}),
    "headers with a list": (ChatMistralAgent, {"model": "m", "default_headers": {"x": [SECRET]}}),
    "headers of LlamaIndex": (MistralAgentLLM, {"model": "m", "default_headers": SECRET}),
    "headers of a call": (ChatMistralAgent(model="m", api_key="k").invoke, {"input": "q", "headers": SECRET}),
    "one connector": (ChatMistralAgent, {"model": "m", "tools": CONNECTOR}),
    "one connector of LlamaIndex": (MistralAgentLLM, {"model": "m", "tools": CONNECTOR}),
    "a connector among others": (ChatMistralAgent, {"model": "m", "tools": [CONNECTOR, 3]}),
    "a conversation's connector": (Conversation, {"client": CLIENT, "model": "m", "tools": CONNECTOR}),
}


@pytest.mark.parametrize(("construct", "given"), WRONG.values(), ids=WRONG.keys())
def test_a_key_is_in_no_error(construct: Any, given: dict[str, Any]) -> None:
    with pytest.raises((ConfigurationError, ValueError)) as caught:
        construct(**given)
    assert SECRET not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize(
    "own",
    [{"api_key": "other"}, {"timeout": 3}, {"max_retries": 0}, {"default_headers": {"x-a": "b"}}, {"base_url": "http://127.0.0.1:9"}],
    ids=str,
)  # fmt: skip
def test_a_client_and_its_settings_are_not_given_together(service: Service, own: dict[str, Any]) -> None:
    client: Any = MistralAgents(api_key="k", base_url=service.url)
    for construct in (
        lambda: ChatMistralAgent(model="m", client=client, **own),
        lambda: MistralAgentRunnable(agent_id="ag_1", client=client, **own),
        lambda: MistralAgentLLM("m", client=client, **own),
    ):
        with pytest.raises(ConfigurationError, match=r"Give client, or .*, not both"):
            construct()


def test_a_model_with_a_client_may_be_configured(service: Service) -> None:
    client: Any = MistralAgents(api_key="k", base_url=service.url)
    model = ChatMistralAgent(model="m", client=client)
    varied = model.configurable_fields(temperature=ConfigurableField(id="heat"))
    varied.invoke("q", {"configurable": {"heat": 0.4}})
    assert service.bodies[-1]["completion_args"] == {"temperature": 0.4}


# constructors -------------------------------------------------------------------------------------------------------


def test_every_constructor_refuses_unknown_names(service: Service) -> None:
    makers: list[Any] = [
        lambda **more: ChatMistralAgent(model="m", **more),
        lambda **more: MistralAgentRunnable(agent_id="ag_1", **more),
        lambda **more: MistralAgentLLM("m", **more),
        lambda **more: MistralWorkflowAgent(llm=llm(service), **more),
    ]
    for make in makers:
        with pytest.raises(ConfigurationError, match="safe_mod"):
            make(safe_mod=1)
    with pytest.raises(ConfigurationError, match="takes no temperature"):
        MistralAgentRunnable(agent_id="ag_1", temperature=0.1)  # type: ignore[call-arg]


def test_a_runnable_hands_its_settings_on(service: Service) -> None:
    agent = MistralAgentRunnable(
        agent_id="ag_1",
        mistral_api_key="k",
        endpoint=service.url,
        timeout=None,
        guardrails=RULES,
        default_headers={"x": "y"},
    )
    agent.invoke("q")
    assert service.bodies[-1]["guardrails"] == RULES
    assert service.headers[-1]["x"] == "y"


# one call at a time -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("way", ["call", "stream"])
def test_one_call_at_a_time_in_langchain(service: Service, stored: bool, way: str) -> None:
    service.calls(("call00001", "weather"), ("call00002", "weather"))
    model = chat(service, store=stored).bind(tools=[WEATHER], parallel_tool_calls=False)
    if way == "call":
        answer = model.invoke("q")
    else:
        first, *rest = list(model.stream("q"))
        answer = sum(rest, first)
    assert [call["id"] for call in answer.tool_calls] == ["call00001"]
    model.invoke([HumanMessage("q"), answer, ToolMessage("sunny", tool_call_id="call00001")])
    results = [entry for entry in service.bodies[-1]["inputs"] if entry["type"] == "function.result"]
    calls = [entry for entry in service.bodies[-1]["inputs"] if entry["type"] == "function.call"]
    assert {entry["tool_call_id"] for entry in results} == ({"call00001", "call00002"} if stored else {"call00001"})
    assert len(calls) == (0 if stored else 1)


# schemas ------------------------------------------------------------------------------------------------------------


class Part(BaseModel):
    """A part."""

    name: str
    parts: list[Part] = []


def test_structured_output_sends_one_schema(service: Service) -> None:
    for kind, answer in ((Part, '{"name": "a", "parts": []}'), (list[Part], '{"value": []}')):
        service.say(answer)
        found = chat(service).with_structured_output(kind).invoke("q")
        sent = service.bodies[-1]["completion_args"]["response_format"]
        service.say(answer)
        assert llm(service).structured_predict(kind, PromptTemplate("q")) == found
        assert service.bodies[-1]["completion_args"]["response_format"] == sent
        assert sent["json_schema"]["strict"] is True


def test_a_cut_answer_is_no_object(service: Service) -> None:
    for ask in (
        lambda: chat(service).with_structured_output(Part).invoke("q"),
        lambda: llm(service).structured_predict(Part, PromptTemplate("q")),
    ):
        service.say('{"name": "a", "parts": [')
        with pytest.raises(Exception, match="JSON"):
            ask()


OPEN: dict[str, Any] = {"type": "object", "properties": {"age": {"type": "integer"}}}
CLOSED = {**OPEN, "additionalProperties": False, "required": ["age"]}
LISTED = {"type": "array", "items": {"type": "integer"}}
RESPONSE_FORMATS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "strict": ({"name": "P", "strict": True, "schema": OPEN}, {"name": "P", "strict": True, "schema": CLOSED}),
    "not strict": ({"name": "P", "schema": OPEN}, {"name": "P", "schema": OPEN}),
    "an odd name": ({"name": "Box[int]", "schema": OPEN}, {"name": "Box_int", "schema": OPEN}),
    "no name": ({"schema": OPEN}, {"name": "answer", "schema": OPEN}),
    "a list": ({"name": "P", "schema": LISTED}, {"name": "P", "schema": LISTED}),
}


def ask_for(service: Service, form: Any) -> list[Any]:
    """What both wings send for a `response_format` of the user's own."""
    chat(service).invoke("q", response_format=form)
    llm(service).chat([ChatMessage(content="q")], response_format=form)
    return [body["completion_args"]["response_format"] for body in service.bodies]


@pytest.mark.parametrize(("given", "sent"), RESPONSE_FORMATS.values(), ids=RESPONSE_FORMATS.keys())
def test_a_form_of_the_users_own_keeps_its_promises(service: Service, given: Any, sent: Any) -> None:
    """LangChain's `create_agent` makes such forms, and leaves open what is promised to be strict."""
    before = json.dumps(given)
    assert (
        ask_for(service, {"type": "json_schema", "json_schema": given})
        == [{"type": "json_schema", "json_schema": sent}] * 2
    )
    assert json.dumps(given) == before


@pytest.mark.parametrize("form", [{**OPEN, "title": "P"}, {"name": "P", "schema": OPEN}], ids=["bare", "named"])
def test_a_schema_as_a_form_is_one(service: Service, form: Any) -> None:
    found = ask_for(service, form)
    assert [(one["type"], one["json_schema"]["name"]) for one in found] == [("json_schema", "P")] * 2
    assert all(one["json_schema"]["schema"]["properties"] == OPEN["properties"] for one in found)


@pytest.mark.parametrize("kind", ["json_schema", "json_object"])
def test_a_schema_may_stand_beside_the_type_of_a_form(service: Service, kind: str) -> None:
    """As OpenAI's Responses write it, and other servers: no field of the form gets into what describes the schema."""
    found = ask_for(service, {"type": kind, "name": "P", "strict": True, "schema": OPEN})
    assert found == [{"type": "json_schema", "json_schema": {"name": "P", "strict": True, "schema": CLOSED}}] * 2


@pytest.mark.parametrize("form", [{"type": "json_object"}, {"type": "text"}, {"type": "grammar", "text": "a"}], ids=str)
def test_other_forms_go_out_as_they_are(service: Service, form: Any) -> None:
    assert ask_for(service, form) == [form] * 2


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"type": "json_schema"}, "needs json_schema"),
        ({"type": "json_schema", "json_schema": {"name": "P", "schema": {"$ref": "#/$defs/X"}}}, "which is not in it"),
        (
            {"type": "json_schema", "json_schema": {"name": "P", "strict": True, "schema": {"type": "object"}}},
            "can't be strict",
        ),
    ],
)
def test_a_form_that_says_nothing_is_refused_by_name(service: Service, form: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        chat(service).invoke("q", response_format=form)
    with pytest.raises(ConfigurationError, match=words):
        llm(service).chat([ChatMessage(content="q")], response_format=form)
    assert service.bodies == []


def test_function_tools_are_described_alike(service: Service) -> None:
    def build(part: Part, times: int = 1) -> str:
        """Build it."""
        return "built"

    build.__annotations__ = {"part": Part, "times": int, "return": str}

    chat(service).bind_tools([langchain_tool(build)]).invoke("q")
    [ours] = service.bodies[-1]["tools"]
    llm(service).chat_with_tools([FunctionTool.from_defaults(build, description="Build it.")], user_msg="q")
    [theirs] = service.bodies[-1]["tools"]
    assert ours["function"]["parameters"] == theirs["function"]["parameters"]
    assert ours["function"]["parameters"]["$defs"]["Part"]["properties"]["parts"]["items"] == {"$ref": "#/$defs/Part"}


def test_a_name_that_the_service_refuses(service: Service) -> None:
    with pytest.raises(ConfigurationError, match=r"'files\.read'"):
        chat(service).bind_tools([{"name": "files.read", "parameters": {"type": "object", "properties": {}}}])
    with pytest.raises(ConfigurationError, match=r"'files\.read'"):
        llm(service).chat_with_tools(
            [FunctionTool.from_defaults(lambda: "x", name="files.read", description="d")], user_msg="q"
        )
    assert service.bodies == []


# blocks -------------------------------------------------------------------------------------------------------------


def test_pictures_of_several_results_follow_all_of_them(service: Service) -> None:
    calls = ["call00001", "call00002"]
    asked = AIMessage("", tool_calls=[{"name": "shot", "args": {}, "id": call} for call in calls])
    block = {"type": "image", "base64": PNG, "mime_type": "image/png"}
    results = [ToolMessage([{"type": "text", "text": "taken"}, block], tool_call_id=call) for call in calls]
    chat(service).invoke([HumanMessage("look"), asked, *results])
    langchain = service.bodies[-1]["inputs"]
    blocks = [TextBlock(text="taken"), ImageBlock(image=PNG, image_mimetype="image/png")]
    shots = [{"id": c, "type": "function", "function": {"name": "shot", "arguments": "{}"}} for c in calls]
    history = [
        ChatMessage(content="look"),
        ChatMessage(role="assistant", additional_kwargs={"tool_calls": shots}),
        *(ChatMessage(role="tool", blocks=blocks, additional_kwargs={"tool_call_id": call}) for call in calls),
    ]
    llm(service).chat(history)
    for inputs in (langchain, service.bodies[-1]["inputs"]):
        kinds = [entry["type"] for entry in inputs if entry["type"] != "function.call"]
        assert kinds == ["message.input", "function.result", "function.result", "message.input"]
        assert [chunk["type"] for chunk in inputs[-1]["content"]] == ["text", "image_url", "text", "image_url"]
        assert PICTURE not in str([entry for entry in inputs if entry["type"] == "function.result"])


DIALECTS: dict[str, Any] = {
    "v1": {"type": "file", "base64": base64.b64encode(b"A text.").decode(), "mime_type": "text/plain"},
    "v0": {
        "type": "file",
        "source_type": "base64",
        "data": base64.b64encode(b"A text.").decode(),
        "mime_type": "text/plain",
    },
    "OpenAI": {
        "type": "file",
        "file": {"file_data": "data:text/plain;base64," + base64.b64encode(b"A text.").decode()},
    },
    "OpenAI's newer": {
        "type": "input_file",
        "file_data": "data:text/plain;base64," + base64.b64encode(b"A text.").decode(),
    },
    "Anthropic": {
        "type": "document",
        "source": {"type": "base64", "media_type": "text/plain", "data": base64.b64encode(b"A text.").decode()},
    },
    "Anthropic text": {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "A text."}},
    "Anthropic content": {"type": "document", "source": {"type": "content", "content": "A text."}},
    "text-plain": {"type": "text-plain", "text": "A text.", "mime_type": "text/plain"},
}


@pytest.mark.parametrize("block", DIALECTS.values(), ids=DIALECTS.keys())
def test_a_text_document_of_every_dialect(service: Service, block: dict[str, Any]) -> None:
    chat(service).invoke([HumanMessage([{"type": "text", "text": "Read."}, block])])
    assert service.bodies[-1]["inputs"][0]["content"] == "Read.\nA text."


def test_a_text_document_of_llama_index(service: Service) -> None:
    for block in (DocumentBlock(data=b"A text."), DocumentBlock(data=b"A text.", document_mimetype="text/plain")):
        llm(service).chat([ChatMessage(blocks=[TextBlock(text="Read."), block])])
        assert service.bodies[-1]["inputs"][0]["content"] == "Read.\nA text."


def test_system_messages_are_text_only(service: Service) -> None:
    with pytest.raises(ConfigurationError, match="system message is text only"):
        chat(service).invoke(
            [SystemMessage([{"type": "image", "base64": PICTURE, "mime_type": "image/png"}]), HumanMessage("q")]
        )
    with pytest.raises(ConfigurationError, match="system message is text only"):
        llm(service).chat([ChatMessage(role="system", blocks=[ImageBlock(image=PNG)]), ChatMessage(content="q")])
    assert service.bodies == []


def test_thoughts_in_a_question_are_named(service: Service) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        chat(service).invoke([HumanMessage([{"type": "text", "text": "q"}, {"type": "thinking", "thinking": "hm"}])])
    assert any("thinking" in str(one.message) for one in seen)


@pytest.mark.parametrize(
    ("block", "named"),
    [
        ({"type": "audio", "base64": PICTURE, "mime_type": "audio/wav"}, "audio"),
        ({"type": "image_url", "image_url": "https://example.org/a.png"}, "image"),
        ({"type": "thinking", "thinking": "hmm"}, "thinking"),
        ({"type": "media", "mime_type": "image/png", "data": PICTURE}, "media"),
        ({"type": "wonder", "x": 1}, "wonder"),
    ],
)
def test_what_another_models_answer_holds_beside_text_is_named(service: Service, block: Any, named: str) -> None:
    history = [HumanMessage("q"), AIMessage([{"type": "text", "text": "Look."}, block]), HumanMessage("r")]
    with pytest.warns(UserWarning, match=named):
        chat(service).invoke(history)
    assert "Look." in str(service.bodies[0]["inputs"])


@pytest.mark.parametrize("block", [{"type": "output_text", "text": "No."}, {"type": "refusal", "refusal": "No."}])
def test_words_of_another_models_answer_go_out_as_words(service: Service, block: Any) -> None:
    chat(service).invoke([HumanMessage("q"), AIMessage([block]), HumanMessage("r")])
    assert [entry["content"] for entry in service.bodies[0]["inputs"]] == ["q", "No.", "r"]


def test_a_picture_in_geminis_form_is_a_picture(service: Service) -> None:
    media = {"type": "media", "mime_type": "image/png", "data": PICTURE}
    asked = AIMessage("", tool_calls=[{"name": "shot", "args": {}, "id": "aBcDeF123"}])
    chat(service).invoke([HumanMessage("q"), asked, ToolMessage(["taken", media], tool_call_id="aBcDeF123")])
    result, attached = service.bodies[0]["inputs"][-2:]
    assert PICTURE[:50] not in result["result"]
    assert attached["content"][-1] == {"type": "image_url", "image_url": f"data:image/png;base64,{PICTURE}"}


def test_sound_in_geminis_form_is_refused_by_name(service: Service) -> None:
    with pytest.raises(ConfigurationError, match="audio"):
        chat(service).invoke([HumanMessage([{"type": "media", "mime_type": "audio/wav", "data": PICTURE}])])
    assert service.bodies == []


# Calls whose ids say nothing ------------------------------------------------------------------------------------------


def first() -> str:
    """The first."""
    return "one"


def second() -> str:
    """The second."""
    return "two"


def run_langchain_agent(service: Service, *, stored: bool, streams: bool) -> Any:
    from langchain.agents import create_agent

    agent = create_agent(
        chat(service, store=stored, streaming=streams), [langchain_tool(first), langchain_tool(second)]
    )
    return agent.invoke({"messages": "q"})["messages"][-1].text


def run_llama_index_agent(service: Service, *, stored: bool, streams: bool) -> Any:
    from llama_index.core.agent.workflow import FunctionAgent

    tools = [FunctionTool.from_defaults(first), FunctionTool.from_defaults(second)]

    async def run() -> str:
        return str(await FunctionAgent(tools=tools, llm=llm(service, store=stored), streaming=streams).run("q"))

    return asyncio.run(run())


def _asks_for_one_call() -> bool:
    """Whether LlamaIndex's agent leaves `allow_parallel_tool_calls` at its default, as it does before 0.14.6."""
    from llama_index.core.agent.workflow import FunctionAgent

    return "allow_parallel_tool_calls" not in inspect.getsource(FunctionAgent._get_response)


def run_conversation(service: Service, *, stored: bool, streams: bool) -> Any:
    client = MistralAgents(api_key="k", base_url=service.url, max_retries=0)
    conversation = Conversation(client, model="m", functions={"first": first, "second": second})
    if not streams:
        return conversation.append("q").text
    list(conversation.stream("q"))
    return conversation.last_turn.messages[-1].text


@pytest.mark.parametrize("streams", [False, True], ids=["call", "stream"])
@pytest.mark.parametrize("stored", [False, True], ids=["stateless", "stored"])
@pytest.mark.parametrize("ids", [(None, None), ("", ""), ("call_0", "call_0")], ids=["none", "empty", "the same"])
@pytest.mark.parametrize("run", [run_langchain_agent, run_llama_index_agent, run_conversation])
def test_calls_without_ids_of_their_own_each_get_their_result(service, run, ids, stored, streams):
    if run is run_llama_index_agent and not streams and _asks_for_one_call():
        pytest.skip("this version of the agent asks for one call at a time where it does not stream")
    service.calls((ids[0], "first"), (ids[1], "second"))
    assert run(service, stored=stored, streams=streams) == "ok"
    sent = service.bodies[-1]["inputs"]
    results = {e["tool_call_id"]: e["result"] for e in sent if e["type"] == "function.result"}
    calls = {e["tool_call_id"]: e["name"] for e in sent if e["type"] == "function.call"}
    assert sorted(results.values()) == ["one", "two"]  # an agent that runs both at once gives them as they come
    kept = stored or run is run_conversation
    assert kept or {calls[key]: result for key, result in results.items()} == {"first": "one", "second": "two"}
    assert all(results)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "content": [{"type": "text", "text": "elsewhere"}]},
        {"type": "document", "source": {"type": "content", "content": 5}},
        {"type": "document", "source": {"type": "content", "content": None}},
        {"type": "document", "source": {"type": "content", "content": [["a"]]}},
        {"type": "file", "base64": "eA==", "mime_type": "audio/mpeg", "metadata": "none of ours"},
        {"type": "image", "url": 5},
    ],
)
def test_a_misshapen_block_is_refused_and_not_dropped(block: dict[str, Any]) -> None:
    """A message that would arrive without its words, or a bare `AttributeError`, helps nobody."""
    with pytest.raises(ConfigurationError):
        human_content([{"type": "text", "text": "Look."}, block])


@pytest.mark.parametrize("kind", ["audio_url", "video_url", "input_video"])
def test_a_film_in_a_result_is_not_read_as_its_base64(kind: str) -> None:
    with pytest.warns(UserWarning, match=kind):
        result = result_content([{"type": kind, kind: {"url": "data:video/mp4;base64,AAAA"}}])
    assert "AAAA" not in result.text


@pytest.mark.parametrize("way", ["append", "aappend", "stream", "astream"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_picture_that_a_function_of_a_conversation_gives_follows_the_results(
    service: Service, way: str, nested: bool
) -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}
    functions = {"shot": lambda: {"page": 1, "shot": picture} if nested else picture, "plain": lambda: [1, 2]}
    client = MistralAgents(api_key="k", base_url=service.url)
    conversation = Conversation(client, model="m", functions=functions)
    service.calls(("aaaaaaaa1", "shot"), ("aaaaaaaa2", "plain"))
    talk(conversation, way, "look")
    first, second, follows = service.bodies[-1]["inputs"]
    assert (first["tool_call_id"], second["result"]) == ("aaaaaaaa1", "[1, 2]")
    assert "see the message behind" in first["result"]
    assert PICTURE not in first["result"]
    assert follows["content"][1] == {"type": "image_url", "image_url": f"data:image/png;base64,{PICTURE}"}


def talk(conversation: Conversation, way: str, text: str) -> None:
    async def listen() -> None:
        async for _ in conversation.astream(text):
            pass

    if way == "append":
        conversation.append(text)
    elif way == "stream":
        list(conversation.stream(text))
    else:
        asyncio.run(listen() if way == "astream" else conversation.aappend(text))


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "custom", "name": "f", "description": "d"},
        {"name": "f", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}},
        {"title": "f", "type": "object", "properties": {"a": {"type": "integer"}}},
        {"type": "function", "name": "f", "parameters": None},
    ],
)
def test_a_function_as_a_dict_is_one_in_every_dialect(service: Service, tool: dict[str, Any]) -> None:
    chat(service).invoke("q", tools=[tool])
    llm(service).chat([ChatMessage(content="q")], tools=[tool])
    assert service.bodies[0]["tools"] == service.bodies[1]["tools"]
    assert service.bodies[0]["tools"][0]["function"]["name"] == "f"


@pytest.mark.parametrize("nested", [False, True])
def test_a_picture_that_a_tool_of_llama_index_gives_is_a_block(nested: bool) -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}
    shot = FunctionTool.from_defaults(fn=lambda: [{"page": 1, "shot": picture}] if nested else picture, name="shot")
    blocks = output_blocks(shot())
    assert [type(block) for block in blocks] == [TextBlock, ImageBlock][0 if nested else 1 :]
    assert str(blocks[-1].url).endswith(PICTURE)
    assert not [block for block in blocks[:-1] if PICTURE in block.text]
    plain = FunctionTool.from_defaults(fn=lambda: {"a": 1}, name="plain")
    assert output_blocks(plain()) == list(plain().blocks)


def test_a_function_without_a_name_is_refused_as_such(service: Service) -> None:
    with pytest.raises(ConfigurationError, match="tool without a name"):
        chat(service).bind_tools([functools.partial(max, 1)]).invoke("q")
    assert service.bodies == []


@langchain_tool
def pairs(word: str) -> str:
    """Find pairs."""
    return word


@pytest.mark.parametrize(
    "tools", [5, "web_search", {"type": "web_search"}, pairs], ids=["number", "word", "dict", "tool"]
)
def test_tools_that_are_no_list_are_refused_by_name(service: Service, tools: Any) -> None:
    client = MistralAgents(api_key="k", base_url=service.url)
    for ask in (
        lambda: chat(service).invoke("q", tools=tools),
        lambda: llm(service).chat([ChatMessage(content="q")], tools=tools),
        lambda: llm(service, tools=tools),
        lambda: Conversation(client, model="m", tools=tools),
        lambda: client.conversations.start("q", model="m", tools=tools),
        lambda: client.agents.create(model="m", name="a", tools=tools),
        lambda: chat(service).bind_tools(tools),
        lambda: chat(service).with_structured_output({"title": "t", "type": "object"}, tools=tools),
        lambda: llm(service).chat_with_tools(tools, "q"),
        lambda: llm(service).predict_and_call(tools, "q"),
        lambda: MistralWorkflowAgent(llm=llm(service), tools=tools),
    ):
        with pytest.raises(ConfigurationError, match="list of tools"):
            ask()
    assert service.bodies == []


def test_a_conversation_leaves_out_a_message_without_words(service: Service) -> None:
    conversation = Conversation(MistralAgents(api_key="k", base_url=service.url), model="m")
    conversation.append(["", "a"])
    assert service.bodies[-1]["inputs"] == "a"
    with pytest.raises(ConfigurationError, match="says nothing"):
        conversation.append(["a", ""])
    assert len(service.bodies) == 1


def test_a_row_that_a_function_gives_keeps_its_fields() -> None:
    """Rows of a user's data have a type and a text, too."""
    row = {"type": "text", "text": "hi", "page": 3}
    assert json.loads(function_result("c", row)["result"]) == row
    assert json.loads(function_result("c", [row])["result"]) == [row]
    assert json.loads(result_content([row]).text) == row
    assert result_content([{"type": "text", "text": "hi", "annotations": None, "id": "b1"}]).text == "hi"


def test_the_refusal_of_a_long_text_among_the_tools_is_short(service: Service) -> None:
    with pytest.raises(ConfigurationError) as caught:
        chat(service).bind_tools(["x" * 100_000])
    assert len(str(caught.value)) < 300


def test_a_search_that_found_nothing_says_so() -> None:
    """An empty list is no list of blocks that says nothing."""
    assert function_result("c", [])["result"] == "[]"
    assert result_content([]).text == "[]"
    assert [block.text for block in output_blocks(FunctionTool.from_defaults(fn=list, name="search")())] == ["[]"]


def test_an_empty_text_beside_a_picture_is_not_sent(service: Service) -> None:
    url = f"data:image/png;base64,{PICTURE}"
    chat(service).invoke([HumanMessage([{"type": "text", "text": ""}, {"type": "image_url", "image_url": url}])])
    llm(service).chat([ChatMessage(blocks=[TextBlock(text=""), ImageBlock(url=url)])])
    for body in service.bodies:
        assert [chunk["type"] for chunk in body["inputs"][0]["content"]] == ["image_url"]


def test_tools_that_are_bound_once_are_offered_in_every_call(service: Service) -> None:
    bound = chat(service).bind(tools=(tool for tool in [WEATHER]))
    bound.invoke("a")
    bound.invoke("b")
    assert [body["tools"] for body in service.bodies] == [[WEATHER], [WEATHER]]


TOOL_ROADS = {
    "connectors of LangChain": lambda service, tool: chat(service, connectors=[tool]),
    "bind_tools": lambda service, tool: chat(service).bind_tools([tool]),
    "a call of LangChain": lambda service, tool: chat(service).invoke("q", tools=[tool]),
    "tools of LlamaIndex": lambda service, tool: llm(service, tools=[tool]),
    "chat_with_tools": lambda service, tool: llm(service).chat_with_tools([tool], "q"),
    "the foundation": lambda service, tool: MistralAgents(api_key="k", base_url=service.url).conversations.start(
        "q", model="m", tools=[tool]
    ),
}


@pytest.mark.parametrize("tool", ["web_search", 5, None, ["web_search"]], ids=repr)
@pytest.mark.parametrize("give", TOOL_ROADS.values(), ids=TOOL_ROADS.keys())
def test_what_is_no_tool_is_refused_as_one_and_the_name_of_a_hosted_one_is_told_its_dict(
    service: Service, give: Any, tool: Any
) -> None:
    with pytest.raises(ValueError, match="tools") as caught:
        give(service, tool)
    told = '{"type": "web_search"}' if tool == "web_search" else f"not {type(tool).__name__}"
    assert told in str(caught.value)
    assert "schema" not in str(caught.value)
    assert service.bodies == []
