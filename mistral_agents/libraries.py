"""Document libraries of the service: create, upload, wait until ready, read texts, share."""

from __future__ import annotations

import asyncio
import builtins
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from typing_extensions import Unpack

from mistral_agents._api import libraries as calls
from mistral_agents._api.arguments import FileContent, named_bytes, uuid_text
from mistral_agents._api.changes import ChangeLog
from mistral_agents._api.libraries import DocumentFilters, Level, OwnerType, ShareWith
from mistral_agents._api.paging import awalk, by_number, by_token, walk
from mistral_agents._api.records import Document, Library, Listing, Record, Records, as_record, rows_of, state_of
from mistral_agents._api.shared_files import SharedFile, split_id
from mistral_agents._api.waiting import DocumentOutcome, Waiting, checked, seconds_of
from mistral_agents._api.writing import Writer, plain_upload
from mistral_agents._http.replies import Reply
from mistral_agents._http.transport import Transport
from mistral_agents._progress import Progress, counting
from mistral_agents._steps import Steps, arun, run
from mistral_agents.embeddings import Embeddings
from mistral_agents.errors import NotFoundError, ResponseFormatError

if TYPE_CHECKING:
    from mistral_agents.retrieval.folder import FolderOptions, FolderReport
    from mistral_agents.retrieval.searching import Searches, SearchOptions
    from mistral_agents.retrieval.snapshot import Hit

_WAITING = "Processing documents"

__all__ = ["DocumentOutcome", "DocumentStatus", "FileContent", "Libraries"]


class DocumentStatus(Record):
    """How far a document is processed: `process_status` is `todo`, `in_progress`, `done`, `error`, ..."""

    document_id: str
    process_status: str | None
    processing_status: str | None


class Sharing(Record):
    """Who may use a library."""

    library_id: str
    share_with_uuid: str | None
    share_with_type: str
    role: str
    user_id: str | None
    org_id: str | None


def _read_document_text(reply: Reply) -> str:
    data = reply.json()
    text = data.get("text") if isinstance(data, dict) else None
    if not isinstance(text, str):
        raise ResponseFormatError("The service sent no text of the document.", body=data)
    return text


def _link(reply: Reply) -> str:
    data = reply.json()
    if not isinstance(data, str):
        raise ResponseFormatError("The service sent no link.", body=data)
    return data


def _find_unfinished(documents: list[Document]) -> list[str]:
    return [document["id"] for document in documents if state_of(document)[0] == "pending"]


