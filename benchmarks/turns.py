"""CPU of a short call and of a streamed event: this project beside the raw SDK and ChatMistralAI, in one run.

CPU is the process's own (`time.process_time`); the server is another process that sends prepared bytes. Roads take
turns within each round, and the medians of the rounds are shown, so a busy machine shifts all of them alike.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks._server import SINGLE, prepared_server
from benchmarks._table import Section

EVENTS = 1000
CALLS = 100
ROUNDS = 7
LARGE = "large-writes"
_QUESTION = "What is 3 + 4?"
_GOAL = 0.1


@dataclass(slots=True)
class Road:
    """One way to the service.

    Attributes:
        name: What the table calls it.
        call: Makes one short call.
        stream: Streams one answer with the model named; returns how many events or chunks it gave.
        seconds: CPU seconds per call or event, by column, one per round.
    """

    name: str
    call: Callable[[], object]
    stream: Callable[[str], int]
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def median(self, column: str) -> float:
        """The median over the rounds."""
        return statistics.median(self.seconds[column])


def _count(items: object) -> int:
    return sum(1 for _ in items)  # type: ignore[attr-defined]


def _sdk(base_url: str) -> Road:
    from mistralai.client import Mistral

    conversations = Mistral(api_key="bench", server_url=base_url).beta.conversations

    def stream(model: str) -> int:
        with conversations.start_stream(inputs=_QUESTION, model=model) as events:
            return _count(events)

    return Road("mistralai SDK", lambda: conversations.start(inputs=_QUESTION, model=LARGE), stream)


def _foundation(base_url: str) -> Road:
    from mistral_agents import MistralAgents

    conversations = MistralAgents(api_key="bench", base_url=base_url).conversations

    def stream(model: str) -> int:
        with conversations.start_stream(_QUESTION, model=model) as events:
            count = _count(events)
            assert events.turn.complete
            return count

    return Road("mistral_agents", lambda: conversations.start(_QUESTION, model=LARGE).text, stream)


def _chat_mistral_agent(base_url: str) -> Road:
    from langchain_mistral_agents import ChatMistralAgent

    models = {name: ChatMistralAgent(model=name, api_key="bench", base_url=base_url) for name in (LARGE, SINGLE)}
    return Road(
        "ChatMistralAgent",
        lambda: models[LARGE].invoke(_QUESTION),
        lambda model: _count(models[model].stream(_QUESTION)),
    )


def _chat_mistralai(base_url: str) -> Road:
    from langchain_mistralai import ChatMistralAI

    models = {name: ChatMistralAI(model=name, api_key="bench", base_url=f"{base_url}/v1") for name in (LARGE, SINGLE)}
    return Road(
        "ChatMistralAI (chat API)",
        lambda: models[LARGE].invoke(_QUESTION),
        lambda model: _count(models[model].stream(_QUESTION)),
    )


def _llama_index(base_url: str) -> Road:
    from llama_index.core.llms import ChatMessage

    from llama_index_mistral_agents import MistralAgentLLM

    models = {name: MistralAgentLLM(model=name, api_key="bench", base_url=base_url) for name in (LARGE, SINGLE)}
    question = [ChatMessage(role="user", content=_QUESTION)]
    return Road(
        "MistralAgentLLM",
        lambda: models[LARGE].chat(question),
        lambda model: _count(models[model].stream_chat(question)),
    )


_ROADS: tuple[tuple[str, str, Callable[[str], Road]], ...] = (
    ("mistralai SDK", "mistralai", _sdk),
    ("mistral_agents", "mistral_agents", _foundation),
    ("ChatMistralAgent", "langchain_mistral_agents", _chat_mistral_agent),
    ("MistralAgentLLM", "llama_index_mistral_agents", _llama_index),
    ("ChatMistralAI", "langchain_mistralai", _chat_mistralai),
)


def list_roads(base_url: str) -> tuple[list[Road], list[str]]:
    """The ways to the service that are installed, and a note for each that is not."""
    roads: list[Road] = []
    notes: list[str] = []
    for name, module, build in _ROADS:
        if importlib.util.find_spec(module) is None:
            notes.append(f"{name} was not measured: `{module}` is not installed.")
            continue
        try:
            roads.append(build(base_url))
        except ImportError as error:
            notes.append(f"{name} was not measured: {error}.")
    return roads, notes


def _cpu(work: Callable[[], int]) -> float:
    before = time.process_time()
    count = work()
    return (time.process_time() - before) / count


def _calls(road: Road, count: int) -> int:
    for _ in range(count):
        road.call()
    return count


def measure_roads(roads: list[Road], rounds: int, calls: int) -> None:
    """Measure all roads, round by round, one right after the other."""
    jobs: dict[str, Callable[[Road], int]] = {
        "call": lambda road: _calls(road, calls),
        LARGE: lambda road: road.stream(LARGE),
        SINGLE: lambda road: road.stream(SINGLE),
    }
    for warm_up in (True, *([False] * rounds)):
        for column, job in jobs.items():
            for road in roads:
                seconds = _cpu(lambda job=job, road=road: job(road))  # type: ignore[misc]
                if not warm_up:
                    road.seconds.setdefault(column, []).append(seconds)


def _cell(road: Road, base: Road, column: str) -> str:
    return f"{road.median(column) * 1000:.4f} ({road.median(column) / base.median(column):.3f})"


def section(*, events: int = EVENTS, rounds: int = ROUNDS, calls: int = CALLS) -> Section:
    """CPU milliseconds per short call and per streamed event, and each road's ratio to the SDK's own methods."""
    with prepared_server(events) as base_url, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        roads, notes = list_roads(base_url)
        measure_roads(roads, rounds, calls)
    base = roads[0]
    rows = [[road.name, *(_cell(road, base, column) for column in ("call", LARGE, SINGLE))] for road in roads]
    ours = next(road for road in roads if road.name == "mistral_agents")
    ratio = ours.median(LARGE) / base.median(LARGE)
    verdict = "reached" if ratio <= _GOAL else "MISSED"
    return Section(
        f"Turns: CPU in ms, and the ratio to the SDK (median of {rounds} rounds, {events} events, {calls} calls)",
        ["road", "short call", "event, 64 kB writes", "event, one write each"],
        rows,
        [
            f"Goal {verdict}: an event of mistral_agents costs {ratio:.3f} of one of the SDK (at most {_GOAL}).",
            *notes,
        ],
    )
