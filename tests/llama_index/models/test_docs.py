"""The code of the how-tos on model, agent and memory runs as printed, page by page, on the plain stand-in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.docs import python_blocks

PAGES = Path(__file__).parents[3] / "docs" / "llama-index"


@pytest.fixture
def run(standin_factory: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    monkeypatch.setenv("MISTRAL_API_KEY", "test-key")

    def execute(page: str) -> dict[str, Any]:
        server = standin_factory()
        monkeypatch.setenv("MISTRAL_BASE_URL", server.base_url)
        names: dict[str, Any] = {}
        for number, block in enumerate(python_blocks(PAGES / f"{page}.md")):
            exec(compile(block, f"{page}.md, block {number + 1}", "exec"), names)
        posts = [seen for seen in server.faults.requests if seen.method == "POST" and seen.body]
        return {**names, "turns": [seen for seen in posts if seen.path.startswith("/v1/conversations")]}

    return execute


def test_llm(run: Callable[[str], dict[str, Any]]) -> None:
    names = run("llm")
    assert names["answer"].text == "Here is the image."
    assert names["picture"][:4] in (b"\x89PNG", b"\xff\xd8\xff\xe0")
    assert "What is my name?" in names["reply"].message.content
    assert (names["call"].tool_name, names["call"].tool_kwargs) == ("get_weather", {"city": "Paris"})
    assert names["done"].message.content == "Here is the image."
    assert isinstance(names["city"], names["City"])


def test_agent(run: Callable[[str], dict[str, Any]]) -> None:
    names = run("agent")
    assert names["first"] == "In Paris it is sunny."
    assert "What is the weather in Paris?" in names["second"]
    assert [seen.path.rpartition("/")[2] for seen in names["turns"][1:4]] == [names["conversation_id"]] * 3
    assert (names["painted"], names["seen"]) == ("Here is the image.", ["image_generation"])


def test_memory(run: Callable[[str], dict[str, Any]]) -> None:
    names = run("memory")
    assert "What is my name?" in str(names["answer"])
    assert [message.content for message in names["again"].unsaved] == ["Call me Countess, please."]
    assert names["weather"] == "In Paris it is sunny."
    assert [message.role.value for message in names["agent_memory"].get()] == ["user", "assistant", "tool", "assistant"]
    assert "Ada" in names["name"]
    assert [entry["content"] for entry in names["turns"][-1].json["inputs"]] == ["What is my name?"]
    assert len(names["past"]) == 6
