"""The routes of /v1/batch/jobs, and the running of jobs.

Each line of a job is a request to this server itself, made inside the process, so that it is checked and answered as
one that comes from outside.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message

from mistral_agents_server import ids
from mistral_agents_server.batch_store import RUNNING, BatchStore
from mistral_agents_server.conversations_api import owner_of
from mistral_agents_server.errors import bad_request, invalid
from mistral_agents_server.file_store import FileStore
from mistral_agents_server.paging import has_metadata, metadata_filter, page_of
from mistral_agents_server.strict_json import read_json
from mistral_agents_server.wire import read_body

Wire = dict[str, Any]

_log = logging.getLogger(__name__)

_HOUR = 3600
_MOST_HOURS = 24 * 7


class BatchLine(BaseModel):
    """One request of a job."""

    model_config = ConfigDict(extra="forbid")
    custom_id: str | None = None
    body: dict[str, Any]


class CreateBatch(BaseModel):
    """POST /v1/batch/jobs. Of the service's endpoints those that are served here."""

    model_config = ConfigDict(extra="forbid")
    endpoint: Literal["/v1/conversations", "/v1/chat/completions", "/v1/embeddings"]
    input_files: list[str] | None = None
    requests: list[BatchLine] | None = Field(None, min_length=1)
    model: str | None = None
    agent_id: str | None = None
    metadata: dict[str, str] | None = None
    timeout_hours: int = Field(24, ge=1, le=_MOST_HOURS)


@dataclass(slots=True)
class _Outcome:
    """What became of one line."""

    custom_id: str
    status: int
    body: Any

    @property
    def failed(self) -> bool:
        """Whether it was refused or failed."""
        return self.status >= 400

    def wire(self) -> Wire:
        """As a line of a file of results or errors."""
        response = {"status_code": self.status, "body": self.body}
        error = {"message": _reason(self.body)} if self.failed else None
        return {"id": ids.uuid4_str(), "custom_id": self.custom_id, "response": response, "error": error}


def _reason(body: Any) -> str:
    if isinstance(body, dict):
        return str(body.get("message") or body.get("detail") or body.get("error") or body)
    return str(body)


