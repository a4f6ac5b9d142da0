"""What is in the libraries now, against what was there at the last sync."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Protocol

from mistral_agents._api.records import Document
from mistral_agents._api.shared_files import split_id
from mistral_agents._steps import Job, Steps
from mistral_agents.errors import NotFoundError
from mistral_agents.retrieval.documents import LibraryDocument
from mistral_agents.retrieval.errors import LibraryNotFoundError
from mistral_agents.retrieval.events import SyncReport
from mistral_agents.retrieval.service import LibraryApi

PAGE_SIZE = 100
"""Documents per page of a listing; the service's most."""


class Signed(Protocol):
    """What is remembered of a document: keys that tell whether it changed."""

    @property
    def text_key(self) -> str:
        """Changes with the text."""

    @property
    def metadata_key(self) -> str:
        """Changes with the rest."""


Known = Mapping[str, Signed]
Listed = dict[str, LibraryDocument]
TextKey = Callable[[LibraryDocument], str]


@dataclass(slots=True)
class ReadingPlan:
    """Which documents to read and which to keep.

    Attributes:
        read: Documents whose text is needed.
        renew: Documents of which only the metadata changed.
        keep: Ids of documents that stay.
        listed: All documents by id.
    """

    read: list[LibraryDocument] = field(default_factory=list)
    renew: list[LibraryDocument] = field(default_factory=list)
    keep: list[str] = field(default_factory=list)
    listed: Listed = field(default_factory=dict)


def list_documents(
    libraries: LibraryApi, library_ids: Sequence[str], known: Known, report: SyncReport
) -> Steps[Listed]:
    """List the documents of all libraries.

    Offset paging loses rows while documents are deleted, so before a document counts as deleted the libraries are
    listed once more.
    """
    listed = yield from _list_once(libraries, library_ids, report)
    if any(key not in listed for key in known):
        again = yield from _list_once(libraries, library_ids, report)
        report.consistent = again.keys() == listed.keys()
        listed = {**listed, **again}
    return listed


def _list_once(libraries: LibraryApi, library_ids: Sequence[str], report: SyncReport) -> Steps[Listed]:
    listed: Listed = {}
    for library_id in library_ids:
        try:
            records = yield _listing(libraries, library_id)
        except NotFoundError as error:
            raise _library_not_found(library_id, error) from error
        left = (record for record in records if not libraries.changes.was_deleted(split_id(str(record["id"]))[0]))
        documents = [LibraryDocument.from_record(library_id, record) for record in left]
        listed.update((document.document_id, document) for document in documents)
        report.requests += max(1, math.ceil(len(documents) / PAGE_SIZE))
    return listed


def _listing(libraries: LibraryApi, library_id: str) -> Job:
    def call() -> list[Document]:
        return list(libraries.documents(library_id, page_size=PAGE_SIZE))

    async def acall() -> list[Document]:
        return [record async for record in libraries.adocuments(library_id, page_size=PAGE_SIZE)]

    return Job(call, acall)


def _library_not_found(library_id: str, error: NotFoundError) -> LibraryNotFoundError:
    facts: dict[str, Any] = {name: getattr(error, name) for name in ("status_code", "code", "request_id", "body")}
    hint = "A key sees only libraries of its owner, its workspace, or shared with them."
    return LibraryNotFoundError(f"Library {library_id} was not found.", hint=hint, **facts)


def plan_reading(
    listed: Listed, known: Known, report: SyncReport, key: TextKey = attrgetter("text_key")
) -> ReadingPlan:
    """Decide what to do with each document, and note it in the report; `key` gives a listed document's text key."""
    plan = ReadingPlan(listed=listed)
    for document_id, document in listed.items():
        if document.state != "ready":
            where = report.pending if document.state == "pending" else report.failed
            where[document_id] = document.status or "unknown"
            if document.state == "pending":
                report.pending_in[document_id] = document.library_id
            if document_id in known:  # while processed again the old text still serves; once that failed it does not
                (plan.keep if document.state == "pending" else report.deleted).append(document_id)
        else:
            _compare_one(plan, document, key(document), known.get(document_id), report)
    report.deleted += [document_id for document_id in known if document_id not in listed]
    return plan


def _compare_one(
    plan: ReadingPlan, document: LibraryDocument, text_key: str, old: Signed | None, report: SyncReport
) -> None:
    key = document.document_id
    if old is None or old.text_key != text_key:
        plan.read.append(document)
        (report.added if old is None else report.updated).append(key)
    elif old.metadata_key != document.metadata_key:
        plan.renew.append(document)
        report.metadata_only.append(key)
    else:
        plan.keep.append(key)
        report.unchanged += 1
