"""Every command of the command line speaks JSON on stdout, and is tested here or beside."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mistral_agents.cli.app import app


def list_commands():
    root = typer.main.get_command(app)
    for name, command in root.commands.items():
        for inner in getattr(command, "commands", {"": None}):
            yield f"{name} {inner}".strip()


@pytest.fixture
def data(standin, monkeypatch, tmp_path):
    monkeypatch.setenv("MISTRAL_BASE_URL", standin.base_url)
    monkeypatch.setenv("MISTRAL_API_KEY", "test-key")
    monkeypatch.chdir(tmp_path)

    def run(*line, code=0):
        done = CliRunner().invoke(app, ["--json", *line])
        assert done.exit_code == code, (done.stdout, done.stderr, done.exception)
        return json.loads(done.stdout) if done.stdout else None

    return run


@pytest.mark.parametrize("command", sorted(list_commands()))
def test_each_command_is_run_with_json_by_a_test(command):
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    words = ", ".join(f'"{word}"' for word in command.split())
    asked = rf'data\({words}[,)]|"--json", {words}[,)]|{words}, "--json"|"--json", [^)]*{words}'
    assert re.search(asked, text), command


def test_agents_as_a_graph_and_as_a_file(data, client):
    tides = client.agents.create(model="mistral-small-latest", name="json tides")
    desk = client.agents.create(model="mistral-small-latest", name="json desk", handoffs=[tides.id])
    graph = data("agents", "graph")
    assert graph["names"][desk.id] == "json desk"
    assert [desk.id, tides.id] in graph["arrows"]
    pulled = data("agents", "pull", "json desk", "json tides")
    assert pulled["agents"]["json desk"]["handoffs"] == ["json tides"]
    for agent in (desk, tides):
        client.agents.delete(agent.id)


def test_a_conversation_as_it_came(data, client):
    key = client.conversations.start("My name is Ada.", model="mistral-small-latest").conversation_id
    assert [entry["type"] for entry in data("conversations", "show", key)["entries"]] == [
        "message.input",
        "message.output",
    ]
    client.conversations.delete(key)


def test_the_doctor(data):
    rows = data("doctor")
    assert [sorted(row) for row in rows] == [["advice", "name", "seen", "state"]] * len(rows)
    assert {row["state"] for row in rows} <= {"ok", "warning"}


def test_where_the_stand_in_serves():
    command = [sys.executable, "-m", "mistral_agents.cli", "--json", "serve", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    told = json.loads(process.stdout.readline())
    process.terminate()
    process.communicate(timeout=30)
    assert told["base_url"].startswith("http://127.0.0.1:")
    assert sorted(told) == ["base_url", "code", "notes"]


def test_what_was_verified(data, monkeypatch, tmp_path):
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert {"name", "statement", "opt_in"} == set(data("verify", "--list")[0])
    report = data("verify", "--only", "models", "--pace", "0")
    assert [(row["name"], row["verdict"]) for row in report["probes"]] == [("models", "holds")]
    assert json.loads((tmp_path / "verify-report.json").read_text()) == report


def test_verify_ends_before_it_pays_where_nothing_could_be_tried(data, monkeypatch, tmp_path, standin_factory):
    monkeypatch.setattr("signal.signal", lambda *_: None)
    (tmp_path / "file").write_text("")
    assert data("verify", "--out", "file", code=2) is None
    assert data("verify", "--pace", "-1", code=2) is None
    monkeypatch.setenv("MISTRAL_BASE_URL", "http://127.0.0.1:9")
    assert data("verify", "--only", "new-agent", code=1) is None
    monkeypatch.setenv("MISTRAL_BASE_URL", standin_factory(api_key="the-only-key-it-takes").base_url)
    assert data("verify", "--only", "new-agent", code=3) is None
    monkeypatch.delenv("MISTRAL_API_KEY")
    assert data("verify", "--only", "new-agent", code=3) is None


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (("agents", "show", "ag_0000000000000000000000000000dead"), 4),
        (("conversations", "show", "conv_0000000000000000000000000000dead"), 4),
        (("libraries", "status", "no such library"), 4),
        (("batch", "results", "00000000-0000-4000-8000-000000000000"), 4),
        (("agents", "plan", "nowhere.json"), 2),
    ],
)
def test_a_failure_leaves_stdout_empty(data, line, code):
    assert data(*line, code=code) is None
