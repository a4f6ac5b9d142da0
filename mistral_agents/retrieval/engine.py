"""Searching libraries in this process: synced when due, one sync at a time, the last good snapshot served meanwhile."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

from mistral_agents._api.records import state_of
from mistral_agents._paths import as_folder
from mistral_agents._steps import Job, Steps, Work, arun, run
from mistral_agents._warnings import warn_user
from mistral_agents.errors import ConfigurationError, NotFoundError
from mistral_agents.retrieval.analysis import Analyzer, QueryTerm
from mistral_agents.retrieval.events import Notify, SnapshotStale, SyncEnded, SyncReport, SyncStarted, ignore
from mistral_agents.retrieval.filters import Filter, unknown_fields
from mistral_agents.retrieval.flight import SingleFlight
from mistral_agents.retrieval.marks import Hits
from mistral_agents.retrieval.postings import Vocabulary
from mistral_agents.retrieval.reading import PageReader
from mistral_agents.retrieval.service import LibraryClient
from mistral_agents.retrieval.settings import Settings
from mistral_agents.retrieval.snapshot import Preparation, Query, Snapshot, is_question
from mistral_agents.retrieval.store import Store
from mistral_agents.retrieval.syncing import Sync
from mistral_agents.retrieval.vectors import Embedder

_FEW = 8
"""Up to how many documents that are being processed a search asks for one by one."""
_OF_THIS_PROCESS = frozenset({"_snapshot", "_due_at", "_sync", "_seen", "_report", "_failed_at"})
_RETRY = 30.0  # seconds until a failed refresh is tried again
log = logging.getLogger("mistral_agents.retrieval")


class LibraryEngine:
    """Local search over libraries: BM25, vectors, or both fused.

    Nothing is read before the first search or `refresh()`. The object may be shared by threads and event loops; a
    pickle keeps the settings and neither snapshot nor connections.

    Args:
        client: The client to read with.
        settings: What to search, and how.
        embedder: Makes vectors; needed by the strategies `vector` and `hybrid`.
        persist_dir: Folder in which the snapshot is kept; an interrupted sync goes on from there.
        notify: Told what a sync does; called on whichever thread does it.
        clock: Seconds; for tests.

    Examples:
        >>> engine = LibraryEngine(MistralAgents(), Settings(checked_library_ids(library_id)))
        >>> [(hit.document.name, hit.score) for hit in engine.search(Query("warranty period"))]
    """

    def __init__(
        self,
        client: LibraryClient,
        settings: Settings,
        *,
        embedder: Embedder | None = None,
        persist_dir: str | os.PathLike[str] | None = None,
        notify: Notify = ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self.settings = settings
        self.embedder = embedder
        if persist_dir is not None:
            as_folder(persist_dir, "persist_dir")
        self.persist_dir = persist_dir
        self._notify = notify
        self._clock = clock
        self._flight: SingleFlight[SyncReport] = SingleFlight()
        self._reset()

    def _reset(self) -> None:
        self._snapshot: Snapshot | None = None
        self._due_at: float | None = None
        self._sync: Sync | None = None
        self._seen = -1  # changes of our own that the snapshot knows of
        self._report: SyncReport | None = None
        self._failed_at: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in _OF_THIS_PROCESS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    @property
    def key(self) -> str:
        """The same for engines that would hold the same snapshot and refresh alike."""
        settings = self.settings
        embedder = self.embedder.name if self.embedder is not None else None
        rest = [getattr(settings, field.name) for field in fields(settings) if field.name != "splitter"]
        return repr([type(self).__name__, settings.splitter.key, rest, embedder, str(self.persist_dir)])

    @property
    def snapshot(self) -> Snapshot | None:
        """What is served now; None before the first sync."""
        return self._snapshot

    # refresh ---------------------------------------------------------------------------------------------------

    def refresh(self) -> SyncReport:
        """Look for changes and bring the snapshot up to date.

        Raises:
            LibraryNotFoundError: A library is gone or not visible to this key.
            LibraryNotReadyError, DocumentProcessingError, LibraryEmptyError: As the settings say.
            SnapshotError: The stored snapshot can't be used.
            MistralAgentsError: A request failed; the old snapshot is still served.
        """
        own = self._own_changes()
        report = self._flight.run(lambda: run(self._refreshing()))
        while self._seen < own:  # whoever was at work had begun before our own change
            report = self._flight.run(lambda: run(self._refreshing()))
        return report

    async def arefresh(self) -> SyncReport:
        """As `refresh`, without blocking."""
        own = self._own_changes()
        report = await self._flight.arun(lambda: arun(self._refreshing()))
        while self._seen < own:
            report = await self._flight.arun(lambda: arun(self._refreshing()))
        return report

    def _own_changes(self) -> int:
        return self.client.libraries.changes.count(self.settings.library_ids)

    def _refreshing(self) -> Steps[SyncReport]:
        ids, began, report = self.settings.library_ids, self._clock(), SyncReport()
        own = self._own_changes()
        self._notify(SyncStarted(ids))
        try:
            if self._snapshot is None:
                self._snapshot = yield Work(self._steps().load)
            self._snapshot = yield from self._renewed(self._snapshot, report)
        except Exception as error:
            self._note_failure()
            self._failed(error)
            raise
        self._seen, self._report, self._failed_at = own, report, None
        self._due_at = self._clock() + self.settings.ttl
        report.seconds = self._clock() - began
        log.info(
            "Synced %s in %.3f s: %d added, %d updated, %d deleted, %d unchanged, %d pending, %d failed; %d requests.",
            ", ".join(ids),
            report.seconds,
            *map(len, (report.added, report.updated, report.deleted)),
            report.unchanged,
            *map(len, (report.pending, report.failed)),
            report.requests,
        )
        self._notify(SyncEnded(ids, report))
        return report

    def _renewed(self, old: Snapshot | None, report: SyncReport) -> Steps[Snapshot]:
        return self._steps().local(old, report)

    def _failed(self, error: Exception) -> None:
        if self._snapshot is not None:
            log.warning("A refresh failed, the snapshot of before is still served: %s", error)
            self._notify(SnapshotStale(self.settings.library_ids, error))

    def _steps(self) -> Sync:
        if self._sync is None:
            settings, ids = self.settings, self.settings.library_ids
            self._sync = Sync(
                libraries=self.client.libraries,
                settings=settings,
                reader=PageReader(self.client.libraries, settings.exact_pages),
                preparation=Preparation(settings.splitter, Analyzer(settings.language), Vocabulary()),
                embedder=self.embedder,
                store=self._store(ids),
                notify=self._notify,
            )
        return self._sync

    def _store(self, ids: tuple[str, ...]) -> Store | None:
        if self.persist_dir is None:
            return None
        return Store(self.persist_dir, ids, exact_pages=self.settings.exact_pages)

    def _due(self) -> bool:
        policy = self.settings.refresh
        if policy == "never":
            return False
        if self._snapshot is None or policy == "always":
            return True
        if self._failed_at is not None:
            return self._is_time() or self._failed_at < self._own_changes()
        return self._seen < self._own_changes() or (policy == "ttl" and self._is_time())

    def _is_time(self) -> bool:
        return self._due_at is None or self._clock() >= self._due_at

    def _unsettled(self) -> list[tuple[str, str]]:
        """Libraries and documents that were being processed at the last sync, and are looked after since."""
        if self._report is None or self._failed_at is not None or self.settings.refresh == "never":
            return []
        return [(library_id, key) for key, library_id in self._report.pending_in.items()]

    def _has_settled(self, unsettled: list[tuple[str, str]]) -> Steps[bool]:
        """Whether one of the documents is ready, or failed; a few are asked for, of many the libraries are listed."""
        if len(unsettled) > _FEW:
            return True
        libraries = self.client.libraries
        for library_id, key in unsettled:
            try:
                ask = partial(libraries.status, library_id, key), partial(libraries.astatus, library_id, key)
                status = yield Job(*ask)
            except NotFoundError:
                return True
            if state_of(status)[0] != "pending":
                return True
        return False

    def _may_serve(self) -> bool:
        """After a failure: whether the snapshot of before is served."""
        if self._failed_at is None:
            self._note_failure()
        return self._snapshot is not None and self.settings.refresh != "always"

    def _note_failure(self) -> None:
        """Not every search tries again; but a change of our own shows that the service is back."""
        self._due_at = self._clock() + min(_RETRY, self.settings.ttl)
        self._failed_at = self._own_changes()

    def current(self) -> Snapshot:
        """The snapshot to search, synced first where that is due.

        Raises:
            MistralAgentsError: The sync failed and there is no snapshot to fall back to, or `refresh="always"`.
        """
        try:
            if self._due() or run(self._has_settled(self._unsettled())):
                self.refresh()
        except Exception:
            if not self._may_serve():
                raise
        if self._snapshot is None:
            self._snapshot = self._steps().load()
        return self._held()

    async def acurrent(self) -> Snapshot:
        """As `current`, without blocking."""
        try:
            if self._due() or await arun(self._has_settled(self._unsettled())):
                await self.arefresh()
        except Exception:
            if not self._may_serve():
                raise
        if self._snapshot is None:
            self._snapshot = await asyncio.to_thread(self._steps().load)
        return self._held()

    def _held(self) -> Snapshot:
        if self._snapshot is None:
            raise ConfigurationError('Nothing is synced yet, and refresh="never": call refresh() once.')
        return self._snapshot

    # search ----------------------------------------------------------------------------------------------------

    def search(self, query: Query) -> Hits:
        """The best passages, best first; none for a blank question. A vector that is not given is made.

        Raises:
            ConfigurationError: The strategy needs an embedder and there is none.
            MistralAgentsError: See `current`.
        """
        if not is_question(query.text):
            return Hits()
        snapshot = self.current()
        if self.embedder is not None and self._lacks_vector(query):
            query = replace(query, vector=self.embedder.query(query.text))
        return self._search(snapshot, query)

    async def asearch(self, query: Query) -> Hits:
        """As `search`, without blocking."""
        if not is_question(query.text):
            return Hits()
        snapshot = await self.acurrent()
        if self.embedder is not None and self._lacks_vector(query):
            query = replace(query, vector=await self.embedder.aquery(query.text))
        return self._search(snapshot, query)

    def _lacks_vector(self, query: Query) -> bool:
        return query.strategy != "bm25" and query.vector is None

    def _search(self, snapshot: Snapshot, query: Query) -> Hits:
        warn_of_unknown_fields(query.filter, snapshot)
        terms = self.terms(query.text)
        return Hits(snapshot.find(query, terms), terms, self.settings.language)

    def terms(self, text: str) -> list[QueryTerm]:
        """The search terms of a question."""
        return self._steps().preparation.analyzer.query_terms(text)


def warn_of_unknown_fields(filter_: Filter | None, snapshot: Snapshot) -> None:
    """Say which fields of a filter no document has, and which there are."""
    unknown = unknown_fields(filter_, snapshot.fields) if filter_ is not None and snapshot.texts else []
    if unknown:
        text = f"No document has {', '.join(map(repr, unknown))}, which the filter asks for."
        known = ", ".join(sorted(snapshot.fields))
        warn_user(f"{text} Known fields: {known}. Mend the filter, or give the documents this field.")
