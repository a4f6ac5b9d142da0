"""Settings and HTTP clients: lazy, pooled, one asynchronous client per event loop, a set per process, picklable."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
import weakref
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from mistral_agents._http import sdk as sdk_layer
from mistral_agents._http.calls import check_headers, check_seconds, check_whole_number
from mistral_agents._http.closing import IdleCloser
from mistral_agents._http.concealed import (
    Concealed,
    clean_key,
    conceal,
    mask_address,
    split_credentials,
)
from mistral_agents._http.network import make_reentrant
from mistral_agents._json import JsonDict
from mistral_agents.errors import ConfigurationError

DEFAULT_BASE_URL = "https://api.mistral.ai"
MAX_BODY_BYTES = 512 * 2**20
"""The largest reply, event or file that is read unless the client says otherwise: the service's own limit for files."""
EVENT_TIMEOUT = 600.0
"""Seconds for which a stream may send comments, or parts of an event, without a whole event."""
ApiKey = str | Callable[[], Any] | None
NO_KEY = (
    "No API key: set MISTRAL_API_KEY or pass api_key=, or start the local stand-in with "
    "`python -m mistral_agents_server` and pass its address as base_url= (or MISTRAL_BASE_URL)."
)
_BAD_KEY = "The API key is empty or holds spaces, line breaks or non-ASCII characters."
_FOREIGN = (
    "{} was made in process {} and this is process {}: connections can't be shared by processes (fork). "
    "Make the client, and what is given to it, after the fork."
)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def clean_base_url(value: str | None) -> str:
    """The service's address without a trailing slash or `/v1`.

    Args:
        value: The address; None reads MISTRAL_BASE_URL, else the service's own address.

    Raises:
        ConfigurationError: It is no http or https address, or has a query or fragment, behind which no path can stand.
    """
    url = Concealed(value if value is not None else os.environ.get("MISTRAL_BASE_URL", DEFAULT_BASE_URL))
    value = None  # an error tracker that keeps local variables shall find no password of an address
    if not _is_http_address(url.reveal()):
        raise ConfigurationError(f"base_url must be an http or https address, not {mask_address(url.reveal())}.")
    if any(mark in url.reveal() for mark in "?#"):
        shown = mask_address(url.reveal())
        raise ConfigurationError(f"base_url must end with its path, without a query or fragment, not {shown}.")
    return str(url.reveal()).rstrip("/").removesuffix("/v1").rstrip("/")


def _is_http_address(url: Any) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except (ValueError, TypeError, AttributeError):
        return False
    readable = isinstance(url, str) and url.isprintable() and not any(mark.isspace() for mark in url)
    return readable and parts.scheme in ("http", "https") and _is_host(parts.hostname)


def _is_host(name: str | None) -> bool:
    """Whether a host has a name, and parts that a look-up can take."""
    try:
        return bool(name) and bool(str(name).encode("idna"))
    except UnicodeError:
        return False


class _Opened:
    """What one process opened: its SDK clients, and the lock that guards them."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.lock = threading.Lock()
        self.sync_sdk: Any = None
        self.loop_sdks: dict[asyncio.AbstractEventLoop, Any] = {}
        self.closers: dict[asyncio.AbstractEventLoop, IdleCloser] = {}


_inherited: list[_Opened] = []
"""What parents of this process opened. Kept for ever: its sockets are the parent's to use and to close."""
_takeover = threading.Lock()


def _renew_takeover() -> None:
    global _takeover
    _takeover = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_takeover)


def _close_own(process: int, client: Any) -> None:
    if process == os.getpid():
        client.close()


