"""The foundation's errors as LangChain's kinds, so that retry and fallback middleware understands them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)

from mistral_agents import errors
from mistral_agents.errors import DivergenceError, LateConfirmationError

__all__ = [
    "AgentAuthenticationError",
    "AgentBudgetError",
    "AgentConflictError",
    "AgentConnectionError",
    "AgentContextError",
    "AgentGuardrailError",
    "AgentInvalidRequestError",
    "AgentNotFoundError",
    "AgentPendingCallsError",
    "AgentPermissionError",
    "AgentRateLimitError",
    "AgentRedirectError",
    "AgentResponseError",
    "AgentServerError",
    "AgentStreamError",
    "AgentTimeoutError",
    "AgentTurnError",
    "AgentUnknownModelError",
    "AgentUnknownOutcomeError",
    "DivergenceError",
    "LateConfirmationError",
    "as_model_error",
    "model_errors",
]


class AgentAuthenticationError(errors.AuthenticationError, ModelAuthenticationError):
    """The key is missing or wrong (401)."""


class AgentPermissionError(errors.PermissionDeniedError, ModelPermissionDeniedError):
    """The key may not do this (403)."""


class AgentGuardrailError(errors.GuardrailBlockedError, ModelPermissionDeniedError):
    """A guardrail blocked the input or the answer; `.violations` says which."""


class AgentNotFoundError(errors.NotFoundError, ModelNotFoundError):
    """There is no such conversation, agent or model, or this key can't see it (404)."""


class AgentUnknownModelError(errors.UnknownModelError, ModelNotFoundError):
    """There is no model of that name, or it was retired (400 or 404)."""


class AgentConflictError(errors.ConflictError, ModelInvalidRequestError):
    """The thing is not in a state that allows this (409)."""


class AgentRateLimitError(errors.RateLimitedError, ModelRateLimitError):
    """A quota is used up (429)."""


class AgentInvalidRequestError(errors.InvalidRequestError, ModelInvalidRequestError):
    """The service refused the request (400 or 422)."""


class AgentPendingCallsError(errors.PendingCallsError, ModelInvalidRequestError):
    """Calls wait for results or confirmations; `.call_ids` names them."""


class AgentContextError(errors.ContextWindowExceededError, ContextOverflowError):
    """The conversation no longer fits the context window."""


class AgentServerError(errors.ServerFailureError, ModelAPIError):
    """The service failed (5xx)."""


class AgentTurnError(errors.TurnFailedError, ModelAPIError):
    """The service reported an error inside the stream."""


class AgentResponseError(errors.ResponseFormatError, ModelAPIError):
    """The reply was no JSON object."""


class AgentMissingFieldError(errors.MissingFieldError, ModelAPIError):
    """A record of the service lacks a field that is read."""


class AgentRedirectError(errors.RedirectRefusedError, ModelInvalidRequestError):
    """The address sent the request elsewhere; it was not followed."""


class AgentConnectionError(errors.ConnectionFailedError, ModelConnectionError):
    """No connection could be made; nothing arrived."""


class AgentUnknownOutcomeError(errors.UnknownOutcomeError, ModelConnectionError):
    """The turn may or may not have been applied."""


class AgentStreamError(errors.StreamInterruptedError, ModelConnectionError):
    """The stream ended before the answer did; `.turn` holds what had arrived."""


class AgentTimeoutError(errors.TimeoutExceededError, ModelTimeoutError):
    """No answer in time."""


class AgentBudgetError(errors.ToolBudgetExceededError, ModelError):
    """A limit on tool runs was passed; `.turn` holds what had arrived."""


_KINDS: dict[type[errors.MistralAgentsError], type[errors.MistralAgentsError]] = {
    kind.__bases__[0]: kind
    for kind in (
        AgentAuthenticationError,
        AgentPermissionError,
        AgentGuardrailError,
        AgentNotFoundError,
        AgentUnknownModelError,
        AgentConflictError,
        AgentRedirectError,
        AgentRateLimitError,
        AgentInvalidRequestError,
        AgentPendingCallsError,
        AgentContextError,
        AgentServerError,
        AgentTurnError,
        AgentResponseError,
        AgentMissingFieldError,
        AgentConnectionError,
        AgentUnknownOutcomeError,
        AgentStreamError,
        AgentTimeoutError,
        AgentBudgetError,
    )
}


def as_model_error(error: errors.MistralAgentsError, *, stored: bool = False) -> errors.MistralAgentsError:
    """The same error, also of LangChain's kind.

    Args:
        error: What the foundation raised.
        stored: Whether the turn was to be kept by the service. Then `is_retryable` is true only where a second try
            can't apply the turn twice; else it is what LangChain says of the kind.
    """
    kind = _KINDS.get(type(error))
    if kind is None:
        return error
    made = kind.__new__(kind)
    Exception.__init__(made, error.message)
    made.__dict__.update(error.__dict__)
    if stored:
        made.__dict__["is_retryable"] = error.retryable
    return made


@contextmanager
def model_errors(*, stored: bool = False) -> Iterator[None]:
    """Raise the foundation's errors as LangChain's kinds."""
    try:
        yield
    except errors.MistralAgentsError as error:
        made = as_model_error(error, stored=stored)
        if made is error:
            raise
        raise made from error.__cause__
