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
LANES = 6  # threads, and as many tasks on one event loop
VERDICTS = ("answered", "typed error", "lost", "doubled", "foreign", "text missing", "untyped", "hang")


@dataclass(slots=True)
class Outcome:
    """What became of one turn."""

    number: int
    fault: str
    surface: str
    text: str | None = None
    error: BaseException | None = None
    conversation_id: str | None = None
    seconds: float = 0.0
    verdict: str = ""


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


def _talk(lane: Lane, text: str, *, streamed: bool) -> tuple[str, str | None]:
    talk = lane.kept.setdefault("talk", Conversation(lane.client, model=MODEL))
    if streamed:
        for _ in talk.stream(text):
            pass
        return talk.last_turn.text, talk.id
    return talk.append(text).text, talk.id


def _chat(lane: Lane, text: str, *, streamed: bool) -> tuple[str, str | None]:
    model = ChatMistralAgent(model=MODEL, store=True, client=lane.client)
    history = [*lane.kept.get("chat", []), HumanMessage(text)]
    if streamed:
        chunks = list(model.stream(history))
        answer: Any = message_chunk_to_message(chunks[0] + chunks[1:])
    else:
        answer = model.invoke(history)
    lane.kept["chat"] = [*history, answer]
    return str(answer.text), answer.response_metadata["conversation_id"]


def _llm(lane: Lane, text: str, *, streamed: bool) -> tuple[str, str | None]:
    model = MistralAgentLLM(model=MODEL, store=True, client=lane.client)
    history = [*lane.kept.get("llm", []), ChatMessage(content=text)]
    answer = list(model.stream_chat(history))[-1].message if streamed else model.chat(history).message
    lane.kept["llm"] = [*history, answer]
    return answer.content or "", answer.additional_kwargs["conversation_id"]


SURFACES: dict[str, Callable[[Lane, str], tuple[str, str | None]]] = {
    "Conversation.append": lambda lane, text: _talk(lane, text, streamed=False),
    "Conversation.stream": lambda lane, text: _talk(lane, text, streamed=True),
    "ChatMistralAgent.invoke": lambda lane, text: _chat(lane, text, streamed=False),
    "ChatMistralAgent.stream": lambda lane, text: _chat(lane, text, streamed=True),
    "MistralAgentLLM.chat": lambda lane, text: _llm(lane, text, streamed=False),
    "MistralAgentLLM.stream_chat": lambda lane, text: _llm(lane, text, streamed=True),
}


async def _atalk(lane: Lane, text: str, *, streamed: bool) -> tuple[str, str | None]:
    talk = lane.kept.setdefault("talk", Conversation(lane.client, model=MODEL))
    if streamed:
        async for _ in talk.astream(text):
            pass
        return talk.last_turn.text, talk.id
    return (await talk.aappend(text)).text, talk.id


async def _achat(lane: Lane, text: str, *, streamed: bool) -> tuple[str, str | None]:
    model = ChatMistralAgent(model=MODEL, store=True, client=lane.client)
    history = [*lane.kept.get("chat", []), HumanMessage(text)]
    if streamed:
        chunks = [chunk async for chunk in model.astream(history)]
        answer: Any = message_chunk_to_message(chunks[0] + chunks[1:])
    else:
        answer = await model.ainvoke(history)
    lane.kept["chat"] = [*history, answer]
    return str(answer.text), answer.response_metadata["conversation_id"]


