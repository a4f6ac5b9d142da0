"""Documents of a framework in a library: their text as a file, metadata, id and hash as attributes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from mistral_agents._api.libraries import unfit_attributes
from mistral_agents._api.records import Document as LibraryRecord
from mistral_agents._api.shared_files import Row
from mistral_agents._api.waiting import DocumentOutcome, checked, seconds_of
from mistral_agents._api.writing import Upload
from mistral_agents._border.text import mend_text
from mistral_agents._json import JsonDict
from mistral_agents._progress import counting
from mistral_agents._steps import Job, Steps
from mistral_agents._warnings import warn_user
from mistral_agents.errors import ConfigurationError, InvalidRequestError, MistralAgentsError, NotFoundError
from mistral_agents.retrieval.documents import (
    HIDDEN_FROM_EMBEDDING,
    HIDDEN_FROM_MODEL,
    INTERNAL,
    REF_HASH,
    REF_ID,
    RESERVED,
    SYNC_PATH,
    TEMPLATES,
    LibraryDocument,
)

if TYPE_CHECKING:
    from mistral_agents.libraries import Libraries

NAMES_OF_OURS = INTERNAL | RESERVED | {REF_ID, SYNC_PATH}
"""Attributes that a user can't give: they say where a document comes from."""
_TEXT_SUFFIXES = (".txt", ".md")
_LONGEST_NAME = 200
"""Characters: ids are addresses or whole paths in some readers, and name files here."""
_ALLOWED = "texts, whole or finite numbers, bools, and lists of one of these kinds"
Told = Callable[[int, int], None] | None
log = logging.getLogger("mistral_agents.retrieval")


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """A document of a framework.

    Attributes:
        key: Its own id.
        text: Its text.
        digest: Its hash; another one is another document.
        metadata: The user's values; a None counts as none, since the service keeps none.
        hidden_from_model: Keys of metadata that no prompt shows.
        hidden_from_embedding: Keys of metadata that no embedding holds.
        templates: How it writes texts with their metadata, by the framework's names, where that is not its usual way.
    """

    key: str
    text: str
    digest: str
    metadata: Mapping[str, Any]
    hidden_from_model: Sequence[str] = ()
    hidden_from_embedding: Sequence[str] = ()
    templates: Mapping[str, str] = field(default_factory=dict)

    def find_faults(self) -> Iterator[str]:
        """What a library can't keep of it."""
        if mend_text(self.key) != self.key:
            yield "its id holds half a character"
        metadata = self._own()
        yield from unfit_attributes(metadata)
        for key in sorted(metadata.keys() & NAMES_OF_OURS):
            yield f"{key!r} is a name of ours: rename it"

    def _own(self) -> JsonDict:
        return {key: value for key, value in self.metadata.items() if value is not None}

    @property
    def attributes(self) -> JsonDict:
        """Its metadata, and what brings it back as it was."""
        hidden = {
            HIDDEN_FROM_MODEL: list(self.hidden_from_model),
            HIDDEN_FROM_EMBEDDING: list(self.hidden_from_embedding),
            TEMPLATES: [f"{name}={text}" for name, text in self.templates.items()],
        }
        known: JsonDict = {REF_ID: self.key, REF_HASH: self.digest}
        listed = {key: list(value) if isinstance(value, tuple) else value for key, value in self._own().items()}
        return {**listed, **known, **{key: value for key, value in hidden.items() if value}}

    @property
    def file_name(self) -> str:
        """What its file is called."""
        given = self.metadata.get("file_name")
        name = PurePath(given).name if isinstance(given, str) and given else self.key.replace("/", "_")
        ending = name[name.rindex(".") :] if name.lower().endswith(_TEXT_SUFFIXES) else ".txt"
        return f"{name.removesuffix(ending)[:_LONGEST_NAME]}{ending}"


def check_documents(documents: Sequence[SourceDocument]) -> None:
    """Look for what a library can't keep.

    Raises:
        ConfigurationError: There is something; all of it is named.
    """
    bad = [f"document {document.key!r}: {fault}" for document in documents for fault in document.find_faults()]
    if bad:
        raise ConfigurationError(f"Metadata can't be kept by a library: {'; '.join(bad)}. Allowed are {_ALLOWED}.")


def check_attributes(attributes: Mapping[str, Any] | None) -> None:
    """Refuse attributes of names that are ours.

    Raises:
        ConfigurationError: There are some.
    """
    ours = sorted(attributes.keys() & NAMES_OF_OURS) if isinstance(attributes, Mapping) else []
    if ours:
        raise ConfigurationError(f"attributes: {', '.join(map(repr, ours))} are names of ours: rename them.")


