"""One request as it is described before it is sent: where it goes, what it carries, and ids that may stand in it.

Each call of a resource is a pure function that builds a `Call`; what sends it is `transport`, of which nothing is known
here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from mistral_agents._border.text import mend_json
from mistral_agents._http.concealed import ConcealedFields, conceal_fields, conceal_text
from mistral_agents.errors import ConfigurationError

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_UNUSABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of characters: no part of an address."""
_FRAMING = frozenset({"content-length", "transfer-encoding"})
"""What says where a request ends, which the HTTP client writes (RFC 9112, section 6)."""
LONGEST = 1e8
"""The longest wait that is handed to a socket, in seconds (about three years); larger ones overflow it."""


def path_of(template: str, **parts: object) -> str:
    """A path with its parts percent-encoded; the SDK itself does not encode them.

    Raises:
        ConfigurationError: A part is empty, no text, or can't be part of an address.
    """
    return template.format(**{name: quote(check_id(name, value), safe="") for name, value in parts.items()})


def check_id(name: str, value: object) -> str:
    """An id that can stand in an address.

    Raises:
        ConfigurationError: It is empty or no text, names another address (`.`, `..`), or holds control characters.
    """
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{name} must be a non-empty text, not {value!r}.")
    if value.strip() in (".", ".."):
        raise ConfigurationError(f"{name} must be an id, not {value!r}, which names another address.")
    if _UNUSABLE.search(value) is not None:
        raise ConfigurationError(f"{name} must be an id, not {value!r}, which holds control characters.")
    return value


_IDS = frozenset({"conversation_id", "creator_id", "agent_id", "model", "from_entry_id", "after_entry_id"})
_LISTS_OF_IDS = frozenset({"handoffs", "document_ids", "source_ids"})


def check_ids(options: Mapping[str, Any]) -> None:
    """Check the options that hold an id or a list of ids; None is not given.

    Raises:
        ConfigurationError: One of them can't be an id.
    """
    for name, value in options.items():
        if name in _IDS and value is not None:
            check_id(name, value)
        elif name in _LISTS_OF_IDS and value is not None:
            if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
                raise ConfigurationError(f"{name} must be a list of ids, not {value!r}.")
            for place, one in enumerate(value):
                check_id(f"{name}[{place}]", one)


def check_seconds(name: str, value: Any) -> float:
    """A number of seconds above 0.

    Raises:
        ConfigurationError: It is something else.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise ConfigurationError(f"{name} must be a number of seconds above 0, not {value!r}.")
    return min(float(min(value, LONGEST)), LONGEST)


def check_whole_number(name: str, value: object, least: int = 0, most: int | None = None) -> int:
    """A whole number within bounds.

    Raises:
        ConfigurationError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        bounds = f"from {least}" + (f" to {most}" if most is not None else "")
        raise ConfigurationError(f"{name} must be a whole number {bounds}, not {value!r}.")
    return value


def _strip_blanks(value: Any) -> Any:
    """A header's value without the blanks around it, which are not part of it."""
    return value.strip(" \t") if isinstance(value, str) else value


def check_headers(headers: object) -> ConcealedFields:
    """Headers that HTTP can carry; a value of None is left out.

    Raises:
        ConfigurationError: A name or value can't be sent; the value is not shown, for it may be a secret.
    """
    if not isinstance(headers, Mapping):
        raise ConfigurationError(f"headers must be a mapping of names to texts, not {type(headers).__name__}.")
    given, wanted = conceal_fields(headers), ConcealedFields()
    for name in given:
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"headers: {name!r} is no name of a header (letters, digits and hyphens).")
        if name.lower() in _FRAMING:
            raise ConfigurationError(f"headers: {name!r} is written by the HTTP client; leave it out.")
        if given[name] is None:
            continue
        value = conceal_text(_strip_blanks(given[name]))
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise ConfigurationError(
                f"headers: the value of {name!r} must be a text of printable ASCII characters in one line."
            )
        wanted[name] = value
    return wanted


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _dump_json(body: object) -> bytes:
    return _ENCODER.encode(body).encode()


def json_bytes(body: Mapping[str, Any]) -> bytes:
    """A request body.

    Raises:
        ConfigurationError: It holds something that JSON cannot say.
    """
    try:
        return _dump_json(body)
    except UnicodeEncodeError:
        return _dump_json(mend_json(body))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"The request cannot be written as JSON: {error}") from error


@dataclass(frozen=True, slots=True)
class Operation:
    """What the SDK's hooks are told about a request: the names that its own methods use."""

    id: str
    tag: str


def check_mappings(options: Mapping[str, Any], *names: str) -> None:
    """Check the options that hold a list of objects; None is not given.

    Raises:
        ConfigurationError: One of them is something else.
    """
    for name in names:
        value = options.get(name)
        is_list = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
        if value is not None and not (is_list and all(isinstance(one, Mapping) for one in value)):
            raise ConfigurationError(f"{name} must be a list of mappings, not {value!r}.")


def check_mapping(name: str, value: object) -> None:
    """Check what must be an object; None is not given.

    Raises:
        ConfigurationError: It is something else.
    """
    if value is not None and not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} must be a mapping of names to values, not {value!r}.")


def check_texts(options: Mapping[str, Any], *names: str) -> None:
    """Check the options that hold a text; None is not given.

    Raises:
        ConfigurationError: One of them is something else.
    """
    for name in names:
        value = options.get(name)
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(f"{name} must be a text, not {value!r}.")


def _check_parameter(name: str, value: object) -> None:
    """Refuse a parameter that a query would hold as Python writes it: `b'x'`, `nan`, `<object ...>`."""
    if name == "page_size":
        check_whole_number(name, value, 1)
    is_list = isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value)
    if not (value is None or isinstance(value, str) or is_list or type(value) is int):
        raise ConfigurationError(f"{name} must be a text or a whole number, not {value!r}.")


@dataclass(slots=True)
class Call:
    """One request.

    Attributes:
        what: What it does, for error messages.
        method: The HTTP method.
        path: The path, from `path_of`.
        operation: The SDK's name of the operation, for its hooks.
        body: JSON to send; None sends no body.
        params: Query parameters; a value of None is left out.
        files: Multipart parts, as the HTTP library takes them.
        once: Whether a second application would do harm, so that only what surely did not arrive is sent again.
        conversation_id: The conversation concerned, for errors.
        timeout: Seconds for the whole call; None takes the client's setting.
        headers: Further headers.
        transfer: Whether a file is fetched: then `timeout` bounds each silence, not the whole, as it does with `files`.
        turn: Whether the reply must be a conversation response.
        advice: What to do where nobody knows whether it was carried out; None for what that is as a rule.

    Raises:
        ConfigurationError: `timeout`, `headers` or a parameter can't be used.
    """

    what: str
    method: str
    path: str
    operation: Operation
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    params: Mapping[str, Any] = field(default_factory=dict)
    files: Any = field(default=None, repr=False)
    once: bool = False
    conversation_id: str | None = None
    timeout: float | None = None
    headers: Mapping[str, str] | None = None
    transfer: bool = False
    turn: bool = False
    advice: str | None = None

    def __post_init__(self) -> None:
        if self.timeout is not None:
            self.timeout = check_seconds("timeout", self.timeout)
        if self.headers is not None:
            self.headers = check_headers(self.headers)
        for name, value in self.params.items():
            _check_parameter(name, value)
