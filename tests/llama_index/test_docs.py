"""The code of the how-tos, run page by page against the stand-in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.docs import python_blocks

PAGES = Path(__file__).parents[2] / "docs" / "llama-index"
WEB = "<html><head><title>Industry standards</title></head><body><p>Authentication system industry standards ask for passkeys.</p></body></html>"


@pytest.fixture
def run(
    standin_factory: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str], dict[str, Any]]:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "standards.html").write_text(WEB)
    monkeypatch.setenv("MISTRAL_API_KEY", "test-key")
    monkeypatch.setenv("MISTRAL_BASE_URL", standin_factory(pages=tmp_path / "web").base_url)
    monkeypatch.chdir(tmp_path)

    def execute(page: str) -> dict[str, Any]:
        names: dict[str, Any] = {}
        blocks = python_blocks(PAGES / f"{page}.md")
        assert blocks
        for number, block in enumerate(blocks):
            exec(compile(block, f"{page}.md, block {number + 1}", "exec"), names)
        return names

    return execute


def files(nodes: list[Any]) -> list[str]:
    return [node.metadata["file_name"] for node in nodes]


def test_retriever(run: Callable[[str], dict[str, Any]]) -> None:
    names = run("retriever")
    assert files(names["retriever"].retrieve("boiler valve"))[0] == "boiler.md"
    assert files(names["filtered"].retrieve("valve")) == ["boiler.md"]
    assert names["report"].unchanged == 2
    assert "3 bar" in names["nodes"][0].text
    assert names["url"].startswith("http")


def test_library_index(run: Callable[[str], dict[str, Any]]) -> None:
    names = run("library-index")
    assert [outcome.ready for outcome in names["outcomes"]] == [True]
    assert "24 months" in str(names["answer"])
    assert files(names["answer"].source_nodes) == ["warranty.md"]
    assert list(names["changes"].added) == ["oil.txt"]
    assert {document.metadata["file_name"] for document in names["documents"]} == {
        "warranty.md",
        "report.txt",
        "oil.txt",
    }


def test_knowledge_base(run: Callable[[str], dict[str, Any]]) -> None:
    names = run("knowledge-base")
    assert "30 days" in str(names["policy"])
    assert files(names["policy"].source_nodes)[0] == "Vacation Policy.md"
    assert "tls.cert" in str(names["gateway"])
    assert len(files(names["comparison"].source_nodes)) == 3
    assert names["fresh"].retrieve("November")[0].metadata["file_name"] == "Roadmap Q4.md"
    assert names["internal"][0] == ("library", "Authentication.md")
    assert [kind for kind, _ in names["external"]] == ["web"]
    assert files(names["restricted"].retrieve("vacation policy and prices")) == ["prices.txt"]


def test_scale(run: Callable[[str], dict[str, Any]]) -> None:
    names = run("scale")
    assert Path("snapshot/snapshot.jsonl").exists()
    assert files(names["lazy"].retrieve("pump")) == ["pump.md"]
    assert files(names["scaled"].retrieve("valve")) == ["pump.md"]
