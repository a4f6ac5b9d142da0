"""What the planner says: sentences it found, results it got, values it computed."""

from __future__ import annotations

import json
import re
from typing import Any

from mistral_agents_server.planner import arithmetic, schemas
from mistral_agents_server.planner.data import find_series
from mistral_agents_server.planner.extract import best, content_words, sentences, words
from mistral_agents_server.planner.passages import list_passages
from mistral_agents_server.planner.reading import Passage, Reading, Result
from mistral_agents_server.planner.tasks import split_tasks

Wire = dict[str, Any]

READ = "No language model is answering here, only the stand-in's planner. It read: "
NOTHING = "Nothing in the passages that were found answers this."
SAID = "You said: "
DRAWN = "Here is the image."

_MAX_QUOTE = 300
_SPEECH = frozenset(words("say said ask asked tell told message talk mention write wrote"))
_BACK = frozenset(words("above earlier previous previously based"))
"""Whoever points back wants to hear what was found, even where it fits the question only a little."""
_FIRST = frozenset(words("first begin beginning start"))
WHOLE = frozenset(
    words(
        "summarise summarize summary overview topic text document passage page main idea content"
        " finding findings result results"
    )
)
"""Who asks with such words only asks about all that there is."""
_LETTER = re.compile(r"[^\W\d_]")
_KEYS = re.compile(r"['\"`](\w+)['\"`]")
_MIN_SCORE = 0.34
_MIN_TASK_SCORE = 0.15
"""Of a task's search the best is told in any case: whoever gives several tasks reads several answers."""
_MOST_DECODED = 4_000_000
"""Characters of braces that are no JSON, read in search of a schema: each of them begins a new attempt."""


def text_answer(reading: Reading) -> str:
    """The answer in words."""
    if reading.results:
        return _from_results(reading)
    if reading.passages and (found := _from_passages(reading)):
        return found
    return _computed(reading) or _from_earlier(reading) or remembered(reading) or _nothing_known(reading)


def task_answers(parts: list[Reading]) -> str:
    """The answers to several tasks, each below its task."""
    told = ((part.asked if part.asked.endswith("?") else f"{part.asked}:", text_answer(part)) for part in parts)
    return "\n\n".join(f"{number}. {asked}\n{answer}" for number, (asked, answer) in enumerate(told, 1))


def _from_earlier(reading: Reading) -> str | None:
    """A task that needs no call is answered from what the tasks before it found."""
    passages = [one for result in reading.earlier for one in list_passages(result, named=True) or []]
    if not passages:
        return None
    if content_words(reading.question) & WHOLE and reading.findings:
        return reading.findings
    return _extract(reading, passages) or None


def _from_passages(reading: Reading) -> str:
    """The best sentences; for a question about the whole, its first ones."""
    if content_words(reading.question) <= WHOLE:
        whole = [sentence for passage in reading.passages for sentence in sentences(passage.text)]
        return " ".join([sentence for sentence in whole if sentence.endswith(".") and " " in sentence][:2])
    return _extract(reading, reading.passages)


def _nothing_known(reading: Reading) -> str:
    if reading.passages or reading.is_task:
        return NOTHING
    return f"{READ}{_quote(reading.asked)}"


def _quote(text: str) -> str:
    flat = " ".join(text.split())
    return f'"{flat}"' if len(flat) <= _MAX_QUOTE else f'"{flat[:_MAX_QUOTE].rstrip()}…"'


def _computed(reading: Reading) -> str | None:
    written = arithmetic.expression(reading.asked)
    if written is not None:
        return f"{written} = {arithmetic.evaluate(written):.12g}"
    return None


def _from_results(reading: Reading) -> str:
    """What the results say: output of code as it is, found passages by extraction, anything else in its words."""
    said: list[str] = []
    passages: list[Passage] = []
    searched = False
    for result in reading.results:
        listed = list_passages(result, named=reading.is_task)
        if listed is None:
            said.append(DRAWN if _is_drawn(result) else _output(result, reading))
        else:
            passages.extend(listed)
            searched = True
    if searched and not reading.ran("code_interpreter"):
        said.append(_extract(reading, passages) or (remembered(reading) if not said else None) or NOTHING)
    return "\n".join(part for part in said if part) or "The call gave nothing back."


