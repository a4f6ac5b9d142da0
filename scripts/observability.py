"""What LangSmith, Langfuse, Phoenix and MLflow see of turns: `make observability`; `--write` puts it on its page.

Each is given the same turns on the stand-in: an answer with a run of code, the same as a stream, and a refused turn.
LangSmith sends to a server on this machine that keeps what arrives; Langfuse and OpenInference (what Phoenix takes)
export into memory; MLflow writes into SQLite. Nothing leaves this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from llama_index.core.llms import ChatMessage

from langchain_mistral_agents import ChatMistralAgent
from llama_index_mistral_agents import MistralAgentLLM
from mistral_agents import CodeInterpreter
from mistral_agents.errors import MistralAgentsError
from mistral_agents_server.testing import Standin

PAGE = Path(__file__).parents[1] / "docs" / "observability.md"
MARKS = ("<!-- seen: written by `make observability WRITE=1` -->\n", "<!-- end of what was seen -->\n")
QUESTION = "Calculate the mean of 3, 4, 8 and 9."
REFUSAL = {"object": "error", "message": "no such model", "code": 1500}


@dataclass(frozen=True, slots=True)
class Run:
    """A run or span, as a platform got it."""

    name: str
    kind: str
    tokens: str
    failed: bool

    def __str__(self) -> str:
        words = [self.kind, *([f"{self.tokens} tokens"] if self.tokens else []), *(["error"] if self.failed else [])]
        return f"`{self.name}` ({', '.join(words)})"


def run_langchain(standin: Standin, callbacks: list[Any]) -> None:
    """A call with a hosted tool, a stream, and a refused call."""
    config: Any = {"callbacks": callbacks}
    model = ChatMistralAgent(model="m", connectors=[CodeInterpreter()], base_url=standin.base_url, api_key="k")
    model.invoke(QUESTION, config=config)
    list(model.stream(QUESTION, config=config))
    standin.faults.answer(400, REFUSAL)
    with contextlib.suppress(MistralAgentsError):
        model.invoke(QUESTION, config=config)


def run_llama_index(standin: Standin) -> None:
    """The same turns in LlamaIndex."""
    model = MistralAgentLLM(model="m", connectors=[CodeInterpreter()], base_url=standin.base_url, api_key="k")
    model.chat([ChatMessage(QUESTION)])
    list(model.stream_chat([ChatMessage(QUESTION)]))
    standin.faults.answer(400, REFUSAL)
    with contextlib.suppress(MistralAgentsError):
        model.chat([ChatMessage(QUESTION)])


@contextlib.contextmanager
def keep_requests() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A server that takes everything; gives its address and what came: method and body."""
    kept: list[tuple[str, bytes]] = []

    class Keeper(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def _keep(self) -> None:
            kept.append((self.command, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(b"{}")

        def do_POST(self) -> None:
            self._keep()

        def do_PATCH(self) -> None:
            self._keep()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keeper)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def see_langsmith(standin: Standin) -> list[Run]:
    """What LangSmith's client sends of LangChain's turns."""
    from langchain_core.tracers import LangChainTracer
    from langsmith import Client

    with keep_requests() as (address, kept):
        client = Client(api_url=address, api_key="none", auto_batch_tracing=False)
        run_langchain(standin, [LangChainTracer(client=client)])
    ended = [json.loads(body) for method, body in kept if method == "PATCH"]
    return [Run(run["name"], run["run_type"], _tokens_of(run), bool(run.get("error"))) for run in ended]


def _tokens_of(run: dict[str, Any]) -> str:
    generations = (run.get("outputs") or {}).get("generations")
    usage = generations[0][0]["message"]["kwargs"].get("usage_metadata") if generations else None
    return str(usage["total_tokens"]) if usage else ""


def see_langfuse(standin: Standin) -> list[Run]:
    """What Langfuse's handler exports of LangChain's turns."""
    from langfuse import Langfuse
    from langfuse.langchain import CallbackHandler
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    keys = {"public_key": "none", "secret_key": "none", "base_url": "http://127.0.0.1:9"}
    platform = Langfuse(**keys, span_exporter=exporter)
    run_langchain(standin, [CallbackHandler()])
    platform.flush()
    kind, usage = "langfuse.observation.type", "langfuse.observation.usage_details"
    return [
        _read_span(span, kind, lambda seen: json.loads(seen.get(usage, "{}")).get("total", ""))
        for span in exporter.get_finished_spans()
    ]


def see_openinference(standin: Standin) -> list[Run]:
    """What OpenInference's instrumentations, those of Phoenix, export of both wings' turns."""
    from openinference.instrumentation.langchain import LangChainInstrumentor
    from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentors = (LangChainInstrumentor(), LlamaIndexInstrumentor())
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=provider)
    run_langchain(standin, [])
    run_llama_index(standin)
    for instrumentor in instrumentors:
        instrumentor.uninstrument()
    count = "llm.token_count.total"
    spans = exporter.get_finished_spans()
    return [_read_span(span, "openinference.span.kind", lambda seen: seen.get(count, "")) for span in spans]


def _read_span(span: Any, kind: str, tokens: Callable[[Any], Any]) -> Run:
    seen = span.attributes
    return Run(span.name, str(seen[kind]).lower(), str(tokens(seen)), span.status.status_code.name == "ERROR")


def see_mlflow(standin: Standin) -> list[Run]:
    """What MLflow's automatic logging keeps of both wings' turns."""
    import mlflow

    with tempfile.TemporaryDirectory() as folder:
        mlflow.set_tracking_uri(f"sqlite:///{folder}/traces.db")
        mlflow.create_experiment("turns", artifact_location=f"{folder}/artifacts")  # else in the current folder
        mlflow.set_experiment("turns")
        mlflow.langchain.autolog()
        mlflow.llama_index.autolog()
        run_langchain(standin, [])
        run_llama_index(standin)
        mlflow.flush_trace_async_logging()
        traces = reversed(mlflow.search_traces(return_type="list"))
        found = [(trace.info.token_usage, span) for trace in traces for span in trace.data.spans]
    return [
        Run(
            span.name,
            span.span_type.lower(),
            str((usage or {}).get("total_tokens", "")) if span.parent_id is None else "",
            span.status.status_code.name == "ERROR",
        )
        for usage, span in found
    ]


PLATFORMS: dict[str, tuple[str, Callable[[Standin], list[Run]]]] = {
    "LangSmith": ("langsmith", see_langsmith),
    "Langfuse": ("langfuse", see_langfuse),
    "Phoenix": ("openinference-instrumentation-langchain", see_openinference),
    "MLflow": ("mlflow", see_mlflow),
}


def make_row(platform: str) -> str:
    """Run the turns for one platform; a row of the table."""
    package, see = PLATFORMS[platform]
    standin = Standin()
    try:
        seen = see(standin)
    finally:
        standin.stop()
    return f"| {platform} | `{package}` {importlib.metadata.version(package)} | {'<br>'.join(map(str, seen))} |"


def main() -> int:
    """Print the table; with `--write` put it on its page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "LANGSMITH_TRACING": "false"}
    lines = ["| platform | by | what arrived, in order |", "|---|---|---|", *map(make_row, PLATFORMS)]
    print("\n".join(lines))
    if given.write:
        before, rest = PAGE.read_text(encoding="utf-8").split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        PAGE.write_text(f"{before}{MARKS[0]}\n" + "\n".join(lines) + f"\n\n{MARKS[1]}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
