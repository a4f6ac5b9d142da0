"""Document libraries as a LangChain retriever: the standard suite against the stand-in, and what it leaves out."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField, RunnablePassthrough
from langchain_tests.integration_tests import RetrieversIntegrationTests
from pydantic import ValidationError

from langchain_mistral_agents.retriever import MistralLibraryRetriever
from mistral_agents import MistralAgents
from mistral_agents.errors import ConfigurationError, NotFoundError
from mistral_agents.retrieval.filters import Condition, Group
from tests.retrieval.service import LIBRARY, OTHER, LibraryService
from tests.support.running import Standin

WARRANTY = "The warranty of the pump lasts five years from the day of delivery."
VALVE = "The warranty of the valve lasts two years."
SEAL = "A seal wears out; its warranty is three months."
HERON = "Herons nest in colonies near water."


class Letters(Embeddings):
    """Counts letters: real vectors without a model."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [text.lower().count(letter) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"]


@pytest.fixture
def service() -> Iterator[LibraryService]:
    running = LibraryService()
    running.add("pump.txt", WARRANTY, attributes={"team": "pumps"})
    running.add("valve.txt", VALVE)
    running.add("seal.txt", SEAL)
    running.add("birds.txt", HERON, library=OTHER)
    yield running
    running.stop()


@pytest.fixture
def client(service: LibraryService) -> Iterator[MistralAgents]:
    with service.client() as made:
        yield made


@pytest.fixture(scope="module")
def warranties(standin: Standin) -> Iterator[dict[str, Any]]:
    """A library in the stand-in; the arguments of a retriever over it."""
    with MistralAgents(api_key="test-key", base_url=standin.base_url) as client:
        library = client.libraries.create("warranties")
        for name, text in {"pump.txt": WARRANTY, "valve.txt": VALVE, "seal.txt": SEAL}.items():
            client.libraries.upload(library.id, (name, text.encode()))
        client.libraries.wait_until_ready(library.id)
        yield {"library_ids": [library.id], "api_key": "test-key", "base_url": standin.base_url}
        client.libraries.delete(library.id)


class TestStandard(RetrieversIntegrationTests):
    """The suite of langchain-tests; the library lives in the stand-in."""

    params: dict[str, Any]

    @pytest.fixture(autouse=True)
    def _use(self, warranties: dict[str, Any]) -> None:
        self.params = warranties

    @property
    def retriever_constructor(self) -> type[MistralLibraryRetriever]:
        return MistralLibraryRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return self.params

    @property
    def retriever_query_example(self) -> str:
        return "How long does the warranty last?"


def names(documents: list[Document]) -> list[str]:
    return [document.metadata["file_name"] for document in documents]


def test_a_document_tells_where_it_is_from_and_how_well_it_fits(client: MistralAgents) -> None:
    retriever = MistralLibraryRetriever(library_ids=LIBRARY, client=client)

    found = retriever.invoke("How long is the warranty of the pump?")

    assert names(found)[0] == "pump.txt"
    best = found[0]
    assert best.page_content == WARRANTY
    assert best.metadata["library_id"] == LIBRARY
    assert best.metadata["team"] == "pumps"
    assert best.metadata["start_index"] == 0
    assert best.id is not None
    scores = [document.metadata["score"] for document in found]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0
    assert retriever.invoke("How long is the warranty of the pump?") == found


async def test_the_same_without_blocking(service: LibraryService) -> None:
    async with service.client() as client:
        retriever = MistralLibraryRetriever(library_ids=LIBRARY, client=client)

        found = await retriever.ainvoke("warranty of the pump")

        assert found == retriever.invoke("warranty of the pump")
        report = await retriever.arefresh_now()
    assert report.seconds >= 0


def test_several_libraries_are_one_corpus(client: MistralAgents) -> None:
    retriever = MistralLibraryRetriever(library_ids=[LIBRARY, OTHER], client=client)

    assert names(retriever.invoke("Where do herons nest?"))[0] == "birds.txt"


