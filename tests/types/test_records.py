"""Each field of a record is known to type checkers, a misspelt one is told, and what the service adds can be read."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

from mistral_agents._api.records import Agent, ConversationInfo, Document, FileInfo, Library, Record
from mistral_agents.agents import Alias
from mistral_agents.batches import BatchJob
from mistral_agents.connector_api import AuthMethod, AuthUrl, ConnectorInfo, ConnectorTool, Credentials
from mistral_agents.libraries import DocumentStatus, Sharing
from mistral_agents.models import ModelInfo
from mistral_agents.retrieval.search_indexes import IndexSummary, SearchIndex

ROOT = Path(__file__).parents[2]
KINDS = {
    Agent: "name",
    Alias: "alias",
    AuthMethod: "method_type",
    AuthUrl: "auth_url",
    BatchJob: "id",
    ConnectorInfo: "name",
    ConnectorTool: "name",
    ConversationInfo: "id",
    Credentials: "name",
    Document: "name",
    DocumentStatus: "document_id",
    FileInfo: "filename",
    IndexSummary: "content",
    Library: "name",
    ModelInfo: "id",
    SearchIndex: "name",
    Sharing: "role",
}
"""Every kind of record, and a field of text that the service always sends."""


def write_program() -> str:
    """For each kind three lines: a field, a field misspelt, and a field that this version does not know."""
    lines = [f"from {kind.__module__} import {kind.__name__}" for kind in KINDS]
    for number, (kind, name) in enumerate(KINDS.items()):
        lines += [
            f"def read_{number}(record: {kind.__name__}) -> None:",
            f"    text: str = record.{name}",
            f"    record.{name}d  # error",
            '    print(text, record["new_field"])',
        ]
    return "\n".join(lines)


@pytest.mark.timeout(300)
def test_mypy_tells_each_misspelt_field_and_nothing_else(tmp_path: Path) -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    program = tmp_path / "program.py"
    program.write_text(write_program())
    flags = ["--config-file=", "--strict", "--follow-imports=silent", f"--cache-dir={tmp_path / 'cache'}"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *flags, str(program)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    told = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error: " in line}
    marked = {number for number, line in enumerate(write_program().splitlines(), 1) if line.endswith("# error")}
    assert told == marked, done.stdout + done.stderr


def find_kinds(kind: type[Record]) -> set[type[Record]]:
    found = set(kind.__subclasses__())
    return found.union(*map(find_kinds, found))


def test_every_kind_of_record_is_tried() -> None:
    ours = {kind for kind in find_kinds(Record) if kind.__module__.startswith("mistral_agents.")}
    assert ours == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_service_adds_is_read_both_ways(kind: type[Record]) -> None:
    record = kind({"new_field": 3, KINDS[kind]: "x"})
    assert (record["new_field"], record.new_field) == (3, 3)  # type: ignore[attr-defined]
    assert getattr(record, KINDS[kind]) == "x"


def test_what_may_be_left_out_reads_as_none_and_what_may_not_is_named() -> None:
    agent = Agent({"id": "a"})
    assert agent.description is None
    assert ConversationInfo({"id": "c"}).agent_id is None
    with pytest.raises(AttributeError, match="Agent has no field 'name'; the service sent: id"):
        agent.name
    with pytest.raises(AttributeError, match="Agent has no field 'descriptoin'"):
        agent.descriptoin  # type: ignore[attr-defined]


def test_times_are_read_and_seconds_stay_numbers() -> None:
    moment = datetime(2025, 1, 2, tzinfo=timezone.utc)
    assert ConnectorInfo({"modified_at": "2025-01-02T00:00:00Z"}).modified_at == moment
    assert FileInfo({"created_at": 1_700_000_000}).created_at == 1_700_000_000
    assert Document({}).expires_at is None
