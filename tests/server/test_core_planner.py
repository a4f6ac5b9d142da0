"""The planner's rules, one by one."""

from __future__ import annotations

import json

import pytest

from mistral_agents_server.planner import Planner, arithmetic, compute, schemas
from mistral_agents_server.planner.extract import sentences
from mistral_agents_server.planner.reading import split_question
from mistral_agents_server.thinking import CallPart, ChatRequest, Text

CODE = {"name": "code_interpreter", "parameters": {"type": "object", "properties": {"code": {"type": "string"}}}}
SEARCH = {"name": "library_search", "parameters": {"type": "object"}}
OPEN = {"name": "open_library_result", "parameters": {"type": "object"}}
WEB = {"name": "web_search", "parameters": {"type": "object"}}
DRAW = {"name": "generate_image", "parameters": {"type": "object"}}
PRICE = {
    "name": "ticket_price",
    "description": "Price of a train ticket to a town.",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
}
TIDE = {"name": "tide_table", "description": "High water times.", "parameters": {"type": "object", "properties": {}}}


def ask(*messages, tools=(), choice="auto", **args):
    """The text and the calls that the planner gives."""
    listed = [{"role": "user", "content": m} if isinstance(m, str) else m for m in messages]
    wired = [{"type": "function", "function": tool} for tool in tools]
    text, calls = "", {}
    for part in Planner().think(ChatRequest("m", listed, wired, choice, args)):
        if isinstance(part, Text):
            text += part.text
        elif isinstance(part, CallPart):
            name, arguments = calls.get(part.index, ("", ""))
            calls[part.index] = (name + (part.name or ""), arguments + part.arguments)
    return text, [(name, json.loads(arguments)) for name, arguments in calls.values()]


def ran(name, text, arguments=None):
    call = {"id": name, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments or {})}}
    return [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": name, "content": text},
    ]


def found(text, url="11111111-1111-4111-8111-111111111111"):
    return json.dumps({"k3yk3yk3": {"url": url, "title": "t", "snippets": [text, "t"], "metadata": {}}})


def test_the_same_input_gives_the_same_answer():
    assert ask("Hello there") == ask("Hello there")
    assert "Hello there" in ask("Hello there")[0]


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("What is the name of my boat?", "Petrel"),
        ("Where does my sister live?", "Bergen"),
        ("What did I say first?", "Petrel"),
        ("What was my last message?", "Bergen"),
    ],
)
def test_it_remembers_by_quoting(question, word):
    history = ["My boat is called Petrel, a fine name.", {"role": "assistant", "content": "ok"}]
    assert word in ask(*history, "My sister lives in Bergen.", {"role": "assistant", "content": "ok"}, question)[0]


def test_a_statement_is_not_answered_from_memory():
    assert "Petrel" not in ask("My boat is called Petrel.", "My boat is old.")[0]


@pytest.mark.parametrize(
    "prompt",
    [
        "Context is below.\n-----\nThe owl is white.\n\nThe hare is brown.\n-----\nQuery: What colour is the hare?\nAnswer: ",
        "Use this context:\nThe owl is white. The hare is brown.\n\nQuestion: What colour is the hare?",
        "The owl is white. The hare is brown. Both are shy. What colour is the hare?",
    ],
)
def test_it_answers_from_passages_in_the_input(prompt):
    assert ask(prompt)[0] == "The hare is brown."


def test_numbered_sources_are_cited():
    prompt = "Source 1:\nThe owl is white.\n\nSource 2:\nThe hare is brown.\n\nQuery: What colour is the hare?\nAnswer:"
    assert ask(prompt)[0] == "The hare is brown. [2]"


def test_an_example_before_the_rulers_is_not_a_source():
    prompt = "Example: What is red?\n----\nThe owl is white.\n----\nQuery: What is white?"
    assert [passage.text for passage in split_question(prompt)[1]] == ["The owl is white."]


@pytest.mark.parametrize(
    ("text", "written", "value"),
    [
        ("What is 12*11?", "12*11", 132),
        ("(2 + 3) * 4 please", "(2 + 3) * 4", 20),
        ("multiply 6 by 7", "6 * 7", 42),
        ("subtract 3 from 10", "10 - 3", 7),
        ("what is 9 plus 1.5", "9 + 1.5", 10.5),
        ("on 2024-12-25", None, None),
        ("pages 3-4", None, None),
        ("1 / 0", None, None),
        ("9**9**9**9", None, None),
    ],
)
def test_arithmetic(text, written, value):
    assert arithmetic.expression(text) == written
    if written is not None:
        assert arithmetic.evaluate(written) == value