@dataclass(slots=True)
class Insertion:
    """What became of documents that were sent.

    Attributes:
        ids: The library's ids of those that are there, by the documents' own.
        left_out: Why others can't be searched (refused, or not processed), by the documents' own ids.
        sent: Which documents were sent, in the order given.
        repeated: Ids that several documents of unlike content had; the last of them stands for all.
    """

    ids: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    sent: list[bool] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    def warn(self) -> None:
        """Say which documents can't be searched, to whoever called a wing's method."""
        if self.repeated:
            listed = ", ".join(map(repr, self.repeated))
            text = f"Several documents had the same id ({listed}); an id names one document, so the last one counts."
            warn_user(f"{text} Give each document an id of its own to keep them all.")
        if self.left_out:
            listed = "; ".join(f"{own!r} ({reason})" for own, reason in self.left_out.items())
            text = f"{len(self.left_out)} document(s) can't be searched: {listed}."
            warn_user(f"{text} Mend and insert them again, or delete them.")


@dataclass(frozen=True, slots=True)
class Inserter:
    """Inserts, updates and deletes documents of one library; each method gives the steps of its work.

    Attributes:
        libraries: The client's libraries.
        library_id: The library.
        shows_progress: Whether bars are shown.
    """

    libraries: Libraries
    library_id: str
    shows_progress: bool = False

    def list_documents(self) -> Steps[dict[str, LibraryDocument]]:
        """The library's documents by id."""

        async def acall() -> list[LibraryRecord]:
            return [record async for record in self.libraries.adocuments(self.library_id)]

        records = yield Job(lambda: list(self.libraries.documents(self.library_id)), acall)
        found = (LibraryDocument.from_record(self.library_id, record) for record in records)
        return {document.document_id: document for document in found}

    def insert(self, document: SourceDocument, wait: bool | float) -> Steps[None]:
        """Upload a document, and wait for it where that is wanted.

        Raises:
            ConfigurationError: The library can't keep it as it is.
        """
        check_documents([document])
        seconds = seconds_of(wait)
        record = yield from self._upload(document)
        yield from self.wait_after([str(record["id"])], seconds)

    def update(self, document: SourceDocument, wait: bool | float) -> Steps[None]:
        """Upload a document, then delete what it replaces.

        Raises:
            ConfigurationError: The library can't keep it as it is.
        """
        check_documents([document])
        seconds = seconds_of(wait)
        listed = yield from self.list_documents()
        record = yield from self._replace(document, _find_old(document.key, listed))
        yield from self.wait_after([str(record["id"])], seconds)

    def fill(self, documents: Sequence[SourceDocument], *, known: bool, wait: bool | float) -> Steps[Insertion]:
        """Upload documents one after the other and wait for them; what fails is noted, and the rest goes on.

        Args:
            documents: The documents.
            known: Whether the library is looked at first, so that what is there unchanged is not sent.
            wait: How long to wait until they are processed.

        Raises:
            ConfigurationError: The library can't keep some as they are; nothing was sent.
        """
        check_documents(documents)
        seconds = seconds_of(wait)
        with counting("Uploading", self.shows_progress) as told:
            made = yield from self._upload_all(documents, known, told)
        if seconds is not None and made.ids:
            outcomes = yield from self.wait(list(made.ids.values()), seconds)
            names = {key: own for own, key in made.ids.items()}
            for one in outcomes:
                if not one.ready:
                    made.left_out[names[one.document_id]] = f"{one.state}, the service says {one.process_status!r}"
        return made

    def fill_new(self, documents: Sequence[SourceDocument], *, known: bool, wait: bool | float) -> Steps[Insertion]:
        """As `fill`, for a library that may have been made for this: what breaks off says how to go on."""
        try:
            return (yield from self.fill(documents, known=known, wait=wait))
        except MistralAgentsError as error:
            way_out = f"Library {self.library_id} holds what was sent: go on with from_documents(documents, "
            way_out += "library_id=...), or delete it."
            error.hint = way_out if error.hint is None else f"{error.hint} {way_out}"
            raise
        except BaseException:
            log.warning("from_documents broke off; library %s holds what was sent.", self.library_id)
            raise

    def delete(self, key: str) -> Steps[bool]:
        """Delete by the library's id, or by the id of the document it was made of; whether there was one."""
        given: object = key
        if not isinstance(given, str):
            raise ConfigurationError(f"A document is known by the text of its id, not by {given!r}.")
        was_there = False
        for one in _find_old(key, (yield from self.list_documents())):
            was_there = (yield from self._delete(one.document_id)) or was_there
        return was_there

    def wait(self, ids: Sequence[str] | None, seconds: float) -> Steps[list[DocumentOutcome]]:
        """Wait until documents are processed; None takes all that are unfinished."""
        with counting("Processing documents", self.shows_progress) as told:
            options: dict[str, Any] = {"timeout": seconds, "on_progress": told}
            outcomes: list[DocumentOutcome] = yield Job(
                partial(self.libraries.wait_until_ready, self.library_id, ids, **options),
                partial(self.libraries.await_until_ready, self.library_id, ids, **options),
            )
        return outcomes

    def wait_after(self, ids: Sequence[str], seconds: float | None) -> Steps[None]:
        """Wait for what was sent, where that is wanted.

        Raises:
            DocumentProcessingError, LibraryNotReadyError: Some failed, or were not processed in time.
        """
        if seconds is not None and ids:
            yield from self.check((yield from self.wait(ids, seconds)))

    def check(self, outcomes: list[DocumentOutcome]) -> Steps[list[DocumentOutcome]]:
        """The outcomes, if all are ready; what is not is called by its file's path, by its own id or by its name.

        Raises:
            DocumentProcessingError, LibraryNotReadyError: Some failed, or were not processed in time.
        """
        listed = {} if all(one.ready for one in outcomes) else (yield from self.list_documents())
        return checked(outcomes, {key: _call_document(document) for key, document in listed.items()})

    def _upload(self, document: SourceDocument) -> Steps[LibraryRecord]:
        name, mark = document.file_name, _make_mark(document.key)
        upload = Upload(
            self.library_id,
            mend_text(document.text).encode(),
            Row(name, document.attributes),
            sent_as=f"{mark}{uuid4().hex[:8]}-{name}",
            is_ours=lambda found: found.startswith(mark),
            is_same=lambda found: (found.get("attributes") or {}).get(REF_ID) == document.key,
        )
        return (yield from self.libraries.writer.upload(upload))

    def _upload_all(self, documents: Sequence[SourceDocument], known: bool, told: Told) -> Steps[Insertion]:
        listed = (yield from self.list_documents()) if known else {}
        last = {document.key: number for number, document in enumerate(documents, 1)}
        made = Insertion(repeated=_find_repeated(documents))
        for number, document in enumerate(documents, 1):
            if number != last[document.key]:
                made.sent.append(False)
                continue
            old = _find_old(document.key, listed)
            same = next((one for one in old if one.attributes.get(REF_HASH) == document.digest), None)
            made.sent.append(same is None)
            if same is not None:
                made.ids[document.key] = same.document_id
            else:
                try:
                    record = yield from self._replace(document, old)
                    made.ids[document.key] = str(record["id"])
                except InvalidRequestError as error:
                    made.sent[-1] = False
                    made.left_out[document.key] = error.message
            if told is not None:
                told(number, len(documents))
        return made

    def _replace(self, document: SourceDocument, old: list[LibraryDocument]) -> Steps[LibraryRecord]:
        record = yield from self._upload(document)
        for one in old:
            if one.document_id != record["id"]:
                yield from self._delete(one.document_id)
        return record

    def _delete(self, document_id: str) -> Steps[bool]:
        try:
            return (yield from self.libraries.writer.delete(self.library_id, document_id))
        except NotFoundError:  # somebody else was faster
            return False


def _call_document(document: LibraryDocument) -> str:
    own = (document.attributes.get(name) for name in (SYNC_PATH, REF_ID))
    return next((found for found in own if isinstance(found, str)), document.name)


def _find_repeated(documents: Sequence[SourceDocument]) -> list[str]:
    """Ids of which an earlier document says something else than the last."""
    last = {document.key: document.digest for document in documents}
    return list({document.key: None for document in documents if document.digest != last[document.key]})


def _find_old(key: str, listed: dict[str, LibraryDocument]) -> list[LibraryDocument]:
    """The library's documents of an id, and what an upload that broke off has left of them."""
    mark = _make_mark(key)
    return [
        document
        for document_id, document in listed.items()
        if key in (document_id, document.attributes.get(REF_ID))
        or (not document.attributes and document.name.startswith(mark))
    ]


def _make_mark(key: str) -> str:
    """How a document's file is called until it has its attributes; what a kill leaves behind is known by it."""
    return f"insert-{sha256(mend_text(key).encode()).hexdigest()[:12]}-"
