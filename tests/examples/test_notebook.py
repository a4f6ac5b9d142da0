"""Each notebook is its source, runs from top to bottom, and keeps the outputs of such a run; the site shows them."""

from __future__ import annotations

import json

import nbformat
import pytest

from mistral_agents import MistralAgents
from scripts.notebook import FOLDER, SOURCES, build, execute, list_sources, printed
from scripts.notebook_pages import render_notebook

from ..display.inert import look_at

NOTEBOOKS = sorted(path.stem for path in list_sources())
SAYS = {
    "quickstart": (
        "the stand-in",
        "lit in 1887",
        "mean = 3865, median = 4035",
        "'connector'",
        "My name is Ada",
        "message.output",
        "ready  solar-cooperative-report-2025.pdf",
        "2,140 euros",
        "solar-cooperative-report-2025.pdf page 4",
    ),
    "langchain-chain-and-agent": (
        "Lighthouse(name='Kermor",
        "mean = 6",
        "Sunny in Paris, 21 degrees",
        "Sunny in Rome",
        "Sunny in Oslo",
    ),
    "memory-and-branches": ("Ada", "└─ conv_", "We choose documents, since orders differ.", "Blue Heron", "no script"),
    "library-and-citations": ("added", "process_status", "2,140 euros", "score"),
    "data-analysis": ("mean = 3865", "best month: 6 with 6480 kWh", "EUR", "plot_0.png"),
    "handoffs": ("create front desk", "front desk → tides", "**14:10**", "Berth 7 is free.", '"Answer in verse."'),
    "seed-guide": (
        "enforced",
        "hinted",
        "or leave it out",
        "Sun (GW), 2025: 1850 to 2400, +29.7%",
        "will drive the mill by 2028",
    ),
    "everything": (
        *("EUR", "└─ conv_", "shared: 8 entries", "front desk → tides", "tokens in all", "turns", "process_status"),
        *("plot_0.png", "dry run: False", "dry run: True", "median = 6", "The insurer has answered", "alert(1)"),
    ),
}
"""What each prints, whatever the words of the ids in it."""
DRAWN = {
    "everything": {"text/html", "text/markdown", "image/png", "image/svg+xml", "text/vnd.mermaid", "text/plain"},
    "handoffs": {"text/html", "image/svg+xml", "text/vnd.mermaid"},
    "memory-and-branches": {"text/html", "image/svg+xml"},
}


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def test_each_notebook_is_described_here_and_has_a_source():
    assert sorted(SAYS) == NOTEBOOKS == sorted(path.stem for path in FOLDER.glob("*.ipynb"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_without_a_key(monkeypatch, name):
    for variable in ("MISTRAL_API_KEY", "MISTRAL_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    done = "\n".join(printed(execute(build(SOURCES / f"{name}.py"))))
    for words in SAYS[name]:
        assert words in done


@pytest.mark.timeout(300)
def test_with_a_key_a_notebook_runs_where_it_is_told_and_leaves_nothing(monkeypatch, standin_factory):
    monkeypatch.setenv("MISTRAL_API_KEY", "a-key")
    monkeypatch.setenv("MISTRAL_BASE_URL", standin_factory().base_url)
    execute(build(SOURCES / "memory-and-branches.py"))
    with MistralAgents() as client:
        left = [row.conversation_id for row in client.conversations.list()]
        assert len(left) == 1, "LlamaIndex's memory, which nobody deletes"
        assert client.agents.list().all() == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_its_source_with_outputs_kept(name):
    notebook = read(name)
    made = build(SOURCES / f"{name}.py")
    facts = [[(cell.id, cell.cell_type, cell.source) for cell in one.cells] for one in (notebook, made)]
    assert facts[0] == facts[1], "run `make notebook`"
    kept = "\n".join(printed(notebook))
    for words in SAYS[name]:
        assert words in kept
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert DRAWN.get(name, {"text/plain"}) <= {kind for output in outputs for kind in output.get("data", {})}
    assert str(FOLDER.parent) not in str(notebook)
    assert not [cell for cell in notebook.cells if "execution" in cell.metadata]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_a_cell_streams_is_one_piece(name):
    for cell in read(name).cells:
        assert sum(output.output_type == "stream" for output in cell.get("outputs", ())) <= 1


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_site_shows_it(name):
    page = render_notebook(json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")), name)
    assert page.startswith("# ")
    assert f"]({name}.ipynb)" in page
    assert "](../docs/" not in page
    assert "https://cdn" not in page


def test_the_pages_of_the_site_hold_no_running_code():
    for name in NOTEBOOKS:
        for cell in read(name).cells:
            for output in cell.get("outputs", ()):
                html = output.get("data", {}).get("text/html", "")
                bad = [one for one in look_at(html).bad if "border" not in one and "dataframe" not in one]
                assert [one for one in bad if one[:2] == "on" or "script" in one or "http:" in one] == []