def test_arithmetic_is_done_by_the_interpreter_where_there_is_one():
    assert ask("What is 12*11?")[0] == "12*11 = 132"
    assert ask("What is 12*11?", tools=[CODE])[1] == [("code_interpreter", {"code": "print(12*11)"})]


def test_given_code_is_run_as_it_is():
    assert ask("Run:\n```python\nx = 1\nprint(x)\n```", tools=[CODE])[1] == [
        ("code_interpreter", {"code": "x = 1\nprint(x)"})
    ]


def run(code):
    out = []
    exec(
        compile(code.partition("import matplotlib")[0], "x", "exec"),
        {"print": lambda *a: out.append(" ".join(map(str, a)))},
    )
    return "\n".join(out)


def test_statistics_of_a_table_by_the_named_column():
    table = "| year | rain | snow |\n|---|---|---|\n| 2001 | 10 | 1 |\n| 2002 | 20 | 2 |\n| 2003 | 30 | 6 |"
    series = compute.series_in("the mean of snow", table)
    assert series.columns == {"snow": [1, 2, 6]}
    assert series.labels == ["2001", "2002", "2003"]
    assert "mean = 3" in run(compute.program(series, plot=False))
    plotted = compute.program(series, plot=True)
    assert "plt.show()" in plotted
    assert "rotation=45" in plotted
    assert "rotation" not in compute.program(compute.series_in("mean", "3, 4, 8"), plot=True)


def test_a_table_with_single_blanks_between_its_columns_is_read():
    rows = "Month Sold Used on site\nMay 10 1,100\nJune 20 -2\nJuly 30.5 6\nThe sums: 60.5, 1,104, 3 rows.\nThe end"
    series = compute.series_in("the mean of what was sold", rows)
    assert (series.columns, series.labels) == ({"Sold": [10, 20, 30.5]}, ["May", "June", "July"])
    assert compute.series_in("mean", rows.replace("Sold", "sold")).columns == {
        "column 1": [10, 20, 30.5],
        "column 2": [1100, -2, 6],
    }
    assert compute.series_in("mean", "In 2024 we met 9\ntimes. Then 4 and 5").columns == {"values": [2024, 9, 4, 5]}


def test_numbers_are_looked_up_before_they_are_computed():
    asked, tools = "Compute the average of the depth table and plot it.", [CODE, SEARCH, OPEN]
    assert ask(asked, tools=tools)[1][0][0] == "library_search"
    searched = ran("library_search", found("about depth"))
    assert ask(asked, *searched, tools=tools)[1][0][0] == "open_library_result"
    page = json.dumps({"content": "site,depth\nA,1\nB,2\nC,6", "can_open": False})
    ((name, arguments),) = ask(asked, *searched, *ran("open_library_result", page), tools=tools)[1]
    assert name == "code_interpreter"
    assert "depth: n = 3" in run(arguments["code"])


def test_a_search_is_answered_by_its_passages():
    asked = "What colour is the hare?"
    assert ask(asked, tools=[SEARCH, WEB])[1] == [("library_search", {"query": asked})]
    assert (
        ask(asked, *ran("library_search", found("The hare is brown.")), tools=[SEARCH, WEB])[0] == "The hare is brown."
    )
    empty = ran("library_search", "{}")
    assert ask(asked, *empty, tools=[SEARCH, WEB])[1] == [("web_search", {"query": asked})]
    web = ran("web_search", found("The <strong>hare</strong> is brown.", "https://a.test/"))
    assert ask(asked, *empty, *web, tools=[SEARCH, WEB])[0] == "The hare is brown. [[k3yk3yk3]]"


def test_small_talk_searches_nothing():
    assert ask("Hello!", tools=[SEARCH, WEB, CODE, DRAW, PRICE])[1] == []


def test_a_picture():
    assert ask("Draw a green boat", tools=[DRAW, PRICE])[1] == [("generate_image", {"prompt": "Draw a green boat"})]


