"""Record the cassettes: `python -m scripts.record [--live] [NAME ...]`.

Without `--live` against a stand-in started here; with it against the service (MISTRAL_API_KEY), where scenarios that
the service can't be made to play keep the cassette they have. Nothing of the account gets into a cassette: no list is
read, what a scenario did not make itself is left out, and all that it made is deleted by its id at the end, also
after a failure or Ctrl-C. A scenario that fails keeps the cassette it has, and the others go on.
"""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from mistral_agents import MistralAgents
from mistral_agents.errors import MistralAgentsError, NotFoundError
from scripts.cassettes import SERVICE, STANDIN, path_of, recorder
from scripts.scenarios import SCENARIOS, Scenario, run
from scripts.scenarios._driver import Made
from scripts.scrubbing import Scrubber

KEY = "test-key"


@dataclass(frozen=True)
class Target:
    """What is recorded against.

    Attributes:
        base_url: the service; None starts a stand-in for each scenario.
        key: the API key, where a scenario brings none.
        pace: seconds between two calls.
        max_retries: how often a call is repeated after a 429, its `Retry-After` waited for.
        sleep: waits.
    """

    base_url: str | None = None
    key: str = KEY
    pace: float = 0.0
    max_retries: int = 0
    sleep: Callable[[float], None] = time.sleep

    @property
    def is_live(self) -> bool:
        """Whether it is the service."""
        return self.base_url is not None


@dataclass
class Outcome:
    """What became of a recording.

    Attributes:
        recorded: names of scenarios with a new cassette.
        kept: names of those that the service can't be made to play.
        failed: why others failed, by name.
        new_fields: fields of replies that no recorded reply had, by name.
        left: what could not be deleted.
    """

    recorded: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    new_fields: dict[str, list[str]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


@contextmanager
def _serve(found: Scenario, target: Target) -> Iterator[str]:
    """The address of what is recorded against."""
    if target.base_url is not None:
        yield target.base_url
        return
    from tests.support.running import Standin

    server = Standin(**found.standin)
    try:
        if found.faults is not None:
            found.faults(server.faults)
        yield server.base_url
    finally:
        server.stop()


def record(found: Scenario, target: Target, left: list[str]) -> list[str]:
    """Record one scenario anew; its old cassette stays where it fails, and no half of a new one.

    Args:
        found: The scenario.
        target: What is recorded against.
        left: Takes what could not be deleted.

    Returns:
        Fields that no recorded reply had.
    """
    path = path_of(found.name)
    fresh = path.with_suffix(".new.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    key = found.key if found.key is not None else target.key
    made = Made()
    with _serve(found, target) as base_url:
        scrubber = Scrubber(base_url, SERVICE if target.is_live else STANDIN)
        spoke = describe_source(target)
        tape = recorder(scrubber, spoke, keeps_failures=not target.is_live)
        try:
            fresh.unlink(missing_ok=True)
            with (
                tape.use_cassette(str(fresh)),
                MistralAgents(api_key=key, base_url=base_url, max_retries=target.max_retries) as client,
            ):
                run(client, found, made, lambda: target.sleep(target.pace))
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
            left += _delete(made, key, base_url, target)
    new = sorted(scrubber.new_fields)
    (path.parent / "README.md").write_text(_describe(found.name, spoke, new) + _compare(path))
    return new


def _describe(name: str, spoke: str, new_fields: Sequence[str]) -> str:
    text = f"# {name}\n\nRecorded against {spoke}.\n"
    if new_fields:
        text += f"\nFields that no reply had before (their texts are left out): {', '.join(new_fields)}.\n"
    return text


def _compare(path: Path) -> str:
    """What a cassette shows that no recorded reply had, in lines that the tests of shapes take as told."""
    from tests.shapes_check import story_differences, tell_differences

    return tell_differences(story_differences(yaml.safe_load(path.read_text("utf-8"))["interactions"]))


def _delete(made: Made, key: str, base_url: str, target: Target) -> list[str]:
    """Delete what a scenario made, the youngest first; returns what could not be deleted."""
    left = []
    with MistralAgents(api_key=key, base_url=base_url, max_retries=max(target.max_retries, 1)) as client:
        for resource, key_of in reversed(made.things):
            try:
                target.sleep(target.pace)
                getattr(client, resource).delete(key_of)
            except NotFoundError:
                continue  # the scenario deleted it itself
            except MistralAgentsError as error:
                left.append(f"{resource} {key_of}: {type(error).__name__}")
    return left


def record_all(names: Sequence[str], target: Target, tell: Callable[[str], None]) -> Outcome:
    """Record scenarios, one after the other; what fails of one does not stop the others."""
    outcome = Outcome()
    for name in names:
        found = SCENARIOS[name]
        if target.is_live and not found.live:
            outcome.kept.append(name)
            tell(f"{name}: kept (the service can't be made to do this)")
            continue
        try:
            new = record(found, target, outcome.left)
        except Exception as error:  # noqa: BLE001 - an assertion of the scenario, or whatever the service does
            outcome.failed[name] = f"{type(error).__name__}: {error}"[:300]
            tell(f"{name}: FAILED, its old cassette stays ({outcome.failed[name]})")
            continue
        outcome.recorded.append(name)
        if new:
            outcome.new_fields[name] = new
        tell(f"{name}: recorded" + (f"; new fields: {', '.join(new)}" if new else ""))
    return outcome


def describe_source(target: Target) -> str:
    """What a cassette is recorded against, for its file and its README."""
    if target.is_live:
        return f"the live service on {datetime.datetime.now(datetime.timezone.utc).date()}"
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    return f"the stand-in at commit {commit.stdout.strip()}"


def main() -> int:
    """Record what was asked for, else everything; 1 where something failed or is left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"scenarios: {', '.join(SCENARIOS)}")
    parser.add_argument("--live", action="store_true", help="record against the service with MISTRAL_API_KEY")
    parser.add_argument("--pace", type=float, default=1.0, help="with --live: seconds between two calls (default 1)")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(SCENARIOS)
    if unknown:
        parser.error(f"no scenario {', '.join(sorted(unknown))}")
    target = Target()
    if chosen.live:
        key = os.environ.get("MISTRAL_API_KEY")
        if not key:
            parser.error("--live needs MISTRAL_API_KEY")
        target = Target(os.environ.get("MISTRAL_BASE_URL", SERVICE), key, chosen.pace, 6)
    outcome = record_all(chosen.names or list(SCENARIOS), target, lambda line: print(line, flush=True))
    for one in outcome.left:
        print(f"could not be deleted: {one}", file=sys.stderr)
    return 1 if outcome.failed or outcome.left else 0


if __name__ == "__main__":
    sys.exit(main())
