"""Models of the service: what each takes, what it can do, and when it goes."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from mistral_agents._api.model_facts import ModelFacts, facts_of_card
from mistral_agents._api.planner import ModelDeprecationWarning, ModelNotes
from mistral_agents._api.records import Record, Records, as_record, rows_of
from mistral_agents._http.calls import Call, Operation, check_id
from mistral_agents._http.replies import Reply
from mistral_agents._http.transport import Transport
from mistral_agents._turn.content import parse_time
from mistral_agents.errors import NotFoundError, UnknownModelError

__all__ = ["ModelDeprecationWarning", "ModelInfo", "Models"]


class ModelInfo(Record):
    """A model; `created` is in seconds since 1970, `max_context_length` in tokens."""

    id: str
    name: str | None
    description: str | None
    aliases: list[str] | None
    capabilities: dict[str, bool] | None
    max_context_length: int | None
    default_model_temperature: float | None
    deprecation: str | None
    deprecation_replacement_model: str | None
    type: str | None
    owned_by: str | None
    created: int | None
    job: str | None
    root: str | None
    archived: bool | None
    object: str | None

    @property
    def facts(self) -> ModelFacts | None:
        """Context and abilities; None where the service tells no context, or the model does not chat."""
        return facts_of_card(self)

    @property
    def retires_at(self) -> datetime | None:
        """When the model goes; None where no end is known."""
        end = self.get("deprecation")
        return parse_time(end) if isinstance(end, str) else None

    @property
    def replacement(self) -> str | None:
        """The model that the service recommends instead."""
        other = self.get("deprecation_replacement_model")
        return other if isinstance(other, str) and other else None

    def can(self, capability: str) -> bool:
        """Whether the model has a capability by the service's name (`vision`, `function_calling`, `reasoning`)."""
        known = self.get("capabilities")
        return isinstance(known, dict) and known.get(capability) is True


def _list_models() -> Call:
    return Call("Listing models", "GET", "/v1/models", Operation("list_models_v1_models_get", "models"))


def _get_model(model: str) -> Call:
    # A slash is part of the names of fine-tuned models and of other endpoints' models, and stays one.
    path = "/v1/models/" + quote(check_id("model", model), safe="/:")
    return Call(
        f"Reading the model {model}", "GET", path, Operation("retrieve_model_v1_models__model_id__get", "models")
    )


def _explain_unknown(model: str, error: NotFoundError) -> UnknownModelError:
    return UnknownModelError(
        f"There is no model {model!r} that this key can use.",
        status_code=error.status_code,
        code=error.code,
        request_id=error.request_id,
        body=error.body,
        response=error.response,
        hint="Ask client.models.list() which models there are.",
    )


class Models:
    """Models of the service. Every method has an asynchronous twin with the prefix `a`.

    What was read here is remembered by the client: a turn or an agent with a model that has an end warns of it once,
    with a `ModelDeprecationWarning`. Nothing is asked for in the background.

    Raises:
        MistralAgentsError: The service or the connection failed; see `mistral_agents.errors`.
    """

    def __init__(self, transport: Transport, notes: ModelNotes) -> None:
        self._transport = transport
        self._notes = notes

    def _take(self, data: object) -> ModelInfo:
        info = as_record(ModelInfo, data)
        self._notes.keep(info)
        return info

    def _take_all(self, reply: Reply) -> Records[ModelInfo]:
        return Records(self._take(row) for row in rows_of(reply.json(), "data"))

    def list(self) -> Records[ModelInfo]:
        """All models that this key can use."""
        return self._take_all(self._transport.send(_list_models()))

    async def alist(self) -> Records[ModelInfo]:
        """As `list`, without blocking."""
        return self._take_all(await self._transport.asend(_list_models()))

    def get(self, model: str) -> ModelInfo:
        """Read a model, by its id or an alias.

        Raises:
            UnknownModelError: There is none of that name.

        Warns:
            ModelDeprecationWarning: It will be retired; once per client.
        """
        try:
            found = self._take(self._transport.send(_get_model(model)).json())
        except NotFoundError as error:
            raise _explain_unknown(model, error) from error
        self._notes.warn_of(found.get("id"))
        return found

    async def aget(self, model: str) -> ModelInfo:
        """As `get`, without blocking."""
        try:
            found = self._take((await self._transport.asend(_get_model(model))).json())
        except NotFoundError as error:
            raise _explain_unknown(model, error) from error
        self._notes.warn_of(found.get("id"))
        return found
