"""Downloads by links that the service hands out: to public addresses only, checked at every step, without the API key.

A link comes out of an answer, so a model, a page or a tool may have written it. It must not make this machine ask its
own network (OWASP, server-side request forgery): link-local, private, unspecified and loopback addresses are refused,
in every spelling, also where a name resolves to one. Where the service itself is on this machine (the stand-in),
loopback is allowed, and the service's own address always is. Our own clients connect to the addresses that were
checked, so that a name which changes its address in between leads nowhere else; a name that can't be looked up here is
asked for at a proxy only. A proxy looks names up itself, and so does a client given by the user: there the check is
made, but nothing is pinned, and what must not be reached has to be refused by that proxy or client.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from mistral_agents._http import sdk as sdk_layer
from mistral_agents._http.calls import Call
from mistral_agents._http.clients import Clients
from mistral_agents._http.closing import aclose_surely
from mistral_agents._http.network import Deadline, aresolve, pin_addresses, resolve
from mistral_agents._http.replies import reply_of
from mistral_agents._http.transport import Transport, show_address, status_error
from mistral_agents.errors import ConfigurationError, MistralAgentsError, RedirectRefusedError

_MOST_HOPS = 5
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_HIDDEN = ("authorization", "cookie", "proxy-authorization")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class LinkTarget:
    """Where a step of a link leads.

    Attributes:
        url: The address.
        host: Its host, without brackets and a closing dot.
        port: Its port.
        trusted: Whether it is the service's own address, which is asked anyway.
    """

    url: str
    host: str
    port: int
    trusted: bool


def read_target(url: Any, base_url: str) -> LinkTarget:
    """An address that a link may have, as far as it can be told without a look-up.

    Raises:
        ConfigurationError: It is no http or https address, or no public one.
    """
    parts = _split(url)
    host = (parts.hostname or "").rstrip(".").lower()
    base = urlsplit(base_url)
    local = _is_loopback_name(base.hostname or "")
    trusted = (parts.scheme, host, _find_port(parts)) == (base.scheme, base.hostname, _find_port(base))
    if parts.scheme == "http" and not trusted and not (local and _is_loopback_name(host)):
        raise ConfigurationError(f"The link {show_address(url)} is no https address.")
    target = LinkTarget(url, host, _find_port(parts), trusted or (local and _is_loopback_name(host)))
    address = _read_address(host)
    if not target.trusted and (_is_loopback_name(host) or (address is not None and not _is_public(address))):
        raise _make_refusal(target)
    return target


def _split(url: Any) -> SplitResult:
    try:
        parts: SplitResult = urlsplit(url)
        _ = parts.port
    except (ValueError, TypeError, AttributeError):
        raise ConfigurationError("The link is no address.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable() or "\\" in url:
        raise ConfigurationError(f"The link is no http or https address: {show_address(url) or 'it is empty'}.")
    return parts


def _find_port(parts: SplitResult) -> int:
    return parts.port if parts.port is not None else (443 if parts.scheme == "https" else 80)


def _is_loopback_name(host: str) -> bool:
    address = _read_address(host)
    if address is not None:
        return _unwrap_address(address).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _read_address(host: str) -> _Address | None:
    """The address that a host is, in the old spellings too (`127.1`, `0x7f000001`); None for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host)) if host[:1].isdigit() else None
    except (OSError, ValueError):
        return None


