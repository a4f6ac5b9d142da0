"""What is written of models: lets `load(dumps(model), allowed_objects="all")` give one back, and keeps passwords out.

LangChain's list of loadable classes names its own partners only and has no way to join it but the table itself. Loading
still needs `valid_namespaces=["langchain_mistral_agents"]`, so nothing is loaded that the caller did not allow.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

from pydantic import AfterValidator, Field, PlainSerializer

from mistral_agents._http.concealed import conceal_fields, conceal_text, drop_credentials

PATH = ("langchain_mistral_agents", "chat_models", "ChatMistralAgent")

Address = Annotated[
    str | None,
    Field(repr=False),
    AfterValidator(lambda url: conceal_text(url) if url and "@" in url else url),
    PlainSerializer(lambda url: url and drop_credentials(url)),
]
"""An address, which may hold a user name and a password: what is dumped is logged, traced and kept without them."""

Headers = Annotated[dict[str, str] | None, Field(exclude=True, repr=False), AfterValidator(conceal_fields)]
"""Headers of every request, which may hold keys: they are never dumped, and print without their values."""


def allow_loading() -> None:
    """Add the model to the table; harmless when repeated."""
    loading = import_module("langchain_core.load.load")
    loading.ALL_SERIALIZABLE_MAPPINGS.setdefault(PATH, PATH)
    cached = getattr(loading, "_default_class_paths_cache", {}).get("all")
    if cached is not None:
        cached.add(PATH)
