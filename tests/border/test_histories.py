"""What a stored conversation holds of messages, whatever a message is: here a text."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from mistral_agents._border.histories import ConvertedHistory, Identity, Ledger, Unsaved, count_new, count_shared
from mistral_agents.entries import Entry, parse_entries


def is_result(message: str) -> bool:
    return message.startswith("result")


def is_system(message: str) -> bool:
    return message.startswith("system")


def find_key(message: str) -> str | None:
    return message if message.startswith("answer") else None


TEXTS: Identity[str] = Identity(print_of=str, key_of=find_key, is_result=is_result, is_system=is_system)


def entry(kind: str, text: str) -> dict[str, Any]:
    return {"type": kind, "id": text, "content": text}


def make(group: list[Entry], before: str) -> tuple[str, str]:
    return "+".join(str(one.raw["content"]) for one in group), before + "."


def test_a_history_read_again_converts_only_what_is_new() -> None:
    held: ConvertedHistory[str] = ConvertedHistory()
    start = [entry("message.input", "q"), entry("message.output", "a"), entry("message.output", "b")]
    assert held.read(parse_entries(start), "c", make) == ["q", "a+b"]
    more = [*start, entry("message.input", "r")]
    assert held.read(parse_entries(more), "c", make) == ["q", "a+b", "r"]
    assert held.converted == 4
    assert held.read(parse_entries([*start, entry("message.output", "d")]), "c", make) == ["q", "a+b+d"]
    assert held.converted == 7, "an answer that grew is made anew"
    assert held.read(parse_entries(start), "another", make) == ["q", "a+b"]


def test_a_ledger_drops_what_the_service_turns_out_to_hold() -> None:
    ledger = Ledger(TEXTS, empty=True)
    ledger.add(["one", "two"])
    ledger.look(["one"])
    assert ledger.unsaved == ["two"]


def test_what_a_turn_brought_is_claimed_once() -> None:
    unsaved = Unsaved(TEXTS, ["system", "one"])
    unsaved.note_turn(["one", "result"], "answer")
    assert unsaved.messages == ["system"]
    assert [unsaved.claim(text) for text in ("answer", "answer", "one")] == [True, False, False]
    unsaved.begin_round()
    assert unsaved.claim("result"), "a result may be put in a later round"
    assert pickle.loads(pickle.dumps(unsaved)).messages == ["system"]


def test_what_two_lists_share_ends_at_the_first_difference() -> None:
    assert count_shared(["a", "b", "c"], ["a", "b", "d"], TEXTS) == 2
    assert count_shared(["a", "system"], ["a", "system"], TEXTS) == 1


@pytest.mark.parametrize(
    ("known", "now", "count"),
    [
        (["a", "b"], ["a", "b"], 0),
        (["a", "b"], ["a", "b", "c", "d"], 2),
        (["a", "b"], ["b", "c"], 1),
        (["a", "b"], ["a", "changed", "c"], None),
        (["a", "b"], [], None),
        ([], ["a"], None),
    ],
    ids=["nothing new", "two new", "cut off at its beginning", "edited", "begun anew", "nothing known"],
)
def test_what_a_memory_holds_behind_what_is_known_is_counted(known: list[str], now: list[str], count: int | None):
    assert count_new(known, now) == count
