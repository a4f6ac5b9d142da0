"""Errors in the three shapes of the service: ``detail`` text, ``message`` with a code, and lists of faults.

The 401 body is a recorded one; the bodies with ``message`` and ``code`` and the 422 list are as users of the
service reported them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NOT_FOUND = 3000
INVALID_ARGUMENT = 3001
MODEL_NOT_IN_USE = 3003
CALLS_AND_RESULTS_DIFFER = 3230
INVALID_MODEL = "1500"
RATE_LIMITED = "1300"


class ApiError(Exception):
    """A reply that is an error.

    Args:
        status: HTTP status.
        body: the JSON body to send.
        headers: more headers of the reply.
    """

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.headers = headers if headers is not None else {}


def _coded(status: int, message: str, code: int) -> ApiError:
    return ApiError(status, {"object": "Error", "message": message, "type": "invalid_request_error", "code": code})


def fault(loc: Sequence[str | int], kind: str, msg: str, given: Any = None) -> dict[str, Any]:
    """One item of a 422 body: where (``loc``), which rule (``kind``), what to say, and the value that was sent."""
    return {"type": kind, "loc": list(loc), "msg": msg, "input": given}


def faults(items: list[dict[str, Any]]) -> ApiError:
    """A 422 with several faults."""
    return ApiError(422, {"object": "Error", "detail": items})


def invalid(loc: Sequence[str | int], kind: str, msg: str, given: Any = None) -> ApiError:
    """A 422 with one fault, such as ``invalid(("body", "tools"), "extra_forbidden", "...")``."""
    return faults([fault(loc, kind, msg, given)])


def not_found(msg: str, code: int = NOT_FOUND) -> ApiError:
    """A 404 with the service's code (3000 unless told)."""
    return _coded(404, msg, code)


def conflict(msg: str) -> ApiError:
    """A 409: what is to be made is there already."""
    return _coded(409, msg, INVALID_ARGUMENT)


def bad_request(msg: str, code: int = INVALID_ARGUMENT) -> ApiError:
    """A 400 with a code: 3001 wrong argument, 3230 calls and results differ."""
    return _coded(400, msg, code)


def model_not_in_use(name: str) -> ApiError:
    """The 400 of conversations and agents for a model that is not known or was retired, as one author notes it."""
    return bad_request(f"Model {name} is currently not in use", MODEL_NOT_IN_USE)


def invalid_model(name: str) -> ApiError:
    """The 400 of chat and embeddings for a model that is not known, as users of these report it."""
    fields = {"type": "invalid_model", "param": None, "code": INVALID_MODEL}
    return ApiError(400, {"object": "error", "message": f"Invalid model: {name}", **fields})


def server_failure(msg: str, status: int = 500) -> ApiError:
    """A 500 or 503: the service says ``invalid_request_error`` and 3000 there too."""
    return _coded(status, msg, NOT_FOUND)


def unauthorized() -> ApiError:
    """The 401 for a missing or wrong key."""
    return ApiError(401, {"detail": "Invalid API Key"})


def rate_limited(headers: dict[str, str]) -> ApiError:
    """The 429 in the only body known of the service (a chat endpoint's); ``headers`` carry what is left."""
    body = {
        "object": "error",
        "message": "Rate limit exceeded",
        "type": "rate_limited",
        "param": None,
        "code": RATE_LIMITED,
    }
    return ApiError(429, body, headers)
