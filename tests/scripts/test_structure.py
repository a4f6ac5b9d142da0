"""`scripts.structure` counts what it says it counts, in small checkouts made for it and in this one."""

from __future__ import annotations

import subprocess
from pathlib import Path
from textwrap import dedent

import pytest

from scripts import structure
from scripts.structure import Checkout

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path):
    """Writes files, by their paths, and gives the checkout that holds them."""

    def write(**files: str) -> Checkout:
        for package in structure.ALL:
            files.setdefault(f"{package}/__init__", '"""A package."""\n')
        for path, text in files.items():
            file = tmp_path / f"{path}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dedent(text))
        return Checkout(tmp_path)

    return write


def value(key: str, made: Checkout, title: str = "") -> str | None:
    """The value of the one figure with this key and a title that ends so."""
    (figure,) = [figure for figure in structure.FIGURES if figure.key == key and figure.title.endswith(title)]
    return figure.measure(made)


def test_modules_and_lines_are_counted_for_each_package_and_for_the_wings_together(checkout):
    made = checkout(
        **{
            "mistral_agents/a": "x = 1\ny = 2\n",
            "langchain_mistral_agents/deep/b": "x = 1",
            "llama_index_mistral_agents/c": "\n\n\n",
        }
    )
    assert value("modules", made, "foundation") == "2"
    assert value("lines", made, "foundation") == "3"
    assert value("modules", made, "wings together") == "4"
    assert value("lines", made, "wings together") == "6"
    assert structure.list_findings("lines", made)[0].split() == ["2", "mistral_agents/a.py"]


def test_floors_are_the_longest_chain_of_imports_and_a_circle_is_one_floor(checkout):
    made = checkout(
        **{
            "mistral_agents/roof": "from mistral_agents import left, floor",
            "mistral_agents/left": "import mistral_agents.right",
            "mistral_agents/right": "def f():\n    from . import left\n    from mistral_agents.floor import x",
            "mistral_agents/floor": "from .cellar import x",
            "mistral_agents/cellar": "import json\nx = 1",
        }
    )
    chain = structure.find_longest_chain(structure.read_graph(made))
    assert chain == [
        "mistral_agents.roof",
        "circle of 2 (mistral_agents.left …)",
        "mistral_agents.floor",
        "mistral_agents.cellar",
    ]
    assert value("floors", made) == "4"
    assert value("circles", made) == "1 (of 2 modules)"
    assert "  mistral_agents.left imports mistral_agents.right" in structure.list_findings("circles", made)


def test_imports_for_types_make_no_circle_but_in_the_row_that_counts_them(checkout):
    made = checkout(
        **{
            "mistral_agents/a": """
            from typing import TYPE_CHECKING
            if TYPE_CHECKING:
                from mistral_agents.b import B
            else:
                from mistral_agents.c import C
        """,
            "mistral_agents/b": "import mistral_agents.a",
            "mistral_agents/c": "",
        }
    )
    assert value("circles", made) == "0"
    assert value("type-circles", made) == "1 (of 2 modules)"
    assert structure.read_graph(made)["mistral_agents.a"] == {"mistral_agents.c"}


@pytest.mark.parametrize(
    ("line", "target"),
    [
        ("from . import other", "mistral_agents.room.other"),
        ("from .other import x", "mistral_agents.room.other"),
        ("from .. import top", "mistral_agents.top"),
        ("from ..top import x", "mistral_agents.top"),
        ("from mistral_agents import __version__", "mistral_agents"),
        ("from mistral_agents import room", "mistral_agents.room"),
        ("import mistral_agents.top as t", "mistral_agents.top"),
    ],
)
def test_each_form_of_import_leads_to_its_module(checkout, line, target):
    made = checkout(
        **{
            "mistral_agents/room/__init__": "",
            "mistral_agents/room/here": line,
            "mistral_agents/room/other": "",
            "mistral_agents/top": "",
        }
    )
    assert structure.read_graph(made)["mistral_agents.room.here"] == {target}


def test_a_packages_own_relative_imports_start_in_it(checkout):
    made = checkout(
        **{
            "mistral_agents/room/__init__": "from .other import x\nfrom ..top import y",
            "mistral_agents/room/other": "",
            "mistral_agents/top": "",
        }
    )
    assert structure.read_graph(made)["mistral_agents.room"] == {"mistral_agents.room.other", "mistral_agents.top"}


