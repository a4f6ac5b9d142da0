"""What a sync tells whoever listens (`notify=`); the wings pass it on to their frameworks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class SyncReport:
    """What a sync found and did.

    Attributes:
        added: Ids of documents that are new.
        updated: Ids of documents whose text changed.
        metadata_only: Ids of documents of which only name, attributes, expiry or the like changed.
        deleted: Ids of documents that are gone, or whose new processing failed.
        unchanged: How many documents stayed as they were.
        pending: Ids of documents that are still being processed, with the service's word.
        pending_in: Ids of documents that are still being processed, with their libraries.
        failed: Ids of documents that the service could not process, or without text, with the reason.
        resumed: How many texts an interrupted sync had already stored.
        texts: How many texts were downloaded.
        embedded: How many chunks were embedded.
        requests: How many requests were sent to the service, embeddings aside.
        seconds: How long it took.
        consistent: False where two listings in a row differed; the next sync sees the rest.
        pages_unreadable: Ids of documents whose pages could not be told apart (`pages="exact"`).
        without_summary: How many documents a lazy search can rank by name only.
        snapshot_id: Names the state of the libraries; equal states have equal names.
    """

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    metadata_only: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    unchanged: int = 0
    pending: dict[str, str] = field(default_factory=dict)
    pending_in: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    resumed: int = 0
    texts: int = 0
    embedded: int = 0
    requests: int = 0
    seconds: float = 0.0
    consistent: bool = True
    pages_unreadable: list[str] = field(default_factory=list)
    without_summary: int = 0
    snapshot_id: str = ""

    @property
    def changed(self) -> bool:
        """Whether anything a search shows is different."""
        return bool(self.added or self.updated or self.metadata_only or self.deleted)


@dataclass(frozen=True, slots=True)
class SyncStarted:
    """A sync begins."""

    library_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """So many of so many texts are read, or chunks embedded.

    Attributes:
        stage: `texts` or `chunks`.
        done: How many are finished.
        total: How many there are.
    """

    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class DocumentSkipped:
    """A document is not in the snapshot."""

    document_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class SyncEnded:
    """A sync ended well."""

    library_ids: tuple[str, ...]
    report: SyncReport


@dataclass(frozen=True, slots=True)
class SnapshotStale:
    """A sync failed; the last good snapshot is still served."""

    library_ids: tuple[str, ...]
    error: Exception


Event = SyncStarted | SyncProgress | DocumentSkipped | SyncEnded | SnapshotStale
Notify = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listens to nothing."""
