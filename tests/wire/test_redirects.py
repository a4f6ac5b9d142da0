"""A turn goes to the address of the client and nowhere else; a link is checked at every step."""

from __future__ import annotations

import asyncio
import importlib

import pytest

from mistral_agents import MistralAgents
from mistral_agents._http import links, sdk
from mistral_agents._http.network import _pinned_addresses, pin_addresses, pools_of, resolve
from mistral_agents.errors import (
    ConfigurationError,
    ConnectionFailedError,
    MistralAgentsError,
    RedirectRefusedError,
    ResponseFormatError,
)
from mistral_agents.turn import FileRef

from .conftest import WAYS, take_turn

SERVICE = "https://service.test"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_turn_follows_no_redirect(make_client, wire, waits, way, status):
    wire.answer((status, b"", {"location": "https://user:word@other.test/v1/conversations?token=secret"}))
    with pytest.raises(RedirectRefusedError, match=r"https://.*other\.test/v1/conversations") as caught:
        take_turn(make_client(), way)
    assert len(wire.requests) == 1
    assert caught.value.retryable is False
    assert caught.value.location.endswith("other.test/v1/conversations")
    assert "word" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("location", [None, "", "/v1/conversations", "file:///x", "http://[", "a b"])
def test_a_redirect_to_nowhere_is_typed(make_client, wire, location):
    wire.answer((302, b"", {} if location is None else {"location": location}))
    with pytest.raises(MistralAgentsError):
        make_client(max_retries=0).conversations.start("hello", model="m")
    assert len(wire.requests) == 1


def test_an_upload_and_a_reading_follow_no_redirect(make_client, wire):
    wire.answer((307, b"", {"location": "https://other.test/v1/files"}))
    client = make_client()
    for call in (lambda: client.files.upload(("a.txt", b"private")), lambda: client.agents.get("ag_1")):
        with pytest.raises(RedirectRefusedError):
            call()
    assert {request.url.host for request in wire.requests} == {"service.test"}


def test_our_own_clients_verify_certificates_whatever_the_address():
    import ssl

    for asynchronous in (False, True):
        client = sdk.make_http_client(asynchronous=asynchronous)
        assert client._transport._pool._ssl_context.verify_mode is ssl.CERT_REQUIRED
        assert client.follow_redirects is False


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/x",
        "https://127.1/x",
        "https://0x7f000001/x",
        "https://2130706433/x",
        "https://017700000001/x",
        "https://[::1]/x",
        "https://[::]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://[64:ff9b::7f00:1]/x",
        "https://[2002:7f00:1::]/x",
        "https://[fe80::1]/x",
        "https://[fe80::1%25eth0]/x",
        "https://[fd00::1]/x",
        "https://localhost/x",
        "https://LOCALHOST./x",
        "https://a.localhost/x",
        "https://0.0.0.0/x",
        "https://10.1.2.3/x",
        "https://172.16.0.1/x",
        "https://192.168.0.1/x",
        "https://100.64.0.1/x",
        "https://169.254.169.254/x",
        "https://224.0.0.1/x",
        "https://service.test@127.0.0.1/x",
        "https://service.test\\@127.0.0.1/x",
        "http://files.test/x",
        "http://service.test/x",
        "ftp://files.test/x",
        "file:///x",
        "//files.test/x",
        "https://",
        "https://host:99999999/x",
        "",
        None,
    ],
)
def test_what_is_no_public_https_address_is_not_asked(url):
    with pytest.raises(ConfigurationError):
        links.read_target(url, SERVICE)


@pytest.mark.parametrize(
    ("url", "base_url"),
    [
        ("https://files.test/x?token=1", SERVICE),
        ("https://8.8.8.8/x", SERVICE),
        ("https://[2001:4860:4860::8888]/x", SERVICE),
        ("https://service.test/x", SERVICE),
        ("https://10.0.0.5/x", "https://10.0.0.5"),
        ("http://10.0.0.5:8080/x", "http://10.0.0.5:8080"),
        ("http://127.0.0.1:8484/x", "http://127.0.0.1:8484"),
        ("http://localhost:9/x", "http://127.0.0.1:8484"),
    ],
)
def test_public_addresses_and_the_services_own_may_be_asked(url, base_url):
    assert links.read_target(url, base_url).url == url


