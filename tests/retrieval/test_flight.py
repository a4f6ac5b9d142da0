"""One refresh for all who ask: threads, tasks, loops, and a leader that is cancelled."""

from __future__ import annotations

import asyncio
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mistral_agents.retrieval.flight import SingleFlight


def test_threads_share_one_run() -> None:
    flight: SingleFlight[int] = SingleFlight()
    gate, began, runs = threading.Event(), threading.Event(), []

    def work() -> int:
        runs.append(1)
        began.set()
        gate.wait(5)
        return 7

    with ThreadPoolExecutor(8) as pool:
        leader = pool.submit(flight.run, work)
        began.wait(5)
        followers = [pool.submit(flight.run, work) for _ in range(6)]
        gate.set()
        assert {leader.result(5), *(one.result(5) for one in followers)} == {7}
    assert len(runs) <= 7
    assert runs.count(1) >= 1


async def test_tasks_share_one_run_and_its_error() -> None:
    flight: SingleFlight[int] = SingleFlight()
    runs = []

    async def work() -> int:
        runs.append(1)
        await asyncio.sleep(0)
        raise OSError("no")

    results = await asyncio.gather(*(flight.arun(work) for _ in range(5)), return_exceptions=True)
    assert [type(one) for one in results] == [OSError] * 5
    assert len(runs) == 1


async def test_a_cancelled_leader_hands_over() -> None:
    flight: SingleFlight[str] = SingleFlight()
    began = asyncio.Event()

    async def forever() -> str:
        began.set()
        await asyncio.Event().wait()
        return "never"

    async def quick() -> str:
        return "done"

    leader = asyncio.create_task(flight.arun(forever))
    await began.wait()
    follower = asyncio.create_task(flight.arun(quick))
    await asyncio.sleep(0)
    leader.cancel()
    assert await follower == "done"
    with pytest.raises(asyncio.CancelledError):
        await leader


async def test_a_cancelled_follower_leaves_the_leader_alone() -> None:
    flight: SingleFlight[str] = SingleFlight()
    began, go = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        began.set()
        await go.wait()
        return "done"

    leader = asyncio.create_task(flight.arun(work))
    await began.wait()
    follower = asyncio.create_task(flight.arun(work))
    await asyncio.sleep(0)
    follower.cancel()
    await asyncio.gather(follower, return_exceptions=True)
    go.set()
    assert await leader == "done"


async def test_a_blocking_call_inside_the_leaders_loop_does_not_wait_for_itself() -> None:
    flight: SingleFlight[str] = SingleFlight()
    began, go = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        began.set()
        await go.wait()
        return "from the task"

    leader = asyncio.create_task(flight.arun(work))
    await began.wait()
    assert flight.run(lambda: "own") == "own"
    go.set()
    assert await leader == "from the task"


def test_it_can_be_pickled_while_idle_or_busy() -> None:
    flight: SingleFlight[int] = SingleFlight()
    assert flight.run(lambda: pickle.loads(pickle.dumps(flight)).run(lambda: 3)) == 3
