"""Documents of LlamaIndex in a library: their text as a file, metadata, id and hash as attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import PurePath
from typing import Any
from uuid import uuid4

from llama_index.core.schema import Document

from mistral_agents._api.libraries import unfit_attributes
from mistral_agents._api.records import Document as LibraryRecord
from mistral_agents._api.shared_files import Row
from mistral_agents._api.writing import Upload
from mistral_agents._border.text import mend_text
from mistral_agents._json import JsonDict
from mistral_agents._steps import Job, Steps
from mistral_agents.errors import ConfigurationError, InvalidRequestError, NotFoundError
from mistral_agents.libraries import Libraries
from mistral_agents.retrieval.documents import (
    HIDDEN_FROM_EMBEDDING,
    HIDDEN_FROM_MODEL,
    INTERNAL,
    REF_HASH,
    REF_ID,
    RESERVED,
    SYNC_PATH,
    LibraryDocument,
)

NAMES_OF_OURS = INTERNAL | RESERVED | {REF_ID, SYNC_PATH}
"""Attributes that a user can't give: they say where a document comes from."""
_TEXT_SUFFIXES = (".txt", ".md")
Told = Callable[[int, int], None] | None


@dataclass(slots=True)
class Insertion:
    """What became of documents that were sent.

    Attributes:
        ids: The library's ids of those that are there, by the documents' own.
        refused: Why the service refused others, by the documents' own ids.
        sent: Which documents were sent, in the order given.
    """

    ids: dict[str, str]
    refused: dict[str, str]
    sent: list[bool]


@dataclass(frozen=True, slots=True)
class DocumentStore:
    """Inserts, updates and deletes documents of one library; each method gives the steps of its work."""

    libraries: Libraries
    library_id: str

    def listed(self) -> Steps[dict[str, LibraryDocument]]:
        """The library's documents by id."""

        async def acall() -> list[LibraryRecord]:
            return [record async for record in self.libraries.adocuments(self.library_id)]

        records = yield Job(lambda: list(self.libraries.documents(self.library_id)), acall)
        found = (LibraryDocument.from_record(self.library_id, record) for record in records)
        return {document.document_id: document for document in found}

    def insert(self, document: Document) -> Steps[LibraryRecord]:
        """Upload a document.

        Raises:
            ConfigurationError: The library can't keep it as it is.
        """
        check_documents([document])
        return (yield from self._upload(document))

    def _upload(self, document: Document) -> Steps[LibraryRecord]:
        name, mark = _file_name(document), _mark_of(document.doc_id)
        upload = Upload(
            self.library_id,
            mend_text(document.text).encode(),
            Row(name, _attributes(document)),
            sent_as=f"{mark}{uuid4().hex[:8]}-{name}",
            is_ours=lambda found: found.startswith(mark),
            is_same=lambda found: (found.get("attributes") or {}).get(REF_ID) == document.doc_id,
        )
        return (yield from self.libraries.writer.upload(upload))

    def insert_all(self, documents: Sequence[Document], *, known: bool, told: Told = None) -> Steps[Insertion]:
        """Upload documents one after the other; those that the service refuses are noted, and the rest goes on.

        With `known`, the library is looked at first, and what is there unchanged is not sent.

        Raises:
            ConfigurationError: The library can't keep some as they are; nothing was sent.
        """
        check_documents(documents)
        listed = (yield from self.listed()) if known else {}
        made = Insertion({}, {}, [])
        for number, document in enumerate(documents, 1):
            old = _of(document.doc_id, listed)
            same = next((one for one in old if one.attributes.get(REF_HASH) == document.hash), None)
            made.sent.append(same is None)
            if same is not None:
                made.ids[document.doc_id] = same.document_id
            else:
                try:
                    record = yield from self._replace(document, old)
                    made.ids[document.doc_id] = str(record["id"])
                except InvalidRequestError as error:
                    made.sent[-1] = False
                    made.refused[document.doc_id] = error.message
            if told is not None:
                told(number, len(documents))
        return made

    def update(self, document: Document) -> Steps[LibraryRecord]:
        """Upload a document, then delete what it replaces.

        Raises:
            ConfigurationError: The library can't keep it as it is.
        """
        check_documents([document])
        listed = yield from self.listed()
        return (yield from self._replace(document, _of(document.doc_id, listed)))

    def _replace(self, document: Document, old: list[LibraryDocument]) -> Steps[LibraryRecord]:
        record = yield from self._upload(document)
        for one in old:
            if one.document_id != record["id"]:
                yield from self._delete(one.document_id)
        return record

    def delete(self, ref_doc_id: str) -> Steps[bool]:
        """Delete by the library's id, or by the id of the document it was made of; whether there was one."""
        was_there = False
        for one in _of(ref_doc_id, (yield from self.listed())):
            was_there = (yield from self._delete(one.document_id)) or was_there
        return was_there

    def _delete(self, key: str) -> Steps[bool]:
        try:
            return (yield from self.libraries.writer.delete(self.library_id, key))
        except NotFoundError:  # somebody else was faster
            return False


