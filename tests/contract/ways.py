"""The columns of the contract: both wings × call or stream × blocking or not × stored or stateless, in one form.

A row is a test that gets a `Way` and says what a user of either wing would say. `WAYS` are all sixteen columns.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import add
from typing import Any, Literal

import pytest

from mistral_agents import MistralAgents

MODEL = "mistral-medium-latest"


@dataclass(frozen=True)
class Way:
    """One column."""

    wing: Literal["langchain", "llama_index"]
    streamed: bool
    asynchronous: bool
    stored: bool

    def __str__(self) -> str:
        parts = [self.wing, "stream" if self.streamed else "call", "async" if self.asynchronous else "sync"]
        return " ".join([*parts, "stored" if self.stored else "stateless"])

    def model(self, client: MistralAgents, tools: Any = (), **settings: Any) -> Any:
        """A chat model of the wing."""
        settings = {"model": MODEL, "store": self.stored, "client": client, **settings}
        if self.wing == "langchain":
            from langchain_mistral_agents import ChatMistralAgent

            return ChatMistralAgent(connectors=list(tools), **settings)
        from llama_index_mistral_agents import MistralAgentLLM

        return MistralAgentLLM(tools=list(tools), **settings)

    def user(self, text: str) -> Any:
        """What a user says."""
        if self.wing == "langchain":
            from langchain_core.messages import HumanMessage

            return HumanMessage(text)
        from llama_index.core.llms import ChatMessage

        return ChatMessage(content=text)

    def assistant(self, text: str) -> Any:
        """An answer that was rebuilt from its text."""
        if self.wing == "langchain":
            from langchain_core.messages import AIMessage

            return AIMessage(text)
        from llama_index.core.llms import ChatMessage

        return ChatMessage(role="assistant", content=text)

    def calling(self, call_id: str, name: str, arguments: str) -> Any:
        """An answer of another model that calls a function, as the framework keeps it."""
        if self.wing == "langchain":
            from langchain_core.messages import AIMessage
            from langchain_core.output_parsers.openai_tools import make_invalid_tool_call, parse_tool_call

            raw = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            try:
                return AIMessage("", tool_calls=[parse_tool_call(raw, return_id=True)])
            except ValueError as error:
                return AIMessage("", invalid_tool_calls=[make_invalid_tool_call(raw, str(error))])
        from llama_index.core.llms import ChatMessage

        function = {"name": name, "arguments": arguments}
        kept = {"tool_calls": [{"id": call_id, "type": "function", "function": function}]}
        return ChatMessage(role="assistant", content="", additional_kwargs=kept)

    def result(self, call_id: str, text: str) -> Any:
        """What a function gave."""
        if self.wing == "langchain":
            from langchain_core.messages import ToolMessage

            return ToolMessage(text, tool_call_id=call_id)
        from llama_index.core.llms import ChatMessage

        return ChatMessage(role="tool", content=text, additional_kwargs={"tool_call_id": call_id})

    def ask(self, model: Any, messages: list[Any], **options: Any) -> Any:
        """The answer to messages, as the wing's message."""
        if self.asynchronous:
            return asyncio.run(self._aask(model, messages, options))
        if self.wing == "langchain":
            if not self.streamed:
                return model.invoke(messages, **options)
            return _merge(list(model.stream(messages, **options)))
        if not self.streamed:
            return model.chat(messages, **options).message
        return list(model.stream_chat(messages, **options))[-1].message

    async def _aask(self, model: Any, messages: list[Any], options: dict[str, Any]) -> Any:
        client: MistralAgents = model.client
        try:
            if self.wing == "langchain":
                if not self.streamed:
                    return await model.ainvoke(messages, **options)
                return _merge([chunk async for chunk in model.astream(messages, **options)])
            if not self.streamed:
                return (await model.achat(messages, **options)).message
            return [each async for each in await model.astream_chat(messages, **options)][-1].message
        finally:
            await client.aclose()

    def text(self, answer: Any) -> str:
        """The text of an answer."""
        return str(answer.text) if self.wing == "langchain" else str(answer.content)

    def conversation(self, answer: Any) -> str | None:
        """The conversation that an answer names."""
        facts = answer.response_metadata if self.wing == "langchain" else answer.additional_kwargs
        found = facts.get("conversation_id")
        return found if isinstance(found, str) else None


def _merge(chunks: list[Any]) -> Any:
    """What a user makes of a stream's chunks."""
    from langchain_core.messages import message_chunk_to_message

    return message_chunk_to_message(reduce(add, chunks))


WAYS = [Way(*parts) for parts in product(("langchain", "llama_index"), (False, True), (False, True), (False, True))]
each_way = pytest.mark.parametrize("way", WAYS, ids=str)
each_stored_way = pytest.mark.parametrize("way", [way for way in WAYS if way.stored], ids=str)
