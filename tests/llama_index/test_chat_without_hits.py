"""Chat engines of an index where nothing is found: the model is asked, in every mode and form."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.llms import MockLLM

from llama_index_mistral_agents import MistralLibraryIndex
from llama_index_mistral_agents._chat import NOTHING
from tests.retrieval.service import LIBRARY, LibraryService

each_mode = pytest.mark.parametrize("mode", ["context", "condense_question", "condense_plus_context", "best"])


@pytest.fixture
def index(pumps: LibraryService) -> MistralLibraryIndex:
    return MistralLibraryIndex(LIBRARY, client=pumps.client())


@each_mode
@pytest.mark.parametrize("form", ["chat", "stream_chat", "achat", "astream_chat"])
def test_the_model_answers_where_nothing_was_found(index: MistralLibraryIndex, mode: str, form: str) -> None:
    engine = index.as_chat_engine(chat_mode=mode, llm=MockLLM())

    async def astreamed() -> tuple[str, Any]:
        async with index.client:
            found: Any = await getattr(engine, form)("Thanks a lot!")
            text = str(found) if form == "achat" else "".join([token async for token in found.async_response_gen()])
            return text, found

    if form.startswith("a"):
        text, response = asyncio.run(astreamed())
    else:
        response = getattr(engine, form)("Thanks a lot!")
        text = str(response) if form == "chat" else "".join(response.response_gen)
    assert "Thanks a lot!" in text, "MockLLM repeats what it was asked"
    assert NOTHING in text
    assert "Empty Response" not in text
    assert response.source_nodes == []


@each_mode
def test_where_something_is_found_the_model_reads_it(index: MistralLibraryIndex, mode: str) -> None:
    response = index.as_chat_engine(chat_mode=mode, llm=MockLLM()).chat("boiler water")
    assert NOTHING not in str(response)
    assert [node.metadata["file_name"] for node in response.source_nodes] == ["boiler.txt"]


def test_a_query_engine_answers_as_everywhere_in_llamaindex(index: MistralLibraryIndex) -> None:
    assert str(index.as_query_engine(llm=MockLLM()).query("submarines")) == "Empty Response"
