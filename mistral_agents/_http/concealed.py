"""Keys and credentials in wrappers that print as `***`, and addresses without their credentials.

Error trackers keep the local variables of every frame, so a key stands in no variable as a plain text where something
can fail: it is revealed inside the one expression that needs it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
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
_PLAIN_KEYS = frozenset({"type", "name"})
_SHORTEST = 4  # characters; what is shorter stands everywhere


def masked(value: object) -> Any:
    """A copy for people to read: what stands under a key that holds secrets is replaced by `***`."""
    if isinstance(value, dict):
        return {key: "***" if key in SECRET_KEYS and item else masked(item) for key, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list) else value


def without_secrets(value: object) -> Any:
    """A copy to be stored or sent on: what stands under a key that holds secrets is left out."""
    if isinstance(value, dict):
        return {key: without_secrets(item) for key, item in value.items() if key not in SECRET_KEYS}
    return [without_secrets(item) for item in value] if isinstance(value, list) else value


def conceal_tools(options: Any) -> Any:
    """Options, or a request's body, whose tools show no credential in any `repr`; the value itself is kept.

    Builders of ours conceal theirs already; a tool that was written by hand is copied.
    """
    tools = options.get("tools") if isinstance(options, Mapping) else None
    if not isinstance(tools, (list, tuple)):
        return options
    return {**options, "tools": [_conceal_tool(tool) for tool in tools]}


def conceal_requests(requests: object) -> Any:
    """Many bodies, each as `conceal_tools` gives it."""
    return [conceal_tools(body) for body in requests] if isinstance(requests, (list, tuple)) else requests


def _conceal_tool(tool: object) -> Any:
    secret = tool.get("authorization") if type(tool) is dict else None
    if isinstance(secret, Mapping):
        return {**tool, "authorization": ConcealedFields(secret)}  # type: ignore[dict-item]
    return {**tool, "authorization": ConcealedText(secret)} if isinstance(secret, str) else tool  # type: ignore[dict-item]


def hide_echo(content: bytes, body: object, token: str) -> bytes:
    """The report of a failure, without the credentials that were sent: a service may show what it refuses."""
    for secret in _list_sent(body, token):
        for written in (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
            content = content.replace(written.encode("utf-8", "replace"), b"***")
    return content


def hide_echo_in(event: dict[str, Any], body: object, token: str) -> None:
    """As `hide_echo`, in place: whoever holds an event that tells of a failure holds it without them."""
    secrets = _list_sent(body, token)
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


def _list_sent(body: object, token: str) -> set[str]:
    return {one for one in (token.rpartition(" ")[2], *_find_secrets(body)) if len(one) >= _SHORTEST}


def _find_secrets(value: object, *, within: bool = False) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            if key != "inputs" and not (within and key in _PLAIN_KEYS):
                yield from _find_secrets(one, within=within or key in SECRET_KEYS)
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
    before, at, after = repr(address).rpartition("@")
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
