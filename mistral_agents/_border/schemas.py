"""Schemas: what a type, or a JSON schema in any usual form, is to the service, and how an answer is read back.

One builder for function tools and structured output. What goes out says the same as what came in; what can't be said is
an error that names it. The service takes objects at the top, so anything else (a list, a union, an enumeration) goes
out as the only field of an object and comes back without it.
"""

from __future__ import annotations

import copy
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from mistral_agents._border.text import mend_growing_json, mend_json
from mistral_agents._border.typing_schemas import python_schema
from mistral_agents._json import JsonDict, load_json
from mistral_agents.errors import ConfigurationError, ResponseFormatError

_UNNAMED = "answer"
FIELD = "value"
"""The field that holds what is no object."""
_DEFS = ("$defs", "definitions")
_NAMED_SCHEMAS = ("properties", "patternProperties", "dependentSchemas", *_DEFS)
_RULES = ("anyOf", "oneOf", "not", "if", "dependentRequired", "dependentSchemas", "dependencies", "maxProperties")
"""What may say of an object which of its fields it has, or add to them."""
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_SCHEMA_WORDS = frozenset({"$ref", "$schema", "properties", "items", "anyOf", "oneOf", "allOf", "enum", "const", "not"})
_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_BRACKET = re.compile(r"[\[{]")
_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Form:
    """A schema as the service is told it, and the way back.

    Attributes:
        name: A name that the service takes.
        schema: What is sent: an object at the top.
        description: What it is for; None where nobody said.
        strict: Whether answers must follow it exactly.
        wrapped: Whether the value is the field `value` of the object.
        load: Makes the value of a plain JSON value; the identity for a JSON schema.
    """

    name: str
    schema: JsonDict
    description: str | None
    strict: bool
    wrapped: bool
    load: Callable[[Any], Any]

    @property
    def response_format(self) -> JsonDict:
        """The service's `response_format`."""
        about = {"description": self.description} if self.description else {}
        described = {"name": self.name, **about, "schema": self.schema, "strict": self.strict}
        return {"type": "json_schema", "json_schema": described}

    @property
    def tool(self) -> JsonDict:
        """A function tool whose arguments are of this form."""
        return make_tool(self.name, self.description, self.schema, strict=self.strict or None)

    def read(self, value: object) -> Any:
        """The value that a plain JSON value says, with or without the field around it.

        Raises:
            ValueError: It does not fit.
        """
        if self.wrapped and isinstance(value, Mapping) and set(value) == {FIELD}:
            value = value[FIELD]
        return self.load(value)

    def parse(self, text: str) -> Any:
        """The value that an answer's text says.

        Raises:
            ResponseFormatError: It is no such value; `.body` keeps the text.
        """
        return self.check(read_json(text), text)

    def check(self, value: Any, text: str) -> Any:
        """As `read`, of an answer whose text was this.

        Raises:
            ResponseFormatError: It does not fit; `.body` keeps the text.
        """
        try:
            return self.read(value)
        except (ValueError, TypeError) as error:
            raise ResponseFormatError(f"The answer can't be read as {self.name}: {error}", body=text) from error

    def read_partly(self, value: Any) -> Any:
        """As `read`, of a value that is still being written; None where that does not fit yet."""
        try:
            return self.read(mend_growing_json(value)) if value is not None else None
        except (ValueError, TypeError):
            return None


def describe_form(given: object, *, strict: bool | None = None) -> Form:
    """The form of a type or of a JSON schema.

    Args:
        given: A pydantic class, TypedDict, dataclass, Enum, union, `list[...]` or other type; a JSON schema with or
            without title; `{"name", "schema", "strict"}`; `{"type": "json_schema", "json_schema": …}`; a function as
            OpenAI, Anthropic or Bedrock write it.
        strict: Whether answers must follow it exactly: no further keys, every field present. None is strict where the
            schema can say so.

    Raises:
        ConfigurationError: It is no schema, or says what can't be sent; it names the place.
    """
    name, schema, description, own_strict, load = _read_given(given)
    wanted = strict if strict is not None else own_strict
    wrapped, rooted = _find_root_object(schema)
    _check_sayable(rooted, name)
    final, is_strict = rooted, False
    if wanted is not False:
        faults = list(_find_open_objects(rooted))
        if faults and wanted:
            raise ConfigurationError(
                f"strict=True: {name} can't be strict, since {faults[0]}.",
                hint="Give such a part named fields, or leave strict out.",
            )
        if not faults:
            final, is_strict = close_objects(rooted), True
    about = description if description is not None else None if wrapped else rooted.get("description")
    return Form(clean_name(name), final, about, is_strict, wrapped, load)


