"""ARCHITECTURE.md is a map of the house: every module stands in its table of rooms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("mistral_agents", "langchain_mistral_agents", "llama_index_mistral_agents")
UNTOLD = frozenset({"__init__", "__main__", "_version"})


def list_rooms() -> list[tuple[str, set[str]]]:
    """The rows of the table: the first cell, and all that stands in backticks."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.partition("## The rooms")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| `")]
    return [(cells[0], set(re.findall(r"`([\w/]+)`", "|".join(cells)))) for cells in rows]


def names_room_of(module: Path, first_cell: str) -> bool:
    """Whether a row is about the package of a module; modules at the root of the foundation have rows of their own."""
    package = module.parts[1] if len(module.parts) > 2 else module.parts[0]
    if module.parts[0] != "mistral_agents":
        return first_cell.strip().startswith(f"`{module.parts[0]}`")
    return len(module.parts) == 2 or first_cell.strip().startswith((f"`{package}`", f"`{package}/`"))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_stands_on_the_map(package):
    rooms = list_rooms()
    modules = [path.relative_to(ROOT) for path in sorted((ROOT / package).rglob("*.py")) if path.stem not in UNTOLD]
    lost = [
        str(module)
        for module in modules
        if not any(names_room_of(module, cell) and module.stem in names for cell, names in rooms)
    ]
    assert lost == [], "name them in the table of rooms in ARCHITECTURE.md"


def test_the_map_names_no_module_that_is_gone():
    stems = {path.stem for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    folders = {path.name for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_dir()}
    private = {name for _, names in list_rooms() for name in names if re.fullmatch(r"_[a-z]\w*", name)}
    assert sorted(private - stems - folders) == []
