"""Quotas: always shown, and run out only where a limit was set."""

from __future__ import annotations

import pytest

from mistral_agents_server.errors import ApiError
from mistral_agents_server.quota import QuotaBook
from mistral_agents_server.settings import LocalConnector, LocalTool, Quota

from ..support.scripted import call, say

CLOCK = LocalConnector("clock", "Time.", [LocalTool("now", "The time.", {"type": "object"}, lambda _: "noon")])
TOOLS = [{"type": "connector", "connector_id": "clock"}]


def test_uses_are_forgotten_after_a_minute_and_a_day():
    at = [0.0]
    book = QuotaBook([Quota("web_search", 2)], clock=lambda: at[0])
    book.count("web_search")
    book.count("web_search")
    assert book.is_empty("web_search")
    with pytest.raises(ApiError) as caught:
        book.require(["code_interpreter", "web_search"])
    assert caught.value.status == 429
    assert caught.value.body["code"] == "1300"
    assert caught.value.headers["x-ratelimit-remaining-web-search-minute"] == "0"
    at[0] = 61.0
    assert not book.is_empty("web_search")
    assert book.headers(["web_search"])["x-ratelimit-remaining-web-search-day"] == "9998"
    at[0] = 86_500.0
    assert book.headers(["web_search"])["x-ratelimit-remaining-web-search-day"] == "10000"


def test_without_a_limit_nothing_runs_out():
    book = QuotaBook()
    for _ in range(100):
        book.count("web_search")
    assert not book.is_empty("web_search")
    assert book.headers(["web_search"])["x-ratelimit-remaining-web-search-minute"] == "0"


@pytest.mark.parametrize("text", ["web_search", "web_search=3", "web_search=x/minute", "=3/minute", "a=1/hour"])
def test_a_quota_that_isnt_one(text):
    with pytest.raises(ValueError, match="tool=N/minute"):
        Quota.parse(text)


def test_a_tool_that_runs_out_in_a_turn_fails_as_a_tool(thinking, scripted):
    api = thinking(connectors=[CLOCK], quotas=[Quota("clock_now", 0)])
    scripted.script(call("clock_now"), say("no time"))
    reply = api.start("x", tools=TOOLS)
    assert reply["outputs"][0]["info"]["result"] == "Error executing tool clock_now: Rate limit exceeded"


def test_a_declared_tool_that_has_run_out_is_a_429(standin_factory, api_of):
    api = api_of(standin_factory(quotas=[Quota("web_search", 0), Quota("tokens", 10_000)]).base_url)
    body = {"inputs": "x", "model": "m", "tools": [{"type": "web_search"}]}
    for streamed in (False, True):
        reply = api.send("POST", "/conversations", {**body, "stream": streamed})
        assert reply.status_code == 429
        assert reply.json() == {
            "object": "error",
            "message": "Rate limit exceeded",
            "type": "rate_limited",
            "param": None,
            "code": "1300",
        }
        assert reply.headers["x-ratelimit-limit-web-search-minute"] == "0"
    assert api.start("x")["outputs"]


def test_tokens_run_out(standin_factory, api_of):
    api = api_of(standin_factory(quotas=[Quota("tokens", 5)]).base_url)
    conversation_id = api.start("hello")["conversation_id"]
    assert api.send("POST", f"/conversations/{conversation_id}", {"inputs": "more"}).status_code == 429


def test_headers_name_the_tools_that_ran(thinking, scripted):
    api = thinking(connectors=[CLOCK])
    scripted.script(call("clock_now"), say("noon"))
    reply = api.send("POST", "/conversations", {"inputs": "x", "model": "m", "tools": TOOLS})
    limits = {name for name in reply.headers if name.startswith("x-ratelimit-limit")}
    assert limits == {f"x-ratelimit-limit-{n}" for n in ("tokens-minute", "clock-minute", "clock-day")}
    assert reply.headers["x-ratelimit-remaining-clock-minute"] == "29"
