"""The Python of the guides that belong to no wing runs as printed, block after block, against the stand-in."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import pytest

from mistral_agents_server.__main__ import parser
from tests.support.docs import python_blocks

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("foundation.md", ["Ada", "5050", "Blue Heron", "404 3000", "inputs is empty", "Paris"]),
        (
            "conversations.md",
            [
                "My name is Ada and",
                "['function.call', 'function.result', 'message.output']",
                "4 0 {'get_weather': 2}",
                "└─ conv_",
                "2 We choose SQL. We choose documents.",
                "is called Blue Heron",
                "mistral-agents/conversation 1 8",
                "['get_weather']\n6 * 7 = 42",
                "dry run: True",
                "['deleted', 'deleted'] []",
            ],
        ),
        (
            "agents-as-code.md",
            [
                "True 0\nTrue 1",
                "create tides",
                "(the new tides)",
                "create berths",
                "front desk → tides, berths",
                "graph LR",
                "(0, 'Be brief.')]\nBe brief.",
                "Be brief and polite.\n[('production', 0)]",
                "6 * 7 = 42",
            ],
        ),
        (
            "costs-and-safety.md",
            [
                "{'code_interpreter': 1}",
                "code-interpreter minute",
                "The limit of 0.015 EUR is reached",
                "the library <private> is not allowed",
                "Write to [address] please.",
                "asked about code_interpreter\n1 values: n = 3",
                "0 The user did not allow this call.",
            ],
        ),
        ("migration.md", ["42", "Ada", "counter"]),
        (
            "display.md",
            [
                "['text/html', 'text/markdown', 'text/plain']",
                "['harbour']",
                "1 rows",
                "A **bold** answer.",
                "Lit in 1887.",
                "False True",
            ],
        ),
        ("operations.md", ["42", "POST /v1/conversations: status 200 False", "'invoke_agent']"]),
        ("observability.md", ["llm [('code_interpreter', 'tool')]"]),
        ("cli.md", ["0 True\n4"]),
        ("seed-guide.md", ["code_interpreter timeout 30 enforced", "code_interpreter max_iterations 5 enforced"]),
        ("server.md", ["Starlette", "stand-in:mistral-small-latest", "18", "15.5"]),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_guide_runs(standin_factory, monkeypatch, tmp_path, capsys, name, printed):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MISTRAL_BASE_URL", standin_factory().base_url)
    monkeypatch.setenv("MISTRAL_API_KEY", "test-key")
    names: dict[str, object] = {}
    for block in python_blocks(DOCS / name):
        exec(compile(block, name, "exec"), names)
    out = capsys.readouterr().out
    names.clear()
    gc.collect()  # a guide leaves its clients to the end of the script; here that is the end of this test
    for word in printed:
        assert word in out, word


ROOT = DOCS.parent
ELSEWHERE = {
    "docs/first-hour.md": "tests/examples/test_first_hour.py",
    "README.md": "tests/test_readme.py",
    "docs/connectors.md": "tests/langchain/test_connector_tools.py",
    "docs/testing.md": "tests/kit/test_kit.py",
    "docs/seed-guide.md": "tests/guide/test_guide_plain.py",
    **dict.fromkeys(
        (f"docs/llama-index/{name}.md" for name in ("llm", "agent", "memory")), "tests/llama_index/models/test_docs.py"
    ),
    **dict.fromkeys(
        (f"docs/llama-index/{name}.md" for name in ("retriever", "library-index", "knowledge-base", "scale")),
        "tests/llama_index/test_docs.py",
    ),
}
"""Pages whose Python other tests run. Those of `docs/langchain` are found there by their names."""


def test_every_page_with_python_is_run_as_printed_and_by_no_script():
    with_python = {
        page.relative_to(ROOT).as_posix()
        for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md", *DOCS.rglob("*.md")]
        if "```python" in page.read_text() and page.parent != DOCS / "examples"  # which `make docs` writes
    }
    (cases,) = (mark for mark in test_a_guide_runs.pytestmark if mark.name == "parametrize")
    here = {f"docs/{name}" for name, _ in cases.args[1]}
    langchain = {name for name in with_python if name.startswith("docs/langchain/")}
    assert with_python == here | langchain | set(ELSEWHERE)
    runners = {*ELSEWHERE.values(), "tests/langchain/test_docs.py"} - {
        "tests/kit/test_kit.py"
    }  # whose page is about scripts
    for runner in runners:
        assert not re.search(r"\bscripted\b", (ROOT / runner).read_text()), runner


def test_every_option_of_the_stand_in_is_described():
    options = {word for action in parser()._actions for word in action.option_strings if word.startswith("--")}
    text = (DOCS / "server.md").read_text()
    assert sorted(word for word in options - {"--help"} if word not in text) == []


@pytest.mark.parametrize("name", [page.name for page in sorted(DOCS.glob("*.md"))])
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (DOCS / name).read_text()):
        notebook = (DOCS.parent / target).with_suffix(".ipynb")  # which the site has as a page
        assert (DOCS / target).exists() or (target.startswith("examples/") and notebook.exists()), target
