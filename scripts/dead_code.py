"""Names that nothing uses: `python -m scripts.dead_code`. Vulture finds them; `[tool.vulture]` says where it looks.

Public names of the libraries are for users, so a test of them is use enough. Anything else that only tests use is
dead too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vulture import Vulture
from vulture.config import make_config

ROOT = Path(__file__).parents[1]
LIBRARIES = frozenset({"mistral_agents", "langchain_mistral_agents", "llama_index_mistral_agents"})
TOOLS = frozenset({"scripts", "benchmarks", "examples"})


def find_dead_code(root: Path = ROOT) -> list[str]:
    """What is unused in a checkout, one line for each name."""
    config = make_config(["--config", str(root / "pyproject.toml")])
    sources = [root / path for path in config["paths"]]
    unused_at_all = {*_find_unused(config, [*sources, root / "tests"])}
    found = [
        item
        for item in _find_unused(config, sources)
        if item in unused_at_all or not is_public(item.filename.resolve().relative_to(root), item.name)
    ]
    return [f"{item.filename.resolve().relative_to(root)}:{item.first_lineno}: {item.message}" for item in found]


def is_public(path: Path, name: str) -> bool:
    """Whether a name is for users of a library, or a helper of a tool that a test may check on its own."""
    parts = [*path.with_suffix("").parts, name]
    if parts[0] in LIBRARIES:
        return not any(part.startswith("_") and part != "__init__" for part in parts)
    return parts[0] in TOOLS or parts[:2] == ["mistral_agents_server", "testing"]


def _find_unused(config: dict[str, Any], paths: Iterable[Path]) -> list[Any]:
    vulture = Vulture(ignore_names=config["ignore_names"], ignore_decorators=config["ignore_decorators"])
    vulture.scavenge([str(path) for path in paths if path.exists()])
    return list(vulture.get_unused_code(min_confidence=config["min_confidence"]))


if __name__ == "__main__":
    dead = find_dead_code()
    print("\n".join(dead) or "No dead code.")
    sys.exit(bool(dead))