def _unwrap_address(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return inner
    return address


def _is_public(address: _Address) -> bool:
    inner = _unwrap_address(address)
    return inner.is_global and not inner.is_multicast and not inner.is_unspecified


def _make_refusal(target: LinkTarget) -> ConfigurationError:
    return ConfigurationError(
        f"The link leads to {target.host!r}, which is this machine or an address of its network, and is not asked.",
        hint="Links of the service are public; this one was perhaps written by the model or a page it read.",
    )


def check_addresses(target: LinkTarget, addresses: Iterable[str]) -> None:
    """Refuse a name that resolves to an address which is not public.

    Raises:
        ConfigurationError: It does.
    """
    for address in addresses:
        found = _read_address(address)
        if found is not None and not _is_public(found):
            raise _make_refusal(target)


def _needs_look_up(target: LinkTarget) -> bool:
    return not target.trusted and _read_address(target.host) is None


def _find_addresses(target: LinkTarget) -> list[str] | None:
    """The checked addresses of a name, empty where it can't be looked up; None for what may be asked as it is."""
    if not _needs_look_up(target):
        return None
    try:
        addresses = resolve(target.host, target.port)
    except OSError:
        return []  # a proxy may know it; else the connection fails with the reason
    check_addresses(target, addresses)
    return addresses


async def _afind_addresses(target: LinkTarget) -> list[str] | None:
    if not _needs_look_up(target):
        return None
    try:
        addresses = await aresolve(target.host, target.port)
    except OSError:
        return []
    check_addresses(target, addresses)
    return addresses


class LinkReader:
    """Fetches what a link of the service leads to."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def _clients(self) -> Clients:
        return self._transport.clients

    def read(self, call: Call) -> bytes:
        """The bytes behind the link in `call.path`.

        Raises:
            ConfigurationError: The link, or one it leads on to, is no public address.
            MistralAgentsError: It can't be fetched, or is larger than `max_body_bytes`.
        """
        client, target = (
            self._clients.sync_sdk().sdk_configuration.client,
            read_target(call.path, self._clients.base_url),
        )
        for _ in range(_MOST_HOPS):
            addresses = _find_addresses(target)
            try:
                found = self._fetch(client, call, target, addresses)
            except Exception as error:
                raise self._type_error(call, error, client, target) from error
            if isinstance(found, bytes):
                return found
            target = found
        raise _make_endless_error(call)

    def _fetch(self, client: Any, call: Call, target: LinkTarget, addresses: list[str] | None) -> bytes | LinkTarget:
        request = self._request(client, target, call)
        with pin_addresses(request.url.raw_host.decode("ascii"), addresses):
            response = client.send(request, stream=True, follow_redirects=False, auth=None)
        try:
            content = self._transport.read_body(response, call, Deadline(None))
        finally:
            response.close()
        return self._decide(call, response, target, content)

    async def aread(self, call: Call) -> bytes:
        """As `read`, without blocking."""
        client = self._clients.loop_sdk().sdk_configuration.async_client
        target = read_target(call.path, self._clients.base_url)
        for _ in range(_MOST_HOPS):
            addresses = await _afind_addresses(target)
            try:
                found = await self._afetch(client, call, target, addresses)
            except Exception as error:
                raise self._type_error(call, error, client, target) from error
            if isinstance(found, bytes):
                return found
            target = found
        raise _make_endless_error(call)

    async def _afetch(
        self, client: Any, call: Call, target: LinkTarget, addresses: list[str] | None
    ) -> bytes | LinkTarget:
        request = self._request(client, target, call)
        with pin_addresses(request.url.raw_host.decode("ascii"), addresses):
            response = await client.send(request, stream=True, follow_redirects=False, auth=None)
        try:
            content = await self._transport.aread_body(response, call, Deadline(None))
        finally:
            await aclose_surely(response)
        return self._decide(call, response, target, content)

    def _request(self, client: Any, target: LinkTarget, call: Call) -> Any:
        waits = sdk_layer.limit_waits(self._transport.seconds_of(call))
        request = client.build_request("GET", target.url, extensions=waits)
        if not target.trusted:  # a client of the user may have a key in headers, parameters or cookies of its own
            headers = {"accept": "*/*", "user-agent": sdk_layer.user_agent()}
            return type(request)("GET", target.url, headers=headers, extensions=waits)
        for name in _HIDDEN:
            request.headers.pop(name, None)
        return request

    def _decide(self, call: Call, response: Any, target: LinkTarget, content: bytes) -> bytes | LinkTarget:
        """The content, or where the link leads on to."""
        if response.status_code < 300:
            return content
        place = response.headers.get("location")
        if response.status_code < 400 and place:
            return read_target(urljoin(target.url, place), self._clients.base_url)
        sdk_layer.keep_content(response, content)
        raise status_error(call, reply_of(response, call.what))

    def _type_error(self, call: Call, error: Exception, client: object, target: LinkTarget) -> MistralAgentsError:
        return self._transport.type_failure(call, error, client, Deadline(None), place=target.host)


def _make_endless_error(call: Call) -> RedirectRefusedError:
    return RedirectRefusedError(f"{call.what}: the link leads on and on, more than {_MOST_HOPS} times.")
