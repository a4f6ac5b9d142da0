"""What a sync tells whoever listens (`notify=`); the wings pass it on to their frameworks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mistral_agents.retrieval.listing import SyncReport


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
