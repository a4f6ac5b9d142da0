"""Objects of the service as dicts that also give their keys as attributes; unknown fields are kept.

The fields that the service documents are declared, so that type checkers know them and find a misspelt one. What is
declared with `None` may be left out by the service, and then reads as None.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from mistral_agents._display.shown import Shown
from mistral_agents._http.concealed import masked
from mistral_agents._json import JsonDict
from mistral_agents._turn.content import parse_time
from mistral_agents.errors import ConfigurationError, MissingFieldError, ResponseFormatError

_TIMES = frozenset({"created_at", "updated_at", "modified_at", "completed_at", "last_processed_at", "expires_at"})


class Record(dict[str, Any], Shown):
    """An object as the service sent it: `record["id"]` and `record.id` are the same.

    Times read as attributes are aware `datetime`s (`record.created_at`); as keys they stay the text that was sent. A
    field that this version does not know is there too: `record["new_field"]`.
    """

    if not TYPE_CHECKING:  # a checker shall know the declared fields only

        def __getattr__(self, name: str) -> Any:
            try:
                value = self[name]
            except KeyError:
                if _may_be_left_out(type(self), name):
                    return None
                known = ", ".join(sorted(self)) or "nothing"
                message = f"{type(self).__name__} has no field {name!r}; the service sent: {known}"
                raise AttributeError(message) from None
            return _read_time(value) if name in _TIMES else value

    def __missing__(self, name: str) -> Any:
        raise MissingFieldError(f"The service sent a {type(self).__name__} without {name!r}.", body=dict(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({masked(dict(self))!r})"


def _may_be_left_out(kind: type[Record], name: str) -> bool:
    """Whether a field is declared with `None`; annotations are texts here."""
    declared = next((base.__dict__["__annotations__"].get(name) for base in kind.__mro__ if _declares(base, name)), "")
    return str(declared).endswith("| None")


def _declares(kind: type, name: str) -> bool:
    return name in kind.__dict__.get("__annotations__", {})


def _read_time(value: object) -> datetime | Any:
    parsed = parse_time(value) if isinstance(value, str) else None
    return parsed if parsed is not None else value


R = TypeVar("R", bound=Record)


def make_dataframe(rows: Sequence[Any], columns: list[str] | None = None) -> Any:
    """A pandas DataFrame.

    Raises:
        ConfigurationError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ConfigurationError("to_dataframe needs pandas: pip install pandas") from error
    return pd.DataFrame(rows, columns=columns)


class Records(list[R], Shown):
    """Records in a list that is a table to look at."""

    def to_dataframe(self) -> Any:
        """The records as a pandas DataFrame, a column for each field that any of them has.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        return make_dataframe([masked(dict(row)) for row in self])


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
    """An agent; versions start at 0."""

    id: str
    name: str
    model: str
    version: int
    versions: list[int] | None
    description: str | None
    instructions: str | None
    tools: list[JsonDict] | None
    completion_args: JsonDict | None
    guardrails: list[JsonDict] | None
    handoffs: list[str] | None
    metadata: JsonDict | None
    created_at: datetime
    updated_at: datetime
    deployment_chat: bool | None
    source: str | None
    version_message: str | None
    object: str | None


class ConversationInfo(Record):
    """What the service tells of a conversation: its id, times, and its model or agent."""

    id: str
    model: str | None
    agent_id: str | None
    agent_version: int | str | None
    name: str | None
    description: str | None
    instructions: str | None
    tools: list[JsonDict] | None
    completion_args: JsonDict | None
    guardrails: list[JsonDict] | None
    metadata: JsonDict | None
    created_at: datetime
    updated_at: datetime
    object: str | None

    @property
    def conversation_id(self) -> str:
        """The conversation's id."""
        return str(self["id"])


class Library(Record):
    """A document library; its `id` is a UUID, `total_size` is in bytes."""

    id: str
    name: str
    description: str | None
    generated_name: str | None
    generated_description: str | None
    emoji: str | None
    nb_documents: int
    total_size: int
    chunk_size: int | None
    owner_id: str | None
    owner_type: str | None
    created_at: datetime
    updated_at: datetime
    explicit_user_members_count: int | None
    explicit_workspace_members_count: int | None
    org_sharing_role: str | None


class Document(Record):
    """A document of a library; its `id` is a UUID, `size` is in bytes."""

    id: str
    library_id: str
    name: str
    process_status: str | None
    processing_status: str | None
    attributes: JsonDict | None
    summary: str | None
    mime_type: str | None
    extension: str | None
    size: int | None
    hash: str | None
    number_of_pages: int | None
    url: str | None
    created_at: datetime
    last_processed_at: datetime | None
    expires_at: datetime | None
    uploaded_by_id: str | None
    uploaded_by_type: str | None
    tokens_processing_main_content: int | None
    tokens_processing_summary: int | None
    tokens_processing_total: int | None


State = Literal["ready", "failed", "pending"]
_READY = frozenset({"done", "self_managed", "noop", "completed"})
_FAILED = frozenset({"error", "missing_content", "failed"})


def state_of(status: Mapping[str, Any]) -> tuple[State, str | None]:
    """What a document's or a status' `process_status` means; words not known yet count as pending."""
    word = status.get("process_status")
    if not isinstance(word, str):
        word = status.get("processing_status")  # the only field of older replies
    if not isinstance(word, str):
        return "pending", None
    lowered = word.lower()
    if lowered in _READY:
        return "ready", word
    return ("failed" if lowered in _FAILED else "pending"), word


class FileInfo(Record):
    """A stored file; `bytes` is its size, and its times are seconds since 1970."""

    id: str
    filename: str
    bytes: int
    purpose: str | None
    mimetype: str | None
    sample_type: str | None
    source: str | None
    num_lines: int | None
    created_at: int
    expires_at: int | None
    signature: str | None
    visibility: str | None
    object: str | None


def as_record(kind: type[R], data: object) -> R:
    """A record of a reply's JSON.

    Raises:
        ResponseFormatError: The reply is no JSON object.
    """
    if not isinstance(data, dict):
        raise ResponseFormatError(f"The service sent no {kind.__name__} object.", body=data)
    return kind(data)


def rows_of(data: object, *keys: str) -> list[dict[str, Any]]:
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
