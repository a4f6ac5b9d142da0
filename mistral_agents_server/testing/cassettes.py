"""What a cassette may hold: settings of vcrpy with a scrubber. Nothing here imports vcrpy."""

from __future__ import annotations

import json
import re
from typing import Any

SERVICE = "https://api.mistral.ai"
KEPT_HEADERS = ("content-type", "retry-after", "mistral-correlation-id")
PERSONAL = frozenset({"owner_id", "uploaded_by_id", "user_id", "created_by"})
NOBODY = "00000000-0000-4000-8000-000000000000"


def cassette_settings(base_url: str = SERVICE) -> dict[str, Any]:
    """Settings for `vcr.VCR(**settings)`, or for the fixture `vcr_config` of pytest-recording.

    Keys, cookies and all headers but a few are left out, ids of persons are replaced and signatures of links removed.
    Questions and answers are kept: they are what a cassette is for.

    Args:
        base_url: where it is recorded; written as the service's own address.
    """

    def request(found: Any) -> Any:
        found.uri = found.uri.replace(base_url, SERVICE)
        found.headers = {
            key: value for key, value in found.headers.items() if key.lower() in ("accept", "content-type")
        }
        return found

    def response(found: dict[str, Any]) -> dict[str, Any]:
        return _scrub_response(found, base_url)

    return {
        "match_on": ["method", "path", "query", "body"],
        "before_record_request": request,
        "before_record_response": response,
        "decode_compressed_response": True,
    }


def _scrub_response(response: dict[str, Any], base_url: str) -> dict[str, Any]:
    headers = response["headers"]
    kept = [key for key in headers if key.lower() in KEPT_HEADERS or key.lower().startswith("x-ratelimit")]
    body = response["body"]["string"]
    return {
        **response,
        "headers": {key: headers[key] for key in kept},
        "body": {"string": _scrub_body(body, base_url)},
    }


def _scrub_body(body: bytes, base_url: str) -> bytes:
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
