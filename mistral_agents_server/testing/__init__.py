"""A kit for the tests of those who build on this package. Names are loaded when first used.

The fixtures are in `mistral_agents_server.testing.plugin`, which pytest loads by itself wherever this package is
installed; so neither this module nor the plugin imports anything of the extra `[server]` before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mistral_agents_server.testing.cassettes import cassette_settings
    from mistral_agents_server.testing.faults import Faults
    from mistral_agents_server.testing.frozen import FrozenClock
    from mistral_agents_server.testing.running import Standin
    from mistral_agents_server.testing.scripted import (
        Reply,
        ScriptedModel,
        ask_confirmation,
        call,
        calls,
        fail,
        hand_over,
        say,
        stop_short,
    )

__all__ = [
    "Faults",
    "FrozenClock",
    "Reply",
    "ScriptedModel",
    "Standin",
    "ask_confirmation",
    "call",
    "calls",
    "cassette_settings",
    "fail",
    "hand_over",
    "say",
    "stop_short",
]

_HOMES = {"Faults": "faults", "FrozenClock": "frozen", "Standin": "running", "cassette_settings": "cassettes"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'scripted')}"), name)
    except ModuleNotFoundError as error:
        from mistral_agents_server.__main__ import PACKAGES

        lacking = (error.name or "").partition(".")[0]
        if lacking not in PACKAGES:
            raise
        text = f"{name} needs {PACKAGES[lacking]}, which is not installed: pip install 'mistral-agents[server]'"
        raise ModuleNotFoundError(text, name=error.name) from error


def __dir__() -> list[str]:
    return sorted(__all__)
