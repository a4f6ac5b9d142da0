"""Packages that use the LlamaIndex wing."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from mistral_agents_server.testing.scripted import call, say
from scripts.consumers.lab import MODEL, PASSAGE, WEATHER_SERVER, Consumer, Lab, get_weather
from scripts.consumers.langchain_jobs import check_spans, ragas_script


def _llm(lab: Lab, **options: Any) -> Any:
    """A model that says what the script says."""
    from llama_index_mistral_agents import MistralAgentLLM

    return MistralAgentLLM(MODEL, client=lab.told, **options)


def run_evaluators(lab: Lab) -> None:
    """Faithfulness, relevancy and correctness of an answer."""
    from llama_index.core.evaluation import CorrectnessEvaluator, FaithfulnessEvaluator, RelevancyEvaluator

    llm = _llm(lab)
    given = {"query": "When was it lit?", "response": "In 1887.", "contexts": [PASSAGE]}
    lab.say(say("YES"), say("YES"), say("4.5\nIt says the year."))
    assert FaithfulnessEvaluator(llm=llm).evaluate(**given).passing
    assert asyncio.run(RelevancyEvaluator(llm=llm).aevaluate(**given)).passing
    result = CorrectnessEvaluator(llm=llm).evaluate(query=given["query"], response="1887", reference="In 1887.")
    assert (result.score, result.feedback) == (4.5, "It says the year.")


def run_ragas(lab: Lab) -> None:
    """Faithfulness of an answer, judged by the model."""
    from ragas.dataset_schema import SingleTurnSample
    from ragas.llms import LlamaIndexLLMWrapper
    from ragas.metrics import Faithfulness

    lab.say(*ragas_script())
    metric = Faithfulness(llm=LlamaIndexLLMWrapper(_llm(lab)))
    sample = SingleTurnSample(user_input="When?", response="It was lit in 1887.", retrieved_contexts=[PASSAGE])
    assert asyncio.run(metric.single_turn_ascore(sample)) == 1.0


def run_server(lab: Lab) -> None:
    """A workflow server runs the agent over HTTP."""
    import httpx
    from llama_agents.server import WorkflowServer

    from llama_index_mistral_agents import MistralWorkflowAgent

    lab.say(call("get_weather", {"city": "Rome"}), say("Sunny."))
    agent = MistralWorkflowAgent(llm=_llm(lab), tools=[get_weather])
    server = WorkflowServer()
    server.add_workflow("agent", agent)
    start = {"user_msg": "Rome?", "chat_history": [], "max_iterations": None}  # LlamaIndex's event wants all of them

    async def ask() -> Any:
        async with server.contextmanager():
            transport = httpx.ASGITransport(app=server.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                return await http.post("/workflows/agent/run", json={"start_event": start})

    reply = asyncio.run(ask())
    assert reply.status_code == 200, reply.text
    assert "Sunny." in reply.text, reply.text


def run_mcp(lab: Lab) -> None:
    """An agent calls a tool of an MCP server."""
    from llama_index.tools.mcp import BasicMCPClient, McpToolSpec

    from llama_index_mistral_agents import MistralWorkflowAgent

    script = lab.folder / "weather_server.py"
    script.write_text(WEATHER_SERVER)
    lab.say(call("get_weather", {"city": "Rome"}), say("Sunny."))

    async def ask() -> str:
        tools = await McpToolSpec(BasicMCPClient(sys.executable, args=[str(script)])).to_tool_list_async()
        return str(await MistralWorkflowAgent(llm=_llm(lab), tools=tools).run("Rome?"))

    assert asyncio.run(ask()) == "Sunny."
    assert "It is sunny in Rome." in str(lab.turns[-1]["inputs"])


def _search(lab: Lab, store: Any) -> None:
    """A library in a vector store: found, filtered, and a document that goes leaves it."""

    from llama_index_mistral_agents import MistralLibraryRetriever

    library = lab.client.libraries.create("lighthouses").id
    for name, text in (("kermor.txt", PASSAGE), ("boiler.txt", "The boiler valve opens at 3 bar.")):
        lab.client.libraries.upload(library, text.encode(), name=name, wait=True)
    options: Any = {"client": lab.client, "embed_model": "mistral-embed", "vector_store": store}
    retriever = MistralLibraryRetriever(library_ids=[library], strategy="vector", similarity_top_k=1, **options)
    assert retriever.retrieve("When was Kermor lit?")[0].metadata["file_name"] == "kermor.txt"


def run_qdrant(lab: Lab) -> None:
    """A library's passages in Qdrant."""
    from llama_index.vector_stores.qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient

    _search(lab, QdrantVectorStore("library", client=QdrantClient(path=str(lab.folder / "qdrant"))))


def run_chroma(lab: Lab) -> None:
    """A library's passages in Chroma."""
    import chromadb
    from llama_index.vector_stores.chroma import ChromaVectorStore

    client = chromadb.PersistentClient(str(lab.folder / "chroma"))
    _search(lab, ChromaVectorStore(chroma_collection=client.get_or_create_collection("library")))


def run_openinference(lab: Lab) -> None:
    """Spans have the model, messages, tokens and the tool's run."""
    from llama_index.core.agent.workflow import FunctionAgent
    from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    instrumentor = LlamaIndexInstrumentor()
    instrumentor.instrument(tracer_provider=provider)

    async def ask() -> str:
        return str(await FunctionAgent(llm=_llm(lab), tools=[get_weather]).run("Rome?"))

    try:
        lab.say(call("get_weather", {"city": "Rome"}), say("Sunny."))
        assert asyncio.run(ask()) == "Sunny."
    finally:
        instrumentor.uninstrument()
    check_spans(spans.get_finished_spans())


_WING = "LlamaIndex"
CONSUMERS = (
    Consumer(
        "evaluators", "llama-index-core", _WING, "faithfulness, relevancy and correctness evaluators", run_evaluators
    ),
    Consumer("ragas-llama-index", "ragas", _WING, "judges faithfulness", run_ragas),
    Consumer("workflow-server", "llama-agents-server", _WING, "runs the workflow agent over HTTP", run_server),
    Consumer("mcp-llama-index", "llama-index-tools-mcp", _WING, "an agent calls a tool of an MCP server", run_mcp),
    Consumer("qdrant", "llama-index-vector-stores-qdrant", _WING, "search over a library in Qdrant", run_qdrant),
    Consumer("chroma", "llama-index-vector-stores-chroma", _WING, "search over a library in Chroma", run_chroma),
    Consumer(
        "openinference-llama-index",
        "openinference-instrumentation-llama-index",
        _WING,
        "spans of model, tokens and tools",
        run_openinference,
    ),
)
