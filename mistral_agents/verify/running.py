"""Runs the probes, one after the other, and keeps what they find."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError, MistralAgentsError, RateLimitedError
from mistral_agents.verify.plan import NOT_TRIED, Finding, Probe, skip
from mistral_agents.verify.workbench import Workbench

MOST_SECONDS_TO_WAIT = 120.0
"""The longest pause after a 429, in seconds; a longer one leaves the probe untried."""


@dataclass(slots=True)
class Report:
    """What a run found.

    Attributes:
        run_id: The run.
        findings: By the probe's name, in order.
        spent: Billed tool calls that were planned, by kind.
        left: What could not be deleted, in words.
        stopped: Whether the run was broken off.
    """

    run_id: str
    findings: dict[str, Finding] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    stopped: bool = False

    @property
    def late(self) -> dict[str, JsonDict]:
        """What `recheck` settles, by probe."""
        return {name: found.late for name, found in self.findings.items() if found.late is not None}


def verify(
    bench: Workbench,
    probes: Sequence[Probe],
    *,
    max_cost: Mapping[str, int],
    only: Sequence[str] = (),
    tell: Callable[[str, Finding], None] | None = None,
) -> Report:
    """Run probes, and delete what they made, also after a failure or Ctrl-C.

    Args:
        bench: What they share.
        probes: The probes.
        max_cost: The most billed tool calls, by kind; a probe that would pass it is not tried.
        only: Names of the probes to run; empty runs all that are not opt-in.
        tell: Called with each finding.

    Raises:
        ConfigurationError: `only` names a probe that there is not.
    """
    unknown = sorted(set(only) - {probe.name for probe in probes})
    if unknown:
        raise ConfigurationError(f"There is no probe {', '.join(unknown)}.")
    report = Report(bench.run_id)
    try:
        for probe in probes:
            if (probe.name in only) if only else not probe.opt_in:
                report.findings[probe.name] = found = _try(bench, probe, report.spent, max_cost)
                if tell is not None:
                    tell(probe.name, found)
    except KeyboardInterrupt:
        report.stopped = True
    finally:
        _clean_up(bench, report)
    return report


def _clean_up(bench: Workbench, report: Report) -> None:
    report.stopped = not bench.clean_up() or report.stopped
    report.left = bench.left


def _try(bench: Workbench, probe: Probe, spent: dict[str, int], most: Mapping[str, int]) -> Finding:
    wanted = {kind: spent.get(kind, 0) + number for kind, number in probe.costs.items()}
    over = [kind for kind, number in wanted.items() if number > most.get(kind, 0)]
    if over:
        return skip(f"it would pass --max-cost for {', '.join(over)}")
    spent.update(wanted)
    return _look(partial(probe.run, bench))


def _look(look: Callable[[], Finding]) -> Finding:
    """Look, once more after a 429; an error that the probe did not expect leaves its statement open."""
    try:
        try:
            return look()
        except RateLimitedError as error:
            seconds = error.wait_at_most
            if seconds is None or seconds > MOST_SECONDS_TO_WAIT:
                raise
            time.sleep(seconds)
            return look()
    except Exception as error:  # noqa: BLE001 - whatever one probe meets, of the SDK too, the others still run
        code = error.status_code if isinstance(error, MistralAgentsError) else None
        return Finding(NOT_TRIED, f"it failed: {type(error).__name__}{f' ({code})' if code is not None else ''}")


def recheck(bench: Workbench, probes: Sequence[Probe], late: Mapping[str, JsonDict]) -> Report:
    """Look again at what an earlier run began; what is settled is deleted, what could not be looked at waits on."""
    report = Report(bench.run_id)
    waiting = [probe for probe in probes if probe.settle is not None and probe.name in late]
    try:
        for probe in waiting:
            report.findings[probe.name] = _settle(bench, probe, late[probe.name])
    except KeyboardInterrupt:
        report.stopped = True
        for probe in waiting:
            report.findings.setdefault(probe.name, replace(skip("the run was broken off"), late=late[probe.name]))
    finally:
        _clean_up(bench, report)
    return report


def _settle(bench: Workbench, probe: Probe, late: JsonDict) -> Finding:
    settle: Any = probe.settle
    found = _look(partial(settle, bench, late))
    return replace(found, late=late) if found.verdict == NOT_TRIED and found.late is None else found
