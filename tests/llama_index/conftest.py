from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.retrieval.service import LIBRARY, LibraryService


@pytest.fixture
def service() -> Iterator[LibraryService]:
    running = LibraryService()
    yield running
    running.stop()


@pytest.fixture
def pumps(service: LibraryService) -> LibraryService:
    """Three documents about machines and a garden."""
    service.add("pump manual.txt", "Close the inlet valve before service.\n\nThe filter is cleaned every month.")
    service.add("boiler.txt", "The boiler has a valve too. It needs water.", attributes={"year": 2020, "ok": True})
    service.add("gardening.txt", "Roses want sun. Tulips want patience.", attributes={"year": 2024, "ok": False})
    return service


def search_run(result: Any, arguments: dict[str, Any], function: str = "library_search", number: int = 1) -> list[dict]:
    """The stream's events of one run of a library tool."""
    key = f"tool_exec_{number:032}"
    name = "document_library" if function == "library_search" else function
    info = {"result": result} if result is not None else {}
    base = {"id": key, "name": name, "function": function, "output_index": number}
    return [
        {"type": "tool.execution.started", **base, "arguments": ""},
        {"type": "tool.execution.delta", **base, "arguments": json.dumps(arguments)},
        {"type": "tool.execution.done", **base, "info": info},
    ]


def hit(document_id: str, *snippets: str, title: str = "a.txt", library: str | None = LIBRARY, page: int = 0) -> dict:
    """One hit as the service reports it: the passage, then summary and file name."""
    metadata = {"relevant_pages": [page], "library_name": "L"}
    return {
        "url": document_id,
        "title": title,
        "description": "A summary.",
        "snippets": [*snippets, "A summary.", title],
        "date": None,
        "rank": 0,
        "source": "library_search",
        "metadata": metadata if library is None else {**metadata, "library_id": library},
        "can_open": True,
    }


def turn(*runs: list[dict], text: str = "done", end: bool = True) -> list[dict[str, Any]]:
    """A whole streamed turn."""
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 42, "connector_tokens": 30}
    usage["connectors"] = {"document_library": len(runs)}
    message = {
        "type": "message.output.delta",
        "id": "msg_1",
        "output_index": 9,
        "content_index": 0,
        "role": "assistant",
    }
    last = [{"type": "conversation.response.done", "usage": usage}] if end else []
    return [
        {"type": "conversation.response.started", "conversation_id": "conv_1"},
        *[event for run in runs for event in run],
        {**message, "content": text},
        *last,
    ]


@pytest.fixture(autouse=True)
def quiet_settings() -> Iterator[None]:
    """LlamaIndex's global settings are put back after each test."""
    from llama_index.core.settings import Settings

    before = dict(vars(Settings))
    yield
    vars(Settings).update(before)
