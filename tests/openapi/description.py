"""The official description with our overlay of proven deviations."""

from __future__ import annotations

import copy
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

SHARED = Path(__file__).parents[3] / "shared"
OVERLAY = json.loads((Path(__file__).parent / "overlay.json").read_text())


@lru_cache(maxsize=1)
def official() -> dict[str, Any]:
    return yaml.load(
        (SHARED / "mistral-openapi.yaml").read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    )["components"]


def overlaid(*, without: int | None = None) -> dict[str, Any]:
    """The components with each deviation (but one) applied."""
    components = copy.deepcopy(official())
    for place, deviation in enumerate(OVERLAY):
        if place != without:
            *path, last = deviation["at"].split(".")
            inner = components["schemas"]
            for step in path:
                inner = inner[step]
            inner[last] = deviation["add"]
    return components


@lru_cache(maxsize=1)
def _whole() -> dict[str, Any]:
    return overlaid()


@lru_cache(maxsize=1)
def event_names() -> dict[str, str]:
    """The schema of each event type."""
    mapping = official()["schemas"]["ConversationEvents"]["properties"]["data"]["discriminator"]["mapping"]
    return {kind: reference.rpartition("/")[2] for kind, reference in mapping.items()}


def violations(name: str, value: Any, components: dict[str, Any] | None = None) -> list[str]:
    """What a value breaks of a schema; empty when nothing."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": components if components is not None else _whole()}
    return [
        f"{name} {list(error.absolute_path)}: {error.message[:300]}"
        for error in Draft202012Validator(schema).iter_errors(value)
    ]


def event_violations(events: list[dict[str, Any]], components: dict[str, Any] | None = None) -> list[str]:
    """What the events of a stream break of their schemas."""
    return [text for event in events for text in violations(event_names()[event["type"]], event, components)]