def test_functions_are_chosen_by_their_words():
    assert ask("What does a ticket to Bergen cost?", tools=[TIDE, PRICE])[1] == [("ticket_price", {"town": "Bergen"})]
    assert ask("When is high water?", tools=[PRICE, TIDE])[1] == [("tide_table", {})]
    assert ask("Good morning", tools=[PRICE, TIDE])[1] == []
    both = ask("Call ticket_price(town='Oslo') and tide_table()", tools=[PRICE, TIDE])[1]
    assert both == [("ticket_price", {"town": "Oslo"}), ("tide_table", {})]


def test_a_choice_is_obeyed():
    assert ask("Good morning", tools=[TIDE, PRICE], choice="required")[1][0][0] == "tide_table"
    assert ask("When is high water?", tools=[PRICE, TIDE], choice="none")[1] == []


def test_a_result_is_the_answer():
    asked = "What does a ticket to Bergen cost?"
    assert ask(asked, *ran("ticket_price", "12 crowns"), tools=[PRICE]) == ("12 crowns", [])


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "integer"}, "give me 7", 7),
        ({"type": "integer", "minimum": 5}, "no number", 5),
        ({"type": "integer", "exclusiveMinimum": 3}, "only 2", 4),
        ({"type": "number", "maximum": 1.5}, "it is 2.25", 1.5),
        ({"type": "string", "enum": ["red", "blue"]}, "the blue one", "blue"),
        ({"const": 3}, "x", 3),
        ({"type": "string", "format": "date"}, "on 2024-05-06 at noon", "2024-05-06"),
        ({"type": "string", "format": "email"}, "write to a@b.org now", "a@b.org"),
        ({"type": "array", "items": {"type": "integer"}}, "1, 2 and 3", [1, 2, 3]),
        ({"type": "array", "items": {"type": "string"}}, "'a' and 'b'", ["a", "b"]),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, "4", 4),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}, "8", 8),
        ({"type": "boolean"}, "x", True),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, "5", {}),
        ({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, "5", {"a": 5}),
        ({"type": "string", "maxLength": 3}, "abcdef", "abc"),
    ],
)
def test_schemas_are_filled_from_the_text(schema, text, value):
    assert schemas.fill(schema, text) == value


def test_a_schema_that_contains_itself_ends():
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["next"]}
    assert "next" in schemas.fill({"$ref": "#/$defs/node", "$defs": {"node": node}}, "x")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Book a table for 'Ana Sol'.", "Ana Sol"),
        ("name: Ana Sol", "Ana Sol"),
        ("The name is Ana Sol, I think.", "Ana Sol"),
        ("A table for Ana Sol", "Ana Sol"),
        ("name = 'Łucja 安娜'", "Łucja 安娜"),
    ],
)
def test_a_text_value_is_found(text, value):
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    assert schemas.fill(schema, text) == {"name": value}


def test_json_is_answered_by_schema_by_keys_or_by_a_schema_in_the_input():
    assert json.loads(ask("Use 'left' and 'right' as keys.", response_format={"type": "json_object"})[0]).keys() == {
        *("left", "right")
    }
    schema = {"properties": {"port": {"type": "integer"}}, "required": ["port"]}
    assert json.loads(ask(f"The port is 80. Answer by {json.dumps(schema)}")[0]) == {"port": 80}


def test_limits():
    assert ask("Hello", stop=["model"])[0] == "No language "
    assert ask("Hello", stop="")[0] == ask("Hello")[0]
    assert ask("Hello", max_tokens=0)[0] == ""


def test_a_hard_wrapped_sentence_is_one():
    text = "# Lamps\n\nThe lighthouse of Kermor was lit in the year 1887 and its lamp burned\noil until 1921. It is\nelectric now.\n- one\n- two"
    assert sentences(text) == [
        "Lamps",
        "The lighthouse of Kermor was lit in the year 1887 and its lamp burned oil until 1921.",
        "It is electric now.",
        "one",
        "two",
    ]


def test_a_question_about_the_whole_is_answered_by_its_beginning(client):
    asked = "Text:\n# Owls\n\nOwls hunt at night. They hear well. They fly in silence.\n\nQuestion: What is this about?"
    assert client.conversations.start(asked, model="m").text == "Owls hunt at night. They hear well."
