"""The routes of /v1/context/search-indexes: experimental."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mistral_agents_server.errors import invalid
from mistral_agents_server.paging import number_of, offset_of, token_for
from mistral_agents_server.search_index.models import (
    CreateIndex,
    DeleteDocuments,
    Grep,
    Ingest,
    Navigate,
    Read,
    Search,
    SetSummary,
    UpdateIndex,
)
from mistral_agents_server.search_index.store import IndexStore
from mistral_agents_server.wire import read_body

Wire = dict[str, Any]
LANGUAGES = ("en", "fr", "es", "de", "it", "pt_br", "pl", "ar", "nl")


class SearchIndexApi:
    """The routes of search indexes.

    Args:
        store: where indexes are kept.
    """

    def __init__(self, store: IndexStore) -> None:
        self._store = store

    def routes(self) -> list[Route]:
        """The routes."""
        base = "/v1/context/search-indexes"
        one = f"{base}/{{name}}"
        return [
            Route(base, self.create, methods=["POST"]),
            Route(base, self.list_page, methods=["GET"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.update, methods=["PUT"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/documents", self.ingest, methods=["POST"]),
            Route(f"{one}/documents", self.delete_documents, methods=["DELETE"]),
            Route(f"{one}/search", self.search, methods=["POST"]),
            Route(f"{one}/navigate", self.navigate, methods=["POST"]),
            Route(f"{one}/read", self.read, methods=["POST"]),
            Route(f"{one}/grep", self.grep, methods=["POST"]),
            Route(f"{one}/summary_field/{{language}}", self.summary, methods=["GET"]),
            Route(f"{one}/summary_field/{{language}}", self.set_summary, methods=["PUT"]),
            Route(f"{one}/summary_field/{{language}}", self.generate_summary, methods=["POST"]),
            Route(f"{one}/chunks/{{chunk_id}}", self.chunk, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        """A new index: 202, and where to look."""
        made = await run_in_threadpool(self._store.create, await read_body(request, CreateIndex))
        return JSONResponse(made, 202, {"location": f"/v1/context/search-indexes/{made['name']}"})

    async def list_page(self, request: Request) -> Response:
        """One page of indexes, by name."""
        query = request.query_params
        start, size = offset_of(query.get("page_token")), number_of(request, "page_size", 20, 1, 100)
        wanted = (query.get("name"), query.get("status"), query.get("creator_id"))
        found = await run_in_threadpool(self._store.list_all, *wanted)
        rest = token_for(start + size) if start + size < len(found) else None
        return JSONResponse({"data": found[start : start + size], "next_page_token": rest})

    async def get(self, request: Request) -> Response:
        """An index."""
        return JSONResponse(await run_in_threadpool(self._store.get, _name(request)))

    async def update(self, request: Request) -> Response:
        """More fields: 202."""
        body = await read_body(request, UpdateIndex)
        return JSONResponse(await run_in_threadpool(self._store.update, _name(request), body.fields), 202)

    async def delete(self, request: Request) -> Response:
        """Delete an index: 202."""
        return JSONResponse(await run_in_threadpool(self._store.delete, _name(request)), 202)

    async def ingest(self, request: Request) -> Response:
        """Take documents: 200, whatever becomes of each."""
        body = await read_body(request, Ingest)
        return JSONResponse(await run_in_threadpool(self._store.ingest, _name(request), body.documents))

    async def delete_documents(self, request: Request) -> Response:
        """Delete documents."""
        body = await read_body(request, DeleteDocuments)
        return JSONResponse(await run_in_threadpool(self._store.delete_documents, _name(request), body.document_ids))

    async def search(self, request: Request) -> Response:
        """Search an index."""
        body = await read_body(request, Search)
        name = _name(request)
        hits = await run_in_threadpool(lambda: self._store.searcher(name).search(body.retriever))
        return JSONResponse({"hits": hits})

    async def navigate(self, request: Request) -> Response:
        """The chunks beside a place of a source."""
        body = await read_body(request, Navigate)

        def beside(chunks: list[Wire]) -> list[Wire]:
            if body.direction == "next":
                return [chunk for chunk in chunks if chunk["start_offset"] >= body.end_offset][: body.top_k]
            return [chunk for chunk in chunks if chunk["start_offset"] < body.start_offset][-body.top_k :]

        return await self._walk(request, body.source_id, body.content_type, beside)

    async def read(self, request: Request) -> Response:
        """The chunks of a source between two places."""
        body = await read_body(request, Read)
        first = body.start_offset if body.start_offset is not None else 0
        last = body.end_offset if body.end_offset is not None else 2**62

        def between(chunks: list[Wire]) -> list[Wire]:
            found = [c for c in chunks if c["start_offset"] >= first and (c["end_offset"] or c["start_offset"]) <= last]
            return found[: body.top_k]

        return await self._walk(request, body.source_id, body.content_type, between)

    async def grep(self, request: Request) -> Response:
        """The chunks of a source that hold a pattern."""
        body = await read_body(request, Grep)
        parts = [body.pattern.lower()] if body.mode == "phrase" else body.pattern.lower().split()

        def holding(chunks: list[Wire]) -> list[Wire]:
            found = [chunk for chunk in chunks if all(part in chunk["content"].lower() for part in parts)]
            return found[: body.top_k]

        return await self._walk(request, body.source_id, body.content_type, holding)

    async def summary(self, request: Request) -> Response:
        """What an index holds, in words."""
        return JSONResponse(await run_in_threadpool(self._store.summary, _name(request), _language(request)))

    async def set_summary(self, request: Request) -> Response:
        """Set it."""
        body, language = await read_body(request, SetSummary), _language(request)
        await run_in_threadpool(self._store.set_summary, _name(request), language, body.model_dump())
        return JSONResponse(None)

    async def generate_summary(self, request: Request) -> Response:
        """Have it written: a line of facts, then lines of text."""
        force, language = request.query_params.get("force", "").lower() == "true", _language(request)
        made = await run_in_threadpool(lambda: self._store.generate_summary(_name(request), language, force=force))
        facts = {name: made[name] for name in ("status", "translated")}
        pieces = re.findall(r"\S+\s*", made["content"])
        lines = [facts, *({"content": piece} for piece in pieces)]
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
        return Response(text, media_type="application/x-ndjson")

    async def chunk(self, request: Request) -> Response:
        """One chunk."""
        found = await run_in_threadpool(self._store.chunk, _name(request), str(request.path_params["chunk_id"]))
        return JSONResponse({"chunks": [found]})

    async def _walk(
        self, request: Request, source_id: str, content_type: str, choose: Callable[[list[Wire]], list[Wire]]
    ) -> Response:
        chunks = await run_in_threadpool(self._store.source, _name(request), source_id, content_type)
        return JSONResponse({"chunks": choose(chunks)})


def _language(request: Request) -> str:
    language = str(request.path_params["language"])
    if language not in LANGUAGES:
        raise invalid(("path", "language"), "enum", f"Input should be one of {', '.join(LANGUAGES)}", language)
    return language


def _name(request: Request) -> str:
    return str(request.path_params["name"])
