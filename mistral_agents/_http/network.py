"""How long a call may take, and the network layer of our own HTTP clients that holds it.

One deadline bounds all attempts of a call, checked at every step that waits. That of a synchronous call is a context
variable, which the layer around sockets reads, so that each wait ends with it; an asynchronous one runs in a cancel
scope instead. Names are looked up in threads of our own.

The HTTP libraries bound each read on a socket, not the whole; a reply that drips in never ends. And the event loop
looks names up in its default executor, whose threads an application may have taken. Both are mended by a layer around
the library's own network backend (`httpcore.NetworkBackend`, a documented interface). That it is put in place through
private names of the client is what a test watches; a client where they are missing works, with the bounds of the
library. Clients given by the user are left as they are, but for the kind of their pools' locks (`make_reentrant`).

Who has checked the addresses of a name (`links`) pins them for what he then asks, so that a name which changes its
address in between leads nowhere else. The name itself stays in the request and in the handshake of TLS.
"""

from __future__ import annotations

import ipaddress
import math
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

_SHORTEST = 0.001
_current: ContextVar[Deadline | None] = ContextVar("mistral_agents_deadline", default=None)
_WORKERS = 4
_FIRST_TRY = 3.0
"""Seconds that an address may take to answer while another one is left to try."""


_pins: ContextVar[tuple[str, Sequence[str]] | None] = ContextVar("mistral_agents_pins", default=None)


@contextmanager
def pin_addresses(host: str, addresses: Sequence[str] | None) -> Iterator[None]:
    """Connect to a host at these addresses only; at none, where the list is empty; None pins nothing."""
    token = _pins.set((host, addresses) if addresses is not None else None)
    try:
        yield
    finally:
        _pins.reset(token)


def _pinned_addresses(host: str, connect_error: type[Exception]) -> Sequence[str] | None:
    """Where a host is to be connected to; None where that is open."""
    pin = _pins.get()
    if pin is None or pin[0] != host:
        return None
    if not pin[1]:
        raise connect_error(f"the name {host} is not known here")
    return pin[1]


def _first_wait(timeout: float | None) -> float:
    return _FIRST_TRY if timeout is None else min(timeout, _FIRST_TRY)


class Deadline:
    """A moment after which a call is over.

    Attributes:
        seconds: How long the call may take in all; None for a transfer, which only silence ends.
    """

    __slots__ = ("_end", "seconds")

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end = math.inf if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds left; infinite where there is no end."""
        return self._end - time.monotonic()

    @property
    def expired(self) -> bool:
        """Whether the time is up."""
        return self.left <= 0

    @contextmanager
    def enforced(self) -> Iterator[None]:
        """Bound every wait on a socket of this thread."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


def bound_wait(timeout: float | None) -> float | None:
    """A wait on a socket, cut to what the call under way has left."""
    deadline = _current.get()
    if deadline is None or deadline.seconds is None:
        return timeout
    left = max(deadline.left, _SHORTEST)
    return left if timeout is None else min(timeout, left)


@lru_cache(maxsize=1)
def _workers_of(_process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_WORKERS, thread_name_prefix="mistral-agents-work")


def own_workers() -> ThreadPoolExecutor:
    """Threads of this process for the little that blocks: name look-ups and hooks of the user."""
    return _workers_of(os.getpid())


def is_address(host: str) -> bool:
    """Whether a host is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


def _check_place(host: str, port: int, connect_error: type[Exception]) -> None:
    """Refuse what no socket can take: a proxy of the environment was not looked at."""
    try:
        host.encode("idna")
    except UnicodeError as error:  # a label that is empty or too long
        raise connect_error(f"{host!r} is no name of a host") from error
    if not 0 <= port <= 65535:
        raise connect_error(f"{port} is no port")


class DeadlineStream:
    """A connection whose reads and writes end with the deadline of the call."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """As the stream's own."""
        return self._stream.read(max_bytes, bound_wait(timeout))  # type: ignore[no-any-return]

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """As the stream's own."""
        self._stream.write(buffer, bound_wait(timeout))

    def close(self) -> None:
        """As the stream's own."""
        self._stream.close()

    def start_tls(self, ssl_context: object, server_hostname: str | None = None, timeout: float | None = None) -> Any:
        """As the stream's own."""
        return DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, bound_wait(timeout)))

    def get_extra_info(self, info: str) -> Any:
        """As the stream's own."""
        return self._stream.get_extra_info(info)


