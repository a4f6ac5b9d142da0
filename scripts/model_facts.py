"""Renews the table of models' facts from `GET /v1/models`: `python -m scripts.model_facts`, with a key.

Rows of models that the service no longer lists are kept, since code names them still.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mistral_agents._api.model_facts import FACTS, ModelFacts, facts_of_card

PLACE = Path(__file__).parent.parent / "mistral_agents" / "_api" / "model_facts.py"
MARK = "FACTS: dict[str, ModelFacts] = {\n"


def read_facts(listed: Iterable[Mapping[str, Any]]) -> dict[str, ModelFacts]:
    """The facts of the chat models that the service lists, under their names and aliases."""
    found: dict[str, ModelFacts] = {}
    for card in listed:
        facts = facts_of_card(card)
        if facts is not None:
            found.update(dict.fromkeys([str(card.get("id")), *(card.get("aliases") or ())], facts))
    return found


def write_rows(facts: Mapping[str, ModelFacts]) -> str:
    """The table as Python."""
    lines = []
    for name, fact in sorted(facts.items()):
        said = {"images": fact.images, "reasoning": fact.reasoning}
        words = [f"{word}=True" for word, value in said.items() if value]
        words += [] if fact.functions else ["functions=False"]
        lines.append(f'    "{name}": ModelFacts({", ".join([str(fact.context), *words])}),\n')
    return MARK + "".join(lines) + "}\n"


def renew(source: str, listed: Iterable[Mapping[str, Any]]) -> str:
    """The module's source with the table renewed."""
    return source[: source.index(MARK)] + write_rows({**FACTS, **read_facts(listed)})


def main() -> None:
    """Ask the service and write the table."""
    from mistral_agents import MistralAgents

    cards = MistralAgents().models.list()
    before = PLACE.read_text()
    after = renew(before, cards)
    PLACE.write_text(after)
    sys.stdout.write("renewed\n" if after != before else "nothing new\n")


if __name__ == "__main__":
    main()
