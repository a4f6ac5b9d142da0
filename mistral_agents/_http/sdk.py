"""The only module that knows the SDK's inside, its hooks, and its HTTP library (2.x: httpx, 3.x: httpx2).

Requests are built here as plain HTTP and sent by the SDK's own HTTP client, between the SDK's hooks, so that its
authentication (service accounts too), tracing, proxies and user hooks keep working. The SDK's `do_request` is not
used: its asynchronous form runs hooks in the loop's default executor while it holds the open response, so that a
cancelled call leaves its connection behind and a full executor stops every call.

The hooks (authentication, headers, tracing, and what users have registered) run in the SDK's order: all hooks before
the request; then, with the reply, those for success or for failure. Three things are done differently, and why:

- In asynchronous calls the SDK's own hooks, which don't block, run where the call runs; hooks of the user run in
  threads of our own. The loop's default executor is never used, and a cancelled call closes the response it held.
- The tracing hook is told last, when it is known whether the turn is good: OpenTelemetry takes no failure after an OK.
  Of a stream it gets the whole reply that the events add up to, so that spans of streams have usage and conversation.
- A hook of the SDK that fails on a reply (they expect the replies of chat completions) is noted in the log; a paid
  answer is not lost for it. Failures of the user's hooks are the user's to see.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from mistral_agents._http.calls import LONGEST, Operation
from mistral_agents._http.concealed import Concealed
from mistral_agents._http.network import install_backend, own_workers
from mistral_agents._json import JsonDict
from mistral_agents._version import __version__
from mistral_agents.errors import ConfigurationError, MistralAgentsError

WRONG_SDK = "mistral-agents needs a newer mistralai than the installed one: pip install --upgrade 'mistralai>=2.10,<4'"
_NEVER_ARRIVED = ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ProxyError")
_log = logging.getLogger("mistral_agents")
_SPAN = "_tracing_span"
"""Where the SDK's tracing hook keeps the span of a request (`mistralai.client._hooks.tracing`)."""
_STATUS = "http.response.status_code"
_CONVERSATION = "gen_ai.conversation.id"
_FRAMING = frozenset({"content-encoding", "content-length", "transfer-encoding", "content-type"})
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_PROXY_RULES = (*_PROXIES, "NO_PROXY")
_USAGE = {"gen_ai.usage.input_tokens": "prompt_tokens", "gen_ai.usage.output_tokens": "completion_tokens"}


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

    def send(self, *_: object, **__: object) -> Any:
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
    try:
        return http().create_ssl_context()
    except OSError as error:  # of `ssl` too
        raise ConfigurationError(
            f"The certificates that the environment names can't be read: {error}",
            hint="Unset SSL_CERT_FILE and SSL_CERT_DIR, or let them name certificates in PEM format.",
        ) from error


def _list_set(names: Sequence[str]) -> str:
    """Those variables of the environment that are set, in either case."""
    return ", ".join(name for name, value in os.environ.items() if name.upper() in names and value)


_WRITTEN = ("accept", "user-agent")
"""Headers that every request here brings; the library's own would be taken out of each again."""


def make_http_client(*, asynchronous: bool) -> Any:
    """A pooled HTTP client that verifies certificates and follows no redirect.

    Loading certificates is the costly part, so it is done once a process.

    Raises:
        ConfigurationError: The environment names certificates or a proxy that can't be used.
    """
    library, context = http(), _ssl_context()
    kind = library.AsyncClient if asynchronous else library.Client
    try:
        client = kind(follow_redirects=False, verify=context)
    except ImportError as error:
        named = f"The environment names a SOCKS proxy ({_list_set(_PROXIES)})"
        raise ConfigurationError(f"{named}, which needs a package: pip install socksio") from error
    except (ValueError, library.InvalidURL):
        named = f"The proxies that the environment names can't be used ({_list_set(_PROXY_RULES)})"
        hint = "Write one as http://host:port, and the marks / ? # @ : of a password as %2F %3F %23 %40 %3A."
        raise ConfigurationError(f"{named}: one is no address.", hint=hint) from None  # it may show a password
    for name in _WRITTEN:
        client.headers.pop(name, None)
    install_backend(client, asynchronous=asynchronous, connect_error=library.ConnectError)
    return client


