"""A message that lists several tasks is worked task by task: issue 15, point 6."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest

import mistral_agents_server.planner
from mistral_agents_server.planner import compute
from mistral_agents_server.planner.choose import search_query
from mistral_agents_server.planner.tasks import split_tasks, without_list_numbers

from .test_core_planner import CODE, DRAW, OPEN, PRICE, SEARCH, TIDE, WEB, ask, found

URL = {"name": "open_url", "parameters": {"type": "object"}}
TABLE = "Year | Boats\n2022 | 10\n2023 | 15\n2024 | 12"


_ids = itertools.count()


def ran(name, text, arguments=None):
    """A call and its result, by an id of its own."""
    key = f"call{next(_ids)}"
    call = {"id": key, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments or {})}}
    return [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": key, "content": text},
    ]


@pytest.mark.parametrize(
    ("text", "tasks"),
    [
        ("1. Find owls\n2. Draw one", ["Find owls", "Draw one"]),
        ("I want to know:\n\n  1) Find owls\n  2) Draw one\n\nThanks a lot!", ["Find owls", "Draw one"]),
        ("- Find owls\n* Draw one", ["Find owls", "Draw one"]),
        ("a) What are owls?\nb) Where do they live?", ["What are owls?", "Where do they live?"]),
        ("1. **Find** owls:\n   - of the wood\n2. Draw one.", ["Find owls: - of the wood", "Draw one"]),
        ("Do this: 1. Find owls 2. Draw one 3. Calculate 2. 5 + 1", ["Find owls", "Draw one", "Calculate 2. 5 + 1"]),
        ("Find owls, then draw one", ["Find owls", "draw one"]),
        ("First, find owls. Then draw one; finally, tell me why.", ["find owls", "draw one", "tell me why"]),
        ("1. Calculate 3 * 4\n2. Compute 2 ** 5", ["Calculate 3 * 4", "Compute 2 ** 5"]),
        ("What is an owl?", []),
        ("1. Find owls", []),
        ("- eggs\n- milk\nHow many are there?", []),
        ("- name: Ada\n- city: Paris", []),
        ("If it rains then stay", []),
        ("Owls fly, then they rest", []),
        ("1. 5\n2. 7\n3. 12", []),
        ("The text is long and has a list in it.\n" * 9 + "- Find owls\n- Draw one", []),
    ],
)
def test_a_list_of_tasks_is_told_from_other_lists(text, tasks):
    assert split_tasks(text) == tasks


def test_a_prompt_with_passages_is_no_list_of_tasks():
    prompt = "1. Find owls\n2. Draw one\n\nQuestion: What is to be drawn?"
    assert ask(prompt, tools=[SEARCH])[1] == [("library_search", {"query": "What is to be drawn?"})]
    ruled = "Text:\n-----\n1. Find owls\n2. Draw one\n-----\nWhat is it?"
    assert not ask(ruled, *ran("library_search", "{}"), tools=[SEARCH])[0].startswith("1.")


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("1. 5\n2. 7\n3. 12", "5\n7\n12"),
        ("mean:\n1) 5 kg\n2) 7 kg", "mean:\n5 kg\n7 kg"),
        ("3. 5\n4. 7", "3. 5\n4. 7"),
        ("1. 5", "1. 5"),
        ("1.5\n2.5", "1.5\n2.5"),
    ],
)
def test_list_numbers_are_no_data(text, rest):
    assert without_list_numbers(text) == rest


def test_numbers_of_a_list_are_computed_without_its_own():
    ((name, arguments),) = ask("The mean of these:\n1. 5\n2. 7\n3. 12", tools=[CODE])[1]
    assert name == "code_interpreter"
    assert "[5, 7, 12]" in arguments["code"]
    assert ask("1. Find the mean\n2. Find the median\n3. Plot it", tools=[CODE])[1] == []


@pytest.mark.parametrize(
    ("order", "query"),
    [
        ("Search the web for grey owls", "grey owls"),
        ("Check our document library for the rules of the house", "the rules of the house"),
        ("Find grey owls in our documents", "grey owls"),
        ("Look up the rules for dogs", "Look up the rules for dogs"),
        ("Search", "Search"),
        ("Grey owls", "Grey owls"),
    ],
)
def test_a_search_is_made_for_what_is_looked_for(order, query):
    assert search_query(order) == query


def test_who_is_sent_to_the_web_goes_to_the_web_and_computes_nothing():
    tools = [CODE, SEARCH, OPEN, WEB, URL]
    asked = "Search the web for statistics of boats"
    assert ask(asked, tools=tools)[1] == [("web_search", {"query": "statistics of boats"})]
    page = ran("web_search", found("Boats: 3, 5 and 9 in all.", "https://a.test/"))
    assert ask(asked, *page, tools=tools)[1] == []
    assert ask("Check our files for statistics of boats", tools=tools)[1][0][0] == "library_search"


def test_tasks_are_worked_one_by_one_each_with_its_tool():
    """The whole way of a list: searches, a table that is opened, growth, a plot, a picture, and the answers."""
    asked = (
        "About boats:\n1. Search the web for news of boats\n2. Check our documents for the harbour\n"
        "3. Calculate the growth rates of boats\n4. Plot them\n5. Draw a picture of the findings\n6. Summarise the findings"
    )
    tools, log = [CODE, SEARCH, OPEN, WEB, URL, DRAW], []

    def turn(name, arguments):
        text, calls = ask(asked, *log, tools=tools)
        assert (text, [called for called, _ in calls]) == ("", [name])
        assert {key: calls[0][1][key] for key in arguments} == arguments
        return calls[0][1]

    turn("web_search", {"query": "news of boats"})
    log += ran("web_search", found("Boats are new here.", "https://a.test/"), {"query": "news of boats"})
    turn("library_search", {"query": "the harbour"})
    log += ran("library_search", found("The harbour is deep."), {"query": "the harbour"})
    turn("open_url", {"url": "https://a.test/"})
    page = {"url": "https://a.test/", "content": TABLE, "can_open": True, "title": "t"}
    log += ran("open_url", json.dumps(page), {"url": "https://a.test/"})
    code = turn("code_interpreter", {})["code"]
    assert "'Boats': [10, 15, 12]" in code
    log += ran("code_interpreter", "Boats, 2023: 10 to 15, +50.0%", {"code": code})
    plot = turn("code_interpreter", {})["code"]
    assert "plt.show()" in plot
    log += ran("code_interpreter", "plotted", {"code": plot})
    prompt = turn("generate_image", {})["prompt"]
    assert prompt.startswith("Draw a picture of the findings\n")
    assert "Boats are new here." in prompt
    log += ran("generate_image", '{"url": "https://a.test/p"}', {"prompt": prompt})
    text, calls = ask(asked, *log, tools=tools)
    assert calls == []
    parts = re.split(r"\n\n(?=\d\. )", text)
    assert parts[0] == "1. Search the web for news of boats:\nBoats are new here. [[k3yk3yk3]]"
    assert parts[1] == "2. Check our documents for the harbour:\nThe harbour is deep. (t)"
    assert parts[2].endswith("Boats, 2023: 10 to 15, +50.0%\nSource: t [[k3yk3yk3]]")
    assert parts[3].startswith("4. Plot them:\nplotted")
    assert parts[4].endswith("Here is the image.")
    assert "The harbour is deep." in parts[5]


def test_a_task_without_an_answer_says_so_and_the_others_are_answered():
    asked = "1. Find grey owls\n2. Calculate 6 * 7"
    assert ask(asked, *ran("library_search", "{}", {"query": "grey owls"}), tools=[SEARCH])[0] == (
        "1. Find grey owls:\nNothing in the passages that were found answers this.\n\n2. Calculate 6 * 7:\n6 * 7 = 42"
    )


def test_when_calls_are_over_the_tasks_are_answered_from_what_is_there():
    asked = "1. Search the web for owls\n2. Draw an owl"
    log = ran("web_search", found("Owls hunt.", "https://a.test/"), {"query": "owls"})
    text, calls = ask(asked, *log, tools=[WEB, DRAW], choice="none")
    assert calls == []
    assert "Owls hunt." in text


def test_a_forced_call_is_told_too():
    asked = "1. Calculate 6 * 7\n2. Calculate 2 * 3"
    ((name, arguments),) = ask(asked, tools=[TIDE], choice="required")[1]
    text, calls = ask(asked, *ran(name, "at noon", arguments), tools=[TIDE])
    assert calls == []
    assert "42" in text
    assert "at noon" in text


def test_an_offered_function_comes_before_the_planner_s_own_computing():
    times = {
        "name": "multiply",
        "description": "Multiplies.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    }
    told = {**times, "name": "f", "description": "Compute the product of numbers."}
    for tools in ([CODE, times], [times, CODE]):
        assert ask("Multiply 6 by 7", tools=tools)[1] == [("multiply", {"a": 6, "b": 7})]
    assert ask("Compute the product of numbers: 6 * 7", tools=[CODE, told])[1] == [("f", {"a": 6, "b": 7})]
    assert ask("Use multiply(a=6, b=7), do not draw", tools=[CODE, DRAW, times])[1][0][0] == "multiply"
    asked = "Multiply 6 by 7"
    assert ask(asked, *ran("multiply", "42", {"a": 6, "b": 7}), tools=[CODE, times, SEARCH, WEB]) == ("42", [])
    assert ask("What is 6 * 7?", tools=[CODE, PRICE])[1] == [("code_interpreter", {"code": "print(6 * 7)"})]


def test_a_function_s_numbers_are_plotted():
    sold = {"name": "sold_tickets", "description": "Tickets sold each day.", "parameters": {"type": "object"}}
    asked = "Plot what sold_tickets gives"
    assert ask(asked, tools=[CODE, sold])[1] == [("sold_tickets", {})]
    ((name, arguments),) = ask(asked, *ran("sold_tickets", "[3, 5, 9]"), tools=[CODE, sold])[1]
    assert name == "code_interpreter"
    assert "[3, 5, 9]" in arguments["code"]


def test_growth_runs_forwards_in_time():
    series = compute.series_in("growth", "Year | Boats\n2024 | 12\n2023 | 15\n2022 | 10")
    code = compute.program(series, plot=False, growth=True)
    shown = {}
    exec(code, {"print": lambda line: shown.setdefault(len(shown), line)})
    assert list(shown.values()) == ["Boats, 2023: 10 to 15, +50.0%", "Boats, 2024: 15 to 12, -20.0%"]


def test_a_longer_run_of_prose_does_not_hide_a_table():
    prose = "Boats came, they say.\nBoats went, they say.\nBoats stayed, they say.\nBoats sank, they say.\nIt rained, then.\n"
    assert compute.series_in("growth", f"{prose}\n{TABLE}").columns == {"Boats": [10, 15, 12]}


def test_the_planner_has_no_word_of_the_guide_s_example():
    source = "".join(path.read_text() for path in Path(mistral_agents_server.planner.__file__).parent.glob("*.py"))
    for word in ("renewable", "energy", "strategy", "infographic", "trend", "year-over-year", "comprehensive"):
        assert word not in source.lower()
