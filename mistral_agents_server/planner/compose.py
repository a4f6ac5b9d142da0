"""What the planner says: sentences it found, results it got, values it computed."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from mistral_agents_server.planner import arithmetic, schemas
from mistral_agents_server.planner.extract import best, content_words, sentences, words
from mistral_agents_server.planner.reading import Passage, Reading, Result
from mistral_agents_server.strict_json import read_json

Wire = dict[str, Any]

READ = "No language model is answering here, only the stand-in's planner. It read: "
NOTHING = "Nothing in the passages that were found answers this."
SAID = "You said: "
DRAWN = "Here is the image."

_TAG = re.compile(r"</?strong>")
_MAX_QUOTE = 300
_SPEECH = frozenset(words("say said ask asked tell told message talk mention write wrote"))
_FIRST = frozenset(words("first begin beginning start"))
_WHOLE = frozenset(words("summarise summarize summary overview topic text document passage page main idea content"))
_KEYS = re.compile(r"['\"`](\w+)['\"`]")
_MIN_SCORE = 0.34
_MOST_DECODED = 4_000_000
"""Characters of braces that are no JSON, read in search of a schema: each of them begins a new attempt."""


def text_answer(reading: Reading) -> str:
    """The answer in words."""
    if reading.results:
        return _from_results(reading)
    if reading.passages and (found := _from_passages(reading)):
        return found
    return _computed(reading) or remembered(reading) or _nothing_known(reading)


def _from_passages(reading: Reading) -> str:
    """The best sentences; for a question about the whole, its first ones."""
    if content_words(reading.question) <= _WHOLE:
        whole = [sentence for passage in reading.passages for sentence in sentences(passage.text)]
        return " ".join([sentence for sentence in whole if sentence.endswith(".") and " " in sentence][:2])
    return _extract(reading.question, reading.passages, at_most=2)


def _nothing_known(reading: Reading) -> str:
    if reading.passages:
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
    for result in reading.results:
        listed = listed_passages(result)
        if listed is None:
            said.append(DRAWN if _is_drawn(result) else result.text.strip())
        else:
            passages.extend(listed)
    if reading.ran("code_interpreter"):
        outputs = [result.text.strip() for result in reading.results if result.name == "code_interpreter"]
        return "\n".join(output for output in outputs if output) or "The code ran and printed nothing."
    if passages:
        said = [_extract(reading.question, passages, at_most=2) or remembered(reading) or NOTHING]
    return "\n".join(part for part in said if part) or "The call gave nothing back."


def _is_drawn(result: Result) -> bool:
    return result.name == "generate_image" and result.text.startswith("{")


def listed_passages(result: Result) -> list[Passage] | None:
    """The passages that a search or an opened page gave; None when the result is something else."""
    try:
        parsed = read_json(result.text)
    except ValueError:
        return None
    if not isinstance(parsed, dict):
        return None
    if isinstance(parsed.get("content"), str) and "can_open" in parsed:
        return [Passage(_clean(parsed["content"]))]
    if not all(isinstance(value, dict) and "snippets" in value for value in parsed.values()):
        return None
    return [
        Passage(_clean(snippet), f"[[{key}]]" if str(value.get("url", "")).startswith("http") else "")
        for key, value in parsed.items()
        for snippet in value["snippets"]
        if snippet != value.get("title")
    ]


def _clean(text: str) -> str:
    return html.unescape(_TAG.sub("", text))


def _extract(question: str, passages: list[Passage], at_most: int) -> str:
    """The best sentences of the passages, each with the mark of where it stands; empty when none fits."""
    marks: dict[str, str] = {}
    for passage in passages:
        for sentence in sentences(passage.text):
            marks.setdefault(sentence, passage.mark)
    candidates = list(marks)
    chosen = best(question, candidates, at_most, _MIN_SCORE)
    return " ".join(f"{candidates[place]} {marks[candidates[place]]}".strip() for place in chosen)


def remembered(reading: Reading) -> str | None:
    """An answer out of what was said before, or out of the instructions."""
    if not reading.asks:
        return None
    users = [text for role, text in reading.said if role == "user"]
    asked = set(words(reading.question))
    if users and asked & _SPEECH and not content_words(reading.question) - _SPEECH - _FIRST - {"last", "previou"}:
        return f"{SAID}{_quote(users[0] if asked & _FIRST else users[-1])}"
    candidates = [
        (f"{SAID}{_quote(sentence)}" if role == "user" else sentence, sentence)
        for role, text in [*reversed(reading.said), ("system", reading.system)]
        for sentence in sentences(text)
        if not sentence.endswith("?") and not text.startswith((READ, NOTHING, SAID))
    ]
    chosen = best(reading.question, [sentence for _, sentence in candidates], 1, _MIN_SCORE)
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
