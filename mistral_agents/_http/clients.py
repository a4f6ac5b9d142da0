"""Settings and HTTP clients: lazy, pooled, one asynchronous client per event loop, picklable."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from mistral_agents._http import sdk as sdk_layer
from mistral_agents.errors import ConfigurationError

DEFAULT_BASE_URL = "https://api.mistral.ai"
ApiKey = str | Callable[[], Any] | None
NO_KEY = (
    "No API key: set MISTRAL_API_KEY or pass api_key=, or start the local stand-in with "
    "`python -m mistral_agents_server` and pass its address as base_url= (or MISTRAL_BASE_URL)."
)


def clean_base_url(value: str | None) -> str:
    """The service's address without a trailing slash or `/v1`.

    Args:
        value: The address; None reads MISTRAL_BASE_URL, else the service's own address.

    Raises:
        ConfigurationError: It is no http or https address.
    """
    url = value if value is not None else os.environ.get("MISTRAL_BASE_URL", DEFAULT_BASE_URL)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigurationError(f"base_url must be an http or https address, not {url!r}.")
    return url.rstrip("/").removesuffix("/v1").rstrip("/")


def _checked_seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise ConfigurationError(f"{name} must be a number of seconds above 0, not {value!r}.")
    return float(value)


def _checked_count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"{name} must be a whole number from 0, not {value!r}.")
    return value


class Clients:
    """Settings, and the SDK clients made from them when first needed.

    A second event loop gets a client of its own, since pooled connections belong to the loop that opened them.
    Clients given by the caller are used as they are and never closed here. A pickle or deep copy keeps the settings
    (an `api_key` given explicitly included) and makes new clients.
    """

    def __init__(
        self,
        *,
        api_key: ApiKey = None,
        base_url: str | None = None,
        timeout: float = 300.0,
        max_retries: int = 2,
        stream_idle_timeout: float | None = None,
        http_client: Any = None,
        async_http_client: Any = None,
        sdk: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if api_key is not None and not isinstance(api_key, str) and not callable(api_key):
            raise ConfigurationError(f"api_key must be a text or a function, not {type(api_key).__name__}.")
        self.timeout = _checked_seconds("timeout", timeout)
        idle = stream_idle_timeout
        self.stream_idle_timeout = _checked_seconds("stream_idle_timeout", idle) if idle is not None else None
        self.max_retries = _checked_count("max_retries", max_retries)
        self.headers = dict(headers) if headers is not None else {}
        self._api_key = api_key if api_key is not None or sdk is None else sdk_layer.sdk_api_key(sdk)
        address = sdk_layer.sdk_base_url(sdk) if sdk is not None and base_url is None else base_url
        self.base_url = clean_base_url(address)
        self._http_client = http_client
        self._async_http_client = async_http_client
        self._given_sdk = sdk
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._sync_sdk: Any = self._given_sdk
        self._loop_sdks: dict[asyncio.AbstractEventLoop, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_loop_sdks")}
        return {**kept, "_sync_sdk": None, "_given_sdk": None, "_http_client": None, "_async_http_client": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def __repr__(self) -> str:
        return f"Clients(base_url={self.base_url!r})"

    # keys ------------------------------------------------------------------------------------------------------

    def _configured_key(self) -> Any:
        key = self._api_key if self._api_key is not None else os.environ.get("MISTRAL_API_KEY")
        if key:
            return key
        if os.environ.get("MISTRAL_SA_TOKEN_PATH"):
            return None
        if urlsplit(self.base_url).hostname in ("127.0.0.1", "localhost", "::1"):
            return "stand-in"
        raise ConfigurationError(NO_KEY)

    def key(self) -> str | None:
        """The key of this request; None where the SDK reads a service account's token.

        Raises:
            ConfigurationError: There is none, or it is given by an asynchronous function.
        """
        found = self._configured_key()
        value = found() if callable(found) else found
        if inspect.isawaitable(value):
            if inspect.iscoroutine(value):
                value.close()
            raise ConfigurationError("api_key is an asynchronous function; only asynchronous calls can use it.")
        return _bare_key(value)

    async def akey(self) -> str | None:
        """As `key`; the function may be asynchronous."""
        found = self._configured_key()
        value = found() if callable(found) else found
        return _bare_key(await value if inspect.isawaitable(value) else value)

    def request_headers(self, key: str | None) -> dict[str, str]:
        """Headers that every request carries."""
        known = {"accept": "application/json", "user-agent": sdk_layer.user_agent(), **self.headers}
        return known if key is None else {"authorization": f"Bearer {key}", **known}

    # SDK clients -----------------------------------------------------------------------------------------------

    def _make(self, client: Any, async_client: Any) -> Any:
        key = self._api_key if self._api_key is not None else os.environ.get("MISTRAL_API_KEY")
        return sdk_layer.make_sdk(
            api_key=key or None, base_url=self.base_url, client=client, async_client=async_client, timeout=self.timeout
        )

    def sync_sdk(self) -> Any:
        """The SDK client of synchronous calls."""
        if self._sync_sdk is None:
            with self._lock:
                if self._sync_sdk is None:
                    client = self._http_client
                    if client is None:
                        client = sdk_layer.make_http_client(self.base_url, asynchronous=False)
                        weakref.finalize(self, client.close)
                    self._sync_sdk = self._make(client, sdk_layer.AbsentClient("async_sdk"))
        return self._sync_sdk

    def loop_sdk(self) -> Any:
        """The SDK client of the running event loop."""
        if self._given_sdk is not None:
            return self._given_sdk
        loop = asyncio.get_running_loop()
        found = self._loop_sdks.get(loop)
        if found is not None:
            return found
        with self._lock:
            for old in [known for known in self._loop_sdks if known.is_closed()]:
                del self._loop_sdks[old]
            given = self._async_http_client
            client = given if given is not None else sdk_layer.make_http_client(self.base_url, asynchronous=True)
            return self._loop_sdks.setdefault(loop, self._make(sdk_layer.AbsentClient("sdk"), client))

    # closing ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the synchronous connections this object opened; it can be used again afterwards."""
        with self._lock:
            sdk, self._sync_sdk = self._sync_sdk, self._given_sdk
        if sdk is not None and sdk is not self._given_sdk and self._http_client is None:
            sdk.sdk_configuration.client.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and the synchronous ones."""
        with self._lock:
            sdk = self._loop_sdks.pop(asyncio.get_running_loop(), None)
        if sdk is not None and self._async_http_client is None:
            await sdk.sdk_configuration.async_client.aclose()
        self.close()


def _bare_key(value: Any) -> str | None:
    if value is None:
        return None
    text = str(value.get_secret_value() if hasattr(value, "get_secret_value") else value).strip()
    if not text or not text.isascii() or any(mark.isspace() for mark in text):
        raise ConfigurationError("The API key is empty or holds spaces, line breaks or non-ASCII characters.")
    return text.removeprefix("Bearer ")
