"""Connectors' tools for any agent, and a meter fed by events."""

from __future__ import annotations

from base64 import b64encode

from llama_index_instrumentation import get_dispatcher

from llama_index_mistral_agents import MistralAgentLLM, MistralMeterHandler, aload_connector_tools, load_connector_tools
from mistral_agents.connector_api import ConnectorResult, Connectors
from mistral_agents.costs import Meter
from tests.support.connectors import WEATHER


async def test_a_connectors_tools_are_llama_index_tools(meteo):
    for tools in (load_connector_tools("meteo", client=meteo), await aload_connector_tools("meteo", client=meteo)):
        (tool,) = tools
        described = tool.metadata.to_openai_tool()["function"]
        assert (described["name"], described["description"]) == ("weather", "Weather of a city.")
        assert described["parameters"]["properties"] == WEATHER["properties"]
        assert tool.call(city="Rome").content == "sun in Rome"
        assert (await tool.acall(city="Paris")).content == "sun in Paris"


def test_pictures_of_a_tool_are_blocks(meteo, monkeypatch):
    picture = {"type": "image", "data": b64encode(b"\x89PNG").decode(), "mimeType": "image/png"}
    found = ConnectorResult([{"type": "text", "text": "a map"}, picture])
    monkeypatch.setattr(Connectors, "call", lambda *_, **__: found)
    (tool,) = load_connector_tools("meteo", client=meteo)
    output = tool.call(city="Rome")
    assert [type(block).__name__ for block in output.blocks] == ["TextBlock", "ImageBlock"]
    assert output.content == "a map"
    assert output.blocks[1].resolve_image().read() == b"\x89PNG"


def test_a_function_calling_llm_is_offered_it(meteo, standin):
    llm = MistralAgentLLM(model="m", base_url=standin.base_url)
    response = llm.chat_with_tools(
        load_connector_tools("meteo", client=meteo), user_msg="What is the weather in Rome?", tool_required=True
    )
    assert [call.tool_name for call in llm.get_tool_calls_from_response(response)] == ["weather"]


def test_a_meter_counts_turns(standin):
    meter = Meter()
    handler, dispatcher = MistralMeterHandler(meter=meter), get_dispatcher()
    dispatcher.add_event_handler(handler)
    try:
        response = MistralAgentLLM(model="m", base_url=standin.base_url).complete("What is 2 + 3?")
    finally:
        dispatcher.event_handlers.remove(handler)
    assert meter.turns == 1
    assert meter.usage.total_tokens == response.additional_kwargs["usage"]["total_tokens"] > 0
