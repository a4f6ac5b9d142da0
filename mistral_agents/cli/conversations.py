"""`mistral-agents conversations`."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from mistral_agents._api.records import Records
from mistral_agents._display.views import show_value
from mistral_agents._json import JsonDict
from mistral_agents.branches import Branch
from mistral_agents.cleanup import cleanup
from mistral_agents.cli.exits import PartlyFailedError, as_unsure
from mistral_agents.cli.session import CommandSession, find_agent_id, find_session
from mistral_agents.conversation import Conversation
from mistral_agents.errors import MistralAgentsError
from mistral_agents.options import ConversationOptions
from mistral_agents.turn import Turn

app = typer.Typer(no_args_is_help=True)
_PLACE = re.compile("-?[0-9]+")
Key = Annotated[str, typer.Argument(help="The conversation's id.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without, only say what would be done.")]
Archive = Annotated[Path | None, typer.Option(help="A folder for exports, written and read back before deleting.")]


@app.command(name="list")
def list_conversations(
    context: typer.Context,
    agent: Annotated[str | None, typer.Option(help="Only those started with this agent (id or name).")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 100,
) -> None:
    """List the conversations of this key."""
    session = find_session(context)
    agent_id = find_agent_id(session, agent) if agent is not None else None
    found = Records(islice(session.client.conversations.list(agent_id=agent_id), limit))
    session.emit(list(found), found)


@app.command(name="show")
def show_conversation(context: typer.Context, conversation: Key) -> None:
    """Show what was said."""
    session = find_session(context)
    history = session.client.conversations.get_history(conversation)
    session.emit(history.raw, history)


@app.command()
def export(
    context: typer.Context,
    conversation: Key,
    path: Annotated[Path | None, typer.Argument(help="Where to write it; without, to stdout.")] = None,
    files: Annotated[bool, typer.Option(help="Put in the files made in it.")] = False,
    html: Annotated[bool, typer.Option(help="As a page to look at, not as JSON to import.")] = False,
) -> None:
    """Export a conversation."""
    session = find_session(context)
    talk = Conversation(session.client, conversation)
    if html:
        page = talk.to_html(path, files=files)
        told = {"html": page} if path is None else {"path": str(path)}
        session.emit(told, page if path is None else str(path))
        return
    document = talk.export(path, files=files)
    if path is None:
        CommandSession(as_json=True).emit(document, "")
    else:
        session.emit({"path": str(path), "entries": len(document["entries"])}, str(path))


@app.command(name="import")
def import_(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="What `export` wrote.")],
    message: Annotated[str, typer.Argument(help="What to say in it: the service begins a conversation with a turn.")],
    model: Annotated[str | None, typer.Option(help="Another model than it had.")] = None,
) -> None:
    """Go on with an exported conversation, in a new one."""
    session = find_session(context)
    options: ConversationOptions = {"model": model} if model is not None else {}
    talk = Conversation.import_(session.client, path, **options)
    _say(session, talk, message)


def _say(session: CommandSession, talk: Conversation, message: str | None) -> None:
    try:
        turn = talk.append(message)
    except MistralAgentsError as error:
        raise as_unsure(error) from error
    session.emit(_turn_json(turn), show_value(turn, prices=session.prices))


def _turn_json(turn: Turn) -> JsonDict:
    return {**turn.raw, "conversation_id": turn.conversation_id, "text": turn.text}


@app.command()
def branch(
    context: typer.Context,
    conversation: Key,
    message: Annotated[str, typer.Argument(help="What to say in the branch.")],
    at: Annotated[
        str | None, typer.Option(help="The last entry to keep: id or place (default: the last answer).")
    ] = None,
) -> None:
    """Go on from an earlier entry, in a conversation of its own."""
    session = find_session(context)
    place = int(at) if at is not None and _PLACE.fullmatch(at) else at
    _say(session, Conversation(session.client, conversation).branch(place), message)


@app.command()
def tree(context: typer.Context, conversation: Key, svg: Annotated[bool, typer.Option(help="As SVG.")] = False) -> None:
    """Draw the conversations that belong together."""
    session = find_session(context)
    session.client.conversations.get(conversation)
    found = Conversation(session.client, conversation).tree()
    session.emit(_branch_json(found), found.to_svg() if svg else str(found))


def _branch_json(found: Branch) -> JsonDict:
    return {
        "conversation_id": found.conversation_id,
        "name": found.name,
        "from_entry_id": found.from_entry_id,
        "missing": found.missing,
        "children": [_branch_json(child) for child in found.children],
    }


@app.command()
def repair(context: typer.Context, conversation: Key, yes: Yes = False) -> None:
    """Answer calls that were left open and keep a conversation from going on: as not run."""
    session = find_session(context)
    talk = Conversation(session.client, conversation)
    calls = talk.repair()
    rows = [{"name": call.name, "tool_call_id": call.tool_call_id} for call in calls]
    if not calls:
        session.emit({"open_calls": [], "repaired": False}, "nothing is open")
    elif session.agrees((f"{call.name} ({call.tool_call_id}) is open" for call in calls), yes):
        _say(session, talk, None)
    else:
        session.emit({"open_calls": rows, "repaired": False}, "")


@app.command(name="delete")
def delete_conversations(
    context: typer.Context,
    conversations: Annotated[list[str], typer.Argument(help="Ids.")],
    archive_to: Archive = None,
    yes: Yes = False,
) -> None:
    """Delete conversations."""
    session = find_session(context)
    client = session.client.conversations
    rows = [client.get(key) for key in dict.fromkeys(conversations)]
    if session.agrees((f"delete {row.conversation_id} {row.get('name') or ''}" for row in rows), yes):
        for row in rows:
            if archive_to is not None:
                client.archive(row.conversation_id, archive_to)
            else:
                client.delete(row.conversation_id)
    session.emit({"deleted" if yes else "would_delete": [row.conversation_id for row in rows]}, "")


@app.command()
def clean(
    context: typer.Context,
    older_than: Annotated[int, typer.Option(help="Days since the last change.", min=0)],
    agent: Annotated[str | None, typer.Option(help="Only those started with this agent (id or name).")] = None,
    archive_to: Archive = None,
    yes: Yes = False,
) -> None:
    """Delete old conversations."""
    session = find_session(context)
    age = timedelta(days=older_than)
    report = cleanup(
        session.client,
        older_than=age,
        agent_id=find_agent_id(session, agent) if agent is not None else None,
        archive_to=archive_to,
        dry_run=not yes,
        show_progress=session.shows_progress,
    )
    rows = [
        {"conversation_id": row.conversation_id, "days": row.age.days, "done": row.done, "error": row.error}
        for row in report.rows
    ]
    session.emit({"dry_run": report.dry_run, "looked_at": report.looked_at, "rows": rows}, report)
    session.agrees([], yes)
    if report.failed:
        raise PartlyFailedError(f"{len(report.failed)} of {len(report.rows)} conversations are still there.")