class Clients:
    """Settings, and the SDK clients made from them when first needed.

    A second event loop gets a client of its own, since pooled connections belong to the loop that opened them, and so
    does a forked process, which never touches the connections of its parent. Clients given by the caller are used as
    they are, in the process they were given in, and never closed here. A pickle or deep copy keeps the settings (an
    `api_key` given explicitly included) and makes new clients.
    """

    def __init__(
        self,
        *,
        api_key: ApiKey | Concealed = None,
        base_url: str | Concealed | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        stream_idle_timeout: float | None = None,
        stream_event_timeout: float | None = None,
        max_body_bytes: int | None = None,
        http_client: object = None,
        async_http_client: object = None,
        sdk: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        key, api_key = conceal(api_key), None
        address, base_url = conceal(base_url), None
        if key is not None and not isinstance(key.reveal(), str) and not callable(key.reveal()):
            raise ConfigurationError(f"api_key must be a text or a function, not {type(key.reveal()).__name__}.")
        self.timeout = check_seconds("timeout", timeout) if timeout is not None else 300.0
        idle = stream_idle_timeout
        self.stream_idle_timeout = check_seconds("stream_idle_timeout", idle) if idle is not None else None
        event = stream_event_timeout
        self.stream_event_timeout = check_seconds("stream_event_timeout", event) if event is not None else EVENT_TIMEOUT
        self.max_retries = check_whole_number("max_retries", max_retries) if max_retries is not None else 2
        most = max_body_bytes
        self.max_body_bytes = check_whole_number("max_body_bytes", most, 1) if most is not None else MAX_BODY_BYTES
        self.headers = check_headers(headers if headers is not None else {})
        _check_sdk(sdk)
        self._api_key = key if key is not None or sdk is None else conceal(sdk_layer.sdk_api_key(sdk))
        if address is None and sdk is not None:
            address = conceal(sdk_layer.sdk_base_url(sdk))
        self._address = Concealed(clean_base_url(address.reveal() if address is not None else None))
        self.base_url, self._credentials = split_credentials(self._address.reveal())
        self._http_client = _check_http_client("http_client", http_client, "close")
        self._async_http_client = _check_http_client("async_http_client", async_http_client, "aclose")
        self._given_sdk = sdk
        self._maker = os.getpid()
        self._opened = _Opened()

    def __getstate__(self) -> JsonDict:
        kept = {name: value for name, value in self.__dict__.items() if name != "_opened"}
        return {**kept, "_given_sdk": None, "_http_client": None, "_async_http_client": None}

    def __setstate__(self, state: JsonDict) -> None:
        self.__dict__.update(state)
        self._maker = os.getpid()
        self._opened = _Opened()

    def __repr__(self) -> str:
        return f"Clients(base_url={self.__dict__.get('base_url')!r})"

    @property
    def is_local(self) -> bool:
        """Whether the service is on this machine."""
        return urlsplit(self.base_url).hostname in _LOOPBACK

    # keys ------------------------------------------------------------------------------------------------------

    def _find_key(self) -> Concealed | None:
        key = self._api_key if self._api_key is not None else conceal(os.environ.get("MISTRAL_API_KEY"))
        if key is not None and key.reveal():
            return key
        if os.environ.get("MISTRAL_SA_TOKEN_PATH"):
            return None
        if self.is_local:
            return Concealed("stand-in")
        raise ConfigurationError(NO_KEY)

    def key(self) -> Concealed | None:
        """The key of this request; None where the SDK reads a service account's token.

        Raises:
            ConfigurationError: There is none, it is given by an asynchronous function, or it can't be a header.
        """
        found = self._find_key()
        if found is None:
            return None
        taken = Concealed(_call_or_take(found))
        if inspect.isawaitable(taken.reveal()):
            if inspect.iscoroutine(taken.reveal()):
                taken.reveal().close()
            raise ConfigurationError("api_key is an asynchronous function; only asynchronous calls can use it.")
        return _check_key(taken)

    async def akey(self) -> Concealed | None:
        """As `key`; the function may be asynchronous."""
        found = self._find_key()
        if found is None:
            return None
        taken = Concealed(_call_or_take(found))
        return _check_key(Concealed(await taken.reveal()) if inspect.isawaitable(taken.reveal()) else taken)

    def authorize(self, request: Any, key: Concealed | None, headers: Mapping[str, str] | None) -> None:
        """Put the key into a request, unless the headers of the client or the call hold an authorization.

        Credentials in `base_url` go before the key, as the HTTP libraries do it.
        """
        given = (*self.headers, *(headers if headers is not None else ()))
        if any(name.lower() == "authorization" for name in given):
            return
        if self._credentials is not None:
            request.headers["authorization"] = f"Basic {_basic(self._credentials)}"
        elif key is not None:
            request.headers["authorization"] = f"Bearer {key.reveal()}"

    # SDK clients -----------------------------------------------------------------------------------------------

    def _own(self) -> _Opened:
        """What this process opened; after a fork the child begins anew."""
        opened = self._opened
        if opened.process == os.getpid():
            return opened
        with _takeover:
            if self._opened.process != os.getpid():
                _inherited.append(self._opened)
                self._opened = _Opened()
            return self._opened

    def _check_process(self, **given: object) -> None:
        """Refuse what the user gave to the parent of this process."""
        name = next((name for name, value in given.items() if value is not None), None)
        if name is not None and self._maker != os.getpid():
            raise ConfigurationError(_FOREIGN.format(name, self._maker, os.getpid()))

    def _make(self, client: object, async_client: object) -> Any:
        key = self._api_key if self._api_key is not None else conceal(os.environ.get("MISTRAL_API_KEY"))
        given = key if key is not None and key.reveal() else None
        return sdk_layer.make_sdk(
            api_key=given, base_url=self._address, client=client, async_client=async_client, timeout=self.timeout
        )

    def sync_sdk(self) -> Any:
        """The SDK client of synchronous calls.

        Raises:
            ConfigurationError: The user's own client was given in the parent of this process.
        """
        opened = self._own()
        if opened.sync_sdk is None:
            self._check_process(sdk=self._given_sdk, http_client=self._http_client)
            with opened.lock:
                if opened.sync_sdk is None:
                    sdk: Any = self._given_sdk if self._given_sdk is not None else self._make_sync_sdk()
                    make_reentrant(sdk.sdk_configuration.client)
                    opened.sync_sdk = sdk
        return opened.sync_sdk

    def _make_sync_sdk(self) -> Any:
        client = self._http_client
        if client is None:
            client = sdk_layer.make_http_client(asynchronous=False)
            weakref.finalize(self, _close_own, os.getpid(), client)
        return self._make(client, sdk_layer.AbsentClient("async_sdk"))

    def loop_sdk(self) -> Any:
        """The SDK client of the running event loop.

        Raises:
            ConfigurationError: The user's own client was given in the parent of this process.
        """
        opened, loop = self._own(), asyncio.get_running_loop()
        found = opened.loop_sdks.get(loop)
        if found is not None:
            return found
        self._check_process(sdk=self._given_sdk, async_http_client=self._async_http_client)
        if self._given_sdk is not None:
            return self._given_sdk
        with opened.lock:
            for old in [known for known in opened.loop_sdks if known.is_closed()]:
                del opened.loop_sdks[old]
                opened.closers.pop(old, None)
            given = self._async_http_client
            client = given if given is not None else sdk_layer.make_http_client(asynchronous=True)
            if given is None:
                opened.closers[loop] = IdleCloser(client)
            return opened.loop_sdks.setdefault(loop, self._make(sdk_layer.AbsentClient("sdk"), client))

    # closing ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the synchronous connections this object opened; it can be used again afterwards."""
        opened = self._own()
        with opened.lock:
            sdk, opened.sync_sdk = opened.sync_sdk, None
        if sdk is not None and sdk is not self._given_sdk and self._http_client is None:
            sdk.sdk_configuration.client.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and the synchronous ones."""
        opened = self._own()
        loop = asyncio.get_running_loop()
        with opened.lock:
            sdk, closer = opened.loop_sdks.pop(loop, None), opened.closers.pop(loop, None)
        if closer is not None:
            await closer.aclose()
        if sdk is not None and self._async_http_client is None:
            await sdk.sdk_configuration.async_client.aclose()
        self.close()


def _check_sdk(sdk: object) -> None:
    if sdk is not None and (isinstance(sdk, type) or not hasattr(sdk, "sdk_configuration")):
        raise ConfigurationError(
            f"sdk must be a client such as mistralai.client.Mistral(...), not {type(sdk).__name__}."
        )


def _check_http_client(name: str, client: object, closes: str) -> object:
    """The user's HTTP client, or None; a blocking one and an asynchronous one are told by how they are closed."""
    if client is None or all(callable(getattr(client, method, None)) for method in ("send", "build_request", closes)):
        return client
    kind, like = ("a blocking", "Client") if closes == "close" else ("an asynchronous", "AsyncClient")
    raise ConfigurationError(f"{name} must be {kind} HTTP client such as httpx.{like}, not {type(client).__name__}.")


def _call_or_take(key: Concealed) -> Any:
    return key.reveal()() if callable(key.reveal()) else key.reveal()


def _check_key(taken: Concealed) -> Concealed | None:
    cleaned = Concealed(clean_key(taken.reveal))
    if cleaned.reveal() is False:
        raise ConfigurationError(_BAD_KEY)
    return cleaned if cleaned.reveal() is not None else None


def _basic(credentials: Concealed) -> str:
    name, _, word = credentials.reveal().partition(":")
    return b64encode(f"{unquote(name)}:{unquote(word)}".encode()).decode()
