"""Packages that use the LangChain wing."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from pydantic import BaseModel

from mistral_agents_server.testing.scripted import call, say
from scripts.consumers.lab import MODEL, PASSAGE, WEATHER_SERVER, Consumer, Lab, get_weather


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def _model(lab: Lab, **options: Any) -> Any:
    """A chat model that says what the script says."""
    from langchain_mistral_agents import ChatMistralAgent

    return ChatMistralAgent(model=MODEL, client=lab.told, **options)


def _plain(lab: Lab, **options: Any) -> Any:
    """A chat model on the stand-in's own planner."""
    from langchain_mistral_agents import ChatMistralAgent

    return ChatMistralAgent(model=MODEL, client=lab.client, **options)


def _library(lab: Lab) -> str:
    library = lab.client.libraries.create("lighthouses")
    lab.client.libraries.upload(library.id, PASSAGE.encode(), name="kermor.txt", wait=True)
    return str(library.id)


def run_deepagents(lab: Lab) -> None:
    """A deep agent lets a subagent work and writes a file."""
    from deepagents import create_deep_agent

    lab.say(
        call("task", {"description": "Weather in Rome?", "subagent_type": "forecaster"}),
        call("get_weather", {"city": "Rome"}),
        say("Sunny in Rome."),
        call("write_file", {"file_path": "/report.md", "content": "Sunny."}),
        say("The report is written."),
    )
    forecaster = {"name": "forecaster", "description": "Weather.", "system_prompt": "Look.", "tools": [get_weather]}
    agent = create_deep_agent(model=_model(lab), system_prompt="Be brief.", subagents=[forecaster])
    state = agent.invoke({"messages": [("user", "Report on Rome.")]})
    assert state["messages"][-1].text == "The report is written."
    assert "Sunny." in str(state["files"]["/report.md"])
    assert any("Sunny in Rome." in str(m.content) for m in state["messages"] if m.type == "tool")


def run_supervisor(lab: Lab) -> None:
    """A supervisor hands over to an agent with a function and gets the word back."""
    from langchain.agents import create_agent
    from langgraph_supervisor import create_supervisor

    lab.say(
        call("transfer_to_forecaster", {}),
        call("get_weather", {"city": "Rome"}),
        say("Sunny in Rome."),
        say("It will be sunny."),
    )
    forecaster = create_agent(_model(lab), [get_weather], name="forecaster")
    graph = create_supervisor([forecaster], model=_model(lab), prompt="Delegate.").compile()
    messages = graph.invoke({"messages": [("user", "Rome?")]})["messages"]
    assert messages[-1].text == "It will be sunny."
    assert any(m.type == "ai" and m.text == "Sunny in Rome." for m in messages)


def run_swarm(lab: Lab) -> None:
    """Two agents hand over; the next question of the thread goes to the one that spoke last."""
    from langchain.agents import create_agent
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph_swarm import create_handoff_tool, create_swarm

    desk = create_agent(_model(lab), [create_handoff_tool(agent_name="bob")], name="desk")
    bob = create_agent(_model(lab), [create_handoff_tool(agent_name="desk")], name="bob", system_prompt="You are Bob.")
    graph = create_swarm([desk, bob], default_active_agent="desk").compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    lab.say(call("transfer_to_bob", {}), say("Bob here."), say("Still Bob."))
    assert graph.invoke({"messages": [("user", "Bob, please.")]}, config)["messages"][-1].text == "Bob here."
    state = graph.invoke({"messages": [("user", "Who is it?")]}, config)
    assert (state["messages"][-1].text, state["active_agent"]) == ("Still Bob.", "bob")
    assert lab.turns[-1]["instructions"] == "You are Bob."


