"""The routes of /v1/libraries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from mistral_agents_server.errors import invalid
from mistral_agents_server.libraries import LibraryStore
from mistral_agents_server.paging import number_of, offset_of, page_of, token_for
from mistral_agents_server.quota import QuotaBook
from mistral_agents_server.signing import Signer, absolute
from mistral_agents_server.strict_json import read_json
from mistral_agents_server.uploads import read_upload, uuid_in_path
from mistral_agents_server.wire import read_body, wire

Wire = dict[str, Any]
Attribute = bool | int | float | str | list[bool] | list[int] | list[float] | list[str]

_SIGNED_SECONDS = 30 * 60
_SORTED_BY = ("created_at", "name", "size", "last_processed_at", "number_of_pages", "process_status", "id")


class CreateLibrary(BaseModel):
    """POST /v1/libraries."""

    name: str = Field(min_length=1)
    description: str | None = None
    chunk_size: int | None = Field(None, ge=256, le=32768)
    owner_type: Literal["User", "Workspace"] | None = None


class UpdateLibrary(BaseModel):
    """PUT and PATCH /v1/libraries/{id}."""

    name: str = Field("", min_length=1)
    description: str | None = None


class UpdateDocument(BaseModel):
    """PUT and PATCH /v1/libraries/{id}/documents/{id}."""

    name: str = Field("", min_length=1)
    attributes: dict[str, Attribute] | None = None
    expires_at: datetime | None = None


class Entity(BaseModel):
    """DELETE /v1/libraries/{id}/share."""

    org_id: UUID | None = None
    share_with_uuid: UUID
    share_with_type: Literal["User", "Workspace", "Org"]


class Share(Entity):
    """PUT /v1/libraries/{id}/share."""

    level: Literal["Viewer", "Editor"]


def _pagination(total: int, page: int, size: int) -> Wire:
    return {
        "total_items": total,
        "total_pages": -(-total // size),
        "current_page": page,
        "page_size": size,
        "has_more": (page + 1) * size < total,
    }


class LibrariesApi:
    """The routes of /v1/libraries, and the signed URLs of documents.

    Args:
        store: where libraries are kept.
        signer: signs URLs.
        quota: counts uploads.
    """

    def __init__(self, store: LibraryStore, signer: Signer, quota: QuotaBook) -> None:
        self._store = store
        self._documents = store.documents
        self._signer = signer
        self._quota = quota

    def routes(self) -> list[Route]:
        """The routes."""
        one = "/v1/libraries/{library_id}"
        document = f"{one}/documents/{{document_id}}"
        return [
            Route("/v1/libraries", self.create, methods=["POST"]),
            Route("/v1/libraries", self.list_page, methods=["GET"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.update, methods=["PUT", "PATCH"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/share", self.shares, methods=["GET"]),
            Route(f"{one}/share", self.share, methods=["PUT"]),
            Route(f"{one}/share", self.unshare, methods=["DELETE"]),
            Route(f"{one}/documents", self.upload, methods=["POST"]),
            Route(f"{one}/documents", self.list_documents, methods=["GET"]),
            Route(document, self.document, methods=["GET"]),
            Route(document, self.update_document, methods=["PUT", "PATCH"]),
            Route(document, self.delete_document, methods=["DELETE"]),
            Route(f"{document}/status", self.status, methods=["GET"]),
            Route(f"{document}/text_content", self.text, methods=["GET"]),
            Route(f"{document}/reprocess", self.reprocess, methods=["POST"]),
            Route(f"{document}/signed-url", self.signed_url, methods=["GET"]),
            Route(f"{document}/extracted-text-signed-url", self.signed_text_url, methods=["GET"]),
            Route("/signed/libraries/{library_id}/{document_id}", self.signed, methods=["GET"]),
            Route("/signed/libraries/{library_id}/{document_id}/text", self.signed_text, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        """A new library: 201."""
        body = await read_body(request, CreateLibrary)
        owner = body.owner_type if body.owner_type is not None else "Workspace"
        made = await run_in_threadpool(self._store.create, body.name, body.description, body.chunk_size, owner)
        return JSONResponse(made, 201)

    async def list_page(self, request: Request) -> Response:
        """One page of libraries; `pagination` is filled only for those who ask by `page`."""
        size = number_of(request, "page_size", 100, 1, 100)
        token = request.query_params.get("page_token")
        page = number_of(request, "page", 0, 0)
        start = offset_of(token) if token is not None else page * size
        found = await run_in_threadpool(self._store.list_all, request.query_params.get("search"))
        rest = token_for(start + size) if start + size < len(found) else None
        by_page = token is None and "page" in request.query_params
        pagination = _pagination(len(found), page, size) if by_page else None
        return JSONResponse({"pagination": pagination, "data": found[start : start + size], "next_page_token": rest})

    async def get(self, request: Request) -> Response:
        """A library."""
        return JSONResponse(await self._library(request))

    async def update(self, request: Request) -> Response:
        """Change name and description."""
        library_id = uuid_in_path(request, "library_id")
        changes = wire(await read_body(request, UpdateLibrary))
        return JSONResponse(await run_in_threadpool(self._store.update, library_id, changes))

    async def delete(self, request: Request) -> Response:
        """Delete a library with its documents; 200 with its last state, as the service still answers."""
        return JSONResponse(await run_in_threadpool(self._store.delete, uuid_in_path(request, "library_id")))

    async def shares(self, request: Request) -> Response:
        """Who has access."""
        found = await run_in_threadpool(self._store.shares, uuid_in_path(request, "library_id"))
        return JSONResponse({"data": found})

    async def share(self, request: Request) -> Response:
        """Give access. Nothing here depends on it: there is one workspace."""
        library_id = uuid_in_path(request, "library_id")
        body = await read_body(request, Share)
        entity = (body.share_with_type, str(body.share_with_uuid))
        return JSONResponse(await run_in_threadpool(self._store.share, library_id, *entity, body.level))

    async def unshare(self, request: Request) -> Response:
        """Take access away; 200 with what it was, as the service still answers."""
        library_id = uuid_in_path(request, "library_id")
        body = await read_body(request, Entity)
        entity = (body.share_with_type, str(body.share_with_uuid))
        return JSONResponse(await run_in_threadpool(self._store.unshare, library_id, *entity))

    async def upload(self, request: Request) -> Response:
        """A new document: 201; 200 with the old one when the library has the same bytes already."""
        library = await self._library(request)
        self._quota.require(["document"])
        given = await read_upload(request)
        document, new = await run_in_threadpool(self._documents.upload, library, given.name, given.data)
        self._quota.count("document")
        return JSONResponse(document, 201 if new else 200, self._quota.headers(["document"]))

    async def list_documents(self, request: Request) -> Response:
        """One page of documents."""
        library = await self._library(request)
        page, size = page_of(request, default_size=100, max_size=100)
        found = await run_in_threadpool(self._documents.list_all, library["id"])
        wanted, attributes = request.query_params.get("search", "").lower(), _attribute_filter(request)
        named = [document for document in found if wanted in document["name"].lower()]
        kept = _sorted(request, [document for document in named if _has_attributes(document, attributes)])
        data = kept[page * size : (page + 1) * size]
        return JSONResponse({"pagination": _pagination(len(kept), page, size), "data": data})

    async def document(self, request: Request) -> Response:
        """A document."""
        return JSONResponse(await self._document(request))

    async def update_document(self, request: Request) -> Response:
        """Change name, attributes and expiry; an attribute set replaces the old one."""
        document = await self._document(request)
        body = await read_body(request, UpdateDocument)
        changes = wire(body)
        if "expires_at" in changes:
            changes["expires_at"] = _moment(body.expires_at)
        change: Callable[..., Wire] = self._documents.update
        return JSONResponse(await run_in_threadpool(change, document["library_id"], document["id"], changes))

    async def delete_document(self, request: Request) -> Response:
        """Forget a document: 204."""
        document = await self._document(request)
        await run_in_threadpool(self._documents.delete, document["library_id"], document["id"])
        return Response(status_code=204)

    async def status(self, request: Request) -> Response:
        """How far a document is."""
        document = await self._document(request)
        return JSONResponse(
            {
                "document_id": document["id"],
                "process_status": document["process_status"],
                "processing_status": document["processing_status"],
            }
        )

    async def text(self, request: Request) -> Response:
        """A document's text, all of it or pages `page_start` to `page_end`, counted from 0, both included.

        How the service counts them is not known.
        """
        document = await self._document(request)
        first = number_of(request, "page_start", 0, 0)
        last = number_of(request, "page_end", 2**31, 0)
        pages = await run_in_threadpool(self._documents.pages, document["id"], first, last)
        return JSONResponse({"text": "\n\n".join(pages)})

    async def reprocess(self, request: Request) -> Response:
        """Read a document again: 204."""
        document = await self._document(request)
        await run_in_threadpool(self._documents.reprocess, document["library_id"], document["id"])
        return Response(status_code=204)

    async def signed_url(self, request: Request) -> Response:
        """A bare JSON string: where the file can be had for half an hour."""
        return await self._signed_link(request, "")

    async def signed_text_url(self, request: Request) -> Response:
        """A bare JSON string: where the text can be had for half an hour."""
        return await self._signed_link(request, "/text")

    async def signed(self, request: Request) -> Response:
        """The file, by its signed URL."""
        self._signer.check(request)
        document = await self._document(request)
        return FileResponse(
            self._documents.blobs.path(document["id"]),
            media_type=document["mime_type"],
            filename=document["name"],
            headers={"content-security-policy": "sandbox", "x-content-type-options": "nosniff"},
        )

    async def signed_text(self, request: Request) -> Response:
        """The text, by its signed URL."""
        self._signer.check(request)
        document = await self._document(request)
        pages = await run_in_threadpool(self._documents.pages, document["id"])
        return PlainTextResponse("\n\n".join(pages))

    async def _signed_link(self, request: Request, suffix: str) -> Response:
        document = await self._document(request)
        place = f"libraries/{document['library_id']}/{document['id']}{suffix}"
        return JSONResponse(absolute(request, self._signer.sign(place, _SIGNED_SECONDS)))

    async def _library(self, request: Request) -> Wire:
        return await run_in_threadpool(self._store.get, uuid_in_path(request, "library_id"))

    async def _document(self, request: Request) -> Wire:
        library_id, document_id = uuid_in_path(request, "library_id"), uuid_in_path(request, "document_id")
        await run_in_threadpool(self._store.get, library_id)
        return await run_in_threadpool(self._documents.get, library_id, document_id)


def _attribute_filter(request: Request) -> Wire:
    """`filters_attributes`: a JSON object. How the service reads it is not known; see `_has_attributes`.

    Raises:
        ApiError: 422 when it is something else.
    """
    text = request.query_params.get("filters_attributes")
    if text is None:
        return {}
    where = ("query", "filters_attributes")
    try:
        parsed = read_json(text)
    except ValueError as error:
        raise invalid(where, "json_invalid", "filters_attributes must be JSON", text) from error
    if not isinstance(parsed, dict):
        raise invalid(where, "dict_type", "Input should be a valid dictionary", parsed)
    return parsed


def _has_attributes(document: Wire, wanted: Wire) -> bool:
    """Whether each wanted attribute is there with this value; of lists, on either side, one in common is enough."""
    kept = document["attributes"] or {}
    return all(name in kept and _overlaps(kept[name], value) for name, value in wanted.items())


def _overlaps(kept: Any, wanted: Any) -> bool:
    kept_values, wanted_values = (one if isinstance(one, list) else [one] for one in (kept, wanted))
    return any(type(a) is type(b) and a == b for a in kept_values for b in wanted_values)


def _sorted(request: Request, documents: list[Wire]) -> list[Wire]:
    """The documents in the order of `sort_by` and `sort_order`; what has no value comes last."""
    field = request.query_params.get("sort_by", "created_at")
    order = request.query_params.get("sort_order", "desc")
    if field not in _SORTED_BY:
        raise invalid(("query", "sort_by"), "enum", f"Input should be one of {', '.join(_SORTED_BY)}", field)
    if order not in ("asc", "desc"):
        raise invalid(("query", "sort_order"), "enum", "Input should be 'asc' or 'desc'", order)
    known = [document for document in documents if document[field] is not None]
    unknown = [document for document in documents if document[field] is None]
    return [*sorted(known, key=lambda document: document[field], reverse=order == "desc"), *unknown]


def _moment(given: datetime | None) -> str | None:
    """A moment as it is kept: UTC. One without a zone is taken as UTC."""
    if given is None:
        return None
    aware = given if given.tzinfo is not None else given.replace(tzinfo=timezone.utc)
    return aware.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
