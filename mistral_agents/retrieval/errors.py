"""Errors of retrieval; part of the one tree in `mistral_agents.errors`."""

from __future__ import annotations

from typing import Any

from typing_extensions import Unpack

from mistral_agents.errors import ConfigurationError, Facts, MistralAgentsError, NotFoundError

__all__ = [
    "DocumentProcessingError",
    "IndexNotReadyError",
    "IngestError",
    "LibraryEmptyError",
    "LibraryNotFoundError",
    "LibraryNotReadyError",
    "PassagesUnavailableError",
    "SnapshotError",
    "UnsupportedFilterError",
]


class LibraryNotFoundError(NotFoundError):
    """The library does not exist, or this key can't see it."""


class LibraryEmptyError(MistralAgentsError):
    """The libraries hold no document that can be searched (`on_empty="error"`)."""


class LibraryNotReadyError(MistralAgentsError):
    """Documents are still being processed; `.pending` names them."""

    def __init__(self, message: str, *, pending: list[str] | None = None, **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.pending = pending if pending is not None else []


class DocumentProcessingError(MistralAgentsError):
    """The service could not process documents; `.failed` maps their ids to the reason."""

    def __init__(self, message: str, *, failed: dict[str, str] | None = None, **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.failed = failed if failed is not None else {}


class UnsupportedFilterError(ConfigurationError):
    """A filter that this way of searching can't apply; it is never ignored."""

    def __init__(
        self, message: str, *, field: str = "", operator: str = "", mode: str = "", **facts: Unpack[Facts]
    ) -> None:
        super().__init__(message, **facts)
        self.field = field
        self.operator = operator
        self.mode = mode


class SnapshotError(MistralAgentsError):
    """A stored snapshot is damaged, of another version, or of other libraries; the message names its path."""


class IndexNotReadyError(MistralAgentsError):
    """A search index is still being made, or could not be made."""


class IngestError(MistralAgentsError):
    """A search index rejected documents; `.rejected` maps their ids to the reasons. The others are in."""

    def __init__(self, message: str, *, rejected: dict[str, Any] | None = None, **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.rejected = rejected if rejected is not None else {}


class PassagesUnavailableError(MistralAgentsError):
    """The agent's library search gave no passages; `.outcome` says why, `.turn` holds what it did answer."""

    def __init__(self, message: str, *, outcome: str = "", **facts: Unpack[Facts]) -> None:
        super().__init__(message, **facts)
        self.outcome = outcome

    @property
    def answer(self) -> str:
        """What the model wrote; it rests on no passage."""
        return self.turn.text if self.turn is not None else ""
