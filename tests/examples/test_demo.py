"""`make demo` does its job on the stand-in, and says in one sentence what is wrong with a folder it can't use."""

from __future__ import annotations

import io
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from fpdf import FPDF
from PIL import Image

from mistral_agents import MistralAgents

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return start(list(arguments), folder, {})


def start(arguments: list[str], folder: Path, service: dict[str, str]) -> subprocess.CompletedProcess[str]:
    hidden = ("MISTRAL_API_KEY", "MISTRAL_BASE_URL")
    environment = {key: value for key, value in os.environ.items() if key not in hidden} | service
    command = [sys.executable, str(DEMO), "--out", str(folder / "out"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)


@pytest.mark.timeout(300)
def test_the_demo_does_its_job(tmp_path):
    done = run(folder=tmp_path)
    assert done.returncode == 0, done.stderr
    out = done.stdout
    for words in ("mean = 3865", "median = 4035", "Lighthouse", "Ada", "SQL", "NoSQL", "6350", ", page "):
        assert words in out, words
    (plot,) = (tmp_path / "out").glob("*.png")
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert str(plot) in out.replace("\n   ", "")
    assert re.search(r"conv_[0-9a-f]{32}", out.rpartition("Done")[2])
    assert "Traceback" not in done.stderr


def left_on(base_url: str) -> list[str]:
    """What there is on a service."""
    with MistralAgents(api_key="a-key", base_url=base_url) as client:
        resources = (client.libraries, client.agents, client.conversations)
        return [str(found["id"]) for resource in resources for found in resource.list()]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fails", [False, True])
def test_any_folder_will_do_and_with_a_key_what_was_made_is_deleted(tmp_path, standin_factory, fails):
    service = standin_factory()
    (tmp_path / "boats.md").write_text("# Boats\n\nThe rescue boat of Kermor is called Blue Heron.\n")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7\nnot a page in it")
    if fails:
        service.faults.answer(422, path="/restart")
    live = {"MISTRAL_API_KEY": "a-key", "MISTRAL_BASE_URL": service.base_url}
    done = start(["--docs", str(tmp_path), "--question", "What is the rescue boat called?"], tmp_path, live)
    assert done.returncode == (1 if fails else 0), done.stderr
    assert "broken.pdf could not be processed" in done.stdout
    assert "it is no PDF that can be read" in done.stdout
    assert fails or "A: The rescue boat of Kermor is called Blue Heron." in done.stdout
    assert ("error: " in done.stderr) is fails
    assert left_on(service.base_url) == []
    assert len([seen for seen in service.faults.requests if seen.method == "DELETE"]) == (3 if fails else 5)


@pytest.mark.parametrize(
    ("made", "says"), [(None, "docs: there is no such folder"), ("a.bin", "no document there; the demo reads .md, ")]
)
def test_a_folder_it_cannot_use(monkeypatch, tmp_path, made, says):
    if made is not None:
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs" / made).write_bytes(b"\x00")
    monkeypatch.setattr(sys, "argv", ["demo.py", "--docs", str(tmp_path / "docs"), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match=says):
        runpy.run_path(str(DEMO), run_name="__main__")
    assert not (tmp_path / "out").exists()


@pytest.mark.timeout(120)
def test_a_folder_of_broken_documents(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "broken.pdf").write_bytes(b"%PDF-1.7\nnot a page in it")
    done = run("--docs", str(tmp_path / "docs"), folder=tmp_path)
    assert done.returncode != 0
    assert "could not be processed" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.timeout(120)
def test_scanned_pages_are_named(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "mixed.pdf").write_bytes(mixed_pdf())
    done = run("--docs", str(tmp_path / "docs"), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "mixed.pdf: Page 2 is a picture (a scan)" in " ".join(done.stdout.split())


def mixed_pdf() -> bytes:
    made, scan = FPDF(), io.BytesIO()
    Image.new("RGB", (40, 60), (200, 200, 200)).save(scan, "PNG")
    made.set_font("helvetica", size=12)
    made.add_page()
    made.multi_cell(0, 8, "The lifeboat of Kermor is called Blue Heron. It was built in 1998.")
    made.add_page()
    made.image(scan, x=0, y=0, w=210, h=297)
    return bytes(made.output())
