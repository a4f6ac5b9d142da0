"""`python -m mistral_agents_server`."""

from __future__ import annotations

import re
import subprocess
import sys

import httpx
import pytest

from mistral_agents_server.__main__ import parser, settings_from
from mistral_agents_server.settings import Quota


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


def test_the_command_line_becomes_settings(tmp_path):
    line = ["--host", "0.0.0.0", "--api-key", "k", "--quota", "web_search=3/minute", "--quota", "tokens=9/minute"]
    settings = settings_from(parser().parse_args([*line, "--pages", str(tmp_path)]))
    assert settings.quotas == (Quota("web_search", 3), Quota("tokens", 9))
    assert (settings.host, settings.api_key, settings.pages) == ("0.0.0.0", "k", tmp_path)
    assert not settings.code_allowed


@pytest.mark.parametrize("line", [["--host", "0.0.0.0"], ["--quota", "many"], ["--model-url", "ftp://x"]])
def test_a_wrong_command_line_ends_with_a_sentence(line):
    done = subprocess.run(
        [sys.executable, "-m", "mistral_agents_server", "--port", "0", *line],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "error:" in done.stderr
