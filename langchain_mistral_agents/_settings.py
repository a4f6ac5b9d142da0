"""The settings of `ChatMistralAgent`: fields, checks, identity, client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Literal

from langchain_core.caches import BaseCache
from langchain_core.callbacks import BaseRunManager, Callbacks
from langchain_core.language_models import ModelProfile
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.utils import secret_from_env
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)
from typing_extensions import Self, override

from langchain_mistral_agents import _serialization, _translator
from langchain_mistral_agents._remaking import Remaking
from langchain_mistral_agents._serialization import Address, Headers
from mistral_agents import MistralAgents
from mistral_agents._border.options import CLIENT_OPTIONS, COMPLETION_OPTIONS, resolve_options
from mistral_agents._border.seals import seal_options
from mistral_agents._http.concealed import drop_credentials, mask_credentials, masked
from mistral_agents.client import choose_client, share_client
from mistral_agents.options import ModelOptions, OnDivergence

_translator.add_translator()
_serialization.allow_loading()


Method = Literal["json_schema", "function_calling", "json_mode"]
"""How an answer of a given form is asked for."""
_FIELDS = {"tools": "connectors", "headers": "default_headers"}
"""Options that LangChain's users know as fields by another name."""
_CLIENT_FIELDS = frozenset(_FIELDS.get(name, name) for name in CLIENT_OPTIONS)


def check_client(cls: type[BaseModel], fields: Mapping[str, Any]) -> None:
    """Refuse settings beside a client, which has its own.

    A setting that is as without one passes: LangChain makes a model anew, with all its fields, where some are
    configurable.

    Raises:
        ConfigurationError: It names the settings.
    """
    if fields.get("client") is None:
        return
    own = {name: value for name, value in fields.items() if name in _CLIENT_FIELDS}
    unset = {name: cls.model_fields[name].get_default(call_default_factory=True) for name in own}
    choose_client(fields["client"], **{name: value for name, value in own.items() if value != unset[name]})


class ChatOptions(ModelOptions, total=False):
    """What `ChatMistralAgent` takes."""

    model: str | None
    connectors: Sequence[Any] | None
    tools: Sequence[Any] | None
    instructions: str | None
    streaming: bool
    include_response_headers: bool
    client: MistralAgents | None
    name: str | None
    cache: BaseCache | bool | None
    verbose: bool
    callbacks: Callbacks
    tags: list[str] | None
    custom_get_token_ids: Callable[[str], list[int]] | None
    rate_limiter: BaseRateLimiter | None
    disable_streaming: bool | Literal["tool_calling"]
    output_version: str | None
    profile: ModelProfile | None