def make_sdk(
    *, api_key: Concealed | None, base_url: Concealed, client: object, async_client: object, timeout: float
) -> Any:
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


def parse_url(client: Any, address: str) -> Any:
    """An address as a client reads it: parsed once for one of the SDK's HTTP library, text for one of another."""
    library = http()
    return _parse_url(address) if isinstance(client, (library.Client, library.AsyncClient)) else address


@lru_cache(maxsize=256)
def _parse_url(address: str) -> Any:
    return http().URL(address)


def limit_waits(seconds: float) -> JsonDict:
    """The same bound for each wait of a request, as an extension of it, which both HTTP libraries read alike."""
    return {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), min(seconds, LONGEST))}


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


def is_closed(client: object) -> bool:
    """Whether an HTTP client was closed."""
    return bool(getattr(client, "is_closed", False))


def never_arrived(error: BaseException) -> bool:
    """Whether the request surely did not reach the server, so that it may be sent again."""
    return any(kind.__name__ in _NEVER_ARRIVED for kind in type(error).__mro__)


def timed_out(error: BaseException) -> bool:
    """Whether the HTTP library gave up waiting."""
    return _is_kind(error, "TimeoutException")


def advise_connecting(error: BaseException) -> str:
    """What to look at where no connection could be made."""
    text = str(error)
    if _is_kind(error, "ProxyError"):
        return f"A proxy refused to connect; the environment names one ({_list_set(_PROXIES)})."
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return (
            "The certificate of the server is not trusted here. Is the address right? Where an authority of your own "
            "signed it, let SSL_CERT_FILE name that authority's certificate, or give an http_client= that trusts it."
        )
    if "SSL" in text:
        return "Does the server speak https at that port? Else the address begins with http."
    proxies = f" The environment names a proxy ({_list_set(_PROXIES)})." if _list_set(_PROXIES) else ""
    return f"Is the address right, and is a server listening there?{proxies}"


def pool_is_full(error: BaseException) -> bool:
    """Whether all connections of the client were taken for as long as the call could wait."""
    return _is_kind(error, "PoolTimeout")


def is_unreadable(error: BaseException) -> bool:
    """Whether there was a reply whose body can't be unpacked."""
    return _is_kind(error, "DecodingError")


def is_status_error(error: BaseException) -> bool:
    """Whether the user's HTTP client (by a hook of it) raised for a status; `.response` is the reply."""
    return _is_kind(error, "HTTPStatusError")


def is_transport_error(error: BaseException) -> bool:
    """Whether the error is the HTTP library's: no reply, or a reply that broke off or can't be read."""
    return _is_kind(error, "HTTPError", "StreamError", "InvalidURL")


def _is_kind(error: BaseException, *names: str) -> bool:
    """Whether an error is of these kinds, in either library: a client of the user may be of the other one."""
    libraries = [library for name in ("httpx", "httpx2") if (library := sys.modules.get(name)) is not None]
    return any(isinstance(error, getattr(library, name)) for library in libraries for name in names)


@lru_cache(maxsize=1)
def _make_contexts() -> tuple[Any, Any, Any, Any, Any]:
    from mistralai.client._hooks import AfterErrorContext, AfterSuccessContext, BeforeRequestContext, HookContext
    from mistralai.client._hooks.tracing import TracingHook

    return HookContext, BeforeRequestContext, AfterSuccessContext, AfterErrorContext, TracingHook


def _is_ours_to_run(hook: object) -> bool:
    """Whether a hook is the SDK's own, which does not block."""
    return type(hook).__module__.startswith("mistralai.")


async def _run_aside(function: Any, *arguments: object) -> Any:
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(own_workers(), lambda: context.run(function, *arguments))


