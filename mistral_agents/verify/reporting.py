"""Reports of a run, for people and for programs, without anything of the account in them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mistral_agents._json import JsonDict
from mistral_agents._version import __version__
from mistral_agents.errors import ConfigurationError
from mistral_agents.verify.plan import Finding, Probe
from mistral_agents.verify.running import Report

_IDS = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[a-z]{2,5}_[0-9a-f]{16,}\b|\b[0-9a-f]{32}\b"
)
_SHORTEST = 4  # characters of a key; what is shorter, as one gives the stand-in, stands in every word
_ADDRESSES = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+|https?://[^\s)\"']+")


def redact(text: str, secrets: Sequence[str] = ()) -> str:
    """A text without keys, ids, addresses of mail and links."""
    for secret in secrets:
        text = text.replace(secret, "***") if len(secret) >= _SHORTEST else text
    return _ADDRESSES.sub("<address>", _IDS.sub("<id>", text))


def _shorten_value(value: object, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {str(key): _shorten_value(item, secrets) for key, item in value.items()}
    return [_shorten_value(item, secrets) for item in value] if isinstance(value, (list, tuple)) else value


def as_json(report: Report, probes: Sequence[Probe], secrets: Sequence[str] = ()) -> JsonDict:
    """The report as data."""
    known = {probe.name: probe for probe in probes}
    rows = [_row(known[name], found) for name, found in report.findings.items()]
    facts = {"spent": report.spent, "left": report.left, "stopped": report.stopped}
    cleaned: JsonDict = _shorten_value({"version": __version__, "run": report.run_id, "probes": rows, **facts}, secrets)
    return cleaned


def _row(probe: Probe, found: Finding) -> JsonDict:
    return {
        "name": probe.name,
        "request": probe.request,
        "looks_at": probe.looks_at,
        "statement": probe.statement,
        "verdict": found.verdict,
        "seen": found.seen,
        "facts": found.facts,
        "settled_later": found.late is not None,
    }


def as_markdown(data: JsonDict) -> str:
    """The report for people."""
    lines = [f"# Verified: run {data['run']}", "", f"mistral-agents {data['version']}.", ""]
    if data["stopped"]:
        rest = ", but for what is named below" if data["left"] else ""
        lines += [f"The run was broken off; what it had made was deleted{rest}.", ""]
    lines += ["| probe | verdict | statement | seen |", "|---|---|---|---|"]
    for row in data["probes"]:
        later = "; settled by `--recheck`" if row["settled_later"] else ""
        lines.append(f"| {row['name']} | **{row['verdict']}** | {row['statement']} | {row['seen']}{later} |")
    lines += ["", "Requests, and what was looked at:", ""]
    lines += [f"- {row['name']}: {row['request']}; {row['looks_at']}" for row in data["probes"]]
    if data["left"]:
        lines += ["", "Could not be deleted, look for the run id:", "", *[f"- {one}" for one in data["left"]]]
    return "\n".join(lines) + "\n"


def write_reports(folder: Path, report: Report, probes: Sequence[Probe], secrets: Sequence[str] = ()) -> JsonDict:
    """Write `verify-report.md` and `.json`; what `--recheck` needs goes into a file for the owner's eyes only.

    Returns:
        What the report says. Where one of the same run stands there, as for `--recheck`, its other findings stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = _join_reports(_read_report(folder), as_json(report, probes, secrets))
    (folder / "verify-report.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    (folder / "verify-report.md").write_text(as_markdown(data), encoding="utf-8")
    if report.late:
        place = state_path(folder, report.run_id)
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(report.late, file)
    return data


def _read_report(folder: Path) -> Any:
    try:
        return json.loads((folder / "verify-report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _join_reports(earlier: Any, later: JsonDict) -> JsonDict:
    """The report of a run with what was settled later; the later one alone, where the earlier is of another run."""
    if not isinstance(earlier, dict) or earlier.get("run") != later["run"] or earlier.keys() != later.keys():
        return later
    settled = {row["name"]: row for row in later["probes"]}
    rows = [settled.pop(row["name"], row) for row in earlier["probes"]]
    left = [*earlier["left"], *later["left"]]
    return {**earlier, "version": later["version"], "probes": [*rows, *settled.values()], "left": left}


def state_path(folder: Path, run_id: str) -> Path:
    """Where the ids of what waits for `--recheck` stand.

    Raises:
        ConfigurationError: The run id is none.
    """
    if not re.fullmatch(r"[0-9a-f]{8}", run_id):
        raise ConfigurationError(f"A run id has 8 hexadecimal digits, such as 1a2b3c4d; not {run_id!r}.")
    return folder / f"verify-state-{run_id}.json"


def read_state(folder: Path, run_id: str) -> dict[str, JsonDict]:
    """What an earlier run left for `--recheck`.

    Raises:
        ConfigurationError: There is no such run in the folder.
    """
    place = state_path(folder, run_id)
    try:
        found: dict[str, JsonDict] = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{place} can't be read: {error}. Give --out the folder of that run.") from error
    return found