class AgentSettings(Remaking, BaseChatModel):
    """What `ChatMistralAgent` is set up with; see there."""

    # The checks of forty fields are built when the first model is made, not at import. An error shows no input: the key
    # is among it.
    model_config = ConfigDict(
        populate_by_name=True, arbitrary_types_allowed=True, defer_build=True, hide_input_in_errors=True
    )

    model: str | None = None
    agent_id: str | None = None
    agent_version: int | str | None = None
    conversation_id: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    random_seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    reasoning_effort: str | None = None
    response_format: dict[str, Any] | None = None
    prediction: dict[str, Any] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    stop: list[str] | None = None
    guardrails: list[dict[str, Any]] | None = None
    timeout: float = 300.0
    max_retries: int = 2
    retry_stateless: bool = True
    api_key: SecretStr | Callable[[], Any] | None = Field(
        default_factory=secret_from_env("MISTRAL_API_KEY", default=None),
        repr=False,  # it may be set as a plain text
    )
    base_url: Address = None
    default_headers: Headers = None
    http_client: Any = Field(default=None, exclude=True, repr=False)
    async_http_client: Any = Field(default=None, exclude=True, repr=False)
    streaming: bool = False
    connectors: list[Any] = Field(default_factory=list)
    instructions: str | None = None
    store: bool = False
    completion_args: dict[str, Any] = Field(default_factory=dict)
    handoff_execution: Literal["server", "client"] | None = None
    on_divergence: OnDivergence = "restart"
    include_response_headers: bool = False
    client: MistralAgents | None = Field(default=None, exclude=True, repr=False)
    cache: Any = None

    @classmethod
    def _resolve(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that options say: under one name, None left out."""
        found = resolve_options(given, what=cls.__name__, where="constructor", others=cls.model_fields)
        if isinstance(found.get("stop"), str):
            found["stop"] = [found["stop"]]
        fields = {_FIELDS.get(name, name): value for name, value in found.items()}
        check_client(cls, fields)
        return fields

    @model_validator(mode="before")
    @classmethod
    def _resolve_names(cls, values: object) -> object:
        return cls._resolve(values) if isinstance(values, dict) else values

    @field_validator("connectors")
    @classmethod
    def _as_tools(cls, connectors: list[Any]) -> list[Any]:
        if not connectors:
            return []
        from langchain_mistral_agents._tools import as_tool

        return [as_tool(tool) for tool in connectors]

    @model_validator(mode="after")
    def _check_mode(self) -> Self:
        if (self.model is None) == (self.agent_id is None):
            raise ValueError("Give model= or agent_id=, not both and not neither: an agent brings its own model.")
        if self.store or self.conversation_id is not None:
            if self.cache is not False and self.cache is not None:
                raise ValueError(
                    "cache can't be used with store=True or conversation_id: a cached answer would never reach the "
                    "conversation."
                )
            self.cache = False
        return self

    @model_validator(mode="after")
    def _set_mistral_agents_version(self) -> Self:
        self._add_version("mistral-agents", version("mistral-agents"))
        return self

    @override
    def _remake(self) -> None:
        """LangChain keeps what it wrote of a model, by which caches know it and traces show it."""
        self.__dict__.pop("_serialized", None)

    @override
    def get_num_tokens(self, text: str) -> int:
        """Tokens of a text: by `custom_get_token_ids`, else by Mistral's tokenizer, else one for four characters.

        Mistral's tokenizer needs `mistral-common`.
        """
        from langchain_mistral_agents._counting import count_text

        return count_text(text, self.custom_get_token_ids)

    @override
    def get_num_tokens_from_messages(
        self, messages: Sequence[BaseMessage], tools: Sequence[Any] | None = None, **_: object
    ) -> int:
        """Tokens of messages, with their calls, results and images, and of tools; as `get_num_tokens`."""
        from langchain_mistral_agents._counting import count_messages
        from langchain_mistral_agents._tools import as_tool

        return count_messages(messages, [as_tool(tool) for tool in tools or ()], self.custom_get_token_ids)

    @override
    def _resolve_model_profile(self) -> ModelProfile | None:
        from langchain_mistral_agents._profiles import profile_of

        return profile_of(self.model)

    @override
    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: object) -> str:
        """The key of a cached answer: LangChain's, and the address."""
        return f"{self.mistral.base_url} {super()._get_llm_string(stop=stop, **kwargs)}"

    @property
    def _llm_type(self) -> str:
        return "mistral-agents"

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Where the secrets are found again after `load`."""
        return {"api_key": "MISTRAL_API_KEY"}

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """What `dumps` keeps beside the arguments."""
        return {"base_url": drop_credentials(self.base_url)} if self.base_url is not None else {}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """`load(dumps(model))` works."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """The name under which `dumps` writes it."""
        return ["langchain_mistral_agents", "chat_models"]

    @property
    def mistral(self) -> MistralAgents:
        """The client that this model uses; copies of the model share it."""
        if self.client is not None:
            return self.client
        return share_client(
            api_key=self.api_key,
            base_url=self.base_url,
            headers=self.default_headers,
            timeout=self.timeout,
            max_retries=self.max_retries,
            retry_stateless=self.retry_stateless,
            http_client=self.http_client,
            async_http_client=self.async_http_client,
        )

    @property
    def _completion(self) -> dict[str, Any]:
        own = {name: self.__dict__[name] for name in COMPLETION_OPTIONS if name != "stop"}
        return {**{name: value for name, value in own.items() if value is not None}, **self.completion_args}

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "agent_id": self.agent_id,
            "agent_version": self.agent_version,
            "conversation_id": self.conversation_id,
            "instructions": self.instructions,
            "store": self.store,
            **self._completion,
            "tools": [masked(tool) for tool in self.connectors],
            "stop": self.stop,
            "handoff_execution": self.handoff_execution,
            "guardrails": self.guardrails,
            "base_url": mask_credentials(self.base_url) if self.base_url is not None else None,
        }

    @override
    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: object) -> dict[str, Any]:
        """What tracers show of a call: options by their names, and all tools; credentials are hidden."""
        bound = kwargs.get("tools")
        tools = [*self.connectors, *(bound if isinstance(bound, (list, tuple)) else ())]
        params = super()._get_invocation_params(stop=stop, **seal_options(kwargs))
        return {**params, "tools": [masked(tool) for tool in tools]} if tools else params

    @override
    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        named = {name: value for name, value in kwargs.items() if value is not None}
        given = {**self._completion, **named, **named.get("completion_args", {})}
        model = given.get("model", self.model if self.agent_id is None else self.agent_id)
        params = LangSmithParams(ls_provider="mistral", ls_model_type="chat", ls_model_name=str(model))
        temperature, max_tokens = given.get("temperature"), given.get("max_tokens")
        words = given.get("stop", stop if stop is not None else self.stop)
        if temperature is not None:
            params["ls_temperature"] = temperature
        if max_tokens is not None:
            params["ls_max_tokens"] = max_tokens
        if words:
            params["ls_stop"] = [words] if isinstance(words, str) else words
        return params

    _run: BaseRunManager | None = PrivateAttr(default=None)
    """The run of one streamed call, below which its hosted tools are shown; a model of a user has none."""

    _resumes: bool = PrivateAttr(default=False)
    """Whether functions of its answers run here, so that the same words said again go on with them."""
