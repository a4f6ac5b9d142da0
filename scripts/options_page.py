"""Writes `docs/options.md` from the table of options: `python -m scripts.options_page`; `--check` only compares."""

from __future__ import annotations

import sys
from pathlib import Path

from mistral_agents._border.options import TABLE, Option, Place

PAGE = Path(__file__).parents[1] / "docs" / "options.md"
_HEADS: dict[Place, str] = {
    "completion_args": "How an answer is made",
    "request": "Who answers, and what is kept",
    "client": "How the service is reached",
    "package": "Done here",
    "refused": "Refused by name",
}
_INTRO = """# Options

Written by `python -m scripts.options_page` from the table that both wings and `Conversation` read; do not edit.

An option means the same in `ChatMistralAgent`, `MistralAgentLLM` and `Conversation`, by each of its names. `None`
counts as not given. A name that is not here is refused with an error that says what was probably meant. Two names of
one option with different values are refused too. With `agent_id`, what an agent brings itself is refused at the
request, before it is sent, by an error that names it; constructors, `bind_tools` and `with_structured_output` take it.

*Where*: **m** the constructor of a model, **c** one call (`invoke`, `bind`, `chat`, …), **C** `Conversation`.
"""
_PLACES = {
    "completion_args": "Sent as the service's `completion_args`.",
    "request": "Sent as parts of the request.",
    "client": "Used by the HTTP client; a key is in no body, text form, dump or trace.",
    "package": "The service has no such option; this package does it.",
    "refused": "Other packages have these; here they can't be honoured.",
}
_BESIDE = {"sent": "as with a model", "enforced": "done here", "refused": "refused"}


def _row(option: Option) -> str:
    names = ", ".join(f"`{name}`" for name in (option.name, *option.aliases))
    if option.goes == "refused":
        return f"| {names} | {option.note} |"
    letters = {"constructor": "m", "call": "c", "conversation": "C"}
    where = " ".join(letter for place, letter in letters.items() if place in option.given)
    return f"| {names} | {where} | {_BESIDE[option.beside_agent]} | {option.note} |"


def render_page() -> str:
    """The page."""
    parts = [_INTRO]
    for place, head in _HEADS.items():
        columns = ["Names", "Why"] if place == "refused" else ["Names", "Where", "With `agent_id`", "What it does"]
        rows = [_row(option) for option in TABLE if option.goes == place]
        table = [f"| {' | '.join(columns)} |", f"|{'|'.join(['---'] * len(columns))}|", *rows]
        parts.append(f"## {head}\n\n{_PLACES[place]}\n\n" + "\n".join(table) + "\n")
    return "\n".join(parts)


def main() -> int:
    """Write the page, or say whether it is current."""
    page = render_page()
    if "--check" in sys.argv:
        return 0 if PAGE.read_text(encoding="utf-8") == page else 1
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
