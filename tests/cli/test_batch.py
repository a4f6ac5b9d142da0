"""`mistral-agents batch` and `--prices`: what they print, as text and as JSON, and how they end."""

from __future__ import annotations

import json
import threading

import pytest
from typer.testing import CliRunner

from mistral_agents.cli.app import app
from mistral_agents.cli.batch import read_answer_text

from ..support.scripted import fail, say

PRICES = {"currency": "EUR", "tokens": {"*": [1000.0, 2000.0]}}


@pytest.fixture
def cli_of(monkeypatch, tmp_path):
    monkeypatch.setenv("MISTRAL_API_KEY", "test-key")
    monkeypatch.chdir(tmp_path)

    def of(base_url):
        monkeypatch.setenv("MISTRAL_BASE_URL", base_url)

        def run(*line, code=0, given=None):
            done = CliRunner().invoke(app, [str(word) for word in line], input=given)
            assert done.exit_code == code, (done.stdout, done.stderr, done.exception)
            return done

        return run

    return of


@pytest.fixture
def cli(cli_of, standin):
    return cli_of(standin.base_url)


@pytest.fixture
def data(cli):
    return lambda *line, **kw: json.loads(cli("--json", *line, **kw).stdout)


def test_a_job_from_lines_to_results(cli, data, tmp_path):
    (tmp_path / "in.txt").write_text("What is 17 * 23?\n\nWhat is 6 * 7?\n")
    job = cli("batch", "submit", "in.txt").stdout.strip()
    assert data("batch", "wait", job)["status"] == "SUCCESS"
    assert cli("batch", "status", job).stdout == "SUCCESS  2 of 2\n"
    assert data("batch", "status", job)["total_requests"] == 2
    rows = data("batch", "results", job)
    assert [row["index"] for row in rows] == [0, 1]
    assert "391" in rows[0]["text"]
    assert "42" in rows[1]["text"]
    assert rows[0]["error"] is None
    assert "391" in cli("batch", "results", job).stdout
    assert data("batch", "results", job, "-o", "out.jsonl") == {"path": "out.jsonl", "results": 2}
    assert [json.loads(line)["index"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == [0, 1]
    assert job in [row["id"] for row in data("batch", "list")]
    assert data("batch", "cancel", job)["id"] == job
    assert data("batch", "delete", job) == {"would_delete": [job]}
    assert data("batch", "status", job)["id"] == job
    assert data("batch", "delete", job, "--yes") == {"deleted": [job]}
    cli("batch", "status", job, code=4)


def test_bodies_are_sent_as_they_are_and_waited_for(data):
    body = {"messages": [{"role": "user", "content": "What is 6 * 7?"}], "model": "mistral-small-latest"}
    lines = f"{json.dumps(body)}\nWhat is 2 + 2?\n"
    rows = data("batch", "submit", "-", "--endpoint", "chat", "--model", "mistral-small-latest", "--wait", given=lines)
    assert ["42" in rows[0]["text"], "4" in rows[1]["text"]] == [True, True]


def test_a_request_ends_with_its_line_only(data, tmp_path):
    body = json.dumps({"inputs": "What is 6 * 7?\u2028And\x85so?"}, ensure_ascii=False)
    (tmp_path / "in.jsonl").write_bytes(f"{body}\r\n{body}\n".encode())
    for file, given, count in (("in.jsonl", None, 2), ("-", body, 1)):
        rows = data("batch", "submit", file, "--wait", given=given)
        assert ["42" in row["text"] for row in rows] == [True] * count


def test_a_message_beside_a_request_with_a_model_gets_the_default_one(data):
    lines = f"{json.dumps({'inputs': 'What is 6 * 7?', 'model': 'own'})}\nWhat is 2 + 2?\n"
    rows = data("batch", "submit", "-", "--wait", given=lines)
    assert [row["error"] for row in rows] == [None, None]
    assert ["42" in rows[0]["text"], "4" in rows[1]["text"]] == [True, True]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": None}, None),
        ({"content": "a"}, "a"),
        ({"content": [{"text": "a"}]}, '[{"text": "a"}]'),
        ("a", None),
    ],
)
def test_a_chat_without_words_has_no_text(message, text):
    assert read_answer_text({"choices": [{"message": message}]}) == text


def test_a_request_that_failed_ends_with_5_and_stands_in_its_place(cli_of, standin_factory, scripted):
    scripted.script(say("one"), fail(500))
    cli = cli_of(standin_factory(model_url=scripted.url).base_url)
    done = cli("--json", "batch", "submit", "-", "--wait", given="a\nb\n", code=5)
    rows = json.loads(done.stdout)  # in any order: the requests go out together
    (good,), (bad,) = [row for row in rows if row["error"] is None], [row for row in rows if row["error"]]
    assert (good["text"], bad["text"]) == ("one", None)
    assert "status 5" in bad["error"]
    assert "1 of 2 requests failed" in done.stderr


def test_a_job_that_runs_on_and_one_that_was_cancelled(cli_of, standin_factory, scripted):
    free = threading.Event()
    scripted.always(lambda _: say("late" if free.wait(60) else "never"))
    cli = cli_of(standin_factory(model_url=scripted.url).base_url)
    job = cli("batch", "submit", "-", given="a\n").stdout.strip()
    assert "still runs" in cli("batch", "wait", job, "--timeout", "0", code=1).stderr
    assert "wait for its end" in cli("batch", "results", job, code=2).stderr
    cli("batch", "cancel", job)
    free.set()


@pytest.mark.parametrize(
    ("line", "given", "says"),
    [
        (("submit", "nowhere.txt"), None, "nowhere.txt can't be read: No such file"),
        (("submit", "."), None, ". can't be read: "),
        (("submit", "-"), "\n", "no request in -"),
        (("submit", "-"), '{"inputs": \n', "Line 1 begins with {"),
        (("submit", "-", "--endpoint", "ocr"), "a", "conversations, chat, embeddings"),
        (("submit", "-", "--agent", "ag_1", "--model", "m"), "a", "can't be given together"),
    ],
)
def test_what_can_not_be_sent(cli, line, given, says):
    assert says in cli("batch", *line, given=given, code=2).stderr


def test_turns_tell_what_they_cost(cli, data, tmp_path):
    (tmp_path / "prices.json").write_text(json.dumps(PRICES))
    assert " EUR)" in cli("chat", "Hello", "--prices", "prices.json").stderr
    said = data("chat", "Hello", "--prices", "prices.json")
    used = said["usage"]
    price = (used["prompt_tokens"] * 1000 + used["completion_tokens"] * 2000) / 1e6
    assert said["cost"] == {"amount": pytest.approx(price), "currency": "EUR"}
    assert "cost" not in data("chat", "Hello")


@pytest.mark.parametrize("text", ["[]", "{}", '{"tokens": {"m": [1]}}', '{"tokens": {"m": ["a", "b"]}}', "no JSON"])
def test_a_file_that_is_no_price_table(cli, tmp_path, text):
    (tmp_path / "prices.json").write_text(text)
    assert "it must be like" in cli("chat", "Hello", "--prices", "prices.json", code=2).stderr
