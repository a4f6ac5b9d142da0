"""What a probe is: a statement of the documentation, how to look at it, and what that costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError, MistralAgentsError

if TYPE_CHECKING:
    from mistral_agents.verify.workbench import Workbench

Verdict = Literal["holds", "does not hold", "could not be tried"]
HOLDS: Verdict = "holds"
DOES_NOT_HOLD: Verdict = "does not hold"
NOT_TRIED: Verdict = "could not be tried"

DEFAULT_COSTS: dict[str, int] = {"searches": 8, "images": 1, "code_runs": 3}
"""What the default plan may use of the tools that are billed by the call."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found.

    Attributes:
        verdict: Whether the statement holds.
        seen: What was seen, in words of ours: no text, name or id of the account.
        facts: Numbers and names of kinds, for the JSON report.
        late: What `recheck` needs later; None where all is settled.
    """

    verdict: Verdict
    seen: str
    facts: JsonDict = field(default_factory=dict)
    late: JsonDict | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing to find out.

    Attributes:
        name: Its name, for `--only` and for the documentation.
        request: What is asked of the service.
        looks_at: What is looked at in the reply.
        statement: The statement that it settles.
        run: Makes the requests.
        costs: Billed tool calls by kind; a probe that uses a shared turn names its part once.
        opt_in: Whether it runs only when named, since it strains the account.
        settle: Looks again, for `--recheck`; None where the first look settles it.
    """

    name: str
    request: str
    looks_at: str
    statement: str
    run: Callable[[Workbench], Finding]
    costs: Mapping[str, int] = field(default_factory=dict)
    opt_in: bool = False
    settle: Callable[[Workbench, JsonDict], Finding] | None = None


def judge(holds: bool, seen: str, **facts: object) -> Finding:
    """A finding of a probe that could look."""
    return Finding(HOLDS if holds else DOES_NOT_HOLD, seen, dict(facts))


def skip(reason: str) -> Finding:
    """A finding of a probe that could not look."""
    return Finding(NOT_TRIED, reason)


_NO_REFUSALS = frozenset({401, 403, 408, 429})
"""Statuses that speak of the account, or of the moment, and not of what was asked."""


def tell_refusal(error: MistralAgentsError) -> str:
    """How it is told among a probe's findings that the service refused what was asked.

    Raises:
        MistralAgentsError: The error itself, where it is no refusal: a service that is out of order, busy or not to be
            reached says nothing of a statement.
    """
    status = error.status_code
    if status is None or not 400 <= status < 500 or status in _NO_REFUSALS:
        raise error
    return f"refused: {type(error).__name__} ({error.status_code})"


def parse_costs(text: str) -> dict[str, int]:
    """Read `searches=8,images=1,code_runs=3`; a kind that is left out keeps its default.

    Raises:
        ConfigurationError: It has another form.
    """
    found = dict(DEFAULT_COSTS)
    for part in text.split(","):
        kind, _, number = part.partition("=")
        if kind.strip() not in found or not number.strip().isdigit():
            known = ", ".join(f"{name}=N" for name in DEFAULT_COSTS)
            raise ConfigurationError(f"--max-cost is written {known}, not {text!r}.")
        found[kind.strip()] = int(number)
    return found
