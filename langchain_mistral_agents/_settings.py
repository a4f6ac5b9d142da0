"""The settings of `ChatMistralAgent`: fields, checks, identity, client."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Literal

from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.utils import get_pydantic_field_names, secret_from_env
from langchain_core.utils.utils import _build_model_kwargs
from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator
from typing_extensions import Self, override

from langchain_mistral_agents import _serialization, _translator
from langchain_mistral_agents._plan import Fields
from langchain_mistral_agents._tools import as_tool
from mistral_agents import MistralAgents
from mistral_agents._border.continuation import OnDivergence
from mistral_agents._border.fingerprints import digest
from mistral_agents._http.clients import clean_base_url

_translator.register()
_serialization.register()


@lru_cache(maxsize=64)
def shared_client(key: Any, base_url: str, timeout: float, max_retries: int, retry_stateless: bool) -> MistralAgents:
    """One client per setting, so that copies of a model share connections."""
    api_key = key.get_secret_value() if isinstance(key, SecretStr) else key
    return MistralAgents(
        api_key=api_key,
        base_url=base_url,
        timeout=timeout,
        max_retries=max_retries,
        retry_stateless=retry_stateless,
    )


class AgentSettings(BaseChatModel):
    """What `ChatMistralAgent` is set up with; see there."""

    model_config = ConfigDict(populate_by_name=True, arbitrary_types_allowed=True)

    model: str | None = Field(default=None, alias="model_name")
    agent_id: str | None = None
    agent_version: int | str | None = None
    conversation_id: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    stop: list[str] | None = Field(default=None, alias="stop_sequences")
    timeout: float = 300.0
    max_retries: int = 2
    retry_stateless: bool = True
    api_key: SecretStr | Callable[[], Any] | None = Field(
        default_factory=secret_from_env("MISTRAL_API_KEY", default=None)
    )
    base_url: str | None = None
    streaming: bool = False
    connectors: list[Any] = Field(default_factory=list)
    instructions: str | None = None
    store: bool = False
    completion_args: dict[str, Any] = Field(default_factory=dict)
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    handoff_execution: Literal["server", "client"] | None = None
    on_divergence: OnDivergence = "restart"
    include_response_headers: bool = False
    client: MistralAgents | None = Field(default=None, exclude=True, repr=False)
    cache: Any = False

    @model_validator(mode="before")
    @classmethod
    def _gather_unknown(cls, values: Any) -> Any:
        return _build_model_kwargs(values, get_pydantic_field_names(cls)) if isinstance(values, dict) else values

    @field_validator("connectors")
    @classmethod
    def _as_tools(cls, connectors: list[Any]) -> list[Any]:
        return [as_tool(tool) for tool in connectors]

    @model_validator(mode="after")
    def _check_mode(self) -> Self:
        if (self.model is None) == (self.agent_id is None):
            raise ValueError("Give model= or agent_id=, not both and not neither: an agent brings its own model.")
        if self.store and self.cache is not False and self.cache is not None:
            raise ValueError("cache can't be used with store=True: a cached answer would never reach the conversation.")
        return self

    @model_validator(mode="after")
    def _set_mistral_agents_version(self) -> Self:
        self._add_version("mistral-agents", version("mistral-agents"))
        return self

    @override
    def get_num_tokens(self, text: str) -> int:
        """An estimate: a token for every four characters, since the service has no call that counts."""
        return -(-len(text) // 4)

    @override
    def get_num_tokens_from_messages(
        self, messages: Sequence[BaseMessage], tools: Sequence[Any] | None = None, **_: Any
    ) -> int:
        """An estimate for messages and tools, as `get_num_tokens`."""
        words = sum(self.get_num_tokens(str(message.text)) + 4 for message in messages)
        return words + sum(self.get_num_tokens(json.dumps(as_tool(tool))) for tool in tools or ())

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
        return {"base_url": self.base_url} if self.base_url is not None else {}

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
        address = clean_base_url(self.base_url)
        return shared_client(self.api_key, address, self.timeout, self.max_retries, self.retry_stateless)

    @property
    def _completion(self) -> dict[str, Any]:
        own = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        return {**{k: v for k, v in own.items() if v is not None}, **self.model_kwargs, **self.completion_args}

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "agent_id": self.agent_id,
            "agent_version": self.agent_version,
            "conversation_id": self.conversation_id,
            "instructions": self.instructions,
            "store": self.store,
            "connectors": digest(self.connectors),
            "completion_args": self._completion,
            "stop": self.stop,
            "handoff_execution": self.handoff_execution,
            "base_url": self.base_url,
        }

    @override
    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        name = kwargs.get("model", self.model if self.agent_id is None else self.agent_id)
        params = LangSmithParams(ls_provider="mistral", ls_model_type="chat", ls_model_name=str(name))
        temperature = kwargs.get("temperature", self._completion.get("temperature"))
        max_tokens = kwargs.get("max_tokens", self._completion.get("max_tokens"))
        words = stop if stop is not None else self.stop
        if temperature is not None:
            params["ls_temperature"] = temperature
        if max_tokens is not None:
            params["ls_max_tokens"] = max_tokens
        if words:
            params["ls_stop"] = words
        return params

    def _fields(self) -> Fields:
        kept = {k: v for k, v in (self.metadata or {}).items() if not k.startswith("lc_")}
        return Fields(
            model=self.model,
            agent_id=self.agent_id,
            agent_version=self.agent_version,
            conversation_id=self.conversation_id,
            instructions=self.instructions,
            connectors=self.connectors,
            completion_args=self._completion,
            stop=self.stop,
            store=self.store,
            handoff_execution=self.handoff_execution,
            metadata=kept,
            on_divergence=self.on_divergence,
            base_url=self.mistral.base_url,
            headers=self.include_response_headers,
            blocks=self.output_version == "v1",
        )
