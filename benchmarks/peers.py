"""What ChatOpenAI, ChatMistralAI and ChatMistralAgent keep and lose: `python -m benchmarks.peers`.

Each model talks to a loopback server that answers in its provider's format, with its default settings but for those
in `PEERS`. Every cell is what this run showed; a model that does not fail is said to hold.
"""

from __future__ import annotations

import asyncio
import copy
import importlib.util
import pickle
import platform
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from importlib.metadata import PackageNotFoundError, version
from operator import add
from typing import Any

from benchmarks._peer_server import APART, HOSTS, NUMBERS, TOGETHER, peer_server
from benchmarks._table import Section

RUNS = 3
ROUNDS = 7
OURS = "ChatMistralAgent"
_QUESTION = "When did it rain?"
_VERSIONS = (
    "mistral-agents",
    "langchain-core",
    "langchain-openai",
    "openai",
    "langchain-mistralai",
    "mistralai",
    "httpx",
)
_TIMED = """
import time
begun = time.process_time()
{statement}
imported = time.process_time()
{expression}.invoke({question!r})
print(imported - begun, time.process_time() - begun)
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """One chat model.

    Attributes:
        name: Its class.
        module: The package it comes from.
        settings: The arguments it is made with; `{url}` is the server's address, `{model}` an answer of its.
        marks: What marks each source in the answer it gets.
    """

    name: str
    module: str
    settings: str
    marks: tuple[str, ...]

    @property
    def statement(self) -> str:
        """The import."""
        return f"from {self.module} import {self.name}"

    def expression(self, url: str, model: str) -> str:
        """The call that makes it."""
        return f"{self.name}({self.settings.format(url=url, model=model)})"

    def make(self, url: str, model: str = TOGETHER) -> Any:
        """The model."""
        names: dict[str, Any] = {}
        exec(self.statement, names)
        return eval(self.expression(url, model), names)


PEERS = (
    Peer(
        "ChatOpenAI",
        "langchain_openai",
        "model='{model}', api_key='k', base_url='{url}/v1', use_responses_api=True",
        HOSTS,
    ),
    Peer("ChatMistralAI", "langchain_mistralai", "model='{model}', api_key='k', base_url='{url}/v1'", NUMBERS),
    Peer(OURS, "langchain_mistral_agents", "model='{model}', api_key='k', base_url='{url}'", HOSTS),
)


@dataclass(slots=True)
class Outcome:
    """What one model did in one trial.

    Attributes:
        text: The cell.
        holds: Whether nothing was lost; None where there is nothing to lose.
    """

    text: str
    holds: bool | None


@dataclass(slots=True)
class Claim:
    """One row: what was tried, and each model's outcome by name."""

    title: str
    outcomes: dict[str, Outcome] = field(default_factory=dict)


