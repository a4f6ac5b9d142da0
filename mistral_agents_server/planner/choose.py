"""Which functions the planner calls, by what the input asks and the results so far."""

from __future__ import annotations

import re
from typing import Any

from mistral_agents_server.planner import arithmetic, compute
from mistral_agents_server.planner.compose import WHOLE
from mistral_agents_server.planner.data import HOSTED, find_series, open_next
from mistral_agents_server.planner.extract import content_words, scores, words
from mistral_agents_server.planner.passages import list_passages
from mistral_agents_server.planner.reading import Reading
from mistral_agents_server.planner.schemas import arguments

Wire = dict[str, Any]
Call = tuple[str, Wire]

_URL = re.compile(r"https?://[^\s)\]>\"'`]+")
_IMAGE = frozenset(words("image picture illustration photo drawing painting logo icon poster banner sketch artwork"))
_MAKE = frozenset(words("draw generate create make paint render illustrate sketch design produce"))
_LOOK = frozenset(
    words("search find look check read research browse consult fetch get retrieve locate gather collect query up")
)
_WEB = frozenset(words("web internet online website news"))
_LIBRARY = frozenset(words("library libraries document documents doc docs file files archive"))
_TOPIC = frozenset(("for", "about", "on", "regarding", "concerning"))
_WITHIN = frozenset(("in", "on", "from", "within", "through"))
_COMPUTE = frozenset(
    words("calculate compute determine derive estimate mean average median deviation variance quartile")
)
_VERBS = frozenset(
    words("get set run do call fetch make create use tool function transfer agent hand over conversation")
)
_NEEDED = 2
_MOST_FINDINGS = 600
_LONGEST_CODE = 2000
"""Characters of an expression; Python's own parser gives up on much longer ones, the planner computes them itself."""


def choose(reading: Reading, tool_choice: str) -> list[Call]:
    """The calls to make now; none when it is time to answer.

    What the input asks for by name or description comes first: then nothing is computed or looked up here.
    """
    if tool_choice == "none" or not reading.tools:
        return []
    if tool_choice == "required":
        return _named(reading) or [_forced(reading)]
    for attempt in (_named, _given_code, _matching, _placed, _code, _image, _page, _search):
        found = attempt(reading)
        if found:
            return found
    return []


def _served(reading: Reading) -> bool:
    """Whether a function of the client has done what was asked."""
    return any(result.name not in HOSTED for result in reading.results)


def _given_code(reading: Reading) -> list[Call]:
    """Run the code that the input brings along."""
    given = compute.fenced_code(reading.asked)
    if given is None or not reading.offers("code_interpreter"):
        return []
    return [("code_interpreter", {"code": given})]


def _code(reading: Reading) -> list[Call]:
    """Write code for numbers that are asked about; look the numbers up first if need be."""
    if not reading.offers("code_interpreter"):
        return []
    plot = compute.wants_plot(reading.question) or compute.wants_plot(reading.asked)
    if plot or _wants_numbers(reading):
        found = find_series(reading)
        if found is not None:
            code = compute.program(found.series, plot=plot, growth=compute.wants_growth(reading.asked))
            return [("code_interpreter", {"code": code})]
        return (
            []
            if _served(reading)
            else open_next(reading)
            if reading.earlier
            else _look_up(reading) or open_next(reading)
        )
    written = arithmetic.expression(reading.asked)
    if written is None or len(written) > _LONGEST_CODE or _served(reading):
        return []
    return [("code_interpreter", {"code": f"print({written})"})]


def _wants_numbers(reading: Reading) -> bool:
    """Whether something is to be computed; who is sent to look for statistics need not compute any."""
    if _places(reading) and not set(words(reading.asked)) & _COMPUTE:
        return False
    return compute.wants_statistics(reading.asked) or compute.wants_growth(reading.asked)


def _image(reading: Reading) -> list[Call]:
    asked = set(words(reading.asked))
    pictured = asked & _IMAGE or "draw" in asked or any(word.endswith("graphic") for word in asked)
    if not (reading.offers("generate_image") and asked & _MAKE and pictured) or _served(reading):
        return []
    prompt = f"{reading.asked}\n{reading.findings[:_MOST_FINDINGS]}" if reading.findings else reading.asked
    return [("generate_image", {"prompt": prompt})]


def _page(reading: Reading) -> list[Call]:
    found = _URL.search(reading.asked)
    if reading.offers("open_url") and found is not None:
        return [("open_url", {"url": found[0].rstrip(".,;:?!")})]
    return []


def _places(reading: Reading) -> list[str]:
    """The searches for the places that an order to look somewhere names."""
    asked = words(reading.asked)
    if not asked or asked[0] not in _LOOK:
        return []
    found = []
    if _WEB & set(asked):
        found.append("news_search" if "new" in asked and reading.has("news_search") else "web_search")
    if _LIBRARY & set(asked):
        found.append("library_search")
    return [name for name in found if reading.has(name)]


def _placed(reading: Reading) -> list[Call]:
    """Look where the input says."""
    waiting = [name for name in _places(reading) if reading.offers(name)]
    return [(waiting[0], {"query": search_query(reading.question)})] if waiting else []


def search_query(text: str) -> str:
    """What is looked for, without the verb and the place: `kites` of `Search the web for kites`."""
    parts = text.split()
    if not parts or not set(words(parts[0])) & _LOOK:
        return text
    for place, part in enumerate(parts[1:12], 1):
        if part.lower() in _TOPIC and content_words(" ".join(parts[:place])) <= _LOOK | _WEB | _LIBRARY:
            parts = parts[place + 1 :]
            break
    for place in range(max(len(parts) - 4, 1), len(parts)):
        if parts[place].lower() in _WITHIN and set() < content_words(" ".join(parts[place:])) <= _WEB | _LIBRARY:
            return " ".join(parts[1 if set(words(parts[0])) & _LOOK else 0 : place])
    return " ".join(parts) or text


def _search(reading: Reading) -> list[Call]:
    """Look for what is asked."""
    done = any(reading.ran(name) for name in ("code_interpreter", "generate_image", *_places(reading)))
    back = reading.earlier and content_words(reading.question) <= WHOLE
    if done or back or _served(reading):
        return []
    return _look_up(reading) if reading.asks else []


def _look_up(reading: Reading) -> list[Call]:
    """Look into the library, then, if that says nothing, into the web."""
    if not content_words(reading.question):
        return []
    if reading.offers("library_search"):
        return [("library_search", {"query": reading.question})]
    passages = [passage.text for result in reading.results for passage in list_passages(result) or []]
    if reading.offers("web_search") and not any(score > 0 for score in scores(reading.question, passages)):
        return [("web_search", {"query": reading.question})]
    return []


def _own(reading: Reading) -> list[Wire]:
    """The functions that aren't the stand-in's hosted ones."""
    return [function for name, function in reading.tools.items() if name not in HOSTED]


def _named(reading: Reading) -> list[Call]:
    """The functions that the input calls by name, all of them."""
    prose = compute.without_fences(reading.asked)
    named = [
        function
        for function in _own(reading)
        if reading.offers(function["name"]) and re.search(rf"\b{re.escape(function['name'])}\b", prose)
    ]
    return [(function["name"], arguments(function, reading.asked)) for function in named]


def _matching(reading: Reading) -> list[Call]:
    """The one function whose name or description speaks of what is asked."""
    asked = content_words(compute.without_fences(reading.asked))
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