class BatchApi:
    """The routes of /v1/batch/jobs.

    Args:
        store: where jobs are kept.
        files: where their inputs and outputs are.
    """

    def __init__(self, store: BatchStore, files: FileStore) -> None:
        self._store = store
        self._files = files
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        """The routes."""
        one = "/v1/batch/jobs/{job_id}"
        return [
            Route("/v1/batch/jobs", self.create, methods=["POST"]),
            Route("/v1/batch/jobs", self.list_page, methods=["GET"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/cancel", self.cancel, methods=["POST"]),
        ]

    async def close(self) -> None:
        """Stop what runs; those jobs have failed at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def create(self, request: Request) -> Response:
        """A new job, which begins at once."""
        body = await read_body(request, CreateBatch)
        if bool(body.input_files) == bool(body.requests):
            raise invalid(("body",), "value_error", "Exactly one of 'input_files' and 'requests' is required")
        texts = [await run_in_threadpool(self._files.content, file_id) for file_id in body.input_files or []]
        given = {
            "endpoint": body.endpoint,
            "input_files": body.input_files or [],
            "model": body.model,
            "agent_id": body.agent_id,
            "metadata": body.metadata,
        }
        job = await run_in_threadpool(self._store.create, owner_of(request), given)
        runner = _Runner(self._store, self._files, request, job, time.monotonic() + body.timeout_hours * _HOUR)
        task = asyncio.create_task(runner.run(texts, body.requests or []))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return JSONResponse(job)

    async def list_page(self, request: Request) -> Response:
        """One page of jobs, newest first unless `order_by` is `created`."""
        page, size = page_of(request, default_size=100, max_size=1000)
        query = request.query_params
        order = query.get("order_by", "-created")
        if order not in ("created", "-created"):
            raise invalid(("query", "order_by"), "enum", "Input should be 'created' or '-created'", order)
        after, statuses, metadata = _after(request), query.getlist("status"), metadata_filter(request)
        found = [
            job
            for job in await run_in_threadpool(self._store.all, owner_of(request))
            if (not statuses or job["status"] in statuses)
            and job["created_at"] >= after
            and all(job[name] == query[name] for name in ("model", "agent_id") if name in query)
            and has_metadata(job, metadata)
        ]
        ordered = found if order == "created" else found[::-1]
        shown = [{**job, "outputs": None} for job in ordered[page * size : (page + 1) * size]]
        return JSONResponse({"object": "list", "data": shown, "total": len(found)})

    async def get(self, request: Request) -> Response:
        """One job; with `inline=true` its results too."""
        job = await self._found(request)
        if request.query_params.get("inline", "").lower() == "true" and job["output_file"] is not None:
            lines = (await run_in_threadpool(self._files.content, job["output_file"])).decode().split("\n")
            job["outputs"] = [json.loads(line) for line in lines if line]
        return JSONResponse(job)

    async def cancel(self, request: Request) -> Response:
        """Ask for an end: what was answered is kept."""
        job = await self._found(request)
        changed = await run_in_threadpool(
            lambda: self._store.change(job["id"], lambda now: now["status"] in RUNNING, status="CANCELLATION_REQUESTED")
        )
        return JSONResponse(changed if changed is not None else await self._found(request))

    async def delete(self, request: Request) -> Response:
        """Forget a job that has ended; its files stay."""
        job = await self._found(request)
        if job["status"] in RUNNING:
            raise bad_request(f"Batch job {job['id']} is running: cancel it first")
        await run_in_threadpool(self._store.delete, job["id"])
        return JSONResponse({"id": job["id"], "object": "batch", "deleted": True})

    async def _found(self, request: Request) -> Wire:
        return await run_in_threadpool(self._store.get, request.path_params["job_id"], owner_of(request))


def _after(request: Request) -> float:
    text = request.query_params.get("created_after")
    if text is None:
        return 0.0
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise invalid(
            ("query", "created_after"), "datetime_parsing", "Input should be a valid datetime", text
        ) from error
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)).timestamp()


class _Runner:
    """Runs one job.

    Args:
        store: where the job is kept.
        files: where its results go.
        request: the request that made it; its key and address serve the lines too.
        job: the job.
        deadline: when it has to end, by the monotonic clock.
    """

    def __init__(self, store: BatchStore, files: FileStore, request: Request, job: Wire, deadline: float) -> None:
        self._store = store
        self._files = files
        self._app: ASGIApp = request.app
        self._headers = [(b"host", request.headers["host"].encode()), (b"content-type", b"application/json")]
        self._headers.append((b"authorization", request.headers["authorization"].encode()))
        self._server = request.scope.get("server")
        self._job = job
        self._deadline = deadline

    async def run(self, texts: Sequence[bytes], requests: Sequence[BatchLine]) -> None:
        """Run the job to its end, whatever happens."""
        try:
            await self._run(texts, requests)
        except Exception:  # noqa: BLE001 (nobody waits for this task; the job says that it failed)
            _log.exception("the batch job %s failed", self._job["id"])
            errors = [{"message": "Internal Server Error", "count": 1}]
            await self._change(status="FAILED", errors=errors, completed_at=int(time.time()))

    async def _run(self, texts: Sequence[bytes], requests: Sequence[BatchLine]) -> None:
        """Run all lines one after the other, and keep what they gave."""
        lines, faults = _read_lines(texts) if texts else _number(requests)
        if faults:
            errors = [{"message": fault, "count": 1} for fault in faults]
            await self._change(status="FAILED", errors=errors, completed_at=int(time.time()))
            return
        await self._change(started_at=int(time.time()), total_requests=len(lines))
        await run_in_threadpool(
            lambda: self._store.change(self._job["id"], lambda job: job["status"] == "QUEUED", status="RUNNING")
        )
        outcomes: list[_Outcome] = []
        status = "SUCCESS"
        for line in lines:
            stop = await self._reason_to_stop()
            if stop is not None:
                status = stop
                break
            outcomes.append(await self._ask(line))
            failed = sum(outcome.failed for outcome in outcomes)
            done = len(outcomes)
            await self._change(completed_requests=done, succeeded_requests=done - failed, failed_requests=failed)
        await self._finish(outcomes, status)

    async def _change(self, **fields: Any) -> Wire | None:
        return await run_in_threadpool(lambda: self._store.change(self._job["id"], **fields))

    async def _reason_to_stop(self) -> str | None:
        job = await self._change()
        if job is None or job["status"] == "CANCELLATION_REQUESTED":
            return "CANCELLED"
        return "TIMEOUT_EXCEEDED" if time.monotonic() >= self._deadline else None

    async def _finish(self, outcomes: Sequence[_Outcome], status: str) -> None:
        def keep() -> None:
            files: Wire = {}
            for name, kind, failed in (("output_file", "batch_result", False), ("error_file", "batch_error", True)):
                lines = [json.dumps(one.wire(), ensure_ascii=False) for one in outcomes if one.failed is failed]
                if lines:
                    data = "".join(f"{line}\n" for line in lines).encode()
                    files[name] = self._files.keep_batch(f"{self._job['id']}_{kind}.jsonl", data, kind)
            self._store.change(self._job["id"], status=status, completed_at=int(time.time()), **files)

        await run_in_threadpool(keep)

    async def _ask(self, line: BatchLine) -> _Outcome:
        body = dict(line.body)
        custom_id = line.custom_id if line.custom_id is not None else ""
        if body.get("stream"):
            return _Outcome(custom_id, 422, {"object": "Error", "message": "A batch can't stream: leave out 'stream'"})
        if self._job["model"] is not None and "agent_id" not in body:
            body.setdefault("model", self._job["model"])
        if self._job["agent_id"] is not None and "model" not in body:
            body.setdefault("agent_id", self._job["agent_id"])
        try:
            return _Outcome(custom_id, *await self._call(json.dumps(body).encode()))
        except Exception:  # noqa: BLE001 (a request that fails in any way is an error of its line)
            _log.exception("a request of the batch job %s failed", self._job["id"])
            return _Outcome(custom_id, 500, {"object": "Error", "message": "Internal Server Error"})

    async def _call(self, body: bytes) -> tuple[int, Any]:
        """One request to this server, inside the process."""
        path = self._job["endpoint"]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [*self._headers, (b"content-length", str(len(body)).encode())],
            "client": None,
            "server": self._server,
        }
        status, parts = 500, []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                parts.append(message.get("body", b""))

        await self._app(scope, receive, send)
        return status, json.loads(b"".join(parts))


def _number(requests: Sequence[BatchLine]) -> tuple[list[BatchLine], list[str]]:
    """Lines with an id each: their place, where they have none; and what is wrong with them."""
    lines = [
        line if line.custom_id is not None else BatchLine(custom_id=str(place), body=line.body)
        for place, line in enumerate(requests)
    ]
    counted = Counter(line.custom_id for line in lines)
    return lines, [f"the custom_id {name!r} is there {count} times" for name, count in counted.items() if count > 1]


def _read_lines(texts: Sequence[bytes]) -> tuple[list[BatchLine], list[str]]:
    """The lines of the input files, and what is wrong with them."""
    lines, faults = [], []
    for text in texts:
        for number, raw in enumerate(text.splitlines(), 1):
            if not raw.strip():
                continue
            try:
                lines.append(BatchLine.model_validate(read_json(raw)))
            except ValueError as error:
                faults.append(f"line {number} is no request: {' '.join(str(error).split())[:200]}")
    if not lines and not faults:
        faults.append("the input files hold no requests")
    numbered, twice = _number(lines)
    return numbered, [*faults, *twice]