def check_response_format(given: Mapping[str, Any]) -> JsonDict:
    """A `response_format` as the service takes it; what it says of a schema holds here as everywhere.

    A schema itself, or one under a name, is understood as in other packages. One that is promised to be `strict` is
    closed, any other goes out as it came.

    Raises:
        ConfigurationError: It says no form, or its schema can't be sent.
    """
    kind, described = given.get("type"), given.get("json_schema")
    if kind == "json_schema" and "schema" not in given:
        if not isinstance(described, Mapping) or not isinstance(described.get("schema"), Mapping):
            raise ConfigurationError(
                "A response_format of the type json_schema needs json_schema, a dict with name and schema."
            )
    elif "schema" in given or _SCHEMA_WORDS & set(given) or _has_types(kind):
        held = {name: value for name, value in given.items() if name != "type"}  # as OpenAI's Responses have it
        described = held if "schema" in given else {"schema": given}
    else:
        return dict(given)
    own = described.get("strict")
    named = {"name": describe_form(described["schema"], strict=False).name, **described}
    form = describe_form(named, strict=own is True)
    schema = dict(described["schema"]) if form.wrapped else form.schema  # nobody here would unwrap the answer
    return {"type": "json_schema", "json_schema": {**named, "name": form.name, "schema": schema}}


def clean_name(name: str) -> str:
    """A name of ours in the alphabet that the service takes (`Answer[int]` becomes `Answer_int`)."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", name).strip("_")[:64] or _UNNAMED


def make_tool(name: object, description: object, parameters: Any, *, strict: bool | None = None) -> JsonDict:
    """A function tool as the service takes it.

    Args:
        name: 1 to 64 letters, digits, `_` and `-`.
        description: What it does; None where nobody said.
        parameters: The JSON schema of its arguments; None where it has none.
        strict: Whether calls must follow it exactly; None leaves the schema as it is and says nothing.

    Raises:
        ConfigurationError: The service would refuse the name; the schema can't be sent.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"A tool is called {name!r}; the service takes 1 to 64 letters, digits, _ and - as a name.",
            hint="Rename the tool.",
        )
    schema = dict(parameters) if parameters else {"type": "object", "properties": {}}
    wrapped, schema = _find_root_object(schema)
    if wrapped:
        raise ConfigurationError(
            f"The arguments of the tool {name} must be an object, not {_name_schema_kind(parameters)}."
        )
    _check_sayable(schema, name)
    if strict:
        fault = next(_find_open_objects(schema), None)
        if fault is not None:
            raise ConfigurationError(f"strict=True: the tool {name} can't be strict, since {fault}.")
        schema = close_objects(schema)
    schema = {key: value for key, value in schema.items() if key not in ("title", "description")}
    said = {"description": str(description)} if description is not None else {}
    kept = {"strict": strict} if strict is not None else {}
    return {"type": "function", "function": {"name": name, **said, "parameters": schema, **kept}}


def check_tool(tool: Mapping[str, Any], *, strict: bool | None = None) -> JsonDict:
    """A function tool that came as a dict, in OpenAI's, Anthropic's or Bedrock's form or as a JSON schema.

    Raises:
        ConfigurationError: As `make_tool`.
    """
    name, parameters, description, own, _ = _read_mapping(tool)
    if name == _UNNAMED:
        raise ConfigurationError(
            f"This tool has no name: {_shorten_repr(tool)}.", hint='A JSON schema needs a "title".'
        )
    return make_tool(name, description, parameters, strict=strict if strict is not None else own)


def is_function_dict(tool: Mapping[str, Any]) -> bool:
    """Whether a dict says a function: in a provider's form or as a JSON schema; else it is a hosted tool."""
    kind = tool.get("type")
    return (
        kind in (None, "function", "custom", "object")
        or "input_schema" in tool
        or ("title" in tool and "properties" in tool)
    )


# Reading what was given -----------------------------------------------------------------------------------------------

_Read = tuple[str, JsonDict, str | None, bool | None, Callable[[Any], Any]]


def _read_given(given: object) -> _Read:
    if isinstance(given, Mapping):
        return _read_mapping(given)
    if inspect.isfunction(given) or given is None or isinstance(given, (str, bytes, int, float)):
        raise ConfigurationError(f"A schema must be a type or a JSON schema, not {given!r}.")
    schema, load = python_schema(given)
    name = schema.get("title") or getattr(given, "__name__", None) or _UNNAMED
    about = schema.get("description")
    return str(name), schema, about if isinstance(about, str) else None, None, load


def _keep_value(value: object) -> Any:
    return value


