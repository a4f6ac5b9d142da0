"""Batch jobs: many requests at once, answered within hours at another price, with results in the order of the requests.

That the service's jobs take conversations is unverified (probe `batch` of `python -m mistral_agents.verify`); the
service names the endpoint, and no recording shows it.
"""

from __future__ import annotations

import asyncio
import builtins
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypedDict

from typing_extensions import Unpack

from mistral_agents._api.arguments import flag_text, given, known_options, mapping_text, texts_of, time_text
from mistral_agents._api.paging import awalk, by_number, walk
from mistral_agents._api.planner import Planner
from mistral_agents._api.records import Listing, Record, as_record
from mistral_agents._api.recovery import LOST
from mistral_agents._border.text import parse_json
from mistral_agents._http.calls import Call, Operation, check_ids, check_mappings, json_bytes, path_of
from mistral_agents._http.concealed import ConcealedBytes, conceal_requests
from mistral_agents._http.failures import is_failed_turn
from mistral_agents._http.replies import Reply, failure_in
from mistral_agents._http.transport import Transport
from mistral_agents._json import JsonDict, count_of, objects_of, text_or_none
from mistral_agents._progress import counting
from mistral_agents._steps import Job, Steps, arun, run
from mistral_agents.connector_api import Connectors
from mistral_agents.errors import ConfigurationError, MistralAgentsError, ResponseFormatError, error_for_status
from mistral_agents.files import Files
from mistral_agents.turn import Turn
from mistral_agents.usage import Usage

__all__ = ["BatchFailedError", "BatchJob", "BatchResult", "Batches"]

Endpoint = Literal["/v1/conversations", "/v1/chat/completions", "/v1/embeddings"]
_RUNNING = frozenset({"QUEUED", "RUNNING", "CANCELLATION_REQUESTED"})
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds
_ONE = "/v1/batch/jobs/{job_id}"
_PLACE = re.compile(r"0|[1-9][0-9]{0,6}")
"""What `create` calls a request: its place. Longer numbers are ids of other programs."""
log = logging.getLogger("mistral_agents.batches")


class BatchJob(Record):
    """A batch job; its times are seconds since 1970."""

    id: str
    status: str
    endpoint: str | None
    model: str | None
    agent_id: str | None
    metadata: JsonDict | None
    input_files: list[str] | None
    output_file: str | None
    error_file: str | None
    errors: list[JsonDict] | None
    total_requests: int | None
    completed_requests: int | None
    succeeded_requests: int | None
    failed_requests: int | None
    created_at: int | None
    started_at: int | None
    completed_at: int | None
    object: str | None

    @property
    def is_running(self) -> bool:
        """Whether its end is to come."""
        return text_or_none(self.get("status")) in _RUNNING

    @property
    def progress(self) -> tuple[int, int]:
        """How many requests are done, and how many there are."""
        return count_of(self.get("completed_requests")), count_of(self.get("total_requests"))


class BatchFailedError(MistralAgentsError):
    """A job ended without results: it failed as a whole, ran out of time or was cancelled; `.body` is the job."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of one request.

    Attributes:
        index: Its place among the requests.
        body: The reply; None where there is none.
        error: Why there is none.
    """

    index: int
    body: JsonDict | None = None
    error: MistralAgentsError | None = field(default=None, compare=False)

    @property
    def turn(self) -> Turn:
        """The turn of a conversation.

        Raises:
            MistralAgentsError: The request failed; it is `error`.
        """
        if self.body is None:
            raise self.error if self.error is not None else ResponseFormatError("The job holds no reply.")
        return Turn.from_response(self.body)

    @property
    def usage(self) -> Usage:
        """What it used; nothing where it failed. `Prices(...).of(usage, model)` says what that costs."""
        return Usage.from_wire(self.body.get("usage")) if self.body is not None else Usage()


def _make_batch_call(what: str, method: str, path: str, operation: str, **facts: Any) -> Call:
    return Call(what, method, path, Operation(f"jobs_api_routes_batch_{operation}", "batch.jobs"), **facts)


def _get_job(job_id: str, *, inline: bool = False) -> Call:
    params = {"inline": "true"} if inline else {}
    return _make_batch_call(
        "Reading the batch job", "GET", path_of(_ONE, job_id=job_id), "get_batch_job", params=params
    )


def _cancel(job_id: str) -> Call:
    path = path_of(_ONE, job_id=job_id) + "/cancel"
    return _make_batch_call("Cancelling the batch job", "POST", path, "cancel_batch_job")


def _delete_job(job_id: str) -> Call:
    return _make_batch_call("Deleting the batch job", "DELETE", path_of(_ONE, job_id=job_id), "delete_batch_job")


