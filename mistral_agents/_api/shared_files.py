"""Documents that share one file: the service keeps equal bytes once, and answers an upload of known ones with them.

Bytes are not identity: two uploads of one text under two names, or with two sets of attributes, are two documents. The
first keeps name and attributes of the service's record; each further one is a row of a table among the record's
attributes, and has the id `<id of the record>~<tag>`, which every call here takes. Where the service keeps equal bytes
twice, no such table is ever made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from hashlib import sha256
from typing import Any

from mistral_agents._api.records import Document
from mistral_agents._http.calls import check_id
from mistral_agents._json import JsonDict, load_json
from mistral_agents._turn.content import parse_time
from mistral_agents.errors import NotFoundError

TABLE = "mistral_agents_documents"
"""The attribute that holds the table: a list of JSON texts."""
_MARK = "~"


@dataclass(frozen=True, slots=True)
class Row:
    """One document of a file.

    Attributes:
        name: The document's name.
        attributes: The user's values; None where there are none.
        expires_at: ISO 8601; None for never.
    """

    name: str
    attributes: JsonDict | None = None
    expires_at: str | None = None

    @property
    def tag(self) -> str:
        """The same for the same document, whoever adds it."""
        text = json.dumps([self.name, self.attributes], sort_keys=True, default=str)
        return sha256(text.encode()).hexdigest()[:12]


def split_id(document_id: str) -> tuple[str, str]:
    """The id of the service's record, and the tag of the row (empty for the record's own document).

    Raises:
        ConfigurationError: It can't be an id.
    """
    record_id, _, tag = check_id("document_id", document_id).partition(_MARK)
    return record_id, tag


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A record of the service with the documents it stands for.

    Attributes:
        record: The record as it was sent.
        rows: Its documents by tag; the record's own has the empty tag.
        former: Tags that the record's own document had before it took the place of a deleted one.
    """

    record: JsonDict
    rows: dict[str, Row]
    former: tuple[str, ...] = ()

    @classmethod
    def read(cls, record: JsonDict) -> SharedFile:
        """Read a record; a table that can't be read is left alone, as a value of the user's."""
        given = record.get("attributes")
        attributes = dict(given) if isinstance(given, Mapping) else None
        lines = _read_rows(attributes.get(TABLE)) if attributes is not None else []
        if attributes is not None and lines:
            del attributes[TABLE]
        rows = {"": Row(str(record.get("name")), attributes, record.get("expires_at"))}
        former: tuple[str, ...] = ()
        for line in lines:
            if line["tag"]:
                rows[line["tag"]] = Row(line["name"], line["attributes"], line["expires_at"])
            else:
                rows[""] = replace(rows[""], expires_at=line["expires_at"])
                former = tuple(line["former"])
        return cls(record, rows, former)

    @property
    def is_shared(self) -> bool:
        """Whether there is more than one document."""
        return len(self.rows) > 1

    def documents(self) -> list[Document]:
        """All documents that have not expired."""
        now = datetime.now(timezone.utc)
        kept = [tag for tag, row in self.rows.items() if not self.is_shared or not _has_passed(row.expires_at, now)]
        return [self.document(tag) for tag in kept]

    def document(self, tag: str) -> Document:
        """One document.

        Raises:
            NotFoundError: There is none with this tag.
        """
        known = self.known(tag)
        if known == "" and not self.is_shared and not self.former:
            return Document(self.record)
        row, key = self.rows[known], str(self.record["id"])
        own = {"name": row.name, "attributes": row.attributes, "expires_at": row.expires_at}
        return Document({**self.record, **own, "id": f"{key}{_MARK}{known}" if known else key})

    def known(self, tag: str) -> str:
        """The tag as it is now.

        Raises:
            NotFoundError: There is no document with this tag.
        """
        if tag in self.rows:
            return tag
        if tag in self.former:
            return ""
        raise NotFoundError(f"Document {self.record['id']}{_MARK}{tag} was not found: its file holds other documents.")

    def put(self, tag: str, row: Row) -> SharedFile:
        """The same with a document added, or changed."""
        return replace(self, rows={**self.rows, tag: row})

    def without(self, tag: str) -> SharedFile:
        """The same without one document; without the first, the second takes its place and keeps its old id too.

        Raises:
            NotFoundError: There is none with this tag.
        """
        gone = self.known(tag)
        rows = {key: row for key, row in self.rows.items() if key != gone}
        if gone != "" or not rows:
            return replace(self, rows=rows)
        first = next(iter(rows))
        return replace(self, rows={"": rows.pop(first), **rows}, former=(first,))

    def body(self) -> JsonDict:
        """What to send so that the service's record holds these documents."""
        own, others = self.rows[""], {tag: row for tag, row in self.rows.items() if tag}
        lasting = _latest([row.expires_at for row in self.rows.values()])
        table = [_write_row(tag, row) for tag, row in others.items()]
        if self.former or own.expires_at != lasting:
            table.append(json.dumps({"tag": "", "expires_at": own.expires_at, "former": list(self.former)}))
        attributes = {**(own.attributes if own.attributes is not None else {}), **({TABLE: table} if table else {})}
        changed = {"name": own.name, "attributes": attributes, "expires_at": lasting}
        before = {**self.record, "attributes": self.record.get("attributes") or {}}
        return {key: value for key, value in changed.items() if value != before.get(key)}


def _read_rows(found: Any) -> list[JsonDict]:
    """The table's lines; none where it is no table."""
    try:
        lines = [load_json(line) for line in found]
        return lines if all(_FIELDS[line["tag"] == ""] <= line.keys() for line in lines) else []
    except (ValueError, TypeError, KeyError, AttributeError):
        return []


_FIELDS = {True: {"expires_at", "former"}, False: {"name", "attributes", "expires_at"}}


def _write_row(tag: str, row: Row) -> str:
    line = {"tag": tag, "name": row.name, "attributes": row.attributes, "expires_at": row.expires_at}
    return json.dumps(line, ensure_ascii=False)


def _latest(moments: list[str | None]) -> str | None:
    """The last of some moments; None, which means never, is later than any."""
    known = [moment for moment in moments if moment is not None]
    if len(known) < len(moments):
        return None
    return max(known, key=lambda text: _moment(text) or datetime.max.replace(tzinfo=timezone.utc))


def _moment(text: str | None) -> datetime | None:
    found = parse_time(text)
    return found.replace(tzinfo=timezone.utc) if found is not None and found.tzinfo is None else found


def _has_passed(text: str | None, now: datetime) -> bool:
    moment = _moment(text)
    return moment is not None and moment <= now
