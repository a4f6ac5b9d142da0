"""`python -m mistral_agents.verify`: what is true of the service, in five minutes."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from mistral_agents.client import MistralAgents
from mistral_agents.errors import MistralAgentsError
from mistral_agents.verify.plan import DEFAULT_COSTS, Finding, parse_costs
from mistral_agents.verify.probes import PROBES
from mistral_agents.verify.reporting import read_state, state_path, write_reports
from mistral_agents.verify.running import Report, recheck, verify
from mistral_agents.verify.workbench import Workbench


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mistral_agents.verify", description=__doc__)
    plan = ",".join(f"{kind}={number}" for kind, number in DEFAULT_COSTS.items())
    parser.add_argument("--model", default="mistral-medium-latest", help="the model that answers")
    parser.add_argument("--connector", help="a connector of the account to probe with, by name")
    parser.add_argument("--only", nargs="+", default=(), metavar="PROBE", help="only these, opt-in ones too")
    parser.add_argument("--max-cost", default=plan, help=f"the most billed tool calls (default {plan})")
    parser.add_argument("--pace", type=float, default=1.0, help="seconds between two requests (default 1)")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the reports (default: here)")
    parser.add_argument("--recheck", metavar="ID", help="settle what an earlier run began")
    parser.add_argument("--list", action="store_true", help="show the probes and send nothing")
    return parser


def _interrupt(signum: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(signum)


def _print_finding(name: str, found: Finding) -> None:
    print(f"{name}: {found.verdict}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 where everything that was tried holds, 1 where something does not, 2 for wrong arguments."""
    options = _parser().parse_args(arguments)
    if options.list:
        for probe in PROBES:
            print(f"{probe.name}{' (opt-in)' if probe.opt_in else ''}: {probe.statement}")
        return 0
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        report = _run_probes(options)
    except MistralAgentsError as error:
        print(str(error), file=sys.stderr)
        return 2
    verdicts = [found.verdict for found in report.findings.values()]
    print(", ".join(f"{verdicts.count(kind)} {kind}" for kind in dict.fromkeys(verdicts)) or "nothing was tried")
    print(f"Run {report.run_id}; reports in {options.out.resolve()}.")
    if report.late:
        print(f"Settle the rest later: --recheck {report.run_id}")
    return 1 if "does not hold" in verdicts else 0


def _run_probes(options: argparse.Namespace) -> Report:
    most = parse_costs(options.max_cost)
    late = read_state(options.out, options.recheck) if options.recheck else {}
    with MistralAgents() as client:
        bench = Workbench(
            client, model=options.model, connector=options.connector, pace=options.pace, run_id=options.recheck
        )
        if options.recheck:
            report = recheck(bench, PROBES, late)
        else:
            report = verify(bench, PROBES, max_cost=most, only=options.only, tell=_print_finding)
        write_reports(options.out, report, PROBES, [os.environ.get("MISTRAL_API_KEY", "")])
    if options.recheck and not report.late:
        state_path(options.out, options.recheck).unlink()
    return report


if __name__ == "__main__":
    sys.exit(main())
