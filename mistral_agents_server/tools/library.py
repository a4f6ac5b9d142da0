"""The document library: search, list and open."""

from __future__ import annotations

import html
import json
import threading
from collections import OrderedDict
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from mistral_agents.retrieval.analysis import title_of
from mistral_agents_server.documents import Passage
from mistral_agents_server.errors import ApiError
from mistral_agents_server.libraries import LibraryStore
from mistral_agents_server.ranking import Ranker, Source
from mistral_agents_server.tools.calls import HostedFunction
from mistral_agents_server.tools.results import ToolError, ToolResult, text_items
from mistral_agents_server.tools.search_results import hit, keyed, opened

Wire = dict[str, Any]

MAX_HITS = 10
_RANKERS_KEPT = 8
_SOURCE = "library_search"


class Query(BaseModel):
    """Arguments of `library_search`."""

    query: str = Field(min_length=1, description="What to look for.")
    document_ids: list[UUID] | None = Field(None, description="Look only in these documents.")


class NamePart(BaseModel):
    """Arguments of `library_list_documents`."""

    document_name_contains: str = Field("", description="A part of the name, in any case.")


class Place(BaseModel):
    """Arguments of `open_library_result`."""

    document_id: UUID = Field(description="The url of a search result.")
    relevant_snippet_positions_in_text: str = Field("", description="As the search result gives it.")


class _Shelf:
    """The searchable passages of some documents."""

    def __init__(self, documents: list[tuple[Wire, Wire, list[Passage]]]) -> None:
        self.flat = [(library, document, passage) for library, document, found in documents for passage in found]
        sources = [
            Source(title_of(document["name"], found[0].text if found else ""), [passage.text for passage in found])
            for _, document, found in documents
        ]
        self.ranker = Ranker(sources)


class DocumentLibrary:
    """Searches the documents of the libraries that a tool declares.

    Args:
        libraries: where they are kept.
    """

    def __init__(self, libraries: LibraryStore) -> None:
        self._libraries = libraries
        self._shelves: OrderedDict[tuple[Any, ...], _Shelf] = OrderedDict()
        self._lock = threading.Lock()

    def functions(self) -> list[HostedFunction[Any]]:
        """The functions it offers."""
        listing, opening = "library_list_documents", "open_library_result"
        return [
            HostedFunction("library_search", "Find passages in the user's documents.", Query, self._search),
            HostedFunction(
                listing, "List the user's documents.", NamePart, self._list, "document_library_mcp", listing
            ),
            HostedFunction(
                opening, "Read more of a document that a search found.", Place, self._open, opening, opening
            ),
        ]

    def _search(self, arguments: Query, tool: Wire) -> ToolResult:
        only = [str(document_id) for document_id in arguments.document_ids] if arguments.document_ids else None
        shelf = self._shelf(tool["library_ids"], only)
        hits = []
        for rank, number in enumerate(shelf.ranker.search(arguments.query, MAX_HITS)):
            library, document, passage = shelf.flat[number]
            description = html.escape(document["summary"])
            metadata = {
                "relevant_pages": [passage.page],
                "relevant_snippet_positions_in_text": str(passage.position),
                "library_id": library["id"],
                "library_name": library["name"],
            }
            snippets = [passage.text, description, document["name"]]
            shown = (document["id"], document["name"], description, snippets)
            hits.append(hit(*shown, rank=rank, source=_SOURCE, metadata=metadata))
        return ToolResult({"result": keyed(hits)})

    def _list(self, arguments: NamePart, tool: Wire) -> ToolResult:
        wanted = arguments.document_name_contains.lower()
        found = [
            {
                "document_id": document["id"],
                "name": document["name"],
                "library_id": library["id"],
                "summary": document["summary"],
                "number_of_pages": document["number_of_pages"],
            }
            for library, document in self._documents(tool["library_ids"])
            if wanted in document["name"].lower()
        ]
        return ToolResult({"result": text_items(json.dumps(found))})

    def _open(self, arguments: Place, tool: Wire) -> ToolResult:
        wanted = str(arguments.document_id)
        found = next((d for _, d in self._documents(tool["library_ids"]) if d["id"] == wanted), None)
        if found is None:
            raise ToolError(f"Document {wanted} not found")
        content = self._around(wanted, arguments.relevant_snippet_positions_in_text)
        more: Wire = {"description": None, "date": None, "metadata": {}}
        text = opened(wanted, found["name"], content, can_open=False, source=_SOURCE, **more)
        return ToolResult({"result": text_items(text)})

    def _around(self, document_id: str, positions: str) -> str:
        """The pages on which the given passages stand; all of the text when none is given."""
        numbers = {int(part) for part in positions.replace(",", " ").split() if part.isdecimal() and len(part) < 19}
        passages = self._libraries.documents.passages(document_id)
        pages = sorted({passage.page for passage in passages if passage.position in numbers})
        texts = self._libraries.documents.pages(document_id)
        return "\n\n".join(texts[page] for page in pages) if pages else "\n\n".join(texts)

    def _documents(self, library_ids: list[str]) -> list[tuple[Wire, Wire]]:
        """The documents that are ready, with their libraries."""
        found = []
        for library_id in library_ids:
            try:
                library = self._libraries.get(library_id)
            except ApiError as error:
                raise ToolError(str(error.body.get("message", error.body))) from error
            documents = self._libraries.documents.list_all(library_id)
            found += [(library, document) for document in documents if document["process_status"] == "done"]
        return found

    def _shelf(self, library_ids: list[str], only: list[str] | None) -> _Shelf:
        """The index of some documents; kept until any document changes."""
        key = (self._libraries.documents.version, tuple(library_ids), tuple(only) if only is not None else None)
        with self._lock:
            if key not in self._shelves:
                documents = self._documents(library_ids)
                chosen = [(lib, doc) for lib, doc in documents if only is None or doc["id"] in only]
                read = [(lib, doc, self._libraries.documents.passages(doc["id"])) for lib, doc in chosen]
                self._shelves[key] = _Shelf(read)
            self._shelves.move_to_end(key)
            while len(self._shelves) > _RANKERS_KEPT:
                self._shelves.popitem(last=False)
            return self._shelves[key]
