"""Mistral's document libraries, conversations and agents in LlamaIndex.

Names are loaded when they are first used, so importing the package stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_index_mistral_agents.llm import MistralAgentLLM

_MODULES = {
    "MistralAgentLLM": "llm",
}
__all__ = ["MistralAgentLLM"]


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
