"""`mistral-agents libraries`."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from mistral_agents._api.records import Records, state_of
from mistral_agents.cli.exits import PartlyFailedError
from mistral_agents.cli.session import CommandSession, find_session
from mistral_agents.errors import ConfigurationError, NotFoundError

app = typer.Typer(no_args_is_help=True)
Key = Annotated[str, typer.Argument(help="The library's id, or its name where only one has it.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without, only say what would be done.")]


def _find_id(session: CommandSession, library: str) -> str:
    """The id of a library that is named by id or name.

    Raises:
        NotFoundError: No library has that name.
        ConfigurationError: Several have it.
    """
    try:
        return str(UUID(library))
    except ValueError:
        found = [row["id"] for row in session.client.libraries.list() if row.get("name") == library]
    if not found:
        raise NotFoundError(f"There is no library called {library!r}.")
    if len(found) > 1:
        raise ConfigurationError(f"{len(found)} libraries are called {library!r}: give the id ({', '.join(found)}).")
    return str(found[0])


@app.command(name="list")
def list_libraries(context: typer.Context) -> None:
    """List the libraries."""
    session = find_session(context)
    found = session.client.libraries.list().all()
    session.emit(list(found), found)


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name.")],
    description: Annotated[str | None, typer.Option(help="What is in it.")] = None,
) -> None:
    """Create a library."""
    session = find_session(context)
    made = session.client.libraries.create(name, description=description)
    session.emit(made, str(made["id"]))


@app.command()
def sync(
    context: typer.Context,
    library: Key,
    folder: Annotated[Path, typer.Argument(help="The folder.")],
    pattern: Annotated[str, typer.Option(help="Which files.")] = "*",
    keep: Annotated[bool, typer.Option(help="Delete nothing.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until the documents are processed.")] = False,
    yes: Yes = False,
) -> None:
    """Make a library like a folder."""
    session = find_session(context)
    key = _find_id(session, library)
    libraries = session.client.libraries
    bars = session.shows_progress
    report = libraries.sync_folder(
        key, folder, pattern=pattern, delete=not keep, dry_run=not yes, show_progress=bars and yes
    )
    session.emit(asdict(report), report)
    session.agrees([], yes)
    outcomes = libraries.wait_until_ready(key, report.document_ids, show_progress=bars) if wait and yes else []
    bad = [outcome for outcome in outcomes if outcome.state != "ready"]
    if report.failed or bad:
        raise PartlyFailedError(f"{len(report.failed)} files were not sent, {len(bad)} documents are not ready.")


@app.command()
def search(
    context: typer.Context,
    library: Key,
    question: Annotated[str, typer.Argument(help="What to look for.")],
    top_k: Annotated[int, typer.Option("--top-k", "-k", help="At most so many passages.", min=1)] = 5,
    language: Annotated[str, typer.Option(help="For stems and stop words.")] = "english",
) -> None:
    """Rank a library's passages here."""
    from mistral_agents.retrieval.engine import LibraryEngine
    from mistral_agents.retrieval.settings import Settings, checked_library_ids
    from mistral_agents.retrieval.snapshot import Query

    session = find_session(context)
    settings = Settings(checked_library_ids(_find_id(session, library)), language=language, refresh="on_start")
    engine = LibraryEngine(session.client, settings)
    pending = engine.refresh().pending
    hits = engine.search(Query(question, top_k))
    if pending:
        told = f"{len(pending)} document(s) are still being processed and were not searched"
        session.note(f"{told}: mistral-agents libraries status {library} --wait")
    session.emit([{"score": hit.score, "text": hit.text, **hit.metadata} for hit in hits], hits)


@app.command(name="status")
def tell_processing(
    context: typer.Context,
    library: Key,
    wait: Annotated[bool, typer.Option(help="Wait until all are processed.")] = False,
) -> None:
    """Say how far a library's documents are processed."""
    session = find_session(context)
    key = _find_id(session, library)
    if wait:
        session.client.libraries.wait_until_ready(key, show_progress=session.shows_progress)
    session.client.libraries.get(key)
    rows: Records = Records(session.client.libraries.documents(key))  # type: ignore[type-arg]
    states = Counter(state_of(row)[0] for row in rows)
    session.emit({"library_id": key, "states": states, "documents": list(rows)}, rows)
    session.note(", ".join(f"{count} {state}" for state, count in states.items()) or "no document")
    if states["failed"]:
        raise PartlyFailedError(f"{states['failed']} documents could not be processed.")


@app.command(name="delete")
def delete_library(context: typer.Context, library: Key, yes: Yes = False) -> None:
    """Delete a library and all its documents."""
    session = find_session(context)
    found = session.client.libraries.get(_find_id(session, library))
    what = f"delete {found.get('name')} ({found['id']}) with {found.get('nb_documents', '?')} documents"
    if session.agrees([what], yes):
        session.client.libraries.delete(found["id"])
    session.emit({"deleted" if yes else "would_delete": [found["id"]]}, "")
