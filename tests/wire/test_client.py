"""Settings, keys and life cycle of the client."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import subprocess
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from mistral_agents import MistralAgents
from mistral_agents._http import sdk as _sdk
from mistral_agents.errors import (
    ConfigurationError,
    ConnectionFailedError,
    TimeoutExceededError,
    UnknownOutcomeError,
)

from .conftest import REPLY, WAYS, take_turn


@pytest.fixture
def loopback():
    """A real server that keeps connections alive, so that a client bound to a dead loop would show."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            return

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            out = json.dumps(REPLY).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(out)))
            self.end_headers()
            self.wfile.write(out)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_import_loads_no_sdk_and_no_http_library():
    code = "import sys, mistral_agents; print(sorted(m for m in ('mistralai','httpx','httpx2','pydantic') if m in sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_missing_key_is_one_sentence_that_says_what_to_do(monkeypatch):
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    monkeypatch.delenv("MISTRAL_BASE_URL", raising=False)
    client = MistralAgents()
    with pytest.raises(ConfigurationError) as caught:
        client.conversations.start("hello", model="m")
    for word in ("MISTRAL_API_KEY", "base_url", "mistral_agents_server"):
        assert word in str(caught.value)


def test_the_key_is_read_at_each_request(make_client, wire, monkeypatch):
    client = make_client(api_key=None)
    for key in ("first", "second"):
        monkeypatch.setenv("MISTRAL_API_KEY", key)
        client.conversations.start("hello", model="m")
    assert [request.headers["authorization"] for request in wire.requests] == ["Bearer first", "Bearer second"]


def test_a_key_function_is_called_for_each_request(make_client, wire):
    keys = iter(["one", "two"])
    client = make_client(api_key=lambda: next(keys))
    client.conversations.start("hello", model="m")
    client.conversations.start("hello", model="m")
    assert [request.headers["authorization"] for request in wire.requests] == ["Bearer one", "Bearer two"]


async def test_an_asynchronous_key_function_serves_asynchronous_calls_only(make_client, wire):
    async def key() -> str:
        return "later"

    client = make_client(api_key=key)
    await client.conversations.astart("hello", model="m")
    assert wire.requests[0].headers["authorization"] == "Bearer later"
    with pytest.raises(ConfigurationError, match="asynchronous"):
        client.conversations.start("hello", model="m")


@pytest.mark.parametrize("key", ["with space", "line\nbreak", "", "ключ"])
def test_a_key_that_cannot_be_a_header_is_refused_without_being_shown(make_client, key):
    client = make_client(api_key=lambda: key)
    with pytest.raises(ConfigurationError) as caught:
        client.conversations.start("hello", model="m")
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("given", ["https://a.test", "https://a.test/", "https://a.test/v1", "https://a.test/v1/"])
def test_base_url_loses_its_version(given):
    assert MistralAgents(base_url=given).base_url == "https://a.test"


@pytest.mark.parametrize(
    "given",
    [
        *("a.test", "ftp://a.test", "", "http://", "http://a..test", f"http://{'a' * 64}.test"),
        *("http://a.test?tenant=1", "http://a.test/v1#x", "http://a.test/?"),
    ],
)
def test_base_url_must_be_an_address(given):
    with pytest.raises(ConfigurationError, match="base_url"):
        MistralAgents(base_url=given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", 0),
        ("timeout", "5"),
        ("max_retries", -1),
        ("max_retries", 1.5),
        ("stream_idle_timeout", -1),
        ("api_key", 7),
    ],
)
def test_a_wrong_setting_is_named(name, value):
    with pytest.raises(ConfigurationError, match=name):
        MistralAgents(**{name: value})


def test_the_key_shows_nowhere(make_client, wire):
    client = make_client()
    wire.answer((401, {"detail": "Invalid API Key"}))
    with pytest.raises(Exception, match="Invalid API Key") as caught:
        client.conversations.start("hello", model="m")
    shown = [repr(client), repr(client._clients), str(client.__dict__), str(caught.value), repr(caught.value)]
    assert not any("secret-key" in text for text in shown)


@pytest.mark.parametrize("wrong", ["http_client", "async_http_client"])
def test_a_client_of_the_wrong_kind_is_refused_by_name(loopback, wrong):
    its = _sdk.http()
    for given in ("http://127.0.0.1:9", its.AsyncClient() if wrong == "http_client" else its.Client()):
        with pytest.raises(ConfigurationError, match=f"^{wrong} must be an? .* HTTP client such as httpx"):
            MistralAgents(api_key="k", base_url=loopback, **{wrong: given})


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_client_of_either_http_library_is_taken(loopback, library):
    """mistralai 2 uses one of them and mistralai 3 the other; an application may have both."""
    its = pytest.importorskip(library)
    with its.Client() as own:
        client = MistralAgents(api_key="k", base_url=loopback, http_client=own)
        assert client.conversations.start("hello", model="m").text == "hi"
        assert client.conversations.start_stream("hello", model="m").read().text == "hi"
        assert client.files.upload(("a.txt", b"text"))["conversation_id"]  # the same reply to all; it is only to arrive

    async def ask() -> str:
        async with its.AsyncClient() as own:
            client = MistralAgents(api_key="k", base_url=loopback, async_http_client=own)
            await client.files.aupload(("a.txt", b"text"))
            return (await client.conversations.astart_stream("hello", model="m").aread()).text

    assert asyncio.run(ask()) == "hi"


