"""What retrieval keeps of a library's document: identity, signatures for incremental sync, metadata."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from hashlib import sha256
from typing import Any

from mistral_agents._api.records import Document, State, state_of
from mistral_agents._turn.content import parse_time

Metadata = dict[str, Any]
REF_ID, REF_HASH, HIDDEN_FROM_MODEL, HIDDEN_FROM_EMBEDDING, TEMPLATES = (
    "ref_doc_id",
    "ref_doc_hash",
    "excluded_llm_metadata_keys",
    "excluded_embed_metadata_keys",
    "node_templates",
)
"""Attributes of documents made of a framework's own: its id and hash, the keys that it keeps from whom, and how it
writes texts with their metadata."""
SYNC_PATH, SYNC_HASH, SYNC_SOURCE, SYNC_PATTERNS, SYNC_KEYS = (
    "sync_path",
    "sync_sha256",
    "sync_source",
    "sync_patterns",
    "sync_attributes",
)
"""Attributes by which a folder sync knows the documents it made; the last names the user's among the others."""
HIDDEN = (
    "library_id",
    "document_id",
    REF_ID,
    SYNC_PATH,
    "source",
    "file_size",
    "creation_date",
    "last_modified_date",
)
"""Metadata that helps filters and links, and does not belong in a prompt or an embedding."""
KEPT_BACK = (*HIDDEN, "file_type")
"""Metadata keys of ours that go neither into prompts nor into embeddings."""
RESERVED = frozenset({"library_id", "document_id", "source"})
"""Metadata that only we can give; a user's own value of such a name would hide which document was found."""
INTERNAL = frozenset(
    {REF_HASH, HIDDEN_FROM_MODEL, HIDDEN_FROM_EMBEDDING, TEMPLATES, SYNC_HASH, SYNC_SOURCE, SYNC_PATTERNS, SYNC_KEYS}
)
"""Attributes of our own bookkeeping: part of no metadata, prompt or embedding."""
PREFIX = "attr_"
"""What a user's attribute of a reserved name is found under; filters take any attribute with it, as in 0.1.0."""
_UNFINISHED = frozenset({"todo", "in_progress", "waiting_for_capacity", "running"})


@dataclass(frozen=True, slots=True)
class LibraryDocument:
    """A document of a library as it was listed.

    Attributes:
        library_id: Its library.
        document_id: Its own id; a new upload has a new one.
        name: The file's name.
        mime_type: Media type, where told.
        size: Bytes, where told.
        pages: Number of pages, where told.
        created_at: ISO 8601 in UTC.
        processed_at: When its text was last taken; ISO 8601 in UTC.
        expires_at: When the service deletes it; ISO 8601 in UTC.
        summary: The service's summary, where there is one.
        file_hash: The service's hash of the file; deprecated there, and may be missing.
        status: The service's word for how far it is processed.
        attributes: The user's own values.
    """

    library_id: str
    document_id: str
    name: str
    mime_type: str | None = None
    size: int | None = None
    pages: int | None = None
    created_at: str | None = None
    processed_at: str | None = None
    expires_at: str | None = None
    summary: str | None = None
    file_hash: str | None = None
    status: str | None = None
    attributes: Metadata = field(default_factory=dict, hash=False)

    @classmethod
    def from_record(cls, library_id: str, record: Document) -> LibraryDocument:
        """Read a listed document; only its id is required."""
        size, pages, attributes = (record.get(key) for key in ("size", "number_of_pages", "attributes"))
        return cls(
            library_id=library_id,
            document_id=str(record["id"]),
            name=_read_filled_text(record.get("name")) or str(record["id"]),
            mime_type=_read_filled_text(record.get("mime_type")),
            size=size if isinstance(size, int) else None,
            pages=pages if isinstance(pages, int) else None,
            created_at=_read_utc(record.get("created_at")),
            processed_at=_read_utc(record.get("last_processed_at")),
            expires_at=_read_utc(record.get("expires_at")),
            summary=_read_filled_text(record.get("summary")),
            file_hash=_read_filled_text(record.get("hash")),
            status=state_of(record)[1],
            attributes=dict(attributes) if isinstance(attributes, dict) else {},
        )

    @property
    def state(self) -> State:
        """Whether its text can be read. A word this version does not know counts as ready: asking is the test."""
        state, word = state_of({"process_status": self.status})
        unfinished = word is None or word.lower() in _UNFINISHED
        return "ready" if state == "pending" and not unfinished else state

    @property
    def text_key(self) -> str:
        """Changes when the text may have changed; `processed_at` is in it because reprocessing keeps the hash."""
        return _make_digest([self.file_hash, self.processed_at, self.size])

    @property
    def metadata_key(self) -> str:
        """Changes when anything else that a search shows has changed."""
        return _make_digest([self.name, self.attributes, self.expires_at, self.mime_type, self.summary, self.pages])

    @property
    def ref_id(self) -> str:
        """The id of the framework's document that it was made of, else its own."""
        given = self.attributes.get(REF_ID)
        return given if isinstance(given, str) else self.document_id

    def list_hidden(self, kind: str) -> list[str]:
        """Keys kept from prompts (`HIDDEN_FROM_MODEL`) or embeddings (`HIDDEN_FROM_EMBEDDING`).

        They are ours, save those that the user gave himself, and those that he named.
        """
        own = self.attributes.keys() - {REF_ID, SYNC_PATH}
        named = self.attributes.get(kind, [])
        return [*(key for key in KEPT_BACK if key not in own), *(key for key in named if isinstance(key, str))]

    @property
    def templates(self) -> dict[str, str]:
        """How the framework's document writes texts with their metadata, by its own names; empty for its usual way."""
        found = self.attributes.get(TEMPLATES)
        pairs = (line.partition("=") for line in found) if isinstance(found, list) else ()
        return {name: text for name, mark, text in pairs if mark}

    def expired(self, now: datetime) -> bool:
        """Whether the service has deleted it by now."""
        moment = parse_time(self.expires_at)
        return moment is not None and moment <= now

    def metadata(self, page: str | None = None) -> Metadata:
        """JSON, stable metadata: sorted keys, nothing that is None, no score, no link that expires.

        The user's attributes come under their own names and win over what the service tells of the file; only the names
        in `RESERVED` are ours, where an attribute of a document that we did not make is found with `PREFIX`.
        """
        own = {key: value for key, value in self.attributes.items() if key not in INTERNAL}
        known: Metadata = {
            "file_name": self.name,
            "file_type": self.mime_type,
            "file_size": self.size,
            "page_label": page,
            "creation_date": self.created_at,
            "last_modified_date": self.processed_at,
            **{f"{PREFIX}{key}" if key in RESERVED else key: value for key, value in own.items()},
            "library_id": self.library_id,
            "document_id": self.document_id,
            "source": own.get(SYNC_PATH, self.name),
        }
        return {key: known[key] for key in sorted(known) if known[key] is not None}