def test_a_local_service_makes_no_private_address_public():
    with pytest.raises(ConfigurationError):
        links.read_target("https://10.0.0.5/x", "http://127.0.0.1:8484")


class Net:
    """A client of a service elsewhere; `asked` are the addresses that its HTTP client was to ask."""

    def __init__(self, *answers, **settings):
        library = sdk.http()
        self.asked, left = [], list(answers)

        def answer(request):
            self.asked.append((str(request.url), request.headers.get("authorization")))
            return left.pop(0) if left else library.Response(200, content=b"bytes")

        both = {
            "http_client": library.Client(transport=library.MockTransport(answer), headers={"authorization": "x"}),
            "async_http_client": library.AsyncClient(transport=library.MockTransport(answer)),
        }
        self.client = MistralAgents(api_key="k", base_url=SERVICE, max_retries=0, **both, **settings)

    def read(self, url, blocking):
        ref = FileRef(None, "x.bin", url=url)
        files = self.client.files
        return (files.read(ref) if blocking else asyncio.run(files.aread(ref))).data


def _to(place):
    return sdk.http().Response(302, headers={"location": place})


BOTH = pytest.mark.parametrize("blocking", [True, False], ids=["sync", "async"])


@pytest.fixture
def names(monkeypatch):
    """What names resolve to; an unknown one does not."""
    known = {}

    def find(host, _port):
        if host not in known:
            raise OSError("unknown")
        return known[host]

    async def afind(host, port):
        return find(host, port)

    monkeypatch.setattr(links, "resolve", find)
    monkeypatch.setattr(links, "aresolve", afind)
    return known


@BOTH
def test_a_link_is_read_without_the_key_and_followed_to_another_public_place(names, blocking):
    net = Net(_to("/y"), _to("https://other.test/z"))
    assert net.read("https://files.test/x", blocking) == b"bytes"
    assert [url for url, _ in net.asked] == ["https://files.test/x", "https://files.test/y", "https://other.test/z"]
    assert {key for _, key in net.asked} == {None}


@BOTH
@pytest.mark.parametrize("name", ["httpx", "httpx2"])
def test_what_a_client_of_the_user_sends_goes_to_the_service_only(names, blocking, name):
    """Its headers, parameters, cookies and authentication may hold a key, and the user may have allowed redirects."""
    library, asked = pytest.importorskip(name), []

    def answer(request):
        asked.append(request)
        further = library.Response(302, headers={"location": "https://other.test/z"})
        return further if len(asked) < 3 else library.Response(200, content=b"bytes")

    kind = library.Client if blocking else library.AsyncClient
    own = {
        "headers": {"x-api-key": "hidden"},
        "params": {"key": "hidden"},
        "cookies": {"session": "hidden"},
        "auth": ("me", "hidden"),
        "follow_redirects": True,
    }
    given = {"http_client" if blocking else "async_http_client": kind(transport=library.MockTransport(answer), **own)}
    files = MistralAgents(api_key="k", base_url=SERVICE, **given).files
    for url in (f"{SERVICE}/x", "https://files.test/x"):
        asked.clear()
        ref = FileRef(None, "x.bin", url=url)
        assert (files.read(ref) if blocking else asyncio.run(files.aread(ref))).data == b"bytes"
        first, *others = asked
        assert ("hidden" in f"{first.url}{first.headers.multi_items()}") == (url == f"{SERVICE}/x")
        assert len(others) == 2
        assert not any("hidden" in f"{one.url}{one.headers.multi_items()}" for one in others)
        assert not any("authorization" in one.headers for one in asked)


@BOTH
@pytest.mark.parametrize("place", ["https://127.0.0.1/x", "http://files.test/x", "https://inside.test/x"])
def test_no_step_leads_inside(names, blocking, place):
    names["inside.test"] = ["93.184.216.34", "10.0.0.1"]
    net = Net(_to(place))
    with pytest.raises(ConfigurationError):
        net.read("https://files.test/x", blocking)
    assert len(net.asked) == 1


