"""The one name for JSON objects, whose fields nobody here promises."""

from __future__ import annotations

import json
from typing import Any

JsonDict = dict[str, Any]
"""A JSON object as it came or as it is sent."""


def load_json(text: bytes | str) -> Any:
    """The value of a JSON text, surrogates as they came.

    Raises:
        ValueError: It is no JSON, or nested more deeply than can be read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply to be read") from None