@pytest.mark.parametrize(
    ("kind", "ours"),
    [
        ("ConnectError", ConnectionFailedError),
        ("ReadError", UnknownOutcomeError),
        ("ReadTimeout", TimeoutExceededError),
    ],
)
@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_errors_of_either_http_library_are_ours(library, kind, ours):
    its = pytest.importorskip(library)

    def fail(request: Any) -> Any:
        raise getattr(its, kind)("broken", request=request)

    with its.Client(transport=its.MockTransport(fail)) as own:
        client = MistralAgents(api_key="k", base_url="https://service.test", http_client=own, max_retries=0)
        with pytest.raises(ours):
            client.conversations.start("hello", model="m")


def test_pickle_and_deepcopy_keep_settings(loopback):
    client = MistralAgents(api_key="k", base_url=loopback, max_retries=5)
    client.conversations.start("hello", model="m")
    for twin in (pickle.loads(pickle.dumps(client)), copy.deepcopy(client)):
        assert twin.base_url == loopback
        assert twin.conversations.start("hello", model="m").text == "hi"


def test_several_event_loops_on_kept_alive_connections(loopback):
    client = MistralAgents(api_key="k", base_url=loopback)

    async def twice() -> list[str]:
        return [(await client.conversations.astart("hello", model="m")).text for _ in range(2)]

    assert [asyncio.run(twice()) for _ in range(3)] == [["hi", "hi"]] * 3
    assert len(client._clients._opened.loop_sdks) == 1


async def test_sync_calls_work_inside_a_running_loop_and_in_threads(loopback):
    client = MistralAgents(api_key="k", base_url=loopback)
    assert client.conversations.start("hello", model="m").text == "hi"
    results = await asyncio.gather(
        *(asyncio.to_thread(client.conversations.start, "hello", model="m") for _ in range(8))
    )
    assert [turn.text for turn in results] == ["hi"] * 8
    await client.aclose()


def test_a_closed_client_opens_again(loopback):
    with MistralAgents(api_key="k", base_url=loopback) as client:
        client.conversations.start("hello", model="m")
    assert client.conversations.start("hello", model="m").text == "hi"
    client.close()


def test_given_http_clients_are_used_and_never_closed(make_client, wire):
    client = make_client()
    client.conversations.start("hello", model="m")
    client.close()
    client.conversations.start("hello", model="m")
    assert len(wire.requests) == 2


def test_a_given_sdk_brings_its_key_and_address(wire):
    library = _sdk.http()
    sdk = _sdk.sdk_module().Mistral(
        api_key="theirs", server_url="https://own.test", client=library.Client(transport=library.MockTransport(wire))
    )
    client = MistralAgents(sdk=sdk)
    client.conversations.start("hello", model="m")
    assert str(wire.requests[0].url) == "https://own.test/v1/conversations"
    assert wire.requests[0].headers["authorization"] == "Bearer theirs"
    assert client.sdk is sdk


def test_a_service_account_token_is_used_where_no_key_is(make_client, wire, monkeypatch, tmp_path):
    token = tmp_path / "token"
    token.write_text("from-the-pod")
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    monkeypatch.setenv("MISTRAL_SA_TOKEN_PATH", str(token))
    client = make_client(api_key=None)
    client.conversations.start("hello", model="m")
    if hasattr(_sdk.sdk_module(), "Mistral") and _sdk.http().__name__ == "httpx2":
        assert wire.requests[0].headers["authorization"] == "Bearer from-the-pod"


def test_an_old_sdk_is_named_in_one_sentence(monkeypatch):
    _sdk.sdk_module.cache_clear()
    monkeypatch.setitem(sys.modules, "mistralai.client", None)
    try:
        with pytest.raises(ConfigurationError, match="mistralai"):
            MistralAgents(api_key="k").conversations.start("hello", model="m")
    finally:
        _sdk.sdk_module.cache_clear()


