"""The foundation's errors are LangChain's kinds too, and keep all they know."""

from __future__ import annotations

import pickle

import pytest
from langchain_core import exceptions as lc

from langchain_mistral_agents._errors import as_model_error, model_errors
from mistral_agents import errors

KINDS = [
    (errors.AuthenticationError, lc.ModelAuthenticationError),
    (errors.PermissionDeniedError, lc.ModelPermissionDeniedError),
    (errors.NotFoundError, lc.ModelNotFoundError),
    (errors.ConflictError, lc.ModelInvalidRequestError),
    (errors.RateLimitedError, lc.ModelRateLimitError),
    (errors.InvalidRequestError, lc.ModelInvalidRequestError),
    (errors.PendingCallsError, lc.ModelInvalidRequestError),
    (errors.ContextWindowExceededError, lc.ContextOverflowError),
    (errors.ServerFailureError, lc.ModelAPIError),
    (errors.TurnFailedError, lc.ModelAPIError),
    (errors.ResponseFormatError, lc.ModelAPIError),
    (errors.ConnectionFailedError, lc.ModelConnectionError),
    (errors.UnknownOutcomeError, lc.ModelConnectionError),
    (errors.StreamInterruptedError, lc.ModelConnectionError),
    (errors.TimeoutExceededError, lc.ModelTimeoutError),
    (errors.ToolBudgetExceededError, lc.ModelError),
]


@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_an_error_is_of_both_trees_and_keeps_its_facts(ours: type, theirs: type) -> None:
    response = object()
    error = ours("It failed", status_code=418, code=3000, request_id="r", conversation_id="conv_1", body={"a": 1})
    error.response = response

    made = as_model_error(error, stored=False)

    assert isinstance(made, ours)
    assert isinstance(made, theirs)
    assert str(made) == str(error)
    assert made.__dict__ == error.__dict__
    assert made.response is response


@pytest.mark.parametrize(("ours", "theirs"), KINDS)
def test_an_error_survives_a_pickle(ours: type, theirs: type) -> None:
    made = as_model_error(ours("It failed", conversation_id="conv_1"), stored=True)

    back = pickle.loads(pickle.dumps(made))

    assert type(back) is type(made)
    assert isinstance(back, theirs)
    assert (back.conversation_id, back.is_retryable) == ("conv_1", made.is_retryable)


def test_facts_of_single_kinds_are_kept() -> None:
    waiting = as_model_error(errors.PendingCallsError("open", call_ids=["abc123def"]), stored=True)
    limited = as_model_error(errors.RateLimitedError("slow down", retry_after=7.0), stored=True)

    assert waiting.call_ids == ["abc123def"]
    assert limited.retry_after == 7.0


@pytest.mark.parametrize(
    "kind", [errors.ServerFailureError, errors.TimeoutExceededError, errors.UnknownOutcomeError, errors.TurnFailedError]
)
def test_middleware_must_not_repeat_a_stored_turn_that_may_have_been_applied(kind: type) -> None:
    assert as_model_error(kind("?"), stored=True).is_retryable is False
    assert as_model_error(kind("?"), stored=False).is_retryable is True


@pytest.mark.parametrize("kind", [errors.RateLimitedError, errors.ConnectionFailedError])
@pytest.mark.parametrize("stored", [True, False])
def test_what_surely_did_not_arrive_may_be_repeated(kind: type, stored: bool) -> None:
    assert as_model_error(kind("?"), stored=stored).is_retryable is True


def test_every_error_of_the_foundation_has_a_kind_or_says_that_nothing_was_sent() -> None:
    for name in errors.__all__:
        kind = getattr(errors, name)
        if kind is errors.MistralAgentsError or issubclass(kind, errors.ConfigurationError):
            continue
        assert isinstance(as_model_error(kind("?"), stored=True), lc.ModelError), name


def test_a_wrong_argument_stays_a_value_error() -> None:
    error = errors.ConfigurationError("n is not supported")

    with pytest.raises(ValueError, match="n is not supported") as caught, model_errors(stored=False):
        raise error

    assert caught.value is error


def test_the_cause_is_kept_and_the_first_error_does_not_show_twice() -> None:
    cause = OSError("reset")

    with pytest.raises(lc.ModelConnectionError) as caught, model_errors(stored=True):
        raise errors.UnknownOutcomeError("broke off") from cause

    assert caught.value.__cause__ is cause
