"""`python -m scripts.soak [--turns N] [--seed S] [--minutes M]`: drive turns through faults, and judge them.

The stand-in runs in a process of its own, behind `spoil.Spoiler`. Each turn asks for a sum that no other turn asks for,
names its fault in its words, and goes through one of the surfaces. Afterwards the stand-in's record is read without
faults: a turn that was answered must be there once, one that failed at most once, and nothing twice.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import multiprocessing
import os
import platform
import random
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from langchain_core.messages import HumanMessage, message_chunk_to_message
from llama_index.core.llms import ChatMessage

from langchain_mistral_agents import ChatMistralAgent
from llama_index_mistral_agents import MistralAgentLLM
from mistral_agents import Conversation, MistralAgents, MistralAgentsError
from scripts.soak.spoil import FAULTS, MARK, serve

MODEL = "mistral-medium-latest"
TIMEOUT = 20.0  # seconds a turn may take; more is a hang
SAMPLE = 100  # turns between two looks at the memory
LANES = 6  # threads, and as many tasks on one event loop
VERDICTS = ("answered", "typed error", "lost", "doubled", "foreign", "text missing", "untyped", "hang")


@dataclass(slots=True)
class Outcome:
    """What became of one turn: the verdict and little else, since an error would hold the reply that it is about.

    Attributes:
        told: The error or the answer, in short, where it may have to be shown.
    """

    number: int
    fault: str
    surface: str
    verdict: str = ""
    told: str = ""


@dataclass(slots=True)
class Lane:
    """One user: a conversation of each surface, gone on with until it breaks."""

    client: MistralAgents
    random: random.Random
    kept: dict[str, Any] = field(default_factory=dict)


def _question(number: int, fault: str) -> str:
    return f"[{fault}/{number}] What is {number} + 1000000?"


def _answer_of(number: int) -> str:
    return str(number + 1_000_000)


# surfaces ---------------------------------------------------------------------------------------------------------


def _talk(lane: Lane, text: str, *, streamed: bool) -> str:
    talk = lane.kept.setdefault("talk", Conversation(lane.client, model=MODEL))
    if streamed:
        for _ in talk.stream(text):
            pass
        return talk.last_turn.text
    return talk.append(text).text


def _chat(lane: Lane, text: str, *, streamed: bool) -> str:
    model = ChatMistralAgent(model=MODEL, store=True, client=lane.client)
    history = [*lane.kept.get("chat", []), HumanMessage(text)]
    if streamed:
        chunks = list(model.stream(history))
        answer: Any = message_chunk_to_message(chunks[0] + chunks[1:])
    else:
        answer = model.invoke(history)
    lane.kept["chat"] = [*history, answer]
    return str(answer.text)


def _llm(lane: Lane, text: str, *, streamed: bool) -> str:
    model = MistralAgentLLM(model=MODEL, store=True, client=lane.client)
    history = [*lane.kept.get("llm", []), ChatMessage(content=text)]
    answer = list(model.stream_chat(history))[-1].message if streamed else model.chat(history).message
    lane.kept["llm"] = [*history, answer]
    return answer.content or ""


SURFACES: dict[str, Callable[[Lane, str], str]] = {
    "Conversation.append": lambda lane, text: _talk(lane, text, streamed=False),
    "Conversation.stream": lambda lane, text: _talk(lane, text, streamed=True),
    "ChatMistralAgent.invoke": lambda lane, text: _chat(lane, text, streamed=False),
    "ChatMistralAgent.stream": lambda lane, text: _chat(lane, text, streamed=True),
    "MistralAgentLLM.chat": lambda lane, text: _llm(lane, text, streamed=False),
    "MistralAgentLLM.stream_chat": lambda lane, text: _llm(lane, text, streamed=True),
}


async def _atalk(lane: Lane, text: str, *, streamed: bool) -> str:
    talk = lane.kept.setdefault("talk", Conversation(lane.client, model=MODEL))
    if streamed:
        async for _ in talk.astream(text):
            pass
        return talk.last_turn.text
    return (await talk.aappend(text)).text


async def _achat(lane: Lane, text: str, *, streamed: bool) -> str:
    model = ChatMistralAgent(model=MODEL, store=True, client=lane.client)
    history = [*lane.kept.get("chat", []), HumanMessage(text)]
    if streamed:
        chunks = [chunk async for chunk in model.astream(history)]
        answer: Any = message_chunk_to_message(chunks[0] + chunks[1:])
    else:
        answer = await model.ainvoke(history)
    lane.kept["chat"] = [*history, answer]
    return str(answer.text)


async def _allm(lane: Lane, text: str, *, streamed: bool) -> str:
    model = MistralAgentLLM(model=MODEL, store=True, client=lane.client)
    history = [*lane.kept.get("llm", []), ChatMessage(content=text)]
    if streamed:
        answer = [response async for response in await model.astream_chat(history)][-1].message
    else:
        answer = (await model.achat(history)).message
    lane.kept["llm"] = [*history, answer]
    return answer.content or ""


ASYNC_SURFACES: dict[str, Callable[[Lane, str], Any]] = {
    "Conversation.aappend": lambda lane, text: _atalk(lane, text, streamed=False),
    "Conversation.astream": lambda lane, text: _atalk(lane, text, streamed=True),
    "ChatMistralAgent.ainvoke": lambda lane, text: _achat(lane, text, streamed=False),
    "ChatMistralAgent.astream": lambda lane, text: _achat(lane, text, streamed=True),
    "MistralAgentLLM.achat": lambda lane, text: _allm(lane, text, streamed=False),
    "MistralAgentLLM.astream_chat": lambda lane, text: _allm(lane, text, streamed=True),
}


# driving ----------------------------------------------------------------------------------------------------------


class Drive:
    """Hands out turns until there are enough or the time is over, and keeps what became of them."""

    def __init__(self, turns: int, seconds: float, seed: int) -> None:
        self.outcomes: list[Outcome] = []
        self.memory: list[float] = []
        self._turns = turns
        self._until = time.monotonic() + seconds
        self._seed = seed
        self._count = 0
        self._lock = threading.Lock()

    def next_number(self) -> int | None:
        """The next turn's number; None at the end."""
        with self._lock:
            if self._count >= self._turns or time.monotonic() > self._until:
                return None
            self._count += 1
            return self._count

    def pick(self, lane: Lane, number: int, surfaces: dict[str, Any]) -> Outcome:
        """A fault (for two turns of three) and a surface."""
        fault = lane.random.choice(sorted(FAULTS)) if lane.random.random() < 0.67 else "none"
        return Outcome(number, fault, lane.random.choice(sorted(surfaces)))

    def note(self, lane: Lane, outcome: Outcome, began: float, met: str | BaseException) -> None:
        """Keep what became of a turn; a conversation that broke is left, so that the next turn begins another."""
        outcome.verdict = _judge_met(outcome.number, met)
        if time.monotonic() - began > TIMEOUT + 10:
            outcome.verdict = "hang"
        if outcome.verdict != "answered":
            outcome.told = type(met).__name__ if outcome.verdict == "typed error" else repr(met)[:300]
        if isinstance(met, BaseException) or lane.random.random() < 0.2:
            lane.kept.clear()
        with self._lock:
            self.outcomes.append(outcome)
            if len(self.outcomes) % SAMPLE == 0:
                self.memory.append(_memory())

    def run_thread(self, client: MistralAgents, lane_number: int) -> None:
        """One user in a thread."""
        lane = Lane(client, random.Random(f"{self._seed} thread {lane_number}"))
        while (number := self.next_number()) is not None:
            outcome, began = self.pick(lane, number, SURFACES), time.monotonic()
            try:
                met: str | BaseException = SURFACES[outcome.surface](lane, _question(number, outcome.fault))
            except Exception as error:  # noqa: BLE001 - the judge looks at its kind
                met = error
            self.note(lane, outcome, began, met)

    async def run_task(self, client: MistralAgents, lane_number: int) -> None:
        """One user as a task."""
        lane = Lane(client, random.Random(f"{self._seed} task {lane_number}"))
        while (number := self.next_number()) is not None:
            outcome, began = self.pick(lane, number, ASYNC_SURFACES), time.monotonic()
            try:
                met: str | BaseException = await ASYNC_SURFACES[outcome.surface](lane, _question(number, outcome.fault))
            except Exception as error:  # noqa: BLE001 - the judge looks at its kind
                met = error
            self.note(lane, outcome, began, met)


