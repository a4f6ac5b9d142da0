"""The code of the how-tos on model, agent and memory, run page by page; what a model would decide is in the script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.docs import python_blocks
from tests.support.scripted import call, say

PAGES = Path(__file__).parents[3] / "docs" / "llama-index"
DRAW = call("generate_image", {"prompt": "a lighthouse"})
SIX_BY_SEVEN = call("multiply", {"a": 6, "b": 7})


@pytest.fixture
def run(service: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    monkeypatch.setenv("MISTRAL_API_KEY", "test-key")
    monkeypatch.setenv("MISTRAL_BASE_URL", service.base_url)

    def execute(page: str) -> dict[str, Any]:
        names: dict[str, Any] = {}
        for number, block in enumerate(python_blocks(PAGES / f"{page}.md")):
            exec(compile(block, f"{page}.md, block {number + 1}", "exec"), names)
        return names

    return execute


def test_llm(run: Callable[[str], dict[str, Any]], scripted: Any, service: Any) -> None:
    scripted.script(
        *(DRAW, say("Here it is.")) * 2,
        *(say("Hello Ada."), say("Ada."), say("Your name.")),
        SIX_BY_SEVEN,
        *(DRAW, say("Here it is.")),
        say('{"name": "Paris", "country": "France"}'),
    )
    names = run("llm")
    assert names["answer"].text == "Here it is."
    assert names["picture"][:4] in (b"\x89PNG", b"\xff\xd8\xff\xe0")
    assert names["reply"].message.content == "Your name."
    assert names["call"].tool_kwargs == {"a": 6, "b": 7}
    assert names["done"].message.content == "Here it is."
    assert names["city"].name == "Paris"


def test_agent(run: Callable[[str], dict[str, Any]], scripted: Any, service: Any) -> None:
    scripted.script(SIX_BY_SEVEN, say("42."), say("6 times 7."), say("With pleasure."), DRAW, say("Here it is."))
    names = run("agent")
    assert (names["first"], names["second"], names["thanks"]) == ("42.", "6 times 7.", "With pleasure.")
    assert [path.rpartition("/")[2] for path, _ in service.turns[1:4]] == [names["conversation_id"]] * 3
    assert (names["painted"], names["seen"]) == ("Here it is.", ["image_generation"])


def test_memory(run: Callable[[str], dict[str, Any]], scripted: Any, service: Any) -> None:
    scripted.script(say("Hello Ada."), say("Ada."), say("Your name."), say("Hello Bob."), SIX_BY_SEVEN, say("42."))
    names = run("memory")
    assert str(names["answer"]) == "Your name."
    assert [message.content for message in names["again"].unsaved] == ["Call me Countess, please."]
    assert names["product"] == "42."
    assert [message.role.value for message in names["agent_memory"].get()] == ["user", "assistant", "tool", "assistant"]
    assert len(names["past"]) == 6
