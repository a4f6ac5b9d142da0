"""Every command against the stand-in: what it prints, as text and as JSON, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from mistral_agents import CodeInterpreter, Conversation, errors
from mistral_agents.cli import app as app_module
from mistral_agents.cli.app import app, hoist_options
from mistral_agents.cli.exits import UnsureError, as_unsure, exit_code
from mistral_agents.cli.session import CommandSession
from mistral_agents.retrieval.engine import LibraryEngine

SPECS = {"agents": {"cli tides": {"model": "mistral-small-latest", "instructions": "Be brief."}, "cli desk": {"model": "mistral-small-latest", "handoffs": ["cli tides"]}}}  # fmt: skip


@pytest.fixture
def cli(standin, monkeypatch, tmp_path):
    monkeypatch.setenv("MISTRAL_BASE_URL", standin.base_url)
    monkeypatch.setenv("MISTRAL_API_KEY", "test-key")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(*line, code=0, given=None):
        done = CliRunner().invoke(app, [str(word) for word in line], input=given)
        assert done.exit_code == code, (done.stdout, done.stderr, done.exception)
        return done

    return run


@pytest.fixture
def data(cli):
    return lambda *line, **kw: json.loads(cli("--json", *line, **kw).stdout)


def test_agents_from_a_file_to_the_service_and_back(cli, data, tmp_path):
    file = tmp_path / "agents.json"
    file.write_text(json.dumps(SPECS))
    assert (
        "+ create cli tides" in cli("agents", "plan", file).stdout
        or "create cli tides" in cli("agents", "plan", file).stdout
    )
    cli("agents", "plan", file, "--detailed-exitcode", code=2)
    made = data("agents", "apply", file, "--set", "tests")
    ids = made["agents"]
    assert [change["action"] for change in made["changes"]] == ["create", "create"]
    assert data("agents", "plan", file, "--set", "tests")["nothing_to_do"] is True
    cli("agents", "plan", file, "--detailed-exitcode", code=0)
    assert {row["id"] for row in data("agents", "list")} >= set(ids.values())
    assert "cli tides" in cli("agents", "list", "--name", "cli tides").stdout
    assert data("agents", "show", ids["cli tides"])["instructions"] == "Be brief."
    assert [row["version"] for row in data("agents", "versions", ids["cli tides"])] == [0]
    cli("agents", "alias", ids["cli tides"], "production", "0")
    assert "production  0" in cli("agents", "alias", ids["cli tides"]).stdout
    cli("agents", "alias", ids["cli tides"], "production", code=2)
    data("agents", "alias", ids["cli tides"], "production", "--delete", "--yes")
    assert data("agents", "alias", ids["cli tides"]) == []
    assert "cli desk → cli tides" in cli("agents", "graph", file).stdout
    assert cli("agents", "graph", "--mermaid").stdout.startswith("graph LR")
    assert cli("agents", "graph", file, "--svg").stdout.startswith("<svg")
    cli("agents", "pull", "cli desk", "cli tides", "-o", "back.yaml")
    assert data("agents", "plan", "back.yaml")["nothing_to_do"] is True
    cli("agents", "pull", "nobody here", code=2)
    file.write_text(json.dumps({"agents": {"cli tides": SPECS["agents"]["cli tides"]}}))
    planned = data("agents", "apply", file, "--set", "tests", "--prune")
    assert planned["changes"][-1] == {
        "name": "cli desk",
        "action": "delete",
        "agent_id": ids["cli desk"],
        "differences": {},
    }
    cli("agents", "show", ids["cli desk"])
    cli("agents", "apply", file, "--prune", "--yes", code=2)
    cli("agents", "apply", file, "--set", "tests", "--prune", "--yes")
    cli("agents", "show", ids["cli desk"], code=4)
    assert data("agents", "delete", ids["cli tides"]) == {"would_delete": [ids["cli tides"]]}
    assert data("agents", "delete", ids["cli tides"], "--yes") == {"deleted": [ids["cli tides"]]}
    cli("agents", "show", ids["cli tides"], code=4)


def test_agents_are_named_by_name_where_one_has_it(cli, data, client):
    made = [
        client.agents.create(model="mistral-small-latest", name=name).id for name in ("cli one", "cli two", "cli two")
    ]
    assert data("agents", "show", "cli one")["id"] == made[0]
    assert [row["version"] for row in data("agents", "versions", "cli one")] == [0]
    cli("agents", "alias", "cli one", "live", "0")
    assert "live  0" in cli("agents", "alias", made[0]).stdout
    assert data("chat", "hi", "--agent", "cli one")["outputs"][0]["agent_id"] == made[0]
    assert [row["agent_id"] for row in data("conversations", "list", "--agent", "cli one")] == [made[0]]
    assert len(data("conversations", "clean", "--older-than", "0", "--agent", "cli one")["rows"]) == 1
    assert data("batch", "submit", "-", "--agent", "cli one", given="hi")["agent_id"] == made[0]
    assert "2 agents are called 'cli two'" in cli("agents", "show", "cli two", code=2).stderr
    cli("agents", "show", "cli three", code=4)
    assert data("agents", "delete", "cli one", made[0], made[1], made[2], "--yes")["deleted"] == made


def test_a_talk_and_what_can_be_done_with_it(cli, data, client, tmp_path):
    said = data("chat", "My name is Ada.")
    key = said["conversation_id"]
    assert "Ada" in said["text"] or said["text"]
    shown = cli("chat", "What is my name?", "--conversation", key)
    assert "Ada" in shown.stdout
    assert key in shown.stderr
    assert key not in shown.stdout
    assert cli("-q", "chat", given="17 * 23?\n\nAnd 2 + 2?\n").stderr == ""
    assert key in [row["id"] for row in data("conversations", "list")]
    assert len(data("conversations", "list", "--limit", "1")) == 1
    assert "My name is Ada." in cli("conversations", "show", key).stdout
    assert data("conversations", "export", key, "talk.json") == {"path": "talk.json", "entries": 4}
    assert json.loads(cli("conversations", "export", key).stdout)["format"] == "mistral-agents/conversation"
    assert cli("conversations", "export", key, "--html").stdout.lstrip().startswith("<!doctype html>")
    cli("conversations", "export", key, "talk.html", "--html")
    assert "My name is Ada." in (tmp_path / "talk.html").read_text()
    other = data("conversations", "import", "talk.json", "Who am I?")["conversation_id"]
    branch = data("conversations", "branch", key, "And now?", "--at", "1")["conversation_id"]
    assert len({key, other, branch}) == 3
    family = data("conversations", "tree", key)
    assert branch in [child["conversation_id"] for child in family["children"]]
    assert branch in cli("conversations", "tree", key).stdout
    assert cli("conversations", "tree", key, "--svg").stdout.startswith("<svg")
    assert data("conversations", "repair", key) == {"open_calls": [], "repaired": False}
    assert data("conversations", "delete", key) == {"would_delete": [key]}
    data("conversations", "delete", other, branch, "--yes")
    cli("conversations", "delete", key, "--archive-to", "kept", "--yes")
    assert (tmp_path / "kept" / f"{key}.json").exists()
    for gone in (key, other, branch):
        cli("conversations", "show", gone, code=4)


def test_a_talk_says_what_waits(cli, client):
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}  # fmt: skip
    for name, tools, question in (
        ("get_weather", [tool], "What is the weather in Paris? Use get_weather."),
        ("code_interpreter", [CodeInterpreter(requires_confirmation=True)], "Calculate the mean of 4, 8 and 15."),
    ):
        with client.agents.ephemeral(model="mistral-small-latest", name="cli waits", tools=tools) as agent:
            said = cli("chat", question, "--agent", agent.id)
        assert f"{name} " in said.stderr
        assert "the next message" in said.stderr
        assert "the next message" not in said.stdout


def test_open_calls_are_repaired(cli, data, client):
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}  # fmt: skip
    turn = client.conversations.start(
        "What is the weather in Paris? Use get_weather.", model="mistral-small-latest", tools=[tool]
    )
    key = turn.conversation_id
    assert [call["name"] for call in data("conversations", "repair", key)["open_calls"]] == ["get_weather"]
    cli("conversations", "repair", key, "--yes")
    assert data("conversations", "repair", key)["open_calls"] == []
    client.conversations.delete(key)


def test_what_stands_twice_is_deleted_once_and_no_place_is_an_id(cli, data, client):
    turn = client.conversations.start("hello", model="mistral-small-latest")
    for at in ("--5", "²", "5", "msg_nowhere"):
        assert (
            "no entry to branch from"
            in cli("conversations", "branch", turn.conversation_id, "x", f"--at={at}", code=2).stderr
        )
    gone = data("conversations", "delete", turn.conversation_id, turn.conversation_id, "--yes")
    assert gone["deleted"] == [turn.conversation_id]


def test_old_conversations_are_cleaned(cli, data, client):
    key = client.conversations.start("Hello", model="mistral-small-latest").conversation_id
    agent = client.agents.create(model="mistral-small-latest", name="cleaned")
    talk = Conversation(client, agent_id=agent.id)
    talk.append("Hello")
    dry = data("conversations", "clean", "--older-than", "0", "--agent", agent.id)
    assert [(row["conversation_id"], row["done"]) for row in dry["rows"]] == [(talk.id, "would delete")]
    done = data("conversations", "clean", "--older-than", "0", "--agent", agent.id, "--yes")
    assert [row["done"] for row in done["rows"]] == ["deleted"]
    assert "dry run: True" in cli("conversations", "clean", "--older-than", "999").stdout
    client.conversations.delete(key)
    client.agents.delete(agent.id)


def test_a_library_from_a_folder(cli, data, tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "kermor.txt").write_text("The lighthouse of Kermor was lit in 1887.")
    key = data("libraries", "create", "cli library", "--description", "notes")["id"]
    assert key in [row["id"] for row in data("libraries", "list")]
    assert list(data("libraries", "sync", "cli library", folder)["added"]) == ["kermor.txt"]
    assert data("libraries", "status", key)["documents"] == []
    assert data("libraries", "sync", key, folder, "--yes", "--wait")["dry_run"] is False
    assert data("libraries", "status", key, "--wait")["states"] == {"ready": 1}
    assert data("libraries", "search", key, "When was the lighthouse lit?")[0]["file_name"] == "kermor.txt"
    assert "1887" in cli("libraries", "search", "cli library", "lighthouse", "-k", "1").stdout
    cli("libraries", "sync", key, tmp_path / "nowhere", code=2)
    cli("libraries", "search", "no such library", "x", code=4)
    assert data("libraries", "delete", key) == {"would_delete": [key]}
    data("libraries", "delete", key, "--yes")
    cli("libraries", "status", key, code=4)


def test_a_search_says_what_it_could_not_see_yet(cli, data, monkeypatch):
    key = data("libraries", "create", "half read")["id"]
    refresh = LibraryEngine.refresh

    def find_one_unread(engine):
        report = refresh(engine)
        report.pending["document"] = "Running"
        return report

    monkeypatch.setattr(LibraryEngine, "refresh", find_one_unread)
    told = cli("libraries", "search", key, "anything", "--json")
    assert json.loads(told.stdout) == []
    assert "1 document(s) are still being processed and were not searched" in told.stderr


def test_ends_have_their_numbers(cli, monkeypatch, standin_factory):
    cli("chat", "one", "--max-tokens", "0", code=7)
    cli("no-such-command", code=2)
    cli("agents", "plan", "nowhere.json", code=2)
    cli("--base-url", "nonsense", "agents", "list", code=2)
    server = standin_factory(api_key="the-only-key-it-takes")
    cli("agents", "list", "--base-url", server.base_url, code=3)
    monkeypatch.delenv("MISTRAL_API_KEY")
    assert "MISTRAL_API_KEY" in cli("agents", "list", code=3).stderr

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mistral_agents.cli.session.CommandSession.find_key", interrupt)
    cli("agents", "list", code=130)


def test_what_is_wrong_is_told_before_anything_is_sent(cli, client, tmp_path):
    before = len(list(client.conversations.list()))
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    assert "UTF-8" in cli("agents", "plan", "bytes.yaml", code=2).stderr
    (tmp_path / "prices.json").write_text("{")
    assert "prices.json" in cli("--prices", "prices.json", "chat", "Hello", code=2).stderr
    key = "conv_00c0ffee00c0ffee00c0ffee00c0ffee"
    for other in (("--model", "mistral-small-latest"), ("--conversation", key)):
        told = cli("chat", "Hello", "--agent", "ag_1", *other, code=2).stderr
        assert f"--agent and {other[0]} can't be given together" in told
    assert len(list(client.conversations.list())) == before


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ServerFailureError("x"), 1),
        (errors.GuardrailBlockedError("x"), 1),
        (errors.ConfigurationError("x"), 2),
        (errors.PermissionDeniedError("x"), 3),
        (errors.NotFoundError("x"), 4),
        (errors.UnknownOutcomeError("x"), 6),
        (as_unsure(errors.TimeoutExceededError("x")), 6),
        (as_unsure(errors.StreamInterruptedError("x")), 6),
        (as_unsure(errors.RateLimitedError("x")), 1),
        (errors.ToolBudgetExceededError("x"), 7),
    ],
)
def test_errors_have_exit_codes(error, code):
    assert exit_code(error) == code
    assert not isinstance(error, UnsureError) or "Nobody knows" in str(error)


def test_the_key_comes_from_a_file_and_never_from_the_line(cli, monkeypatch, tmp_path):
    monkeypatch.delenv("MISTRAL_API_KEY")
    (tmp_path / "key").write_text("test-key\n")
    cli("agents", "list", "--api-key-file", "key")
    (tmp_path / "key").write_text("two words")
    cli("agents", "list", "--api-key-file", "key", code=2)
    cli("agents", "list", "--api-key", "x", code=2)


@pytest.mark.parametrize("end", [typer.Abort, KeyboardInterrupt])
def test_who_leaves_the_question_for_the_key_is_said_to_have_interrupted(cli, monkeypatch, end):
    def leave(*_, **__):
        raise end

    monkeypatch.delenv("MISTRAL_API_KEY")
    monkeypatch.setattr(CommandSession, "find_key", leave)
    assert "interrupted" in cli("agents", "list", code=130).stderr


def test_options_of_all_commands_stand_anywhere():
    assert hoist_options(["agents", "list", "--json", "--base-url", "u"]) == [
        "--json",
        "--base-url",
        "u",
        "agents",
        "list",
    ]
    assert hoist_options(["chat", "--", "--json"]) == ["chat", "--", "--json"]
    assert hoist_options(["-q", "serve", "--api-key-file", "f"]) == ["-q", "serve", "--api-key-file", "f"]


def test_the_version_as_json(cli, data):
    assert list(data("--version")) == ["version"]
    assert json.loads(cli("--version", "--json").stdout) == data("--version")


def test_version_and_help(cli):
    assert cli("--version").stdout.startswith("mistral-agents 0.")
    assert "130 interrupted" in " ".join(cli("--help").stdout.split())


def test_serve_hands_its_options_on(cli):
    command = [sys.executable, "-m", "mistral_agents.cli", "serve", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    process.send_signal(2)
    process.communicate(timeout=30)
    assert process.returncode == 130
    done = subprocess.run([*command[:-1], "no-port"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "--port" in done.stderr


def test_verify_is_handed_on_where_it_exists(cli, monkeypatch):
    monkeypatch.setattr(app_module.importlib.util, "find_spec", lambda name: None)
    assert "no verification" in cli("verify", code=2).stderr


@pytest.mark.parametrize("asked", ["--help", "-h", "--list"])
def test_what_verify_tells_without_sending_anything_needs_no_key(cli, monkeypatch, asked):
    monkeypatch.delenv("MISTRAL_API_KEY")
    assert ("new-agent" if asked == "--list" else "--max-cost") in cli("verify", asked).stdout


def test_letters_that_a_pipe_can_not_carry_are_spelt_out(cli):
    command = [sys.executable, "-m", "mistral_agents.cli", "chat", "\u00e9 \u2192"]
    narrow = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, text=True, env=narrow, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "\\xe9 \\u2192" in done.stdout


@pytest.mark.parametrize("module", ["mistral_agents", "mistral_agents.cli"])
def test_it_runs_where_scripts_are_not_on_the_path(module):
    done = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.partition(" ")[0]) == (0, "mistral-agents"), done.stderr


def test_without_its_packages_it_says_what_to_install():
    code = "import sys; sys.modules['typer'] = None; from mistral_agents.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install 'mistral-agents[cli]'" in done.stderr
    assert "Traceback" not in done.stderr
