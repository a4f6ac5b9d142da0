"""What is sent, what is sent again, and which error comes back."""

from __future__ import annotations

import asyncio

import pytest

from mistral_agents._http import sdk as _sdk
from mistral_agents.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    ContextWindowExceededError,
    InvalidRequestError,
    NotFoundError,
    PendingCallsError,
    PermissionDeniedError,
    RateLimitedError,
    ResponseFormatError,
    ServerFailureError,
    TimeoutExceededError,
    UnknownOutcomeError,
)

from .conftest import REPLY

BUSY = (429, {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "code": "1300"})
DOWN = (503, b"upstream connect error or disconnect/reset before headers. reset reason: overflow")


def library_error(name):
    return getattr(_sdk.http(), name)("told by the test")


def both(client, call, *args, **kwargs):
    """The same call, sync and async."""
    resource = client.conversations
    return [
        lambda: getattr(resource, call)(*args, **kwargs),
        lambda: asyncio.run(getattr(resource, "a" + call)(*args, **kwargs)),
    ]


@pytest.mark.parametrize(
    ("failure", "error", "tries"),
    [
        (BUSY, RateLimitedError, 3),
        ("ConnectError", ConnectionFailedError, 3),
        ("ConnectTimeout", ConnectionFailedError, 3),
        (DOWN, ServerFailureError, 1),
        ((500, {"object": "Error", "message": "boom", "code": 3000}), ServerFailureError, 1),
        ((408, b"stream timeout"), TimeoutExceededError, 1),
        ("ReadTimeout", TimeoutExceededError, 1),
        ("ReadError", UnknownOutcomeError, 1),
        ("RemoteProtocolError", UnknownOutcomeError, 1),
        ((401, {"detail": "Invalid API Key"}), AuthenticationError, 1),
    ],
)
def test_a_turn_is_sent_again_only_when_it_surely_did_not_arrive(make_client, wire, waits, failure, error, tries):
    for call in both(make_client(max_retries=2), "append", "conv_9", "hello"):
        wire.requests.clear()
        wire.answer(library_error(failure) if isinstance(failure, str) else failure)
        with pytest.raises(error) as caught:
            call()
        assert len(wire.requests) == tries
        assert caught.value.conversation_id == "conv_9"


@pytest.mark.parametrize("failure", [BUSY, DOWN, (408, b"stream timeout"), "ReadTimeout", "ReadError", "ConnectError"])
def test_reading_is_sent_again_after_any_passing_failure(make_client, wire, waits, failure):
    for call in both(make_client(max_retries=1), "get", "conv_9"):
        wire.requests.clear()
        wire.answer(library_error(failure) if isinstance(failure, str) else failure, (200, {"id": "conv_9"}))
        assert call().conversation_id == "conv_9"
        assert len(wire.requests) == 2


def test_retry_after_is_obeyed(make_client, wire, waits):
    for call in both(make_client(), "start", "hello", model="m"):
        waits.clear()
        wire.answer((*BUSY, {"Retry-After": "7"}), (200, REPLY))
        assert call().text == "hi"
        assert waits == [7.0]


def test_a_long_retry_after_is_the_callers_to_wait(make_client, wire, waits):
    wire.answer((*BUSY, {"retry-after": "3600"}))
    with pytest.raises(RateLimitedError) as caught:
        make_client().conversations.start("hello", model="m")
    assert (caught.value.retry_after, waits, len(wire.requests)) == (3600.0, [], 1)


def test_retry_after_of_a_failing_service_is_obeyed_as_that_of_a_quota(make_client, wire, waits):
    down = (503, {"message": "down for maintenance"}, {"retry-after": "7"})
    for call in both(make_client(max_retries=1), "get", "conv_9"):
        waits.clear()
        wire.answer(down, (200, {"id": "conv_9"}))
        assert call().conversation_id == "conv_9"
        assert waits == [7.0]


@pytest.mark.parametrize("once", [True, False], ids=["turn", "reading"])
def test_retry_after_of_a_failing_service_is_told_where_it_is_the_callers(make_client, wire, waits, once):
    """A turn is not sent again after a 5xx; a reading is not, where the pause outlasts the timeout."""
    wire.answer((503, {"message": "down for maintenance"}, {"retry-after": "40"}))
    conversations = make_client(timeout=20).conversations
    with pytest.raises(ServerFailureError) as caught:
        conversations.start("hello", model="m") if once else conversations.get("conv_9")
    assert (caught.value.retry_after, waits, len(wire.requests)) == (40.0, [], 1)


def test_pauses_grow_and_stay_bounded(make_client, wire, waits):
    wire.answer(BUSY)
    with pytest.raises(RateLimitedError):
        make_client(max_retries=12).conversations.start("hello", model="m")
    assert len(waits) == 12
    assert all(0 < wait <= 60 for wait in waits)
    assert waits[4] > waits[0]


