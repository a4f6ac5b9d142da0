"""The rooms around the conversations: files, libraries and hosted tools, put together."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import Route

from mistral_agents_server.db import Database
from mistral_agents_server.documents import Documents
from mistral_agents_server.file_store import HOUR, FileStore
from mistral_agents_server.files_api import FilesApi
from mistral_agents_server.libraries import LibraryStore
from mistral_agents_server.libraries_api import LibrariesApi
from mistral_agents_server.quota import QuotaBook
from mistral_agents_server.search_index.api import SearchIndexApi
from mistral_agents_server.search_index.store import IndexStore
from mistral_agents_server.settings import Settings
from mistral_agents_server.signing import Place, Signer
from mistral_agents_server.tools.limited.runner import LimitedRunner
from mistral_agents_server.tools.toolbox import Toolbox


class Rooms:
    """Files, libraries and hosted tools of one server.

    Args:
        settings: what the server is started with.
        database: where rows are kept.
        folder: where bytes are kept.

    Attributes:
        files: the files.
        libraries: the libraries.
        toolbox: the hosted tools.
        place: where this server is reached.
    """

    def __init__(self, settings: Settings, database: Database, folder: Path) -> None:
        self.place = Place()
        self._signer = Signer()
        self.files = FileStore(database, folder / "files")
        self._documents = Documents(database, folder / "documents")
        self.libraries = LibraryStore(database, self._documents)
        self._indexes = IndexStore(database)
        runner = LimitedRunner() if settings.code_allowed else None
        self.toolbox = Toolbox(self.libraries, self._file_url, pages=settings.pages, runner=runner)

    def _file_url(self, file_id: str) -> str:
        return self.place.base_url + self._signer.sign(f"files/{file_id}", HOUR)

    def routes(self, quota: QuotaBook) -> list[Route]:
        """The routes of files, libraries and search indexes; `quota` counts uploads."""
        return [
            *FilesApi(self.files, self._signer).routes(),
            *LibrariesApi(self.libraries, self._signer, quota).routes(),
            *SearchIndexApi(self._indexes).routes(),
        ]

    def close(self) -> None:
        """Stop what runs in threads."""
        self._documents.close()
