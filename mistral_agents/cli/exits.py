"""How a command ends: one number for each kind of end, and one text for each error."""

from __future__ import annotations

from mistral_agents._api.recovery import LOST
from mistral_agents.errors import (
    AuthenticationError,
    ConfigurationError,
    GuardrailBlockedError,
    MistralAgentsError,
    NotFoundError,
    PermissionDeniedError,
    ToolBudgetExceededError,
    UnknownOutcomeError,
)
from mistral_agents.files import FilesNotSavedError

OK, ERROR, USAGE, AUTHENTICATION, NOT_FOUND, PARTLY, UNKNOWN, BUDGET, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 7, 130
DIFFERS = 2
"""Of `agents plan --detailed-exitcode`: there is something to do."""


class NoKeyError(ConfigurationError):
    """No key was given; nothing was sent."""


class PartlyFailedError(MistralAgentsError):
    """Some of several things failed; the report says which."""


class UnsureError(MistralAgentsError):
    """A turn was sent and its answer was lost."""


_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (NoKeyError, AUTHENTICATION),
    (GuardrailBlockedError, ERROR),
    (AuthenticationError, AUTHENTICATION),
    (PermissionDeniedError, AUTHENTICATION),
    (NotFoundError, NOT_FOUND),
    (PartlyFailedError, PARTLY),
    (FilesNotSavedError, PARTLY),
    (UnknownOutcomeError, UNKNOWN),
    (UnsureError, UNKNOWN),
    (ToolBudgetExceededError, BUDGET),
    (ConfigurationError, USAGE),
)


def exit_code(error: BaseException) -> int:
    """The exit code of an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ERROR)


def as_unsure(error: MistralAgentsError) -> MistralAgentsError:
    """An error of a turn that was sent: one of a lost answer says that nobody knows whether it was applied."""
    if not isinstance(error, LOST) or isinstance(error, UnknownOutcomeError):
        return error
    found = UnsureError(str(error), conversation_id=error.conversation_id)
    found.hint = "Nobody knows whether the turn was applied: look at the conversation before you send it again."
    return found
