"""With `hooks`, the only module that knows the SDK's inside, and its HTTP library (2.x: httpx, 3.x: httpx2).

Requests are built here as plain HTTP and sent by the SDK's own HTTP client, between the SDK's hooks (see `hooks`), so
that its authentication (service accounts too), tracing, proxies and user hooks keep working. The SDK's `do_request`
is not used: its asynchronous form runs hooks in the loop's default executor while it holds the open response, so that
a cancelled call leaves its connection behind and a full executor stops every call.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mistral_agents._http.concealed import Concealed
from mistral_agents._http.deadline import LONGEST
from mistral_agents._http.network import install_backend
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


def make_http_client(*, asynchronous: bool) -> Any:
    """A pooled HTTP client that verifies certificates and follows no redirect.

    Loading certificates is the costly part, so it is done once a process.
    """
    library = http()
    kind = library.AsyncClient if asynchronous else library.Client
    client = kind(follow_redirects=False, verify=_ssl_context())
    install_backend(client, asynchronous=asynchronous, connect_error=library.ConnectError)
    return client


def make_sdk(*, api_key: Concealed | None, base_url: Concealed, client: Any, async_client: Any, timeout: float) -> Any:
    """An SDK client over the given HTTP clients; `timeout` is in seconds."""
    module = sdk_module()
    return module.Mistral(
        api_key=api_key.reveal() if api_key is not None else None,
        server_url=base_url.reveal(),
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


def make_timeout(seconds: float | None) -> Any:
    """The same bound for each wait of a request: for a place in the pool, the connection, each write and each read."""
    return http().Timeout(min(seconds, LONGEST) if seconds is not None else None)


def set_read_timeout(request: Any, seconds: float | None) -> None:
    """How long the body of the reply to a request may be silent from now on, in seconds."""
    waits = request.extensions.get("timeout")
    if isinstance(waits, dict):
        waits["read"] = seconds


def keep_content(response: Any, content: bytes) -> None:
    """Make `response.content` the bytes that were read here, as the library's own `read` does."""
    response._content = content


def loses_cancelled_requests() -> bool:
    """Whether a cancelled request may keep its connection (see `cancelling`)."""
    return bool(http().__name__ == "httpx")


def is_closed(client: Any) -> bool:
    """Whether an HTTP client was closed."""
    return bool(getattr(client, "is_closed", False))


def never_arrived(error: BaseException) -> bool:
    """Whether the request surely did not reach the server, so that it may be sent again."""
    return any(kind.__name__ in _NEVER_ARRIVED for kind in type(error).__mro__)


def timed_out(error: BaseException) -> bool:
    """Whether the HTTP library gave up waiting."""
    return isinstance(error, http().TimeoutException)


def pool_is_full(error: BaseException) -> bool:
    """Whether all connections of the client were taken for as long as the call could wait."""
    return isinstance(error, http().PoolTimeout)


def is_unreadable(error: BaseException) -> bool:
    """Whether there was a reply whose body can't be unpacked."""
    return isinstance(error, http().DecodingError)


def is_status_error(error: BaseException) -> bool:
    """Whether the user's HTTP client (by a hook of it) raised for a status; `.response` is the reply."""
    return isinstance(error, http().HTTPStatusError)


def is_transport_error(error: BaseException) -> bool:
    """Whether the error is the HTTP library's: no reply, or a reply that broke off or can't be read."""
    library = http()
    return isinstance(error, (library.HTTPError, library.StreamError, library.InvalidURL))
