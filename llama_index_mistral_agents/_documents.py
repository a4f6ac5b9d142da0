"""Documents of LlamaIndex in a library: their text as a file, metadata, id and hash as attributes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from llama_index.core.schema import Document

from mistral_agents._api.records import Document as LibraryRecord
from mistral_agents._api.waiting import DocumentOutcome
from mistral_agents._steps import Job, Steps
from mistral_agents.libraries import Libraries
from mistral_agents.retrieval.documents import LibraryDocument
from mistral_agents.retrieval.errors import DocumentProcessingError, LibraryNotReadyError

REF_ID, REF_HASH = "ref_doc_id", "ref_doc_hash"
_TEXT_SUFFIXES = (".txt", ".md")


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
        """Upload a document."""
        file = (_file_name(document), document.text.encode())
        attributes = {**_plain(document.metadata), REF_ID: document.doc_id, REF_HASH: document.hash}
        record: LibraryRecord = yield Job(
            lambda: self.libraries.upload(self.library_id, file, attributes=attributes),
            lambda: self.libraries.aupload(self.library_id, file, attributes=attributes),
        )
        return record

    def insert_many(self, documents: list[Document]) -> Steps[list[LibraryRecord]]:
        """Upload documents, one after the other."""
        records: list[LibraryRecord] = []
        for document in documents:
            record = yield from self.insert(document)
            records.append(record)
        return records

    def update(self, document: Document) -> Steps[None]:
        """Upload a document, then delete what it replaces."""
        old = yield from self._ids_of(document.doc_id)
        record = yield from self.insert(document)
        for key in old:
            if key != record["id"]:
                yield self._deleting(key)

    def delete(self, ref_doc_id: str) -> Steps[None]:
        """Delete by the library's id, or by the id of the document it was made of; an unknown id is left alone."""
        for key in (yield from self._ids_of(ref_doc_id)):
            yield self._deleting(key)

    def refresh(self, documents: list[Document]) -> Steps[list[bool]]:
        """Insert or update what is new or changed."""
        listed = yield from self.listed()
        hashes = {doc.attributes.get(REF_ID): doc.attributes.get(REF_HASH) for doc in listed.values()}
        sent = []
        for document in documents:
            changed = hashes.get(document.doc_id) != document.hash
            if changed:
                yield from self.update(document)
            sent.append(changed)
        return sent

    def _ids_of(self, ref_doc_id: str) -> Steps[list[str]]:
        listed = yield from self.listed()
        return [key for key, doc in listed.items() if ref_doc_id in (key, doc.attributes.get(REF_ID))]

    def _deleting(self, key: str) -> Job:
        return Job(
            lambda: self.libraries.delete_document(self.library_id, key),
            lambda: self.libraries.adelete_document(self.library_id, key),
        )

    @staticmethod
    def checked(outcomes: list[DocumentOutcome], raise_on_error: bool) -> list[DocumentOutcome]:
        """The outcomes; raises for documents that are not ready, where that is asked for."""
        failed = {one.document_id: one.process_status or "failed" for one in outcomes if one.state == "failed"}
        pending = [one.document_id for one in outcomes if one.state == "pending"]
        if raise_on_error and failed:
            raise DocumentProcessingError(
                f"The service could not process {len(failed)} document(s): {failed}.", failed=failed
            )
        if raise_on_error and pending:
            raise LibraryNotReadyError(f"{len(pending)} document(s) were not processed in time.", pending=pending)
        return outcomes


def _file_name(document: Document) -> str:
    given = document.metadata.get("file_name")
    name = PurePath(given).name if isinstance(given, str) and given else document.doc_id
    return name if name.lower().endswith(_TEXT_SUFFIXES) else f"{name}.txt"


def _plain(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if isinstance(value, (str, int, float, bool, list))}
