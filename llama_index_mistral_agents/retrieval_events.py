"""Events of syncs and searches on LlamaIndex's instrumentation dispatcher."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index_instrumentation import get_dispatcher

from llama_index_mistral_agents._named_event import NamedEvent
from mistral_agents.retrieval.events import DocumentSkipped, Event, SnapshotStale, SyncEnded, SyncStarted

dispatcher = get_dispatcher(__name__)


class LibrarySyncStartEvent(NamedEvent):
    """A sync of libraries begins."""

    library_ids: list[str]


class LibrarySyncEndEvent(NamedEvent):
    """A sync ended well; `report` has the fields of `SyncReport`."""

    library_ids: list[str]
    report: dict[str, Any]


class DocumentSkippedEvent(NamedEvent):
    """A document can't be searched: still being processed, failed, or without text."""

    document_id: str
    reason: str


class SnapshotStaleEvent(NamedEvent):
    """A sync failed, and the last good snapshot is still served."""

    library_ids: list[str]
    error: str


class LibraryRetrievalEvent(NamedEvent):
    """A search ended; `report` has the fields of `RetrievalReport`."""

    report: dict[str, Any]


def announce_sync(event: Event) -> None:
    """Send an event of the engine to the dispatcher."""
    if isinstance(event, SyncStarted):
        dispatcher.event(LibrarySyncStartEvent(library_ids=list(event.library_ids)))
    elif isinstance(event, SyncEnded):
        dispatcher.event(LibrarySyncEndEvent(library_ids=list(event.library_ids), report=asdict(event.report)))
    elif isinstance(event, DocumentSkipped):
        dispatcher.event(DocumentSkippedEvent(document_id=event.document_id, reason=event.reason))
    elif isinstance(event, SnapshotStale):
        dispatcher.event(SnapshotStaleEvent(library_ids=list(event.library_ids), error=str(event.error)))


@contextmanager
def failures_announced() -> Iterator[None]:
    """LlamaIndex sends no event when a retrieval fails; this does."""
    try:
        yield
    except Exception as error:
        dispatcher.event(ExceptionEvent(exception=error))
        raise