def judge(client: MistralAgents, outcomes: list[Outcome]) -> None:
    """Give each outcome its verdict, by what the stand-in has kept."""
    stored: Counter[int] = Counter()
    for info in client.conversations.list():
        for entry in client.conversations.get_history(info["id"]).entries:
            if entry.role == "user":
                stored.update(int(number) for _, number in MARK.findall(str(getattr(entry, "text", "")).encode()))
    for outcome in outcomes:
        outcome.verdict = _judge_stored(outcome, stored[outcome.number])


def _judge_met(number: int, met: str | BaseException) -> str:
    """What the caller met, before anybody knows what was stored."""
    if isinstance(met, BaseException):
        return "typed error" if isinstance(met, MistralAgentsError) else "untyped"
    sums = {word for word in met.replace(".", " ").split() if word.isdigit() and len(word) >= 7}
    if _answer_of(number) in sums or _answer_of(number) in met:
        return "answered"
    return "foreign" if sums else "text missing"


def _judge_stored(outcome: Outcome, stored: int) -> str:
    if outcome.verdict == "hang":
        return "hang"
    if stored > 1:
        return "doubled"
    met_an_answer = outcome.verdict not in ("typed error", "untyped")
    return "lost" if met_an_answer and stored == 0 else outcome.verdict


