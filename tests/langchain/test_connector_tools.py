"""Connectors' tools for any model, and a meter fed by callbacks."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from langchain_mistral_agents import ChatMistralAgent, MistralMeterHandler, aload_connector_tools, load_connector_tools
from mistral_agents import WebSearch
from mistral_agents.connector_api import ConnectorResult, Connectors
from mistral_agents.costs import BudgetExceededError, Meter, Prices
from tests.support.connectors import WEATHER
from tests.support.docs import python_blocks


async def test_a_connectors_tools_are_langchain_tools(meteo):
    for tools in (load_connector_tools("meteo", client=meteo), await aload_connector_tools("meteo", client=meteo)):
        (tool,) = tools
        assert (tool.name, tool.description, tool.args) == ("weather", "Weather of a city.", WEATHER["properties"])
        assert tool.invoke({"city": "Rome"}) == "sun in Rome"
        assert await tool.ainvoke({"city": "Paris"}) == "sun in Paris"
        answer = tool.invoke({"type": "tool_call", "id": "abc", "name": "weather", "args": {"city": "Rome"}})
        assert answer.artifact.text == "sun in Rome"


def test_pictures_of_a_tool_are_blocks(meteo, monkeypatch):
    data = b64encode(b"\x89PNG").decode()
    picture = {"type": "image", "data": data, "mimeType": "image/png"}
    found = ConnectorResult([{"type": "text", "text": "a map"}, picture])
    monkeypatch.setattr(Connectors, "call", lambda *_, **__: found)
    (tool,) = load_connector_tools("meteo", client=meteo)
    shown = [{"type": "text", "text": "a map"}, {"type": "image", "base64": data, "mime_type": "image/png"}]
    answer = tool.invoke({"type": "tool_call", "id": "abc", "name": "weather", "args": {"city": "Rome"}})
    assert (answer.content, answer.artifact) == (shown, found)


def test_any_model_can_call_it(meteo, standin):
    model = ChatMistralAgent(model="m", base_url=standin.base_url).bind_tools(
        load_connector_tools("meteo", client=meteo), tool_choice="any"
    )
    (call,) = model.invoke("What is the weather in Rome?").tool_calls
    assert call["name"] == "weather"


def test_a_meter_counts_a_run_and_stops_the_next(standin):
    meter = Meter(Prices(tokens={"*": (1.0, 1.0)}, calls={"web_search": 0.03}), max_calls={"web_search": 1})
    config = {"callbacks": [MistralMeterHandler(meter)]}
    model = ChatMistralAgent(model="m", base_url=standin.base_url, connectors=[WebSearch()])
    answer = model.invoke("Search the web for renewable energy.", config=config)
    assert meter.usage.connectors == answer.response_metadata["connectors"] == {"web_search": 1}
    assert meter.usage.total_tokens == answer.usage_metadata["total_tokens"]
    assert meter.usage.connector_tokens == answer.usage_metadata["input_token_details"]["connector"] > 0
    assert meter.cost > 0.03
    assert {quota.name for quota in meter.quotas} >= {"web-search"}
    with pytest.raises(BudgetExceededError, match="web_search"):
        model.invoke("Search the web again.", config=config)
    assert meter.turns == 1


async def test_streams_are_counted_and_other_providers_are_not(standin):
    meter = Meter()
    config = {"callbacks": [MistralMeterHandler(meter)]}
    model = ChatMistralAgent(model="m", base_url=standin.base_url)
    async for _ in model.astream("What is 2 + 3?", config=config):
        pass
    GenericFakeChatModel(
        messages=iter([AIMessage("hi", usage_metadata={"input_tokens": 1, "output_tokens": 1, "total_tokens": 2})])
    ).invoke("hi", config=config)
    assert meter.turns == 1
    assert meter.usage.total_tokens > 0


def test_answers_of_a_cache_cost_nothing(standin):
    meter = Meter()
    model = ChatMistralAgent(model="m", base_url=standin.base_url, cache=InMemoryCache())
    for _ in range(2):
        model.invoke("What is 2 + 3?", config={"callbacks": [MistralMeterHandler(meter)]})
    assert meter.turns == 1


def test_the_page_about_connectors_runs(standin_factory, monkeypatch, capsys):
    page = Path(__file__).parents[2] / "docs" / "connectors.md"
    connector, *blocks = python_blocks(page)
    names = {}
    exec(compile(connector, "meteo.py", "exec"), names)
    monkeypatch.setenv("MISTRAL_BASE_URL", standin_factory(connectors=[names["METEO"]]).base_url)
    monkeypatch.setenv("MISTRAL_API_KEY", "test-key")
    for block in blocks:
        exec(compile(block, page.name, "exec"), names)
    printed = capsys.readouterr().out
    for words in ("['meteo']", "sun in Rome", "sun in Paris", "1 turns", "2 turns"):
        assert words in printed