def test_filters_apply_before_k_as_a_dict_or_a_tree_and_per_call(client: MistralAgents) -> None:
    plain = MistralLibraryRetriever(library_ids=LIBRARY, client=client, k=1)
    kept = MistralLibraryRetriever(library_ids=LIBRARY, client=client, k=1, filter={"file_name": "seal.txt"})
    tree = Group("not", (Condition("attr_team", "==", "pumps"),))

    assert names(plain.invoke("warranty of the pump", filter={"file_name": "valve.txt"})) == ["valve.txt"]
    assert names(plain.invoke("warranty of the pump", filter=tree)) != ["pump.txt"]
    assert names(kept.invoke("warranty of the pump")) == ["seal.txt"]


@pytest.mark.parametrize("strategy", ["vector", "hybrid"])
def test_vectors_come_from_langchain_embeddings(client: MistralAgents, strategy: Any) -> None:
    retriever = MistralLibraryRetriever(library_ids=LIBRARY, client=client, strategy=strategy, embeddings=Letters())

    assert names(retriever.invoke(WARRANTY))[0] == "pump.txt"


def test_low_scores_can_be_cut_off(client: MistralAgents) -> None:
    retriever = MistralLibraryRetriever(library_ids=LIBRARY, client=client, score_cutoff=1e6)

    assert retriever.invoke("warranty") == []


def test_a_blank_question_asks_nothing(service: LibraryService, client: MistralAgents) -> None:
    assert MistralLibraryRetriever(library_ids=LIBRARY, client=client).invoke("  ") == []
    assert service.requests == []


def test_texts_are_read_once_and_changes_when_asked(service: LibraryService, client: MistralAgents) -> None:
    retriever = MistralLibraryRetriever(library_ids=LIBRARY, client=client, refresh="on_start")
    retriever.invoke("warranty")
    asked = len(service.requests)
    service.add("hose.txt", "The warranty of the hose lasts a year.")

    assert "hose.txt" not in names(retriever.invoke("hose"))
    assert len(service.requests) == asked
    retriever.refresh_now()
    assert names(retriever.invoke("hose"))[0] == "hose.txt"


def test_a_chain_answers_from_what_was_found(service: LibraryService, client: MistralAgents, standin: Standin) -> None:
    from langchain_mistral_agents.chat_models import ChatMistralAgent

    retriever = MistralLibraryRetriever(library_ids=LIBRARY, client=client, k=2)
    prompt = ChatPromptTemplate.from_template("Passages:\n{passages}\n\nQuestion: {question}")
    model = ChatMistralAgent(model="mistral-small-latest", api_key="test-key", base_url=standin.base_url)
    join = retriever | (lambda documents: "\n".join(document.page_content for document in documents))
    chain = {"passages": join, "question": RunnablePassthrough()} | prompt | model | StrOutputParser()

    assert "five years" in chain.invoke("How long does the warranty of the pump last?")


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"library_ids": []}, "library_ids"),
        ({"library_ids": "no-uuid"}, "library_ids"),
        ({"k": 0}, "k"),
        ({"strategy": "vector"}, "embeddings"),
        ({"strategy": "magic"}, "strategy"),
        ({"refresh": "often"}, "refresh"),
        ({"filter": 7}, "filter"),
        ({"chunk_size": 10}, "chunk_size"),
        ({"base_url": "http://127.0.0.1:1"}, "client"),
    ],
)
def test_wrong_arguments_are_refused_before_any_request(
    service: LibraryService, client: MistralAgents, wrong: dict[str, Any], word: str
) -> None:
    with pytest.raises(ValidationError, match=word):
        MistralLibraryRetriever(**{"library_ids": LIBRARY, "client": client, **wrong})

    assert service.requests == []


def test_a_library_that_is_not_there(client: MistralAgents) -> None:
    retriever = MistralLibraryRetriever(library_ids="00000000-0000-4000-8000-000000000000", client=client)

    with pytest.raises(NotFoundError):
        retriever.invoke("anything")


