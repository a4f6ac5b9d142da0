"""`python -m scripts.soak.leftovers [--streams N] [--loops N] [--forks N]`: what is left open by cancelled work."""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mistral_agents import MistralAgents
from scripts.soak.spoil import serve

MODEL = "mistral-medium-latest"
_QUESTION = "What is 2 + 3?"


@contextmanager
def standin() -> Iterator[str]:
    """A stand-in in a process of its own; gives its address."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=serve, args=(folder, theirs), daemon=True)
        process.start()
        try:
            yield mine.recv()
        finally:
            process.terminate()
            process.join(10)


def count_open() -> tuple[int, int, float]:
    """Open files (connections among them), threads, and resident memory in MB (Linux)."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        memory = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return len(os.listdir("/proc/self/fd")), threading.active_count(), memory


async def cancel_streams(client: MistralAgents, count: int) -> None:
    """Cancel streams in the middle, 20 at a time, then ask something."""

    async def read(begun: asyncio.Event) -> None:
        async with client.conversations.astart_stream(_QUESTION, model=MODEL) as events:
            async for _ in events:
                begun.set()

    for _ in range(count // 20):
        begun = [asyncio.Event() for _ in range(20)]
        tasks = [asyncio.create_task(read(event)) for event in begun]
        await asyncio.gather(*(event.wait() for event in begun))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await client.conversations.astart(_QUESTION, model=MODEL)


def abandon_streams(client: MistralAgents, count: int) -> None:
    """Leave streams at their first event, then ask something."""
    for _ in range(count):
        for _ in client.conversations.start_stream(_QUESTION, model=MODEL):
            break
    client.conversations.start(_QUESTION, model=MODEL)


def run_loops(client: MistralAgents, count: int) -> None:
    """One turn in each of many event loops."""

    async def one() -> None:
        await client.conversations.astart(_QUESTION, model=MODEL)
        await client.aclose()

    for _ in range(count):
        asyncio.run(one())


def fork_children(client: MistralAgents, count: int) -> None:
    """One turn in each of many forked children."""
    for _ in range(count):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if "5" in client.conversations.start(_QUESTION, model=MODEL).text else 2
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if status:
            raise RuntimeError(f"a forked child ended with {os.waitstatus_to_exitcode(status)}")


def measure(name: str, work: Callable[[int], None], count: int) -> list[str]:
    """Do some work in two halves; a row with what was open before, between and after."""
    before = count_open()
    work(count // 2)
    between = count_open()
    work(count - count // 2)
    after = count_open()
    pairs = zip(before, between, after, strict=True)
    return [name, str(count), *(f"{a:.0f} → {b:.0f} → {c:.0f}" for a, b, c in pairs)]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--loops", type=int, default=200)
    parser.add_argument("--forks", type=int, default=50)
    given = parser.parse_args()
    with standin() as base_url:
        client = MistralAgents(api_key="soak", base_url=base_url, timeout=20)
        client.conversations.start(_QUESTION, model=MODEL)

        def cancel(count: int) -> None:
            async def run() -> None:
                await cancel_streams(client, count)
                await client.aclose()

            asyncio.run(run())

        rows = [
            measure("cancelled streams", cancel, given.streams),
            measure("abandoned streams", lambda count: abandon_streams(client, count), given.streams),
            measure("event loops", lambda count: run_loops(client, count), given.loops),
            measure("forks", lambda count: fork_children(client, count), given.forks),
        ]
        client.close()
    print("| what | times | open files | threads | resident memory (MB) |\n|---|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
