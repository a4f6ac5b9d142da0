"""The notebooks of `examples/`: `python -m scripts.notebook [NAME …]` makes them of their sources, with their outputs.

A source is a Python file of `examples/sources/` in the percent format that editors know: `# %%` begins a cell of code,
`# %% [markdown]` one of text. Without MISTRAL_API_KEY the notebooks start the stand-in themselves.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "examples"
SOURCES = FOLDER / "sources"
_CELL = re.compile(r"^# %%(.*)\n", re.MULTILINE)


def build(source: Path) -> Any:
    """The notebook of a source, not yet run; cells are numbered, so that a change of one changes one."""
    before, *parts = _CELL.split(source.read_text(encoding="utf-8"))
    if before.strip():
        raise ValueError(f"{source}: there is text before the first cell: {before[:40]!r}")
    cells = []
    for number, (kind, text) in enumerate(zip(parts[::2], parts[1::2], strict=True), 1):
        if kind.strip() == "[markdown]":
            lines = (line[2:] for line in text.strip("\n").splitlines())
            cell = nbformat.v4.new_markdown_cell("\n".join(lines))
        else:
            cell = nbformat.v4.new_code_cell(text.strip("\n"))
        cells.append({**cell, "id": f"cell-{number}"})
    return nbformat.from_dict({**nbformat.v4.new_notebook(), "cells": cells})


def list_sources() -> list[Path]:
    """The sources, by name."""
    return sorted(SOURCES.glob("*.py"))


def execute(notebook: Any) -> Any:
    """A notebook as it is after a run from top to bottom, in the folder where it lies.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed.
    """
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    ).execute()
    return notebook


def tidy(notebook: Any) -> Any:
    """Without what differs from run to run or machine to machine: times of cells, the version of Python, bars.

    What a cell streams becomes one piece.
    """
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = list(_join(output for output in cell.outputs if output.get("name") != "stderr"))
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return notebook


def _join(outputs: Iterator[Any]) -> Iterator[Any]:
    last = None
    for output in outputs:
        if last is not None and output.output_type == last.output_type == "stream":
            last.text += output.text
            continue
        if last is not None:
            yield last
        last = output
    if last is not None:
        yield last


def printed(notebook: Any) -> list[str]:
    """The text that each code cell put out, in order."""
    texts = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            streams = [output.text for output in cell.outputs if output.output_type == "stream"]
            values = [output.data.get("text/plain", "") for output in cell.outputs if "data" in output]
            texts.append("".join([*streams, *values]))
    return texts


def main(names: list[str]) -> None:
    """Make the notebooks anew, or those of these names."""
    for source in list_sources():
        if names and source.stem not in names:
            continue
        path = FOLDER / f"{source.stem}.ipynb"
        nbformat.write(tidy(execute(build(source))), path)
        print(path.relative_to(FOLDER.parent), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
