"""What of a reply belongs to a scenario: what it made, said and was answered. All else is left out of its cassette."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from mistral_agents_server.testing.cassettes import FILTERED, NOBODY, scrub_response

_SHAPES = Path(__file__).parent.parent / "tests" / "shapes"
_ENVELOPE = frozenset({"object", "type", "data", "items", "entries", "messages", "pagination", "conversation_id"})
_ID = re.compile(
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[a-z][a-z_]{0,11}_[0-9a-f]{32}\b|\bag:[\w:.-]{12,}"
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")


@cache
def known_fields() -> frozenset[str]:
    """The names of all fields that a recorded reply of the service has shown."""
    return frozenset(
        name for path in _SHAPES.glob("*.json") for name in _names_in(json.loads(path.read_text("utf-8")))
    ) | {
        "detail",
        "message",
        "code",
        "param",
        "loc",
        "msg",
        "input",
        "ctx",
        "url",
        "text",
        "next_page_token",
        *_ENVELOPE,
    }


def _names_in(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        found = schema.get("properties")
        yield from found if isinstance(found, dict) else ()
        for value in schema.values():
            yield from _names_in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _names_in(value)


class Scrubber:
    """Scrubs the interactions of one scenario, in their order.

    What the scenario made has ids that its own requests brought forth. A row of a list with another id is left out, and
    so is every text of a reply that is about nothing of the scenario's; ids, addresses and names of others are
    replaced wherever they stand.

    Attributes:
        new_fields: Fields that no recorded reply had; their texts are left out.
    """

    def __init__(self, base_url: str, written_as: str) -> None:
        self.base_url = base_url
        self.written_as = written_as
        self.new_fields: set[str] = set()
        self._own: set[str] = set()
        self._method = ""
        self._path = ""
        self._aliases: dict[str, str] = {}
        self._said = ""

    def request(self, found: Any) -> Any:
        """What vcrpy calls `before_record_request`."""
        found.uri = self._rename(found.uri.replace(self.base_url, self.written_as))
        kept = ("accept", "content-type")
        found.headers = {key: value for key, value in found.headers.items() if key.lower() in kept}
        self._method, self._path = found.method, found.path
        body = found.body if isinstance(found.body, bytes) else str(found.body or "").encode()
        self._said += body.decode("utf-8", "replace")
        return found

    def response(self, found: dict[str, Any]) -> dict[str, Any] | None:
        """What vcrpy calls `before_record_response`: None leaves the interaction out."""
        if found["status"]["code"] == 429 or found["status"]["code"] >= 500:
            return None  # repeated by the client; what came of the repetition is recorded
        clean = scrub_response(found, self.base_url, self.written_as, self._clean)
        for values in clean["headers"].values():
            values[:] = [self._rename(value, always=True) for value in values]
        return clean

    def keep(self, found: dict[str, Any]) -> dict[str, Any]:
        """As `response`, with failures: what a stand-in was told to do."""
        return scrub_response(found, self.base_url, self.written_as, self._clean)

    def _clean(self, data: Any) -> Any:
        if self._method != "GET" or any(key in self._path for key in self._own):
            self._own.update(_ids_in(data))
            return self._keep(data)
        return self._choose(data)

    def _choose(self, data: Any) -> Any:
        """Of a reply that may be about others: rows of the scenario's own, and nothing else that says something."""
        if isinstance(data, list):
            return [self._keep(row) for row in data if isinstance(row, dict) and row.get("id") in self._own]
        if not isinstance(data, dict):
            return data if not isinstance(data, str) else FILTERED
        if data.get("id") in self._own:
            return self._keep(data)
        return {key: self._choose_field(key, value) for key, value in data.items()}

    def _choose_field(self, key: str, value: Any) -> Any:
        if isinstance(value, (list, dict)):
            return self._choose(value)
        if key == "next_page_token" and isinstance(value, str):
            return self._aliases.setdefault(value, f"page-{len(self._aliases) + 1}")
        return value if key in _ENVELOPE or not isinstance(value, str) else FILTERED

    def _keep(self, data: Any, key: str = "") -> Any:
        """A reply of the scenario's own, without what came along from elsewhere."""
        if isinstance(data, dict):
            if key == "metadata":
                return data if all(json.dumps(value) in self._said for value in data.values()) else {}
            return {name: self._keep_field(name, value) for name, value in data.items()}
        if isinstance(data, list):
            return [self._keep(item) for item in data]
        return self._rename(data) if isinstance(data, str) else data

    def _keep_field(self, name: str, value: Any) -> Any:
        if name in known_fields() or f'"{name}"' in self._said:
            return self._keep(value, name)
        self.new_fields.add(name)
        return _hide_texts(value)

    def _rename(self, text: str, *, always: bool = False) -> str:
        """A text without ids of others and addresses of mail."""
        for old, new in self._aliases.items():
            text = text.replace(old, new)

        def rename(found: re.Match[str]) -> str:
            known = found.group() in self._own and not always
            return found.group() if known else NOBODY

        return _MAIL.sub(FILTERED, _ID.sub(rename, text))


def _ids_in(data: Any, key: str = "") -> Iterator[str]:
    """The ids in a reply of the scenario's own; those of persons are hidden before."""
    if isinstance(data, dict):
        for name, value in data.items():
            yield from _ids_in(value, name)
    elif isinstance(data, list):
        for value in data:
            yield from _ids_in(value, key)
    elif isinstance(data, str) and data and (key == "id" or key.endswith(("_id", "_ids"))):  # "" is in every path
        yield data


def _hide_texts(value: Any) -> Any:
    if isinstance(value, str):
        return FILTERED
    if isinstance(value, dict):
        return {key: _hide_texts(item) for key, item in value.items()}
    return [_hide_texts(item) for item in value] if isinstance(value, list) else value
