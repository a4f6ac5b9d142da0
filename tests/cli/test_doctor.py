"""Broken set-ups are named, each with what to do."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from mistral_agents import errors
from mistral_agents.cli import doctor
from mistral_agents.cli.app import app
from mistral_agents.cli.doctor import check_address, check_key, check_python, check_sdk, check_wings, examine

KEY = "k" * 32
LOCAL = {"MISTRAL_API_KEY": KEY, "MISTRAL_BASE_URL": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("environment", "name", "word"),
    [
        ({}, "key", "no key"),
        ({"MISTRAL_API_KEY": ""}, "key", "empty"),
        ({"MISTRAL_API_KEY": f"{KEY} "}, "key", "blanks"),
        ({"MISTRAL_API_KEY": f"'{KEY}'"}, "key", "quotation marks"),
        ({"MISTRAL_API_KEY": f"Bearer{KEY}"}, "key", "Bearer"),
        ({"MISTRAL_API_KEY": f"{KEY}é"}, "key", "characters"),
        ({**LOCAL, "MISTRAL_BASE_URL": ""}, "address", "empty"),
        ({**LOCAL, "MISTRAL_BASE_URL": "localhost:8484"}, "address", "must be an http"),
        ({**LOCAL, "MISTRAL_BASE_URL": "http://[oops"}, "address", "must be an http"),
        ({**LOCAL, "MISTRAL_BASE_URL": "http://127.0.0.1:9/?tenant=1"}, "address", "query"),
        ({**LOCAL, "MISTRAL_BASE_URL": f"http://user:pass#{KEY}@127.0.0.1:9"}, "address", "must be an http"),
        ({**LOCAL, "MISTRAL_BASE_URL": "https://api.example/v1/"}, "address", "/v1"),
        ({**LOCAL, "SSL_CERT_FILE": "/nowhere/ca.pem"}, "SSL_CERT_FILE", "not there"),
        ({**LOCAL, "HTTPS_PROXY": "ftp://proxy:3128"}, "HTTPS_PROXY", "proxy"),
        ({**LOCAL, "HTTPS_PROXY": "http://[oops"}, "HTTPS_PROXY", "proxy"),
        ({**LOCAL, "HTTPS_PROXY": f"http://user:pass#{KEY}@proxy:3128"}, "HTTPS_PROXY", "proxy"),
        ({**LOCAL, "HTTPS_PROXY": "proxy:3128"}, "service", "connect"),  # libraries read it with http://
        (LOCAL, "service", "connect"),
    ],
)
def test_a_broken_set_up_is_named(environment, name, word):
    broken = [row for row in examine(environment) if row.state == "broken"]
    assert [row.name for row in broken] == [name]
    assert word in broken[0].seen.lower() or word in broken[0].seen or word in broken[0].advice
    assert broken[0].advice
    assert KEY not in str(broken)


def test_packages_that_do_not_fit_are_named():
    assert check_python((3, 9)).state == "broken"
    assert [check_sdk(version).state for version in (None, "1.9.3", "2.9", "2.10.0", "3.1.0", "4.0")] == [
        "broken",
        "broken",
        "broken",
        "ok",
        "ok",
        "broken",
    ]
    assert [row.state for row in check_wings({"langchain-core": "0.3.1", "llama-index-core": "0.14.2"}.get)] == [
        "broken",
        "ok",
    ]
    assert [row.state for row in check_wings(lambda name: None)] == ["ok", "ok"]


def test_what_is_odd_is_a_warning():
    assert check_key("anything", "https://api.mistral.ai").state == "warning"
    assert check_address("http://mistral.example").state == "warning"


@pytest.mark.parametrize(
    ("error", "state", "word"),
    [
        (errors.AuthenticationError("x"), "broken", "refused"),
        (errors.PermissionDeniedError("x"), "broken", "may not"),
        (errors.RateLimitedError("x"), "warning", "quota"),
        (errors.RedirectRefusedError("x"), "broken", "leads"),
        (errors.NotFoundError("x"), "broken", "not this API"),
        (errors.ResponseFormatError("x"), "broken", "not this API"),
        (errors.TimeoutExceededError("x"), "broken", "in time"),
        (errors.ServerFailureError("x"), "broken", "later"),
    ],
)
def test_answers_of_the_service_are_explained(monkeypatch, error, state, word):
    class Failing:
        def __init__(self, **_):
            raise error

    monkeypatch.setattr(doctor, "MistralAgents", Failing)
    found = examine(LOCAL)[-1]
    assert (found.name, found.state) == ("service", state)
    assert word in found.advice


def test_a_sound_set_up_is_told_so(standin, monkeypatch, tmp_path):
    monkeypatch.setenv("MISTRAL_API_KEY", KEY)
    monkeypatch.setenv("MISTRAL_BASE_URL", standin.base_url)
    for name in (*doctor._PROXIES, *doctor._FILES):
        monkeypatch.delenv(name, raising=False)
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 0, done.stdout
    assert json.loads(done.stdout)[-1]["seen"] == "it answers, and takes the key"
    assert "service" in CliRunner().invoke(app, ["doctor"]).stdout
    assert "service" not in CliRunner().invoke(app, ["doctor", "--offline"]).stdout
    monkeypatch.setenv("MISTRAL_API_KEY", "")
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 1
    assert CliRunner().invoke(app, ["doctor", "--api-key-file", str(tmp_path / "none")]).exit_code == 1
