"""What the log says of requests: ids and figures, never what was asked or answered.

The logger is `mistral_agents.requests`. A request that was answered and a stream that ended are noted at DEBUG, what
failed at INFO: the caller gets the error and decides how loud it is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from mistral_agents._json import JsonDict
from mistral_agents.errors import MistralAgentsError

_log = logging.getLogger("mistral_agents.requests")


class RequestRecord:
    """Times one request, or one stream from its first byte, and notes how it ended, once.

    Args:
        method: The HTTP method.
        path: The path, without the query; it holds ids, where error messages may hold the name of a file.
    """

    __slots__ = ("_began", "_noted", "_where")

    def __init__(self, method: str, path: str) -> None:
        self._where = f"{method} {path}"
        self._began = time.monotonic()
        self._noted = False

    def note_reply(self, response: Any, reply: JsonDict | None = None) -> None:
        """The service answered well; of a turn the reply's conversation and usage are told too."""
        if not _log.isEnabledFor(logging.DEBUG):
            return
        request_id = response.headers.get("mistral-correlation-id")
        self._note(logging.DEBUG, f"status {response.status_code}", request=request_id, **_figures(reply))

    def note_failure(self, error: MistralAgentsError) -> None:
        """It failed, at the service or on the way."""
        facts = {"status": error.status_code, "code": error.code, "request": error.request_id}
        self._note(logging.INFO, type(error).__name__, **facts, conversation=error.conversation_id)

    def note_stream_end(self, error: BaseException | None, reply: Callable[[], JsonDict], *, done: bool) -> None:
        """A stream ended: to its end, left by its reader, or by a failure; `reply` gives what it added up to."""
        level = logging.INFO if isinstance(error, Exception) else logging.DEBUG
        if self._noted or not _log.isEnabledFor(level):
            return
        outcome = type(error).__name__ if error is not None else "stream read to its end" if done else "stream left"
        self._note(level, outcome, **_figures(reply()))

    def _note(self, level: int, outcome: str, **facts: object) -> None:
        if self._noted or not _log.isEnabledFor(level):
            return
        self._noted = True
        told = "".join(f", {name} {value}" for name, value in facts.items() if value is not None)
        seconds = time.monotonic() - self._began
        _log.log(level, "%s: %s after %.3f s%s.", self._where, outcome, seconds, told)


def _figures(reply: JsonDict | None) -> JsonDict:
    if reply is None:
        return {}
    usage = reply.get("usage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    conversation = reply.get("conversation_id")
    return {
        "conversation": conversation if isinstance(conversation, str) else None,
        "tokens": total if isinstance(total, int) else None,
    }
