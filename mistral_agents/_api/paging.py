"""What the resources of the service share: ids checked before a request, lists walked to their end, file contents."""

from __future__ import annotations

import json
import mimetypes
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from mistral_agents._api.records import rows_of
from mistral_agents._http.transport import Call, Reply
from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError

FileContent = str | os.PathLike[str] | bytes | IO[bytes] | tuple[str, bytes | IO[bytes]]
"""A file to send: its path (`~` is the home folder), its bytes, an open file, or a name with bytes or an open file."""
_TYPES = {".md": "text/markdown", ".markdown": "text/markdown", ".jsonl": "application/jsonl"}


def given(**values: Any) -> JsonDict:
    """The values that are not None: None means not sent."""
    return {name: value for name, value in values.items() if value is not None}


def uuid_text(name: str, value: Any) -> str:
    """An id that must be a UUID, as libraries, documents and files have.

    Raises:
        ConfigurationError: It is none; the service itself answers 422, or for some tools nothing at all.
    """
    try:
        UUID(value)
    except (ValueError, TypeError, AttributeError):
        message = f"{name} must be a UUID such as 01a07bff-b1ed-70bd-b7d4-34b652c070bb, not {value!r}."
        raise ConfigurationError(message) from None
    return str(value)


def time_text(name: str, value: datetime | str) -> str:
    """A moment as the service takes it (ISO 8601 with an offset).

    Raises:
        ConfigurationError: It is a `datetime` without a time zone.
    """
    if isinstance(value, str):
        return value
    if value.tzinfo is None:
        raise ConfigurationError(f"{name} has no time zone; use for example datetime.now(timezone.utc).")
    return value.isoformat()


def file_part(file: FileContent, name: str | None = None) -> tuple[str, bytes, str]:
    """A file as a multipart part: its name, bytes and media type.

    Raises:
        ConfigurationError: There is no such file, or bytes came without a name.
    """
    chosen, data = named_bytes(file, name)
    return chosen, data, media_type_of(chosen)


def media_type_of(name: str) -> str:
    """The media type that a file's name tells."""
    return _TYPES.get(Path(name).suffix.lower()) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def named_bytes(file: FileContent, name: str | None = None) -> tuple[str, bytes]:
    """A file's name and bytes; an open file is read from where it stands.

    Raises:
        ConfigurationError: There is no such file, it gives no bytes, or bytes came without a name.
    """
    if isinstance(file, tuple):
        found, data = file[0], file[1] if isinstance(file[1], bytes) else _encode_key(file[1])
    elif isinstance(file, (str, os.PathLike)):
        found, data = _read(Path(file).expanduser())
    elif isinstance(file, bytes):
        found, data = "", file
    else:
        own = getattr(file, "name", "")  # a number for files opened by descriptor, nothing for BytesIO
        found, data = Path(own).name if isinstance(own, str) else "", _encode_key(file)
    chosen = name if name is not None else found
    if not chosen:
        raise ConfigurationError("Bytes need a name: pass name= or a (name, bytes) pair.")
    return chosen, data


def _encode_key(file: Any) -> bytes:
    if isinstance(file, (bytearray, memoryview)):
        return bytes(file)
    read = getattr(file, "read", None)
    data = read() if callable(read) else None
    if not isinstance(data, bytes):
        wanted = "a path, bytes, a file opened for reading bytes (mode 'rb'), or a (name, bytes) pair"
        raise ConfigurationError(f"file must be {wanted}, not {type(file).__name__}.")
    return data


def _read(path: Path) -> tuple[str, bytes]:
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"file {str(path)!r} can't be read: {error.strerror}.") from error


NextCall = Callable[[Call, Any, list[JsonDict]], "Call | None"]


def by_token(call: Call, data: Any, _: list[JsonDict]) -> Call | None:
    """The next page of a list that hands out `next_page_token`."""
    token = data.get("next_page_token") if isinstance(data, dict) else None
    return replace(call, params={**call.params, "page_token": token}) if token else None


def by_number(call: Call, data: Any, rows: list[JsonDict]) -> Call | None:
    """The next page of a list with page numbers from 0, which may or may not tell whether there is more."""
    told = data.get("pagination") if isinstance(data, dict) else None
    more = told.get("has_more") if isinstance(told, Mapping) else None
    if more is None:
        more = len(rows) >= call.params["page_size"]
    return replace(call, params={**call.params, "page": call.params["page"] + 1}) if more else None


def _read_key(row: JsonDict) -> Any:
    """What makes a row itself: its id and version; of a row without an id its name, or all it holds."""
    if row.get("id") is not None:
        return row["id"], row.get("version")
    name = row.get("name")
    return ("name", name) if isinstance(name, str) else json.dumps(row, sort_keys=True, default=str)


class _Fresh:
    """Lets each row through once: a list that repeats a page (reported of the service) ends instead of looping."""

    def __init__(self) -> None:
        self._seen: set[Any] = set()

    def rows(self, rows: list[JsonDict]) -> list[JsonDict]:
        fresh = []
        for row in rows:
            key = _read_key(row)
            if key not in self._seen:
                self._seen.add(key)
                fresh.append(row)
        return fresh


def walk(send: Callable[[Call], Reply], call: Call, following: NextCall, *keys: str) -> Iterator[JsonDict]:
    """Every row of a list, page after page, until there is no further page or one brings nothing fresh.

    `keys` name the array in a page.
    """
    fresh = _Fresh()
    page: Call | None = call
    while page is not None:
        data = send(page).json()
        rows = rows_of(data, *keys)
        new = fresh.rows(rows)
        yield from new
        page = following(page, data, rows) if new else None


async def awalk(
    send: Callable[[Call], Awaitable[Reply]], call: Call, following: NextCall, *keys: str
) -> AsyncIterator[JsonDict]:
    """As `walk`, without blocking."""
    fresh = _Fresh()
    page: Call | None = call
    while page is not None:
        data = (await send(page)).json()
        rows = rows_of(data, *keys)
        new = fresh.rows(rows)
        for row in new:
            yield row
        page = following(page, data, rows) if new else None
