"""Schemas: out equals in, or an error names what can't be said."""

from __future__ import annotations

import copy
import dataclasses
import enum
import json
import typing
from typing import Annotated, Any, Generic, Literal, TypeVar

import jsonschema
import pytest
import typing_extensions
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from mistral_agents._border.schemas import FIELD, check_tool, describe_form, make_tool, read_json
from mistral_agents.errors import ConfigurationError, ResponseFormatError

T = TypeVar("T")


class Part(BaseModel):
    """A part."""

    name: str = Field(description="What it is called.")
    parts: list[Part] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    good: bool


class Pet(BaseModel):
    pet: Cat | Dog = Field(discriminator="kind")


class Box(BaseModel, Generic[T]):
    inside: T


class Open(BaseModel):
    scores: dict[str, int]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: int
    label: str | None = None


class Node(typing.TypedDict):
    """A node.

    Args:
        name: What it is called.
    """

    name: str
    weight: Annotated[float, 1.0, "How heavy it is."]
    children: list[Node]


class Half(typing_extensions.TypedDict, total=False):
    a: int
    b: typing_extensions.Required[str]


PERSON = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}


@pytest.mark.parametrize(
    ("kind", "good", "value"),
    [
        (
            Part,
            {"name": "pump", "parts": [{"name": "valve", "parts": []}]},
            Part(name="pump", parts=[Part(name="valve")]),
        ),
        (Pet, {"pet": {"kind": "cat", "lives": 9}}, Pet(pet=Cat(kind="cat", lives=9))),
        (Box[Point], {"inside": {"x": 1, "label": None}}, Box[Point](inside=Point(1))),
        (Point, {"x": 1, "label": "a"}, Point(1, "a")),
        (Node, {"name": "a", "weight": 1.5, "children": []}, {"name": "a", "weight": 1.5, "children": []}),
        (Half, {"a": 1, "b": "x"}, {"a": 1, "b": "x"}),
        (Colour, {FIELD: "red"}, Colour.RED),
        (Colour, "blue", Colour.BLUE),
        (list[Point], {FIELD: [{"x": 1, "label": None}]}, [Point(1)]),
        (list[Point], [{"x": 2, "label": None}], [Point(2)]),
        (Cat | Dog, {FIELD: {"kind": "dog", "good": True}}, Dog(kind="dog", good=True)),
        (Literal["a", "b"], {FIELD: "a"}, "a"),
        (int, {FIELD: 3}, 3),
    ],
    ids=str,
)
def test_types_there_and_back(kind: Any, good: Any, value: Any) -> None:
    form = describe_form(kind)
    assert form.strict is True
    jsonschema.Draft202012Validator.check_schema(form.schema)
    jsonschema.validate(good if not form.wrapped or isinstance(good, dict) else {FIELD: good}, form.schema)
    assert form.read(good) == value
    assert form.tool["function"]["strict"] is True


def test_a_strict_schema_closes_every_object_and_needs_every_field() -> None:
    text = json.dumps(describe_form(Part, strict=True).schema)
    assert text.count('"additionalProperties": false') == 2
    assert text.count('"required": ["name", "parts"]') == 2


def test_descriptions_of_typed_dicts_arrive() -> None:
    form = describe_form(Node, strict=False)
    fields = form.schema["properties"]
    assert form.description == "A node."
    assert fields["name"]["description"] == "What it is called."
    assert fields["weight"] == {"default": 1.0, "description": "How heavy it is.", "type": "number"}
    assert form.schema["required"] == ["name", "children"]
    assert describe_form(Half, strict=False).schema["required"] == ["b"]


def test_what_strict_cannot_say_is_named_or_not_promised() -> None:
    assert describe_form(Open).strict is False
    assert "additionalProperties" in describe_form(Open).schema["properties"]["scores"]
    with pytest.raises(ConfigurationError, match="scores takes keys that have no names"):
        describe_form(Open, strict=True)
    with pytest.raises(ConfigurationError, match="tool f can't be strict"):
        make_tool("f", None, {"type": "object", "properties": {"any": {"type": "object"}}}, strict=True)


