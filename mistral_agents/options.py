"""The options of models and conversations as typed dicts, for signatures that an editor can complete.

What each option does, its other spellings and where it goes stand in one table, `docs/options.md`; here are its types.
An option of None counts as not given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from mistral_agents._api.turn_options import HandoffExecution, StartOptions

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = [
    "BoundOptions",
    "CallOptions",
    "ClientOptions",
    "CompletionOptions",
    "ConversationOptions",
    "ModelOptions",
    "ToolChoice",
]


ToolChoice: TypeAlias = str | bool | Mapping[str, Any]
"""`auto`, `none`, `any`, `required`, a function's name, or a choice as a dict of any provider."""
OnDivergence: TypeAlias = Literal["restart", "new", "raise"]
"""What to do where messages are no continuation of their conversation."""


class _Sampling(TypedDict, total=False):
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    max_completion_tokens: int | None
    max_output_tokens: int | None
    random_seed: int | None
    seed: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    stop: str | Sequence[str] | None
    stop_sequences: str | Sequence[str] | None
    response_format: Mapping[str, Any] | None
    prediction: Mapping[str, Any] | None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | str | None
    n: Literal[1] | None
    stream_usage: Literal[True] | None


class CompletionOptions(_Sampling, total=False):
    """How an answer is made; the service's `completion_args`, and their names elsewhere."""

    tool_choice: ToolChoice | None


class ClientOptions(TypedDict, total=False):
    """How the service is reached.

    Attributes:
        api_key: The key, or a function that returns it; else MISTRAL_API_KEY.
        base_url: Address of the service, without `/v1`; else MISTRAL_BASE_URL.
        timeout: Seconds for a whole call, retries included; of a stream, until it begins.
        max_retries: How often a request is sent again when this is safe.
        retry_stateless: Whether a turn that is not kept, with tools without effects, counts as safe.
        headers: Headers of every request.
        http_client: Your own HTTP client, of the library the SDK uses.
        async_http_client: The same for asynchronous calls.
    """

    api_key: str | SecretStr | Callable[[], Any] | None
    mistral_api_key: str | SecretStr | Callable[[], Any] | None
    base_url: str | None
    endpoint: str | None
    api_base: str | None
    server_url: str | None
    timeout: float | None
    request_timeout: float | None
    max_retries: int | None
    retry_stateless: bool | None
    headers: Mapping[str, str] | None
    default_headers: Mapping[str, str] | None
    http_client: Any
    async_http_client: Any


class _Request(TypedDict, total=False):
    parallel_tool_calls: bool | None
    model_name: str | None
    conversation_id: str | None
    store: bool | None
    handoff_execution: HandoffExecution | None
    guardrails: Sequence[Mapping[str, Any]] | None
    metadata: Mapping[str, Any] | None
    conversation_metadata: Mapping[str, Any] | None
    completion_args: Mapping[str, Any] | None
    model_kwargs: Mapping[str, Any] | None
    additional_kwargs: Mapping[str, Any] | None


class ModelOptions(CompletionOptions, _Request, ClientOptions, total=False):
    """What the models of both wings take, beside `model`."""

    agent_id: str | None
    agent_version: int | str | None
    on_divergence: OnDivergence | None


class BoundOptions(_Sampling, _Request, total=False):
    """What one call of a model takes beside its tools, in both wings."""

    model: str | None
    name: str | None
    description: str | None
    tool_confirmations: Sequence[Mapping[str, Any]] | None
    timeout: float | None
    request_timeout: float | None
    headers: Mapping[str, str] | None
    default_headers: Mapping[str, str] | None


class CallOptions(BoundOptions, total=False):
    """What one call of a model takes, in both wings."""

    tools: Sequence[Any] | None
    tool_choice: ToolChoice | None
    strict: bool | None


class ConversationOptions(StartOptions, CompletionOptions, total=False):
    """What `Conversation` takes: what `start` does, and completion options by their own names."""

    model_name: str | None
    model_kwargs: Mapping[str, Any] | None
    additional_kwargs: Mapping[str, Any] | None
    conversation_metadata: Mapping[str, Any] | None
    request_timeout: float | None
    default_headers: Mapping[str, str] | None
