"""`mistral-agents batch`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from mistral_agents._api.arguments import given
from mistral_agents._api.records import Records
from mistral_agents._display.blocks import Table
from mistral_agents._display.words import shorten, write_table
from mistral_agents._json import JsonDict, load_json
from mistral_agents._paths import expand_home, writing
from mistral_agents._turn.content import as_json_text
from mistral_agents.batches import BatchFailedError, BatchJob, BatchResult, Endpoint
from mistral_agents.cli.exits import PartlyFailedError
from mistral_agents.cli.session import DEFAULT_MODEL, CommandSession, find_agent_id, find_session
from mistral_agents.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True)
Key = Annotated[str, typer.Argument(help="The job's id.")]
Timeout = Annotated[float | None, typer.Option(help="Wait at most so many seconds.", min=0)]
_ENDPOINTS: dict[str, Endpoint] = {
    "conversations": "/v1/conversations",
    "chat": "/v1/chat/completions",
    "embeddings": "/v1/embeddings",
}


def read_requests(lines: Iterable[str], endpoint: Endpoint) -> Iterator[JsonDict]:
    """The body of each request: a line that begins with `{` is one, any other is what to say.

    Raises:
        ConfigurationError: A line that begins with `{` is no JSON object.
    """
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        if not text.startswith("{"):
            yield _make_body(text, endpoint)
            continue
        try:
            yield load_json(text)
        except ValueError as error:
            raise ConfigurationError(f"Line {number} begins with {{ and is no JSON object: {error}.") from error


def _choose_models(requests: list[JsonDict]) -> tuple[str | None, list[JsonDict]]:
    """The job's model and its requests, where some may name their own: those that name none get the default one."""
    bare = [not {"model", "agent_id"} & body.keys() for body in requests]
    if all(bare):
        return DEFAULT_MODEL, requests
    pairs = zip(requests, bare, strict=True)
    return None, [{**body, "model": DEFAULT_MODEL} if is_bare else body for body, is_bare in pairs]


def _make_body(text: str, endpoint: Endpoint) -> JsonDict:
    if endpoint == "/v1/conversations":
        return {"inputs": text, "store": False}
    return {"input": text} if endpoint == "/v1/embeddings" else {"messages": [{"role": "user", "content": text}]}


def _read_file_lines(file: Path) -> list[str]:
    if str(file) == "-":
        return sys.stdin.read().split("\n")  # splitlines() would split at U+2028 in a text, too
    try:
        return expand_home(file).read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise ConfigurationError(f"{file} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is no text in UTF-8.") from error


@app.command()
def submit(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A request's body (JSON) or a message in each line; - is the input.")],
    model: Annotated[str | None, typer.Option(help=f"The model (default: {DEFAULT_MODEL}).")] = None,
    agent: Annotated[str | None, typer.Option(help="An agent's id or name, instead of a model.")] = None,
    endpoint: Annotated[str, typer.Option(help="conversations, chat or embeddings.")] = "conversations",
    hours: Annotated[int | None, typer.Option(help="When the service gives it up.", min=1, max=168)] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the end and write the results.")] = False,
    timeout: Timeout = None,
) -> None:
    """Start a job; its id goes to stdout."""
    session = find_session(context)
    if endpoint not in _ENDPOINTS:
        raise ConfigurationError(f"--endpoint {endpoint} is none; it takes {', '.join(_ENDPOINTS)}.")
    if agent is not None and model is not None:
        raise ConfigurationError("--agent and --model can't be given together: an agent brings its model.")
    path = _ENDPOINTS[endpoint]
    requests = list(read_requests(_read_file_lines(file), path))
    if not requests:
        raise ConfigurationError(f"There is no request in {file}.")
    agent = find_agent_id(session, agent) if agent is not None else None
    if model is None and agent is None:
        model, requests = _choose_models(requests)
    job = session.client.batches.create(
        requests, endpoint=path, **given(model=model, agent_id=agent, timeout_hours=hours)
    )
    if wait:
        session.note(f"job {job['id']}")
        _emit_results(session, _wait(session, str(job["id"]), timeout), None)
    else:
        session.emit(job, str(job["id"]))


