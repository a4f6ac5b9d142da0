"""The kit for users' tests: what it costs when nobody asks, what the guide says, and what each fixture does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from mistral_agents import MistralAgents
from mistral_agents.errors import RateLimitedError
from mistral_agents_server import testing
from mistral_agents_server.testing import FrozenClock, ScriptedModel, Standin, cassette_settings, fail, say
from scripts.smoke import outsider_file
from tests.support.docs import python_blocks

ROOT = Path(__file__).parents[2]
PLUGIN = "mistral_agents_server.testing.plugin"
QUIET = """
import sys
FORBIDDEN = ("starlette", "uvicorn", "multipart", "pandas", "matplotlib", "PIL", "pypdfium2", "selectolax", "numpy",
             "langchain_core", "llama_index", "mistralai", "pydantic")
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FORBIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
import pytest
code = pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "PLUGIN", *sys.argv[1:]])
loaded = sorted(name for name in sys.modules if name.startswith(("mistral_agents", "vcr")))
print("LOADED", loaded)
sys.exit(code)
""".replace("PLUGIN", PLUGIN)


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A Python of its own, which finds this checkout as if it were installed."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MISTRAL", "PYTEST"))}
    environment |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    (cwd / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")  # or pytest takes one of a folder above
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=110
    )


def run_pytest(file: Path) -> str:
    ran = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", PLUGIN, file.name, cwd=file.parent)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_an_outsider_scripts_a_call_a_429_and_a_broken_stream(tmp_path):
    text = outsider_file()
    assert len(text.splitlines()) <= 40
    file = tmp_path / "test_outsider.py"
    file.write_text(text, encoding="utf-8")
    assert "3 passed" in run_pytest(file)


def test_the_guide_runs(tmp_path):
    blocks = python_blocks(ROOT / "docs" / "testing.md")
    file = tmp_path / "test_guide.py"
    file.write_text("\n\n".join(blocks), encoding="utf-8")
    tests = len(re.findall(r"^def test_", file.read_text(), flags=re.MULTILINE))
    assert f"{tests} passed" in run_pytest(file)


def test_with_the_base_install_the_plugin_loads_nothing_and_changes_nothing(tmp_path):
    file = tmp_path / "test_foreign.py"
    file.write_text("import os\ndef test_it():\n    assert 'MISTRAL_BASE_URL' not in os.environ\n")
    ran = run("-c", QUIET, str(file), cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    names = ["mistral_agents_server", "mistral_agents_server.testing", PLUGIN]
    assert f"LOADED {names}" in ran.stdout


@pytest.mark.parametrize("fixture", ["mistral_standin", "scripted_model"])
def test_without_the_extra_a_fixture_says_what_to_install(tmp_path, fixture):
    file = tmp_path / "test_foreign.py"
    file.write_text(f"def test_it({fixture}):\n    pass\n")
    ran = run("-c", QUIET, str(file), cwd=tmp_path)
    assert ran.returncode == 1
    assert 'pip install "mistral-agents[server]"' in ran.stdout


def test_forbidden_calls_fail_the_test_even_where_errors_are_caught(tmp_path):
    file = tmp_path / "test_foreign.py"
    file.write_text(
        "import socket\nimport pytest\n"
        "@pytest.mark.parametrize('address', ['192.0.2.1', 'api.mistral.ai'])\n"
        "def test_it(forbid_live_calls, address):\n"
        "    try:\n        socket.create_connection((address, 443), timeout=1)\n    except Exception:\n        pass\n"
        "def test_here(forbid_live_calls):\n"
        "    with socket.create_server(('127.0.0.1', 0)) as here:\n"
        "        socket.create_connection(here.getsockname()).close()\n"
    )
    ran = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", PLUGIN, file.name, cwd=tmp_path)
    assert "2 failed, 1 passed" in ran.stdout
    assert "reached for api.mistral.ai" in ran.stdout


def test_the_entry_point_is_named_as_the_module():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"{PLUGIN}" = "{PLUGIN}"' in text.split("[project.entry-points.pytest11]")[1].split("\n[")[0]
    import_module(PLUGIN)


def test_every_name_of_the_kit_is_there():
    assert [name for name in testing.__all__ if not hasattr(testing, name)] == []


def test_a_failure_of_the_model_is_scripted():
    model = ScriptedModel()
    standin = Standin(model_url=model.url)
    try:
        client = MistralAgents(api_key="k", base_url=standin.base_url, max_retries=0)
        model.script(fail(429), say("again"))
        with pytest.raises(RateLimitedError):
            client.conversations.start("q", model="m")
        assert client.conversations.start("q", model="m").text == "again"
    finally:
        standin.stop()
        model.stop()


def test_a_frozen_clock_repeats_ids_and_moves_only_when_told(standin):
    def make_libraries():
        with FrozenClock(seed=7) as clock, MistralAgents(api_key="k", base_url=standin.base_url) as client:
            first = client.libraries.create("a")
            clock.advance(60)
            second = client.libraries.create("b")
            for made in (first, second):
                client.libraries.delete(made.id)
        return [(made.id, made.created_at.isoformat()) for made in (first, second)]

    made = make_libraries()
    assert make_libraries() == made
    assert [time for _, time in made] == ["2026-01-01T00:00:00+00:00", "2026-01-01T00:01:00+00:00"]


def test_cassettes_keep_no_key_and_no_person():
    settings = cassette_settings()
    body = b'{"owner_id": "0af1", "url": "https://x/y?sig=abc", "content": "kept"}'
    headers = {"set-cookie": ["s"], "content-type": ["application/json"]}
    kept = settings["before_record_response"]({"headers": headers, "body": {"string": body}})
    assert list(kept["headers"]) == ["content-type"]
    assert b"0af1" not in kept["body"]["string"]
    assert b"sig=FILTERED" in kept["body"]["string"]
    assert b"kept" in kept["body"]["string"]


TOOL = {"type": "connector", "connector_id": "gmail", "authorization": {"type": "oauth2-token", "value": "canary"}}
SCHEMA = {"type": "object", "properties": {"password": {"type": "string"}, "headers": {"type": "object"}}}
SENT = {
    "a tool": {"inputs": "kept", "tools": [TOOL]},
    "credentials": {"name": "kept", "credentials": {"bearer_token": "canary"}},
    "headers": {"name": "kept", "headers": {"x": "canary"}, "auth_data": {"client_secret": "canary"}},
}


@pytest.mark.parametrize("body", SENT.values(), ids=SENT.keys())
def test_cassettes_keep_no_credential_of_a_connector(body):
    settings = cassette_settings("http://127.0.0.1:9")
    sent = json.dumps(body).encode()
    for written in (
        sent,
        json.dumps(body, indent=1).encode(),
        b"--x\r\nContent-Disposition: form-data\r\n\r\n" + sent + b"\n\r\n--x--",
    ):
        request = SimpleNamespace(uri="http://127.0.0.1:9/v1/x?sig=canary", headers={}, body=written)
        kept = settings["before_record_request"](request)
        assert b"canary" not in kept.body
        assert b"kept" in kept.body
        assert kept.uri == "https://api.mistral.ai/v1/x?sig=FILTERED"
    told = settings["before_record_response"]({"headers": {}, "body": {"string": sent}})
    assert b"canary" not in told["body"]["string"]


def test_a_request_without_credentials_is_recorded_as_it_was_sent():
    sent = json.dumps({"inputs": "hello", "tools": [{"type": "function", "parameters": SCHEMA}]}, indent=1).encode()
    for body in (sent, None, b"\x00\xff"):
        request = SimpleNamespace(uri="https://api.mistral.ai/v1/x", headers={}, body=body)
        assert cassette_settings()["before_record_request"](request).body == body


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["\u2028", "\x85"])
def test_a_line_of_a_stream_ends_where_it_ends(mark, end):
    data = json.dumps({"text": "\u2028", "user_name": "Ada"}, ensure_ascii=False).replace("\u2028", mark)
    body = f"id: 1{end}data: {data}{end}{end}".encode()
    kept = cassette_settings()["before_record_response"]({"headers": {}, "body": {"string": body}})
    assert kept["body"]["string"] == body.replace(b"Ada", b"FILTERED")


def test_a_proxy_of_the_environment_is_not_asked_for_the_stand_in(mistral_standin, monkeypatch):
    """As in a CI behind one: it does not reach the machine that the tests run on."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    turn = MistralAgents(max_retries=0).conversations.start("hello", model="mistral-small-latest")
    assert turn.text
    assert len(mistral_standin.faults.requests) == 1
