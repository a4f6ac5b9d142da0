"""Waiting until documents are processed: which words of the service mean what, and how often to ask."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mistral_agents._api.records import State, state_of
from mistral_agents._http.calls import check_ids
from mistral_agents._progress import Progress
from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.errors import DocumentProcessingError, LibraryNotReadyError

WAIT = 600.0
"""Seconds that are waited for documents by default."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds


@dataclass(frozen=True, slots=True)
class DocumentOutcome:
    """What became of a document.

    Attributes:
        document_id: The document.
        state: `ready`, `failed`, or `pending` where the time was up first.
        process_status: The service's own word; `waiting_for_capacity` may last until an allowance is renewed. Ours is
            `not_found`, of a document that is not there (any more).
    """

    document_id: str
    state: State
    process_status: str | None

    @property
    def ready(self) -> bool:
        """Whether a search finds it."""
        return self.state == "ready"


def seconds_of(wait: bool | float, name: str = "wait") -> float | None:
    """How long `wait=` waits: True takes the default, False does not wait. Asked before anything is sent.

    Raises:
        ConfigurationError: It is no positive number.
    """
    given: object = wait
    if isinstance(given, bool):
        return WAIT if given else None
    if not isinstance(given, (int, float)) or not given > 0:
        raise ConfigurationError(f"{name} must be True, False or the seconds to wait, not {given!r}.")
    return float(given)


def checked(outcomes: list[DocumentOutcome], names: Mapping[str, str]) -> list[DocumentOutcome]:
    """The outcomes, if all are ready; `names` says how errors call documents.

    Raises:
        DocumentProcessingError: The service could not process some.
        LibraryNotReadyError: Some were not finished in time.
    """
    failed = {one.document_id: one.process_status or "failed" for one in outcomes if one.state == "failed"}
    if failed:
        listed = ", ".join(f"{names.get(key, key)} ({reason})" for key, reason in failed.items())
        message = f"The service could not process {len(failed)} document(s): {listed}."
        raise DocumentProcessingError(message, failed=failed)
    pending = [one.document_id for one in outcomes if one.state == "pending"]
    if pending:
        listed = ", ".join(str(names.get(key, key)) for key in pending[:5])
        message = f"{len(pending)} document(s) were not processed in time: {listed}."
        raise LibraryNotReadyError(message, pending=pending)
    return outcomes


class Waiting:
    """Keeps the outcome of each document, and says how long to wait before asking again."""

    def __init__(self, document_ids: Iterable[str], timeout: float, on_progress: Progress | None) -> None:
        document_ids = list(document_ids)
        check_ids({"document_ids": document_ids})
        self._outcomes = {key: DocumentOutcome(key, "pending", None) for key in document_ids}
        self._deadline = time.monotonic() + timeout
        self._on_progress = on_progress
        self._pause = _FIRST_PAUSE

    @property
    def pending(self) -> list[str]:
        """Documents to ask for."""
        return [key for key, outcome in self._outcomes.items() if outcome.state == "pending"]

    @property
    def outcomes(self) -> list[DocumentOutcome]:
        """What is known of each document, in the order given."""
        return list(self._outcomes.values())

    def take(self, document_id: str, status: Mapping[str, Any]) -> None:
        """Note a document's status."""
        state, word = state_of(status)
        self._outcomes[document_id] = DocumentOutcome(document_id, state, word)

    def miss(self, document_id: str) -> None:
        """Note that a document is not there: somebody may have deleted it."""
        self._outcomes[document_id] = DocumentOutcome(document_id, "failed", "not_found")

    def pause(self) -> float | None:
        """Report progress; seconds to wait before asking again, None where there is nothing more to wait for."""
        waiting = len(self.pending)
        if self._on_progress is not None:
            self._on_progress(len(self._outcomes) - waiting, len(self._outcomes))
        left = self._deadline - time.monotonic()
        if not waiting or left <= 0:
            return None
        pause, self._pause = self._pause, min(self._pause * 1.5, _LONGEST_PAUSE)
        return min(left, pause * random.uniform(0.8, 1.2))  # noqa: S311
