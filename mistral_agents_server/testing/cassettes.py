"""What a cassette may hold: settings of vcrpy with a scrubber. Nothing here imports vcrpy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

SERVICE = "https://api.mistral.ai"
KEPT_HEADERS = ("content-type", "retry-after", "mistral-correlation-id")
NOBODY = "00000000-0000-4000-8000-000000000000"
FILTERED = "FILTERED"
_PERSON = re.compile(
    r"(?:.*_)?(?:owner|user|uploader|uploaded_by|creator|created_by|updated_by|workspace|organi[sz]ation|org|tenant|account"
    r"|customer|email|share_with)(?:_(?:id|uuid|name|email|slug|title))?"
)
_SECRET = re.compile(
    r"authorization|api_key|password|(?:connection_)?credentials|auth_data|client_secret|global_headers|headers"
    r"|(?:bearer|access|refresh)_token"
)
_PLAIN = ("type", "name")
"""What stands beside a credential and says of which kind it is."""
_SIGNATURE = re.compile(r"\bsig=[\w%.-]+")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
Change = Callable[[Any], Any]


def cassette_settings(base_url: str = SERVICE) -> dict[str, Any]:
    """Settings for `vcr.VCR(**settings)`, or for the fixture `vcr_config` of pytest-recording.

    Keys, cookies and all headers but a few are left out, credentials of connectors, ids and names of persons and
    workspaces are replaced, in streams too, and signatures of links removed. Questions and answers are kept: they are
    what a cassette is for.

    Args:
        base_url: where it is recorded; written as the service's own address.
    """

    def request(found: Any) -> Any:
        found.uri = _SIGNATURE.sub(f"sig={FILTERED}", found.uri.replace(base_url, SERVICE))
        found.body = _scrub_request(found.body)
        found.headers = {
            key: value for key, value in found.headers.items() if key.lower() in ("accept", "content-type")
        }
        return found

    def response(found: dict[str, Any]) -> dict[str, Any]:
        return scrub_response(found, base_url, SERVICE)

    return {
        "match_on": ["method", "path", "query", "body"],
        "before_record_request": request,
        "before_record_response": response,
        "decode_compressed_response": True,
    }


def scrub_response(
    response: dict[str, Any], base_url: str, written_as: str, change: Change | None = None
) -> dict[str, Any]:
    """A reply as a cassette may hold it.

    Args:
        response: as vcrpy has it.
        base_url: where it was recorded.
        written_as: the address that is written instead.
        change: what else befalls each JSON document of it.
    """
    headers = response["headers"]
    kept = [key for key in headers if key.lower() in KEPT_HEADERS or key.lower().startswith("x-ratelimit")]
    body = _scrub_body(response["body"]["string"], change)
    if body is not response["body"]["string"]:  # a file's bytes stay as they are
        text = body.decode().replace(base_url, written_as)
        body = _SIGNATURE.sub(f"sig={FILTERED}", text).encode()
    return {**response, "headers": {key: headers[key] for key in kept}, "body": {"string": body}}


def _scrub_body(body: bytes, change: Change | None) -> bytes:
    """The body, with each JSON document in it scrubbed; the same object where there is none."""
    try:
        text = body.decode()
    except ValueError:
        return body
    try:
        return _scrub_json(text, change).encode()
    except ValueError:
        if not text.startswith(("event:", "data:", "id:", "retry:", ":")):
            return body
    # splitlines() would split at U+2028 in a text, and the halves of its JSON would stay as they are
    return "\n".join(_scrub_line(line, change) for line in text.split("\n")).encode()


def _scrub_line(line: str, change: Change | None) -> str:
    """A line of a stream; its data is JSON."""
    if not line.startswith("data:"):
        return line
    content = line[len("data:") :].strip()
    try:
        return f"data: {_scrub_json(content, change)}{line[len(line.rstrip()) :]}"
    except ValueError:
        return line


def _scrub_json(text: str, change: Change | None) -> str:
    data = hide_persons(hide_secrets(json.loads(text)))
    return json.dumps(change(data) if change is not None else data, ensure_ascii=False)


def _scrub_request(body: Any) -> Any:
    """What was sent, without the credentials in its JSON, or in the lines of JSON of a file in it."""
    if not isinstance(body, bytes):
        return body
    whole = _scrub_sent(body)
    if whole is not body:
        return whole
    return b"\n".join(_scrub_sent(line) for line in body.split(b"\n"))


def _scrub_sent(line: bytes) -> bytes:
    try:
        data = json.loads(line)
    except ValueError:
        return line
    hidden = hide_secrets(data)
    return line if hidden == data else json.dumps(hidden, ensure_ascii=False).encode()


def hide_secrets(data: Any) -> Any:
    """JSON without the credentials that tools, connectors and their headers hold."""
    if isinstance(data, dict):
        return {
            key: _hide_secret(value) if _is_secret(key, value) else hide_secrets(value) for key, value in data.items()
        }
    return [hide_secrets(item) for item in data] if isinstance(data, list) else data


def _is_secret(key: str, value: Any) -> bool:
    """Whether it is a credential, and no schema of a function that calls an argument so."""
    if _SECRET.fullmatch(key) is None:
        return False
    schema = isinstance(value, dict) and ("properties" in value or value.get("type") in ("string", "object"))
    return not schema and (isinstance(value, dict) or key not in ("credentials", "headers"))


def _hide_secret(value: Any) -> Any:
    if isinstance(value, str):
        return FILTERED
    if isinstance(value, dict):
        return {key: item if key in _PLAIN else _hide_secret(item) for key, item in value.items()}
    return [_hide_secret(item) for item in value] if isinstance(value, list) else value


def hide_persons(data: Any) -> Any:
    """JSON without ids and names of persons, workspaces and organisations."""
    if isinstance(data, dict):
        return {
            key: _hide_person(value) if _PERSON.fullmatch(key) else hide_persons(value) for key, value in data.items()
        }
    return [hide_persons(item) for item in data] if isinstance(data, list) else data


def _hide_person(value: Any) -> Any:
    if isinstance(value, str):
        return NOBODY if _UUID.fullmatch(value) else FILTERED
    if isinstance(value, dict):
        return {key: _hide_person(item) for key, item in value.items()}
    return [_hide_person(item) for item in value] if isinstance(value, list) else value
