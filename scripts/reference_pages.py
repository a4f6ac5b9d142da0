"""Writes `docs/reference/` and `docs/llms.txt`: `python -m scripts.reference_pages`; `--check` only compares.

A page of the reference has every name that its package exports, and the names of public modules that guides use.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FURTHER = {
    "mistral_agents": {
        "Conversations": "conversations",
        "History": "history",
        "Agents": "agents",
        "Libraries": "libraries",
        "Files": "files",
        "Embeddings": "embeddings",
        "Models": "models",
        "Connectors": "connector_api",
        "Batches": "batches",
        "Branch": "branches",
        "Comparison": "branches",
        "compare": "branches",
        "acompare": "branches",
        "cleanup": "cleanup",
        "acleanup": "cleanup",
        "Plan": "specs",
        "load_specs": "specs",
        "HandoffGraph": "graph",
        "Usage": "usage",
        "Rules": "confirmation",
        "EventReader": "events",
    },
    "langchain_mistral_agents": {
        "handoff_command": "handoffs",
        "handoff_graph": "handoffs",
        "InMemoryConversations": "threads",
        "SqliteConversations": "threads",
        "StoreConversations": "threads",
    },
    "llama_index_mistral_agents": {
        "MistralNeighbourPostprocessor": "postprocessor",
        "MistralLibraryToolSpec": "tools",
        "MistralSearchIndexVectorStore": "vector_store",
        "ConversationHistoryBlock": "memory",
    },
}
_MODULES = {"mistral_agents": ["mistral_agents.errors", "mistral_agents.retrieval.errors"]}
_INTRO = {
    "mistral_agents": "The client of the service. How it is used: [the foundation](../foundation.md).",
    "langchain_mistral_agents": "How it is used: [chat model](../langchain/chat-model.md) and the pages beside it.",
    "llama_index_mistral_agents": "How it is used: [LLM](../llama-index/llm.md) and the pages beside it.",
}
_NOTE = (
    "Options by name: [options](../options.md).\n\n<!-- Written by python -m scripts.reference_pages; do not edit. -->"
)


def find_home(package: str, name: str) -> str:
    """The full name of an exported object: where it is defined."""
    found: Any = getattr(importlib.import_module(package), name)
    home = getattr(found, "__module__", package)
    return f"{home}.{getattr(found, '__qualname__', name)}"


def render_reference(package: str) -> str:
    """The page of one package."""
    parts = [f"# `{package}`\n\n{_INTRO[package]}\n\n{_NOTE}\n"]
    exported = importlib.import_module(package).__all__
    homes = {name: find_home(package, name) for name in exported}
    homes |= {name: find_home(f"{package}.{module}", name) for name, module in FURTHER[package].items()}
    for name, home in homes.items():
        place = package if name in exported else f"{package}.{FURTHER[package][name]}"
        parts.append(f"## {name}\n\n`from {place} import {name}`\n\n::: {home}\n")
    parts += [f"## `{module}`\n\n::: {module}\n" for module in _MODULES.get(package, [])]
    return "\n".join(parts)


def _pages_of(entries: list[Any]) -> list[tuple[str, str]]:
    found = []
    for entry in entries:
        for title, value in entry.items():
            found += [(title, value)] if isinstance(value, str) else _pages_of(value)
    return found


def render_llms() -> str:
    """What a language model reads first: each page of the site in a line."""
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    parts = [f"# {config['site_name']}\n\n> {config['site_description']}\n"]
    for section in config["nav"]:
        for head, entries in section.items():
            rows = [f"- [{title}]({path}): {_summarize(_read_page(path))}" for title, path in _pages_of(entries)]
            parts.append(f"## {head}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _read_page(path: str) -> str:
    """The text of a page; of a notebook, which is made a page when the site is built, its first cell."""
    if not path.startswith("examples/"):
        return (DOCS / path).read_text(encoding="utf-8")
    notebook = json.loads((ROOT / path).with_suffix(".ipynb").read_text(encoding="utf-8"))
    return "".join(notebook["cells"][0]["source"])


def _summarize(page: str) -> str:
    """The first sentence below the title."""
    text = page.replace('--8<-- "CHANGELOG.md"', "# \n\nWhat changed, by version.")
    body = re.sub(r"\A#[^\n]*\n+", "", text)
    paragraph = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", body.split("\n\n")[0]).replace("\n", " ").strip()
    if not paragraph or paragraph[0] in "|`#":
        return re.sub(r"[#`]", "", text.split("\n")[0]).strip() + "."
    sentence = re.split(r"(?<=\.)\s", paragraph)[0]
    return sentence.removesuffix(":").removesuffix(".") + "."


def render_all() -> dict[Path, str]:
    """Every file that this writes."""
    pages = {DOCS / "reference" / f"{package}.md": render_reference(package) for package in FURTHER}
    return {**pages, DOCS / "llms.txt": render_llms()}


def main() -> int:
    """Write the files, or say whether they are current."""
    if "--check" in sys.argv:
        return int(any(path.read_text(encoding="utf-8") != text for path, text in render_all().items()))
    for package in FURTHER:
        (DOCS / "reference" / f"{package}.md").write_text(render_reference(package), encoding="utf-8")
    (DOCS / "llms.txt").write_text(render_llms(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
