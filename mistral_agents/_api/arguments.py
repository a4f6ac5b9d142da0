"""Arguments that the resources of the service share, checked before a request: ids, moments, files."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from mistral_agents._http.calls import check_ids, json_bytes
from mistral_agents._json import JsonDict
from mistral_agents._paths import expand_home
from mistral_agents.errors import ConfigurationError

FileContent = str | os.PathLike[str] | bytes | IO[bytes] | tuple[str, bytes | IO[bytes]]
"""A file to send: its path (`~` is the home folder), its bytes, an open file, or a name with bytes or an open file."""
_TYPES = {".md": "text/markdown", ".markdown": "text/markdown", ".jsonl": "application/jsonl"}


def given(**values: object) -> JsonDict:
    """The values that are not None: None means not sent."""
    return {name: value for name, value in values.items() if value is not None}


def known_options(options: Mapping[str, Any], known: type[Any], what: str) -> JsonDict:
    """The options that are not None.

    Raises:
        ConfigurationError: One is not known, or is no id where one belongs.
    """
    unknown = sorted(set(options) - set(known.__annotations__))
    if unknown:
        names = ", ".join(sorted(known.__annotations__))
        raise ConfigurationError(f"{what} takes no {', '.join(unknown)}; it takes {names}.")
    check_ids(options)
    return given(**options)


def texts_of(name: str, value: object) -> list[str] | None:
    """A filter that takes one text or several.

    Raises:
        ConfigurationError: It is something else.
    """
    found = [value] if isinstance(value, str) else value
    if found is None:
        return None
    if isinstance(found, (list, tuple, set, frozenset)) and all(isinstance(one, str) for one in found):
        return list(found)
    raise ConfigurationError(f"{name} must be a text or a list of texts, not {value!r}.")


def mapping_text(name: str, value: object) -> str:
    """A filter by keys and values, as a query has it; None is an empty one.

    The SDK sends a sentinel where none is given, which the service refuses; an empty object is the cure.

    Raises:
        ConfigurationError: It is no mapping, or holds something that JSON can't say.
    """
    if value is not None and not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} must be a mapping of your own keys to values, not {value!r}.")
    return json_bytes(dict(value) if value is not None else {}).decode()


def flag_text(value: bool | None) -> str | None:
    """A flag as a query has it."""
    return None if value is None else str(bool(value)).lower()


def uuid_text(name: str, value: Any) -> str:
    """An id that must be a UUID, as libraries, documents and files have.

    Raises:
        ConfigurationError: It is none; the service itself answers 422, or for some tools nothing at all.
    """
    try:
        return str(value if isinstance(value, UUID) else UUID(value))
    except (ValueError, TypeError, AttributeError):
        message = f"{name} must be a UUID such as 01a07bff-b1ed-70bd-b7d4-34b652c070bb, not {value!r}."
        raise ConfigurationError(message) from None


def time_text(name: str, value: datetime | str) -> str:
    """A moment as the service takes it (ISO 8601 with an offset).

    Raises:
        ConfigurationError: It is a `datetime` without a time zone, or no moment at all.
    """
    if isinstance(value, str):
        return value
    given: object = value
    if not isinstance(given, datetime):
        wanted = 'a datetime with a time zone, or a text such as "2030-01-01T00:00:00Z"'
        raise ConfigurationError(f"{name} must be {wanted}, not {given!r}.")
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
        ConfigurationError: There is no such file, it gives no bytes, or bytes came without a name that is a text.
    """
    found: object
    if isinstance(file, tuple) and len(file) > 1:
        found, data = file[0], file[1] if isinstance(file[1], bytes) else _load_bytes(file[1])
    elif isinstance(file, (str, os.PathLike)):
        found, data = _read_path(expand_home(file))
    elif isinstance(file, bytes):
        found, data = "", file
    else:
        own = getattr(file, "name", "")  # a number for files opened by descriptor, nothing for BytesIO
        found, data = Path(own).name if isinstance(own, str) else "", _load_bytes(file)
    chosen = name if name is not None else found
    if isinstance(chosen, os.PathLike):
        chosen = os.fspath(chosen)
    if not isinstance(chosen, str):
        raise ConfigurationError(f"The name of a file must be a text, not {chosen!r}.")
    if not chosen:
        raise ConfigurationError("Bytes need a name: pass name= or a (name, bytes) pair.")
    return chosen, data


def _load_bytes(file: object) -> bytes:
    if isinstance(file, (bytearray, memoryview)):
        return bytes(file)
    read = getattr(file, "read", None)
    try:
        data = read() if callable(read) else None
    except (ValueError, OSError) as error:  # it is closed, say, or open for writing
        raise ConfigurationError(f"The file can't be read: {error}.") from error
    if not isinstance(data, bytes):
        wanted = "a path, bytes, a file opened for reading bytes (mode 'rb'), or a (name, bytes) pair"
        raise ConfigurationError(f"file must be {wanted}, not {type(file).__name__}.")
    return data


def _read_path(path: Path) -> tuple[str, bytes]:
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"file {str(path)!r} can't be read: {error.strerror}.") from error
    except ValueError as error:  # a path that no system can hold
        raise ConfigurationError(f"file {str(path)!r} can't be read: {error}.") from error
