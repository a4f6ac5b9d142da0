"""What retrieval needs of the service; `mistral_agents.libraries.Libraries` offers it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from mistral_agents._api.changes import ChangeLog
from mistral_agents._api.records import Document

if TYPE_CHECKING:
    from mistral_agents._api.writing import Writer


class LibraryApi(Protocol):
    """Reads documents of libraries, and writes them."""

    @property
    def changes(self) -> ChangeLog:
        """What this client changed."""

    @property
    def writer(self) -> Writer:
        """The steps of uploads, changes and deletions."""

    def documents(self, library_id: str, *, page_size: int = 100) -> Iterator[Document]:
        """All documents of a library."""

    def adocuments(self, library_id: str, *, page_size: int = 100) -> AsyncIterator[Document]:
        """As `documents`, without blocking."""

    def document(self, library_id: str, document_id: str) -> Document:
        """One document."""

    async def adocument(self, library_id: str, document_id: str) -> Document:
        """As `document`, without blocking."""

    def text(
        self, library_id: str, document_id: str, *, page_start: int | None = None, page_end: int | None = None
    ) -> str:
        """A document's text."""

    async def atext(
        self, library_id: str, document_id: str, *, page_start: int | None = None, page_end: int | None = None
    ) -> str:
        """As `text`, without blocking."""

    def status(self, library_id: str, document_id: str) -> Any:
        """How far a document is processed."""

    async def astatus(self, library_id: str, document_id: str) -> Any:
        """As `status`, without blocking."""

    def wait_until_ready(
        self, library_id: str, document_ids: Sequence[str] | None = None, *, timeout: float = 600.0
    ) -> Any:
        """Wait until documents are processed."""

    async def await_until_ready(
        self, library_id: str, document_ids: Sequence[str] | None = None, *, timeout: float = 600.0
    ) -> Any:
        """As `wait_until_ready`, without blocking."""


class LibraryClient(Protocol):
    """A client that has libraries."""

    @property
    def libraries(self) -> LibraryApi:
        """The libraries."""
