"""The work on a message: one task after the other, each with the tools that fit it.

The planner keeps nothing between two requests. It follows the tasks from the first on, gives each the results of the
calls that it would make, and stops at the first call that has not been made yet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from mistral_agents_server.planner.choose import Call, choose, search_query
from mistral_agents_server.planner.compose import text_answer
from mistral_agents_server.planner.reading import Reading, Result, is_framed
from mistral_agents_server.planner.tasks import split_tasks

_MARK = re.compile(r"\s*\[\[\w+\]\]")
_MOST_STEPS = 8
"""Rounds of calls for one task."""


@dataclass(slots=True)
class Work:
    """How far a message is worked off.

    Attributes:
        calls: what is to be called now; empty when it is time to answer.
        parts: the message, or each of its tasks, with its results.
    """

    calls: list[Call] = field(default_factory=list)
    parts: list[Reading] = field(default_factory=list)


def plan_work(reading: Reading, tool_choice: str) -> Work:
    """Find what to call now, or what to answer from."""
    tasks = [] if is_framed(reading.asked) or not reading.tools else split_tasks(reading.asked)
    if not tasks:
        return Work(choose(reading, tool_choice), [reading])
    work, left = Work(), list(reading.results)
    earlier: list[Result] = []
    for task in tasks:
        part = _part_of(reading, task, earlier, work.parts)
        calls = _follow(part, left, tool_choice)
        if calls:
            return Work(calls)
        earlier += part.results
        work.parts.append(part)
    if left:  # results of calls that a choice forced, and no task asks for
        work.parts.append(replace(reading, results=left, is_task=True))
    return work


def _part_of(reading: Reading, task: str, earlier: list[Result], done: list[Reading]) -> Reading:
    findings = "\n".join(_MARK.sub("", text_answer(part)).partition("\n")[0] for part in done if part.results)
    return replace(
        reading,
        asked=task,
        question=search_query(task),
        passages=[],
        results=[],
        earlier=list(earlier),
        findings=findings,
        is_task=True,
    )


def _follow(part: Reading, left: list[Result], tool_choice: str) -> list[Call]:
    """Give a task the results of its calls; returns the calls that have not been made."""
    for _ in range(_MOST_STEPS):
        calls = choose(part, "auto" if tool_choice == "none" else tool_choice)
        taken = _take(left, calls)
        if calls and not taken:
            return [] if tool_choice == "none" else calls
        if not calls:
            break
        part.results.extend(taken)
    return []


def _take(left: list[Result], calls: list[Call]) -> list[Result]:
    """Take the results of some calls out of those that are left: of the same arguments, else of the same name."""
    taken = []
    for name, arguments in calls:
        alike = [result for result in left if result.name == name]
        found = next((result for result in alike if result.arguments == arguments), None)
        if found is None and len(alike) == sum(called == name for called, _ in calls):
            found = alike[0]
        if found is not None:
            left.remove(found)
            taken.append(found)
    return taken
