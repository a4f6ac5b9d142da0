"""The steps of writing documents: upload, change and delete, where several documents may share one file."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from mistral_agents._api import libraries as calls
from mistral_agents._api.arguments import given, time_text
from mistral_agents._api.changes import ChangeLog
from mistral_agents._api.records import Document, as_record
from mistral_agents._api.shared_files import Row, SharedFile, split_id
from mistral_agents._conversation.lock import Hold, lock_of
from mistral_agents._http.calls import Call
from mistral_agents._json import JsonDict
from mistral_agents._steps import Job, Steps
from mistral_agents.errors import InvalidRequestError, NotFoundError

if TYPE_CHECKING:
    from mistral_agents._http.replies import Reply
    from mistral_agents._http.transport import Transport

T = TypeVar("T")
_TRIES = 3
"""How often an upload is begun anew when its record disappears before it has its attributes, or is written over."""

_LONGEST_NAME = 200  # characters


@dataclass(frozen=True, slots=True)
class Upload:
    """A document to be.

    Attributes:
        library_id: The library.
        data: The file's bytes.
        row: The document's name, attributes and expiry.
        sent_as: The name of the file while it is sent; another than the document's marks what a kill leaves behind.
        is_ours: Whether a record of this name that has no attributes may be taken for this upload's own.
        is_same: Whether a document that shares these bytes is the one to be written, whatever its attributes.
    """

    library_id: str
    data: bytes
    row: Row
    sent_as: str
    is_ours: Callable[[str], bool]
    is_same: Callable[[Document], bool]


def plain_upload(
    library_id: str, name: str, data: bytes, attributes: Mapping[str, Any] | None, expires_at: datetime | str | None
) -> Upload:
    """An upload by a user: the same name and attributes are the same document, sent once more.

    A document without attributes gets those given: an upload may have broken off before it had them.
    """
    moment = time_text("expires_at", expires_at) if expires_at is not None else None
    own = dict(attributes) if attributes is not None else None

    def is_same(document: Document) -> bool:
        known = document.get("attributes")
        return document.get("name") == name and (not known or known == own)

    return Upload(library_id, data, Row(name, own, moment), name, lambda found: found == name, is_same)


class Writer:
    """Writes documents of libraries; each method gives steps for `_steps.run` or `_steps.arun`.

    A change reads the record first, since the service replaces a document's attributes as a whole.
    """

    def __init__(self, transport: Transport, changes: ChangeLog) -> None:
        self._transport = transport
        self._changes = changes
        self._shared: set[str] = set()  # records that this client gave further documents

    def _job(self, call: Call) -> Job:
        return Job(lambda: self._transport.send(call), lambda: self._transport.asend(call))

    def upload(self, upload: Upload) -> Steps[Document]:
        """Send a file and name its document.

        Raises:
            NotFoundError: Somebody else keeps deleting it.
        """
        for left in range(_TRIES - 1, -1, -1):
            reply: Reply = yield self._job(calls.upload_call(upload.library_id, upload.sent_as, upload.data))
            self._changes.note(upload.library_id)
            record = as_record(Document, reply.json())
            try:
                return (yield from self._name(upload, record, is_new=_is_new(upload, record, reply.status)))
            except NotFoundError:
                if not left:
                    raise
        raise AssertionError

    def _name(self, upload: Upload, record: Document, *, is_new: bool) -> Steps[Document]:
        if is_new:
            return (yield from self._complete(upload, record))
        shared, wanted = SharedFile.read(record), upload.row
        tag = next((tag for tag in shared.rows if upload.is_same(shared.document(tag))), None)
        if tag is None:
            tag = wanted.tag
        else:
            wanted = _merged(shared.rows[tag], wanted)
            if wanted == shared.rows[tag]:
                return shared.document(tag)
        key = str(record["id"])
        return (yield from _hold(key, self._put(upload.library_id, key, tag, wanted)))

    def _put(self, library_id: str, record_id: str, tag: str, row: Row) -> Steps[Document]:
        """Add or change a document of a file, and look whether another process wrote over it meanwhile."""
        self._shared.add(record_id)
        for _ in range(_TRIES):
            shared = yield from self._read(library_id, record_id)
            if shared.rows.get(tag) == row:
                break
            document = yield from self._patch(library_id, shared.put(tag, row), tag)
        return shared.document(tag) if shared.rows.get(tag) == row else document

    def _complete(self, upload: Upload, record: Document) -> Steps[Document]:
        """Give a new record what an upload can't carry; where that is refused, the record goes again."""
        row, key = upload.row, str(record["id"])
        name = row.name if upload.sent_as != row.name else None
        changes = given(name=name, attributes=row.attributes, expires_at=row.expires_at)
        if changes:
            record = yield from _hold(key, self._label(upload.library_id, key, changes))
        if record.get("name") in (None, row.name) or _survives_upload(row.name):
            return record
        return (yield from _hold(key, self._rename(upload.library_id, record, row.name)))

    def _rename(self, library_id: str, record: Document, name: str) -> Steps[Document]:
        """Give a document the name that its upload changed."""
        try:
            return (yield from self._change(library_id, str(record["id"]), "", {"name": name}))
        except InvalidRequestError:  # it can't bear that name, and keeps the one it was given
            return record

    def _label(self, library_id: str, key: str, changes: JsonDict) -> Steps[Document]:
        if key in self._shared:  # another upload of the same bytes was faster
            return (yield from self._change(library_id, key, "", changes))
        try:
            reply = yield self._job(calls.change_document_call(library_id, key, changes))
        except InvalidRequestError:
            yield from self._drop(library_id, key)
            raise
        self._changes.note(library_id)
        return as_record(Document, reply.json())

    def _drop(self, library_id: str, record_id: str) -> Steps[None]:
        yield self._job(calls.delete_document_call(library_id, record_id))
        self._changes.note(library_id, deleted=record_id)

    def _patch(self, library_id: str, shared: SharedFile, tag: str) -> Steps[Document]:
        call = calls.change_document_call(library_id, str(shared.record["id"]), shared.body())
        reply = yield self._job(call)
        self._changes.note(library_id)
        told = SharedFile.read(as_record(Document, reply.json()))
        return (told if tag in told.rows else shared).document(tag)

    def _read(self, library_id: str, record_id: str) -> Steps[SharedFile]:
        reply = yield self._job(calls.document_call(library_id, record_id))
        return SharedFile.read(as_record(Document, reply.json()))

    def update(self, library_id: str, document_id: str, changes: JsonDict) -> Steps[Document]:
        """Change name, attributes or expiry of one document.

        Raises:
            NotFoundError: There is no such document.
        """
        record_id, tag = split_id(document_id)
        return (yield from _hold(record_id, self._change(library_id, record_id, tag, changes)))

    def _change(self, library_id: str, record_id: str, tag: str, changes: JsonDict) -> Steps[Document]:
        shared = yield from self._read(library_id, record_id)
        known = shared.known(tag)
        if not shared.is_shared and not shared.former:
            reply = yield self._job(calls.change_document_call(library_id, record_id, changes))
            self._changes.note(library_id)
            return as_record(Document, reply.json())
        row = shared.rows[known]
        before = {"name": row.name, "attributes": row.attributes, "expires_at": row.expires_at}
        return (yield from self._patch(library_id, shared.put(known, Row(**{**before, **changes})), known))

    def delete(
        self, library_id: str, document_id: str, *, only: Callable[[Document], bool] | None = None
    ) -> Steps[bool]:
        """Delete one document; its file goes with the last. `only` may still refuse, when it is read once more.

        Raises:
            NotFoundError: There is no such document.
        """
        record_id, tag = split_id(document_id)
        return (yield from _hold(record_id, self._remove(library_id, record_id, tag, only)))

    def _remove(
        self, library_id: str, record_id: str, tag: str, only: Callable[[Document], bool] | None
    ) -> Steps[bool]:
        shared = yield from self._read(library_id, record_id)
        if only is not None and not only(shared.document(tag)):
            return False
        rest = shared.without(tag)
        if rest.rows:
            yield from self._patch(library_id, rest, "")
        else:
            yield from self._drop(library_id, record_id)
        return True