class DeadlineBackend:
    """Opens connections that end with the deadline of the call."""

    def __init__(self, backend: Any, connect_error: type[Exception]) -> None:
        self._backend = backend
        self._connect_error = connect_error

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: object) -> Any:
        """As the backend's own; at the pinned addresses, where there are such."""
        _check_place(host, port, self._connect_error)
        addresses = _pinned_addresses(host, self._connect_error)
        if addresses is None:
            return DeadlineStream(self._backend.connect_tcp(host, port, timeout=bound_wait(timeout), **options))
        *others, last = addresses
        for address in others:
            try:
                stream = self._backend.connect_tcp(address, port, timeout=bound_wait(_first_wait(timeout)), **options)
            except Exception as error:
                if not _leaves_others(error):
                    raise
            else:
                return DeadlineStream(stream)
        return DeadlineStream(self._backend.connect_tcp(last, port, timeout=bound_wait(timeout), **options))

    def connect_unix_socket(self, path: str, timeout: float | None = None, **options: object) -> Any:
        """As the backend's own."""
        return DeadlineStream(self._backend.connect_unix_socket(path, timeout=bound_wait(timeout), **options))

    def sleep(self, seconds: float) -> None:
        """As the backend's own."""
        self._backend.sleep(seconds)


class ResolvingBackend:
    """Opens connections by address; names are looked up in our own threads."""

    def __init__(self, backend: Any, connect_error: type[Exception]) -> None:
        self._backend = backend
        self._connect_error = connect_error

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: object) -> Any:
        """As the backend's own, address after address."""
        _check_place(host, port, self._connect_error)
        *others, last = await self._look_up(host, port)
        for address in others:
            try:
                return await self._backend.connect_tcp(address, port, timeout=_first_wait(timeout), **options)
            except Exception as error:
                if not _leaves_others(error):
                    raise
        return await self._backend.connect_tcp(last, port, timeout=timeout, **options)

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        pinned = _pinned_addresses(host, self._connect_error)
        if pinned is not None:
            return pinned
        if is_address(host):
            return [host]
        try:
            return await aresolve(host, port)
        except OSError as error:
            raise self._connect_error(str(error)) from error

    async def connect_unix_socket(self, path: str, timeout: float | None = None, **options: object) -> Any:
        """As the backend's own."""
        return await self._backend.connect_unix_socket(path, timeout=timeout, **options)

    async def sleep(self, seconds: float) -> None:
        """As the backend's own."""
        await self._backend.sleep(seconds)


def _leaves_others(error: Exception) -> bool:
    """Whether another address of the same name may do better (the error is of the library below the HTTP library)."""
    return type(error).__name__ in ("ConnectError", "ConnectTimeout")


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, best first.

    Raises:
        OSError: There is none.
    """
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that is empty or too long
        raise OSError(f"{host!r} is no name of a host") from error
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


async def aresolve(host: str, port: int) -> list[str]:
    """As `resolve`, in a thread of our own."""
    import asyncio

    return await asyncio.get_running_loop().run_in_executor(own_workers(), resolve, host, port)


def wake_reader(response: Any) -> None:
    """End the wait of another thread for bytes of a response, which a socket that is only closed leaves waiting.

    A connection of HTTP/2 serves others, too, and is left alone.
    """
    stream = response.extensions.get("network_stream")
    waiting = stream is not None and not response.is_closed and response.http_version != "HTTP/2"
    connection = stream.get_extra_info("socket") if waiting else None
    if connection is not None:
        with suppress(OSError):  # it is closed already
            connection.shutdown(socket.SHUT_RDWR)


def pools_of(client: object) -> list[Any]:
    """The connection pools of an HTTP client, as far as they can be found."""
    mounted = getattr(client, "_mounts", {}).values()
    pools = [getattr(one, "_pool", None) for one in (getattr(client, "_transport", None), *mounted)]
    return [pool for pool in pools if pool is not None]


def make_reentrant(client: object) -> None:
    """Let a thread take the lock of a blocking client's pools again while it holds it, as httpcore2 does.

    A dropped stream is closed where the garbage collector finds it: also inside a request that holds this lock, which
    would then wait for itself for ever (httpcore 1). The lock is replaced as a whole: who holds the old one, or waits
    for it, releases that one.
    """
    for pool in pools_of(client):
        lock: Any = getattr(pool, "_optional_thread_lock", None)
        if isinstance(getattr(lock, "_lock", None), type(threading.Lock())):
            made = type(lock)()
            made._lock = threading.RLock()
            pool._optional_thread_lock = made


def install_backend(client: object, *, asynchronous: bool, connect_error: type[Exception]) -> int:
    """Put our layer into every connection pool of a client that was just made; how many pools have it now."""
    done = 0
    for pool in pools_of(client):
        backend = getattr(pool, "_network_backend", None)
        if backend is not None:
            pool._network_backend = (ResolvingBackend if asynchronous else DeadlineBackend)(backend, connect_error)
            done += 1
    return done
