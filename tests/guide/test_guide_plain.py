"""The guide's Complete Example on the plain stand-in: no model, a library and a folder of pages (issue 15, point 6)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mistral_agents import MistralAgents

from .test_guide_examples import create_comprehensive_agent, run_comprehensive_demo

PAGE = """<html><head><title>Sun and wind in figures</title><link rel="canonical" href="https://almanac.example/figures">
</head><body><h1>Sun and wind in figures</h1>
<p>By the latest statistics, of 2025, renewable energy gave more power than ever before.</p>
<table><tr><th>Year</th><th>Sun (GW)</th><th>Wind (GW)</th></tr>
<tr><td>2025</td><td>2,400</td><td>1,260</td></tr><tr><td>2024</td><td>1,850</td><td>1,130</td></tr>
<tr><td>2023</td><td>1,400</td><td>1,010</td></tr></table></body></html>"""
PLAN = b"# Plan of the mill\n\nBy our company's strategy renewable energy will drive the mill by 2028.\n\nFlour is sold on Fridays."
DOCS = Path(__file__).parents[2] / "docs" / "seed-guide.md"


@pytest.fixture
def plain(standin_factory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MistralAgents:
    (tmp_path / "figures.html").write_text(PAGE)
    (tmp_path / "bread.md").write_text("# Bread\n\nBread is made of flour, water and salt.")
    client = MistralAgents(api_key="k", base_url=standin_factory(pages=tmp_path).base_url)
    library = client.libraries.create("mill")
    client.libraries.upload(library.id, ("plan.md", PLAN))
    client.libraries.wait_until_ready(library.id)
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    monkeypatch.setenv("MISTRAL_BASE_URL", client.base_url)
    monkeypatch.setenv("MISTRAL_LIBRARY_ID", library.id)
    return client


@pytest.mark.filterwarnings("ignore::mistral_agents.connectors.TranslationWarning")
def test_the_complete_example_is_worked_task_by_task(plain: MistralAgents) -> None:
    agent, client = create_comprehensive_agent()
    conversation_id = run_comprehensive_demo(agent, client)
    entries = plain.conversations.get_history(conversation_id).entries
    runs = [entry for entry in entries if entry.type == "tool.execution"]
    assert [run.raw["function"] for run in runs[:6]] == [
        *("web_search", "library_search", "open_url"),
        *("code_interpreter", "code_interpreter", "generate_image"),
    ]
    growth, plot = (run.raw["info"]["code_output"] for run in runs[3:5])
    assert growth.splitlines() == [
        "Sun (GW), 2024: 1400 to 1850, +32.1%",
        "Sun (GW), 2025: 1850 to 2400, +29.7%",
        "Wind (GW), 2024: 1010 to 1130, +11.9%",
        "Wind (GW), 2025: 1130 to 1260, +11.5%",
    ]
    assert "n = 3" in plot
    (answer, follow_up) = (entry for entry in entries if entry.type == "message.output")
    assert [chunk["type"] for chunk in answer.raw["content"] if chunk["type"] != "text"] == [
        *("tool_reference", "tool_reference", "tool_reference", "tool_file", "tool_file"),
    ]
    assert "renewable energy will drive the mill" in answer.text
    assert "(plan.md)" in answer.text
    assert follow_up.text
    assert _lines(answer.text) == _lines(_quoted())


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _quoted() -> str:
    """What docs/seed-guide.md says that the example prints."""
    found = re.search(r"<!-- complete example -->\n```text\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]
