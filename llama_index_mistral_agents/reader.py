"""`MistralLibraryReader`: a library's texts as LlamaIndex documents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.readers.base import BasePydanticReader, ResourcesReaderMixin
from llama_index.core.schema import Document
from typing_extensions import Unpack

from llama_index_mistral_agents._nodes import dress
from llama_index_mistral_agents._settings import Dumped, check_further_names
from mistral_agents._api.arguments import uuid_text
from mistral_agents._api.records import Document as Record
from mistral_agents._http.concealed import conceal_text, drop_credentials
from mistral_agents._warnings import warn_user
from mistral_agents.client import MistralAgents, choose_client
from mistral_agents.errors import NotFoundError
from mistral_agents.retrieval.documents import LibraryDocument


class MistralLibraryReader(BasePydanticReader, ResourcesReaderMixin):
    """Reads the documents of a library; those still being processed, failed, or deleted meanwhile are left out.

    Args:
        library_id: The library.
        client: The client; else one is made of `api_key` and `base_url`.
        api_key: The key; None reads MISTRAL_API_KEY.
        base_url: The service's address; None reads MISTRAL_BASE_URL.

    Examples:
        >>> documents = MistralLibraryReader(library_id).load_data()
    """

    is_remote: bool = True
    library_id: str = Field(description="The library.")
    base_url: str | None = Field(default=None, description="The service's address.")
    _client: MistralAgents = PrivateAttr()

    def __init__(
        self,
        library_id: str,
        *,
        client: MistralAgents | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        **further: Unpack[Dumped],
    ) -> None:
        api_key, base_url = conceal_text(api_key), conceal_text(base_url)
        check_further_names(type(self), further)
        shown = drop_credentials(base_url) if base_url is not None else None
        fields: dict[str, Any] = {"library_id": uuid_text("library_id", library_id), "base_url": shown}
        super().__init__(**fields)
        self._client = choose_client(client, api_key=api_key, base_url=base_url)

    @classmethod
    def class_name(cls) -> str:
        """The class's name."""
        return "MistralLibraryReader"

    @property
    def client(self) -> MistralAgents:
        """The client; a dict of the reader holds neither it nor the key."""
        return self._client

    # documents -------------------------------------------------------------------------------------------------

    def lazy_load_data(self, document_ids: Sequence[str] | None = None) -> Iterator[Document]:
        """Documents one by one; None takes all of the library. A warning names those that were asked for and left out.

        Args:
            document_ids: The library's ids, or those of the LlamaIndex documents that they were made of.
        """
        records = list(self.client.libraries.documents(self.library_id))  # first: pages shift while texts are read
        for document in _choose_documents(self.library_id, records, document_ids):
            try:
                text = self.client.libraries.text(self.library_id, document.document_id)
            except NotFoundError:  # somebody deleted it since it was listed; or the library, which is told then
                next(self.client.libraries.documents(self.library_id, page_size=1), None)
                continue
            yield _convert_document(document, text)

    async def astream_data(self, document_ids: Sequence[str] | None = None) -> AsyncIterator[Document]:
        """As `lazy_load_data`, without blocking."""
        records = [record async for record in self.client.libraries.adocuments(self.library_id)]
        for document in _choose_documents(self.library_id, records, document_ids):
            try:
                text = await self.client.libraries.atext(self.library_id, document.document_id)
            except NotFoundError:
                await anext(aiter(self.client.libraries.adocuments(self.library_id, page_size=1)), None)
                continue
            yield _convert_document(document, text)

    async def aload_data(self, document_ids: Sequence[str] | None = None) -> list[Document]:
        """As `load_data`, without blocking."""
        return [document async for document in self.astream_data(document_ids)]

    # resources -------------------------------------------------------------------------------------------------

    def list_resources(self, *_: object, **__: object) -> list[str]:
        """The ids of the library's documents."""
        return [str(record["id"]) for record in self.client.libraries.documents(self.library_id)]

    def get_resource_info(self, resource_id: str, *_: object, **__: object) -> dict[str, Any]:
        """What the service tells of a document."""
        return dict(self.client.libraries.document(self.library_id, resource_id))

    def load_resource(self, resource_id: str, *_: object, **__: object) -> list[Document]:
        """One document."""
        record = self.client.libraries.document(self.library_id, resource_id)
        text = self.client.libraries.text(self.library_id, resource_id)
        return [_convert_document(LibraryDocument.from_record(self.library_id, record), text)]

    def get_permission_info(self, resource_id: str, *_: object, **__: object) -> dict[str, Any]:  # noqa: ARG002
        """Who may read: rights are those of the library, the same for all of its documents."""
        return {"library_id": self.library_id, "accesses": [dict(one) for one in self._list_accesses()]}

    def _list_accesses(self) -> list[Any]:
        return list(self.client.libraries.list_accesses(self.library_id))


def _choose_documents(library_id: str, records: Sequence[Record], ids: Sequence[str] | None) -> list[LibraryDocument]:
    """The documents that are ready, of those that are wanted."""
    listed = [LibraryDocument.from_record(library_id, record) for record in records]
    ready = [document for document in listed if document.state == "ready"]
    if ids is None:
        return ready
    wanted = dict.fromkeys([ids] if isinstance(ids, str) else ids)
    if missing := wanted.keys() - {key for document in ready for key in (document.document_id, document.ref_id)}:
        named = ", ".join(repr(key) for key in wanted if key in missing)
        warn_user(f"Not loaded, since they are not in library {library_id}, or not processed: {named}.")
    return [document for document in ready if document.document_id in wanted or document.ref_id in wanted]


def _convert_document(document: LibraryDocument, text: str) -> Document:
    made = Document(id_=document.ref_id, text=text, metadata=document.metadata())
    dress(made, document)
    return made