def _read_mapping(given: Mapping[str, Any]) -> _Read:
    """A dict in one of the forms that people write; the inner schema is copied."""
    if given.get("type") == "json_schema" and isinstance(given.get("json_schema"), Mapping):
        return _read_mapping(given["json_schema"])
    if given.get("type") == "function" and isinstance(given.get("function"), Mapping):
        return _read_mapping(given["function"])
    if isinstance(given.get("toolSpec"), Mapping):
        spec = given["toolSpec"]
        return _read_named(spec, spec.get("inputSchema", {}).get("json"))
    for key in ("schema", "input_schema", "parameters"):
        if "name" in given and key in given:
            return _read_named(given, given[key])
    if not _SCHEMA_WORDS & set(given) and not _has_types(given.get("type")):
        if "name" in given:
            return _read_named(given, None)
        raise ConfigurationError(
            f"This is no JSON schema: {_shorten_repr(given)}.",
            hint='Give a type, a JSON schema, or {"name": ..., "schema": {...}}.',
        )
    schema = copy.deepcopy(dict(given))
    name, about = schema.get("title"), schema.get("description")
    return (
        name if isinstance(name, str) and name else _UNNAMED,
        schema,
        about if isinstance(about, str) else None,
        None,
        _keep_value,
    )


def _read_named(given: Mapping[str, Any], schema: object) -> _Read:
    """A schema under a name; a pydantic class or another type may stand there too."""
    name, about, strict = given["name"], given.get("description"), given.get("strict")
    load: Callable[[Any], Any] = _keep_value
    if schema is None:
        schema = {"type": "object", "properties": {}}
    elif isinstance(schema, Mapping):
        schema = copy.deepcopy(dict(schema))
    else:
        _, schema, own, _, load = _read_given(schema)
        about = about if about is not None else own
    if not isinstance(name, str):
        raise ConfigurationError(f"The name of a schema must be a text, not {name!r}.")
    return name, schema, about, strict if isinstance(strict, bool) else None, load


def _has_types(kind: object) -> bool:
    kinds = kind if isinstance(kind, list) else [kind]
    return bool(kinds) and all(isinstance(one, str) and one in _TYPES for one in kinds)


