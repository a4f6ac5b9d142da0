"""`scripts.dead_code` finds what only looks used, and its whitelist does not outlive what it lists."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytest.importorskip("vulture", reason="the lint group is not installed")

from scripts.dead_code import find_dead_code, is_public

ROOT = Path(__file__).parents[2]
CONFIG = """
[tool.vulture]
paths = ["mistral_agents", "scripts"]
ignore_names = ["on_*"]
"""


def write_checkout(root: Path, **files: str) -> Path:
    (root / "pyproject.toml").write_text(CONFIG)
    for path, text in files.items():
        file = root / f"{path}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_a_name_that_only_tests_use_is_dead_unless_it_is_public(tmp_path):
    root = write_checkout(
        tmp_path,
        **{
            "mistral_agents/api": "def tested(): ...\ndef untested(): ...\ndef _tested(): ...\ndef on_event(): ...\n",
            "mistral_agents/_room/inside": "def used(): ...\ndef only_tested(): ...\nclass Kept: ...\nprint(used())\n",
            "scripts/whitelist": "_.Kept\n",
            "tests/test_all": "tested(), _tested(), only_tested()\n",
        },
    )
    assert find_dead_code(root) == [
        "mistral_agents/_room/inside.py:2: unused function 'only_tested'",
        "mistral_agents/api.py:2: unused function 'untested'",
        "mistral_agents/api.py:3: unused function '_tested'",
    ]


@pytest.mark.parametrize(
    ("path", "name", "public"),
    [
        ("mistral_agents/client.py", "close", True),
        ("mistral_agents/__init__.py", "name", True),
        ("mistral_agents/client.py", "_close", False),
        ("mistral_agents/_http/sdk.py", "close", False),
        ("mistral_agents_server/app.py", "route", False),
        ("scripts/notebook.py", "printed", True),
    ],
)
def test_public_is_what_users_of_a_library_can_reach(path, name, public):
    assert is_public(Path(path), name) is public


def test_every_name_of_the_whitelist_is_still_in_the_code():
    tree = ast.parse((ROOT / "scripts/dead_code_whitelist.py").read_text())
    listed = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    packages = (
        "mistral_agents",
        "langchain_mistral_agents",
        "llama_index_mistral_agents",
        "mistral_agents_server",
        "scripts",
    )
    files = [file for package in packages for file in (ROOT / package).rglob("*.py")]
    defined: set[str] = set()
    for file in files:
        if file.name == "dead_code_whitelist.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                defined.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                defined.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                defined.add(node.attr)
    assert listed - defined == set()
