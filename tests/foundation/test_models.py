"""Models: listed with context and end, unknown ones an error of their own in both worlds, ends told once."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from langchain_core.exceptions import ModelNotFoundError

from langchain_mistral_agents import ChatMistralAgent
from llama_index_mistral_agents import MistralAgentLLM
from mistral_agents import MistralAgents
from mistral_agents._api.model_facts import FACTS
from mistral_agents.errors import InvalidRequestError, NotFoundError, UnknownModelError
from mistral_agents.models import ModelDeprecationWarning
from mistral_agents_server.settings import LocalModel

OLD = LocalModel("old", 1000, aliases=("older",), deprecation="2026-12-01T00:00:00Z", replacement="new")


@pytest.fixture
def named(standin_factory: Any) -> MistralAgents:
    models = [OLD, LocalModel("new"), LocalModel("org/new"), LocalModel("vectors", embeds=True)]
    return MistralAgents(api_key="k", base_url=standin_factory(models=models).base_url, max_retries=0)


async def test_models_tell_context_abilities_and_end(named: MistralAgents) -> None:
    listed = named.models.list()
    assert [one.id for one in listed] == ["old", "new", "org/new", "vectors"]
    assert [one.id for one in await named.models.alist()] == [one.id for one in listed]
    old, vectors = listed[0], listed[-1]
    assert old.facts is not None
    assert (old.facts.context, old.can("function_calling"), old.can("vision")) == (1000, True, False)
    assert old.retires_at is not None
    assert (old.retires_at.year, old.replacement) == (2026, "new")
    assert (vectors.facts, vectors.retires_at, vectors.replacement) == (None, None, None)
    assert named.models.get("org/new").id == (await named.models.aget("org/new")).id == "org/new"
    await named.aclose()


async def test_an_unknown_model_is_an_error_of_its_own(named: MistralAgents) -> None:
    with pytest.raises(UnknownModelError, match="'nobody'") as caught:
        named.models.get("nobody")
    assert isinstance(caught.value, NotFoundError)
    with pytest.raises(UnknownModelError):
        await named.models.aget("nobody")
    with pytest.raises(UnknownModelError, match=r"client\.models\.list") as refused:
        named.conversations.start("q", model="nobody")
    assert isinstance(refused.value, InvalidRequestError)
    with pytest.raises(UnknownModelError):
        named.agents.create(model="nobody", name="a")
    for store in (True, False):
        with pytest.raises(ModelNotFoundError) as wing:
            ChatMistralAgent(model="nobody", client=named, store=store).invoke("q")
        assert isinstance(wing.value, UnknownModelError)
        with pytest.raises(UnknownModelError):
            MistralAgentLLM("nobody", client=named, store=store).complete("q")
    await named.aclose()


@pytest.mark.parametrize("message", ["Invalid model: nobody", "Model nobody is currently not in use"])
def test_what_the_service_says_of_an_unknown_model(make_client: Any, wire: Any, message: str) -> None:
    wire.answer((400, {"object": "error", "message": message, "type": "invalid_model", "code": "1500"}))
    with pytest.raises(UnknownModelError):
        make_client().conversations.start("q", model="nobody")
    wire.answer((400, {"object": "error", "message": "something else", "code": 3000}))
    with pytest.raises(InvalidRequestError) as other:
        make_client().conversations.start("q", model="nobody")
    assert not isinstance(other.value, UnknownModelError)


@pytest.mark.parametrize("name", ["old", "older"])
def test_an_end_is_told_once_and_only_when_it_is_known(named: MistralAgents, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        named.conversations.start("q", model=name)
        named.models.list()
        named.conversations.start("q", model="new")
    with pytest.warns(ModelDeprecationWarning, match=r"old will be retired on 2026-12-01.*use new instead"):
        named.conversations.start("q", model=name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        named.agents.create(model=name, name="a")
        named.models.get(name)


def test_reading_a_model_tells_its_end(named: MistralAgents) -> None:
    with pytest.warns(ModelDeprecationWarning, match="use new instead"):
        named.models.get("old")


def test_a_known_models_context_is_llama_indexs() -> None:
    name, facts = next(iter(FACTS.items()))
    assert MistralAgentLLM(name, api_key="k").metadata.context_window == facts.context
    assert MistralAgentLLM(name, api_key="k", context_window=5).metadata.context_window == 5
    assert MistralAgentLLM("nobody", api_key="k").metadata.context_window == 128_000
