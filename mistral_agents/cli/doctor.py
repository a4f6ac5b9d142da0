"""What can be wrong with a set-up, found out and said in words: the environment, the packages, the address, the key."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from mistral_agents._display.blocks import Diff, Sign, View
from mistral_agents._display.shown import Display
from mistral_agents._http.clients import clean_base_url
from mistral_agents._json import JsonDict
from mistral_agents.cli.session import read_key
from mistral_agents.client import MistralAgents
from mistral_agents.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    MistralAgentsError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    RedirectRefusedError,
    ResponseFormatError,
    ServerFailureError,
    TimeoutExceededError,
)

State = Literal["ok", "warning", "broken"]
_SECONDS = 10.0
_LIVE = "https://api.mistral.ai"
_PYTHONS = (3, 10)
_WINGS = {"langchain": ("langchain-core", 1), "llama-index": ("llama-index-core", 0)}
_FILES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one look found.

    Attributes:
        name: What was looked at.
        state: `ok`, `warning` or `broken`.
        seen: What is there.
        advice: What to do; empty where nothing is to be done.
    """

    name: str
    state: State
    seen: str
    advice: str = ""

    def to_dict(self) -> JsonDict:
        """As JSON."""
        return asdict(self)


def examine(
    environment: Mapping[str, str], key_file: Path | None = None, base_url: str | None = None, *, offline: bool = False
) -> list[Diagnosis]:
    """Look at a set-up; the service is asked only where all before it is in order.

    Args:
        environment: The environment's variables.
        key_file: The file that shall hold the key.
        base_url: The address given; None takes MISTRAL_BASE_URL.
        offline: Send nothing.
    """
    address = base_url if base_url is not None else environment.get("MISTRAL_BASE_URL", _LIVE)
    found = [check_python(sys.version_info[:2]), check_sdk(_version_of("mistralai")), *check_wings(_version_of)]
    found += [*check_environment(environment), check_address(address)]
    try:
        key = read_key(key_file) if key_file is not None else environment.get("MISTRAL_API_KEY")
    except ConfigurationError as error:
        found.append(Diagnosis("key", "broken", error.message, "Name a file that holds the key in one line."))
        return found
    found.append(check_key(key, address))
    if not offline and all(row.state != "broken" for row in found):
        found.append(check_service(key, address))
    return found


