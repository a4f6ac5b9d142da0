"""A connector that lives in the test's own stand-in."""

from __future__ import annotations

from typing import Any

from mistral_agents_server.settings import LocalConnector, LocalTool

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def _weather(arguments: dict[str, Any]) -> str:
    if arguments["city"] == "Atlantis":
        raise ValueError("no such city")
    return f"sun in {arguments['city']}"


METEO = LocalConnector("meteo", "Weather.", [LocalTool("weather", "Weather of a city.", WEATHER, _weather)])
TWICE = [METEO, METEO]