def _hold(record_id: str, steps: Steps[T]) -> Steps[T]:
    """Do the steps while nobody else in this process writes the record."""
    lock, mine = lock_of("document", record_id), Hold()
    yield Job(lambda: lock.acquire(mine), lambda: lock.aacquire(mine))
    try:
        return (yield from steps)
    finally:
        lock.release(mine)


def _survives_upload(name: str) -> bool:
    """Whether an upload keeps a name as it is: HTTP escapes marks, services compose letters and drop folders."""
    is_plain = name.isprintable() and name == name.strip() and not name.startswith(".") and not {*name} & {*'"\\/'}
    return is_plain and len(name) <= _LONGEST_NAME and unicodedata.is_normalized("NFC", name)


def _is_new(upload: Upload, record: Document, status: int) -> bool:
    """Whether the record is this upload's own: it has no attributes yet, and its name or the status says so.

    The service is documented to answer 200 for known bytes and 201 for new ones.
    """
    return not record.get("attributes") and (status == 201 or upload.is_ours(str(record.get("name"))))


def _merged(row: Row, wanted: Row) -> Row:
    """What a document becomes; None keeps what it has."""
    return Row(
        wanted.name,
        wanted.attributes if wanted.attributes is not None else row.attributes,
        wanted.expires_at if wanted.expires_at is not None else row.expires_at,
    )