TWO = [{"type": "object", "properties": {name: {"type": "string"}}} for name in "ab"]
CONTRADICTIONS = {
    "several objects in one": ({"allOf": TWO}, "put together of several"),
    "an object and what is added": ({**TWO[0], "allOf": [{"$ref": "#/$defs/more"}]}, "put together of several"),
    "one of two fields": (
        {**TWO[0], "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        "rules for its fields .oneOf",
    ),
    "a field that asks for another": ({**TWO[0], "dependentRequired": {"a": ["b"]}}, "dependentRequired"),
    "a field that may not be": ({"type": "object", "properties": {"a": True, "b": False}}, "must not be there"),
}


@pytest.mark.parametrize(("part", "words"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_closing_never_makes_a_schema_that_nothing_fits(part: dict[str, Any], words: str) -> None:
    schema = {"title": "Form", "type": "object", "properties": {"part": part}, "$defs": {"more": TWO[1]}}
    form = describe_form(schema)
    assert form.strict is False
    assert form.schema == schema
    with pytest.raises(ConfigurationError, match=words):
        describe_form(schema, strict=True)


def test_several_rules_for_a_text_may_be_strict() -> None:
    named = {"allOf": [{"type": "string", "minLength": 1}, {"type": "string", "pattern": "^a"}]}
    alone = {"allOf": [{"$ref": "#/$defs/more"}], "description": "As pydantic 1 writes it."}
    schema = {"type": "object", "properties": {"a": named, "b": alone}, "$defs": {"more": TWO[1]}}
    assert describe_form(schema).strict is True


def test_null_stands_for_what_is_left_out() -> None:
    bare = {"type": "object", "properties": None, "required": None, "additionalProperties": None}
    assert make_tool("f", None, bare)["function"]["parameters"] == {"type": "object"}
    field = {"type": "integer", "default": None, "enum": [None, 1], "items": None}
    sent = describe_form({**bare, "properties": {"null": field, "items": {"type": "string"}}}).schema["properties"]
    assert sent == {"null": {"type": "integer", "default": None, "enum": [None, 1]}, "items": {"type": "string"}}


def test_a_reference_may_be_written_as_in_an_address() -> None:
    defs = {"My Type": {"type": "string"}, "50%25": {"type": "integer"}}
    fields = {"a": {"$ref": "#/$defs/My%20Type"}, "b": {"$ref": "#/$defs/50%25"}}
    schema = {"type": "object", "properties": fields, "$defs": defs}
    assert describe_form(schema, strict=False).schema == schema


def test_references_in_a_circle_at_the_top_end() -> None:
    defs = {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}
    assert describe_form({"title": "Round", "$ref": "#/$defs/A", "$defs": defs}).wrapped


FORMS = {
    "bare": PERSON,
    "titled": {**PERSON, "title": "Person", "description": "A person."},
    "named": {"name": "Person", "strict": False, "schema": PERSON},
    "typed": {"type": "json_schema", "json_schema": {"name": "Person", "schema": PERSON}},
    "function": {"name": "Person", "description": "A person.", "parameters": PERSON},
    "tool": {"type": "function", "function": {"name": "Person", "parameters": PERSON}},
    "Anthropic's": {"name": "Person", "input_schema": PERSON},
    "Bedrock's": {"toolSpec": {"name": "Person", "inputSchema": {"json": PERSON}}},
    "a class under a name": {"name": "Person", "schema": Cat},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_every_form_of_a_json_schema(form: dict[str, Any]) -> None:
    before = copy.deepcopy(form)
    found = describe_form(form, strict=False)
    assert set(found.schema["properties"]) in ({"age"}, {"kind", "lives"})
    assert found.name == ("answer" if form is PERSON else "Person")
    assert form == before
    if form is not PERSON:
        assert check_tool(form)["function"]["name"] == "Person"


def test_the_own_word_of_a_schema_counts() -> None:
    assert describe_form({"name": "p", "strict": False, "schema": PERSON}).strict is False
    assert describe_form({"name": "p", "strict": False, "schema": PERSON}, strict=True).strict is True


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/B"}}}, "refers to #/\\$defs/B in a"),
        ({"type": "object", "properties": {"a": {"$ref": "https://example.org/b"}}}, "outside of itself"),
        ({"type": "object", "properties": {"a": {"default": object()}}}, "no JSON"),
        ({"type": "object", "properties": {"a": {"default": float("nan")}}}, "no JSON"),
        ({"colour": "red"}, "no JSON schema"),
        ({"type": "object", "properties": {1: {"type": "string"}}}, "key 1"),
        ({"type": "web_search"}, "no JSON schema"),
        (3, "must be a type or a JSON schema"),
    ],
)
def test_what_is_no_schema_is_refused(schema: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        describe_form(schema)


def test_a_type_that_is_no_json_is_refused_by_name() -> None:
    class Odd(BaseModel):
        when: Any = Field(default_factory=object)
        how: typing.Callable[[int], int]

    with pytest.raises(ConfigurationError, match="Odd"):
        describe_form(Odd)


@pytest.mark.parametrize("name", ["", "a.b", "Box[int]", "a" * 65, "naïve", None, 3])
def test_names_that_the_service_refuses(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="1 to 64 letters"):
        make_tool(name, "It does.", None)


def test_names_of_ours_are_made_fit() -> None:
    assert describe_form(Box[int]).name == "Box_int"
    assert make_tool("a-b_C9", None, None)["function"] == {
        "name": "a-b_C9",
        "parameters": {"type": "object", "properties": {}},
    }


def test_arguments_must_be_an_object() -> None:
    with pytest.raises(ConfigurationError, match="must be an object, not array"):
        make_tool("f", None, {"type": "array", "items": {}})
    with pytest.raises(ConfigurationError, match="has no name"):
        check_tool(PERSON)


def test_a_value_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="lives"):
        describe_form(Pet).read({"pet": {"kind": "cat"}})
    with pytest.raises(ValueError):
        describe_form(Node).read({"name": 1})


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        ' {"a": 1}\n',
        '```json\n{"a": 1}\n```',
        'Here:\n```\n{"a": 1}\n```\nDone.',
        'It is {"a": 1}, I think.',
    ],
)
def test_json_with_words_around_it(text: str) -> None:
    assert read_json(text) == {"a": 1}


