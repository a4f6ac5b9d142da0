"""What a query costs in each mode: requests, tokens and time, against a stand-in in this process."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

from benchmarks._table import Missing, Section

QUERIES = 20
TEXT = "Pump {n} has an inlet valve. Close it before service. The filter of pump {n} is cleaned every month. "


def section() -> Section:
    """Measure the modes on a library of 50 documents.

    Raises:
        Missing: LlamaIndex is not installed.
    """
    try:
        from llama_index.core.embeddings import MockEmbedding
    except ImportError as error:
        raise Missing("llama-index-core is not installed.") from error
    served = _Served()
    try:
        library_id = _filled(served)
        model = MockEmbedding(embed_dim=256)
        modes: dict[str, dict[str, Any]] = {
            "local, bm25": {},
            "local, vector": {"strategy": "vector", "embed_model": model},
            "local, hybrid": {"strategy": "hybrid", "embed_model": model},
            "local, lazy (10 texts)": {"lazy_top_documents": 10},
            "conversation": {"mode": "conversation", "on_no_passages": "empty"},
            "index, hybrid": {"mode": "index", "index_name": "bench", "strategy": "hybrid", "embed_model": model},
        }
        rows = [_measured(name, served, library_id, options) for name, options in modes.items()]
    finally:
        served.stop()
    notes = [
        "First: requests until the first answer (listing, texts, index). Then: medians over later queries.",
        "The stand-in's planner counts the tokens of mode conversation; a real model's turn costs more, and seconds.",
    ]
    columns = ["mode", "first: requests", "then: requests", "then: tokens", "then: ms"]
    return Section("Cost of a query", columns, rows, notes)


class _Served:
    """The stand-in on a free port, counting requests."""

    def __init__(self) -> None:
        import uvicorn

        from mistral_agents_server.app import create_app
        from mistral_agents_server.settings import Settings

        self._app = create_app(Settings())
        self.requests = 0
        self._server = uvicorn.Server(uvicorn.Config(self._count, port=0, log_level="error", interface="asgi3"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.base_url = f"http://127.0.0.1:{port}"

    async def _count(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests += scope["type"] == "http"
        await self._app(scope, receive, send)

    def stop(self) -> None:
        """Stop the server; it kept nothing."""
        self._server.should_exit = True
        self._thread.join(10)


def _filled(served: _Served) -> str:
    from llama_index_mistral_agents import MistralLibraryIndex

    index = MistralLibraryIndex.create("bench", api_key="bench", base_url=served.base_url)
    for number in range(50):
        index.upload((f"pump {number}.txt", (TEXT.format(n=number) * 10).encode()))
    index.wait_until_ready(raise_on_error=True)
    return index.library_id


def _measured(name: str, served: _Served, library_id: str, options: dict[str, Any]) -> list[str]:
    from llama_index_mistral_agents import MistralLibraryRetriever

    retriever = MistralLibraryRetriever(library_id, api_key="bench", base_url=served.base_url, **options)
    first = _counted(served, lambda: retriever.retrieve("inlet valve of pump 7"))
    requests, tokens, spent = [], [], []
    for number in range(QUERIES):
        began = time.perf_counter()
        before = served.requests
        report = retriever.retrieve_with_report(f"filter of pump {number}")[1]
        spent.append(1000 * (time.perf_counter() - began))
        requests.append(served.requests - before)
        tokens.append(report.usage.get("total_tokens", 0))
    retriever.close()
    middle = statistics.median
    return [name, str(first), f"{middle(requests):g}", f"{middle(tokens):g}", f"{middle(spent):.1f}"]


def _counted(served: _Served, action: Callable[[], Any]) -> int:
    before = served.requests
    action()
    return served.requests - before