def _root(error: BaseException) -> str:
    """The first error of a chain of them, in one line."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _kept(peer: Peer, message: Any) -> Outcome:
    """How many sources are named anywhere in the message: the most generous count."""
    said = f"{message.content_blocks} {message.model_dump()}"
    count = sum(mark in said for mark in peer.marks)
    return Outcome(f"{count} of {len(peer.marks)}", count == len(peer.marks))


def _invoked(model: Any) -> Any:
    return model.invoke(_QUESTION)


def _streamed(model: Any) -> Any:
    return reduce(add, model.stream(_QUESTION))


def _events(model: Any) -> Any:
    return model.stream_events(_QUESTION, version="v3").output


def _citations(road: Callable[[Any], Any], model: str) -> Callable[[Peer, str], Outcome]:
    return lambda peer, url: _kept(peer, road(peer.make(url, model)))


def _loops(peer: Peer, url: str) -> Outcome:
    """One model, several `asyncio.run`, connections kept open in between."""
    model = peer.make(url)
    failures: dict[int, str] = {}
    for run in range(1, RUNS + 1):
        try:
            asyncio.run(model.ainvoke(_QUESTION))
        except Exception as error:  # noqa: BLE001 (whatever it is, it is the result)
            failures[run] = _root(error)
    told = "".join(f"; run {run}: `{failure}`" for run, failure in failures.items())
    return Outcome(f"{RUNS - len(failures)} of {RUNS}{told}", not failures)


def _copied(peer: Peer, url: str, duplicate: Callable[[Any], Any]) -> Outcome:
    """Copy a model that has been used, and use the copy."""
    model = peer.make(url)
    model.invoke(_QUESTION)
    try:
        duplicate(model).invoke(_QUESTION)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is the result)
        return Outcome(f"`{_root(error)}`", False)
    return Outcome("works", True)


def _pickled(peer: Peer, url: str) -> Outcome:
    return _copied(peer, url, lambda model: pickle.loads(pickle.dumps(model)))


def _deep(peer: Peer, url: str) -> Outcome:
    return _copied(peer, url, copy.deepcopy)


_TRIALS: tuple[tuple[str, Callable[[Peer, str], Outcome]], ...] = (
    ("citations by `invoke`", _citations(_invoked, TOGETHER)),
    ("citations by `stream`, chunks added", _citations(_streamed, TOGETHER)),
    ("citations by `stream_events`, v3", _citations(_events, TOGETHER)),
    ("the same, text between the citations", _citations(_events, APART)),
    (f"{RUNS} `asyncio.run`, one model, keep-alive", _loops),
    ("`pickle` and use", _pickled),
    ("`copy.deepcopy` and use", _deep),
)


def _tried(trial: Callable[[Peer, str], Outcome], peer: Peer, url: str) -> Outcome:
    try:
        return trial(peer, url)
    except Exception as error:  # noqa: BLE001 (a model that raises where none should is a result too)
        return Outcome(f"`{_root(error)}`", False)


def _import_seconds(peer: Peer, url: str) -> tuple[float, float]:
    """CPU seconds of the import, and of all up to the first answer, in a process of its own."""
    code = _TIMED.format(statement=peer.statement, expression=peer.expression(url, TOGETHER), question=_QUESTION)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported, answered = done.stdout.split()
    return float(imported), float(answered)


def _imports(peers: list[Peer], url: str, rounds: int) -> list[Claim]:
    """Medians over rounds in which the models take turns; the first round, which compiles, does not count."""
    taken: dict[str, list[tuple[float, float]]] = {peer.name: [] for peer in peers}
    for turn in range(rounds + 1):
        for peer in peers:
            seconds = _import_seconds(peer, url)
            if turn:
                taken[peer.name].append(seconds)
    claims = [Claim("CPU of the import (ratio to ours)"), Claim("CPU up to the first answer (ratio to ours)")]
    for place, claim in enumerate(claims):
        medians = {name: statistics.median(times[place] for times in each) for name, each in taken.items()}
        for name, seconds in medians.items():
            claim.outcomes[name] = Outcome(f"{seconds * 1000:.0f} ms ({seconds / medians[OURS]:.2f})", None)
    return claims


def installed() -> tuple[list[Peer], list[str]]:
    """The models that can be tried here, and a line for each that can't."""
    here = [peer for peer in PEERS if importlib.util.find_spec(peer.module) is not None]
    missing = [peer for peer in PEERS if peer not in here]
    return here, [f"{peer.name} was not tried: `{peer.module}` is not installed." for peer in missing]


def measure(peers: list[Peer], *, rounds: int = ROUNDS) -> list[Claim]:
    """Try everything with every model."""
    with peer_server() as url, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        claims = [Claim(title, {p.name: _tried(trial, p, url) for p in peers}) for title, trial in _TRIALS]
        return [*claims, *_imports(peers, url, rounds)]


def _verdict(peer: Peer, claims: list[Claim]) -> str:
    """One line: in how many trials it held, and which it failed."""
    tried = [claim for claim in claims if claim.outcomes[peer.name].holds is not None]
    failed = [claim.title for claim in tried if not claim.outcomes[peer.name].holds]
    told = f" Failed: {'; '.join(failed)}." if failed else " Failed: nothing."
    return f"- {peer.name} held in {len(tried) - len(failed)} of {len(tried)}.{told}"


def section(*, rounds: int = ROUNDS) -> Section:
    """Everything tried, a row per trial and a column per model."""
    peers, notes = installed()
    claims = measure(peers, rounds=rounds)
    rows = [[claim.title, *(claim.outcomes[peer.name].text for peer in peers)] for claim in claims]
    verdicts = [_verdict(peer, claims) for peer in peers]
    return Section("Side by side", ["tried", *(peer.name for peer in peers)], rows, [*verdicts, *notes])


def _versions() -> str:
    told = [f"Python {platform.python_version()}"]
    for name in _VERSIONS:
        try:
            told.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(told)


if __name__ == "__main__":
    print(f"# Peers\n\n{_versions()}\n", flush=True)
    print(section().markdown())