def test_private_functions_begin_with_a_verb_or_are_named(checkout):
    made = checkout(
        **{
            "mistral_agents/a": """
            def _flush_words(): ...
            async def _aread_page(): ...
            def _said(): ...
            def public(): ...
            class A:
                def __init__(self): ...
                def __secret(self): ...
                def _generate(self): ...
                @property
                def _kind(self): ...
                @_kind.setter
                def _kind(self, kind): ...
                @functools.cached_property
                def _size(self): ...
                def _is_open(self): ...
                @staticmethod
                def _address(): ...
        """
        }
    )
    assert value("verbs", made, "foundation") == "60.0 % (3 of 5)"
    assert structure.list_findings("verbs", made) == [
        "mistral_agents/a.py:4: _said",
        "mistral_agents/a.py:18: _address",
    ]


def test_names_in_two_files_are_functions_and_classes_at_module_level(checkout):
    made = checkout(
        **{
            "mistral_agents/a": "def twice(): ...\nclass Pair: ...\nX = 1\ndef once():\n    def inner(): ...\n",
            "mistral_agents/b": "async def twice(): ...\nX = 1\ndef inner(): ...\ndef inner(): ...\n",
            "langchain_mistral_agents/c": "class Pair:\n    def once(self): ...\n",
            "mistral_agents_server/d": "def once(): ...\n",
        }
    )
    assert value("names", made) == "2"
    assert structure.list_findings("names", made) == [
        "Pair: langchain_mistral_agents/c.py, mistral_agents/a.py",
        "twice: mistral_agents/a.py, mistral_agents/b.py",
    ]


def test_any_is_counted_in_arguments_and_returns_alone_or_in_a_union(checkout):
    made = checkout(
        **{
            "llama_index_mistral_agents/__init__": "",
            "llama_index_mistral_agents/a": """
            def f(a: Any, b: dict[str, Any], *c: Any, d: Any | None = None, **e: "Any") -> typing.Any: ...
            def g(a: int, b) -> list[Any]:
                local: Any = a
        """,
        }
    )
    found = [line.rpartition(": ")[2] for line in structure.list_findings("any", made)]
    assert found == ["a", "d", "*c", "**e", "return"]
    assert value("any", made, "LlamaIndex wing") == "1250.0"
    assert value("any", made, "foundation") == "0.0"


def test_public_docstrings_are_of_modules_classes_functions_and_methods(checkout):
    made = checkout(
        **{
            "mistral_agents/a": '''
            """A module."""
            class Public:
                """A class."""
                def told(self):
                    """It does."""
                def untold(self): ...
                @override
                def inherited(self): ...
                def _private(self): ...
                def __repr__(self): ...
            class _Private:
                def untold(self): ...
            def outer():
                """It has an inner one."""
                def inner(): ...
        '''
        }
    )
    assert value("docstrings", made) == "87.5 % (7 of 8)"
    assert structure.list_findings("docstrings", made) == ["mistral_agents/a.py:7: untold"]


def test_the_invoke_of_this_checkout_passes_modules_of_foundation_and_wing():
    passed = Checkout(ROOT).passed
    assert passed is not None
    assert {"langchain_mistral_agents/chat_models.py", "mistral_agents/client.py"} <= {*passed}
    assert all((ROOT / path).is_file() and path.startswith(("mistral_agents/", "langchain_")) for path in passed)


def test_an_invoke_that_can_not_be_run_is_not_measured_and_says_why(checkout, capsys):
    made = checkout()
    assert value("invoke", made) is None
    assert "ChatMistralAgent" in capsys.readouterr().err
    assert "| modules that a plain `invoke` passes | not measured |" in structure.render_table({"now": made})


def test_against_a_revision_there_is_a_column_before_and_no_work_tree_stays(checkout, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Checkout, "passed", [])
    checkout()
    git = ["git", "-C", str(tmp_path), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "before"], check=True)
    checkout(**{"mistral_agents/new": "x = 1\n"})
    structure.main([str(tmp_path), "--against", "HEAD"])
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == "| figure | before | after | aim |"
    assert "| modules, foundation | 1 | 2 |  |" in rows
    assert {row.count("|") for row in rows} == {5}
    trees = subprocess.run([*git, "worktree", "list"], check=True, capture_output=True, text=True).stdout
    assert len(trees.splitlines()) == 1


def test_every_verb_is_one_word_and_no_figure_lacks_a_row():
    assert all(word.isalpha() and word.islower() for word in structure.VERBS)
    assert not structure.HOOKS & structure.VERBS
    table = structure.render_table({"now": Checkout(ROOT)})
    assert len(table.splitlines()) == len(structure.FIGURES) + 2
