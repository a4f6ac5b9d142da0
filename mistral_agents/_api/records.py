"""Objects of the service as dicts that also give their keys as attributes; unknown fields are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from mistral_agents._display.shown import Shown
from mistral_agents._turn.content import parse_time
from mistral_agents.errors import ConfigurationError, ResponseFormatError

_TIMES = frozenset({"created_at", "updated_at", "completed_at", "last_processed_at", "expires_at"})


class Record(dict[str, Any], Shown):
    """An object as the service sent it: `record["id"]` and `record.id` are the same.

    Times read as attributes are aware `datetime`s (`record.created_at`); as keys they stay the text that was sent.
    """

    def __getattr__(self, name: str) -> Any:
        try:
            value = self[name]
        except KeyError:
            known = ", ".join(sorted(self)) or "nothing"
            raise AttributeError(f"{type(self).__name__} has no field {name!r}; the service sent: {known}") from None
        return _read_time(value) if name in _TIMES else value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({masked(dict(self))!r})"


_SECRET = frozenset({"authorization", "connection_credentials"})


def masked(value: Any) -> Any:
    """A copy for people to read: what stands under a key that holds secrets is replaced by `***`."""
    if isinstance(value, dict):
        return {key: "***" if key in _SECRET and item else masked(item) for key, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list) else value


def without_secrets(value: Any) -> Any:
    """A copy to be stored or sent on: what stands under a key that holds secrets is left out."""
    if isinstance(value, dict):
        return {key: without_secrets(item) for key, item in value.items() if key not in _SECRET}
    return [without_secrets(item) for item in value] if isinstance(value, list) else value


def _read_time(value: Any) -> datetime | Any:
    parsed = parse_time(value) if isinstance(value, str) else None
    return parsed if parsed is not None else value


R = TypeVar("R", bound=Record)


class Records(list[R], Shown):
    """Records in a list that is a table to look at."""

    def to_dataframe(self) -> Any:
        """The records as a pandas DataFrame, a column for each field that any of them has.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ConfigurationError("to_dataframe needs pandas: pip install pandas") from error
        return pd.DataFrame([masked(dict(row)) for row in self])


class Listing(Iterator[R]):
    """Records as a list request gives them: read page after page while they are gone through, once."""

    def __init__(self, rows: Iterable[R]) -> None:
        self._rows = iter(rows)

    def __next__(self) -> R:
        return next(self._rows)

    def all(self) -> Records[R]:
        """Read what is left, as a list that is a table to look at."""
        return Records(self)

    def to_dataframe(self) -> Any:
        """Read what is left into a pandas DataFrame; see `Records.to_dataframe`."""
        return self.all().to_dataframe()

    def __repr__(self) -> str:
        return "<Listing: records not read yet; .all() reads them into a table>"


class Agent(Record):
    """An agent: `id`, `name`, `model`, `instructions`, `tools`, `version`, `handoffs`, ...; versions start at 0."""


class ConversationInfo(Record):
    """What the service tells of a conversation: its id, times, and its model or agent."""

    @property
    def conversation_id(self) -> str:
        """The conversation's id."""
        return str(self["id"])


class Library(Record):
    """A document library: `id` (a UUID), `name`, `nb_documents`, ..."""


class Document(Record):
    """A document of a library: `id` (a UUID), `name`, `process_status`, `attributes`, ..."""


class FileInfo(Record):
    """A stored file: `id`, `filename`, `bytes` (its size), ..."""


def as_record(kind: type[R], data: Any) -> R:
    """A record of a reply's JSON.

    Raises:
        ResponseFormatError: The reply is no JSON object.
    """
    if not isinstance(data, dict):
        raise ResponseFormatError(f"The service sent no {kind.__name__} object.", body=data)
    return kind(data)


def rows_of(data: Any, *keys: str) -> list[dict[str, Any]]:
    """The rows of a list reply: a bare array, or the array under one of `keys`.

    Raises:
        ResponseFormatError: There is no such array.
    """
    rows = data
    if isinstance(data, dict):
        rows = next((data[key] for key in keys if key in data), None)
    if not isinstance(rows, list):
        raise ResponseFormatError("The service sent no list.", body=data)
    return [row for row in rows if isinstance(row, dict)]
