"""`mistral-agents chat`: one message, or a talk."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from mistral_agents._display.words import write_price, write_usage
from mistral_agents._json import JsonDict
from mistral_agents._printable import show_text
from mistral_agents.cli.exits import as_unsure
from mistral_agents.cli.session import DEFAULT_MODEL, CommandSession, find_agent_id, find_session
from mistral_agents.conversation import Conversation
from mistral_agents.costs import Meter
from mistral_agents.entries import chunk_text, content_chunks
from mistral_agents.errors import ConfigurationError, MistralAgentsError
from mistral_agents.turn import Turn

_BRINGS = {"--model": "an agent brings its model", "--conversation": "a conversation goes on with its own agent"}


def chat(
    context: typer.Context,
    message: Annotated[str | None, typer.Argument(help="What to say; without it, lines are read.")] = None,
    model: Annotated[str | None, typer.Option(help=f"The model (default: {DEFAULT_MODEL}).")] = None,
    agent: Annotated[str | None, typer.Option(help="An agent's id or name.")] = None,
    conversation: Annotated[str | None, typer.Option(help="A conversation's id, to go on with it.")] = None,
    tool: Annotated[list[str] | None, typer.Option(help="A hosted tool, such as web_search (repeatable).")] = None,
    instructions: Annotated[str | None, typer.Option(help="The system prompt of a new conversation.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Send no more after so many tokens (exit code 7).")] = None,
) -> None:
    """Talk to a model or an agent. Stays until the end of the input; the conversation is kept by the service."""
    session = find_session(context)
    if agent is not None and (model is not None or conversation is not None):
        other = "--model" if model is not None else "--conversation"
        raise ConfigurationError(f"--agent and {other} can't be given together: {_BRINGS[other]}.")
    options: JsonDict = {}
    if agent is not None:
        options["agent_id"] = find_agent_id(session, agent)
    elif conversation is None:
        options["model"] = model if model is not None else DEFAULT_MODEL
    if tool:
        options["tools"] = [{"type": name} for name in tool]
    if instructions is not None:
        options["instructions"] = instructions
    if conversation is not None and model is not None:
        options["model"] = model
    talk = Conversation(session.client, conversation, meter=Meter(max_tokens=max_tokens), **options)
    for said in [message] if message is not None else _ask_lines(session):
        _print_answer(session, talk, said)


def _ask_lines(session: CommandSession) -> Iterator[str]:
    asks = sys.stdin.isatty()
    while True:
        if asks:
            session.note("you:")
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.strip()


def _print_answer(session: CommandSession, talk: Conversation, said: str) -> None:
    try:
        for event in talk.stream(said):
            if not session.as_json:
                sys.stdout.write(show_text(_event_text(event)))
                sys.stdout.flush()
    except MistralAgentsError as error:
        if not session.as_json:
            sys.stdout.write("\n")
        raise as_unsure(error) from error
    turn = talk.last_turn
    if turn is None:
        return
    if session.as_json:
        told = {"cost": price_of(session, turn)} if session.prices is not None else {}
        session.write(json.dumps({**turn.raw, "text": turn.text, **told}, ensure_ascii=True))
        return
    session.write("")
    for number, source in enumerate(turn.citations, 1):
        session.note(f"[{number}] {source.title or ''} {source.url or source.document_id or ''}")
    for file in turn.files:
        session.note(f"file {file.name} {file.file_id or ''}")
    for call in turn.pending_confirmations:
        session.note(f"{call.name} waits for a decision, which this command can't give: the next message denies it")
    for call in turn.function_calls:
        session.note(f"{call.name} is a function that does not run here: the next message closes the call")
    cost = write_price(turn.usage, turn.model, session.prices)
    session.note(f"({' · '.join(filter(None, [turn.conversation_id, write_usage(turn.usage), cost]))})")


def price_of(session: CommandSession, turn: Turn) -> JsonDict | None:
    """What a turn cost, by the price table; None where that is not known."""
    prices = session.prices
    price = prices.of(turn.usage, turn.model) if prices is not None else None
    return {"amount": price, "currency": prices.currency} if prices is not None and price is not None else None


def _event_text(event: JsonDict) -> str:
    """The text that an event adds to the answer."""
    data: Any = event.get("data", event)
    if not isinstance(data, dict) or data.get("type") != "message.output.delta":
        return ""
    return "".join(map(chunk_text, content_chunks(data.get("content"))))
