"""How cassettes are written and read: one recorder for `make record` and the tests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import vcr

FOLDER = Path(__file__).parent.parent / "cassettes"
SERVICE = "https://api.mistral.ai"
KEPT_HEADERS = ("content-type", "retry-after", "mistral-correlation-id")
PERSONAL = frozenset({"owner_id", "uploaded_by_id", "user_id", "created_by"})
NOBODY = "00000000-0000-4000-8000-000000000000"


def path_of(name: str) -> Path:
    """Where a scenario's cassette lies."""
    return FOLDER / name / "cassette.yaml"


def recorder(base_url: str, mode: str) -> Any:
    """A recorder without keys, cookies and persons; what is at `base_url` is written as being at the service."""

    def request(found: Any) -> Any:
        found.uri = found.uri.replace(base_url, SERVICE)
        found.headers = {
            key: value for key, value in found.headers.items() if key.lower() in ("accept", "content-type")
        }
        return found

    def response(found: dict[str, Any]) -> dict[str, Any]:
        return _response(found, base_url)

    made = vcr.VCR(
        record_mode=mode,
        match_on=["method", "path", "query", "json_body"],
        before_record_request=request,
        before_record_response=response,
        decode_compressed_response=True,
    )
    made.register_matcher("json_body", _same_body)
    return made


def _response(response: dict[str, Any], base_url: str) -> dict[str, Any]:
    headers = response["headers"]
    kept = [key for key in headers if key.lower() in KEPT_HEADERS or key.lower().startswith("x-ratelimit")]
    body = response["body"]["string"]
    return {
        **response,
        "headers": {key: headers[key] for key in kept},
        "body": {"string": _anonymous(body, base_url)},
    }


def _anonymous(body: bytes, base_url: str) -> bytes:
    """Without anybody's id, without signatures of links, and with the service's address."""
    try:
        data = json.loads(body)
    except ValueError:
        return body
    text = json.dumps(_without_persons(data), ensure_ascii=False).replace(base_url, SERVICE)
    return re.sub(r"\bsig=[\w%.-]+", "sig=FILTERED", text).encode()


def _without_persons(data: Any) -> Any:
    if isinstance(data, dict):
        return {
            key: NOBODY if key in PERSONAL and isinstance(value, str) else _without_persons(value)
            for key, value in data.items()
        }
    return [_without_persons(item) for item in data] if isinstance(data, list) else data


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