def _version_of(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def check_python(version: tuple[int, ...]) -> Diagnosis:
    """Whether this Python is supported."""
    seen = ".".join(map(str, version))
    if version < _PYTHONS:
        return Diagnosis("python", "broken", f"Python {seen}", "Use Python 3.10 or later.")
    return Diagnosis("python", "ok", f"Python {seen}")


def check_sdk(version: str | None) -> Diagnosis:
    """Whether the service's SDK is there in a version that fits."""
    if version is None:
        return Diagnosis("mistralai", "broken", "not installed", "pip install 'mistralai>=2.10,<4'")
    if not (2, 10) <= _numbers(version) < (4,):
        return Diagnosis("mistralai", "broken", version, "pip install 'mistralai>=2.10,<4'")
    return Diagnosis("mistralai", "ok", version)


def check_wings(version_of: Callable[[str], str | None]) -> Iterator[Diagnosis]:
    """Which frameworks are there, and whether they fit; one that is not there is no fault."""
    for extra, (distribution, major) in _WINGS.items():
        version = version_of(distribution)
        if version is None:
            yield Diagnosis(extra, "ok", f"no {distribution}", f"For this wing: pip install 'mistral-agents[{extra}]'")
        elif _numbers(version)[:1] != (major,):
            advice = f"pip install --upgrade 'mistral-agents[{extra}]'"
            yield Diagnosis(extra, "broken", f"{distribution} {version}, where {major}.x is needed", advice)
        else:
            yield Diagnosis(extra, "ok", f"{distribution} {version}")


def check_environment(environment: Mapping[str, str]) -> Iterator[Diagnosis]:
    """Certificates and proxies that HTTP libraries take from the environment."""
    for name in _FILES:
        path = environment.get(name)
        if path and not Path(path).exists():
            yield Diagnosis(name, "broken", f"{path} is not there", f"Unset {name}, or name a file that exists.")
    for name in _PROXIES:
        proxy = environment.get(name)
        if proxy and not _is_proxy(proxy):
            yield Diagnosis(name, "broken", "no address of a proxy", f"Write {name} as http://host:port, or unset it.")


def _is_proxy(value: str) -> bool:
    """Whether HTTP libraries read it as a proxy; they add what it lacks at its beginning."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        return parts.scheme in ("http", "https", "socks5", "socks5h") and parts.port != 0 and bool(parts.hostname)
    except ValueError:
        return False


def check_address(address: str) -> Diagnosis:
    """Whether the address can be one of the service."""
    name = "address"
    if not address:
        return Diagnosis(name, "broken", "MISTRAL_BASE_URL is empty", "Unset it, or give the address.")
    try:
        clean_base_url(address)
    except ConfigurationError as error:
        return Diagnosis(name, "broken", error.message, "Write it as https://host, without /v1.")
    parts = urlsplit(address)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"  # never a password that stands in it
    if parts.path.rstrip("/").endswith("/v1"):
        return Diagnosis(name, "broken", f"{shown} ends in /v1", "Leave /v1 out: it is added to every call.")
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        return Diagnosis(name, "warning", f"{shown} is not encrypted", "The key is sent in the clear: use https.")
    return Diagnosis(name, "ok", shown)


def check_key(key: str | None, address: str) -> Diagnosis:
    """Whether the key can be one; it is never shown."""
    advice = "Set MISTRAL_API_KEY, or give --api-key-file; the stand-in (`mistral-agents serve`) takes any word."
    if key is None or not key:
        return Diagnosis("key", "broken", "no key" if key is None else "MISTRAL_API_KEY is empty", advice)
    if key != key.strip() or len(key.split()) != 1:
        return Diagnosis("key", "broken", "it has blanks or line ends in it", "Copy the key again, without blanks.")
    if key[0] in "\"'" or key[-1] in "\"'":
        return Diagnosis("key", "broken", "it has quotation marks around it", "Take the quotation marks away.")
    if key.lower().startswith("bearer"):
        return Diagnosis("key", "broken", "it begins with Bearer", "Give the key alone.")
    if not key.isascii() or not key.isprintable():
        return Diagnosis("key", "broken", "it has characters that no key has", "Copy the key again.")
    if address.rstrip("/") == _LIVE and len(key) < 16:
        seen = "it is short for a key of the live service"
        return Diagnosis("key", "warning", seen, "For the stand-in set MISTRAL_BASE_URL to its address, too.")
    return Diagnosis("key", "ok", f"{len(key)} characters")


_ADVICE: tuple[tuple[type[MistralAgentsError], str], ...] = (
    (AuthenticationError, "The key is refused: make a new one in the console, or check which address it belongs to."),
    (PermissionDeniedError, "The key may not use agents: look at the plan and the workspace it belongs to."),
    (RateLimitedError, "The key works; its quota is used up for now: wait, or look at the limits in the console."),
    (RedirectRefusedError, "The address leads elsewhere: set MISTRAL_BASE_URL to where it leads."),
    (NotFoundError, "Something answers there, but not this API: check the address."),
    (ResponseFormatError, "Something answers there, but not this API: check the address and proxies."),
    (TimeoutExceededError, "Nothing answers in time: check the network, proxies and firewalls."),
    (ConnectionFailedError, "Nothing can be reached there: is the address right, the server running, the network up?"),
    (ServerFailureError, "The service is in trouble: try again later."),
)


def check_service(key: str | None, address: str) -> Diagnosis:
    """Ask for one agent, and say what the answer means."""
    try:
        with MistralAgents(api_key=key, base_url=address, timeout=_SECONDS, max_retries=0) as client:
            next(client.agents.list(page_size=1), None)
    except MistralAgentsError as error:
        advice = next((text for kind, text in _ADVICE if isinstance(error, kind)), "See the message.")
        state: State = "warning" if isinstance(error, RateLimitedError) else "broken"
        return Diagnosis("service", state, error.message, advice)
    return Diagnosis("service", "ok", "it answers, and takes the key")


_SIGNS: dict[State, Sign] = {"ok": " ", "warning": "~", "broken": "-"}


def report_findings(found: list[Diagnosis]) -> Display:
    """The findings to look at."""
    lines: list[tuple[Sign, str]] = []
    for row in found:
        lines.append((_SIGNS[row.state], f"{row.state:8} {row.name}: {row.seen}"))
        if row.advice:
            lines.append((" ", f"         → {row.advice}"))
    return Display(View("Doctor", [Diff(tuple(lines))], "\n".join(line for _, line in lines)))
