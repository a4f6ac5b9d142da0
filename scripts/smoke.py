"""The wheel with each extra alone, in an environment of its own: what it imports, what it does, how large it is.

    python -m scripts.smoke [--wheel dist/mistral_agents-….whl] [--extra langchain …] [--write]

A stand-in is started from the same wheel. In each environment the README's blocks that need this extra are run, each by
itself, then a job that the README has no block for. `--write` puts the figures into `docs/install.md`. The exit code is
1 where an extra does not do what is said of it. Packages come from where pip is set up to look, pinned by
`constraints.txt`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "install.md"
MARKS = ("<!-- sizes: written by `make smoke WRITE=1` -->\n", "<!-- end of sizes -->\n")
NEEDS = re.compile(r"```python\n(# needs mistral-agents(?:\[([\w-]+)\])?\n.*?)```", re.DOTALL)
OUTSIDER = re.compile(r"```python\n(# tests/test_mine\.py .*?)```", re.DOTALL)

BASE = """
import importlib.util, sys
import mistral_agents
assert not [name for name in ("langchain_core", "llama_index", "starlette", "numpy") if importlib.util.find_spec(name)]
client = mistral_agents.MistralAgents(api_key="none", base_url="http://127.0.0.1:9", max_retries=0)
try:
    client.conversations.start("Hello", model="mistral-small-latest")
except mistral_agents.MistralAgentsError as error:
    assert "127.0.0.1:9" in str(error), error
"""
LANGCHAIN = """
import importlib.util, langchain_mistral_agents
assert importlib.util.find_spec("llama_index") is None
needs_more = {"MistralConversationMemory", "MistralConversationMiddleware", "MistralPortableMiddleware"}
[getattr(langchain_mistral_agents, name) for name in set(langchain_mistral_agents.__all__) - needs_more]
"""
LLAMA_INDEX = """
import importlib.util, llama_index_mistral_agents
assert importlib.util.find_spec("langchain_core") is None
[getattr(llama_index_mistral_agents, name) for name in llama_index_mistral_agents.__all__]
"""
RETRIEVAL = """
from mistral_agents import MistralAgents
client = MistralAgents()
library = client.libraries.create("smoke")
client.libraries.upload(library.id, ("kermor.txt", b"The lighthouse of Kermor was lit in 1887."))
client.libraries.wait_until_ready(library.id)
(hit,) = client.libraries.search(library.id, "When was the lighthouse lit?", top_k=1)
assert "1887" in hit.text
"""
STANDIN = """
import subprocess, sys
command = [sys.executable, "-I", "-m", "mistral_agents_server", "--port", "0"]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
    line = server.stdout.readline()
    server.terminate()
assert line.startswith("http://127.0.0.1:"), line
assert ("without pandas or matplotlib" in line) is LIGHT, line
"""
TOKENIZER = """
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
tokenizer = MistralTokenizer.v3(is_tekken=True).instruct_tokenizer.tokenizer
assert len(tokenizer.encode("The lighthouse of Kermor", bos=False, eos=False)) > 3
"""
SHOWN = """
from mistral_agents import MistralAgents
turn = MistralAgents().conversations.start("Hello", model="mistral-small-latest")
assert "<" in turn._repr_mimebundle_()["text/html"]
"""
CLI = """
import os, subprocess, sys
from pathlib import Path
command = Path(sys.executable).with_name("mistral-agents")
for line in (["--version"], ["doctor"], ["chat", "What is 6 * 7?"]):
    found = subprocess.run([command, *line], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
assert "42" in found.stdout
"""
EVERYTHING = """
import langchain_mistral_agents, llama_index_mistral_agents
for package in (langchain_mistral_agents, llama_index_mistral_agents):
    [getattr(package, name) for name in package.__all__]
"""
JOBS: dict[str, str] = {
    "": BASE,
    "langchain": LANGCHAIN,
    "llama-index": LLAMA_INDEX,
    "retrieval": RETRIEVAL,
    "server-core": STANDIN.replace("LIGHT", "True"),
    "server": STANDIN.replace("LIGHT", "False"),
    "tokenizer": TOKENIZER,
    "display": SHOWN,
    "notebook": SHOWN,
    "cli": CLI,
    "all": EVERYTHING,
}
KIT = ("server-core", "server", "all")
"""With these the kit works: an outsider's test file passes."""
FOREIGN = """
import sys
def test_of_somebody_who_never_heard_of_the_kit():
    assert "mistral_agents_server.testing.plugin" in sys.modules
    assert not [name for name in sys.modules if name.startswith(("mistralai", "pydantic", "mistral_agents_server.app"))]
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one extra."""

    extra: str
    packages: int
    megabytes: float
    done: str
    failed: bool

    def __str__(self) -> str:
        name = f"`[{self.extra}]`" if self.extra else "none"
        return f"| {name} | {self.packages} | {self.megabytes:.0f} | {'FAILED: ' if self.failed else ''}{self.done} |"


def _run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MISTRAL", "PYTHON"))}
    with tempfile.TemporaryDirectory() as nowhere:
        line = [str(part) for part in command]
        return subprocess.run(line, capture_output=True, text=True, env=clean | environment, cwd=nowhere)


def readme_blocks(extra: str) -> list[str]:
    """The Python of the README that needs this extra (all of it with `all`)."""
    found = NEEDS.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    return [block for block, needed in found if needed == extra or extra == "all"]


def outsider_file() -> str:
    """The file that somebody writes who installed the package and read "Test your chains"."""
    (text,) = OUTSIDER.findall((ROOT / "docs" / "testing.md").read_text(encoding="utf-8"))
    return str(text)


def install(wheel: Path, extra: str, folder: Path, *more: str) -> Path:
    """A new environment with the wheel and one extra; returns its Python.

    Raises:
        RuntimeError: It could not be installed.
    """
    home = folder / (extra or "base")
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    python = home / "bin" / "python"
    what = f"{wheel}[{extra}]" if extra else str(wheel)
    done = _run(python, "-m", "pip", "install", "--quiet", what, *more, "--constraint", ROOT / "constraints.txt")
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-800:])
    return python


