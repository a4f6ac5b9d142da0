"""The library as function tools: an agent that calls them gets scored passages with pages."""

from __future__ import annotations

import json
from typing import Any

from llama_index.core.schema import NodeWithScore
from llama_index.core.tools.tool_spec.base import BaseToolSpec

from llama_index_mistral_agents.retriever import MistralLibraryRetriever


class MistralLibraryToolSpec(BaseToolSpec):
    """Functions `search_library`, `read_document` and `list_documents`.

    The service's own `document_library` tool gives an agent passages without scores and citations. An agent on the
    service that calls these functions instead stays there, while ranking happens here.

    Args:
        retriever: Searches.
        max_characters: Longest text that `read_document` gives at once.

    Examples:
        >>> tools = MistralLibraryToolSpec(retriever).to_tool_list()
    """

    spec_functions = [  # noqa: RUF012 - LlamaIndex declares it so
        ("search_library", "asearch_library"),
        ("read_document", "aread_document"),
        ("list_documents", "alist_documents"),
    ]

    def __init__(self, retriever: MistralLibraryRetriever, *, max_characters: int = 20_000) -> None:
        self._retriever = retriever
        self._limit = max_characters

    def search_library(self, query: str) -> str:
        """Search the documents; gives the best passages as JSON with document, page and score."""
        return _write_passages(self._retriever.retrieve(query))

    async def asearch_library(self, query: str) -> str:
        """Search the documents; gives the best passages as JSON with document, page and score."""
        return _write_passages(await self._retriever.aretrieve(query))

    def read_document(self, document_id: str, start: int = 0) -> str:
        """Read a document's text from a character offset on; `next_start` tells where to go on."""
        library_id = self._find_library(self._retriever.engine.current().documents, document_id)
        if library_id is None:
            return _refuse_unknown(document_id)
        return self._cut_part(self._retriever.client.libraries.text(library_id, document_id), start)

    async def aread_document(self, document_id: str, start: int = 0) -> str:
        """Read a document's text from a character offset on; `next_start` tells where to go on."""
        library_id = self._find_library((await self._retriever.engine.acurrent()).documents, document_id)
        if library_id is None:
            return _refuse_unknown(document_id)
        return self._cut_part(await self._retriever.client.libraries.atext(library_id, document_id), start)

    def list_documents(self) -> str:
        """List the documents as JSON: id, file name and attributes."""
        return _write_listing(self._retriever.engine.current().documents)

    async def alist_documents(self) -> str:
        """List the documents as JSON: id, file name and attributes."""
        return _write_listing((await self._retriever.engine.acurrent()).documents)

    @staticmethod
    def _find_library(documents: dict[str, Any], document_id: str) -> str | None:
        document = documents.get(document_id)
        return document.library_id if document is not None else None

    def _cut_part(self, text: str, start: int) -> str:
        begin = min(max(start, 0), len(text))
        end = min(begin + self._limit, len(text))
        return json.dumps({"text": text[begin:end], "next_start": end if end < len(text) else None}, ensure_ascii=False)


def _write_passages(nodes: list[NodeWithScore]) -> str:
    rows = [
        {
            "document_id": node.metadata["document_id"],
            "file_name": node.metadata.get("file_name"),
            "page": node.metadata.get("page_label"),
            "score": round(node.score, 4) if node.score is not None else None,
            "text": node.text,
        }
        for node in nodes
    ]
    return json.dumps(rows, ensure_ascii=False)


def _write_listing(documents: dict[str, Any]) -> str:
    rows = [
        {"document_id": key, "file_name": document.name, "attributes": document.attributes}
        for key, document in documents.items()
    ]
    return json.dumps(rows, ensure_ascii=False)


def _refuse_unknown(document_id: str) -> str:
    return json.dumps({"error": f"There is no document {document_id}; use an id that a search or the list gave."})
