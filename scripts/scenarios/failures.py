"""What the service refuses, and how it fails."""

from __future__ import annotations

from typing import Any

from mistral_agents.errors import (
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    RateLimitedError,
    ServerFailureError,
)
from scripts.scenarios._driver import Steps, scenario, step
from scripts.scenarios.turns import MODEL


@scenario("error-401", standin={"api_key": "the-right-key"}, key="a-wrong-key")
def wrong_key() -> Steps:
    error = yield step("conversations.start", "hello", model=MODEL)
    assert isinstance(error, AuthenticationError)
    assert error.status_code == 401


@scenario("error-404")
def not_stored() -> Steps:
    turn = yield step("conversations.start", "hello", model=MODEL, store=False)
    error = yield step("conversations.get", turn.conversation_id)
    assert isinstance(error, NotFoundError)
    assert (error.status_code, error.conversation_id) == (404, turn.conversation_id)


@scenario("error-422")
def unknown_option() -> Steps:
    error = yield step("conversations.start", "hello", model=MODEL, completion_args={"made_up": 1})
    assert isinstance(error, InvalidRequestError)
    assert error.status_code == 422
    assert "made_up" in str(error)


def _busy(faults: Any) -> None:
    body = {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "param": None, "code": "1300"}
    faults.answer(429, body, headers={"retry-after": "1"})


@scenario("error-429", live=False, faults=_busy)
def too_many() -> Steps:
    error = yield step("conversations.start", "hello", model=MODEL)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == 1.0
    turn = yield step("conversations.start", "hello", model=MODEL)
    assert turn.text


def _down(faults: Any) -> None:
    faults.answer(503, "upstream connect error or disconnect/reset before headers. reset reason: overflow")


@scenario("error-503", live=False, faults=_down)
def down() -> Steps:
    error = yield step("conversations.start", "hello", model=MODEL)
    assert isinstance(error, ServerFailureError)
    assert "overflow" in str(error)