def test_it_survives_a_pickle_and_a_deep_copy_and_hides_its_key(service: LibraryService) -> None:
    retriever = MistralLibraryRetriever(library_ids=LIBRARY, api_key="very-secret", base_url=service.url)
    found = retriever.invoke("warranty of the pump")

    assert "very-secret" not in repr(retriever)
    for twin in (pickle.loads(pickle.dumps(retriever)), copy.deepcopy(retriever)):
        assert twin.invoke("warranty of the pump") == found


@pytest.mark.parametrize(
    ("name", "way_out"),
    [("top_k", "k"), ("search_kwargs", "score_cutoff"), ("score_threshold", "score_cutoff"), ("kk", "known are")],
)
def test_names_of_other_retrievers_are_refused_and_ours_named(client: MistralAgents, name: str, way_out: str) -> None:
    wrong: dict[str, Any] = {name: 2}
    with pytest.raises(ValueError, match=rf"'{name}'.*{way_out}"):
        MistralLibraryRetriever(library_ids=LIBRARY, client=client, **wrong)
    with pytest.raises(ValueError, match=f"'{name}'"):
        MistralLibraryRetriever(library_ids=LIBRARY, client=client).invoke("warranty", **wrong)


def test_a_copy_and_a_changed_setting_search_what_they_say(service: LibraryService, client: MistralAgents) -> None:
    """A copy for another tenant's library must not find this one's passages."""
    service.add("boiler.txt", "The valve of another boiler.", library=OTHER)
    retriever = MistralLibraryRetriever(library_ids=LIBRARY, client=client)
    here = retriever.invoke("valve")
    copied = retriever.model_copy(update={"library_ids": [OTHER]})
    assert {found.metadata["library_id"] for found in copied.invoke("valve")} == {OTHER}
    texts = service.texts
    assert retriever.invoke("valve") == here
    assert retriever.model_copy(update={"k": 1}).invoke("valve") == here[:1]
    assert service.texts == texts, "what only a search needs reads nothing anew"
    with pytest.raises(ConfigurationError, match="klingon"):
        retriever.language = "klingon"
    assert retriever.language == "english"
    retriever.library_ids = [OTHER]
    assert {found.metadata["library_id"] for found in retriever.invoke("valve")} == {OTHER}


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
async def test_configurable_fields_read_the_libraries_once(
    service: LibraryService, client: MistralAgents, way: str
) -> None:
    service.add("boiler.txt", "The valve of another boiler.", library=OTHER)
    retriever = MistralLibraryRetriever(library_ids=LIBRARY, client=client)
    fields = {name: ConfigurableField(id=name) for name in ("k", "library_ids")}
    chain: Any = retriever.configurable_fields(**fields)

    async def search(**values: Any) -> list[Any]:
        config = {"configurable": values}
        return list(chain.invoke("valve", config) if way == "invoke" else await chain.ainvoke("valve", config))

    here, there = await search(), await search(library_ids=OTHER)
    texts = service.texts
    assert await search(k=1) == here[:1]
    assert await search(library_ids=OTHER, k=1) == there[:1]
    assert chain.with_config(configurable={"k": 1}).invoke("valve") == retriever.invoke("valve")[:1]
    assert {found.metadata["library_id"] for found in there} == {OTHER}
    assert service.texts == texts


def test_a_chain_with_sources_names_the_file(client: MistralAgents) -> None:
    from langchain_classic.chains import RetrievalQAWithSourcesChain
    from langchain_core.language_models import FakeListLLM

    retriever = MistralLibraryRetriever(library_ids=LIBRARY, client=client, k=1)
    answer = "Five years.\nSOURCES: pump.txt"
    chain = RetrievalQAWithSourcesChain.from_chain_type(
        FakeListLLM(responses=[answer]), chain_type="stuff", retriever=retriever, return_source_documents=True
    )
    found = chain.invoke({"question": "How long is the warranty of the pump?"})
    assert found["sources"] == "pump.txt"
    assert [document.metadata["source"] for document in found["source_documents"]] == ["pump.txt"]


