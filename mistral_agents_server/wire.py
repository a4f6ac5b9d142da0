"""The request bodies, as the official description gives them: unknown fields are refused.

One field more is taken than the description names: `function` on a replayed tool execution, which every real reply has.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from mistral_agents_server.errors import ApiError, fault, faults, invalid
from mistral_agents_server.strict_json import read_json
from mistral_agents_server.wire_entries import Inputs, Strict
from mistral_agents_server.wire_schemas import SchemaBody

Metadata = dict[str, Any]

_AT_ONCE_BYTES = 64 * 1024
"""A larger body is read in a thread, so that the others aren't kept waiting."""


class ToolConfiguration(Strict):
    """Which functions of a tool are offered, and which must be confirmed."""

    exclude: list[str] | None = None
    include: list[str] | None = None
    requires_confirmation: list[str] | None = None


class Function(Strict):
    """A function of the client."""

    name: str
    description: str = ""
    strict: bool = False
    parameters: SchemaBody


class FunctionTool(Strict):
    """A function that the client runs."""

    type: Literal["function"] = "function"
    function: Function


class _Hosted(Strict):
    tool_configuration: ToolConfiguration | None = None


class WebSearchTool(_Hosted):
    """Web search."""

    type: Literal["web_search"] = "web_search"


class WebSearchPremiumTool(_Hosted):
    """Web search with news agencies."""

    type: Literal["web_search_premium"] = "web_search_premium"


class CodeInterpreterTool(_Hosted):
    """Python."""

    type: Literal["code_interpreter"] = "code_interpreter"


class ImageGenerationTool(_Hosted):
    """Images."""

    type: Literal["image_generation"] = "image_generation"


class DocumentLibraryTool(_Hosted):
    """Document libraries."""

    type: Literal["document_library"] = "document_library"
    library_ids: list[str] = Field(min_length=1)


class Authorization(Strict):
    """A user's own credential for a connector."""

    type: Literal["oauth2-token", "api-key"] = "oauth2-token"
    value: str


class ConnectorTool(_Hosted):
    """A connector."""

    type: Literal["connector"] = "connector"
    connector_id: str
    authorization: Authorization | None = None


Tool = Annotated[
    FunctionTool
    | WebSearchTool
    | WebSearchPremiumTool
    | CodeInterpreterTool
    | ImageGenerationTool
    | DocumentLibraryTool
    | ConnectorTool,
    Field(discriminator="type"),
]


class JsonSchema(Strict):
    """A schema that the answer must follow."""

    name: str
    description: str | None = None
    schema_: SchemaBody = Field(alias="schema")
    strict: bool = False


class ResponseFormat(Strict):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: JsonSchema | None = None


class Prediction(Strict):
    """Text that the answer is likely to repeat."""

    type: Literal["content"] = "content"
    content: str = ""


class CompletionArgs(Strict):
    """How the model answers."""

    stop: str | list[str] | None = None
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    temperature: float | None = Field(None, ge=0, le=1)
    top_p: float | None = Field(None, ge=0, le=1)
    max_tokens: int | None = Field(None, ge=0)
    random_seed: int | None = Field(None, ge=0)
    prediction: Prediction | None = None
    response_format: ResponseFormat | None = None
    tool_choice: Literal["auto", "none", "any", "required"] = "auto"
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None


class ModerationRule(BaseModel):
    """How one moderation model is applied; the description allows further fields."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", protected_namespaces=())
    model_name: str | None = None
    custom_category_thresholds: dict[str, float | None] | None = None
    ignore_other_categories: bool = False
    action: Literal["none", "block"] = "none"


class Guardrail(BaseModel):
    """Moderation rules."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")
    block_on_error: bool = False
    moderation_llm_v1: ModerationRule | None = None
    moderation_llm_v2: ModerationRule | None = None


class StartRequest(Strict):
    """POST /v1/conversations."""

    inputs: Inputs | None = None
    stream: bool | None = None
    store: bool | None = None
    handoff_execution: Literal["client", "server"] | None = None
    instructions: str | None = None
    tools: list[Tool] | None = None
    completion_args: CompletionArgs | None = None
    guardrails: list[Guardrail] | None = None
    name: str | None = None
    description: str | None = None
    metadata: Metadata | None = None
    agent_id: str | None = None
    agent_version: int | str | None = None
    model: str | None = None


class Confirmation(Strict):
    """The answer to a pending call."""

    tool_call_id: str
    confirmation: Literal["allow", "deny"]


class AppendRequest(Strict):
    """POST /v1/conversations/{id}."""

    inputs: Inputs | None = None
    stream: bool = False
    store: bool = True
    handoff_execution: Literal["client", "server"] = "server"
    completion_args: CompletionArgs | None = None
    tool_confirmations: list[Confirmation] | None = None


class RestartRequest(Strict):
    """POST /v1/conversations/{id}/restart."""

    inputs: Inputs | None = None
    stream: bool = False
    store: bool = True
    handoff_execution: Literal["client", "server"] = "server"
    completion_args: CompletionArgs | None = None
    guardrails: list[Guardrail] | None = None
    metadata: Metadata | None = None
    from_entry_id: str
    agent_version: int | str | None = None


class AgentBody(Strict):
    """What creating and changing an agent have in common."""

    instructions: str | None = None
    tools: list[Tool] | None = None
    completion_args: CompletionArgs | None = None
    guardrails: list[Guardrail] | None = None
    description: str | None = None
    handoffs: Annotated[list[str], Field(min_length=1)] | None = None
    metadata: Metadata | None = None
    version_message: Annotated[str, Field(max_length=500)] | None = None


class CreateAgentRequest(AgentBody):
    """POST /v1/agents."""

    model: str
    name: str


class UpdateAgentRequest(AgentBody):
    """PATCH /v1/agents/{id}."""

    model: str | None = None
    name: str | None = None
    deployment_chat: bool | None = None


Body = TypeVar("Body", bound=BaseModel)


def wire(model: BaseModel) -> dict[str, Any]:
    """A checked part as it was sent: nothing added, nothing lost."""
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)


def api_error(error: ValidationError) -> ApiError:
    """A failed check as the service's 422."""
    return faults(
        [
            fault(("body", *item["loc"]), item["type"], item["msg"], item["input"])
            for item in error.errors(include_url=False)
        ]
    )


async def read_body(request: Request, kind: type[Body]) -> Body:
    """Read and check a JSON body.

    Raises:
        ApiError: 422 with one item per fault, `extra_forbidden` for a field nobody knows.
    """
    raw = await request.body()
    if len(raw) <= _AT_ONCE_BYTES:
        return _checked(raw, kind)
    return await run_in_threadpool(_checked, raw, kind)


def _checked(raw: bytes, kind: type[Body]) -> Body:
    try:
        parsed = read_json(raw)
    except ValueError as error:
        raise invalid(("body",), "json_invalid", f"JSON decode error: {error}") from error
    try:
        return kind.model_validate(parsed)
    except ValidationError as error:
        raise api_error(error) from error
