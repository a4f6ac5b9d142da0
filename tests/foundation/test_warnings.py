"""Warnings point at the line of whoever called, in calls, on event loops and inside frameworks, and say what to do."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import threading
import warnings
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda, RunnableParallel
from llama_index.core.llms import ChatMessage

from langchain_mistral_agents import ChatMistralAgent
from llama_index_mistral_agents import MistralAgentLLM
from mistral_agents import Conversation, MistralAgents, translate_tools
from mistral_agents._warnings import warn_user
from mistral_agents.errors import MistralAgentsError

ROOT = Path(__file__).parents[2]
GUIDE = [{"type": "web_search", "config": {"recency_bias": True}}]
UNHEARD = {"quantum_leap": 1}


def test_nothing_of_ours_warns_by_itself() -> None:
    found = []
    for package in (
        "mistral_agents",
        "langchain_mistral_agents",
        "llama_index_mistral_agents",
        "mistral_agents_server",
    ):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                named = isinstance(node, ast.Attribute) and node.attr in ("warn", "warn_explicit")
                asked = isinstance(node, ast.ImportFrom) and node.module == "warnings"
                if asked or (named and isinstance(node.value, ast.Name) and node.value.id == "warnings"):
                    found.append(path.relative_to(ROOT).as_posix())
    assert found == ["mistral_agents/_warnings.py"]


@pytest.fixture
def model(client: MistralAgents) -> ChatMistralAgent:
    return ChatMistralAgent(model="mistral-small-latest", client=client)


def start(client: MistralAgents, **_: object) -> None:
    client.conversations.start("Hello", model="mistral-small-latest", tools=GUIDE, store=False)


def stream(client: MistralAgents, **_: object) -> None:
    with client.conversations.start_stream("Hi", model="mistral-small-latest", tools=GUIDE, store=False) as events:
        list(events)


async def astart(client: MistralAgents, **_: object) -> None:
    await client.conversations.astart("Hello", model="mistral-small-latest", tools=GUIDE, store=False)


def talk(client: MistralAgents, **_: object) -> None:
    Conversation(client, model="mistral-small-latest", tools=GUIDE).append("Hello")


def create(client: MistralAgents, **_: object) -> None:
    client.agents.delete(client.agents.create(model="mistral-small-latest", name="warned", tools=GUIDE).id)


def translate(**_: object) -> None:
    translate_tools(GUIDE)


def invoke(model: ChatMistralAgent, **_: object) -> None:
    model.invoke("Hello", completion_args=UNHEARD)


def invoke_chain(model: ChatMistralAgent, **_: object) -> None:
    (RunnableLambda(lambda text: text) | model.bind(completion_args=UNHEARD)).invoke("Hello")


def stream_chain(model: ChatMistralAgent, **_: object) -> None:
    list((RunnableLambda(lambda text: text) | model.bind(completion_args=UNHEARD)).stream("Hello"))


async def ainvoke_chain(model: ChatMistralAgent, **_: object) -> None:
    await (RunnableLambda(lambda text: text) | model.bind(completion_args=UNHEARD)).ainvoke("Hello")


def run_batch(model: ChatMistralAgent, **_: object) -> None:
    model.bind(completion_args=UNHEARD).batch(["Hello", "Hi"])


def run_parallel(model: ChatMistralAgent, **_: object) -> None:
    warned = model.bind(completion_args=UNHEARD)
    RunnableParallel(one=warned, other=warned).invoke("Hello")


async def wait_for_chain(model: ChatMistralAgent, **_: object) -> None:
    chain = RunnableLambda(lambda text: text) | model.bind(completion_args=UNHEARD)
    await asyncio.create_task(chain.ainvoke("Hello"))


def leave_out(model: ChatMistralAgent, **_: object) -> None:
    model.invoke([HumanMessage([{"type": "text", "text": "Hi"}, {"type": "thinking", "thinking": "Hm."}])])


def chat(client: MistralAgents, **_: object) -> None:
    llm = MistralAgentLLM(model="mistral-small-latest", client=client)
    llm.chat([ChatMessage("Hello")], completion_args=UNHEARD)


async def astream_chat(client: MistralAgents, **_: object) -> None:
    llm = MistralAgentLLM(model="mistral-small-latest", client=client)
    async for _piece in await llm.astream_chat([ChatMessage("Hello")], completion_args=UNHEARD):
        pass


CALLS = [start, stream, astart, talk, create, translate, invoke, invoke_chain, stream_chain, ainvoke_chain, run_batch, run_parallel, wait_for_chain, leave_out, chat, astream_chat]  # fmt: skip


async def _close_after(done: Coroutine[Any, Any, None], client: MistralAgents) -> None:
    try:
        await done
    finally:
        await client.aclose()


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_a_warning_names_the_users_line_and_what_to_do(call, client, model) -> None:
    refused = contextlib.suppress(MistralAgentsError)  # an option that the stand-in has not heard of either
    with warnings.catch_warnings(record=True) as seen, refused:
        warnings.simplefilter("always", UserWarning)
        done = call(client=client, model=model)
        if asyncio.iscoroutine(done):
            asyncio.run(_close_after(done, client))
    assert seen, "nothing was warned of"
    first, last = call.__code__.co_firstlineno, max(line for *_, line in call.__code__.co_lines() if line is not None)
    for warning in seen:
        assert warning.filename == __file__
        assert first <= warning.lineno <= last
        assert any(word in str(warning.message) for word in ("leave it out", "Leave it out")), str(warning.message)


def test_the_same_line_is_told_once_and_another_again() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        for _ in range(3):
            warn_user("mind the gap")
        warn_user("mind the gap")
    assert len(seen) == 2


def test_a_thread_that_no_line_of_the_users_leads_to_still_warns() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        thread = threading.Thread(target=warn_user, args=("from a thread",))
        thread.start()
        thread.join()
    assert [str(warning.message) for warning in seen] == ["from a thread"]
    assert seen[0].filename == threading.__file__


def test_a_filter_makes_an_error_of_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        with pytest.raises(UserWarning, match="mind"):
            warn_user("mind the gap")
