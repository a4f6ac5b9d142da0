"""The stages of a sync as bars."""

from __future__ import annotations

from typing import Any

from mistral_agents._progress import open_bar
from mistral_agents.retrieval.events import Event, Notify, SnapshotStale, SyncEnded, SyncProgress

_LABELS = {"texts": "Reading texts", "chunks": "Embedding chunks"}


class Bars:
    """Shows a bar for each stage of a sync, and passes the events on.

    Args:
        then: Told every event.
    """

    def __init__(self, then: Notify) -> None:
        self._then = then
        self._bars: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"_then": self._then, "_bars": {}}

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, SyncProgress):
            self._advance(event)
        elif isinstance(event, (SyncEnded, SnapshotStale)):
            self._close()
        self._then(event)

    def _advance(self, event: SyncProgress) -> None:
        bar = self._bars.get(event.stage)
        if bar is None or bar.total != event.total:
            bar = self._bars[event.stage] = open_bar(_LABELS[event.stage], event.total)
        bar.update(event.done - bar.n)

    def _close(self) -> None:
        for bar in self._bars.values():
            bar.close()
        self._bars.clear()