@app.command(name="list")
def list_jobs(context: typer.Context) -> None:
    """List the jobs of this key."""
    session = find_session(context)
    found = Records(session.client.batches.list())
    session.emit(list(found), found)


@app.command(name="status")
def tell_status(context: typer.Context, job: Key) -> None:
    """Say how far a job is."""
    session = find_session(context)
    found = session.client.batches.get(job)
    session.emit(found, _describe_progress(found))


def _describe_progress(job: BatchJob) -> str:
    done, total = job.progress
    failed = job.get("failed_requests")
    return f"{job.get('status')}  {done} of {total}{f', {failed} failed' if failed else ''}"


@app.command()
def wait(context: typer.Context, job: Key, timeout: Timeout = None) -> None:
    """Wait for a job's end."""
    session = find_session(context)
    found = _wait(session, job, timeout)
    session.emit(found, _describe_progress(found))
    _judge(found)


def _wait(session: CommandSession, job: str, timeout: float | None) -> BatchJob:
    found = session.client.batches.wait(job, timeout=timeout, show_progress=session.shows_progress)
    if found.is_running:
        raise BatchFailedError(
            f"The job {job} still runs after {timeout:g} s: {_describe_progress(found)}.", body=dict(found)
        )
    return found


def _judge(job: BatchJob) -> None:
    if job.get("status") != "SUCCESS":
        raise BatchFailedError(f"The job {job['id']} ended with {job.get('status')}.", body=dict(job))
    if job.get("failed_requests"):
        raise PartlyFailedError(f"{job['failed_requests']} of {job.progress[1]} requests failed.")


@app.command()
def results(
    context: typer.Context,
    job: Key,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file for them, one JSON a line.")] = None,
) -> None:
    """Write what became of each request, in the order of the requests."""
    session = find_session(context)
    _emit_results(session, session.client.batches.get(job), output)


def _emit_results(session: CommandSession, job: BatchJob, output: Path | None) -> None:
    found = session.client.batches.results(str(job["id"]))
    rows = [_as_row(result) for result in found]
    if output is not None:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        target = expand_home(output)
        with writing(target):
            target.write_text(text, encoding="utf-8")
        session.emit({"path": str(output), "results": len(rows)}, str(output))
    else:
        session.emit(rows, _draw(rows))
    failed = [result for result in found if result.error is not None]
    if failed:
        raise PartlyFailedError(f"{len(failed)} of {len(found)} requests failed.")


def _as_row(result: BatchResult) -> JsonDict:
    row: JsonDict = {"index": result.index, "text": read_answer_text(result.body), "tokens": result.usage.total_tokens}
    return {**row, "error": str(result.error) if result.error is not None else None, "body": result.body}


def read_answer_text(body: JsonDict | None) -> str | None:
    """The words of a reply of any endpoint; None where it has none."""
    if body is None:
        return None
    choices: Any = body.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        message = choices[0].get("message")
        content = message.get("content") if isinstance(message, dict) else None
        return as_json_text(content) if content is not None else None
    return BatchResult(0, body).turn.text if "outputs" in body else None


def _draw(rows: list[JsonDict]) -> str:
    head = ("", "answer", "tokens")
    cells = ((str(row["index"]), shorten(str(row["error"] or row["text"] or "")), str(row["tokens"])) for row in rows)
    return write_table(Table(head, tuple(cells)))


@app.command()
def cancel(context: typer.Context, job: Key) -> None:
    """Ask for a job's end; what was answered is kept."""
    session = find_session(context)
    found = session.client.batches.cancel(job)
    session.emit(found, _describe_progress(found))


@app.command()
def delete(
    context: typer.Context,
    job: Key,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only say what would be done.")] = False,
) -> None:
    """Forget a job that has ended; its files stay."""
    session = find_session(context)
    found = session.client.batches.get(job)
    if session.agrees([f"delete {found['id']} ({_describe_progress(found)})"], yes):
        session.client.batches.delete(found["id"])
    session.emit({"deleted" if yes else "would_delete": [found["id"]]}, "")