def try_extra(wheel: Path, extra: str, folder: Path, base_url: str) -> Outcome:
    """Install the wheel with one extra into a new environment and do its jobs there."""
    try:
        python = install(wheel, extra, folder)
    except RuntimeError as error:
        return Outcome(extra, 0, 0, str(error), True)
    rows = _run(python, "-m", "pip", "list", "--format=freeze").stdout.splitlines()
    packages = sum(not row.startswith(("pip==", "setuptools==", "wheel==")) for row in rows)
    library = python.parents[1] / "lib"
    tools = ("pip", "setuptools", "__pycache__")
    files = [file for file in library.rglob("*") if file.is_file() and not any(name in file.parts for name in tools)]
    size = sum(file.stat().st_size for file in files) / 1e6
    service = {"MISTRAL_BASE_URL": base_url, "MISTRAL_API_KEY": "none"}
    blocks = readme_blocks(extra)
    for code in [*blocks, JOBS[extra]]:
        done = _run(python, "-I", "-c", code, **service)
        if done.returncode:
            return Outcome(extra, packages, size, done.stderr.strip()[-800:], True)
    what = [f"README: {len(blocks)} blocks" if len(blocks) > 1 else "README: a block"] if blocks else []
    what.append("its job")
    told = ""
    if extra in KIT:
        told = _run_tests(python, folder, outsider_file(), "3 passed")
        what.append("an outsider's tests")
    elif not extra:
        told = _run_tests(python, folder, FOREIGN, "1 passed")
        what.append("foreign tests beside the plugin")
    if told:
        return Outcome(extra, packages, size, told, True)
    return Outcome(extra, packages, size, ", ".join(what), False)


def _run_tests(python: Path, folder: Path, text: str, passed: str) -> str:
    """What fails of a file of tests, run by pytest with the plugin of the wheel; nothing when it passes."""
    file = folder / "tests" / "test_mine.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.with_name("pytest.ini").write_text("[pytest]\n", encoding="utf-8")  # or pytest takes one of a folder above
    added = _run(python, "-m", "pip", "install", "--quiet", "pytest", "--constraint", ROOT / "constraints.txt")
    if added.returncode:
        return added.stderr.strip()[-800:]
    done = _run(python, "-I", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", file.parent, file)
    return "" if done.returncode == 0 and passed in done.stdout else (done.stdout + done.stderr)[-800:]


def check_description(wheel: Path) -> list[str]:
    """Links of the description in the wheel that lead nowhere on a package index."""
    with zipfile.ZipFile(wheel) as opened:
        (name,) = [name for name in opened.namelist() if name.endswith(".dist-info/METADATA")]
        text = opened.read(name).decode()
    return [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith(("https://", "#"))]


def find_wheel() -> Path:
    """The newest wheel in `dist/`.

    Raises:
        SystemExit: There is none.
    """
    found = sorted((ROOT / "dist").glob("mistral_agents-*.whl"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SystemExit("There is no wheel in dist/: run `make dist` first.")
    return found[-1]


@contextmanager
def serve_standin(wheel: Path, folder: Path) -> Iterator[str]:
    """A stand-in from the wheel, for as long as it is needed; gives its address."""
    python = install(wheel, "server", folder / "standin")
    command = [str(python), "-I", "-m", "mistral_agents_server", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().split()[0]
        finally:
            server.terminate()


def write_table(lines: list[str]) -> None:
    """Put the table into its page, between the marks."""
    before, rest = PAGE.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    PAGE.write_text(f"{before}{MARKS[0]}\n" + "\n".join(lines) + f"\n\n{MARKS[1]}{after}", encoding="utf-8")


def main() -> int:
    """Try each extra and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path)
    parser.add_argument("--extra", action="append", choices=[*JOBS, "base"], help="only this one (may be repeated)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/install.md")
    given = parser.parse_args()
    wheel = (given.wheel if given.wheel is not None else find_wheel()).resolve()
    broken = check_description(wheel)
    lines = ["| extra | packages | MB | what was done |", "|---|---|---|---|"]
    print(f"{wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB, Python {sys.version}\n", *lines, sep="\n", flush=True)
    extras = ["" if name == "base" else name for name in given.extra] if given.extra else list(JOBS)
    failed = [f"links of the description: {broken}"] if broken else []
    with tempfile.TemporaryDirectory() as folder, serve_standin(wheel, Path(folder)) as base_url:
        for extra in extras:
            outcome = try_extra(wheel, extra, Path(folder), base_url)
            print(outcome, flush=True)
            lines.append(str(outcome))
            failed += [extra] if outcome.failed else []
    if given.write and not failed:
        write_table(lines)
    print("\n".join(failed), file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