async def _allm(lane: Lane, text: str, *, streamed: bool) -> tuple[str, str | None]:
    model = MistralAgentLLM(model=MODEL, store=True, client=lane.client)
    history = [*lane.kept.get("llm", []), ChatMessage(content=text)]
    if streamed:
        answer = [response async for response in await model.astream_chat(history)][-1].message
    else:
        answer = (await model.achat(history)).message
    lane.kept["llm"] = [*history, answer]
    return answer.content or "", answer.additional_kwargs["conversation_id"]


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

    def note(self, lane: Lane, outcome: Outcome, began: float) -> None:
        """Keep an outcome; a conversation that broke is left, so that the next turn begins another."""
        outcome.seconds = time.monotonic() - began
        if outcome.error is not None:
            outcome.conversation_id = getattr(outcome.error, "conversation_id", None)
            lane.kept.clear()
        elif lane.random.random() < 0.2:
            lane.kept.clear()
        with self._lock:
            self.outcomes.append(outcome)

    def run_thread(self, client: MistralAgents, lane_number: int) -> None:
        """One user in a thread."""
        lane = Lane(client, random.Random(f"{self._seed} thread {lane_number}"))
        while (number := self.next_number()) is not None:
            outcome, began = self.pick(lane, number, SURFACES), time.monotonic()
            try:
                text = _question(number, outcome.fault)
                outcome.text, outcome.conversation_id = SURFACES[outcome.surface](lane, text)
            except Exception as error:  # noqa: BLE001 - the judge looks at its kind
                outcome.error = error
            self.note(lane, outcome, began)

    async def run_task(self, client: MistralAgents, lane_number: int) -> None:
        """One user as a task."""
        lane = Lane(client, random.Random(f"{self._seed} task {lane_number}"))
        while (number := self.next_number()) is not None:
            outcome, began = self.pick(lane, number, ASYNC_SURFACES), time.monotonic()
            try:
                text = _question(number, outcome.fault)
                outcome.text, outcome.conversation_id = await ASYNC_SURFACES[outcome.surface](lane, text)
            except Exception as error:  # noqa: BLE001 - the judge looks at its kind
                outcome.error = error
            self.note(lane, outcome, began)


def judge(client: MistralAgents, outcomes: list[Outcome]) -> None:
    """Give each outcome its verdict, by what the stand-in has kept."""
    stored: Counter[int] = Counter()
    for info in client.conversations.list():
        for entry in client.conversations.get_history(info["id"]).entries:
            if entry.role == "user":
                stored.update(int(number) for _, number in MARK.findall(str(getattr(entry, "text", "")).encode()))
    for outcome in outcomes:
        outcome.verdict = _verdict(outcome, stored[outcome.number])


def _verdict(outcome: Outcome, stored: int) -> str:
    if outcome.seconds > TIMEOUT + 10:
        return "hang"
    if stored > 1:
        return "doubled"
    if outcome.error is not None:
        return "typed error" if isinstance(outcome.error, MistralAgentsError) else "untyped"
    if stored == 0:
        return "lost"
    sums = {word for word in (outcome.text or "").replace(".", " ").split() if word.isdigit() and len(word) >= 7}
    if _answer_of(outcome.number) in sums or _answer_of(outcome.number) in (outcome.text or ""):
        return "answered"
    return "foreign" if sums else "text missing"


def _table(outcomes: list[Outcome]) -> str:
    rows: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        rows.setdefault(outcome.fault, Counter())[outcome.verdict] += 1
    lines = ["| fault | turns | " + " | ".join(VERDICTS) + " |", "|---" * (len(VERDICTS) + 2) + "|"]
    for name, counts in [*sorted(rows.items()), ("all", sum(rows.values(), Counter()))]:
        cells = " | ".join(str(counts[verdict]) for verdict in VERDICTS)
        lines.append(f"| {name} | {counts.total()} | {cells} |")
    return "\n".join(lines)


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else -1


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
            before = (_open_files(), _memory(), threading.active_count())
            run = Drive(turns, seconds, seed)
            with ThreadPoolExecutor(LANES + 1) as pool:
                lanes = [pool.submit(run.run_thread, client, number) for number in range(LANES)]
                lanes.append(pool.submit(lambda: asyncio.run(_run_tasks(run, base_url))))
                for lane in lanes:
                    lane.result()
            judge(client, run.outcomes)
            client.close()
            gc.collect()
            after = (_open_files(), _memory(), threading.active_count())
        finally:
            process.terminate()
            process.join(10)
    names = ("open files", "memory in MB", "threads")
    return run.outcomes, [f"{n}: {b:.0f} → {a:.0f}" for n, b, a in zip(names, before, after, strict=True)]


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
        told = f"{outcome.surface}, {outcome.fault}: {outcome.error!r} {outcome.text!r}"
        print(f"{outcome.verdict}: {told}", file=sys.stderr)
    return int(bool(bad))


if __name__ == "__main__":
    raise SystemExit(main())