def test_no_retries_means_one_request(make_client, wire, waits):
    wire.answer(BUSY)
    with pytest.raises(RateLimitedError):
        make_client(max_retries=0).conversations.start("hello", model="m")
    assert len(wire.requests) == 1


def test_what_is_not_found_is_hinted_at_as_what_it_is(make_client, wire):
    """A missing agent or connector was explained by what holds for conversations."""
    gone = (404, {"object": "Error", "message": "gone", "code": 3000})
    client = make_client()
    for read, of_conversations in (
        (lambda: client.agents.get("ag_1"), False),
        (lambda: client.connectors.get("c"), False),
        (lambda: client.conversations.get("conv_1"), True),
    ):
        wire.answer(gone)
        with pytest.raises(NotFoundError) as caught:
            read()
        assert ("store=False" in str(caught.value)) is of_conversations
        assert "another API key" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "error", "says", "code"),
    [
        (401, {"detail": "Invalid API Key"}, AuthenticationError, "Invalid API Key", None),
        (403, {"object": "error", "message": "not in your tier", "code": "1910"}, PermissionDeniedError, "tier", "1910"),
        (404, {"object": "Error", "message": "gone", "code": 3000}, NotFoundError, "gone", 3000),
        (400, {"object": "Error", "message": "Not the same number of function calls and responses", "code": 3230},
         PendingCallsError, "function calls", 3230),
        (400, {"message": "prompt exceeds the maximum context length", "code": 3051}, ContextWindowExceededError, "context", 3051),
        (400, {"message": "Image input is not enabled for this model", "code": 3051}, InvalidRequestError, "Image", 3051),
        (422, {"object": "Error", "detail": [{"type": "extra_forbidden", "loc": ["body", "tools"], "msg": "Extra inputs are not permitted"}]},
         InvalidRequestError, "tools: Extra inputs", None),
        (422, {"object": "error", "message": {"detail": [{"loc": ["body", "model"], "msg": "Field required"}]}}, InvalidRequestError,
         "model: Field required", None),
        (422, [{"loc": ["body", "model"], "msg": "Field required"}], InvalidRequestError, "model: Field required", None),
        (422, {"title": "gone", "status": 422}, InvalidRequestError, "failed: gone", None),
    ],
)  # fmt: skip
def test_every_shape_of_error_body_is_read(make_client, wire, status, body, error, says, code):
    wire.answer((status, body, {"mistral-correlation-id": "trace-1"}))
    with pytest.raises(error) as caught:
        make_client().conversations.append("conv_9", "hello")
    failure = caught.value
    assert says in str(failure)
    assert (failure.status_code, failure.code, failure.request_id, failure.body) == (status, code, "trace-1", body)
    assert failure.response.status_code == status
    assert type(failure) is error


def test_a_plain_text_failure_keeps_its_text(make_client, wire):
    wire.answer(DOWN)
    with pytest.raises(ServerFailureError, match="upstream connect error") as caught:
        make_client().conversations.start("hello", model="m")
    assert "history" in str(caught.value)


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"", b"[1, 2]", b"null"])
def test_a_reply_that_is_no_object_is_an_error_that_keeps_it(make_client, wire, body):
    wire.answer((200, body))
    with pytest.raises(ResponseFormatError) as caught:
        make_client().conversations.start("hello", model="m")
    assert caught.value.status_code == 200


@pytest.mark.parametrize(
    ("given", "sent"),
    [("a/../b", "a%2F..%2Fb"), ("x?y=1", "x%3Fy%3D1"), ("ü", "%C3%BC"), ("conv_1", "conv_1")],
)
def test_ids_are_encoded(make_client, wire, given, sent):
    make_client().conversations.append(given, "hello")
    assert wire.requests[0].url.raw_path.decode() == f"/v1/conversations/{sent}"


@pytest.mark.parametrize("given", ["", "  ", None, 7])
def test_an_id_must_be_a_text(make_client, wire, given):
    with pytest.raises(ConfigurationError, match="conversation_id"):
        make_client().conversations.append(given, "hello")
    assert wire.requests == []


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}])
def test_what_json_cannot_say_is_refused_before_the_request(make_client, wire, value):
    with pytest.raises(ConfigurationError, match="JSON"):
        make_client().conversations.start("hello", model="m", metadata={"x": value})
    assert wire.requests == []


def test_a_dead_server_is_named():
    from mistral_agents import MistralAgents

    client = MistralAgents(api_key="k", base_url="http://127.0.0.1:9", max_retries=0)
    for call in both(client, "start", "hello", model="m"):
        with pytest.raises(ConnectionFailedError, match=r"http://127\.0\.0\.1:9"):
            call()
