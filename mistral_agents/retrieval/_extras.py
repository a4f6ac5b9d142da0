"""Loading the numeric libraries only where they are needed, with an error that says how to install them."""

from __future__ import annotations

import importlib
from typing import Any

from mistral_agents.errors import ConfigurationError


def load(module: str) -> Any:
    """Import a library of the retrieval extra.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        message = f"Local retrieval needs {module}: pip install 'mistral-agents[retrieval]'."
        raise ConfigurationError(message) from error
