"""What `MistralAgentLLM` is set up with, for signatures that an editor can complete; names that a constructor takes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from pydantic import BaseModel

from mistral_agents import MistralAgents
from mistral_agents._border.options import refuse_unknown
from mistral_agents.options import ModelOptions

if TYPE_CHECKING:
    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.llms.llm import CompletionToPromptType, MessagesToPromptType
    from llama_index.core.prompts import BasePromptTemplate
    from llama_index.core.types import BaseOutputParser, PydanticProgramMode


class LLMOptions(ModelOptions, total=False):
    """What `MistralAgentLLM` takes, beside `model`."""

    tools: Sequence[Mapping[str, Any]] | None
    connectors: Sequence[Mapping[str, Any]] | None
    context_window: int
    client: MistralAgents | None
    callback_manager: CallbackManager | None
    rate_limiter: Any
    system_prompt: str | None
    messages_to_prompt: MessagesToPromptType | None
    completion_to_prompt: CompletionToPromptType | None
    output_parser: BaseOutputParser | None
    pydantic_program_mode: PydanticProgramMode
    query_wrapper_prompt: BasePromptTemplate | None


class Dumped(TypedDict, total=False):
    """What LlamaIndex may give a class beside its arguments when it makes an object of its dict."""

    class_name: str


def check_further_names(kind: type[BaseModel], given: Any) -> None:
    """Let further arguments pass that LlamaIndex gives when it makes an object of its dict: the fields of its class.

    They are taken out of the caller's dict: one that is refused may hold a credential, which no frame is to show.

    Raises:
        ConfigurationError: There is another.
    """
    passed = {*kind.model_fields, "class_name"}
    names = [*given]
    given.clear()
    for name in names:
        if name not in passed:
            own = [name for name, one in inspect.signature(kind).parameters.items() if one.kind is not one.VAR_KEYWORD]
            raise refuse_unknown(name, kind.__name__, own)
