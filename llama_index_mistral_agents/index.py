"""`MistralLibraryIndex`: a document library as a managed index."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.chat_engine import CondensePlusContextChatEngine, CondenseQuestionChatEngine, ContextChatEngine
from llama_index.core.data_structs.data_structs import IndexDict
from llama_index.core.indices.managed.base import BaseManagedIndex
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import BaseNode, Document, TransformComponent
from llama_index.core.storage.docstore.types import RefDocInfo
from typing_extensions import Self

from llama_index_mistral_agents._documents import DocumentStore
from llama_index_mistral_agents.retriever import MistralLibraryRetriever
from mistral_agents._api.paging import FileContent, uuid_text
from mistral_agents._api.records import Document as LibraryRecord
from mistral_agents._api.waiting import DocumentOutcome
from mistral_agents._steps import arun, run
from mistral_agents.client import MistralAgents
from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.engine import LibraryEngine
from mistral_agents.retrieval.folder import FolderReport, FolderSync
from mistral_agents.retrieval.progress import counting


class _Unused(TransformComponent):
    """Documents are cut by the retriever, so the index itself transforms nothing."""

    def __call__(self, nodes: Sequence[BaseNode], **_: Any) -> Sequence[BaseNode]:
        return nodes


class MistralLibraryIndex(BaseManagedIndex):
    """A document library of Mistral as an index: documents live on the service, searching is the retriever's.

    Documents are uploaded as they are; nodes can't be inserted, since the service takes files. Documents of LlamaIndex
    become text files that carry their metadata, id and hash as attributes. Every method that talks to the service has
    an asynchronous twin.

    Args:
        library_id: The library.
        client: The client; else one is made of `api_key` and `base_url`.
        api_key: The key; None reads MISTRAL_API_KEY.
        base_url: The service's address; None reads MISTRAL_BASE_URL.
        show_progress: Show bars while uploading, waiting and syncing.
        callback_manager: LlamaIndex's.

    Raises:
        ConfigurationError: An argument is wrong. Nothing is sent.

    Example:
        >>> index = MistralLibraryIndex.create("Handbook")
        >>> document = index.upload("handbook.pdf")
        >>> outcomes = index.wait_until_ready()
        >>> answer = index.as_query_engine().query("How long is the warranty?")
    """

    def __init__(
        self,
        library_id: str,
        *,
        client: MistralAgents | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        show_progress: bool = False,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        self.library_id = uuid_text("library_id", library_id)
        self.client = client if client is not None else MistralAgents(api_key=api_key, base_url=base_url)
        self._documents = DocumentStore(self.client.libraries, self.library_id)
        self._engines: dict[str, LibraryEngine] = {}
        super().__init__(
            index_struct=IndexDict(),
            show_progress=show_progress,
            callback_manager=callback_manager,
            transformations=[_Unused()],
        )

    @classmethod
    def create(
        cls, name: str, *, description: str | None = None, client: MistralAgents | None = None, **options: Any
    ) -> Self:
        """Create a library and its index.

        Args:
            name: The library's name.
            description: What it holds.
            client: The client; else one is made of `api_key` and `base_url`.
            options: As of the class.
        """
        connection = {key: options.pop(key) for key in ("api_key", "base_url") if key in options}
        known = client if client is not None else MistralAgents(**connection)
        library = known.libraries.create(name, description=description)
        return cls(library["id"], client=known, **options)

    @classmethod
    def from_documents(  # type: ignore[override]
        cls,
        documents: Sequence[Document],
        *,
        library_id: str | None = None,
        name: str = "LlamaIndex documents",
        timeout: float = 600.0,
        **options: Any,
    ) -> Self:
        """Upload documents and wait until they can be searched.

        Args:
            documents: Their texts become files.
            library_id: An existing library; None creates one.
            name: The new library's name.
            timeout: Seconds to wait; 0 does not wait.
            options: As of the class.

        Raises:
            DocumentProcessingError: The service could not process some.
        """
        index = cls(library_id, **options) if library_id is not None else cls.create(name, **options)
        records = run(index._documents.insert_many(list(documents)))
        if timeout > 0:
            index.wait_until_ready([record["id"] for record in records], timeout=timeout, raise_on_error=True)
        return index

    # files -----------------------------------------------------------------------------------------------------

    def upload(
        self,
        file: FileContent,
        *,
        name: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        expires_at: datetime | str | None = None,
    ) -> LibraryRecord:
        """Upload a file (path, bytes or `(name, bytes)`); it is found once processed, see `wait_until_ready`."""
        libraries = self.client.libraries
        return libraries.upload(self.library_id, file, name=name, attributes=attributes, expires_at=expires_at)

    async def aupload(
        self,
        file: FileContent,
        *,
        name: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        expires_at: datetime | str | None = None,
    ) -> LibraryRecord:
        """As `upload`, without blocking."""
        libraries = self.client.libraries
        return await libraries.aupload(self.library_id, file, name=name, attributes=attributes, expires_at=expires_at)

    def wait_until_ready(
        self, document_ids: Sequence[str] | None = None, *, timeout: float = 600.0, raise_on_error: bool = False
    ) -> list[DocumentOutcome]:
        """Wait until documents are processed.

        Args:
            document_ids: The documents; None takes all that are unfinished.
            timeout: Seconds.
            raise_on_error: Raise for documents that failed, or were not finished in time.

        Raises:
            DocumentProcessingError, LibraryNotReadyError: With `raise_on_error`.
        """
        with counting("Processing documents", self._show_progress) as tick:
            outcomes = self.client.libraries.wait_until_ready(
                self.library_id, document_ids, timeout=timeout, on_progress=tick
            )
        return self._documents.checked(outcomes, raise_on_error)

    async def await_until_ready(
        self,
        document_ids: Sequence[str] | None = None,
        *,
        timeout: float = 600.0,
        raise_on_error: bool = False,
    ) -> list[DocumentOutcome]:
        """As `wait_until_ready`, without blocking."""
        with counting("Processing documents", self._show_progress) as tick:
            outcomes = await self.client.libraries.await_until_ready(
                self.library_id, document_ids, timeout=timeout, on_progress=tick
            )
        return self._documents.checked(outcomes, raise_on_error)

    def sync_dir(self, folder: str | Path, **options: Any) -> FolderReport:
        """Make the library like a folder: add, update and delete documents; documents of other origin stay.

        Args:
            folder: The folder.
            options: `pattern`, `delete`, `dry_run`, `attributes`, `max_concurrency`, as of `FolderSync`.
        """
        with counting("Uploading", self._show_progress) as tick:
            return run(self._folder(folder, tick, options).steps())

    async def async_dir(self, folder: str | Path, **options: Any) -> FolderReport:
        """As `sync_dir`, without blocking."""
        with counting("Uploading", self._show_progress) as tick:
            return await arun(self._folder(folder, tick, options).steps())

    def _folder(self, folder: str | Path, tick: Any, options: dict[str, Any]) -> FolderSync:
        return FolderSync(self.client.libraries, self.library_id, Path(folder), on_progress=tick, **options)

    # documents of LlamaIndex -----------------------------------------------------------------------------------

    def insert(self, document: Document, **_: Any) -> None:
        """Upload a document's text as a file, with its metadata, id and hash as attributes."""
        run(self._documents.insert(document))

    async def ainsert(self, document: Document, **_: Any) -> None:
        """As `insert`, without blocking."""
        await arun(self._documents.insert(document))

    def update_ref_doc(self, document: Document, **_: Any) -> None:
        """Upload the document anew, then delete the old one: the service can't change a file's content."""
        run(self._documents.update(document))

    async def aupdate_ref_doc(self, document: Document, **_: Any) -> None:
        """As `update_ref_doc`, without blocking."""
        await arun(self._documents.update(document))

    def delete_ref_doc(self, ref_doc_id: str, delete_from_docstore: bool = False, **_: Any) -> None:  # noqa: ARG002
        """Delete a document by its id in the library, or by the id of the LlamaIndex document it was made of."""
        run(self._documents.delete(ref_doc_id))

    async def adelete_ref_doc(self, ref_doc_id: str, delete_from_docstore: bool = False, **_: Any) -> None:  # noqa: ARG002
        """As `delete_ref_doc`, without blocking."""
        await arun(self._documents.delete(ref_doc_id))

    def refresh_ref_docs(self, documents: Sequence[Document], **_: Any) -> list[bool]:
        """Insert new documents and update changed ones; True for each that was sent."""
        return run(self._documents.refresh(list(documents)))

    async def arefresh_ref_docs(self, documents: Sequence[Document], **_: Any) -> list[bool]:
        """As `refresh_ref_docs`, without blocking."""
        return await arun(self._documents.refresh(list(documents)))

    @property
    def ref_doc_info(self) -> dict[str, RefDocInfo]:
        """The library's documents by id, with metadata and the ids of the nodes that a retriever here has made."""
        nodes: dict[str, list[str]] = {}
        for engine in self._engines.values():
            for key, stored in engine.snapshot.texts.items() if engine.snapshot is not None else ():
                nodes[key] = [chunk.id for chunk in stored.chunks]
        listed = run(self._documents.listed())
        return {
            key: RefDocInfo(node_ids=nodes.get(key, []), metadata=document.metadata())
            for key, document in listed.items()
        }

    def _insert(self, nodes: Sequence[BaseNode], **_: Any) -> None:  # noqa: ARG002
        raise ConfigurationError("A library takes files, not nodes: use insert(document) or upload(file).")

    # engines ---------------------------------------------------------------------------------------------------

    def as_retriever(self, **kwargs: Any) -> BaseRetriever:
        """A retriever over this library.

        Args:
            kwargs: As of `MistralLibraryRetriever`. Keywords of query and chat engines, which LlamaIndex passes here
                too, are left to them.

        Raises:
            ConfigurationError: A keyword belongs to none of these.
        """
        own = {key: value for key, value in kwargs.items() if key in _RETRIEVER_KEYS}
        unknown = sorted(set(kwargs) - set(own) - _ENGINE_KEYS)
        if unknown:
            raise ConfigurationError(f"as_retriever() does not know {', '.join(unknown)}.")
        own.setdefault("callback_manager", self._callback_manager)
        own.setdefault("show_progress", self._show_progress)
        retriever = MistralLibraryRetriever(self.library_id, client=self.client, **own)
        return retriever.share_engine(self._engines.setdefault(retriever.engine.key, retriever.engine))

    def as_auto_retriever(self, *, llm: Any = None, **kwargs: Any) -> BaseRetriever:
        """A retriever that lets an LLM choose filters and query; see `MistralAutoRetriever`."""
        from llama_index_mistral_agents.auto import MistralAutoRetriever

        return MistralAutoRetriever(self, llm=llm, **kwargs)


def _parameters(*functions: Any) -> frozenset[str]:
    return frozenset(name for function in functions for name in inspect.signature(function).parameters)


_RETRIEVER_KEYS = _parameters(MistralLibraryRetriever.__init__) - {
    "self",
    "library_ids",
    "client",
    "api_key",
    "base_url",
}
_ENGINE_KEYS = _parameters(
    RetrieverQueryEngine.from_args,
    ContextChatEngine.from_defaults,
    CondenseQuestionChatEngine.from_defaults,
    CondensePlusContextChatEngine.from_defaults,
) - {"kwargs", "retriever", "query_engine"}
