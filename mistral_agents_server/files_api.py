"""The routes of /v1/files."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from mistral_agents_server.errors import invalid
from mistral_agents_server.file_store import HOUR, FileStore
from mistral_agents_server.paging import number_of, page_of, whole_number
from mistral_agents_server.signing import Signer, absolute
from mistral_agents_server.uploads import Upload, read_upload, uuid_in_path

PURPOSES = ("fine-tune", "batch", "ocr")
VISIBILITIES = ("workspace", "user")
_MAX_HOURS = 1_000_000
"""More than a century; without a bound the time of expiry would not fit into the database."""
_FILTERS = {"purpose": "purpose", "source": "source", "sample_type": "sample_type", "mimetypes": "mimetype"}


class FilesApi:
    """The routes of /v1/files, and the signed URLs of files.

    Args:
        store: where files are kept.
        signer: signs URLs.
    """

    def __init__(self, store: FileStore, signer: Signer) -> None:
        self._store = store
        self._signer = signer

    def routes(self) -> list[Route]:
        """The routes."""
        one = "/v1/files/{file_id}"
        return [
            Route("/v1/files", self.upload, methods=["POST"]),
            Route("/v1/files", self.list_page, methods=["GET"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/content", self.content, methods=["GET"]),
            Route(f"{one}/url", self.url, methods=["GET"]),
            Route("/signed/files/{file_id}", self.signed, methods=["GET"]),
        ]

    async def upload(self, request: Request) -> Response:
        """A new file; the service answers 200."""
        given = await read_upload(request)
        purpose = _one_of(given, "purpose", PURPOSES, "fine-tune")
        visibility = _one_of(given, "visibility", VISIBILITIES, "workspace")
        hours = _hours(given)
        made = await run_in_threadpool(self._store.upload, given.name, given.data, purpose, visibility, hours)
        return JSONResponse(made)

    async def list_page(self, request: Request) -> Response:
        """One page of files, newest first."""
        page, size = page_of(request, default_size=100, max_size=1000)
        query = request.query_params
        filters: dict[str, Sequence[str]] = {
            field: query.getlist(name) for name, field in _FILTERS.items() if name in query
        }
        found, total = await run_in_threadpool(self._store.page, page * size, size, filters, query.get("search"))
        counted = query.get("include_total", "true").lower() != "false"
        return JSONResponse({"data": found, "object": "list", "total": total if counted else None})

    async def get(self, request: Request) -> Response:
        """What is known of a file."""
        found = await run_in_threadpool(self._store.get, uuid_in_path(request, "file_id"))
        return JSONResponse({**found, "deleted": False})

    async def delete(self, request: Request) -> Response:
        """Forget a file."""
        file_id = uuid_in_path(request, "file_id")
        await run_in_threadpool(self._store.delete, file_id)
        return JSONResponse({"id": file_id, "object": "file", "deleted": True})

    async def content(self, request: Request) -> Response:
        """The bytes, under a type that says nothing: as on the service, look at the bytes."""
        file_id = uuid_in_path(request, "file_id")
        await run_in_threadpool(self._store.get, file_id)
        return FileResponse(self._store.blobs.path(file_id), media_type="application/octet-stream")

    async def url(self, request: Request) -> Response:
        """A signed URL, for 1 to 168 hours."""
        file_id = uuid_in_path(request, "file_id")
        hours = number_of(request, "expiry", 24, 1, 168)
        await run_in_threadpool(self._store.get, file_id)
        return JSONResponse({"url": absolute(request, self._signer.sign(f"files/{file_id}", hours * HOUR))})

    async def signed(self, request: Request) -> Response:
        """The bytes, by a signed URL, as what they are called."""
        self._signer.check(request)
        file_id = uuid_in_path(request, "file_id")
        found = await run_in_threadpool(self._store.get, file_id)
        return FileResponse(
            self._store.blobs.path(file_id),
            media_type=found["mimetype"],
            filename=found["filename"],
            headers={"content-security-policy": "sandbox", "x-content-type-options": "nosniff"},
        )


def _one_of(given: Upload, name: str, allowed: Sequence[str], default: str) -> str:
    value = given.fields.get(name, default)
    if value not in allowed:
        expected = ", ".join(map(repr, allowed))
        raise invalid(("body", name), "enum", f"Input should be {expected}", value)
    return value


def _hours(given: Upload) -> int | None:
    text = given.fields.get("expiry")
    if text is None:
        return None
    try:
        hours = whole_number(text)
    except ValueError as error:
        raise invalid(("body", "expiry"), "int_parsing", "Input should be a valid integer", text) from error
    if not 1 <= hours <= _MAX_HOURS:
        raise invalid(("body", "expiry"), "value_error", f"Input should be between 1 and {_MAX_HOURS} hours", text)
    return hours
