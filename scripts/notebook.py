"""Executes the notebooks of `examples/`: `python -m scripts.notebook` runs each and keeps its outputs.

Without MISTRAL_API_KEY the notebooks start the stand-in themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "examples"


def execute(path: Path) -> Any:
    """A notebook as it is after a run from top to bottom, in the folder where it lies.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    return notebook


def tidy(notebook: Any) -> Any:
    """Without what differs from run to run or machine to machine: times of cells, the version of Python."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return notebook


def printed(notebook: Any) -> list[str]:
    """The text that each code cell put out, in order."""
    texts = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            streams = [output.text for output in cell.outputs if output.output_type == "stream"]
            values = [output.data.get("text/plain", "") for output in cell.outputs if "data" in output]
            texts.append("".join([*streams, *values]))
    return texts


def main() -> None:
    """Run every notebook and write it back."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        nbformat.write(tidy(execute(path)), path)
        print(path)


if __name__ == "__main__":
    main()