def run_checkpoint(lab: Lab) -> None:
    """A thread in SQLite, opened again, goes on in the stored conversation with only what is new."""
    from langchain.agents import create_agent
    from langgraph.checkpoint.sqlite import SqliteSaver

    config: Any = {"configurable": {"thread_id": "1"}}
    lab.say(call("get_weather", {"city": "Rome"}), say("Sunny."), say("Rome."))
    for question, answer in (("Weather in Rome?", "Sunny."), ("Which city?", "Rome.")):
        with SqliteSaver.from_conn_string(str(lab.folder / "threads.sqlite")) as saver:
            agent = create_agent(_model(lab, store=True), [get_weather], checkpointer=saver)
            assert agent.invoke({"messages": [("user", question)]}, config)["messages"][-1].text == answer
    assert [entry["content"] for entry in lab.turns[-1]["inputs"]] == ["Which city?"]


def run_trustcall(lab: Lab) -> None:
    """A form is filled, and patched when it did not validate."""
    from trustcall import create_extractor

    lab.say(call("Person", {"name": "Ada", "age": 36}))
    result = create_extractor(_model(lab), tools=[Person], tool_choice="Person").invoke("Ada is 36.")
    assert result["responses"] == [Person(name="Ada", age=36)]
    lab.say(
        call(
            "PatchDoc",
            {"json_doc_id": "1", "planned_edits": "age", "patches": [{"op": "replace", "path": "/age", "value": 37}]},
        )
    )
    extractor = create_extractor(_model(lab), tools=[Person], tool_choice="Person")
    existing = [("1", "Person", {"name": "Ada", "age": 36})]
    result = extractor.invoke({"messages": [("user", "Now she is 37.")], "existing": existing})
    assert [one.model_dump() for one in result["responses"]] == [{"name": "Ada", "age": 37}]


def run_langmem(lab: Lab) -> None:
    """What a user said becomes a memory."""
    from langmem import create_memory_manager

    lab.say(call("Memory", {"content": "Ada likes Python."}))
    manager = create_memory_manager(_model(lab), enable_inserts=True, enable_deletes=False)
    [memory] = manager.invoke({"messages": [{"role": "user", "content": "I am Ada, I like Python."}]})
    assert memory.content.content == "Ada likes Python."


def run_ragas(lab: Lab) -> None:
    """Faithfulness of an answer, judged by the model."""
    from ragas.dataset_schema import SingleTurnSample
    from ragas.llms import LangchainLLMWrapper
    from ragas.metrics import Faithfulness

    lab.say(*ragas_script())
    metric = Faithfulness(llm=LangchainLLMWrapper(_model(lab)))
    sample = SingleTurnSample(user_input="When?", response="It was lit in 1887.", retrieved_contexts=[PASSAGE])
    assert asyncio.run(metric.single_turn_ascore(sample)) == 1.0


def ragas_script() -> list[Any]:
    """What a judge says: the statements of the answer, then whether each follows."""
    statement = "Kermor was lit in 1887."
    verdict = {"statement": statement, "reason": "It says so.", "verdict": 1}
    return [say(json.dumps({"statements": [statement]})), say(json.dumps({"statements": [verdict]}))]


def run_deepeval(lab: Lab) -> None:
    """Relevancy of an answer, judged by a chat model behind deepeval's base class, with schemas."""
    from deepeval.metrics import AnswerRelevancyMetric
    from deepeval.models import DeepEvalBaseLLM
    from deepeval.test_case import LLMTestCase

    chat = _model(lab)

    class Judge(DeepEvalBaseLLM):
        def load_model(self) -> Any:
            return chat

        def generate(self, prompt: str, schema: Any = None) -> Any:
            return chat.with_structured_output(schema).invoke(prompt) if schema else chat.invoke(prompt).content

        async def a_generate(self, prompt: str, schema: Any = None) -> Any:
            return self.generate(prompt, schema)

        def get_model_name(self) -> str:
            return MODEL

    lab.say(
        say('{"statements": ["It was lit in 1887."]}'),
        say('{"verdicts": [{"verdict": "yes", "reason": "It answers."}]}'),
        say('{"reason": "It answers."}'),
    )
    metric = AnswerRelevancyMetric(model=Judge(), async_mode=False)
    assert metric.measure(LLMTestCase(input="When?", actual_output="In 1887."), _show_indicator=False) == 1.0


