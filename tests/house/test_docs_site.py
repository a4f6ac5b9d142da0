"""The site: every exported name, error and page is there, and tables about tests name tests that exist."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

import mistral_agents
from mistral_agents.errors import MistralAgentsError
from scripts.reference_pages import render_all
from tests.support.docs import python_blocks, read_blocks

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGES = ["mistral_agents", "langchain_mistral_agents", "llama_index_mistral_agents"]
TABLES = sorted((DOCS / "contributors").glob("*-features.md"))
NAMED = re.compile(r"`([\w/]*\btest_\w+)(?:\.py)?(?:::(\w+))?`")
MODULE = re.compile(r"`(_\w+(?:[./]\w+)?|client\.\w+|(?!tests/|test_)[\w/]+\.py)`")
"""A private module of a wing, perhaps with a function of it, or a file."""
ROW = re.compile(r"^\| (\d+) \|(.*)\|$", flags=re.MULTILINE)
SHOWN = re.compile(r"test_\w+|`tests/\w+`|integration suite|^not ")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_exported_name_is_in_the_reference(package):
    page = (DOCS / "reference" / f"{package}.md").read_text(encoding="utf-8")
    sections = {part.split("\n")[0]: part for part in page.split("\n## ")}
    for name in importlib.import_module(package).__all__:
        assert re.search(rf"^::: [\w.]+\.{name}$", sections[name], flags=re.MULTILINE), name


@pytest.mark.parametrize("package", PACKAGES)
def test_every_exported_name_says_what_it_is(package):
    module = importlib.import_module(package)
    assert [name for name in module.__all__ if not getattr(module, name).__doc__] == []


def test_the_written_pages_are_current():
    assert [path.name for path, text in render_all().items() if path.read_text(encoding="utf-8") != text] == []


def _all_errors(kind):
    return {kind} | {found for one in kind.__subclasses__() for found in _all_errors(one)}


def test_every_error_is_in_troubleshooting():
    for found in pkgutil.walk_packages(mistral_agents.__path__, "mistral_agents."):
        importlib.import_module(found.name)
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    ours = {kind.__name__ for kind in _all_errors(MistralAgentsError) if kind.__module__.startswith("mistral_agents.")}
    assert len(ours) > 30
    assert sorted(name for name in ours if f"`{name}`" not in text) == []


def test_every_page_is_in_the_navigation():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    linked = set(re.findall(r"[\w/-]+\.md", str(config["nav"])))
    written = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert linked == written | {f"examples/{path.stem}.md" for path in (ROOT / "examples").glob("*.ipynb")}


def _defined_tests():
    found = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
        found.setdefault(path.stem, set()).update(functions)
    return found


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_tables_of_features_name_tests_that_exist(table):
    files = _defined_tests()
    functions = set().union(*files.values())
    named = NAMED.findall(table.read_text(encoding="utf-8"))
    assert len(named) > 40
    missing = [(place, function) for place, function in named if not _exists(place, function, files, functions)]
    assert missing == []


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_every_row_of_a_table_names_a_test_or_says_why_not(table):
    rows = ROW.findall(table.read_text(encoding="utf-8"))
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
    assert [number for number, text in rows if not SHOWN.search(text.split(" | ")[-1].strip())] == []
    continued = {name for _, text in rows for name in re.findall(r"`::(test_\w+)`", text)}
    assert continued - set().union(*_defined_tests().values()) == set()
    folders = {name for _, text in rows for name in re.findall(r"`(tests/\w+)`", text)}
    assert sorted(name for name in folders if not (ROOT / name).is_dir()) == []


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_every_module_that_a_table_names_is_there(table):
    wing = "langchain_mistral_agents" if table.stem.startswith("langchain") else "llama_index_mistral_agents"
    homes = [ROOT, *(ROOT / name for name in (wing, "mistral_agents", "mistral_agents/retrieval", "tests/langchain"))]
    named = {name for _, text in ROW.findall(table.read_text(encoding="utf-8")) for name in MODULE.findall(text)}
    assert len(named) > 20
    assert sorted(name for name in named if not any(_holds(home, name) for home in homes)) == []


def _holds(home, name):
    """Whether a folder has a module, and the module the function where one is named (`_blocks.file_block`)."""
    module, _, function = name.removesuffix(".py").partition(".")
    if not function:
        return (home / f"{module}.py").is_file() or (home / module).is_dir()
    file = home / f"{module}.py"
    return file.is_file() and re.search(rf"\b(?:def|class) {function}\b", file.read_text(encoding="utf-8")) is not None


def _exists(place, function, files, functions):
    stem = place.rpartition("/")[2]
    if function:
        return function in files.get(stem, ())
    return stem in functions or (stem in files and ("/" not in place or any(ROOT.rglob(f"{place}.py"))))


RUNS = {
    "README.md": "tests/test_readme.py::test_the_readme_runs",
    "docs/testing.md": "tests/kit/test_kit.py::test_the_guide_runs",
    "docs/connectors.md": "tests/langchain/test_connector_tools.py::test_the_page_about_connectors_runs",
    "docs/langchain/*.md": "tests/langchain/test_docs.py::test_a_page_runs",
    "docs/llama-index/[ks]*.md": "tests/llama_index/test_docs.py::run",
    "docs/llama-index/library-index.md": "tests/llama_index/test_docs.py::run",
    "docs/llama-index/retriever.md": "tests/llama_index/test_docs.py::run",
    "docs/llama-index/*.md": "tests/llama_index/models/test_docs.py::run",
    "docs/*.md": "tests/examples/test_docs.py::test_a_guide_runs",
}
"""Which function runs the Python of a page; the first pattern that fits counts."""
LANGUAGES = {"python", "bash", "text", "mermaid", "yaml", "json", "toml"}
NOT_RUN = re.compile(r"<!-- not run: .{15,} -->")


def _pages_with_code():
    found = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "packaging").rglob("*.md")]
    return [page for page in found if read_blocks(page)]


@pytest.mark.parametrize("page", _pages_with_code(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_python_on_a_page_is_left_out(page):
    blocks = read_blocks(page)
    assert {block.language for block in blocks} <= LANGUAGES
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(blocks) + sum(b.text.count("```") for b in blocks)
    for block in blocks:
        if block.language != "python" and re.search(r"^\s*(import \w|from [\w.]+ import )", block.text, flags=re.M):
            assert NOT_RUN.match(block.before), f"Python that no test runs, and no reason why: {block.text}"
    if not python_blocks(page):
        return
    name = page.relative_to(ROOT).as_posix()
    file, _, function = next(runs for pattern, runs in RUNS.items() if fnmatch(name, pattern)).partition("::")
    source = (ROOT / file).read_text(encoding="utf-8")
    assert f"def {function}(" in source
    assert "python_blocks(" in source
    assert page.name in source or f'run("{page.stem}")' in source or '.glob("*.md")' in source
