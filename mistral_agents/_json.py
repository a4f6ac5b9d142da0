"""The one name for JSON objects, whose fields nobody here promises."""

from __future__ import annotations

from typing import Any

JsonDict = dict[str, Any]
"""A JSON object as it came or as it is sent."""