_UNFINISHED_TEXT = "unfinished"
"""In place of the keys of a document that is being written: after a kill it is written anew."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a document looked like when it was written into a store; its text form is kept there as its hash."""

    library_id: str
    document_id: str
    text_key: str
    metadata_key: str

    def __str__(self) -> str:
        return " ".join((self.library_id, self.document_id, self.text_key, self.metadata_key))

    @classmethod
    def of(cls, document: LibraryDocument, settings_key: str) -> Signature:
        """A document's signature; another splitter or model counts as another text."""
        key = f"{document.text_key}|{settings_key.replace(' ', '_')}"
        return cls(document.library_id, document.document_id, key, document.metadata_key)

    @classmethod
    def of_unfinished(cls, document: LibraryDocument) -> Signature:
        """The signature of a document while it is being written."""
        return cls(document.library_id, document.document_id, _UNFINISHED_TEXT, _UNFINISHED_TEXT)

    @property
    def is_finished(self) -> bool:
        """Whether the document was written to its end."""
        return self.text_key != _UNFINISHED_TEXT


def read_signatures(written: Iterable[str], library_ids: Container[str]) -> dict[str, Signature]:
    """The signatures of these libraries' documents by document, among all that a store has noted."""
    parts = (text.split(" ") for text in written)
    found = (Signature(*part) for part in parts if len(part) == 4 and part[0] in library_ids)
    return {signature.document_id: signature for signature in found}


def describe_fields(rows: Iterable[Metadata], samples: int) -> dict[str, list[Any]]:
    """The fields of documents to filter by, sorted, each with a few values; what helps no question is left out."""
    values: dict[str, list[Any]] = {}
    for row in rows:
        for key, value in row.items():
            seen = values.setdefault(key, [])
            if value not in seen and len(seen) < samples:
                seen.append(value)
    return {key: values[key] for key in sorted(values) if key not in HIDDEN or key.endswith("_date")}


def flat(metadata: Metadata) -> Metadata:
    """Metadata for stores that keep texts and numbers only: the rest as JSON."""
    return {
        key: value
        if isinstance(value, (str, int, float)) and not isinstance(value, bool)
        else json.dumps(value, sort_keys=True, ensure_ascii=False)
        for key, value in metadata.items()
    }


def _read_filled_text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _read_utc(value: object) -> str | None:
    moment = parse_time(value) if isinstance(value, str) else None
    if moment is None:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    return aware.astimezone(timezone.utc).isoformat()


def _make_digest(values: list[Any]) -> str:
    return sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]
