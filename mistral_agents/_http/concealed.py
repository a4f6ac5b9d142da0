"""Keys and credentials in wrappers that print as `***`, and addresses without their credentials.

Error trackers keep the local variables of every frame, so a key stands in no variable as a plain text where something
can fail: it is revealed inside the one expression that needs it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

_CREDENTIALS = re.compile(r"(?<=//)[^/?#@\s]*(?:@[^/?#@\s]*)*@")
_OPENING = re.compile(r"""b?['"](?:[a-z][a-z0-9+.-]*:/*)?""", re.IGNORECASE)
_QUERY = re.compile(r"""[?#].*(?=['"]\Z)""", re.DOTALL)


class Concealed:
    """Holds a secret; `repr` and `str` show `***`."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def reveal(self) -> Any:
        """The secret itself: a text, or the function that gives it."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Concealed) and bool(self._value == other._value)

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "***"


def conceal(value: object) -> Concealed | None:
    """A secret in its wrapper; None stays None, and what is concealed stays so."""
    return value if value is None or isinstance(value, Concealed) else Concealed(value)


class ConcealedFields(dict[str, str]):
    """Headers, or an authorization, whose `repr` shows the names only: a value may be a credential."""

    def __repr__(self) -> str:
        return repr(dict.fromkeys(self, "***"))


class ConcealedText(str):
    """A text whose `repr` shows `***`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"


SECRET_KEYS = frozenset({"authorization", "connection_credentials"})
"""Keys of the service under which credentials stand."""
_FIELDS = ("headers", "global_headers", "auth_data")
"""Options that hold credentials: of a call, or of a connector."""
_SENT_KEYS = SECRET_KEYS | {"credentials", *_FIELDS}
"""Keys of a request under which credentials stand."""
_PLAIN_KEYS = frozenset({"type", "name"})
_SHORTEST = 4  # characters; what is shorter stands everywhere


MASK = "***"
"""What is written in place of a credential."""


def masked(value: object) -> Any:
    """A copy for people to read: what stands under a key that holds secrets is replaced by `***`."""
    if isinstance(value, dict):
        return {key: MASK if key in SECRET_KEYS and item else masked(item) for key, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list) else value


def without_secrets(value: object) -> Any:
    """A copy to be stored or sent on: what stands under a key that holds secrets is left out."""
    if isinstance(value, dict):
        return {key: without_secrets(item) for key, item in value.items() if key not in SECRET_KEYS}
    return [without_secrets(item) for item in value] if isinstance(value, list) else value


class ConcealedBytes(bytes):
    """Bytes whose `repr` shows `***`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"


def conceal_text(value: object) -> Any:
    """A text that prints as `***`; anything else as it is."""
    return ConcealedText(value) if isinstance(value, str) else value


def conceal_fields(value: object) -> Any:
    """Headers whose values print as `***`; anything else as it is."""
    return ConcealedFields(value) if isinstance(value, Mapping) and not isinstance(value, ConcealedFields) else value


def conceal_settings(settings: Mapping[str, Any]) -> Any:
    """Settings of a client whose key, address and headers show in no `repr`; the values themselves are kept."""
    return {name: _conceal_setting(name, value) for name, value in settings.items()}


def _conceal_setting(name: str, value: object) -> Any:
    if name.endswith("headers"):
        return conceal_fields(value)
    return conceal_text(value) if name.endswith("api_key") or (isinstance(value, str) and "@" in value) else value


def conceal_options(options: Any) -> Any:
    """Options, or a request's body, whose tools and headers show no credential in any `repr`; their values are kept.

    Builders of ours conceal theirs already; a tool that was written by hand is copied.
    """
    if not isinstance(options, Mapping):
        return options
    tools = options.get("tools")
    if isinstance(tools, (list, tuple)):
        options = {**options, "tools": [conceal_tool(tool) for tool in tools]}
    fields = {name: conceal_fields(options[name]) for name in _FIELDS if options.get(name) is not None}
    return {**options, **fields} if fields else options


def conceal_requests(requests: object) -> Any:
    """Many bodies, each as `conceal_options` gives it, rows of a file that hold one too."""
    return [_conceal_row(row) for row in requests] if isinstance(requests, (list, tuple)) else requests


def _conceal_row(row: object) -> Any:
    body = conceal_options(row)
    return {**body, "body": conceal_options(body["body"])} if isinstance(body, Mapping) and "body" in body else body


def conceal_tool(tool: object) -> Any:
    """A tool whose credential, if it has one, shows in no `repr`; anything else as it is."""
    secret = tool.get("authorization") if type(tool) is dict else None
    if isinstance(secret, Mapping):
        return {**tool, "authorization": ConcealedFields(secret)}  # type: ignore[dict-item]
    return {**tool, "authorization": ConcealedText(secret)} if isinstance(secret, str) else tool  # type: ignore[dict-item]


_SECRET_HEADER = re.compile(r"auth|cookie|credential|key|password|secret|token", re.IGNORECASE)


def list_tokens(headers: Mapping[str, str]) -> list[str]:
    """What a request's headers hold that may be a credential."""
    return [value.rpartition(" ")[2] for name, value in headers.items() if _SECRET_HEADER.search(name)]


def hide_echo(content: bytes, body: object, tokens: Iterable[str]) -> bytes:
    """The report of a failure, without the credentials that were sent: a service may show what it refuses."""
    for secret in _list_sent(body, tokens):
        for written in (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
            content = content.replace(written.encode("utf-8", "replace"), b"***")
    return content


def hide_echo_in(event: dict[str, Any], body: object, tokens: Iterable[str]) -> None:
    """As `hide_echo`, in place: whoever holds an event that tells of a failure holds it without them."""
    secrets = _list_sent(body, tokens)
    event.update({key: _hide_in(value, secrets) for key, value in event.items()})


def _hide_in(value: object, secrets: set[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _hide_in(one, secrets) for key, one in value.items()}
    if isinstance(value, list):
        return [_hide_in(one, secrets) for one in value]
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "***")
    return value


def _list_sent(body: object, tokens: Iterable[str]) -> set[str]:
    return {one for one in (*tokens, *_find_secrets(body)) if len(one) >= _SHORTEST}


def _find_secrets(value: object, *, within: bool = False) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            if key != "inputs" and not (within and key in _PLAIN_KEYS):
                yield from _find_secrets(one, within=within or key in _SENT_KEYS)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _find_secrets(one, within=within)
    elif within and isinstance(value, str):
        yield value


def mask_credentials(text: str) -> str:
    """A text whose addresses have no user name and password."""
    return _CREDENTIALS.sub("***@", text)


def mask_address(address: object) -> str:
    """The `repr` of what was to be an address, without what may be its credentials.

    It is refused, so they may have marks in them that end an address.
    """
    before, at, after = repr(str(address) if isinstance(address, str) else address).rpartition("@")
    opening = _OPENING.match(before)
    text = f"{opening[0] if opening is not None else ''}***@{after}" if at else after
    return _QUERY.sub(lambda found: f"{found[0][0]}***", text)


def drop_credentials(text: str) -> str:
    """A text whose addresses work on without their user name and password."""
    return _CREDENTIALS.sub("", text)


def split_credentials(url: str) -> tuple[str, Concealed | None]:
    """An address without its user name and password, and these two (quoted as they stood), if there are any."""
    parts = urlsplit(url)
    head, at, host = parts.netloc.rpartition("@")
    return (parts._replace(netloc=host).geturl(), Concealed(head)) if at else (url, None)


def clean_key(take: Callable[[], Any]) -> Any:
    """The key that a function gives, as it goes into a header; None stays None, what can't be sent is refused.

    Returns:
        The key, or False where it is empty or holds what a header can't. No exception is raised here, since a
        traceback would carry the key along.
    """
    value = take()
    if value is None:
        return None
    text = str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)
    text = text.strip().removeprefix("Bearer ").strip()
    return text if text and text.isascii() and text.isprintable() and " " not in text else False