def _of(ref_doc_id: str, listed: dict[str, LibraryDocument]) -> list[LibraryDocument]:
    """The library's documents of an id, and what an upload that broke off has left of them."""
    mark = _mark_of(ref_doc_id)
    return [
        document
        for key, document in listed.items()
        if ref_doc_id in (key, document.attributes.get(REF_ID))
        or (not document.attributes and document.name.startswith(mark))
    ]


def _mark_of(ref_doc_id: str) -> str:
    """How a document's file is called until it has its attributes; what a kill leaves behind is known by it."""
    return f"insert-{sha256(mend_text(ref_doc_id).encode()).hexdigest()[:12]}-"


def check_documents(documents: Sequence[Document]) -> None:
    """Look for what a library can't keep.

    Raises:
        ConfigurationError: There is something; all of it is named.
    """
    given: Sequence[object] = documents
    other = [type(one).__name__ for one in given if not isinstance(one, Document)]
    if other:
        raise ConfigurationError(f"A library takes documents of LlamaIndex (Document), not {', '.join(other)}.")
    bad = [f"document {document.doc_id!r}: {reason}" for document in documents for reason in _unfit(document)]
    if bad:
        allowed = "texts, whole or finite numbers, bools, and lists of one of these kinds"
        raise ConfigurationError(f"Metadata can't be kept by a library: {'; '.join(bad)}. Allowed are {allowed}.")


def _unfit(document: Document) -> Iterator[str]:
    if mend_text(document.doc_id) != document.doc_id:
        yield "its id holds half a character"
    metadata = {key: value for key, value in document.metadata.items() if value is not None}
    yield from unfit_attributes(metadata)
    for key in sorted(metadata.keys() & NAMES_OF_OURS):
        yield f"{key!r} is a name of ours: rename it"


def _attributes(document: Document) -> JsonDict:
    """A document's metadata and what brings it back as it was; a None is left out, since the service keeps none."""
    own = {key: value for key, value in document.metadata.items() if value is not None}
    hidden = {
        HIDDEN_FROM_MODEL: list(document.excluded_llm_metadata_keys),
        HIDDEN_FROM_EMBEDDING: list(document.excluded_embed_metadata_keys),
    }
    known: dict[str, Any] = {REF_ID: document.doc_id, REF_HASH: document.hash}
    listed = {key: list(value) if isinstance(value, tuple) else value for key, value in own.items()}
    return {**listed, **known, **{key: value for key, value in hidden.items() if value}}


def _file_name(document: Document) -> str:
    given = document.metadata.get("file_name")
    name = PurePath(given).name if isinstance(given, str) and given else document.doc_id.replace("/", "_")
    return name if name.lower().endswith(_TEXT_SUFFIXES) else f"{name}.txt"


def waiting(libraries: Libraries, library_id: str, ids: Sequence[str] | None, timeout: float, told: Told) -> Job:
    """Waiting until documents are processed."""
    options: dict[str, Any] = {"timeout": timeout, "on_progress": told}
    return Job(
        partial(libraries.wait_until_ready, library_id, ids, **options),
        partial(libraries.await_until_ready, library_id, ids, **options),
    )
