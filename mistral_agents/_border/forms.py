"""An answer of a given form that hosted tools were used for: one turn with the tools, then one that writes the form.

Whether the service mixes words, tool runs and JSON in one turn is not known, and nobody could tell them apart there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from mistral_agents._border.tool_choices import function_name
from mistral_agents._json import JsonDict
from mistral_agents.entries import parse_entry
from mistral_agents.errors import ConfigurationError, MistralAgentsError
from mistral_agents.turn import Turn

FORM_QUESTION = "Now give that answer in the required format, with nothing else."
"""What the second turn asks."""
_TOOLS = ("tools", "connectors")
_OF_TOOLS = (*_TOOLS, "tool_choice", "parallel_tool_calls", "strict", "tool_confirmations")
_OF_CONVERSATION = ("store", "conversation_id", "metadata", "conversation_metadata")
_ARGUMENTS = ("completion_args", "model_kwargs", "additional_kwargs")
_TWO_TURNS = (
    "An answer of a given form (response_format) that uses hosted tools takes two turns; here only one can be made."
)


def find_form(*options: Mapping[str, Any]) -> Any:
    """The form that is asked for: the first of these options that hold one; None where none does."""
    for given in options:
        for held in (*map(given.get, _ARGUMENTS), given):
            if held and isinstance(held, Mapping) and held.get("response_format") is not None:
                return held["response_format"]
    return None


def list_tools(options: Mapping[str, Any]) -> Iterable[Any]:
    """The tools that a call gives; where they can be read only once, the options keep them for the turn."""
    for name in _TOOLS:
        if isinstance(options, dict) and isinstance(options.get(name), Iterator):
            options[name] = list(options[name])
    return next((options[name] for name in _TOOLS if options.get(name)), ())


def refuse_two_turns(form: object, tools: Iterable[Mapping[str, Any]], *, is_agent: bool) -> None:
    """Refuse in one turn what takes two.

    Raises:
        ConfigurationError: It does.
    """
    if takes_two_turns(form, tools, is_agent=is_agent):
        raise ConfigurationError(
            _TWO_TURNS, hint="Leave out the form or the hosted tools, or ask one by one instead of in a batch job."
        )


_CARRIED = "The answer that the tools were used for is whole, in .turn; only its form was not written."


@contextmanager
def carrying(found: Turn) -> Iterator[None]:
    """While the form is written: a failure carries the answer of the turn before, paid and perhaps not kept."""
    try:
        yield
    except MistralAgentsError as error:
        error.turn = found
        if error.conversation_id is None:
            error.conversation_id = found.conversation_id
        error.hint = f"{_CARRIED} {error.hint}" if error.hint else _CARRIED
        raise
    except BaseException as error:  # cancelled, interrupted, or raised by a hook of the user
        with suppress(AttributeError):
            error.turn = found  # type: ignore[attr-defined]
            error.add_note(_CARRIED)  # type: ignore[attr-defined, unused-ignore]  # from Python 3.11 on
        raise


def takes_two_turns(form: object, tools: Iterable[Mapping[str, Any]], *, is_agent: bool) -> bool:
    """Whether an answer of a form (a `response_format`) takes two turns; an agent answers by its own options."""
    asks = isinstance(form, Mapping) and form.get("type") != "text"
    return asks and not is_agent and any(function_name(tool) is None for tool in tools)


def thinking_options(given: Mapping[str, Any]) -> JsonDict:
    """The options of the turn that uses the tools."""
    return {
        name: {key: one for key, one in value.items() if key != "response_format"}
        if name in _ARGUMENTS and isinstance(value, Mapping)
        else value
        for name, value in given.items()
        if name != "response_format"
    }


def writing_options(given: Mapping[str, Any], form: object) -> JsonDict:
    """The options of the turn that writes the form: it has no tools and is not kept."""
    left = {
        name: value for name, value in thinking_options(given).items() if name not in (*_OF_TOOLS, *_OF_CONVERSATION)
    }
    return {**left, "response_format": form}


def is_finished(turn: Turn) -> bool:
    """Whether nothing has to be run or decided before the form can be written."""
    return not turn.function_calls and not turn.pending_confirmations


def join_form(found: Turn, written: Turn) -> Turn:
    """The form as the text of the turn that used the tools, behind what these did; the tokens of both.

    It stands for the first turn, which is the one that may be kept, so that the conversation goes on from it.
    """
    chunks = [chunk for message in found.messages for chunk in message.chunks]
    sources = [chunk for chunk in chunks if chunk.get("type") == "tool_reference"]
    others = [chunk for chunk in chunks if chunk.get("type") not in ("text", "tool_reference")]
    content: Any = [*others, {"type": "text", "text": written.text}, *sources]
    last: JsonDict = found.messages[-1].raw if found.messages else {"type": "message.output"}
    raw = {**last, "id": found.last_entry_id, "content": content if others or sources else written.text}
    done = [entry for entry in found.entries if entry not in found.messages]
    usage = replace(found.usage + written.usage, raw={**found.usage.raw, **written.usage.raw})
    return replace(found, entries=[*done, parse_entry(raw)], usage=usage)
