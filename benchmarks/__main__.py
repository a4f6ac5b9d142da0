"""Prints the benchmark: `python -m benchmarks` for all sections, `python -m benchmarks turns` for some."""

from __future__ import annotations

import argparse
import importlib
import platform
import sys

from benchmarks._table import Missing, Section

SECTIONS = {
    "turns": "benchmarks.turns",
    "speed": "benchmarks.speed",
    "retrieval": "benchmarks.retrieval",
    "cost": "benchmarks.retrieval_cost",
    "memory": "benchmarks.retrieval_memory",
    "size": "benchmarks.retrieval_scale",
}
"""A section's name and its module, whose `section()` returns a `Section` or raises `Missing`."""


def _printed(name: str) -> str:
    try:
        section: Section = importlib.import_module(SECTIONS[name]).section()
    except Missing as missing:
        return f"## {name}\n\nNot measured: {missing}"
    return section.markdown()


def main() -> None:
    """Run the sections asked for and print them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS], help="which to run; all without an argument")
    names = parser.parse_args().sections or list(SECTIONS)
    print(f"# Benchmark\n\nPython {platform.python_version()} on {platform.machine()}\n", flush=True)
    for name in names:
        print(_printed(name), end="\n\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