class HookChain:
    """The hooks of one request; without an SDK that has them it does nothing."""

    def __init__(self, sdk: Any, operation: Operation) -> None:
        self._hooks = sdk.sdk_configuration.__dict__.get("_hooks")
        self._context = self._make_context(sdk, operation) if self._hooks is not None else None
        self._request: Any = None
        self._tracing: Any = None
        self._span: Any = None

    @staticmethod
    def _make_context(sdk: Any, operation: Operation) -> Any:
        configuration = sdk.sdk_configuration
        return _make_contexts()[0](
            config=configuration,
            base_url=sdk_base_url(sdk),
            operation_id=operation.id,
            oauth2_scopes=None,
            security_source=configuration.security,
            tags=[operation.tag],
            extensions=None,
        )

    # before ----------------------------------------------------------------------------------------------------

    def run_before(self, request: Any) -> Any:
        """The request as the hooks leave it."""
        if self._hooks is None:
            return request
        waits = request.extensions.get("timeout")
        context = _make_contexts()[1](self._context)
        try:
            for hook in self._hooks.before_request_hooks:
                request = self._run_before(hook, context, request)
        except BaseException as error:
            self._take_span(request)
            self.fail_span(error)
            raise
        if waits is not None:
            request.extensions.setdefault("timeout", waits)
        self._take_span(request)
        return request

    async def arun_before(self, request: object) -> Any:
        """As `run_before`, without blocking."""
        if self._hooks is None or all(map(_is_ours_to_run, self._hooks.before_request_hooks)):
            return self.run_before(request)
        return await _run_aside(self.run_before, request)

    @staticmethod
    def _run_before(hook: Any, context: object, request: object) -> Any:
        try:
            made = hook.before_request(context, request)
        except Exception as error:
            if not _is_ours_to_run(hook):
                raise
            raise ConfigurationError(f"The SDK could not prepare the request: {error}") from error
        if isinstance(made, Exception):
            raise made
        return made

    def _take_span(self, request: Any) -> None:
        """Keep the span here: the SDK, while it sends, ends one that it finds with the HTTP library's bare error."""
        self._request = request
        self._span = request.extensions.pop(_SPAN, None)
        if self._span is not None:
            kind = _make_contexts()[4]
            self._tracing = next((hook for hook in self._hooks.after_success_hooks if isinstance(hook, kind)), None)

    # after -----------------------------------------------------------------------------------------------------

    def run_after_success(self, response: object) -> Any:
        """The response as the hooks leave it; the tracing hook waits for `end_span`."""
        if self._hooks is None:
            return response
        kind, context = _make_contexts()[4], _make_contexts()[2](self._context)
        for hook in self._hooks.after_success_hooks:
            if not isinstance(hook, kind):
                response = self._run_after(hook, context, response)
        return response

    async def arun_after_success(self, response: object) -> Any:
        """As `run_after_success`, without blocking."""
        if self._hooks is None or all(map(_is_ours_to_run, self._hooks.after_success_hooks)):
            return self.run_after_success(response)
        return await _run_aside(self.run_after_success, response)

    @staticmethod
    def _run_after(hook: Any, context: Any, response: Any) -> Any:
        try:
            made = hook.after_success(context, response)
        except Exception:
            if not _is_ours_to_run(hook):
                raise
            _log.debug("A hook of the SDK (%s) failed on a reply.", type(hook).__name__, exc_info=True)
            return response
        if isinstance(made, Exception):
            raise made
        return made

    def run_after_error(self, response: object, error: Exception | None) -> Exception | None:
        """Tell the user's hooks of a failure; the error they want raised instead, if they give another one."""
        if self._hooks is None:
            return None
        told, context = error, _make_contexts()[3](self._context)
        for hook in self._hooks.after_error_hooks:
            if not isinstance(hook, _make_contexts()[4]):
                made = hook.after_error(context, response, told)
                if isinstance(made, Exception):
                    return made
                response, told = made
        return told if told is not error else None

    async def arun_after_error(self, response: object, error: Exception | None) -> Exception | None:
        """As `run_after_error`, without blocking."""
        if self._hooks is None or all(map(_is_ours_to_run, self._hooks.after_error_hooks)):
            return self.run_after_error(response, error)
        found: Exception | None = await _run_aside(self.run_after_error, response, error)
        return found

    # the span --------------------------------------------------------------------------------------------------

    @property
    def traced(self) -> bool:
        """Whether there is an open span that waits for its end."""
        return self._tracing is not None

    def end_span(self, response: Any, reply: JsonDict | None = None) -> None:
        """The request did what was asked; of a turn, `reply` is what a call got, or what a stream adds up to."""
        tracing, self._tracing = self._tracing, None
        if tracing is None:
            return
        content = _write_json(_complete_times(reply)) if reply is not None else response.content
        told = content if content.startswith(b"{") else b""  # a file is nothing to read
        self._run_after(tracing, _make_contexts()[2](self._context), self._stand_in(response, told))

    def fail_span(self, error: BaseException, response: Any = None, reply: JsonDict | None = None) -> None:
        """The request failed; what is known of the reply goes along."""
        tracing, self._tracing = self._tracing, None
        if tracing is None:
            return
        for name, value in _failure_facts(error, response, reply).items():
            if value is not None:
                self._span.set_attribute(name, value)
        body = error.body if isinstance(error, MistralAgentsError) and isinstance(error.body, dict) else None
        told = error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
        stand_in = self._stand_in(response, _write_json(body) if body is not None else b"")
        try:
            tracing.after_error(_make_contexts()[3](self._context), stand_in, told)
        except Exception:  # noqa: BLE001 - a span is never worth an answer
            _log.debug("The tracing hook failed on a failure.", exc_info=True)

    def leave_span(self, conversation_id: str | None) -> None:
        """The caller left a stream before its end: neither good nor failed."""
        tracing, self._tracing = self._tracing, None
        if tracing is not None:
            if conversation_id is not None:
                self._span.set_attribute(_CONVERSATION, conversation_id)
            self._span.end()

    def _stand_in(self, response: Any, content: bytes) -> Any:
        """A closed response for the tracing hook, which finds its span there and reads its body.

        None of the real one's encodings apply.
        """
        headers = response.headers if response is not None else {}
        kept = {key: value for key, value in headers.items() if key.lower() not in _FRAMING}
        status = response.status_code if response is not None else 0
        self._request.extensions[_SPAN] = self._span
        return http().Response(status, headers=kept, content=content, request=self._request)