class JobFilters(TypedDict, total=False):
    """Which jobs are listed. All of it is passed to the service.

    Attributes:
        page_size: Jobs per request; 100 by default.
        metadata: Keys and values.
        model: The model.
        agent_id: The agent.
        created_after: The moment, with its time zone.
        created_by_me: Only one's own.
        status: Such as `RUNNING` or `SUCCESS`; one or several.
        order_by: `created` gives the oldest first, `-created` (the service's default) the newest.
    """

    page_size: int
    metadata: Mapping[str, str] | None
    model: str | None
    agent_id: str | None
    created_after: datetime | str | None
    created_by_me: bool | None
    status: str | Sequence[str] | None
    order_by: Literal["created", "-created"] | None


def _page(filters: Mapping[str, Any]) -> Call:
    known = known_options(filters, JobFilters, "list")
    if known.get("order_by", "created") not in ("created", "-created"):
        raise ConfigurationError(f"order_by must be 'created' or '-created', not {known['order_by']!r}.")
    written = given(
        metadata=mapping_text("metadata", known["metadata"]) if "metadata" in known else None,
        created_after=time_text("created_after", known["created_after"]) if "created_after" in known else None,
        created_by_me=flag_text(known.get("created_by_me")),
        status=texts_of("status", known.get("status")),
    )
    params = {"page": 0, "page_size": 100, **known, **written}
    return _make_batch_call("Listing batch jobs", "GET", "/v1/batch/jobs", "get_batch_jobs", params=params)


def _check_requests(requests: Sequence[Mapping[str, Any]]) -> None:
    check_mappings({"requests": requests}, "requests")
    if not requests:
        raise ConfigurationError("A batch job needs at least one request.")
    rows = [place for place, body in enumerate(requests) if "body" in body]
    if rows:
        raise ConfigurationError(f"requests[{rows[0]}] is a row of a file (custom_id, body); give what is in its body.")
    streamed = [place for place, body in enumerate(requests) if body.get("stream")]
    if streamed:
        raise ConfigurationError(f"requests[{streamed[0]}] asks for a stream; a batch job gives whole replies only.")


def _write_lines(requests: Sequence[Mapping[str, Any]]) -> bytes:
    rows = (json_bytes({"custom_id": str(place), "body": dict(body)}) for place, body in enumerate(requests))
    # In ASCII: whoever reads the file may take U+2028 in a text for the end of a line.
    return ("\n".join(json.dumps(json.loads(row)) for row in rows) + "\n").encode()


def _parse_lines(data: bytes) -> Iterator[JsonDict | str]:
    """The rows of a file of results; a line that is no JSON object as it stands."""
    for line in data.decode("utf-8", "replace").split("\n"):  # splitlines() would split at U+2028 in a text, too
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError:
            row = None
        yield row if isinstance(row, dict) else line


def _result(index: int, row: Mapping[str, Any]) -> BatchResult:
    told = row.get("response")
    reply: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
    status, body = reply.get("status_code"), reply.get("body")
    if isinstance(status, int) and status >= 400:
        error = error_for_status(status, body, what=f"Request {index} of the batch job", headers={})
        return BatchResult(index, error=error)
    if not isinstance(body, dict):
        reason = row.get("error")
        message = reason.get("message") if isinstance(reason, Mapping) else reason
        text = f"Request {index} of the batch job failed: {message or 'no message from the service'}"
        return BatchResult(index, error=BatchFailedError(text, body=dict(row)))
    if is_failed_turn(body):
        good = Reply(status if isinstance(status, int) else 200, {}, b"", what=f"Request {index} of the batch job")
        return BatchResult(index, error=failure_in(body, good, turn=True))
    return BatchResult(index, body)


def _find_place(row: JsonDict | str) -> int | None:
    """Which request a row answers; None for a line that can't be read, or an id that `create` did not give."""
    key = str(row.get("custom_id")) if isinstance(row, dict) else ""
    return int(key) if _PLACE.fullmatch(key) else None


def _in_order(rows: Sequence[JsonDict | str], total: int, most: int | None = None) -> list[BatchResult]:
    """The results at the places of their requests; a request without one has an error there.

    What belongs to no request (of a job that another program started, a line that can't be read, or a place from
    `most` on) stands in the `body` of these errors, since it is paid.
    """
    found: dict[int, JsonDict] = {}
    strays: list[JsonDict | str] = []
    for row in rows:
        place = _find_place(row)
        if place is None or isinstance(row, str) or (most is not None and place >= most):
            strays.append(row)
        else:
            found.setdefault(place, row)
    told = f"; {len(strays)} lines belong to none of its requests, see .body" if strays else ""
    if strays:
        log.warning("%d lines of a batch job's results belong to none of its requests.", len(strays))
    size = most if most is not None else max([total, *(place + 1 for place in found)])
    if size == 0:
        raise ResponseFormatError(f"The batch job tells of no request{told}.", body=strays)
    return [
        _result(place, found[place]) if place in found else BatchResult(place, error=_make_missing(place, told, strays))
        for place in range(size)
    ]