@pytest.mark.parametrize("chain_type", ["stuff", "map_reduce", "refine", "map_rerank"])
def test_every_chain_with_sources_runs(client: MistralAgents, chain_type: str) -> None:
    from langchain_classic.chains.qa_with_sources import load_qa_with_sources_chain
    from langchain_core.language_models import FakeListLLM

    class Words(FakeListLLM):
        """Counts words as tokens, so that no tokenizer is needed."""

        def get_num_tokens(self, text: str) -> int:
            return len(text.split())

    documents = MistralLibraryRetriever(library_ids=LIBRARY, client=client).invoke("warranty of the pump")
    chain = load_qa_with_sources_chain(Words(responses=["Five years.\nScore: 90"] * 9), chain_type=chain_type)
    assert "Five years" in chain.invoke({"input_documents": documents, "question": "q"})["output_text"]


def test_whole_documents(client: MistralAgents) -> None:
    retriever = MistralLibraryRetriever(
        library_ids=LIBRARY, client=client, retrieval_mode="documents", chunk_size=50, chunk_overlap=0
    )
    best = retriever.invoke("How long is the warranty of the pump?")[0]
    assert (best.page_content, best.id) == (WARRANTY, best.metadata["document_id"])


def test_a_filter_on_an_unknown_field_is_said(client: MistralAgents) -> None:
    retriever = MistralLibraryRetriever(library_ids=LIBRARY, client=client)
    with pytest.warns(UserWarning, match=r"'taem'.*Known fields.*team"):
        assert retriever.invoke("warranty", filter={"taem": "pumps"}) == []


async def test_a_model_of_the_service_makes_the_vectors(service: LibraryService, client: MistralAgents) -> None:
    options: Any = {"library_ids": LIBRARY, "client": client, "strategy": "hybrid"}
    retriever = MistralLibraryRetriever(**options, embed_model="mistral-embed")
    assert retriever.invoke(VALVE, k=1)[0].page_content == VALVE
    assert (await retriever.ainvoke(VALVE, k=1))[0].page_content == VALVE
    own = MistralLibraryRetriever(**options, embeddings=Letters())
    assert [d.metadata["score"] for d in own.invoke(VALVE)] == pytest.approx(
        [d.metadata["score"] for d in retriever.invoke(VALVE)]
    )
    await client.aclose()


def test_depths_and_weights_of_words_and_vectors(service: LibraryService, client: MistralAgents) -> None:
    options: Any = {"library_ids": LIBRARY, "client": client, "strategy": "hybrid", "embeddings": Letters()}
    shallow = MistralLibraryRetriever(**options, words_top_k=1, vectors_top_k=1, words_weight=3, vectors_weight=1)
    assert len(shallow.invoke("warranty of the pump")) <= 2 < len(MistralLibraryRetriever(**options).invoke("warranty"))
    by_vectors = MistralLibraryRetriever(**options, words_weight=0)
    by_words = MistralLibraryRetriever(**options, vectors_weight=0)
    assert by_words.invoke("delivery")[0].page_content == WARRANTY
    scores = [d.metadata["score"] for d in by_vectors.invoke(SEAL)]
    assert by_vectors.invoke(SEAL)[0].page_content == SEAL
    assert all(0 < score < 1 for score in scores)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"strategy": "hybrid"}, "mistral-embed"),
        ({"strategy": "hybrid", "embed_model": "mistral-embed", "embeddings": Letters()}, "not both"),
        ({"words_weight": 2.0}, "hybrid"),
        ({"strategy": "hybrid", "embed_model": "mistral-embed", "words_top_k": 0}, "words_top_k"),
        ({"strategy": "vector", "embed_model": " "}, "model"),
    ],
)
def test_vectors_are_checked_early(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        MistralLibraryRetriever(library_ids=LIBRARY, **wrong)


@pytest.mark.parametrize("wrong", [0, -1, "3", 2.5, True])
def test_a_wrong_number_of_passages_is_refused_before_anything_is_sent(
    client: MistralAgents, service: LibraryService, wrong: Any
) -> None:
    retriever = MistralLibraryRetriever(
        library_ids=LIBRARY, client=client, strategy="vector", embed_model="mistral-embed"
    )
    with pytest.raises(ConfigurationError, match="k must be a whole number"):
        retriever.invoke("warranty", k=wrong)
    assert service.requests == []
