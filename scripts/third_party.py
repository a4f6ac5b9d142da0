"""Runs packages of others on both wings, against the stand-in, and prints which of them work.

    make third-party                                # an environment of its own, pinned in constraints-third-party.txt
    python -m scripts.third_party deepagents ragas  # only these

Each consumer does a real job and asserts what came of it. What the stand-in's planner can't decide is said by a
scripted model behind it. Nothing leaves this machine. Ends with 1 where something fails.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
import time
import traceback
import warnings
from dataclasses import dataclass

from scripts.consumers import langchain_jobs, llama_index_jobs
from scripts.consumers.lab import Consumer, Lab

CONSUMERS: tuple[Consumer, ...] = (*langchain_jobs.CONSUMERS, *llama_index_jobs.CONSUMERS)
_QUIET = {
    "ANONYMIZED_TELEMETRY": "False",
    "DEEPEVAL_TELEMETRY_OPT_OUT": "YES",
    "LANGSMITH_TRACING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAGAS_DO_NOT_TRACK": "true",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True)
class Outcome:
    """What came of a consumer."""

    consumer: Consumer
    result: str
    seconds: float

    @property
    def row(self) -> str:
        """A line of the table."""
        about = self.consumer
        return f"| {about.wing} | `{about.package}` {_version(about.package)} | {about.job} | {self.result} |"


HEAD = "| wing | package | what it does | result |\n|---|---|---|---|"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def run_consumer(consumer: Consumer) -> Outcome:
    """Do its job on a stand-in of its own."""
    start = time.monotonic()
    with Lab() as lab:
        try:
            consumer.run(lab)
        except Exception:  # noqa: BLE001 - whatever a package raises is what the table is about
            traceback.print_exc()
            result = f"not ours: {consumer.not_ours}" if consumer.not_ours else "**fails**"
        else:
            result = "works"
    return Outcome(consumer, result, time.monotonic() - start)


def main(names: list[str]) -> int:
    """Run the consumers of these names, or all."""
    os.environ.update(_QUIET)
    unknown = set(names) - {consumer.name for consumer in CONSUMERS}
    if unknown:
        print("unknown:", ", ".join(sorted(unknown)), "- there are:", ", ".join(c.name for c in CONSUMERS))
        return 2
    warnings.simplefilter("ignore")
    outcomes = []
    for consumer in CONSUMERS:
        if not names or consumer.name in names:
            outcomes.append(run_consumer(consumer))
            print(f"{consumer.name}: {outcomes[-1].result} ({outcomes[-1].seconds:.1f} s)", file=sys.stderr, flush=True)
    print(HEAD)
    for outcome in outcomes:
        print(outcome.row)
    return int(any(outcome.result == "**fails**" for outcome in outcomes))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
