"""Writes the table of spans into `docs/operations.md`: `python -m scripts.span_table`; `--check` only compares.

Each row is a turn of a wing, answered by prepared replies inside the HTTP library, and what an in-memory exporter got.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mistral_agents import MistralAgents
from mistral_agents._http import sdk as sdk_layer
from mistral_agents.errors import MistralAgentsError

PAGE = Path(__file__).parents[1] / "docs" / "operations.md"
MARKS = ("<!-- spans: written by python -m scripts.span_table -->\n", "<!-- end of spans -->\n")
WAYS = ("call", "stream", "async call", "async stream")
OUTCOMES = ("success", "404", "429", "cut stream")
_USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
_MESSAGE = {"type": "message.output", "id": "msg_1", "role": "assistant", "content": "hi"}
_REPLY = {"object": "conversation.response", "conversation_id": "conv_1", "outputs": [_MESSAGE], "usage": _USAGE}
_EVENTS: list[dict[str, Any]] = [
    {"type": "conversation.response.started", "conversation_id": "conv_1", "created_at": "2026-01-01T00:00:00Z"},
    {
        "type": "message.output.delta",
        "id": "msg_1",
        "output_index": 0,
        "content_index": 0,
        "role": "assistant",
        "content": "hi",
    },
    {"type": "conversation.response.done", "usage": _USAGE},
]


def _answer(outcome: str, request: Any) -> Any:
    response = sdk_layer.http().Response
    if outcome.isdigit():
        return response(int(outcome), json={"object": "error", "message": "no", "code": 1000})
    if not json.loads(request.content).get("stream"):
        return response(200, json=_REPLY)
    events = _EVENTS if outcome == "success" else _EVENTS[:-1]
    text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return response(200, headers={"content-type": "text/event-stream"}, content=text.encode())


def _make_client(outcome: str) -> MistralAgents:
    library = sdk_layer.http()

    async def answer(request: Any) -> Any:
        return _answer(outcome, request)

    return MistralAgents(
        api_key="k",
        base_url="https://service.test",
        max_retries=0,
        http_client=library.Client(transport=library.MockTransport(lambda request: _answer(outcome, request))),
        async_http_client=library.AsyncClient(transport=library.MockTransport(answer)),
    )


def _ways_of_langchain(client: MistralAgents) -> tuple[Callable[[], Any], ...]:
    from langchain_mistral_agents import ChatMistralAgent

    model = ChatMistralAgent(model="m", client=client)

    async def stream() -> Any:
        return [part async for part in model.astream("q")]

    return lambda: model.invoke("q"), lambda: list(model.stream("q")), lambda: model.ainvoke("q"), stream


def _ways_of_llama_index(client: MistralAgents) -> tuple[Callable[[], Any], ...]:
    from llama_index_mistral_agents import MistralAgentLLM

    model = MistralAgentLLM("m", client=client)

    async def stream() -> Any:
        return [part async for part in await model.astream_complete("q")]

    return lambda: model.complete("q"), lambda: list(model.stream_complete("q")), lambda: model.acomplete("q"), stream


WINGS = {"LangChain": _ways_of_langchain, "LlamaIndex": _ways_of_llama_index}


def take_span(wing: str, way: str, outcome: str) -> Any:
    """The span of a turn; those of its entries stand below it."""
    from mistralai.extra.observability import set_tracer_provider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    client = _make_client(outcome)
    ask = WINGS[wing](client)[WAYS.index(way)]

    async def run() -> None:
        set_tracer_provider(client.async_sdk, provider)
        await ask()

    with contextlib.suppress(MistralAgentsError):
        if way.startswith("async"):
            asyncio.run(run())
        else:
            set_tracer_provider(client.sdk, provider)
            ask()
    gc.collect()
    (span,) = [one for one in exporter.get_finished_spans() if one.parent is None]
    return span


def _row(wing: str, way: str, outcome: str) -> str:
    span = take_span(wing, way, outcome)
    facts = span.attributes
    tokens = [facts.get(f"gen_ai.usage.{kind}_tokens") for kind in ("input", "output")]
    shown = f"{tokens[0]}, {tokens[1]}" if None not in tokens else ""
    cells = (wing, way, outcome, f"`{span.name}`", span.status.status_code.name, facts.get("error.type", ""))
    return "| " + " | ".join((*cells, facts.get("gen_ai.conversation.id", ""), shown)) + " |"


def render_table() -> str:
    """The table."""
    head = "| wing | way | outcome | span | status | `error.type` | conversation | tokens in, out |"
    cases = [
        (wing, way, outcome)
        for wing, way, outcome in itertools.product(WINGS, WAYS, OUTCOMES)
        if outcome != "cut stream" or way.endswith("stream")
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return "\n".join([head, "|---" * 8 + "|", *(_row(*case) for case in cases)]) + "\n"


def write_into(page: str) -> str:
    """The page with the table as it is now."""
    before, rest = page.split(MARKS[0])
    return before + MARKS[0] + "\n" + render_table() + "\n" + MARKS[1] + rest.split(MARKS[1])[1]


def main() -> int:
    """Write the table, or say whether it is current."""
    page = PAGE.read_text(encoding="utf-8")
    fresh = write_into(page)
    if "--check" in sys.argv:
        return 0 if fresh == page else 1
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
