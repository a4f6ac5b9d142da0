"""Checks documents against an index and turns them into rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from mistral_agents_server.search_index.hashing import embed
from mistral_agents_server.search_index.models import Config, FieldDefinition, Fields

Wire = dict[str, Any]

DOCUMENT_FIELDS = ("source_id", "document_metadata", "chunks")
CHUNK_FIELDS = (
    *("content", "locator", "start_offset", "end_offset", "chunk_type", "content_embedding", "parent_ref", "metadata"),
)
_KINDS: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "keyword": (str,),
    "int": (int,),
    "long": (int,),
    "float": (int, float),
    "bool": (bool,),
    "json": (dict, list, str, int, float, bool),
    "dense_vector": (list,),
}


@dataclass(slots=True, frozen=True)
class Row:
    """A chunk, ready to be kept.

    Attributes:
        chunk_id: uuid5 of source and locator, as Mistral's search toolkit makes it.
        body: the chunk as searches show it, with the user's own fields beside.
        embedding: its vector.
    """

    chunk_id: str
    body: Wire
    embedding: list[float]


class RejectedError(Exception):
    """A document that is not taken.

    Attributes:
        errors: one entry per fault: location, type and message.
    """

    def __init__(self) -> None:
        super().__init__("the document is not taken")
        self.errors: list[Wire] = []

    def note(self, location: list[str | int], kind: str, message: str) -> None:
        """Add a fault."""
        self.errors.append({"location": location, "type": kind, "message": message})


def document_id_of(source_id: str) -> str:
    """The id of a document, as Mistral's search toolkit makes it."""
    return str(uuid5(NAMESPACE_DNS, source_id))


def moment(text: str) -> datetime:
    """A time in ISO 8601.

    Raises:
        ValueError: it is none.
    """
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def rows_of(document: Wire, config: Config, fields: Fields) -> list[Row]:
    """The rows of a document.

    Raises:
        RejectedError: with every fault.
    """
    faults = RejectedError()
    source_id = document.get("source_id")
    if not isinstance(source_id, str) or not source_id:
        faults.note(["source_id"], "string_type", "source_id must be a string that isn't empty")
    chunks = document.get("chunks")
    if not isinstance(chunks, list) or not chunks:
        faults.note(["chunks"], "list_type", "chunks must be a list that isn't empty")
        chunks = []
    shared = _own(document, DOCUMENT_FIELDS, fields.document_fields, [], faults)
    rows = []
    for number, chunk in enumerate(chunks):
        place: list[str | int] = ["chunks", number]
        if isinstance(chunk, dict):
            rows.append(_row(str(source_id), chunk, shared, config, fields, place, faults))
        else:
            faults.note(place, "dict_type", "a chunk must be an object")
    if len({row.chunk_id for row in rows}) < len(rows):
        faults.note(["chunks"], "value_error", "two chunks have the same locator")
    if faults.errors:
        raise faults
    return rows


def _row(
    source_id: str,
    chunk: Wire,
    shared: Wire,
    config: Config,
    fields: Fields,
    place: list[str | int],
    faults: RejectedError,
) -> Row:
    for name in ("content", "locator"):
        if not isinstance(chunk.get(name), str):
            faults.note([*place, name], "string_type", f"{name} must be a string")
    for name in ("start_offset", "end_offset"):
        if not isinstance(chunk.get(name), (int, type(None))):
            faults.note([*place, name], "int_type", f"{name} must be an integer")
    own = _own(chunk, CHUNK_FIELDS, fields.chunk_fields, place, faults)
    locator = str(chunk.get("locator"))
    chunk_id = str(uuid5(NAMESPACE_DNS, f"{source_id}:{locator}"))
    body = {
        "id": chunk_id,
        "source_id": source_id,
        "locator": locator,
        "start_offset": chunk.get("start_offset"),
        "end_offset": chunk.get("end_offset"),
        "chunk_type": chunk.get("chunk_type", "content"),
        "content": chunk.get("content"),
        "parent_ref": chunk.get("parent_ref"),
        "metadata": chunk.get("metadata"),
        **shared,
        **own,
    }
    return Row(chunk_id, body, _embedding(chunk, config, place, faults))


def _embedding(chunk: Wire, config: Config, place: list[str | int], faults: RejectedError) -> list[float]:
    """The chunk's vector: as given; made here for an index with vectors of the service's."""
    given = chunk.get("content_embedding")
    wanted = config.embedding.dimensions
    if given is None and config.embedding.type == "mistral":
        return embed(str(chunk.get("content")), wanted)
    if isinstance(given, list) and len(given) == wanted and all(map(_is_finite, given)):
        return [float(value) for value in given]
    faults.note([*place, "content_embedding"], "value_error", f"content_embedding must be {wanted} numbers")
    return []


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _own(
    part: Wire,
    known: tuple[str, ...],
    defined: Mapping[str, FieldDefinition],
    place: list[str | int],
    faults: RejectedError,
) -> Wire:
    """The user's own fields of a document or chunk, checked, with defaults."""
    found: Wire = {}
    for name, value in part.items():
        if name in defined:
            if value is not None and not _fits(value, defined[name].type):
                faults.note([*place, name], "type_error", f"{name} must be of type {defined[name].type}")
            found[name] = value
        elif name not in known:
            faults.note([*place, name], "extra_forbidden", f"{name} is not a field of this index")
    for name, definition in defined.items():
        if found.get(name) is None and definition.default is not None:
            found[name] = definition.default
        elif found.get(name) is None and definition.required:
            faults.note([*place, name], "missing", f"{name} is required")
    return found


def _fits(value: Any, kind: str) -> bool:
    if kind == "timestamp":
        return _is_moment(value)
    if kind.endswith("[]"):
        return isinstance(value, list) and all(_fits(one, kind[:-2]) for one in value)
    if isinstance(value, bool) and kind not in ("bool", "json"):
        return False
    return isinstance(value, _KINDS[kind])


def _is_moment(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        moment(value)
    except ValueError:
        return False
    return True
