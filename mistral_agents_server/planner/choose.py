"""Which functions the planner calls, by what the input asks and the results so far."""

from __future__ import annotations

import re
from typing import Any

from mistral_agents_server.planner import arithmetic, compute
from mistral_agents_server.planner.compose import listed_passages
from mistral_agents_server.planner.extract import content_words, scores, words
from mistral_agents_server.planner.reading import Reading
from mistral_agents_server.planner.schemas import arguments
from mistral_agents_server.strict_json import read_json

Wire = dict[str, Any]
Call = tuple[str, Wire]

HOSTED = frozenset(
    {
        "code_interpreter",
        "web_search",
        "news_search",
        "open_url",
        "library_search",
        "library_list_documents",
        "open_library_result",
        "generate_image",
    }
)

_URL = re.compile(r"https?://[^\s)\]>\"'`]+")
_IMAGE = frozenset(words("image picture illustration photo drawing painting logo icon"))
_MAKE = frozenset(words("draw generate create make paint render illustrate sketch design"))
_VERBS = frozenset(
    words("get set run do call fetch make create use tool function transfer agent hand over conversation")
)
_NEEDED = 2
_LONGEST_CODE = 2000
"""Characters of an expression; Python's own parser gives up on much longer ones, the planner computes them itself."""


def choose(reading: Reading, tool_choice: str) -> list[Call]:
    """The calls to make now; none when it is time to answer."""
    if tool_choice == "none" or not reading.tools:
        return []
    if tool_choice == "required":
        return _named(reading) or [_forced(reading)]
    for attempt in (_code, _image, _page, _named, _matching, _search):
        found = attempt(reading)
        if found:
            return found
    return []


def _code(reading: Reading) -> list[Call]:
    """Run given code, or write some for numbers that are asked about; look the numbers up first if need be."""
    if not reading.offers("code_interpreter"):
        return []
    given = compute.fenced_code(reading.asked)
    if given is not None:
        return [("code_interpreter", {"code": given})]
    plot = compute.wants_plot(reading.question) or compute.wants_plot(reading.asked)
    if plot or compute.wants_statistics(reading.asked):
        series = _numbers(reading)
        if series is not None:
            return [("code_interpreter", {"code": compute.program(series, plot)})]
        return _look_up(reading) or _open(reading)
    written = arithmetic.expression(reading.asked)
    if written is None or len(written) > _LONGEST_CODE:
        return []
    return [("code_interpreter", {"code": f"print({written})"})]


def _numbers(reading: Reading) -> compute.Series | None:
    """Numbers of the input, else a table of what was opened, else one of what was found."""
    given = compute.series_in(reading.asked, reading.asked)
    if given is not None:
        return given
    opened = [result for result in reading.results if result.name in ("open_library_result", "open_url")]
    for result in [*opened, *(() if reading.offers("open_library_result") else reading.results)]:
        texts = [passage.text for passage in listed_passages(result) or []]
        for text in texts:
            found = compute.series_in(reading.asked, text)
            if found is not None:
                return found
    return None


def _open(reading: Reading) -> list[Call]:
    """Open the best document of a library search."""
    if not reading.offers("open_library_result"):
        return []
    for result in reading.results:
        if result.name != "library_search" or not listed_passages(result):
            continue
        for found in read_json(result.text).values():
            position = (found.get("metadata") or {}).get("relevant_snippet_positions_in_text", "0")
            return [
                (
                    "open_library_result",
                    {"document_id": found["url"], "relevant_snippet_positions_in_text": position},
                )
            ]
    return []


def _image(reading: Reading) -> list[Call]:
    asked = set(words(reading.asked))
    if reading.offers("generate_image") and asked & _MAKE and (asked & _IMAGE or "draw" in asked):
        return [("generate_image", {"prompt": reading.asked})]
    return []


def _page(reading: Reading) -> list[Call]:
    found = _URL.search(reading.asked)
    if reading.offers("open_url") and found is not None:
        return [("open_url", {"url": found[0].rstrip(".,;:?!")})]
    return []


def _search(reading: Reading) -> list[Call]:
    """Look for what is asked."""
    return _look_up(reading) if reading.asks else []


def _look_up(reading: Reading) -> list[Call]:
    """Look into the library, then, if that says nothing, into the web."""
    if not content_words(reading.question):
        return []
    if reading.offers("library_search"):
        return [("library_search", {"query": reading.question})]
    passages = [passage.text for result in reading.results for passage in listed_passages(result) or []]
    if reading.offers("web_search") and not any(score > 0 for score in scores(reading.question, passages)):
        return [("web_search", {"query": reading.question})]
    return []


def _own(reading: Reading) -> list[Wire]:
    """The functions that aren't the stand-in's hosted ones."""
    return [function for name, function in reading.tools.items() if name not in HOSTED]


def _named(reading: Reading) -> list[Call]:
    """The functions that the input calls by name, all of them."""
    named = [
        function
        for function in _own(reading)
        if reading.offers(function["name"]) and re.search(rf"\b{re.escape(function['name'])}\b", reading.asked)
    ]
    return [(function["name"], arguments(function, reading.asked)) for function in named]


def _matching(reading: Reading) -> list[Call]:
    """The one function whose name or description speaks of what is asked."""
    asked = content_words(reading.asked)
    rated = [(_rating(function, asked), function) for function in _own(reading) if reading.offers(function["name"])]
    top = max(rated, key=lambda pair: pair[0], default=(0, {}))
    return [(top[1]["name"], arguments(top[1], reading.asked))] if top[0] >= _NEEDED else []


def _rating(function: Wire, asked: set[str]) -> int:
    """How much of a function's name and description stands among the words that are asked."""
    name = content_words(re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_|-", " ", function["name"])) - _VERBS
    told = content_words(function.get("description") or "") - _VERBS - name
    return 2 * len(name & asked) + len(told & asked)


def _forced(reading: Reading) -> Call:
    """Some function, as one must be called: the best one not called yet, else the best one."""
    own = _own(reading) or list(reading.tools.values())
    fresh = [function for function in own if not reading.ran(function["name"])] or own
    asked = content_words(reading.asked)
    chosen = max(fresh, key=lambda function: _rating(function, asked))
    return chosen["name"], arguments(chosen, reading.asked)
