"""What an operator sees: spans that tell the truth, and a log record for each request that is sent again."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging

import pytest

from mistral_agents import MistralAgents
from mistral_agents._http import sdk
from mistral_agents.errors import MistralAgentsError, RateLimitedError

from .conftest import CHUNKED, DONE, REPLY, STARTED, WAYS, chunk, delta, sse, take_turn

pytest.importorskip("opentelemetry.sdk")


@pytest.fixture
def spans():
    """Spans that were ended, of turns made by `run`."""
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    return InMemorySpanExporter()


def run(spans, client, way):
    """A turn that is traced; the span of the turn, whatever became of it."""
    from mistralai.extra.observability import set_tracer_provider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    conversations = client.conversations

    async def leave():
        began = asyncio.Event()

        async def read():
            async for _ in conversations.astart_stream("hello", model="m"):
                began.set()

        task = asyncio.ensure_future(read())
        await began.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def go():
        set_tracer_provider(client.async_sdk, provider)
        if way == "acall":
            await conversations.astart("hello", model="m")
        elif way == "astream":
            await conversations.astart_stream("hello", model="m").aread()
        else:
            await leave()

    with contextlib.suppress(MistralAgentsError):
        if way in ("call", "stream", "left"):
            set_tracer_provider(client.sdk, provider)
            if way == "left":
                next(conversations.start_stream("hello", model="m"))
            else:
                take_turn(client, way)
        else:
            asyncio.run(go())
    gc.collect()
    (span,) = [span for span in spans.get_finished_spans() if span.name.startswith("invoke_agent")]
    return span


def answer_well(wire, way):
    wire.answer((200, sse(STARTED, delta("hi"), DONE) if "stream" in way else REPLY))


@pytest.mark.parametrize("way", WAYS)
def test_the_span_of_a_good_turn_has_usage_and_conversation(make_client, wire, spans, way):
    answer_well(wire, way)
    span = run(spans, make_client(), way)
    assert span.status.status_code.name == "OK"
    assert span.attributes["gen_ai.conversation.id"] == "conv_1"
    assert (span.attributes["gen_ai.usage.input_tokens"], span.attributes["gen_ai.usage.output_tokens"]) == (1, 2)
    assert span.attributes["gen_ai.request.model"] == "m"
    assert "secret-key" not in span.to_json()


BAD = {
    "status": (422, {"detail": "no"}),
    "in band": (200, {"object": "error", "message": "no"}),
    "page": (200, b"<html>"),
    "redirect": (302, b"", {"location": "/x"}),
    "nobody": "ConnectError",
    "hangs up": "ReadError",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_the_span_of_a_failed_turn_is_an_error(make_client, wire, spans, way, bad):
    wire.answer(getattr(sdk.http(), bad)("gone") if isinstance(bad, str) else bad)
    assert run(spans, make_client(max_retries=0), way).status.status_code.name == "ERROR"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("raised", ["ConnectError", "ReadError"])
def test_the_span_of_a_lost_connection_names_the_error_that_is_raised(make_client, wire, spans, way, raised):
    wire.answer(getattr(sdk.http(), raised)("gone"))
    span = run(spans, make_client(max_retries=0), way)
    kind = {"ConnectError": "ConnectionFailedError", "ReadError": "UnknownOutcomeError"}[raised]
    assert span.attributes["error.type"] == kind
    assert [event.attributes["exception.type"] for event in span.events] == [f"mistral_agents.errors.{kind}"]


@pytest.mark.parametrize("way", WAYS)
def test_the_span_of_a_refusal_in_a_form_of_its_own_has_its_status(make_client, wire, spans, way):
    wire.answer((502, b"<html>bad gateway</html>"))
    assert run(spans, make_client(max_retries=0), way).attributes["http.response.status_code"] == 502


class Refuser:
    """A hook of a user that lets nothing out."""

    def before_request(self, *_):
        raise ValueError("not today")


@pytest.mark.parametrize("way", WAYS)
def test_the_span_ends_where_a_hook_of_the_user_stops_the_request(make_client, spans, monkeypatch, way):
    made = sdk.make_sdk

    def make_with_hook(**settings):
        client = made(**settings)
        client.sdk_configuration.__dict__["_hooks"].register_before_request_hook(Refuser())
        return client

    monkeypatch.setattr(sdk, "make_sdk", make_with_hook)
    with contextlib.suppress(ValueError):
        run(spans, make_client(), way)
    (span,) = spans.get_finished_spans()
    assert (span.status.status_code.name, span.status.description) == ("ERROR", "not today")


@pytest.mark.parametrize("way", WAYS)
def test_the_span_has_the_answer_below_it_whatever_its_times(make_client, wire, spans, caplog, way):
    answer_well(wire, way)
    run(spans, make_client(), way)
    assert "chat" in [span.name for span in spans.get_finished_spans()]
    assert "Failed to enrich" not in caplog.text


def test_a_file_that_is_read_is_nothing_to_a_span(make_client, wire, spans, caplog):
    from mistralai.extra.observability import set_tracer_provider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    wire.answer((200, b"\x89PNG"))
    client = make_client()
    set_tracer_provider(client.sdk, provider)
    assert client.files.read("file-1").data == b"\x89PNG"
    assert [span.status.status_code.name for span in spans.get_finished_spans()] == ["OK"]
    assert "Failed to enrich" not in caplog.text


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_the_span_of_a_stream_that_breaks_off_is_an_error_with_its_conversation(make_client, wire, spans, way):
    wire.answer((200, sse(STARTED, delta("h"))))
    span = run(spans, make_client(), way)
    assert span.status.status_code.name == "ERROR"
    assert span.attributes["gen_ai.conversation.id"] == "conv_1"
    assert span.attributes["error.type"] == "StreamInterruptedError"


@pytest.mark.parametrize("way", ["left", "cancelled"])
def test_the_span_of_a_stream_that_is_left_ends(serve, spans, way):
    def hold(connection, _):
        connection.sendall(CHUNKED + chunk(sse(STARTED)))
        connection.recv(1)

    span = run(spans, MistralAgents(api_key="k", base_url=serve(hold).url), way)
    assert (span.status.status_code.name, span.attributes["gen_ai.conversation.id"]) == ("UNSET", "conv_1")


@pytest.mark.parametrize("way", WAYS)
def test_each_request_that_is_sent_again_leaves_a_record_without_content(make_client, wire, waits, caplog, way):
    caplog.set_level(logging.DEBUG)
    wire.answer((429, {"message": "a private text"}, {"retry-after": "7"}))
    with pytest.raises(RateLimitedError):
        take_turn(make_client(max_retries=2), way)
    records = [record.getMessage() for record in caplog.records if record.name == "mistral_agents"]
    assert len(records) == 2
    for record in records:
        assert "429" in record
        assert "7.00 s" in record
        assert not [word for word in ("private", "secret-key", "hello") if word in record]
