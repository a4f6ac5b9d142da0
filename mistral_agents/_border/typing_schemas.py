"""Python types → JSON schema, by pydantic, and JSON values → objects of them.

Kept beside `schemas` since pydantic is loaded only where a type is given.
"""

from __future__ import annotations

import inspect
import json
import re
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Union, get_args, get_origin

import typing_extensions
from typing_extensions import NotRequired, Required, is_typeddict

from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError

_ARGUMENT = re.compile(r"^\s{2,}(\w+)(?:\s*\([^)]*\))?:\s*(.+)$")


def python_schema(given: object) -> tuple[JsonDict, Callable[[Any], Any]]:
    """The JSON schema of a type, and what makes an object of it from a plain JSON value.

    Raises:
        ConfigurationError: The type has a part that JSON schema can't say; it names it.
    """
    from pydantic.errors import PydanticUserError

    old = _read_pydantic_1(given)
    if old is not None:
        return old
    name = getattr(given, "__name__", str(given))
    try:
        reader = TypeReader(given)
        schema = reader.adapter.json_schema(schema_generator=_generator())
    except (PydanticUserError, TypeError, NameError) as error:
        raise ConfigurationError(f"{name} can't be said as a JSON schema: {error}") from error
    return schema, reader


class TypeReader:
    """Makes an object of a type from a plain JSON value; one that is pickled or copied makes its adapter anew.

    A typed dict stays the dict that came, so that nothing is added or changed.

    Attributes:
        given: The type.
    """

    def __init__(self, given: object) -> None:
        from pydantic import TypeAdapter

        self.given = given
        self.adapter: Any = TypeAdapter(_rebuild_typed_dicts(given, {}))

    def __call__(self, value: object) -> Any:
        """The object that a value says."""
        made = self.adapter.validate_json(json.dumps(value))
        return value if is_typeddict(self.given) else made

    def __reduce__(self) -> tuple[type[TypeReader], tuple[object]]:
        return TypeReader, (self.given,)


def _read_pydantic_1(given: object) -> tuple[JsonDict, Callable[[Any], Any]] | None:
    """Classes of pydantic's first version, which LangChain's users still have."""
    if not isinstance(given, type) or not hasattr(given, "parse_obj") or hasattr(given, "model_json_schema"):
        return None
    old: Any = given
    return old.schema(), old.parse_obj


def _generator() -> Any:
    from pydantic.json_schema import GenerateJsonSchema

    class Generator(GenerateJsonSchema):
        """Without the titles that pydantic makes of field names: they say nothing and cost tokens."""

        def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's hook
            return False

    return Generator


# Typed dicts ---------------------------------------------------------------------------------------------------------


def _rebuild_typed_dicts(given: object, known: dict[Any, Any]) -> Any:
    """The type with every typed dict in it made anew: pydantic takes `typing.TypedDict` only from Python 3.12 on.

    What people write in annotations for LangChain (`Annotated[str, ..., "what it is"]`, a docstring with `Args:`)
    becomes default and description.
    """
    if is_typeddict(given):
        return _rebuild_typed_dict(given, known)
    origin, args = get_origin(given), get_args(given)
    if origin is None or not args or origin is typing.Literal:
        return given
    if origin is Annotated:
        return _annotate(_rebuild_typed_dicts(args[0], known), args[1:])
    made = tuple(_rebuild_typed_dicts(arg, known) for arg in args)
    if made == args:
        return given
    if origin in (Union, types.UnionType):
        return Union[made]  # noqa: UP007 - of a tuple
    return origin[made if len(made) > 1 else made[0]]


def _rebuild_typed_dict(given: Any, known: dict[Any, Any]) -> Any:
    if given in known:
        return known[given]
    made: Any = typing_extensions.TypedDict(given.__name__, {})  # type: ignore[misc]
    known[given] = made
    made.__module__ = given.__module__
    about, arguments = _read_docstring(given)
    made.__doc__ = about
    required = set(given.__required_keys__)
    fields, needed = {}, set()
    for name, annotation in typing_extensions.get_type_hints(given, include_extras=True).items():
        field, has_default = _rebuild_field(annotation, arguments.get(name), known)
        mark: Any = get_origin(annotation)
        marked = mark is Required if mark in (Required, NotRequired) else name in required
        is_needed = marked and not has_default
        fields[name] = (Required if is_needed else NotRequired)[field]
        needed |= {name} if is_needed else set()
    made.__annotations__ = fields
    made.__required_keys__, made.__optional_keys__ = frozenset(needed), frozenset(set(fields) - needed)
    return made


def _rebuild_field(annotation: object, about: str | None, known: dict[Any, Any]) -> tuple[Any, bool]:
    """A field's type with its description, and whether it has a default."""
    from pydantic import Field

    while get_origin(annotation) in (Required, NotRequired):
        annotation = get_args(annotation)[0]
    extras: tuple[Any, ...] = ()
    if get_origin(annotation) is Annotated:
        annotation, *rest = get_args(annotation)
        extras = tuple(rest)
    if extras and isinstance(extras[-1], str):
        about, extras = extras[-1], extras[:-1]
    default: Any = ...
    if extras and _is_json_value(extras[0]):
        default, extras = extras[0], extras[1:]
    kept = tuple(extra for extra in extras if extra is not ...)
    told = {"default": default} if default is not ... else {}
    if about is not None or told:
        kept = (*kept, Field(description=about, json_schema_extra=told))
    inner = _rebuild_typed_dicts(annotation, known)
    return _annotate(inner, kept), default is not ...


def _annotate(given: object, extras: tuple[Any, ...]) -> Any:
    annotated: Any = Annotated
    items = (given, *extras)
    return annotated[items] if extras else given


def _is_json_value(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float, bool, list, dict))


def _read_docstring(given: object) -> tuple[str | None, dict[str, str]]:
    """The words of a docstring before its sections, and what `Args:` says of each field."""
    text = inspect.getdoc(given)
    if not text or text == inspect.getdoc(dict):
        return None, {}
    head, _, rest = text.partition("\nArgs:\n")
    arguments = {found[1]: found[2] for line in rest.splitlines() if (found := _ARGUMENT.match(line))}
    return head.strip() or None, arguments