def run_openevals(lab: Lab) -> None:
    """A judge with a score and a comment."""
    from openevals.llm import create_llm_as_judge
    from openevals.prompts import CONCISENESS_PROMPT

    lab.say(say('{"reasoning": "Short.", "score": true}'))
    judge = create_llm_as_judge(prompt=CONCISENESS_PROMPT, judge=_model(lab), feedback_key="conciseness")
    result = judge(inputs="When?", outputs="In 1887.")
    assert (result["key"], result["score"], result["comment"]) == ("conciseness", True, "Short.")


def run_mcp(lab: Lab) -> None:
    """An agent calls a tool of an MCP server."""
    from langchain.agents import create_agent
    from langchain_mcp_adapters.client import MultiServerMCPClient

    script = lab.folder / "weather_server.py"
    script.write_text(WEATHER_SERVER)
    servers: Any = {"weather": {"command": sys.executable, "args": [str(script)], "transport": "stdio"}}
    lab.say(call("get_weather", {"city": "Rome"}), say("Sunny."))

    async def ask() -> Any:
        tools = await MultiServerMCPClient(servers).get_tools()
        return await create_agent(_model(lab), tools).ainvoke({"messages": [("user", "Rome?")]})

    messages = asyncio.run(ask())["messages"]
    assert "It is sunny in Rome." in str(messages[-2].content)
    assert messages[-1].text == "Sunny."


def run_langfuse(lab: Lab) -> None:
    """A trace has the model, its tokens, and the tool's run."""
    from langchain.agents import create_agent
    from langfuse import Langfuse
    from langfuse.langchain import CallbackHandler
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans = InMemorySpanExporter()
    tracer = Langfuse(public_key="pk", secret_key="sk", base_url="http://127.0.0.1:9", span_exporter=spans)
    lab.say(call("get_weather", {"city": "Rome"}), say("Sunny."))
    agent = create_agent(_model(lab, temperature=0.5), [get_weather])
    handler = CallbackHandler(public_key="pk")
    agent.invoke({"messages": [("user", "Rome?")]}, {"callbacks": [handler]})
    tracer.flush()
    seen = {
        (s.attributes or {}).get("langfuse.observation.type"): dict(s.attributes or {})
        for s in spans.get_finished_spans()
    }
    assert MODEL in str(seen["generation"]["langfuse.observation.model.name"])
    assert "0.5" in str(seen["generation"]["langfuse.observation.model.parameters"])
    assert json.loads(str(seen["generation"]["langfuse.observation.usage_details"]))["input"] > 0
    assert "Rome" in str(seen["tool"]["langfuse.observation.input"])
    tracer.shutdown()


def run_openinference(lab: Lab) -> None:
    """Spans have the model, messages, tokens and the tool's run."""
    from langchain.agents import create_agent
    from openinference.instrumentation.langchain import LangChainInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    instrumentor = LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        lab.say(call("get_weather", {"city": "Rome"}), say("Sunny."))
        # It takes whatever has "agent" in its name for an agent, so the model gets a name.
        create_agent(_model(lab, name="mistral"), [get_weather]).invoke({"messages": [("user", "Rome?")]})
    finally:
        instrumentor.uninstrument()
    check_spans(spans.get_finished_spans())


def check_spans(spans: Any) -> None:
    """OpenInference's spans tell of the model and of the tool."""
    seen: dict[str, dict[str, Any]] = {}
    for span in spans:
        kind = dict(span.attributes)["openinference.span.kind"]
        if kind in ("LLM", "TOOL"):
            seen[kind] = {**dict(span.attributes), "name": span.name}
    assert seen["LLM"]["llm.model_name"] == MODEL, seen["LLM"]
    assert seen["LLM"]["llm.token_count.total"] > 0
    assert "Sunny." in str(seen["LLM"]["output.value"])
    assert "Rome" in str(seen["TOOL"]["input.value"])