def _table(outcomes: list[Outcome]) -> str:
    rows: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        rows.setdefault(outcome.fault, Counter())[outcome.verdict] += 1
    lines = ["| fault | turns | " + " | ".join(VERDICTS) + " |", "|---" * (len(VERDICTS) + 2) + "|"]
    for name, counts in [*sorted(rows.items()), ("all", sum(rows.values(), Counter()))]:
        cells = " | ".join(str(counts[verdict]) for verdict in VERDICTS)
        lines.append(f"| {name} | {counts.total()} | {cells} |")
    return "\n".join(lines)


def _open_files() -> tuple[int, int]:
    """Open files, and the connections among them; -1 where the system does not list them."""
    if not os.path.isdir("/proc/self/fd"):
        return -1, -1
    held = list(filter(None, map(_read_link, os.listdir("/proc/self/fd"))))
    return len(held), sum(place.startswith("socket:") for place in held)


def _read_link(name: str) -> str | None:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:  # the file that listed the folder
        return None


def _count_left() -> tuple[int, int, float, int]:
    gc.collect()
    return *_open_files(), _memory(), threading.active_count()


def _describe_memory(samples: list[float]) -> str:
    """The mean of each half, without the first tenth, in which everything is loaded."""
    if len(samples) < 10:
        return "memory while driving: too few turns to tell"
    rest = samples[len(samples) // 10 :]
    halves = [rest[: len(rest) // 2], rest[len(rest) // 2 :]]
    first, second = (sum(half) / len(half) for half in halves)
    return f"memory while driving, mean of each half in MB: {first:.0f}, {second:.0f} ({second / first - 1:+.1%})"


def _memory() -> float:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return -1.0


def drive(turns: int, seconds: float, seed: int) -> tuple[list[Outcome], list[str]]:
    """Run, judge, and say what was left open."""
    ChatMistralAgent(model=MODEL), MistralAgentLLM(model=MODEL)  # loaded before threads race for LlamaIndex's imports
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=serve, args=(folder, theirs), daemon=True)
        process.start()
        base_url = mine.recv()
        try:
            client = MistralAgents(api_key="soak", base_url=base_url, timeout=TIMEOUT, max_retries=2)
            before = _count_left()
            run = Drive(turns, seconds, seed)
            with ThreadPoolExecutor(LANES + 1) as pool:
                lanes = [pool.submit(run.run_thread, client, number) for number in range(LANES)]
                lanes.append(pool.submit(lambda: asyncio.run(_run_tasks(run, base_url))))
                for lane in lanes:
                    lane.result()
            client.close()
            after = _count_left()
            judge(client, run.outcomes)
            client.close()
        finally:
            process.terminate()
            process.join(10)
    names = ("open files", "connections", "memory in MB", "threads")
    left = [f"{n}: {b:.0f} → {a:.0f}" for n, b, a in zip(names, before, after, strict=True)]
    return run.outcomes, [*left, _describe_memory(run.memory)]


async def _run_tasks(run: Drive, base_url: str) -> None:
    client = MistralAgents(api_key="soak", base_url=base_url, timeout=TIMEOUT, max_retries=2)
    await asyncio.gather(*(run.run_task(client, number) for number in range(LANES)))
    await client.aclose()


def main() -> int:
    """Drive, print, and fail where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=1_000_000, help="at most so many turns")
    parser.add_argument("--minutes", type=float, default=10.0, help="at most so many minutes")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    outcomes, left = drive(given.turns, given.minutes * 60, given.seed)
    packages = ", ".join(f"{name} {version(name)}" for name in ("mistralai", "langchain-core", "llama-index-core"))
    print(f"{len(outcomes)} turns in {time.monotonic() - began:.0f} s, seed {given.seed}; Python", end=" ")
    print(f"{platform.python_version()}, {packages}\n\n{_table(outcomes)}\n\n" + "; ".join(left))
    bad = [outcome for outcome in outcomes if outcome.verdict not in ("answered", "typed error")]
    for outcome in bad[:20]:
        print(f"{outcome.verdict}: {outcome.surface}, {outcome.fault}: {outcome.told}", file=sys.stderr)
    return int(bool(bad))


if __name__ == "__main__":
    raise SystemExit(main())