def test_the_sdk_still_has_the_hooks_we_run():
    """The SDK's hooks are undocumented: this is the alarm for a later SDK that moves them."""
    import inspect

    from mistralai.client._hooks import HookContext
    from mistralai.client._hooks.tracing import TracingHook

    hooks = _sdk.sdk_module().Mistral(api_key="k").sdk_configuration.__dict__["_hooks"]
    assert hooks.before_request_hooks
    assert any(isinstance(hook, TracingHook) for hook in hooks.after_success_hooks)
    assert any(isinstance(hook, TracingHook) for hook in hooks.after_error_hooks)
    wanted = {"config", "base_url", "operation_id", "oauth2_scopes", "security_source", "tags", "extensions"}
    assert wanted <= set(inspect.signature(HookContext.__init__).parameters)


def test_a_later_sdk_without_hooks_is_served_by_plain_http(make_client, wire):
    client = make_client()
    del client.sdk.sdk_configuration.__dict__["_hooks"]
    assert client.conversations.start("hello", model="m").text == "hi"
    assert wire.requests[0].headers["authorization"] == "Bearer secret-key"


def test_our_network_layer_is_in_every_pool_of_our_clients(monkeypatch):
    """It gets there by private names of the HTTP library: this is the alarm for one that moves them."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    for asynchronous in (False, True):
        made = _sdk.make_http_client(asynchronous=asynchronous)
        pools = [made._transport._pool, *(mount._pool for mount in made._mounts.values() if mount is not None)]
        assert len(pools) > 1
        assert {type(pool._network_backend).__module__ for pool in pools} == {"mistral_agents._http.network"}


@pytest.fixture
def environment(monkeypatch):
    """Sets variables that HTTP libraries read, with none of them set before."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    _sdk._ssl_context.cache_clear()
    yield monkeypatch.setenv
    _sdk._ssl_context.cache_clear()


PROXIES = {
    "a password with a mark": ("http://user:hid#den@127.0.0.1:9", "no address"),
    "a scheme of its own": ("gopher://user:hidden@127.0.0.1:9", "no address"),
    "half an address": ("http://[::1", "no address"),
    "SOCKS": ("socks5://user:hidden@127.0.0.1:9", "pip install socksio"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("proxy", "told"), PROXIES.values(), ids=PROXIES.keys())
def test_a_proxy_of_the_environment_that_cannot_be_used_is_a_wrong_setting(environment, monkeypatch, way, proxy, told):
    """Nothing was sent, so it is no broken connection and no stream that broke off; no part of it is shown."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    environment("HTTP_PROXY", proxy)
    with pytest.raises(ConfigurationError, match=told) as caught:
        take_turn(MistralAgents(api_key="k", base_url="http://service.test"), way)
    assert "HTTP_PROXY" in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert "hid" not in shown
    assert "den@" not in shown


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", ["127.0.0.1:99999", "a..test:9"])
def test_a_proxy_of_the_environment_that_no_socket_can_take_is_no_connection(environment, way, place):
    environment("HTTP_PROXY", f"http://{place}")
    with pytest.raises(ConnectionFailedError, match=r"is no (port|name)") as caught:
        take_turn(MistralAgents(api_key="k", base_url="http://service.test", max_retries=0), way)
    assert "HTTP_PROXY" in str(caught.value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_of_the_environment_that_cannot_be_read_are_a_wrong_setting(environment, tmp_path, way, content):
    file = tmp_path / "authority.pem"
    if content is not None:
        file.write_text(content)
    environment("SSL_CERT_FILE", str(file))
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        take_turn(MistralAgents(api_key="k", base_url="http://service.test"), way)


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("ConnectError", "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate", "SSL_CERT_FILE"),
        ("ConnectError", "[SSL: WRONG_VERSION_NUMBER] wrong version number", "https"),
        ("ConnectError", "Connection refused", "listening"),
        ("ProxyError", "407 Proxy Authentication Required", "HTTPS_PROXY"),
    ],
)
def test_what_to_look_at_where_no_connection_is_made(make_client, wire, environment, kind, text, told):
    environment("HTTPS_PROXY", "http://proxy.test:3128")
    wire.answer(getattr(_sdk.http(), kind)(text))
    with pytest.raises(ConnectionFailedError, match=told):
        make_client(max_retries=0).conversations.start("hello", model="m")


@pytest.mark.parametrize("way", WAYS)
def test_a_host_that_no_library_can_write_is_a_wrong_setting(way):
    with pytest.raises(ConfigurationError):
        take_turn(MistralAgents(api_key="k", base_url="http://\u2764\ufe0f\u200d.test"), way)


def test_what_a_turn_needs_is_loaded_with_the_client() -> None:
    """Processes that are forked from there on share it; the SDK waits for the first call."""
    code = "import sys; from mistral_agents import MistralAgents; MistralAgents(api_key='k'); "
    code += "print('mistral_agents.conversations' in sys.modules, 'mistralai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
