"""A message that lists several things to do, taken apart into tasks."""

from __future__ import annotations

import re

from mistral_agents_server.planner.extract import words

_ITEM = re.compile(r"(?P<indent>[^\S\n]*)(?:\(?(?:\d{1,3}|[a-zA-Z])[.)]|[-*•–])[^\S\n]+(?P<text>\S.*)")
_COUNTED = re.compile(r"([^\S\n]*\(?)(\d{1,3})([.)][^\S\n]+)(?=\S)")
_NUMBERED = re.compile(r"(?<!\S)(\d{1,2})[.)](?=[^\S\n]+\S)")
_STEP = re.compile(
    r"(?:[,;.]? (?:and )?then,? |[.;] (?:after that|afterwards|next|finally|lastly|second|secondly|third|thirdly),? )",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"\A(?:(?:please|first(?:ly)?|second(?:ly)?|third(?:ly)?|then|next|finally|lastly|also|and|now|step \d+)\b"
    r"[,:]? *)+",
    re.IGNORECASE,
)
_LABEL = re.compile(r"\w+[^\S\n]*:")
"""A word and a colon begin a fact, not a task."""
_EMPHASIS = re.compile(r"\*\*([^*]+)\*\*|__([^_]+)__")
_VERBS = frozenset(
    words(
        """
        add analyse analyze ask assess browse build call check classify collect combine compare compile compute
        calculate consult convert create cite define derive describe design determine discuss draft draw evaluate
        examine execute explain explore extract fetch find gather generate get give identify illustrate inspect
        investigate list locate look make multiply open outline paint plot predict prepare print produce propose provide
        read recommend render research retrieve return review run say search show sketch solve sort subtract suggest sum
        summarise summarize tell transfer translate turn update use verify visualise visualize write
        """
    )
)
_ASKING = frozenset(words("what who whom whose when where which why how is are does do did can should"))
_LONGEST_LIST = 8000
_LONGEST_CHAIN = 2000
_FEWEST = 2


def split_tasks(text: str) -> list[str]:
    """The tasks of a message, without their numbers; empty when it is no list of tasks.

    A list is one of tasks when most of its items begin with a verb or ask something, and when it makes up most of
    the message: a list within a text is part of the text. Without a list, steps are parted by words such as `then`.
    """
    items = _listed(text) if len(text) <= _LONGEST_LIST else []
    if not items and len(text) <= _LONGEST_CHAIN:
        items = _chained(text)
    asked = [item for item in items if _is_task(item)]
    return items if len(asked) >= _FEWEST and 2 * len(asked) > len(items) else []


def _listed(text: str) -> list[str]:
    """The items of the outermost list, each with what is indented below it."""
    items: list[str] = []
    outermost, others = -1, 0
    for line in filter(str.strip, _break_before_numbers(text).splitlines()):
        found = _ITEM.fullmatch(line)
        indent = len(line) - len(line.lstrip())
        if found is not None and (outermost < 0 or indent <= outermost):
            outermost = indent if outermost < 0 else outermost
            items.append(_plain(found["text"]))
        elif items and indent > outermost:
            items[-1] += f" {_plain(line.strip())}"
        else:
            others += 1
    return items if len(items) >= others or 2 * sum(map(len, items)) > len(text) else []


def _break_before_numbers(text: str) -> str:
    """The text with a line for each item of a list that is counted within a line: `1. read 2. write`."""
    expected, pieces, last = 1, [], 0
    for found in _NUMBERED.finditer(text):
        if int(found[1]) not in (1, expected):
            continue
        expected = int(found[1]) + 1
        before = text[last : found.start()]
        pieces.append(before)
        last = found.start()
        if before.strip() and "\n" not in before[len(before.rstrip()) :]:
            pieces.append("\n" + _indent_of(text, last))
    return "".join([*pieces, text[last:]])


def _indent_of(text: str, place: int) -> str:
    """The blanks at the beginning of the line that a place is in."""
    line = text[text.rfind("\n", 0, place) + 1 : place]
    return line[: len(line) - len(line.lstrip())]


def _chained(text: str) -> list[str]:
    """Steps that words such as `then` part; all of them must be told as steps."""
    steps = [_plain(step) for step in _STEP.split(" ".join(text.split()))]
    return steps if len(steps) >= _FEWEST and all(map(_is_task, steps)) else []


def _plain(text: str) -> str:
    """A task without marks of emphasis and the words that only say its place."""
    return _LEAD.sub("", _EMPHASIS.sub(r"\1\2", text).strip(), count=1).strip(" .;,")


def _is_task(text: str) -> bool:
    if _LABEL.match(text):
        return False
    first = words(text)[:1]
    return text.endswith("?") or (bool(first) and (first[0] in _VERBS or first[0] in _ASKING))


def without_list_numbers(text: str) -> str:
    """The text without the numbers that only count the items of a list: from 1 up, one by one."""
    lines = text.split("\n")
    counted: list[tuple[int, str]] = []
    runs: list[list[tuple[int, str]]] = []
    for place, line in enumerate(lines):
        found = _COUNTED.match(line)
        if found is None:
            continue
        number = int(found[2])
        if number == 1 or number != len(counted) + 1:
            counted = []
            runs.append(counted)
        if number == len(counted) + 1:
            counted.append((place, line[found.end() :]))
    for run in runs:
        if len(run) >= _FEWEST:
            for place, rest in run:
                lines[place] = rest
    return "\n".join(lines)