class Libraries:
    """Document libraries. Every method has an asynchronous twin with the prefix `a`.

    The service has no search call for libraries: an agent with a `DocumentLibrary` tool searches, or a retriever ranks
    the texts read from here. Ids are UUIDs and are checked before any request.

    Raises:
        ConfigurationError: An argument is wrong; nothing was sent.
        MistralAgentsError: The service or the connection failed; see `mistral_agents.errors`.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.changes = ChangeLog()
        self._writer = Writer(transport, self.changes)

    # libraries -------------------------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        *,
        description: str | None = None,
        chunk_size: int | None = None,
        owner_type: OwnerType | None = None,
    ) -> Library:
        """Create a library.

        Args:
            name: Its name; names need not be unique.
            description: What it holds.
            chunk_size: Characters per chunk, 256 to 32768; the service's default where None.
            owner_type: `Workspace` shares it with the workspace (the service's default for API keys), `User` keeps it
                to the owner, which not every key may do.
        """
        call = calls.create_library_call(name, description, chunk_size, owner_type)
        return as_record(Library, self._transport.send(call).json())

    async def acreate(
        self,
        name: str,
        *,
        description: str | None = None,
        chunk_size: int | None = None,
        owner_type: OwnerType | None = None,
    ) -> Library:
        """As `create`, without blocking."""
        call = calls.create_library_call(name, description, chunk_size, owner_type)
        return as_record(Library, (await self._transport.asend(call)).json())

    def get(self, library_id: str) -> Library:
        """Read a library."""
        return as_record(Library, self._transport.send(calls.get_library_call(library_id)).json())

    async def aget(self, library_id: str) -> Library:
        """As `get`, without blocking."""
        return as_record(Library, (await self._transport.asend(calls.get_library_call(library_id))).json())

    def list(
        self, *, page_size: int = 100, search: str | None = None, owned_by_me: bool | None = None
    ) -> Listing[Library]:
        """All libraries this key can see, page after page.

        Args:
            page_size: Libraries per request, 1 to 100.
            search: Part of the name.
            owned_by_me: Only those of one's own; the SDK calls this filter of the service deprecated.
        """
        rows = walk(self._transport.send, calls.list_libraries_call(page_size, search, owned_by_me), by_token, "data")
        return Listing(map(Library, rows))

    async def alist(
        self, *, page_size: int = 100, search: str | None = None, owned_by_me: bool | None = None
    ) -> AsyncIterator[Library]:
        """As `list`, without blocking."""
        call = calls.list_libraries_call(page_size, search, owned_by_me)
        async for row in awalk(self._transport.asend, call, by_token, "data"):
            yield Library(row)

    def update(self, library_id: str, *, name: str | None = None, description: str | None = None) -> Library:
        """Change a library's name or description; None keeps it."""
        call = calls.update_library_call(library_id, name, description)
        return as_record(Library, self._transport.send(call).json())

    async def aupdate(self, library_id: str, *, name: str | None = None, description: str | None = None) -> Library:
        """As `update`, without blocking."""
        call = calls.update_library_call(library_id, name, description)
        return as_record(Library, (await self._transport.asend(call)).json())

    def delete(self, library_id: str) -> None:
        """Delete a library and all its documents."""
        self._transport.send(calls.delete_library_call(library_id))
        self.changes.note(library_id)

    async def adelete(self, library_id: str) -> None:
        """As `delete`, without blocking."""
        await self._transport.asend(calls.delete_library_call(library_id))
        self.changes.note(library_id)

    # documents -------------------------------------------------------------------------------------------------

    def documents(self, library_id: str, **filters: Unpack[DocumentFilters]) -> Listing[Document]:
        """The documents of a library, each once, page after page; all of them, or by `DocumentFilters`.

        The service keeps equal bytes once. Documents that share them are listed each by itself here, with ids of their
        own (`<id>~<tag>`) that every method takes.
        """
        call, wanted = calls.documents_call(library_id, filters), filters.get("attributes")
        rows = walk(self._transport.send, call, by_number, "data")
        found = chain.from_iterable(SharedFile.read(row).documents() for row in rows)
        return Listing(document for document in found if calls.has_attributes(document, wanted))

    async def adocuments(self, library_id: str, **filters: Unpack[DocumentFilters]) -> AsyncIterator[Document]:
        """As `documents`, without blocking."""
        call, wanted = calls.documents_call(library_id, filters), filters.get("attributes")
        async for row in awalk(self._transport.asend, call, by_number, "data"):
            for document in SharedFile.read(row).documents():
                if calls.has_attributes(document, wanted):
                    yield document

    def upload(
        self,
        library_id: str,
        file: FileContent,
        *,
        name: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        expires_at: datetime | str | None = None,
        wait: bool | float = False,
        show_progress: bool = False,
    ) -> Document:
        """Upload a document; a search finds it once it is processed (see `wait_until_ready`).

        Bytes that are in the library already under another name, or with other attributes, become a document of their
        own beside the old one. The same upload sent again gives the same document.

        Args:
            library_id: The library.
            file: A path, bytes, an open file, or a `(name, bytes)` pair.
            name: The document's name; by default the file's.
            attributes: Your own values, kept with the document; they and `expires_at` cost a second request.
            expires_at: When the service deletes it.
            wait: Wait until it is processed, and return it as it is then: True for up to 600 seconds, or the seconds
                to wait.
            show_progress: Show a bar while waiting.

        Raises:
            DocumentProcessingError: With `wait`: the service could not process it.
            LibraryNotReadyError: With `wait`: it was not processed in time.
        """
        seconds = seconds_of(wait)
        document = run(self._uploading(library_id, *named_bytes(file, name), attributes, expires_at))
        if seconds is not None:
            ids = [document["id"]]
            found = self.wait_until_ready(library_id, ids, timeout=seconds, show_progress=show_progress)
            checked(found, {str(document["id"]): str(document.get("name"))})
            return self.document(library_id, str(document["id"]))
        return document

    async def aupload(
        self,
        library_id: str,
        file: FileContent,
        *,
        name: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        expires_at: datetime | str | None = None,
        wait: bool | float = False,
        show_progress: bool = False,
    ) -> Document:
        """As `upload`, without blocking."""
        seconds = seconds_of(wait)
        found = await asyncio.to_thread(named_bytes, file, name)
        document = await arun(self._uploading(library_id, *found, attributes, expires_at))
        if seconds is not None:
            ids = [document["id"]]
            outcomes = await self.await_until_ready(library_id, ids, timeout=seconds, show_progress=show_progress)
            checked(outcomes, {str(document["id"]): str(document.get("name"))})
            return await self.adocument(library_id, str(document["id"]))
        return document

    def _uploading(
        self,
        library_id: str,
        name: str,
        data: bytes,
        attributes: Mapping[str, Any] | None,
        expires_at: datetime | str | None,
    ) -> Steps[Document]:
        own = calls.checked_attributes(attributes)
        return self._writer.upload(plain_upload(library_id, name, data, own, expires_at))

    def search(
        self, library_ids: str | Sequence[str], query: str, *, top_k: int = 5, **options: Unpack[SearchOptions]
    ) -> builtins.list[Hit]:
        """Find passages of libraries, ranked in this process; no framework and no model is needed.

        The texts are read at the first search, and again when they changed. Needs the extra `retrieval`, which
        `llama-index` and `server` bring along.

        Args:
            library_ids: One library id or several, which form one corpus.
            query: What is searched for.
            top_k: Most passages to return, from 1.
            options: As of `mistral_agents.retrieval.searching.SearchOptions`.

        Returns:
            Hits, best first: `hit.text`, `hit.score`, `hit.metadata`, `hit.document`.

        Examples:
            >>> [(hit.score, hit.document.name) for hit in client.libraries.search(library.id, "warranty period")]
        """
        return self._searches.find(library_ids, query, top_k, options)

    async def asearch(
        self, library_ids: str | Sequence[str], query: str, *, top_k: int = 5, **options: Unpack[SearchOptions]
    ) -> builtins.list[Hit]:
        """As `search`, without blocking."""
        return await self._searches.afind(library_ids, query, top_k, options)

    @cached_property
    def _searches(self) -> Searches:
        from mistral_agents.retrieval.searching import Searches

        return Searches(self, Embeddings(self._transport))

    def sync_folder(
        self, library_id: str, folder: str | os.PathLike[str], **options: Unpack[FolderOptions]
    ) -> FolderReport:
        """Make a library like a folder: upload what is new or changed, then delete what is gone.

        Args:
            library_id: The library.
            folder: The folder; `~` is the home folder.
            options: As of `mistral_agents.retrieval.folder.FolderSync`.

        Returns:
            What was done, by file.

        Raises:
            ConfigurationError: The folder does not exist, or an option is wrong.
        """
        return run(self._folder_steps(library_id, folder, options))

    async def async_folder(
        self, library_id: str, folder: str | os.PathLike[str], **options: Unpack[FolderOptions]
    ) -> FolderReport:
        """As `sync_folder`, without blocking."""
        return await arun(self._folder_steps(library_id, folder, options))

    def _folder_steps(
        self, library_id: str, folder: str | os.PathLike[str], options: FolderOptions
    ) -> Steps[FolderReport]:
        from mistral_agents.retrieval.folder import plan_sync

        return plan_sync(self, uuid_text("library_id", library_id), folder, options).steps()

    @property
    def writer(self) -> Writer:
        """The steps of uploads, changes and deletions, for work that joins many of them."""
        return self._writer

    def document(self, library_id: str, document_id: str) -> Document:
        """Read what is known of a document."""
        record = as_record(Document, self._transport.send(calls.document_call(library_id, document_id)).json())
        return SharedFile.read(record).document(split_id(document_id)[1])

    async def adocument(self, library_id: str, document_id: str) -> Document:
        """As `document`, without blocking."""
        reply = await self._transport.asend(calls.document_call(library_id, document_id))
        return SharedFile.read(as_record(Document, reply.json())).document(split_id(document_id)[1])

    def status(self, library_id: str, document_id: str) -> DocumentStatus:
        """Read how far a document is processed."""
        return as_record(DocumentStatus, self._transport.send(calls.status_call(library_id, document_id)).json())

    async def astatus(self, library_id: str, document_id: str) -> DocumentStatus:
        """As `status`, without blocking."""
        reply = await self._transport.asend(calls.status_call(library_id, document_id))
        return as_record(DocumentStatus, reply.json())

    def wait_until_ready(
        self,
        library_id: str,
        document_ids: Sequence[str] | None = None,
        *,
        timeout: float = 600.0,
        on_progress: Progress | None = None,
        show_progress: bool = False,
    ) -> builtins.list[DocumentOutcome]:
        """Wait until documents are processed; returns what became of each, and raises for none of them.

        Args:
            library_id: The library.
            document_ids: The documents; None takes every document that is not finished yet.
            timeout: Seconds to wait; what is unfinished then comes back as `pending`.
            on_progress: Called after each round with (finished, total).
            show_progress: Show a bar.

        Raises:
            NotFoundError: The library is gone.
        """
        ids = document_ids if document_ids is not None else _find_unfinished(builtins.list(self.documents(library_id)))
        with counting(_WAITING, show_progress, on_progress) as tick:
            waiting = Waiting(ids, timeout, tick)
            pause: float | None = 0.0
            while pause is not None:
                time.sleep(pause)
                for key in waiting.pending:
                    try:
                        waiting.take(key, self.status(library_id, key))
                    except NotFoundError:
                        next(self.documents(library_id, page_size=1), None)  # tells it where the library is gone
                        waiting.miss(key)
                pause = waiting.pause()
        self.changes.note(library_id)
        return waiting.outcomes

    async def await_until_ready(
        self,
        library_id: str,
        document_ids: Sequence[str] | None = None,
        *,
        timeout: float = 600.0,
        on_progress: Progress | None = None,
        show_progress: bool = False,
    ) -> builtins.list[DocumentOutcome]:
        """As `wait_until_ready`, without blocking."""
        if document_ids is None:
            document_ids = _find_unfinished([document async for document in self.adocuments(library_id)])
        with counting(_WAITING, show_progress, on_progress) as tick:
            waiting = Waiting(document_ids, timeout, tick)
            pause: float | None = 0.0
            while pause is not None:
                await asyncio.sleep(pause)
                for key in waiting.pending:
                    try:
                        waiting.take(key, await self.astatus(library_id, key))
                    except NotFoundError:
                        await anext(aiter(self.adocuments(library_id, page_size=1)), None)
                        waiting.miss(key)
                pause = waiting.pause()
        self.changes.note(library_id)
        return waiting.outcomes

    def text(
        self, library_id: str, document_id: str, *, page_start: int | None = None, page_end: int | None = None
    ) -> str:
        """The text that the service took from a document; `page_start` and `page_end` as the service counts pages."""
        return _read_document_text(self._transport.send(calls.text_call(library_id, document_id, page_start, page_end)))

    async def atext(
        self, library_id: str, document_id: str, *, page_start: int | None = None, page_end: int | None = None
    ) -> str:
        """As `text`, without blocking."""
        return _read_document_text(
            await self._transport.asend(calls.text_call(library_id, document_id, page_start, page_end))
        )

    def update_document(
        self,
        library_id: str,
        document_id: str,
        *,
        name: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        expires_at: datetime | str | None = None,
    ) -> Document:
        """Change a document's name, attributes or expiry; None keeps it. Documents with the same bytes stay."""
        changes = calls.document_changes(name, attributes, expires_at)
        return run(self._writer.update(library_id, document_id, changes))

    async def aupdate_document(
        self,
        library_id: str,
        document_id: str,
        *,
        name: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        expires_at: datetime | str | None = None,
    ) -> Document:
        """As `update_document`, without blocking."""
        changes = calls.document_changes(name, attributes, expires_at)
        return await arun(self._writer.update(library_id, document_id, changes))

    def delete_document(self, library_id: str, document_id: str) -> None:
        """Delete a document; others with the same bytes stay.

        Raises:
            NotFoundError: There is no such document.
        """
        run(self._writer.delete(library_id, document_id))

    async def adelete_document(self, library_id: str, document_id: str) -> None:
        """As `delete_document`, without blocking."""
        await arun(self._writer.delete(library_id, document_id))

    def reprocess(self, library_id: str, document_id: str) -> None:
        """Have a document processed again; its text may change."""
        self._transport.send(calls.reprocess_call(library_id, document_id))
        self.changes.note(library_id)

    async def areprocess(self, library_id: str, document_id: str) -> None:
        """As `reprocess`, without blocking."""
        await self._transport.asend(calls.reprocess_call(library_id, document_id))
        self.changes.note(library_id)

    def signed_url(self, library_id: str, document_id: str, *, extracted_text: bool = False) -> str:
        """A link to the document, or to its extracted text, that works for a while without a key: keep it secret."""
        call = calls.signed_url_call(library_id, document_id, extracted_text=extracted_text)
        return _link(self._transport.send(call))

    async def asigned_url(self, library_id: str, document_id: str, *, extracted_text: bool = False) -> str:
        """As `signed_url`, without blocking."""
        call = calls.signed_url_call(library_id, document_id, extracted_text=extracted_text)
        return _link(await self._transport.asend(call))

    # sharing ---------------------------------------------------------------------------------------------------

    def share(
        self, library_id: str, share_with: str, *, share_with_type: ShareWith = "User", level: Level = "Viewer"
    ) -> Sharing:
        """Let a user, a workspace or the organisation (by its UUID) use a library."""
        body = calls.share_body(share_with, share_with_type, level)
        return as_record(
            Sharing, self._transport.send(calls.share_library_call("PUT", library_id, "create", body)).json()
        )

    async def ashare(
        self, library_id: str, share_with: str, *, share_with_type: ShareWith = "User", level: Level = "Viewer"
    ) -> Sharing:
        """As `share`, without blocking."""
        body = calls.share_body(share_with, share_with_type, level)
        reply = await self._transport.asend(calls.share_library_call("PUT", library_id, "create", body))
        return as_record(Sharing, reply.json())

    def unshare(
        self, library_id: str, share_with: str, *, share_with_type: ShareWith = "User", level: Level = "Viewer"
    ) -> None:
        """Withdraw a right; `level` names the right."""
        body = calls.share_body(share_with, share_with_type, level)
        self._transport.send(calls.share_library_call("DELETE", library_id, "delete", body))

    async def aunshare(
        self, library_id: str, share_with: str, *, share_with_type: ShareWith = "User", level: Level = "Viewer"
    ) -> None:
        """As `unshare`, without blocking."""
        body = calls.share_body(share_with, share_with_type, level)
        await self._transport.asend(calls.share_library_call("DELETE", library_id, "delete", body))

    def list_accesses(self, library_id: str) -> Records[Sharing]:
        """Who may use a library."""
        rows = rows_of(self._transport.send(calls.share_library_call("GET", library_id, "list")).json(), "data")
        return Records(map(Sharing, rows))

    async def alist_accesses(self, library_id: str) -> Records[Sharing]:
        """As `list_accesses`, without blocking."""
        reply = await self._transport.asend(calls.share_library_call("GET", library_id, "list"))
        return Records(map(Sharing, rows_of(reply.json(), "data")))
