"""The steps of a sync: list, compare, read what changed, embed what changed, index, store."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from mistral_agents._steps import Job, Many, Steps, Work
from mistral_agents.errors import ConfigurationError, NotFoundError
from mistral_agents.retrieval._extras import load
from mistral_agents.retrieval.documents import LibraryDocument
from mistral_agents.retrieval.errors import DocumentProcessingError, LibraryEmptyError, LibraryNotReadyError
from mistral_agents.retrieval.events import DocumentSkipped, Notify, SyncProgress, SyncReport
from mistral_agents.retrieval.listing import Known, Listed, ReadingPlan, TextKey, list_documents, plan_reading
from mistral_agents.retrieval.reading import PageReader, ReadText, reason_of
from mistral_agents.retrieval.service import LibraryApi
from mistral_agents.retrieval.settings import Settings
from mistral_agents.retrieval.snapshot import Preparation, Snapshot, StoredText
from mistral_agents.retrieval.store import Journal, Store, text_hash
from mistral_agents.retrieval.vectors import Embedder, normalised

_SEGMENT = 1024  # vectors per journal file
log = logging.getLogger("mistral_agents.retrieval")


@dataclass(frozen=True, slots=True)
class Sync:
    """What a sync works with."""

    libraries: LibraryApi
    settings: Settings
    reader: PageReader
    preparation: Preparation
    embedder: Embedder | None
    store: Store | None
    notify: Notify

    def local(self, old: Snapshot | None, report: SyncReport) -> Steps[Snapshot]:
        """Bring a snapshot up to date; returns the old one where nothing changed."""
        texts: dict[str, StoredText] = old.texts if old is not None else {}
        plan = yield from self.plan({key: stored.document for key, stored in texts.items()}, report)
        journal = yield Work(
            lambda: self.store.journal(self._embedder_name) if self.store is not None else Journal({}, {})
        )
        read: dict[str, tuple[LibraryDocument, ReadText]] = {}
        yield from self.read(plan.read, journal, report, lambda document, text: _put(read, document, text))
        self.check(report, len(plan.keep) + len(plan.renew) + len(read), plan.listed)
        if old is not None and not report.changed and (self.embedder is None or old.has_vectors):
            report.snapshot_id = old.id
            if self.store is not None and self.store.is_outdated:
                yield Work(lambda: self._save(old))
            return old
        fresh = yield Work(lambda: self._prepare_texts(plan, texts, read))
        if self.embedder is not None:
            fresh = yield from self._embed_texts(self.embedder, fresh, texts, journal, report)
        snapshot: Snapshot = yield Work(lambda: Snapshot(fresh, self.preparation.vocabulary, self.settings_key))
        yield Work(lambda: self._save(snapshot))
        report.snapshot_id = snapshot.id
        return snapshot

    @property
    def settings_key(self) -> str:
        """Names what else than the documents decides the results."""
        settings = self.settings
        return f"{settings.splitter.key} {settings.language} {settings.exact_pages} {self._embedder_name}"

    def load(self) -> Snapshot | None:
        """The stored snapshot, whose texts this brings up to the present settings; None where there is none.

        Raises:
            SnapshotError: It can't be used.
        """
        found = self.store.load(self.preparation, self._embedder_name) if self.store is not None else None
        if found is None:
            return None
        texts, postings = found
        return Snapshot(texts, self.preparation.vocabulary, self.settings_key, postings)

    def _save(self, snapshot: Snapshot) -> None:
        if self.store is not None:
            self.store.save(snapshot, self.preparation, self._embedder_name)

    @property
    def _embedder_name(self) -> str | None:
        return self.embedder.name if self.embedder is not None else None

    # listing ---------------------------------------------------------------------------------------------------

    def plan(self, known: Known, report: SyncReport, key: TextKey = attrgetter("text_key")) -> Steps[ReadingPlan]:
        """List the libraries and compare them with what is known, as `on_pending` and `on_failed` say.

        Raises:
            LibraryNotReadyError: `on_pending="error"`, or the wait was too short.
            DocumentProcessingError: `on_failed="error"`.
        """
        ids = self.settings.library_ids
        listed = yield from list_documents(self.libraries, ids, known, report)
        waiting = [document for document in listed.values() if document.state == "pending"]
        if waiting and self.settings.on_pending == "wait":
            for library_id in ids:
                yield self._wait(library_id, [d.document_id for d in waiting if d.library_id == library_id])
            listed = yield from list_documents(self.libraries, ids, known, report)
        return self._check_pending(listed, plan_reading(listed, known, report, key), report)

    def _wait(self, library_id: str, ids: list[str]) -> Job:
        seconds = self.settings.wait_timeout
        return Job(
            lambda: self.libraries.wait_until_ready(library_id, ids, timeout=seconds),
            lambda: self.libraries.await_until_ready(library_id, ids, timeout=seconds),
        )

    def _check_pending(self, listed: Listed, plan: ReadingPlan, report: SyncReport) -> ReadingPlan:
        if report.pending and self.settings.on_pending != "skip":
            names = ", ".join(listed[key].name for key in list(report.pending)[:5])
            message = f"{len(report.pending)} document(s) are still being processed: {names}."
            raise LibraryNotReadyError(message, pending=list(report.pending))
        return plan

    def check(self, report: SyncReport, usable: int, listed: Listed) -> None:
        """Apply `on_failed` and `on_empty`, and tell which documents are left out.

        Raises:
            DocumentProcessingError: `on_failed="error"`.
            LibraryEmptyError: `on_empty="error"`.
        """
        if report.failed and self.settings.on_failed == "error":
            message = f"The service could not process {_sum_failed(report.failed, listed)}."
            raise DocumentProcessingError(message, failed=dict(report.failed))
        for key, reason in {**report.pending, **report.failed}.items():
            self.notify(DocumentSkipped(key, reason))
        if report.failed and self.settings.on_failed == "warn":
            log.warning("Left out, which the service could not process: %s", _sum_failed(report.failed, listed))
        if usable == 0 and self.settings.on_empty == "error":
            raise LibraryEmptyError(f"No document to search in {', '.join(self.settings.library_ids)}.")

    # reading ---------------------------------------------------------------------------------------------------

    def read(self, documents: Sequence[LibraryDocument], journal: Journal, report: SyncReport, put: Any) -> Steps[None]:
        """Read texts, a few at once, and hand each to `put(document, read)` as it arrives.

        Raises:
            LibraryNotFoundError: A library was deleted meanwhile.
        """
        done, gone = 0, False

        def take(document: LibraryDocument, outcome: Any) -> None:
            nonlocal done, gone
            done += 1
            gone = gone or isinstance(outcome, NotFoundError)
            report.texts += 1
            report.requests += getattr(outcome, "requests", 1)
            reason = reason_of(outcome)
            if reason is None:
                self._keep(document, outcome, report)
                put(document, outcome)
            else:
                _leave_out(document.document_id, reason, report)
            self.notify(SyncProgress("texts", done, len(documents)))

        missing = []
        for document in documents:
            kept = journal.texts.get((document.document_id, document.text_key))
            if kept is None:
                missing.append(document)
                continue
            done += 1
            report.resumed += 1
            put(document, kept)
        jobs = ((document, self.reader.job(document)) for document in missing)
        yield Many(jobs, self.settings.max_concurrency, take, tolerate=(NotFoundError,))
        if gone:  # perhaps with its library, which is told then
            yield from list_documents(self.libraries, self.settings.library_ids, {}, report)

    def _keep(self, document: LibraryDocument, read: ReadText, report: SyncReport) -> None:
        if self.store is not None:
            self.store.note_text(document, read)
        if self.settings.exact_pages and not read.pages and document.pages is not None:
            report.pages_unreadable.append(document.document_id)
            log.warning("The pages of %s could not be told apart; its passages have no page label.", document.name)

    # preparing -------------------------------------------------------------------------------------------------

    def _prepare_texts(
        self, plan: ReadingPlan, old: dict[str, StoredText], read: dict[str, tuple[LibraryDocument, ReadText]]
    ) -> list[StoredText]:
        kept = [old[key] for key in plan.keep]
        renewed = [self._renewed(old[document.document_id], document) for document in plan.renew]
        return [*kept, *renewed, *(self.preparation.store(doc, r.text, r.pages) for doc, r in read.values())]

    def _renewed(self, stored: StoredText, document: LibraryDocument) -> StoredText:
        if stored.document.name == document.name:
            return replace(stored, document=document)
        return self.preparation.restore(document, stored.text, stored.pages, stored.chunks, stored.vectors)

    def _embed_texts(
        self,
        embedder: Embedder,
        texts: list[StoredText],
        old: dict[str, StoredText],
        journal: Journal,
        report: SyncReport,
    ) -> Steps[list[StoredText]]:
        """Give every chunk a vector; only texts without a known one are embedded."""
        known = dict(journal.vectors)
        for stored in texts:
            before = old.get(stored.document.document_id)
            if stored.vectors is None and before is not None and before.vectors is not None:
                known.update((text_hash(before.chunk_text(i)), row) for i, row in enumerate(before.vectors))
        yield from self._embed_missing(embedder, texts, known, report)
        finished = [stored if stored.vectors is not None else _add_vectors(stored, known) for stored in texts]
        lengths = {stored.vectors.shape[1] for stored in finished}
        if len(lengths) > 1:  # the model changed behind the same name: all vectors are made again
            known.clear()
            bare = [replace(stored, vectors=None) for stored in finished]
            yield from self._embed_missing(embedder, bare, known, report)
            finished = [_add_vectors(stored, known) for stored in bare]
        return finished

    def _embed_missing(
        self, embedder: Embedder, texts: list[StoredText], known: dict[str, Any], report: SyncReport
    ) -> Steps[None]:
        wanted = {
            digest: (stored, place)
            for stored in texts
            if stored.vectors is None
            for place in range(len(stored.chunks))
            if (digest := text_hash(stored.chunk_text(place))) not in known
        }
        unsaved: list[str] = []

        def take(hashes: list[str], vectors: Any) -> None:
            if len(vectors) != len(hashes):
                raise ConfigurationError(f"{embedder.name} made {len(vectors)} vectors of {len(hashes)} texts.")
            known.update(zip(hashes, normalised(vectors), strict=True))
            report.embedded += len(hashes)
            unsaved.extend(hashes)
            if len(unsaved) >= _SEGMENT or report.embedded == len(wanted):
                self._note_vectors(unsaved, known, embedder)
                unsaved.clear()
            self.notify(SyncProgress("chunks", report.embedded, len(wanted)))

        yield Many(_cut_batches(embedder, wanted), 1, take)

    def _note_vectors(self, hashes: list[str], known: dict[str, Any], embedder: Embedder) -> None:
        if self.store is not None:
            self.store.note_vectors(hashes, load("numpy").stack([known[digest] for digest in hashes]), embedder.name)


def _cut_batches(embedder: Embedder, wanted: dict[str, tuple[StoredText, int]]) -> Iterator[tuple[list[str], Job]]:
    hashes = list(wanted)
    for start in range(0, len(hashes), embedder.batch_size):
        part = hashes[start : start + embedder.batch_size]
        texts = [stored.chunk_text(place) for stored, place in (wanted[digest] for digest in part)]
        yield part, _make_embedding_job(embedder, texts)


def _make_embedding_job(embedder: Embedder, texts: list[str]) -> Job:
    return Job(lambda: embedder.texts(texts), lambda: embedder.atexts(texts))


def _add_vectors(stored: StoredText, known: dict[str, Any]) -> StoredText:
    rows = [known[text_hash(stored.chunk_text(place))] for place in range(len(stored.chunks))]
    return replace(stored, vectors=load("numpy").stack(rows))


def _put(read: dict[str, tuple[LibraryDocument, ReadText]], document: LibraryDocument, text: ReadText) -> None:
    read[document.document_id] = (document, text)


def _leave_out(key: str, reason: str, report: SyncReport) -> None:
    """A document that turned out to be gone or without text is neither added nor updated."""
    was_known = key in report.updated
    for ids in (report.added, report.updated):
        if key in ids:
            ids.remove(key)
    if reason != "deleted":
        report.failed[key] = reason
    if was_known:
        report.deleted.append(key)


def _sum_failed(failed: dict[str, str], listed: Listed) -> str:
    """How many documents failed, and the first five by name and id."""
    names = {key: listed[key].name for key in failed if key in listed}
    shown = [f"{names.get(key, '')} {key} ({reason})".lstrip() for key, reason in list(failed.items())[:5]]
    return f"{len(failed)} document(s): {', '.join(shown)}{', …' if len(failed) > len(shown) else ''}"
