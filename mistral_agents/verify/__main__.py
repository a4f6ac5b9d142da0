"""`python -m mistral_agents.verify`: what is true of the service, in five minutes."""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from mistral_agents._json import JsonDict
from mistral_agents.cli.exits import ERROR, INTERRUPTED, OK, exit_code
from mistral_agents.client import MistralAgents
from mistral_agents.errors import AuthenticationError, ConfigurationError, ConnectionFailedError, MistralAgentsError
from mistral_agents.verify.plan import DEFAULT_COSTS, DOES_NOT_HOLD, Finding, parse_costs
from mistral_agents.verify.probes import PROBES
from mistral_agents.verify.reporting import read_state, state_path, write_reports
from mistral_agents.verify.running import Report, recheck, verify
from mistral_agents.verify.workbench import Workbench

_log = logging.getLogger("mistral_agents.verify")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mistral_agents.verify", description=__doc__)
    plan = ",".join(f"{kind}={number}" for kind, number in DEFAULT_COSTS.items())
    parser.add_argument("--model", default="mistral-medium-latest", help="the model that answers")
    parser.add_argument("--connector", help="a connector of the account to probe with, by name")
    parser.add_argument("--only", nargs="+", default=(), metavar="PROBE", help="only these, opt-in ones too")
    parser.add_argument("--max-cost", default=plan, help=f"the most billed tool calls (default {plan})")
    parser.add_argument("--pace", type=_pace, default=1.0, help="seconds between two requests (default 1)")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the reports (default: here)")
    parser.add_argument("--recheck", metavar="ID", help="settle what an earlier run began")
    parser.add_argument("--list", action="store_true", help="show the probes and send nothing")
    parser.add_argument("--json", action="store_true", help="the report (or the list) as JSON; all else to stderr")
    return parser


def _pace(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"seconds from 0 on are wanted, not {text!r}")
    return seconds


def _interrupt(signum: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(signum)


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 where everything that was tried holds, 1 where something does not or the service can't be reached, 2 for wrong
        arguments, 3 where the key is refused, 130 where the run was broken off.
    """
    options = _parser().parse_args(arguments)
    if options.list:
        return _list_probes(as_data=options.json)
    signal.signal(signal.SIGTERM, _interrupt)
    notes = sys.stderr if options.json else sys.stdout

    def tell(name: str, found: Finding) -> None:
        print(f"{name}: {found.verdict}", file=notes, flush=True)

    try:
        report, data = _run_probes(options, tell)
    except MistralAgentsError as error:
        print(str(error), file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:  # before the first probe
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    if options.json:
        print(json.dumps(data, indent=2))
    verdicts = [found.verdict for found in report.findings.values()]
    counts = ", ".join(f"{verdicts.count(kind)} {kind}" for kind in dict.fromkeys(verdicts))
    print(counts or "nothing was tried", file=notes)
    print(f"Run {report.run_id}; reports in {options.out.resolve()}.", file=notes)
    if report.late:
        print(f"Settle the rest later: --recheck {report.run_id}", file=notes)
    if report.stopped:
        return INTERRUPTED
    return ERROR if DOES_NOT_HOLD in verdicts else OK


def _list_probes(*, as_data: bool) -> int:
    if as_data:
        rows = [{"name": probe.name, "statement": probe.statement, "opt_in": probe.opt_in} for probe in PROBES]
        print(json.dumps(rows, indent=2))
    else:
        for probe in PROBES:
            print(f"{probe.name}{' (opt-in)' if probe.opt_in else ''}: {probe.statement}")
    return OK


def _secrets() -> list[str]:
    return [os.environ.get("MISTRAL_API_KEY", "")]


def _run_probes(options: argparse.Namespace, tell: Callable[[str, Finding], None]) -> tuple[Report, JsonDict]:
    most = parse_costs(options.max_cost)
    late = read_state(options.out, options.recheck) if options.recheck else {}
    _make_folder(options.out)
    with MistralAgents() as client:
        _greet(client)
        bench = Workbench(
            client, model=options.model, connector=options.connector, pace=options.pace, run_id=options.recheck
        )
        if options.recheck:
            report = recheck(bench, PROBES, late)
        else:
            report = verify(bench, PROBES, max_cost=most, only=options.only, tell=tell)
        data = write_reports(options.out, report, PROBES, _secrets())
    if options.recheck and not report.late:
        state_path(options.out, options.recheck).unlink()
    return report, data


def _make_folder(path: Path) -> None:
    """Make the folder of the reports before anything is paid for."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--out {path} can't be used: {error.strerror}. Give a folder to write to.") from error
    if not os.access(path, os.W_OK):
        raise ConfigurationError(f"--out {path} can't be written to. Give a folder to write to.")


def _greet(client: MistralAgents) -> None:
    """Ask once, since a refused key or a wrong address would leave every probe untried.

    Raises:
        AuthenticationError: The key is refused.
        ConnectionFailedError: Nobody answers.
    """
    try:
        client.models.list()
    except (AuthenticationError, ConfigurationError, ConnectionFailedError):
        raise
    except MistralAgentsError as error:
        _log.info("the list of models could not be read: %s", error)


if __name__ == "__main__":
    sys.exit(main())
