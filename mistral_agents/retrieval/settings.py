"""How libraries are synced and searched in this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from mistral_agents._api.arguments import uuid_text
from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.analysis import check_language
from mistral_agents.retrieval.chunking import AnySplitter, Splitter

Refresh = Literal["never", "on_start", "ttl", "always"]
OnPending = Literal["skip", "wait", "error"]
OnFailed = Literal["warn", "error", "skip"]
OnEmpty = Literal["empty", "error"]
_CHOICES = {
    "refresh": ("never", "on_start", "ttl", "always"),
    "on_pending": ("skip", "wait", "error"),
    "on_failed": ("warn", "error", "skip"),
    "on_empty": ("empty", "error"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a local search.

    Attributes:
        library_ids: The libraries; they form one corpus, so that scores compare.
        splitter: Cuts texts into chunks.
        language: For stop words and stems; see `analysis.Analyzer`.
        exact_pages: Read page by page, for page labels; one request more for each page.
        refresh: When a search looks for changes: `ttl` (after `ttl` seconds), `on_start` (once), `always` (every
            search, whose failure is then raised), or `never` (only by `refresh()`).
        ttl: Seconds.
        on_pending: Documents that are still processed: leave out, wait for, or raise LibraryNotReadyError.
        on_failed: Documents that could not be processed: warn, raise DocumentProcessingError, or leave out quietly.
        on_empty: No document at all: find nothing, or raise LibraryEmptyError.
        wait_timeout: Seconds to wait for pending documents.
        max_concurrency: How many texts are read at once.

    Raises:
        ConfigurationError: A value is wrong.
    """

    library_ids: tuple[str, ...]
    splitter: AnySplitter = field(default_factory=Splitter)
    language: str = "english"
    exact_pages: bool = False
    refresh: Refresh = "ttl"
    ttl: float = 300.0
    on_pending: OnPending = "skip"
    on_failed: OnFailed = "warn"
    on_empty: OnEmpty = "empty"
    wait_timeout: float = 600.0
    max_concurrency: int = 8

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigurationError(f"{name} must be one of {', '.join(known)}, not {getattr(self, name)!r}.")
        check_language(self.language)
        for name in ("ttl", "wait_timeout"):
            seconds: object = getattr(self, name)
            if type(seconds) not in (int, float) or not seconds >= 0:  # type: ignore[operator]
                raise ConfigurationError(f"{name} must be a number of seconds, at least 0, not {seconds!r}.")
        if type(self.max_concurrency) is not int or self.max_concurrency < 1:
            raise ConfigurationError(f"max_concurrency must be a whole number from 1, not {self.max_concurrency!r}.")


def checked_library_ids(library_ids: str | Sequence[str]) -> tuple[str, ...]:
    """One id or several, each a UUID, without repeats.

    Raises:
        ConfigurationError: There is none, or one is no UUID.
    """
    ids: object = library_ids
    if not isinstance(ids, Iterable | UUID) or isinstance(ids, Mapping | bytes):
        raise ConfigurationError(f"library_ids must be a library's id or a list of ids, not {type(ids).__name__}.")
    given = [ids] if isinstance(ids, str | UUID) else list(ids)
    if not given:
        raise ConfigurationError("library_ids must name at least one library.")
    return tuple(dict.fromkeys(uuid_text("library_ids", value) for value in given))
