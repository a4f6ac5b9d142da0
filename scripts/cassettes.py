"""How cassettes are written and read: one recorder for `make record` and the tests."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import vcr
import yaml

from mistral_agents_server.testing.cassettes import SERVICE, cassette_settings
from scripts.scrubbing import Scrubber

__all__ = ["FOLDER", "SERVICE", "STANDIN", "address_of", "path_of", "player", "recorder"]

FOLDER = Path(__file__).parent.parent / "cassettes"
STANDIN = "https://stand-in.invalid"
"""The address in cassettes that a stand-in spoke."""


def _make_serializer(source: str) -> SimpleNamespace:
    """YAML that says at its top who spoke."""

    def write(cassette: dict[str, Any]) -> str:
        return f"recorded_against: {source}\n{yaml.dump(cassette)}"

    return SimpleNamespace(serialize=write, deserialize=yaml.safe_load)


def path_of(name: str) -> Path:
    """Where a scenario's cassette lies."""
    return FOLDER / name / "cassette.yaml"


def address_of(path: Path) -> str:
    """The address in a cassette."""
    spoke = yaml.safe_load(path.read_text("utf-8"))["recorded_against"]
    return STANDIN if spoke.startswith("the stand-in") else SERVICE


def recorder(scrubber: Scrubber, source: str, *, keeps_failures: bool) -> Any:
    """What writes a cassette: nothing of others, and its source in the file.

    Args:
        scrubber: scrubs what is written.
        source: what it is recorded against, in words.
        keeps_failures: whether 429 and 5xx are part of the story.
    """
    made = vcr.VCR(
        record_mode="once",
        serializer="sourced",
        match_on=["method", "path", "query", "json_body"],
        before_record_request=scrubber.request,
        before_record_response=scrubber.keep if keeps_failures else scrubber.response,
        decode_compressed_response=True,
    )
    made.register_serializer("sourced", _make_serializer(source))
    made.register_matcher("json_body", _same_body)
    return made


def player() -> Any:
    """What plays a cassette; what was not recorded is refused."""
    settings = {**cassette_settings(), "match_on": ["method", "path", "query", "json_body"]}
    made = vcr.VCR(record_mode="none", **settings)
    made.register_matcher("json_body", _same_body)
    return made


def _same_body(one: Any, other: Any) -> None:
    """Equal JSON. Uploads all count as equal, since their boundary is made anew each time."""
    assert _parsed(one.body) == _parsed(other.body)


def _parsed(body: Any) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return "an upload"