@BOTH
def test_a_name_that_resolves_to_this_machine_is_not_asked(names, blocking):
    names["inside.test"] = ["::1"]
    net = Net()
    with pytest.raises(ConfigurationError, match=r"inside\.test"):
        net.read("https://inside.test/x", blocking)
    assert net.asked == []


@BOTH
def test_links_end(names, blocking):
    net = Net(*[_to("https://files.test/x")] * 50)
    with pytest.raises(RedirectRefusedError):
        net.read("https://files.test/x", blocking)
    assert len(net.asked) < 10


@BOTH
def test_a_download_has_a_size_limit(names, blocking):
    net = Net(sdk.http().Response(200, content=b"x" * 100), max_body_bytes=99)
    with pytest.raises(ResponseFormatError, match="max_body_bytes"):
        net.read("https://files.test/x", blocking)


def test_an_odd_name_is_an_unknown_one():
    with pytest.raises(OSError, match="name"):
        resolve("a..b" + "c" * 70, 443)


class Network:
    """The network under our own client: which addresses are asked, and under which name."""

    def __init__(self, client, blocking, dead=()):
        self.asked, self.names, self.sent, self.dead, self.blocking = [], [], b"", dead, blocking
        self.reply = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nbytes"
        for pool in pools_of(client):
            pool._network_backend._backend = self

    def _give(self, value):
        if self.blocking:
            return value

        async def give():
            return value

        return give()

    def connect_tcp(self, host, port, **_):
        self.asked.append(host)
        if host in self.dead:
            core = "httpcore2" if sdk.http().__name__ == "httpx2" else "httpcore"
            raise importlib.import_module(core).ConnectError("dead")
        return self._give(self)

    def start_tls(self, ssl_context, server_hostname=None, timeout=None):
        self.names.append(server_hostname)
        return self._give(self)

    def write(self, buffer, timeout=None):
        self.sent += buffer
        return self._give(None)

    def read(self, max_bytes, timeout=None):
        found, self.reply = self.reply, b""
        return self._give(found)

    def close(self):
        return None

    def aclose(self):
        return self._give(None)

    def get_extra_info(self, _):
        return None


def read_over(client, blocking, dead=(), url="https://files.test/x"):
    """Read a link through our own client, over a network of the test; what came of it, and the network."""
    ref = FileRef(None, "x.bin", url=url)

    async def aread():
        net = Network(client._clients.loop_sdk().sdk_configuration.async_client, blocking, dead)
        return (await client.files.aread(ref)).data, net

    if not blocking:
        return asyncio.run(aread())
    net = Network(client._clients.sync_sdk().sdk_configuration.client, blocking, dead)
    return client.files.read(ref).data, net


@BOTH
def test_the_address_that_was_checked_is_the_one_that_is_asked(names, blocking, monkeypatch):
    """A name that changes its address after the check leads nowhere else; name and certificate stay the host's."""
    names["files.test"] = ["93.184.216.34", "93.184.216.35"]
    monkeypatch.setattr("mistral_agents._http.network.resolve", lambda *_: ["127.0.0.1"])  # what it is afterwards
    client = MistralAgents(api_key="k", base_url="https://service.test", max_retries=0)
    content, net = read_over(client, blocking, dead=["93.184.216.34"])
    assert content == b"bytes"
    assert net.asked == ["93.184.216.34", "93.184.216.35"]
    assert net.names == ["files.test"]
    assert b"host: files.test\r\n" in net.sent.lower()


@BOTH
def test_a_name_that_is_known_only_after_the_check_is_not_asked(names, blocking, monkeypatch):
    monkeypatch.setattr("mistral_agents._http.network.resolve", lambda *_: ["127.0.0.1"])
    client = MistralAgents(api_key="k", base_url="https://service.test", max_retries=0)
    with pytest.raises(ConnectionFailedError, match=r"files\.test is not known"):
        read_over(client, blocking)


@BOTH
def test_only_the_link_is_pinned(names, blocking):
    with pin_addresses("files.test", ["93.184.216.34"]):
        assert _pinned_addresses("other.test", OSError) is None
        assert _pinned_addresses("files.test", OSError) == ["93.184.216.34"]
    assert _pinned_addresses("files.test", OSError) is None
