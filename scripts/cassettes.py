"""How cassettes are written and read: one recorder for `make record` and the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import vcr

from mistral_agents_server.testing.cassettes import SERVICE, cassette_settings

__all__ = ["FOLDER", "SERVICE", "path_of", "recorder"]

FOLDER = Path(__file__).parent.parent / "cassettes"


def path_of(name: str) -> Path:
    """Where a scenario's cassette lies."""
    return FOLDER / name / "cassette.yaml"


def recorder(base_url: str, mode: str) -> Any:
    """A recorder without keys, cookies and persons; what is at `base_url` is written as being at the service."""

    settings = {**cassette_settings(base_url), "match_on": ["method", "path", "query", "json_body"]}
    made = vcr.VCR(record_mode=mode, **settings)
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
