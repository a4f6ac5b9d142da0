"""The only module that knows the SDK's inside and which HTTP library it is built on (2.x: httpx, 3.x: httpx2).

Requests are built here as plain HTTP and sent through the SDK's own `do_request`, so its authentication (service
accounts too), tracing, proxies and user hooks keep working. `do_request` belongs to the SDK's `BaseSDK` and is not
documented: where a later SDK lacks it, the HTTP client sends the request itself.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mistral_agents._version import __version__
from mistral_agents.errors import ConfigurationError

WRONG_SDK = "mistral-agents needs a newer mistralai than the installed one: pip install --upgrade 'mistralai>=2.10,<4'"
_NEVER_ARRIVED = ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ProxyError")


@dataclass(frozen=True, slots=True)
class Operation:
    """What the SDK's hooks are told about a request: the names that its own methods use."""

    id: str
    tag: str


@lru_cache(maxsize=1)
def sdk_module() -> Any:
    """The module `mistralai.client`.

    Raises:
        ConfigurationError: SDK 1.x is installed (it has no such module).
    """
    try:
        import mistralai.client as module
    except ImportError as error:
        raise ConfigurationError(WRONG_SDK) from error
    if not hasattr(module, "Mistral"):
        raise ConfigurationError(WRONG_SDK)
    return module


@lru_cache(maxsize=1)
def http() -> Any:
    """The HTTP library that the installed SDK uses: the module `httpx2` or `httpx`."""
    sdk_module()
    from mistralai.client import basesdk

    return basesdk.httpx  # type: ignore[attr-defined]


class AbsentClient:
    """Stands where an SDK client wants an HTTP client of the kind it will not use: costs nothing, sends nothing."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted

    def send(self, *_: Any, **__: Any) -> Any:
        """Refuse to send.

        Raises:
            ConfigurationError: Always; it names the attribute to use instead.
        """
        raise ConfigurationError(f"This SDK client has no such HTTP client; use `{self.wanted}` of MistralAgents.")

    build_request = send

    def close(self) -> None:
        """Nothing is open."""

    async def aclose(self) -> None:
        """Nothing is open."""


@lru_cache(maxsize=1)
def _ssl_context() -> Any:
    return http().create_ssl_context()


def make_http_client(base_url: str, *, asynchronous: bool) -> Any:
    """A pooled HTTP client; loading certificates is the costly part, so it is done once a process."""
    kind = http().AsyncClient if asynchronous else http().Client
    return kind(follow_redirects=True, verify=_ssl_context() if base_url.startswith("https") else False)


def make_sdk(*, api_key: Any, base_url: str, client: Any, async_client: Any, timeout: float) -> Any:
    """An SDK client over the given HTTP clients; `timeout` is in seconds."""
    return sdk_module().Mistral(
        api_key=api_key,
        server_url=base_url,
        client=client,
        async_client=async_client,
        timeout_ms=int(timeout * 1000),
    )


def sdk_api_key(sdk: Any) -> Any:
    """The key (or the function that gives it) that an SDK client was made with; None where it has none."""
    security = sdk.sdk_configuration.security
    if security is None:
        return None
    return (lambda: security().api_key) if callable(security) else security.api_key


def sdk_base_url(sdk: Any) -> str:
    """The address an SDK client talks to."""
    return str(sdk.sdk_configuration.get_server_details()[0])


@lru_cache(maxsize=1)
def user_agent() -> str:
    """The SDK's own header value (its hook wants that prefix), followed by ours."""
    from mistralai.client import _version

    return f"mistral-client-python/{_version.__version__} mistral-agents/{__version__}"


def _hook_context(sdk: Any, operation: Operation) -> Any:
    from mistralai.client._hooks import HookContext

    configuration = sdk.sdk_configuration
    facts = {
        "config": configuration,
        "base_url": sdk_base_url(sdk),
        "operation_id": operation.id,
        "oauth2_scopes": None,
        "security_source": configuration.security,
        "tags": [operation.tag],
        "extensions": None,
    }
    known = _hook_context_fields(HookContext)
    return HookContext(**{name: value for name, value in facts.items() if name in known})


@lru_cache(maxsize=1)
def _hook_context_fields(kind: Any) -> frozenset[str]:
    return frozenset(inspect.signature(kind.__init__).parameters)


def _no_status_is_an_error(_: int) -> bool:
    return False


def send(sdk: Any, request: Any, operation: Operation, *, stream: bool) -> Any:
    """Send a request; a reply of any status is returned, a transport failure raises the HTTP library's error."""
    if not hasattr(sdk, "do_request"):
        return sdk.sdk_configuration.client.send(request, stream=stream)
    return sdk.do_request(
        hook_ctx=_hook_context(sdk, operation),
        request=request,
        is_error_status_code=_no_status_is_an_error,
        stream=stream,
    )


async def asend(sdk: Any, request: Any, operation: Operation, *, stream: bool) -> Any:
    """As `send`, on the SDK's asynchronous client."""
    if not hasattr(sdk, "do_request_async"):
        return await sdk.sdk_configuration.async_client.send(request, stream=stream)
    return await sdk.do_request_async(
        hook_ctx=_hook_context(sdk, operation),
        request=request,
        is_error_status_code=_no_status_is_an_error,
        stream=stream,
    )


def never_arrived(error: BaseException) -> bool:
    """Whether the request surely did not reach the server, so that it may be sent again."""
    return any(kind.__name__ in _NEVER_ARRIVED for kind in type(error).__mro__)


def timed_out(error: BaseException) -> bool:
    """Whether the HTTP library gave up waiting."""
    return isinstance(error, http().TimeoutException)


def is_transport_error(error: BaseException) -> bool:
    """Whether the error is the HTTP library's: no reply, or a reply that broke off."""
    library = http()
    return isinstance(error, (library.TransportError, library.StreamError, library.InvalidURL))
