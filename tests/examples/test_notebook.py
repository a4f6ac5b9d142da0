"""The notebook runs from top to bottom against the stand-in, and its kept outputs are those of such a run."""

from __future__ import annotations

import nbformat
import pytest

from scripts.notebook import FOLDER, execute, printed

NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
SAYS = {
    "quickstart.ipynb": (
        "the stand-in",
        "lit in 1887",
        "mean = 3865, median = 4035",
        "'connector'",
        "My name is Ada",
        "message.output",
        "ready  solar-cooperative-report-2025.pdf",
        "2,140 euros",
        "solar-cooperative-report-2025.pdf page 4",
    )
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs(monkeypatch, name):
    for variable in ("MISTRAL_API_KEY", "MISTRAL_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    done = "\n".join(printed(execute(FOLDER / name)))
    for words in SAYS[name]:
        assert words in done


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_its_outputs_are_kept(name):
    notebook = nbformat.read(FOLDER / name, as_version=4)
    kept = "\n".join(printed(notebook))
    for words in SAYS[name]:
        assert words in kept
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert str(FOLDER.parent) not in str(notebook)
    assert not [cell for cell in notebook.cells if "execution" in cell.metadata]