def run_classic(lab: Lab) -> None:
    """Chains with sources over a library, and an executor with a function."""
    from langchain_classic.agents import AgentExecutor, create_tool_calling_agent
    from langchain_classic.chains import ConversationalRetrievalChain, RetrievalQAWithSourcesChain
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.tools import tool

    from langchain_mistral_agents import MistralLibraryRetriever

    retriever = MistralLibraryRetriever(library_ids=[_library(lab)], client=lab.client, k=1)
    lab.always(say("In 1887.\nSOURCES: kermor.txt"))
    sources = RetrievalQAWithSourcesChain.from_chain_type(
        _model(lab), retriever=retriever, return_source_documents=True
    )
    found = sources.invoke({"question": "When was Kermor lit?"})
    assert found["sources"].strip() == "kermor.txt"
    assert found["source_documents"][0].page_content.startswith("The lighthouse")
    lab.always(say("In 1887."))
    chain = ConversationalRetrievalChain.from_llm(_model(lab), retriever, return_source_documents=True)
    said = chain.invoke({"question": "When was it lit?", "chat_history": [("Kermor?", "A lighthouse.")]})
    assert (said["answer"], len(said["source_documents"])) == ("In 1887.", 1)
    prompt = ChatPromptTemplate.from_messages([("user", "{input}"), ("placeholder", "{agent_scratchpad}")])
    tools = [tool(get_weather)]
    lab.say(call("get_weather", {"city": "Rome"}), say("Sunny."))
    executor = AgentExecutor(agent=create_tool_calling_agent(_model(lab), tools, prompt), tools=tools)
    assert executor.invoke({"input": "Rome?"})["output"] == "Sunny."


def run_cache(lab: Lab) -> None:
    """A call and a stream are answered from SQLite the second time, in another model object."""
    from langchain_community.cache import SQLiteCache
    from langchain_core.globals import set_llm_cache

    set_llm_cache(SQLiteCache(database_path=str(lab.folder / "cache.sqlite")))
    try:
        lab.say(call("get_weather", {"city": "Rome"}))
        first = _model(lab).bind_tools([get_weather]).invoke("Rome?")
        again = _model(lab).bind_tools([get_weather]).invoke("Rome?")
    finally:
        set_llm_cache(None)
    assert (again.tool_calls, again.content) == (first.tool_calls, first.content)
    assert len(lab.turns) == 1


_WING = "LangChain"
CONSUMERS = (
    Consumer("deepagents", "deepagents", _WING, "lets a subagent work, writes a file", run_deepagents),
    Consumer(
        "supervisor", "langgraph-supervisor", _WING, "hands over to an agent and gets the word back", run_supervisor
    ),
    Consumer("swarm", "langgraph-swarm", _WING, "hands over; the thread goes on with who spoke last", run_swarm),
    Consumer(
        "checkpoint",
        "langgraph-checkpoint-sqlite",
        _WING,
        "a thread, opened again, sends only what is new",
        run_checkpoint,
    ),
    Consumer("trustcall", "trustcall", _WING, "fills a form, patches one", run_trustcall),
    Consumer("langmem", "langmem", _WING, "makes a memory of what was said", run_langmem),
    Consumer("ragas", "ragas", _WING, "judges faithfulness", run_ragas),
    Consumer("deepeval", "deepeval", _WING, "judges relevancy, with schemas", run_deepeval),
    Consumer("openevals", "openevals", _WING, "a judge with score and comment", run_openevals),
    Consumer("mcp", "langchain-mcp-adapters", _WING, "an agent calls a tool of an MCP server", run_mcp),
    Consumer("langfuse", "langfuse", _WING, "traces model, parameters, tokens and tools", run_langfuse),
    Consumer(
        "openinference",
        "openinference-instrumentation-langchain",
        _WING,
        "spans of a model with a `name`, of tokens and tools",
        run_openinference,
    ),
    Consumer(
        "classic",
        "langchain-classic",
        _WING,
        "chains with sources over a library, an executor with a function",
        run_classic,
    ),
    Consumer("cache", "langchain-community", _WING, "`SQLiteCache` gives the same message again", run_cache),
)
