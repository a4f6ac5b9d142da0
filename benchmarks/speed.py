"""The goals of speed, each a ratio within this run: events, short calls, imports, many streams at once.

CPU is the process's own, as in `benchmarks.turns`. An import is a new process that has its compiled modules; what it
takes is its CPU beside that of importing LangChain's base class alone, at the top of a script and at further depths of
the stack: which depth is an unlucky one for CPython is chance, and a user's own may be any. Many streams are those of
one loop in this process.
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from typing import Any

from benchmarks._server import prepared_server
from benchmarks._table import Missing, Section
from benchmarks.turns import LARGE, Road, list_roads, measure_roads

EVENTS = 2000
CALLS = 100
ROUNDS = 9
MANY = 64
IMPORTS = 3
DEPTHS = range(0, 40, 4)
_BASE = "from langchain_core.language_models import BaseChatModel"
_WING = "from langchain_mistral_agents import ChatMistralAgent"
_PEER = "from langchain_mistralai import ChatMistralAI"
_TIMED = """
import time

def measure(depth):
    if depth:
        return measure(depth - 1)
    before = time.process_time()
    exec({code!r})
    return time.process_time() - before

print(measure({depth}))
"""


def _measure_imports(rounds: int) -> dict[str, list[float]]:
    """Median CPU seconds of each import at each depth of the stack, in turns."""
    with tempfile.TemporaryDirectory() as cache:
        # Compiled modules are kept here, whatever this process was told: a wheel's are compiled when it is installed.
        settings = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        settings.pop("PYTHONDONTWRITEBYTECODE", None)

        def measure(code: str, depth: int) -> float:
            command = [sys.executable, "-c", _TIMED.format(code=code, depth=depth)]
            return float(subprocess.run(command, env=settings, capture_output=True, text=True, check=True).stdout)

        codes = (_BASE, _WING, _PEER)
        for code in codes:
            measure(code, 0)  # compiles
        found = {depth: [[measure(code, depth) for code in codes] for _ in range(rounds)] for depth in DEPTHS}
    medians = [[statistics.median(column) for column in zip(*found[depth], strict=True)] for depth in DEPTHS]
    return dict(zip(codes, map(list, zip(*medians, strict=True)), strict=True))


def _make_model(kind: str, base_url: str) -> Any:
    if kind == "ChatMistralAgent":
        from langchain_mistral_agents import ChatMistralAgent

        return ChatMistralAgent(model=LARGE, api_key="bench", base_url=base_url)
    from langchain_mistralai import ChatMistralAI

    return ChatMistralAI(model=LARGE, api_key="bench", base_url=f"{base_url}/v1")


async def count_streams(kind: str, streams: int, base_url: str) -> int:
    """The chunks of so many streams at once."""
    model = _make_model(kind, base_url)

    async def count() -> int:
        return sum([1 async for _ in model.astream("What is 3 + 4?")])

    return sum(await asyncio.gather(*(count() for _ in range(streams))))


def _measure_many(kind: str, base_url: str, rounds: int) -> float:
    """CPU per event of many streams at once, to that of one alone: the median of the rounds' ratios."""
    ratios: list[float] = []
    for place in range(rounds + 1):
        costs = []
        for streams, repeats in ((1, 8), (MANY, 1)):
            before = time.process_time()
            count = sum(asyncio.run(count_streams(kind, streams, base_url)) for _ in range(repeats))
            costs.append((time.process_time() - before) / count)
        if place:
            ratios.append(costs[1] / costs[0])
    return statistics.median(ratios)


def _compare_imports(costs: dict[str, list[float]], code: str) -> float:
    return sum(costs[code]) / sum(costs[_BASE])


def _row(what: str, ratio: float, goal: float) -> list[str]:
    return [what, f"{ratio:.3f}", f"{goal:.3f}", "reached" if ratio <= goal else "missed"]


def _compare_roads(roads: list[Road]) -> list[list[str]]:
    by_name = {road.name.partition(" (")[0]: road for road in roads}
    if not {"mistralai SDK", "ChatMistralAgent", "MistralAgentLLM", "ChatMistralAI"} <= by_name.keys():
        raise Missing(f"all roads are needed, here are {', '.join(by_name)}.")

    def compare(one: str, other: str, column: str) -> float:
        """The median of the rounds' ratios: both were measured one right after the other."""
        return statistics.median(
            mine / theirs
            for mine, theirs in zip(by_name[one].seconds[column], by_name[other].seconds[column], strict=True)
        )

    return [
        _row("event, `ChatMistralAgent.stream` to the SDK", compare("ChatMistralAgent", "mistralai SDK", LARGE), 0.045),
        _row("the same to ChatMistralAI", compare("ChatMistralAgent", "ChatMistralAI", LARGE), 1.0),
        _row("short `invoke`, to ChatMistralAI", compare("ChatMistralAgent", "ChatMistralAI", "call"), 0.9),
        _row("event, LlamaIndex `stream_chat` to the SDK", compare("MistralAgentLLM", "mistralai SDK", LARGE), 0.045),
    ]


def section(*, events: int = EVENTS, rounds: int = ROUNDS, calls: int = CALLS, imports: int = IMPORTS) -> Section:
    """The ratios, each beside its goal."""
    with prepared_server(events) as base_url, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        roads, notes = list_roads(base_url)
        gc.collect()
        gc.freeze()  # what was imported is not looked through again at each collection, whoever causes it
        measure_roads(roads, rounds, calls)
        rows = _compare_roads(roads)
        many, peers = (
            _measure_many(kind, base_url, max(1, rounds // 3)) for kind in ("ChatMistralAgent", "ChatMistralAI")
        )
    costs = _measure_imports(imports)
    rows.append(_row("import of `ChatMistralAgent`, to the base class alone", _compare_imports(costs, _WING), 1.08))
    at_top = costs[_WING][0] / costs[_BASE][0]
    rows.append(_row("the same at the top of a script only", at_top, 1.08))
    rows.append(_row(f"{MANY} streams at once on one loop, CPU per event, to one alone", many, 1.15))
    return Section(
        f"Speed: ratios of CPU (median of {rounds} rounds, {events} events, {calls} calls)",
        ["what", "ratio", "goal", ""],
        rows,
        [
            f"Imports: the sum over {len(DEPTHS)} depths of the stack, {DEPTHS[0]} to {DEPTHS[-1]} calls deep.",
            f"ChatMistralAI: import {_compare_imports(costs, _PEER):.3f}, {MANY} streams at once {peers:.3f}.",
            *notes,
        ],
    )
