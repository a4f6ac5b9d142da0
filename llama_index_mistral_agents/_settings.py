"""What `MistralAgentLLM` is set up with, for signatures that an editor can complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mistral_agents import MistralAgents
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
