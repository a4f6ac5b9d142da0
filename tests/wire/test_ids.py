"""An id that can't be one is refused before anything is sent: every id parameter of every method of the client."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, get_type_hints

import pytest

from mistral_agents import MistralAgents
from mistral_agents.errors import ConfigurationError

from ..support.running import Standin

UUID = "01a07bff-b1ed-70bd-b7d4-34b652c070bb"
RESOURCES = (
    "agents", "batches", "connectors", "conversations", "embeddings", "files", "libraries", "models", "search_indexes",
)  # fmt: skip
LISTS = {"library_ids", "document_ids", "source_ids", "handoffs"}
EMPTY = ["", "   "]
BAD = [*EMPTY, 5, b"conv_1", True, {"id": "conv_1"}, ".", "..", "a\x00b"]
NO_ID = {"agent_version", "by_id", "version_id"}
OTHERS: dict[str, Any] = {
    "inputs": "hello", "name": "n", "server": "https://mcp.example.org", "description": "d", "tool": "t",
    "arguments": {}, "file": ("a.txt", b"a"), "alias": "a", "version": 1, "query": "q", "folder": ".",
    "requests": [{"inputs": "x"}], "share_with": UUID, "texts": ["a"], "text": "a", "files": "f", "retriever": {},
    "spec": {"model": "m"}, "embedding": {"dimensions": 1}, "schema": {}, "documents": [], "archive_to": ".",
}  # fmt: skip


def _is_id(name: str) -> bool:
    return (name.endswith(("_id", "_ids")) or name in ("connector", "model", "handoffs")) and name not in NO_ID


def _parameters(method: Callable[..., Any]) -> tuple[list[str], set[str]]:
    """The names a method takes, options in typed dicts included, and which of them it needs."""
    told = inspect.signature(method).parameters
    names = [name for name, one in told.items() if one.kind is not one.VAR_KEYWORD]
    needed = {name for name in names if told[name].default is inspect.Parameter.empty}
    for one in told.values():
        if one.kind is one.VAR_KEYWORD:
            with contextlib.suppress(NameError):  # types that are imported for checking only; none has an id
                kind = get_type_hints(method)[one.name]
                names += sorted(getattr(getattr(kind, "__args__", (kind,))[0], "__annotations__", ()))
    return names, needed


def _methods() -> Iterator[tuple[str, str]]:
    client = MistralAgents(api_key="k")
    for resource in RESOURCES:
        for name, _ in inspect.getmembers(type(getattr(client, resource)), inspect.isfunction):
            if not name.startswith("_"):
                yield resource, name


CASES = [
    (resource, method, parameter)
    for resource, method in _methods()
    for parameter in _parameters(getattr(getattr(MistralAgents(api_key="k"), resource), method))[0]
    if _is_id(parameter)
]


@pytest.fixture(scope="module")
def standin() -> Iterator[Standin]:
    server = Standin()
    yield server
    server.stop()


def _arguments(method: str, names: list[str], needed: set[str], parameter: str, value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {parameter: value}
    for name in needed - {parameter}:
        found[name] = OTHERS.get(name, [UUID] if name in LISTS else UUID)
    if "inputs" in names:
        found["inputs"] = "hello"
    if method == "update":
        found.setdefault("description", "changed")
    if "model" in names and "agent_id" in names and parameter != "agent_id" and "model" not in found:
        found["model"] = "m"
    return found


async def _do(client: MistralAgents, resource: str, method: str, arguments: dict[str, Any]) -> Any:
    """Call a method, blocking or not, and read what it gives."""
    done = getattr(getattr(client, resource), method)(**arguments)
    if isinstance(done, contextlib.AbstractContextManager):
        return done.__enter__()
    if isinstance(done, contextlib.AbstractAsyncContextManager):
        return await done.__aenter__()
    if inspect.isawaitable(done):
        return await done
    if isinstance(done, AsyncIterator):
        return [one async for one in done]
    return [*done] if isinstance(done, Iterator) else done


@pytest.mark.parametrize(("resource", "method", "parameter"), CASES)
async def test_what_is_no_id_is_refused_by_name_before_anything_is_sent(
    standin: Standin, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, resource: str, method: str, parameter: str
) -> None:
    monkeypatch.chdir(tmp_path)
    client = MistralAgents(api_key="k", base_url=standin.base_url, max_retries=0)
    names, needed = _parameters(getattr(getattr(client, resource), method))
    standin.faults.requests.clear()
    for bad in [[one] for one in BAD] if parameter in LISTS else BAD:
        with pytest.raises(ConfigurationError, match=parameter.removesuffix("s")):
            await _do(client, resource, method, _arguments(method.removeprefix("a"), names, needed, parameter, bad))
    assert [seen.path for seen in standin.faults.requests] == []


def test_every_resource_has_such_parameters() -> None:
    assert {resource for resource, _, _ in CASES} >= set(RESOURCES) - {"search_indexes"}
    assert len(CASES) > 120