def _make_missing(place: int, told: str, strays: Sequence[JsonDict | str]) -> BatchFailedError:
    return BatchFailedError(f"Request {place} of the batch job has no result{told}.", body=strays or None)


class Batches:
    """Batch jobs. Every method has an asynchronous twin with the prefix `a`; that of `wait` is `await_end`.

    A job lives on the service: any process with the key goes on with it by its id.

    Raises:
        ConfigurationError: An argument is wrong; nothing was sent.
        MistralAgentsError: The service or the connection failed; see `mistral_agents.errors`.
    """

    def __init__(self, transport: Transport, planner: Planner) -> None:
        self._transport = transport
        self._planner = planner
        self._files = Files(transport)

    def _job(self, call: Call) -> Job:
        return Job(partial(self._transport.send, call), partial(self._transport.asend, call))

    # starting --------------------------------------------------------------------------------------------------

    def create(
        self,
        requests: Sequence[Mapping[str, Any]],
        *,
        endpoint: Endpoint = "/v1/conversations",
        model: str | None = None,
        agent_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
        timeout_hours: int | None = None,
    ) -> BatchJob:
        """Upload requests and start a job.

        The tools of conversations are translated and checked as before a turn (a misspelt guard would guard nothing),
        their agents are compared with the client's allow-list, and their inputs pass its `redact` hook.

        Args:
            requests: The body of each, as the endpoint takes it.
            endpoint: Where they go.
            model: For all requests; needed where they name none.
            agent_id: Or the agent for all of them.
            metadata: Your own keys, to find the job by.
            timeout_hours: When it is given up, 1 to 168; the service's default is 24.
        """
        requests = conceal_requests(requests)
        options = given(model=model, agent_id=agent_id, metadata=metadata, timeout_hours=timeout_hours)
        return run(self._create(requests, {"endpoint": endpoint, **options}))

    async def acreate(
        self,
        requests: Sequence[Mapping[str, Any]],
        *,
        endpoint: Endpoint = "/v1/conversations",
        model: str | None = None,
        agent_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
        timeout_hours: int | None = None,
    ) -> BatchJob:
        """As `create`, without blocking."""
        requests = conceal_requests(requests)
        options = given(model=model, agent_id=agent_id, metadata=metadata, timeout_hours=timeout_hours)
        return await arun(self._create(requests, {"endpoint": endpoint, **options}))

    def _create(self, requests: Sequence[Mapping[str, Any]], options: JsonDict) -> Steps[BatchJob]:
        _check_requests(requests)
        if options["endpoint"] == "/v1/conversations":
            connectors, checked = Connectors(self._transport), builtins.list[JsonDict]()
            for body in requests:
                checked.append((yield from self._planner.guard_body(connectors, body)))
            asked = [body.get("agent_id") for body in (options, *checked)]
            for agent_id in dict.fromkeys(one for one in asked if isinstance(one, str)):
                yield from self._planner.check_agent(self._transport, agent_id)
            requests = checked
        return (yield from self.start_checked(requests, options))

    def start_checked(self, requests: Sequence[Mapping[str, Any]], options: JsonDict) -> Steps[BatchJob]:
        """Start a job of bodies that were checked; run it with `mistral_agents._steps`."""
        check_ids(options)
        mapping_text("metadata", options.get("metadata"))  # refused before the requests are uploaded
        hours = options.get("timeout_hours", 24)
        if type(hours) is not int or not 1 <= hours <= 168:
            raise ConfigurationError(f"timeout_hours must be a whole number from 1 to 168, not {hours!r}.")
        part, files = ("batch.jsonl", ConcealedBytes(_write_lines(requests))), self._files
        file = yield Job(lambda: files.upload(part, purpose="batch"), lambda: files.aupload(part, purpose="batch"))
        body = {"input_files": [file["id"]], **options}
        call = _make_batch_call(
            "Starting the batch job", "POST", "/v1/batch/jobs", "create_batch_job", body=body, once=True
        )
        try:
            reply: Reply = yield self._job(call)
            return as_record(BatchJob, reply.json())
        except MistralAgentsError as error:
            yield from self._clear_input(file["id"], error)
            raise

    def _clear_input(self, file_id: str, error: MistralAgentsError) -> Steps[None]:
        """Delete the requests of a job that was refused; where nobody knows, or it fails, the error names the file."""
        files = self._files
        if not isinstance(error, LOST):
            with suppress(MistralAgentsError):
                yield Job(lambda: files.delete(file_id), lambda: files.adelete(file_id))
                return
        told = f"Its input stays on the service as file {file_id}; delete it (client.files.delete) if there is no job."
        error.hint = f"{error.hint}\n{told}" if error.hint else told

    # looking ---------------------------------------------------------------------------------------------------

    def get(self, job_id: str) -> BatchJob:
        """Read a job."""
        return as_record(BatchJob, self._transport.send(_get_job(job_id)).json())

    async def aget(self, job_id: str) -> BatchJob:
        """As `get`, without blocking."""
        return as_record(BatchJob, (await self._transport.asend(_get_job(job_id))).json())

    def list(self, **filters: Unpack[JobFilters]) -> Listing[BatchJob]:
        """The jobs of this key, newest first; all of them, or by `JobFilters`."""
        return Listing(map(BatchJob, walk(self._transport.send, _page(filters), by_number, "data")))

    async def alist(self, **filters: Unpack[JobFilters]) -> AsyncIterator[BatchJob]:
        """As `list`, without blocking."""
        async for row in awalk(self._transport.asend, _page(filters), by_number, "data"):
            yield BatchJob(row)

    def wait(self, job_id: str, *, timeout: float | None = None, show_progress: bool = False) -> BatchJob:
        """Wait for the end of a job, whoever started it.

        Args:
            job_id: The job.
            timeout: Seconds to wait; None waits for as long as it takes. A job that runs on is returned as it is.
            show_progress: Show a bar.
        """
        with counting("Batch", show_progress) as tick:
            return run(self._wait(job_id, timeout, tick))

    async def await_end(self, job_id: str, *, timeout: float | None = None, show_progress: bool = False) -> BatchJob:
        """As `wait`, without blocking."""
        with counting("Batch", show_progress) as tick:
            return await arun(self._wait(job_id, timeout, tick))

    def _wait(self, job_id: str, timeout: float | None, tick: Callable[[int, int], None] | None) -> Steps[BatchJob]:
        deadline = time.monotonic() + timeout if timeout is not None else None
        pause = _FIRST_PAUSE
        while True:
            reply: Reply = yield self._job(_get_job(job_id))
            job = as_record(BatchJob, reply.json())
            if tick is not None:
                tick(*job.progress)
            left = deadline - time.monotonic() if deadline is not None else pause
            if not job.is_running or left <= 0:
                return job
            seconds = min(pause, left)
            yield Job(partial(time.sleep, seconds), partial(asyncio.sleep, seconds))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    # results ---------------------------------------------------------------------------------------------------

    def results(self, job_id: str) -> builtins.list[BatchResult]:
        """What became of each request, in the order of the requests, errors in place.

        Raises:
            BatchFailedError: The job ended without any result.
            ConfigurationError: It still runs.
        """
        return run(self.read_results(job_id))

    async def aresults(self, job_id: str) -> builtins.list[BatchResult]:
        """As `results`, without blocking."""
        return await arun(self.read_results(job_id))

    def read_results(self, job_id: str, count: int | None = None) -> Steps[builtins.list[BatchResult]]:
        """The steps of `results`; `count` is how many requests there must be."""
        reply: Reply = yield self._job(_get_job(job_id))
        job = as_record(BatchJob, reply.json())
        if job.is_running:
            raise ConfigurationError(f"The batch job is {job.get('status')}; wait for its end first.")
        rows: builtins.list[JsonDict | str] = []
        for name in ("output_file", "error_file"):
            file_id = job.get(name)
            if isinstance(file_id, str):
                data = yield Job(partial(self._files.download, file_id), partial(self._files.adownload, file_id))
                rows.extend(_parse_lines(data))
        if not rows:
            reasons = [str(one.get("message")) for one in objects_of(job.get("errors"))]
            text = f"The batch job is {job.get('status')} and has no results: {'; '.join(reasons) or 'no reason told'}"
            raise BatchFailedError(text, body=dict(job))
        total = job.progress[1]
        if count is not None and total not in (0, count):
            raise ConfigurationError(
                f"The batch job {job_id} has {total} requests, but {count} inputs were given; "
                "take it up with the inputs that it was started with."
            )
        return _in_order(rows, total, count)

    # ending ----------------------------------------------------------------------------------------------------

    def cancel(self, job_id: str) -> BatchJob:
        """Ask for a job's end; what was answered is kept."""
        return as_record(BatchJob, self._transport.send(_cancel(job_id)).json())

    async def acancel(self, job_id: str) -> BatchJob:
        """As `cancel`, without blocking."""
        return as_record(BatchJob, (await self._transport.asend(_cancel(job_id))).json())

    def delete(self, job_id: str) -> None:
        """Forget a job that has ended; its files stay."""
        self._transport.send(_delete_job(job_id))

    async def adelete(self, job_id: str) -> None:
        """As `delete`, without blocking."""
        await self._transport.asend(_delete_job(job_id))