def test_halves_of_characters_that_an_answer_escapes_are_replaced() -> None:
    text = '{"name": "a\\ud83d", "parts": []}'
    assert read_json(text) == {"name": "a\ufffd", "parts": []}
    assert describe_form(Part).parse(text) == Part(name="a\ufffd")
    assert read_json('{"name": "\\ud83d\\ude00"}') == {"name": "\U0001f600"}


def test_half_a_character_waits_for_its_other_half_while_an_answer_is_written() -> None:
    form = describe_form(PERSON)
    assert form.read_partly({"name": ["x\ud83d", "a\ud83d"]}) == {"name": ["x", "a"]}
    assert form.read_partly({"name": "\ud83d!"}) == {"name": "\ufffd!"}


@pytest.mark.parametrize("text", ["", "no", '{"a": 1', '[{"a": 1}, {"a"', '{"a": {"b": 1}', '```json\n{"a": \n```'])
def test_half_an_answer_is_no_answer(text: str) -> None:
    with pytest.raises(ResponseFormatError) as caught:
        read_json(text)
    assert caught.value.body == text


# any schema -----------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "title", "type", "required", "$ref", "properties", "enum", "ä/~b"])
SIMPLE = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer", "minimum": 0},
        {"enum": ["x", 1, None]},
        {"const": {"type": "object"}},
        {"type": ["string", "null"]},
        {"$ref": "#/$defs/one"},
        {},
    ]
)


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = st.dictionaries(NAMES, inner, max_size=3)
    closed = fields.map(lambda found: {"type": "object", "properties": found, "required": sorted(found)[:1]})
    mapped = inner.map(lambda found: {"type": "object", "additionalProperties": found})
    listed = inner.map(lambda found: {"type": "array", "items": found})
    united = st.lists(inner, min_size=1, max_size=3).map(lambda found: {"anyOf": found})
    return st.one_of(closed, mapped, listed, united)


NODES = st.recursive(SIMPLE, _objects, max_leaves=8)
DEFS = st.fixed_dictionaries({"one": NODES})


@given(NODES, DEFS, st.sampled_from([None, True, False]))
def test_any_schema_goes_out_as_it_came_in_or_is_refused(node: dict[str, Any], defs: Any, strict: bool | None) -> None:
    schema = {**node, "$defs": defs}
    before = copy.deepcopy(schema)
    try:
        form = describe_form({"name": "any", "schema": schema}, strict=strict)
    except ConfigurationError:
        assert schema == before
        return
    assert schema == before
    told = form.schema["properties"][FIELD] if form.wrapped else {k: v for k, v in form.schema.items() if k != "$defs"}
    wanted = node
    while wanted.get("$ref") == "#/$defs/one":
        wanted = defs["one"]
    assert form.schema["type"] == "object"
    assert _loose(form.schema["$defs"]) == _loose(defs)
    assert _loose(told) == _loose(wanted)
    if form.strict:
        _check_closed(form.schema)
    else:
        assert form.schema["$defs"] == defs
        assert told == wanted


def _loose(node: Any, *, names: bool = False) -> Any:
    """Without what strict mode adds: which fields are needed, and that there are no others."""
    if isinstance(node, list):
        return [_loose(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {
        k: v for k, v in node.items() if names or not (k == "required" or (k == "additionalProperties" and v is False))
    }
    data = () if names else ("enum", "const", "default")
    return {k: v if k in data else _loose(v, names=not names and k in ("properties", "$defs")) for k, v in kept.items()}


def _check_closed(node: Any, *, names: bool = False) -> None:
    if isinstance(node, list):
        for item in node:
            _check_closed(item)
    elif isinstance(node, dict):
        if not names and node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert set(node["required"]) == set(node.get("properties", {}))
        for key, value in node.items():
            if names or key not in ("enum", "const", "default"):
                _check_closed(value, names=not names and key in ("properties", "$defs"))
