"""`python -m mistral_agents_server`."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from mistral_agents_server import serving
from mistral_agents_server.__main__ import PACKAGES, main, parser, settings_from, start_line
from mistral_agents_server.serving import hold_folder
from mistral_agents_server.settings import Quota, package_version
from mistral_agents_server.tools.limited.job import DATA_LIBRARIES


def test_it_prints_where_it_is_and_serves(tmp_path):
    command = [sys.executable, "-m", "mistral_agents_server", "--port", "0", "--data", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        url = re.match(r"http://127\.0\.0\.1:\d+", line)[0]
        reply = httpx.get(f"{url}/v1/agents", headers={"Authorization": "Bearer k"}, timeout=30)
        assert reply.json() == []
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert (tmp_path / "stand-in.sqlite3").exists()


def started(*line, **environment):
    """A stand-in in a process of its own, and its first line."""
    command = [sys.executable, "-m", "mistral_agents_server", "--port", "0", *map(str, line)]
    env = {**os.environ, **environment}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    return process, process.stdout.readline()


def ended(process):
    process.terminate()
    return process.communicate(timeout=30)


def refused(*line, **environment):
    """The one line that a wrong command line ends with."""
    done = subprocess.run(
        [sys.executable, "-m", "mistral_agents_server", *map(str, line)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    said = [one for one in done.stderr.splitlines() if one and not one.startswith(("usage:", " "))]
    assert len(said) == 1, done.stderr
    assert said[0].startswith("python -m mistral_agents_server: error: ")
    return said[0]


def test_the_command_line_becomes_settings(tmp_path):
    line = ["--host", "0.0.0.0", "--api-key", "k", "--quota", "web_search=3/minute", "--quota", "tokens=9/minute"]
    settings = settings_from(parser().parse_args([*line, "--pages", str(tmp_path), "--max-turns", "7"]))
    assert settings.quotas == (Quota("web_search", 3), Quota("tokens", 9))
    assert (settings.host, settings.api_key, settings.pages) == ("0.0.0.0", "k", tmp_path)
    assert settings.max_turns == 7
    assert not settings.code_allowed


def test_keys_come_from_the_environment_or_a_file(tmp_path, monkeypatch):
    file = tmp_path / "key"
    file.write_text("of-the-file\n")
    monkeypatch.setenv("MISTRAL_AGENTS_SERVER_API_KEY", "of-the-environment")
    monkeypatch.setenv("MISTRAL_AGENTS_SERVER_MODEL_KEY", "of-the-model")
    settings = settings_from(parser().parse_args([]))
    assert (settings.api_key, settings.model_key) == ("of-the-environment", "of-the-model")
    line = ["--api-key-file", str(file), "--model-key-file", str(file), "--model-url", "http://127.0.0.1:1"]
    settings = settings_from(parser().parse_args(line))
    assert (settings.api_key, settings.model_key) == ("of-the-file", "of-the-file")


def test_a_key_in_the_process_list_is_said_in_the_start_line(tmp_path):
    file = tmp_path / "key"
    file.write_text("k")
    for line, seen in ((["--api-key", "k"], True), (["--api-key-file", str(file)], False), ([], False)):
        shown = start_line("http://127.0.0.1:1", "off", parser().parse_args(line))
        assert shown.split()[0] == "http://127.0.0.1:1"
        assert ("--api-key is visible in the process list" in shown) is seen
        assert "=k" not in shown


@pytest.mark.parametrize("text", ["", "a\nb"])
def test_a_key_file_holds_one_key(tmp_path, text):
    file = tmp_path / "key"
    file.write_text(text)
    assert str(file) in refused("--api-key-file", file)
    assert "nowhere" in refused("--api-key-file", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (["--host", "0.0.0.0"], "api_key"),
        (["--host", "no.such.host.invalid", "--api-key", "k"], "no.such.host.invalid"),
        (["--quota", "many"], "many"),
        (["--quota", "web_serach=3/minute"], "web_serach"),
        (["--model-url", "ftp://x"], "ftp://x"),
        (["--model-url", "http://127.0.0.1:99999/v1"], "99999"),
        (["--model-url", "http://[::1/v1"], "[::1"),
        (["--host", "nowhere.invalid", "--api-key", "k"], "--host"),
        (["--port", "65536"], "65536"),
        (["--port", "1e3"], "1e3"),
        (["--max-turns", "0"], "0"),
        (["--models", "a,,b"], "a,,b"),
        (["--guardrail-word", "bomb"], "CATEGORY=WORD"),
        (["--guardrail-word", "rudeness=fool"], "rudeness"),
        (["--pages", "no-such-folder"], "no-such-folder"),
        (["--connectors", "tides"], "MODULE:NAME"),
        (["--connectors", "no_such_module:thing"], "no_such_module"),
        (["--connectors", "tests.support.connectors:NOTHING"], "LocalConnector"),
        (["--connectors", "json:dumps"], "LocalConnector"),
        (["--ready-file", "no-such-folder/ready"], "no-such-folder"),
        (["--log-level", "chatty"], "chatty"),
        (["--api-key", ""], "--api-key"),
        (["--host", " "], "--host"),
        (["--model-url", ""], "--model-url"),
        (["--model-key", "k"], "--model-url"),
        (["--ready-file", "/proc/ready"], "/proc/ready"),
        (["--connectors", "tests.support.connectors:TWICE"], "meteo"),
        (["--quota", "tokens=1/minute", "--quota", "tokens=2/minute"], "tokens"),
        (["--api-key", "two words"], "api_key"),
        (["--api-key", "clé"], "api_key"),
        (["--model-url", "http://127.0.0.1:1", "--model-key", "a\nb"], "model_key"),
        (["--model-url", "http://127.0.0.1:1/v1?tenant=a"], "query"),
        (["--model-url", "http://user:pass@127.0.0.1:1"], "--model-key-file"),
    ],
)
def test_a_wrong_command_line_ends_with_a_sentence(line, named):
    assert named in refused("--port", "0", *line)


@pytest.mark.parametrize(
    "url", ["http://u:pass@h:port", "http://u:pa#pass@h", "ftp://u:pass@h", "u:pass@h", "http://h:x?pass"]
)
def test_a_refused_address_of_a_model_shows_no_password(url, capsys):
    with pytest.raises(SystemExit):
        main(["--port", "0", "--model-url", url])
    said = capsys.readouterr().err.splitlines()[-1]
    assert "model URL" in said
    assert "pass" not in said


def test_an_address_may_be_written_with_brackets_and_in_capitals():
    assert settings_from(parser().parse_args(["--host", "[::1]"])).host == "::1"
    assert settings_from(parser().parse_args(["--host", "LOCALHOST"])).host == "localhost"


def test_models_and_words_of_guardrails_are_read_from_the_command_line():
    line = ["--models", "a, my-embed", "--guardrail-word", "pii=passport number", "--guardrail-word", "pii=iban"]
    settings = settings_from(parser().parse_args(line))
    assert [(model.name, model.embeds) for model in settings.models] == [("a", False), ("my-embed", True)]
    assert settings.guardrail_words == {"pii": ["passport number", "iban"]}


def test_a_connector_module_that_breaks_is_told_in_one_line(tmp_path):
    (tmp_path / "broken_tides.py").write_text("1 / 0")
    (tmp_path / "hungry_tides.py").write_text("import no_such_package")
    where = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    assert "ZeroDivisionError" in refused("--connectors", "broken_tides:tides", **where)
    assert "no_such_package" in refused("--connectors", "hungry_tides:tides", **where)


def test_a_folder_of_data_that_can_not_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "stand-in.sqlite3").write_text("this is no database, " * 100)
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "data"):
        assert str(folder) in refused("--port", "0", "--data", folder)


def test_a_folder_of_data_that_another_stand_in_uses_is_named(tmp_path):
    with hold_folder(tmp_path):
        assert str(tmp_path) in refused("--port", "0", "--data", tmp_path)
    with hold_folder(tmp_path), hold_folder(None):
        assert tmp_path.is_dir()


def test_a_busy_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port}" in refused("--port", port)


@pytest.mark.parametrize("module", PACKAGES)
def test_each_missing_package_is_said_before_anything_else(module, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit) as stopped:
        main(["--port", "0"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert (said.count("\n"), PACKAGES[module] in said) == (1, True)
    assert 'pip install "mistral-agents[server]"' in said


def test_the_packages_are_those_of_the_extra():
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    listed = [*extras["optional-dependencies"]["server-core"], *extras["optional-dependencies"]["retrieval"]]
    names = {re.split(r"[\[>=<;! ]", one)[0].lower() for one in listed}
    assert {package.lower() for package in PACKAGES.values()} == names - {"mistral-agents"}
    whole = {re.split(r"[>=<;! ]", one)[0] for one in extras["optional-dependencies"]["server"]}
    assert whole == {"mistral-agents[server-core]", *DATA_LIBRARIES}


def test_it_starts_without_the_libraries_for_data_and_says_so(tmp_path):
    absent = "import sys; sys.modules.update(pandas=None, matplotlib=None)"
    code = f"{absent}; from mistral_agents_server.__main__ import main; main(['--port', '0'])"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert "without pandas or matplotlib" in process.stdout.readline()
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_help_and_version_need_no_packages():
    code = (
        "import sys, runpy; sys.modules['starlette'] = sys.modules['uvicorn'] = None; sys.argv = ['x', sys.argv[1]];"
        "runpy.run_module('mistral_agents_server', run_name='__main__')"
    )
    for flag, said in (("--version", f"mistral-agents {package_version()}\n"), ("--help", "--ready-file")):
        done = subprocess.run([sys.executable, "-c", code, flag], capture_output=True, text=True, timeout=60)
        assert (done.returncode, said in done.stdout) == (0, True), done.stderr


def test_the_ready_file_has_the_address_as_long_as_requests_are_taken(tmp_path):
    ready = tmp_path / "ready"
    ready.write_text("http://127.0.0.1:1\n")  # left by a server that was killed
    process, line = started("--ready-file", ready, "--log-level", "info")
    try:
        url = ready.read_text().strip()  # it is there before the line is
        assert line.split()[0] == url
        health = httpx.get(f"{url}/health", timeout=30)
        assert health.json() == {"status": "ok", "version": package_version(), "brain": "planner"}
    finally:
        _, errors = ended(process)
    assert not ready.exists()
    assert "GET /health" in errors


@pytest.mark.parametrize("kind", ["pipe", "link", "text", "folder"])
def test_what_is_no_ready_file_is_left_alone(tmp_path, capsys, kind):
    """Such as /dev/null or /dev/stdout, which root can delete, or a file of the user's."""
    place, text = tmp_path / "there", tmp_path / "text"
    text.write_text("of the user")
    made = {
        "pipe": lambda: os.mkfifo(place),
        "link": lambda: place.symlink_to(text),
        "text": lambda: place.write_text("of the user"),
        "folder": place.mkdir,
    }
    made[kind]()
    before = place.lstat()
    with pytest.raises(SystemExit) as ended_with:
        main(["--port", "0", "--ready-file", str(place)])
    assert ended_with.value.code == 2
    assert str(place) in capsys.readouterr().err
    assert (place.lstat().st_ino, place.lstat().st_mode) == (before.st_ino, before.st_mode)