def _failure_facts(error: BaseException, response: Any, reply: JsonDict | None) -> JsonDict:
    """What the span of a failure tells beside its status; None is not known."""
    usage = reply.get("usage") if reply is not None else None
    counts = usage if isinstance(usage, dict) else {}
    facts = {name: counts[key] for name, key in _USAGE.items() if isinstance(counts.get(key), int)}
    facts[_STATUS] = response.status_code if response is not None else None
    if isinstance(error, MistralAgentsError):
        facts |= {"error.type": type(error).__name__, _CONVERSATION: error.conversation_id}
    return facts


def _write_json(value: object) -> bytes:
    """JSON for the tracing hook, of whatever there is."""
    return json.dumps(value, default=str).encode("utf-8", "replace")


def _complete_times(reply: JsonDict) -> JsonDict:
    """A reply whose entries say when they began and ended; the tracing hook gives up at the first that does not."""
    outputs = reply.get("outputs")
    entries = [one for one in outputs if isinstance(one, dict)] if isinstance(outputs, list) else []
    now = datetime.now(timezone.utc).isoformat()
    for place, entry in enumerate(entries):
        began, ended = map(_read_time, (entry.get("created_at"), entry.get("completed_at")))
        entries[place] = {**entry, "created_at": began or ended or now, "completed_at": ended or now}
    return {**reply, "outputs": entries}


def _read_time(value: object) -> str | None:
    try:
        return datetime.fromisoformat(str(value).replace("Z", "+00:00")).isoformat()
    except ValueError:
        return None
