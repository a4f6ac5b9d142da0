"""Record the cassettes: `python -m scripts.record [--live] [NAME ...]`.

Without `--live` against a stand-in started here; with it against the service (MISTRAL_API_KEY), where scenarios that
the service can't be made to play keep the cassette they have.
"""

from __future__ import annotations

import argparse
import datetime
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from mistral_agents import MistralAgents
from scripts.cassettes import SERVICE, path_of, recorder
from scripts.scenarios import SCENARIOS, Scenario, run

KEY = "test-key"


@contextmanager
def service(found: Scenario, live: bool) -> Iterator[str]:
    """The address of what is recorded against."""
    if live:
        yield SERVICE
        return
    from tests.support.running import Standin

    server = Standin(**found.standin)
    try:
        if found.faults is not None:
            found.faults(server.faults)
        yield server.base_url
    finally:
        server.stop()


def record(found: Scenario, live: bool) -> None:
    """Record one scenario anew; its old cassette stays where the scenario fails."""
    path = path_of(found.name)
    fresh = path.with_suffix(".new.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh.unlink(missing_ok=True)
    key = found.key if found.key is not None else os.environ["MISTRAL_API_KEY"] if live else KEY
    with (
        service(found, live) as base_url,
        recorder(base_url, "once").use_cassette(str(fresh)),
        MistralAgents(api_key=key, base_url=base_url, max_retries=0) as client,
    ):
        run(client, found)
    fresh.replace(path)
    (path.parent / "README.md").write_text(f"# {found.name}\n\nRecorded against {source(live)}.\n")


def source(live: bool) -> str:
    """What the cassette was recorded against, for its README."""
    if live:
        return f"the live service on {datetime.datetime.now(datetime.timezone.utc).date()}"
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    return f"the stand-in at commit {commit.stdout.strip()}"


def main() -> None:
    """Record what was asked for, else everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"scenarios: {', '.join(SCENARIOS)}")
    parser.add_argument("--live", action="store_true", help="record against the service with MISTRAL_API_KEY")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(SCENARIOS)
    if unknown:
        parser.error(f"no scenario {', '.join(sorted(unknown))}")
    if chosen.live and not os.environ.get("MISTRAL_API_KEY"):
        parser.error("--live needs MISTRAL_API_KEY")
    for name in chosen.names or SCENARIOS:
        if chosen.live and not SCENARIOS[name].live:
            print(f"{name}: kept (the service can't be made to do this)")
            continue
        record(SCENARIOS[name], chosen.live)
        print(f"{name}: recorded")


if __name__ == "__main__":
    main()
