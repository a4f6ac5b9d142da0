"""`MistralLibraryIndex`: a document library as a managed index."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypedDict

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.chat_engine import CondensePlusContextChatEngine, CondenseQuestionChatEngine, ContextChatEngine
from llama_index.core.chat_engine.types import BaseChatEngine, ChatMode
from llama_index.core.data_structs.data_structs import IndexDict
from llama_index.core.indices.managed.base import BaseManagedIndex
from llama_index.core.llms.utils import LLMType
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import BaseNode, Document, TransformComponent
from llama_index.core.storage.docstore.types import RefDocInfo
from typing_extensions import Self, Unpack

from llama_index_mistral_agents._asking import refusing
from llama_index_mistral_agents._chat import answering
from llama_index_mistral_agents._nodes import TEMPLATES
from llama_index_mistral_agents.retriever import MistralLibraryRetriever
from mistral_agents._api.arguments import FileContent, uuid_text
from mistral_agents._api.records import Document as LibraryRecord
from mistral_agents._api.waiting import WAIT, DocumentOutcome, seconds_of
from mistral_agents._border.text import mend_text
from mistral_agents._http.concealed import conceal_text
from mistral_agents._json import JsonDict
from mistral_agents._steps import Job, Steps, arun, run
from mistral_agents._warnings import warn_user
from mistral_agents.client import MistralAgents, choose_client
from mistral_agents.errors import ConfigurationError
from mistral_agents.retrieval.engine import LibraryEngine
from mistral_agents.retrieval.folder import FolderOptions, FolderReport, plan_sync
from mistral_agents.retrieval.inserting import Inserter, Insertion, SourceDocument, check_attributes, check_documents

if TYPE_CHECKING:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.llms import LLM


class _Unused(TransformComponent):
    """Documents are cut by the retriever, so the index itself transforms nothing."""

    def __call__(self, nodes: Sequence[BaseNode], **_: object) -> Sequence[BaseNode]:
        return nodes


class IndexOptions(TypedDict, total=False):
    """What `MistralLibraryIndex` takes beside its client, where the library is made or filled too."""

    api_key: str | None
    base_url: str | None
    embed_model: BaseEmbedding | str | None
    show_progress: bool
    callback_manager: CallbackManager | None


class FilledIndexOptions(IndexOptions, total=False):
    """What `MistralLibraryIndex.from_documents` takes."""

    client: MistralAgents | None


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
        embed_model: For its retrievers, whose `strategy` is then "hybrid" (words and vectors) unless told otherwise.
        show_progress: Show bars while uploading, waiting and syncing.
        callback_manager: LlamaIndex's.

    Raises:
        ConfigurationError: An argument is wrong. Nothing is sent.

    Examples:
        >>> index = MistralLibraryIndex.create("Handbook")
        >>> document = index.upload("handbook.pdf", wait=True)
        >>> answer = index.as_query_engine().query("How long is the warranty?")
    """

    def __init__(
        self,
        library_id: str,
        *,
        client: MistralAgents | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        embed_model: BaseEmbedding | str | None = None,
        show_progress: bool = False,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        self._library_id = uuid_text("library_id", library_id)
        api_key, base_url = conceal_text(api_key), conceal_text(base_url)
        self.client = choose_client(client, api_key=api_key, base_url=base_url)
        self._documents = Inserter(self.client.libraries, self.library_id, show_progress)
        self._engines: dict[str, LibraryEngine] = {}
        self._own_embed_model = embed_model
        super().__init__(
            index_struct=IndexDict(),
            show_progress=show_progress,
            callback_manager=callback_manager,
            transformations=[_Unused()],
        )

    @property
    def library_id(self) -> str:
        """The library; another index is of another one."""
        return self._library_id

    @classmethod
    def create(
        cls,
        name: str,
        *,
        description: str | None = None,
        client: MistralAgents | None = None,
        **options: Unpack[IndexOptions],
    ) -> Self:
        """Create a library and its index.

        Args:
            name: The library's name.
            description: What it holds.
            client: The client; else one is made of `api_key` and `base_url`.
            options: As of the class.

        Raises:
            ConfigurationError: An option is wrong; no library was made.
        """
        return run(cls._create_index(name, description, client, {**options}))

    @classmethod
    async def acreate(
        cls,
        name: str,
        *,
        description: str | None = None,
        client: MistralAgents | None = None,
        **options: Unpack[IndexOptions],
    ) -> Self:
        """As `create`, without blocking."""
        return await arun(cls._create_index(name, description, client, {**options}))

    @classmethod
    def _create_index(
        cls, name: str, description: str | None, client: MistralAgents | None, options: JsonDict
    ) -> Steps[Self]:
        _refuse_options(options)
        connection = {key: options.pop(key, None) for key in ("api_key", "base_url")}
        known = choose_client(client, **connection)
        library = yield Job(
            partial(known.libraries.create, name, description=description),
            partial(known.libraries.acreate, name, description=description),
        )
        return cls(library["id"], client=known, **options)

    @classmethod
    def from_documents(  # type: ignore[override]
        cls,
        documents: Sequence[Document],
        *,
        library_id: str | None = None,
        name: str = "LlamaIndex documents",
        timeout: float = WAIT,
        **options: Unpack[FilledIndexOptions],
    ) -> Self:
        """Upload documents and wait until they can be searched.

        What the service can't take or read is left out: a warning names the document and the reason.

        Args:
            documents: Their texts become files.
            library_id: An existing library, where documents that are there unchanged are not sent again; None creates
                one.
            name: The new library's name.
            timeout: Seconds to wait; 0 does not wait.
            options: As of the class.

        Raises:
            ConfigurationError: An option is wrong, or metadata can't be kept; no library was made.
            MistralAgentsError: The work broke off; the hint names the library that was made, and how to go on.
        """
        index, made = run(cls._build_index(documents, library_id, name, timeout, {**options}))
        made.warn()
        return index

    @classmethod
    async def afrom_documents(
        cls,
        documents: Sequence[Document],
        *,
        library_id: str | None = None,
        name: str = "LlamaIndex documents",
        timeout: float = WAIT,
        **options: Unpack[FilledIndexOptions],
    ) -> Self:
        """As `from_documents`, without blocking."""
        index, made = await arun(cls._build_index(documents, library_id, name, timeout, {**options}))
        made.warn()
        return index

    @classmethod
    def _build_index(
        cls, documents: Sequence[Document], library_id: str | None, name: str, timeout: float, options: dict[str, Any]
    ) -> Steps[tuple[Self, Insertion]]:
        _refuse_options(options)
        wait = timeout if timeout != 0 else False
        seconds_of(wait, "timeout")
        sources = _make_source_documents(documents)
        check_documents(sources)
        if library_id is not None:
            index = cls(library_id, **options)
        else:
            index = yield from cls._create_index(name, None, options.pop("client", None), options)
        return index, (yield from index._documents.fill_new(sources, known=library_id is not None, wait=wait))

    # files -----------------------------------------------------------------------------------------------------

    def upload(
        self,
        file: FileContent,
        *,
        name: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        expires_at: datetime | str | None = None,
        wait: bool | float = False,
    ) -> LibraryRecord:
        """Upload a file (path, bytes, open file or `(name, bytes)`); it is found once processed.

        Args:
            file: The file.
            name: The document's name; by default the file's.
            attributes: Your own values: metadata of what is found.
            expires_at: When the service deletes it.
            wait: Wait until it is processed: True for up to 600 seconds, or the seconds to wait.

        Raises:
            ConfigurationError: The file can't be read, or attributes can't be kept; nothing was sent.
            DocumentProcessingError, LibraryNotReadyError: With `wait`: it failed, or was not processed in time.
        """
        check_attributes(attributes)
        options: dict[str, Any] = {"name": name, "attributes": attributes, "expires_at": expires_at, "wait": wait}
        options["show_progress"] = self._show_progress
        return self.client.libraries.upload(self.library_id, file, **options)

    async def aupload(
        self,
        file: FileContent,
        *,
        name: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        expires_at: datetime | str | None = None,
        wait: bool | float = False,
    ) -> LibraryRecord:
        """As `upload`, without blocking."""
        check_attributes(attributes)
        options: dict[str, Any] = {"name": name, "attributes": attributes, "expires_at": expires_at, "wait": wait}
        options["show_progress"] = self._show_progress
        return await self.client.libraries.aupload(self.library_id, file, **options)

    def wait_until_ready(
        self, document_ids: Sequence[str] | None = None, *, timeout: float = WAIT, raise_on_error: bool = False
    ) -> list[DocumentOutcome]:
        """Wait until documents are processed.

        Args:
            document_ids: The documents; None takes all that are unfinished.
            timeout: Seconds.
            raise_on_error: Raise for documents that failed, or were not finished in time.

        Raises:
            DocumentProcessingError, LibraryNotReadyError: With `raise_on_error`.
        """
        return run(self._wait_for(document_ids, timeout, raise_on_error))

    async def await_until_ready(
        self, document_ids: Sequence[str] | None = None, *, timeout: float = WAIT, raise_on_error: bool = False
    ) -> list[DocumentOutcome]:
        """As `wait_until_ready`, without blocking."""
        return await arun(self._wait_for(document_ids, timeout, raise_on_error))

    def _wait_for(
        self, document_ids: Sequence[str] | None, timeout: float, raise_on_error: bool
    ) -> Steps[list[DocumentOutcome]]:
        outcomes = yield from self._documents.wait(document_ids, timeout)
        return (yield from self._documents.check(outcomes)) if raise_on_error else outcomes

    def sync_dir(
        self, folder: str | os.PathLike[str], *, wait: bool | float = False, **options: Unpack[FolderOptions]
    ) -> FolderReport:
        """Make the library like a folder: add, update and delete documents; documents of other origin stay.

        Args:
            folder: The folder; `~` is the home folder.
            wait: Wait until what was sent is processed: True for up to 600 seconds, or the seconds to wait.
            options: As of `mistral_agents.retrieval.folder.FolderSync`.

        Raises:
            ConfigurationError: The folder does not exist, or an option is wrong.
            DocumentProcessingError, LibraryNotReadyError: With `wait`: documents failed, or were not ready in time.
        """
        return run(self._sync(folder, wait, options))

    async def async_dir(
        self, folder: str | os.PathLike[str], *, wait: bool | float = False, **options: Unpack[FolderOptions]
    ) -> FolderReport:
        """As `sync_dir`, without blocking."""
        return await arun(self._sync(folder, wait, options))

    def _sync(self, folder: str | os.PathLike[str], wait: bool | float, options: FolderOptions) -> Steps[FolderReport]:
        seconds = seconds_of(wait)
        chosen: FolderOptions = {"show_progress": self._show_progress, **options}
        report = yield from plan_sync(self.client.libraries, self.library_id, folder, chosen).steps()
        yield from self._documents.wait_after(report.document_ids, seconds)
        return report

    # documents of LlamaIndex -----------------------------------------------------------------------------------

    def insert(self, document: Document, *, wait: bool | float = False, **_: object) -> None:
        """Upload a document's text as a file, with its metadata, id and hash as attributes.

        Args:
            document: The document.
            wait: Wait until it can be searched: True for up to 600 seconds, or the seconds to wait.

        Raises:
            ConfigurationError: Metadata can't be kept; nothing was sent.
            InvalidRequestError: The service refused it; nothing is left of it.
            DocumentProcessingError, LibraryNotReadyError: With `wait`: it failed, or was not processed in time.
        """
        run(self._documents.insert(_make_source_document(document), wait))

    async def ainsert(self, document: Document, *, wait: bool | float = False, **_: object) -> None:
        """As `insert`, without blocking."""
        await arun(self._documents.insert(_make_source_document(document), wait))

    def update_ref_doc(self, document: Document, *, wait: bool | float = False, **_: object) -> None:
        """Upload the document anew, then delete the old one: the service can't change a file's content."""
        run(self._documents.update(_make_source_document(document), wait))

    async def aupdate_ref_doc(self, document: Document, *, wait: bool | float = False, **_: object) -> None:
        """As `update_ref_doc`, without blocking."""
        await arun(self._documents.update(_make_source_document(document), wait))

    def delete_ref_doc(self, ref_doc_id: str, delete_from_docstore: bool = False, **_: object) -> bool:  # type: ignore[override] # noqa: ARG002
        """Delete a document by its id in the library, or by the id of the LlamaIndex document it was made of.

        Returns:
            Whether there was one.
        """
        return run(self._documents.delete(ref_doc_id))

    async def adelete_ref_doc(self, ref_doc_id: str, delete_from_docstore: bool = False, **_: object) -> bool:  # type: ignore[override] # noqa: ARG002
        """As `delete_ref_doc`, without blocking."""
        return await arun(self._documents.delete(ref_doc_id))

    def refresh_ref_docs(self, documents: Sequence[Document], *, wait: bool | float = False, **_: object) -> list[bool]:
        """Insert new documents and update changed ones; True for each that was sent.

        What the service refuses is left out, and said in a warning.
        """
        made = run(self._documents.fill(_make_source_documents(documents), known=True, wait=wait))
        made.warn()
        return made.sent

    async def arefresh_ref_docs(
        self, documents: Sequence[Document], *, wait: bool | float = False, **_: object
    ) -> list[bool]:
        """As `refresh_ref_docs`, without blocking."""
        made = await arun(self._documents.fill(_make_source_documents(documents), known=True, wait=wait))
        made.warn()
        return made.sent

    @property
    def ref_doc_info(self) -> dict[str, RefDocInfo]:
        """The library's documents, with metadata and the ids of the nodes that a retriever here has made.

        Documents that were made of LlamaIndex's go by the ids of those, others by the library's own.
        """
        nodes: dict[str, list[str]] = {}
        for engine in self._engines.values():
            for key, stored in engine.snapshot.texts.items() if engine.snapshot is not None else ():
                nodes[key] = [chunk.id for chunk in stored.chunks]
        listed = run(self._documents.list_documents())
        return {
            document.ref_id: RefDocInfo(node_ids=nodes.get(key, []), metadata=document.metadata())
            for key, document in listed.items()
        }

    def _insert(self, nodes: Sequence[BaseNode], **_: object) -> None:  # noqa: ARG002
        raise ConfigurationError("A library takes files, not nodes: use insert(document) or upload(file).")

    # engines ---------------------------------------------------------------------------------------------------

    def as_retriever(self, **kwargs: object) -> BaseRetriever:
        """A retriever over this library.

        Args:
            kwargs: As of `MistralLibraryRetriever`. Keywords of query and chat engines, which LlamaIndex passes here
                too, are left to them.

        Raises:
            ConfigurationError: A keyword belongs to none of these.
        """
        own: JsonDict = {key: value for key, value in kwargs.items() if key in _RETRIEVER_KEYS}
        unknown = sorted(set(kwargs) - set(own) - _ENGINE_KEYS)
        if unknown:
            raise ConfigurationError(f"as_retriever() does not know {', '.join(unknown)}.")
        own.setdefault("callback_manager", self._callback_manager)
        own.setdefault("show_progress", self._show_progress)
        if self._own_embed_model is not None and own.get("mode", "local") != "conversation":
            own.setdefault("embed_model", self._own_embed_model)
            own.setdefault("strategy", "hybrid")
        retriever = MistralLibraryRetriever(self.library_id, client=self.client, **own)
        return retriever.share_engine(self._engines.setdefault(retriever.engine.key, retriever.engine))

    def as_query_engine(self, llm: LLMType | None = None, **kwargs: object) -> BaseQueryEngine:
        """A query engine over this library.

        Args:
            llm: The LLM; None takes `Settings.llm`.
            kwargs: As of `as_retriever`, and of `RetrieverQueryEngine.from_args`.
        """
        return refusing(super().as_query_engine(llm=llm, **kwargs))

    def as_chat_engine(
        self, chat_mode: ChatMode = ChatMode.BEST, llm: LLMType | None = None, **kwargs: object
    ) -> BaseChatEngine:
        """A chat engine over this library; the model answers also where nothing was found.

        Args:
            chat_mode: `best`, `condense_plus_context`, `context`, `condense_question` or `simple`.
            llm: The LLM; None takes `Settings.llm`.
            kwargs: As of `as_retriever`, and of the chat engine.
        """
        return answering(super().as_chat_engine(chat_mode=ChatMode(chat_mode), llm=llm, **kwargs))

    def as_auto_retriever(self, *, llm: LLM | None = None, **kwargs: Any) -> BaseRetriever:
        """A retriever that lets an LLM choose filters and query; see `MistralAutoRetriever`."""
        from llama_index_mistral_agents.auto import MistralAutoRetriever

        return MistralAutoRetriever(self, llm=llm, **kwargs)


def _list_parameters(*functions: Callable[..., Any]) -> frozenset[str]:
    return frozenset(name for function in functions for name in inspect.signature(function).parameters)


def _make_source_documents(documents: Sequence[Document]) -> list[SourceDocument]:
    given: object = documents
    if not isinstance(given, Iterable) or isinstance(given, (str, Document)):
        raise ConfigurationError(f"documents must be a list of LlamaIndex's Document, not {type(given).__name__}.")
    return [_make_source_document(document) for document in documents]


def _make_source_document(document: Document) -> SourceDocument:
    given: object = document
    if not isinstance(given, Document):
        raise ConfigurationError(f"A library takes documents of LlamaIndex (Document), not {type(given).__name__}.")
    media = [kind for kind in _MEDIA if _holds_media(getattr(document, f"{kind}_resource", None))]
    if media:
        text = f"The {' and '.join(media)} of document {document.doc_id!r} is left out: a library gets its text alone."
        warn_user(f"{text} Give the file itself to upload().")
    return SourceDocument(
        document.doc_id,
        document.text,
        _digest(document),
        document.metadata,
        document.excluded_llm_metadata_keys,
        document.excluded_embed_metadata_keys,
        {name: text for name in TEMPLATES if (text := getattr(document, name)) != _USUAL[name]},
    )


def _holds_media(resource: object) -> bool:
    return any(getattr(resource, name, None) for name in ("data", "path", "url"))


def _digest(document: Document) -> str:
    """A document's hash; LlamaIndex has none for a text with half a character, which is sent mended."""
    try:
        return document.hash
    except UnicodeEncodeError:
        return sha256(mend_text(f"{document.text}\n{document.metadata}").encode()).hexdigest()


def _refuse_options(options: dict[str, Any]) -> None:
    """Refuse what neither class knows, before anything is made.

    Raises:
        ConfigurationError: There is such an option.
    """
    for name in sorted(options.keys() - _OPTIONS):
        why = _ELSEWHERE.get(name, f"known are {', '.join(sorted(_OPTIONS))}")
        raise ConfigurationError(f"{name}= is no option of a library's index: {why}.")


_MEDIA = ("image", "audio", "video")
_USUAL = {name: Document.model_fields[name].default for name in TEMPLATES}
_OPTIONS = _list_parameters(MistralLibraryIndex.__init__) - {"self", "library_id"}
_ELSEWHERE = {
    "transformations": "the service cuts files itself; for local search, give node_parser= to as_retriever()",
    "storage_context": "documents live on the service; for a vector store, give vector_store= to as_retriever()",
}
_RETRIEVER_KEYS = _list_parameters(MistralLibraryRetriever.__init__) - {
    "self",
    "library_ids",
    "client",
    "api_key",
    "base_url",
}
_ENGINE_KEYS = _list_parameters(
    RetrieverQueryEngine.from_args,
    ContextChatEngine.from_defaults,
    CondenseQuestionChatEngine.from_defaults,
    CondensePlusContextChatEngine.from_defaults,
) - {"kwargs", "retriever", "query_engine"}
