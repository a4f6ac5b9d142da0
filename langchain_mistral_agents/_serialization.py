"""Lets `load(dumps(model), allowed_objects="all")` give a model back.

LangChain's list of loadable classes names its own partners only and has no way to join it but the table itself. Loading
still needs `valid_namespaces=["langchain_mistral_agents"]`, so nothing is loaded that the caller did not allow.
"""

from __future__ import annotations

from importlib import import_module

PATH = ("langchain_mistral_agents", "chat_models", "ChatMistralAgent")


def allow_loading() -> None:
    """Add the model to the table; harmless when repeated."""
    loading = import_module("langchain_core.load.load")
    loading.ALL_SERIALIZABLE_MAPPINGS.setdefault(PATH, PATH)
    cached = getattr(loading, "_default_class_paths_cache", {}).get("all")
    if cached is not None:
        cached.add(PATH)