def _output(result: Result, reading: Reading) -> str:
    """A result in its own words; what code printed, with the source of its numbers when it is one task of several."""
    text = result.text.strip()
    if result.name != "code_interpreter":
        return text
    found = find_series(reading) if reading.is_task else None
    source = f"Source: {found.source}" if found is not None and found.source else ""
    return "\n".join(part for part in (text or "The code ran and printed nothing.", source) if part)


def _is_drawn(result: Result) -> bool:
    return result.name == "generate_image" and result.text.startswith("{")


def _extract(reading: Reading, passages: list[Passage], at_most: int = 2) -> str:
    """The best sentences of the passages, each with the mark of where it stands; empty when none fits."""
    marks: dict[str, str] = {}
    for passage in passages:
        for sentence in sentences(passage.text):
            marks.setdefault(sentence, passage.mark)
    candidates = list(marks)
    if reading.is_task:  # whoever asks for findings is not helped by headings
        candidates = [one for one in candidates if one.endswith((".", "!", "?", "|"))] or candidates
    chosen = best(reading.question, candidates, at_most, _MIN_TASK_SCORE if reading.is_task else _MIN_SCORE)
    return " ".join(f"{candidates[place]} {marks[candidates[place]]}".strip() for place in chosen)


def remembered(reading: Reading) -> str | None:
    """An answer out of what was said before, or out of the instructions."""
    if not reading.asks:
        return None
    users = [text for role, text in reading.said if role == "user"]
    asked = set(words(reading.question))
    if users and asked & _SPEECH and not content_words(reading.question) - _SPEECH - _FIRST - {"last", "previou"}:
        return f"{SAID}{_quote(users[0] if asked & _FIRST else users[-1])}"
    back = bool(asked & _BACK)
    told = [(role, text) for role, text in reversed(reading.said) if role == "assistant" or not back]
    if not (reading.is_task or back):
        told.append(("system", reading.system))
    headings = {task for text in users for task in split_tasks(text)}
    candidates = [
        (f"{SAID}{_quote(sentence)}" if role == "user" else sentence, sentence)
        for role, text in told
        for sentence in sentences(text)
        if not sentence.endswith("?")
        and not text.startswith((READ, NOTHING, SAID))
        and sentence.rstrip(":") not in headings
        if _LETTER.search(sentence)
    ]
    at_least = _MIN_TASK_SCORE if back else _MIN_SCORE
    chosen = best(reading.question, [sentence for _, sentence in candidates], 1, at_least)
    if not chosen and back and candidates:
        chosen = [0]
    return candidates[chosen[0]][0] if chosen else None


def json_answer(reading: Reading, response_format: Wire) -> str:
    """The answer as JSON: by the schema given, one found in the input, or the keys it names."""
    context = "\n".join([reading.asked, *(result.text for result in reading.results)])
    given = (response_format.get("json_schema") or {}).get("schema") or embedded_schema(
        f"{reading.system}\n{reading.asked}"
    )
    if given is not None:
        filled = schemas.fill(given, context)
    else:
        keys = dict.fromkeys(_KEYS.findall(reading.asked))
        filled = {key: text_answer(reading) for key in keys or {"answer": None}}
    return json.dumps(filled, ensure_ascii=False)


def embedded_schema(text: str) -> Wire | None:
    """The last JSON object in a text that is a schema with properties."""
    if '"properties"' not in text:
        return None
    decoder = json.JSONDecoder()
    found: Wire | None = None
    place, budget = text.find("{"), _MOST_DECODED
    while place >= 0 and budget > 0:
        try:
            value, end = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            budget -= error.pos - place + 1
            place = text.find("{", place + 1)
            continue
        except RecursionError:
            return found  # nested deeper than any schema
        if isinstance(value, dict) and isinstance(value.get("properties"), dict):
            found = value
        place = text.find("{", end)
    return found
