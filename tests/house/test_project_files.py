"""What a project says to those who join it: workflows, contacts, versions."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import yaml

from scripts.smoke import JOBS, MARKS, readme_blocks

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_workflows_call_only_the_makefile() -> None:
    steps = [
        step
        for path in WORKFLOWS
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
        for step in job["steps"]
    ]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [command for command in commands if command.split() not in [["make", target] for target in targets]] == []


def test_every_supported_python_is_in_the_matrix() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    named = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert matrix == named


def test_every_extra_is_smoked_and_weighed() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {"", *settings["optional-dependencies"]}
    assert set(JOBS) == extras
    assert {name.replace("base", "") for name in workflow["jobs"]["smoke"]["strategy"]["matrix"]["extra"]} == extras
    install = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    what, sizes = install.split(MARKS[0])
    for name in sorted(extras):
        row = f"| `[{name}]` |" if name else "| none |"
        assert row in what, name
        assert row in sizes, name
    assert "FAILED" not in sizes


def test_every_block_of_the_readme_says_what_it_needs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert readme_blocks("all") == blocks
    assert sorted(block for extra in JOBS if extra != "all" for block in readme_blocks(extra)) == sorted(blocks)


def test_links_of_the_readme_survive_on_a_package_index() -> None:
    hooks = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["metadata"]["hooks"]
    (rule,) = hooks["fancy-pypi-readme"]["substitutions"]
    shown = re.sub(rule["pattern"], rule["replacement"], (ROOT / "README.md").read_text(encoding="utf-8"))
    links = re.findall(r"\]\(([^)]+)\)", shown)
    assert len(links) > 3
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_versions_agree() -> None:
    import mistral_agents

    files = [ROOT / "pyproject.toml", ROOT / "CITATION.cff", *sorted((ROOT / "packaging").glob("*/pyproject.toml"))]
    versions = {re.search(r'^version\s*[:=]\s*"?([\d.]+)', path.read_text(), flags=re.MULTILINE)[1] for path in files}
    assert versions == {mistral_agents.__version__}


def test_addresses_stand_in_one_place() -> None:
    pages = [ROOT / name for name in ("SECURITY.md", "CODE_OF_CONDUCT.md")]
    assert all("CONTACTS.md" in page.read_text(encoding="utf-8") for page in pages)
    assert all(re.findall(r"[\w.]+@[\w.]+|https?://", page.read_text(encoding="utf-8")) == [] for page in pages)