def test_a_ready_file_whose_folder_is_gone_does_not_disturb_the_end(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    process, _ = started("--ready-file", folder / "ready")
    (folder / "ready").unlink()
    folder.rmdir()
    assert ended(process)[1] == ""


def test_it_is_quiet_unless_asked():
    process, line = started()
    httpx.get(f"{line.split()[0]}/health", timeout=30)
    assert ended(process)[1] == ""


def test_health_needs_no_key_but_this_machine(standin):
    assert httpx.get(f"{standin.base_url}/health").json()["status"] == "ok"
    assert httpx.get(f"{standin.base_url}/health", headers={"Host": "evil.test"}).status_code == 403
    assert httpx.post(f"{standin.base_url}/health").status_code == 405


def test_idle_connections_are_kept_longer_than_clients_keep_them():
    assert httpx.Limits().keepalive_expiry < serving.KEEP_ALIVE_SECONDS
    process, line = started()
    try:
        place = urlsplit(line.split()[0])
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
        for _ in range(2):
            connection.request("GET", "/health")
            assert connection.getresponse().read()
        connection.close()
    finally:
        ended(process)


@pytest.mark.parametrize("option", ["--data", "--pages", "--ready-file"])
def test_an_empty_path_is_no_path(option, capsys):
    """As a variable that is not set gives it: it would be the folder of the process, or nothing kept."""
    with pytest.raises(SystemExit) as ended_with:
        main(["--port", "0", option, ""])
    assert ended_with.value.code == 2
    assert option in capsys.readouterr().err.splitlines()[-1]


def test_a_module_of_connectors_that_ends_the_process_is_told_in_one_line(tmp_path):
    (tmp_path / "leaving.py").write_text("raise SystemExit(3)")
    assert "leaving" in refused("--port", "0", "--connectors", "leaving:X", PYTHONPATH=path_with(tmp_path))


def path_with(folder):
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