def _shorten_repr(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _name_schema_kind(schema: object) -> str:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    return str(kind) if kind is not None else "a union"


# The object at the top ----------------------------------------------------------------------------------------------


def _find_root_object(schema: JsonDict) -> tuple[bool, JsonDict]:
    """The schema with an object at its top, and whether the value had to be put into a field for that.

    A reference at the top (a model that contains itself) is replaced by what it points at.
    """
    schema, seen = _drop_nulls(schema), set[str]()
    while isinstance(schema.get("$ref"), str) and _is_def(schema["$ref"]) and schema["$ref"] not in seen:
        seen.add(schema["$ref"])
        beside = {name: value for name, value in schema.items() if name != "$ref"}
        target = _follow(schema, schema["$ref"])
        if not isinstance(target, dict):
            break
        schema = {**copy.deepcopy(target), **beside}
    if schema.get("type") == "object" or ("type" not in schema and "properties" in schema):
        return False, schema if "type" in schema else {"type": "object", **schema}
    inner = {name: value for name, value in schema.items() if name not in (*_DEFS, "$schema", "$id")}
    defs = {name: _move_refs(schema[name]) for name in _DEFS if name in schema}
    top = {
        "type": "object",
        "properties": {FIELD: _move_refs(inner)},
        "required": [FIELD],
        "additionalProperties": False,
    }
    return True, {**top, **defs}


def _drop_nulls(node: object) -> Any:
    """A copy without keywords whose value is null, as servers write what they leave out; nothing is said by them."""
    if isinstance(node, list):
        return [_drop_nulls(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {}
    for keyword, value in node.items():
        if keyword in _NAMED_SCHEMAS and isinstance(value, dict):
            found[keyword] = {name: _drop_nulls(inner) for name, inner in value.items()}
        elif value is not None or _is_data(keyword):
            found[keyword] = value if _is_data(keyword) else _drop_nulls(value)
    return found


def _is_def(reference: str) -> bool:
    return reference.startswith(tuple(f"#/{name}/" for name in _DEFS))


def _move_refs(node: object) -> Any:
    """A part of a schema whose place was the top and is the field now: references to places in it follow."""
    if isinstance(node, list):
        return [_move_refs(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {name: value if _is_data(name) else _move_refs(value) for name, value in node.items()}
    reference = found.get("$ref")
    if isinstance(reference, str) and (reference == "#" or reference.startswith("#/")) and not _is_def(reference):
        found["$ref"] = f"#/properties/{FIELD}{reference[1:]}"
    return found


def _follow(schema: JsonDict, reference: str) -> Any:
    """What a reference points at; None where there is nothing."""
    node: Any = schema
    for part in reference.removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and key not in node:
            key = unquote(key)
        if isinstance(node, list) and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        elif isinstance(node, dict) and key in node:
            node = node[key]
        else:
            return None
    return node


# What can be said ----------------------------------------------------------------------------------------------------


def _is_data(keyword: str) -> bool:
    """Whether what stands under a keyword is a value, not a schema."""
    return keyword in ("default", "enum", "const", "examples", "example")


def _walk(node: object, place: str = "the top") -> Iterator[tuple[JsonDict, str]]:
    """Every schema in a schema, with words for its place."""
    if isinstance(node, list):
        for item in node:
            yield from _walk(item, place)
    elif isinstance(node, dict):
        yield node, place
        for keyword, value in node.items():
            if _is_data(keyword):
                continue
            if keyword in _NAMED_SCHEMAS and isinstance(value, dict):
                for name, inner in value.items():
                    yield from _walk(inner, name if place == "the top" else f"{place}.{name}")
            else:
                yield from _walk(value, place)


def _check_sayable(schema: JsonDict, name: str) -> None:
    """Refuse what gets lost on the way: values that are no JSON, and references that lead nowhere."""
    try:
        json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"The schema of {name} holds what is no JSON: {error}.") from error
    for node, place in _walk(schema):
        odd = next((key for key in (*node, *node.get("properties", ())) if not isinstance(key, str)), None)
        if odd is not None:
            raise ConfigurationError(f"The schema of {name} has the key {odd!r} in {place}; names must be texts.")
        reference = node.get("$ref")
        if reference is None:
            continue
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise ConfigurationError(f"The schema of {name} refers to {reference!r} in {place}, outside of itself.")
        if reference != "#" and _follow(schema, reference) is None:
            raise ConfigurationError(f"The schema of {name} refers to {reference} in {place}, which is not in it.")


def _is_object(node: JsonDict) -> bool:
    kind = node.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in node


def _find_open_objects(schema: JsonDict) -> Iterator[str]:
    """What of a schema a strict one can't say: objects whose keys are not all named, or not all there.

    Closed objects have exactly their own fields, so several of them never fit one value (`allOf`).
    """
    for node, place in _walk(schema):
        parts = [one for one in node.get("allOf", ()) if isinstance(one, dict)]
        if (_is_object(node) or len(parts) > 1) and any("$ref" in one or _is_object(one) for one in parts):
            yield f"{place} is put together of several (allOf)"
        if not _is_object(node):
            continue
        rule = next((name for name in _RULES if name in node), None)
        if rule is not None:
            yield f"{place} has rules for its fields ({rule})"
        elif False in node.get("properties", {}).values():
            yield f"{place} has a field that must not be there"
        elif node.get("additionalProperties") not in (None, False, True) or "patternProperties" in node:
            yield f"{place} takes keys that have no names (a dict)"
        elif not isinstance(node.get("properties"), dict) and node.get("additionalProperties") is not False:
            yield f"{place} is an object of any keys"
        elif node.get("additionalProperties") is True:
            yield f"{place} allows further keys"


def close_objects(node: object) -> Any:
    """A copy whose objects take no further keys and need all of theirs, as strict mode wants."""
    if isinstance(node, list):
        return [close_objects(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {}
    for keyword, value in node.items():
        if _is_data(keyword):
            closed[keyword] = value
        elif keyword in _NAMED_SCHEMAS and isinstance(value, dict):
            closed[keyword] = {name: close_objects(inner) for name, inner in value.items()}
        else:
            closed[keyword] = close_objects(value)
    if _is_object(closed):
        closed["additionalProperties"] = False
        closed["required"] = list(closed.get("properties", {}))
    return closed


# Answers -------------------------------------------------------------------------------------------------------------


def read_json(text: str) -> Any:
    """The JSON value of an answer's text; nothing is repaired: what was cut off is no value.

    Where words stand around it, it is that of the one fenced block, or the first list or object. Halves of characters
    that it escapes are replaced: nobody could send such a value again.

    Raises:
        ResponseFormatError: There is none; `.body` keeps the text.
    """
    return mend_json(_find_json(text))


def _find_json(text: str) -> Any:
    try:
        return load_json(text)
    except ValueError as error:
        fenced, begin = _FENCE.findall(text), _BRACKET.search(text)
        with suppress(ValueError):
            if len(fenced) == 1:
                return load_json(fenced[0])
            if begin is not None:
                return json.JSONDecoder().raw_decode(text[begin.start() :])[0]
        raise ResponseFormatError(f"The answer is no JSON: {error}", body=text) from error
