"""The wheel with each extra alone, in an environment of its own: what it imports, what it does, how large it is.

    python -m scripts.smoke [--wheel dist/mistral_agents-….whl] [--extra langchain …]

Prints a Markdown table; the exit code is 1 where an extra does not do what the README says of it. Packages come from
where pip is set up to look, pinned by `constraints.txt`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent

BASE = """
import mistral_agents
client = mistral_agents.MistralAgents(api_key="none", base_url="http://127.0.0.1:9")
try:
    client.conversations.start("Hello", model="mistral-small-latest")
except mistral_agents.MistralAgentsError as error:
    print(type(error).__name__)
"""
LANGCHAIN = """
import sys
from langchain_mistral_agents import ChatMistralAgent
from mistral_agents import WebSearch
ChatMistralAgent(model="mistral-small-latest").bind_tools([WebSearch()])
assert "llama_index" not in sys.modules
print("ChatMistralAgent")
"""
LLAMA_INDEX = """
import sys
from llama_index_mistral_agents import MistralAgentLLM, MistralLibraryRetriever
MistralAgentLLM(model="mistral-small-latest", api_key="none")
assert "langchain_core" not in sys.modules
print("MistralAgentLLM")
"""
RETRIEVAL = """
from mistral_agents.retrieval.analysis import Analyzer
print(Analyzer("english").terms("lighthouses")[0])
"""
SERVER = """
import subprocess, sys
found = subprocess.run([sys.executable, "-m", "mistral_agents_server", "--help"], capture_output=True, text=True)
assert found.returncode == 0, found.stderr
print("mistral_agents_server")
"""
CLI = """
import subprocess, sys
found = subprocess.run([sys.executable, "-m", "mistral_agents.cli", "--version"], capture_output=True, text=True)
assert found.returncode == 0, found.stderr
print(found.stdout)
"""
JOBS: dict[str, str] = {
    "": BASE,
    "langchain": LANGCHAIN,
    "llama-index": LLAMA_INDEX,
    "retrieval": RETRIEVAL,
    "server": SERVER,
    "notebook": BASE,
    "cli": CLI,
    "all": LANGCHAIN.replace('assert "llama_index" not in sys.modules\n', ""),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one extra."""

    extra: str
    packages: int
    megabytes: float
    said: str
    failed: bool

    def __str__(self) -> str:
        name = f"[{self.extra}]" if self.extra else "(none)"
        return f"| {name} | {self.packages} | {self.megabytes:.0f} | {'FAILED: ' if self.failed else ''}{self.said} |"


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


def try_extra(wheel: Path, extra: str, folder: Path) -> Outcome:
    """Install the wheel with one extra into a new environment and do its job there."""
    home = folder / (extra or "base")
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    python = home / "bin" / "python"
    what = f"{wheel}[{extra}]" if extra else str(wheel)
    installed = _run(python, "-m", "pip", "install", "--quiet", what, "--constraint", ROOT / "constraints.txt")
    if installed.returncode:
        return Outcome(extra, 0, 0, (installed.stderr.strip().splitlines() or ["no message"])[-1], True)
    rows = _run(python, "-m", "pip", "list", "--format=freeze").stdout.splitlines()
    packages = sum(not row.startswith(("pip==", "setuptools==", "wheel==")) for row in rows)
    size = sum(file.stat().st_size for file in (home / "lib").rglob("*") if file.is_file()) / 1e6
    done = _run(python, "-I", "-c", JOBS[extra])
    text = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return Outcome(extra, packages, size, text[-1] if text else "no output", done.returncode != 0)


def find_wheel() -> Path:
    """The newest wheel in `dist/`.

    Raises:
        SystemExit: There is none.
    """
    found = sorted((ROOT / "dist").glob("mistral_agents-*.whl"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SystemExit("There is no wheel in dist/: run `make dist` first.")
    return found[-1]


def main() -> int:
    """Try each extra and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheel", type=Path)
    parser.add_argument("--extra", action="append", choices=sorted(JOBS), help="only this one (may be repeated)")
    given = parser.parse_args()
    wheel = (given.wheel if given.wheel is not None else find_wheel()).resolve()
    print(
        f"{wheel.name}, Python {sys.version.split()[0]}\n\n| extra | packages | MB | does |\n|---|---|---|---|",
        flush=True,
    )
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for extra in given.extra if given.extra is not None else list(JOBS):
            outcome = try_extra(wheel, extra, Path(folder))
            print(outcome, flush=True)
            failed = failed or outcome.failed
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
