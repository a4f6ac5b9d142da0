"""The model under LlamaIndex's engines: sync, async, streaming."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.chat_engine import CondensePlusContextChatEngine, CondenseQuestionChatEngine, ContextChatEngine
from llama_index.core.query_engine import CitationQueryEngine, RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from llama_index_mistral_agents import MistralAgentLLM
from tests.support.scripted import say

PASSAGE = "The inlet valve is closed before service."


class OnePassage(BaseRetriever):
    """Finds the same passage always."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(id_="n1", text=PASSAGE, metadata={"file_name": "pump.txt"}), score=1.0)]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._retrieve(query_bundle)


def from_the_passage(body: Any) -> Any:
    """Answers well only when the passage is among what the model was given."""
    given = "\n".join(str(message["content"]) for message in body["messages"])
    return say("Close the valve [1]." if PASSAGE in given else "I do not know.")


ENGINES = {
    "retriever": lambda llm, streaming: RetrieverQueryEngine.from_args(OnePassage(), llm=llm, streaming=streaming),
    "citation": lambda llm, streaming: CitationQueryEngine.from_args(
        None, llm=llm, retriever=OnePassage(), streaming=streaming
    ),
}


@pytest.mark.parametrize("name", list(ENGINES))
async def test_query_engines(llm: MistralAgentLLM, scripted: Any, name: str) -> None:
    scripted.always(from_the_passage)
    engine = ENGINES[name](llm, False)
    for response in (engine.query("Before service?"), await engine.aquery("Before service?")):
        assert str(response) == "Close the valve [1]."
        assert response.source_nodes[0].metadata["file_name"] == "pump.txt"
    streaming = ENGINES[name](llm, True)
    assert "".join(streaming.query("Before service?").response_gen) == "Close the valve [1]."
    astream = await streaming.aquery("Before service?")
    assert "".join([token async for token in astream.async_response_gen()]) == "Close the valve [1]."


def chat_engine(kind: type[Any], llm: MistralAgentLLM) -> Any:
    if kind is CondenseQuestionChatEngine:
        return kind.from_defaults(query_engine=ENGINES["retriever"](llm, True), llm=llm)
    return kind.from_defaults(retriever=OnePassage(), llm=llm)


@pytest.mark.parametrize("kind", [ContextChatEngine, CondenseQuestionChatEngine, CondensePlusContextChatEngine])
async def test_chat_engines(llm: MistralAgentLLM, scripted: Any, kind: type[Any]) -> None:
    scripted.always(from_the_passage)
    engine = chat_engine(kind, llm)
    answers = [
        "".join(engine.stream_chat("Before service?").response_gen),
        "".join([t async for t in (await engine.astream_chat("Why?")).async_response_gen()]),
    ]
    if kind is not CondenseQuestionChatEngine:
        answers += [str(engine.chat("How?")), str(await engine.achat("And then?"))]
    assert answers == ["Close the valve [1]."] * len(answers)
    assert len(engine.chat_history) == 2 * len(answers)
