"""What users of other indexes of LlamaIndex are used to: metadata, ids, half-done work, waiting, whole documents."""

from __future__ import annotations

import asyncio
import io
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Document
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.readers.base import BasePydanticReader
from llama_index.core.schema import ImageDocument, MetadataMode, TextNode
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters

from llama_index_mistral_agents import MistralLibraryIndex, MistralLibraryReader
from mistral_agents import MistralAgents
from mistral_agents.errors import ConfigurationError, InvalidRequestError, ServerFailureError
from mistral_agents.retrieval.errors import DocumentProcessingError
from tests.retrieval.service import LIBRARY, LibraryService

REPORT = Document(
    text="The pump was replaced.",
    id_="r-1",
    metadata={"year": 2025, "done": True, "tags": ["a", "b"], "page_label": "7", "file_name": "r.pdf", "none": None},
    excluded_llm_metadata_keys=["year"],
    excluded_embed_metadata_keys=["tags"],
)


@pytest.fixture
def service() -> Iterator[LibraryService]:
    running = LibraryService(knows_bytes=True)
    yield running
    running.stop()


@pytest.fixture
def index(service: LibraryService) -> MistralLibraryIndex:
    return MistralLibraryIndex(LIBRARY, client=service.client())


def made(service: LibraryService, *documents: Document, **options: Any) -> MistralLibraryIndex:
    return MistralLibraryIndex.from_documents(list(documents), client=service.client(), **options)


def texts(index: MistralLibraryIndex, query: str = "pump", **options: Any) -> list[str]:
    return sorted(node.text for node in index.as_retriever(similarity_top_k=20, **options).retrieve(query))


# --- metadata ---


def test_a_document_comes_back_as_it_was_given(service: LibraryService) -> None:
    index = made(service, REPORT)
    [found] = index.as_retriever().retrieve("pump")
    given = {key: value for key, value in REPORT.metadata.items() if value is not None}
    assert {key: found.metadata[key] for key in given} == given
    assert found.node.ref_doc_id == "r-1"
    [read] = MistralLibraryReader(index.library_id, client=index.client).load_data(["r-1"])
    assert (read.doc_id, read.text) == ("r-1", REPORT.text)
    assert {key: read.metadata[key] for key in given} == given


@pytest.mark.parametrize("mode", [MetadataMode.LLM, MetadataMode.EMBED])
def test_prompts_and_embeddings_see_what_the_user_shows_them(service: LibraryService, mode: MetadataMode) -> None:
    index = made(service, REPORT)
    [node] = [one.node for one in index.as_retriever().retrieve("pump")]
    [document] = MistralLibraryReader(index.library_id, client=index.client).load_data()
    for read in (node.get_content(mode), document.get_content(mode)):
        assert ("year" in read) == (mode is MetadataMode.EMBED)
        assert ("tags" in read) == (mode is MetadataMode.LLM)
        assert "page_label: 7" in read
        for internal in ("hash", "sync_", "ref_doc_id", "excluded", "library_id", "source"):
            assert internal not in read


def test_a_document_is_written_as_the_user_wants_it_written(service: LibraryService) -> None:
    """LlamaIndex's own guide of documents sets these three; its nodes take them over."""
    templates = {"text_template": "<{metadata_str}> {content}", "metadata_template": "{key}={value}"}
    given = Document(text="The pump.", id_="t", metadata={"year": 2025}, **templates)
    given.metadata_separator = ";"  # LlamaIndex 0.14.0 takes it by its old, misspelt name only
    index = made(service, given)
    [node] = [one.node for one in index.as_retriever().retrieve("pump")]
    [document] = MistralLibraryReader(index.library_id, client=index.client).load_data()
    for found in (node, document):
        assert found.get_content(MetadataMode.LLM) == "<file_name=t.txt;year=2025> The pump."
        assert not {"node_templates", *templates} & found.metadata.keys()
    [usual] = texts(made(service, Document(text="A pump.", id_="u")))
    assert usual == "A pump."


def test_nothing_internal_reaches_a_prompt_after_a_folder_sync(index: MistralLibraryIndex, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("pump")
    index.sync_dir(tmp_path, attributes={"team": "x"}, wait=True)
    [found] = index.as_retriever().retrieve("pump")
    assert found.get_content(MetadataMode.LLM).splitlines()[:2] == ["file_name: a.txt", "team: x"]
    assert "sync_sha256" not in found.metadata
    assert found.metadata["sync_path"] == "a.txt"


@pytest.mark.parametrize("key", ["year", "attr_year"])
def test_filters_take_the_users_names_and_those_of_0_1_0(service: LibraryService, key: str) -> None:
    index = made(service, REPORT, Document(text="The pump is old.", id_="r-2", metadata={"year": 1999}))
    filters = MetadataFilters(filters=[MetadataFilter(key=key, value=2025)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert texts(index, filters=filters) == [REPORT.text]


@pytest.mark.parametrize("value", ["true", "True"])
def test_a_filter_of_text_finds_a_bool(service: LibraryService, value: str) -> None:
    filters = MetadataFilters(filters=[MetadataFilter(key="done", value=value)])
    assert texts(made(service, REPORT), filters=filters) == [REPORT.text]


def test_a_filter_on_a_field_that_no_document_has_is_said(service: LibraryService) -> None:
    index = made(service, REPORT)
    filters = MetadataFilters(filters=[MetadataFilter(key="yaer", value=2025)])
    with pytest.warns(UserWarning, match=r"'yaer'.*Known fields.*year"):
        assert texts(index, filters=filters) == []


def test_all_that_can_not_be_kept_is_named_before_anything_is_made(service: LibraryService) -> None:
    documents = [
        Document(text="a", id_="one", metadata={"x": float("nan"), "library_id": "mine"}),
        Document(text="b", id_="two", metadata={"y": [1, "a"], "source": "s", "document_id": "d"}),
        Document(text="c", id_="three", metadata={"z": {"k": 1}, "ref_doc_id": "r"}),
        REPORT,
    ]
    before = set(service.libraries)
    with pytest.raises(ConfigurationError) as caught:
        made(service, *documents)
    for part in (
        "'one': 'x'",
        "'library_id'",
        "'two': 'y'",
        "'source'",
        "'document_id'",
        "'three': 'z'",
        "'ref_doc_id'",
    ):
        assert part in str(caught.value)
    assert "r-1" not in str(caught.value)
    assert set(service.libraries) == before
    assert service.requests == []


def test_attributes_of_files_are_checked_alike(index: MistralLibraryIndex, service: LibraryService) -> None:
    with pytest.raises(ConfigurationError, match="'source'"):
        index.upload(("a.txt", b"x"), attributes={"source": "s"})
    assert service.requests == []


def test_a_document_that_others_gave_such_a_name_is_still_told_apart(service: LibraryService) -> None:
    key = service.add("a.txt", "pump", attributes={"library_id": "mine", "source": "web", "year": 1})
    [found] = MistralLibraryIndex(LIBRARY, client=service.client()).as_retriever().retrieve("pump")
    assert (found.metadata["library_id"], found.metadata["document_id"]) == (LIBRARY, key)
    assert (found.metadata["attr_library_id"], found.metadata["attr_source"]) == ("mine", "web")


def test_a_library_of_0_1_0_is_read(service: LibraryService) -> None:
    service.add("a.txt", "pump", attributes={"year": 1, "ref_doc_id": "old", "ref_doc_hash": "h" * 64})
    index = MistralLibraryIndex(LIBRARY, client=service.client())
    [found] = index.as_retriever().retrieve("pump")
    assert (found.node.ref_doc_id, found.metadata["year"]) == ("old", 1)
    assert "ref_doc_hash" not in found.metadata
    assert index.delete_ref_doc("old") is True
    assert index.delete_ref_doc("old") is False


# --- half-done work ---


def test_what_the_service_refuses_is_left_out_and_said(service: LibraryService) -> None:
    def refuse(method: str, target: str) -> tuple[int, Any] | None:
        is_second = method == "PATCH" and service.counts()["PATCH id"] == 2
        return (422, {"detail": [{"loc": ["attributes"], "msg": "odd"}]}) if is_second else None

    service.fail = refuse
    with pytest.warns(UserWarning, match=r"'b'.*odd"):
        index = made(service, *(Document(text=f"pump {name}", id_=name) for name in "abc"))
    assert texts(index) == ["pump a", "pump c"]
    assert len(service.libraries[index.library_id]) == 2
    service.fail = None
    assert index.refresh_ref_docs([Document(text=f"pump {name}", id_=name) for name in "abc"]) == [False, True, False]


def test_what_could_not_be_processed_is_said_by_its_own_id(service: LibraryService) -> None:
    def spoil(method: str, target: str) -> None:
        for stored in service.libraries.get(target.split("/")[3] if target.count("/") > 3 else "", {}).values():
            if stored.text == "bad":
                stored.record["process_status"] = "missing_content"

    service.spoil = spoil
    with pytest.warns(UserWarning, match=r"'blank'.*missing_content"):
        index = made(service, Document(text="pump", id_="good"), Document(text="bad", id_="blank"))
    assert texts(index) == ["pump"]


def test_a_build_that_breaks_off_names_the_library_and_can_go_on(service: LibraryService) -> None:
    documents = [Document(text=f"pump {n}", id_=str(n)) for n in range(4)]
    service.fail = lambda method, _: (503, "down") if service.counts()["POST documents"] > 2 else None
    with pytest.raises(ServerFailureError) as caught:
        made(service, *documents)
    service.fail = None
    [library_id] = [key for key in service.libraries if key in str(caught.value)]
    service.clear()
    index = made(service, *documents, library_id=library_id)
    assert texts(index) == [f"pump {n}" for n in range(4)]
    assert service.counts()["POST documents"] == 2


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_an_insert_that_breaks_off_leaves_nothing_after_the_next(
    index: MistralLibraryIndex, service: LibraryService, method: str
) -> None:
    def down(used: str, _: str) -> tuple[int, Any] | None:
        return (503, "down") if used == method else None

    service.spoil = down
    with pytest.raises(ServerFailureError):
        index.insert(Document(text="pump one", id_="a"))
    service.spoil = None
    index.update_ref_doc(Document(text="pump two", id_="a"))
    assert texts(index) == ["pump two"]
    assert len(service.libraries[LIBRARY]) == 1


def test_an_insert_that_is_refused_leaves_nothing(index: MistralLibraryIndex, service: LibraryService) -> None:
    service.fail = lambda method, _: (422, {"detail": "odd"}) if method == "PATCH" else None
    with pytest.raises(InvalidRequestError):
        index.insert(Document(text="pump", id_="a"))
    assert service.libraries[LIBRARY] == {}


@pytest.mark.parametrize("name", ["transformations", "storage_context", "vector_store", "nodes", "sevice"])
@pytest.mark.parametrize("way", ["from_documents", "create"])
def test_options_that_make_no_sense_are_refused_by_name(service: LibraryService, name: str, way: str) -> None:
    client = service.client()
    calls: dict[str, Callable[[], Any]] = {
        "create": lambda: MistralLibraryIndex.create("x", client=client, **{name: []}),
        "from_documents": lambda: MistralLibraryIndex.from_documents([REPORT], client=client, **{name: []}),
    }
    with pytest.raises(ConfigurationError, match=name):
        calls[way]()
    assert service.requests == []


def test_a_picture_of_a_document_is_left_out_and_said(service: LibraryService) -> None:
    drawn = ImageDocument(text="A pump, drawn.", id_="d", image=b"\x89PNG\r\n\x1a\n" + bytes(20))
    with pytest.warns(UserWarning, match="The image of document 'd' is left out"):
        index = MistralLibraryIndex.from_documents([drawn, Document(text="pump")], client=service.client())
    assert len(index.as_retriever().retrieve("pump")) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        index.insert(ImageDocument(text="A pump, told."))


def test_nodes_are_no_documents(service: LibraryService) -> None:
    with pytest.raises(ConfigurationError, match="TextNode"):
        made(service, TextNode(text="x"))  # type: ignore[arg-type]
    assert service.requests == []


def test_an_embedding_model_and_progress_bars_are_heeded(
    service: LibraryService, capsys: pytest.CaptureFixture[str]
) -> None:
    index = made(service, REPORT, embed_model=MockEmbedding(embed_dim=4), show_progress=True)
    retriever: Any = index.as_retriever()
    _, report = retriever.retrieve_with_report("pump")
    assert report.score_kind == "fused"
    assert index.as_retriever(strategy="bm25").retrieve("pump")
    assert "Uploading" in capsys.readouterr().err


# --- waiting, uploads, whole documents ---


def test_wait_waits_and_tells_what_failed(index: MistralLibraryIndex, service: LibraryService, tmp_path: Path) -> None:
    index.upload(io.BytesIO(b"pump one"), name="a.txt", wait=True)
    index.insert(Document(text="pump two", id_="b"), wait=5)
    index.update_ref_doc(Document(text="pump three", id_="b"), wait=True)
    (tmp_path / "c.txt").write_text("pump four")
    index.sync_dir(tmp_path, wait=True)
    assert index.refresh_ref_docs([Document(text="pump five", id_="d")], wait=True) == [True]
    assert texts(index) == ["pump five", "pump four", "pump one", "pump three"]
    assert service.counts()["GET status"] == 5

    def spoil(method: str, _: str) -> None:
        for stored in service.libraries[LIBRARY].values():
            if "bad" in stored.text:
                stored.record["process_status"] = "error"

    service.spoil = spoil
    with pytest.raises(DocumentProcessingError, match=r"bad\.txt"):
        index.upload(("bad.txt", b"bad"), wait=True)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "d.txt").write_text("bad in a folder")
    with pytest.raises(DocumentProcessingError, match=r": sub/d\.txt \(error\)"):
        index.sync_dir(tmp_path, wait=True)
    with pytest.raises(DocumentProcessingError, match=r": no 7 \(error\)"):
        index.insert(Document(text="bad too", id_="no 7"), wait=True)
    with pytest.raises(DocumentProcessingError, match=r"bad\.txt \(error\)"):
        index.wait_until_ready(
            [key for key, one in index.ref_doc_info.items() if one.metadata["file_name"] == "bad.txt"],
            raise_on_error=True,
        )
    for wrong in (0, -1):
        with pytest.raises(ConfigurationError, match="wait"):
            index.upload(("x.txt", b"x"), wait=wrong)


def test_whole_documents_are_found_each_once(service: LibraryService) -> None:
    long = "\n\n".join(f"Paragraph {n} speaks of the pump." for n in range(200))
    index = made(service, Document(text=long, id_="long"), Document(text="A pump.", id_="short"))
    retriever = index.as_retriever(retrieval_mode="documents", similarity_top_k=2)
    found = retriever.retrieve("pump")
    assert sorted(node.text for node in found) == ["A pump.", long]
    assert {node.node.ref_doc_id for node in found} == {"long", "short"}
    assert len({node.node_id for node in found}) == 2
    assert len(index.as_retriever(retrieval_mode="documents", similarity_top_k=1).retrieve("pump")) == 1
    for wrong in ({"retrieval_mode": "files"}, {"retrieval_mode": "documents", "mode": "conversation"}):
        with pytest.raises(ConfigurationError, match="retrieval_mode"):
            index.as_retriever(**wrong)


def test_the_reader_is_one_of_llamaindexs_pydantic_readers(service: LibraryService) -> None:
    service.add("a.txt", "pump")
    reader = MistralLibraryReader(LIBRARY, api_key="secret-key", base_url=service.url)
    assert isinstance(reader, BasePydanticReader)
    assert "secret-key" not in reader.to_json() + repr(reader)
    known = json.loads(reader.to_json())
    assert (known["class_name"], known["library_id"], known["is_remote"]) == ("MistralLibraryReader", LIBRARY, True)
    again = MistralLibraryReader.from_dict(known, api_key="other-key")
    assert [document.text for document in again.load_data()] == ["pump"]
    with pytest.raises(ConfigurationError, match="did you mean api_key"):
        MistralLibraryReader(LIBRARY, api_kye="secret-key")
    from llama_index.core.readers.base import ReaderConfig

    config = ReaderConfig(reader=reader)
    assert [document.text for document in config.read()] == ["pump"]
    assert len(IngestionPipeline(readers=[config], transformations=[]).run()) == 1


async def _build(service: LibraryService) -> tuple[list[str], list[bool], bool]:
    client: MistralAgents = service.client()
    async with client:
        made: Any = await MistralLibraryIndex.acreate("empty", client=client)
        index = await MistralLibraryIndex.afrom_documents([REPORT], client=client, library_id=made.library_id)
        await index.ainsert(Document(text="pump", id_="p"), wait=True)
        sent = await index.arefresh_ref_docs([REPORT, Document(text="new pump", id_="n")], wait=True)
        gone = await index.adelete_ref_doc("p")
        found = await index.as_retriever().aretrieve("pump")
        return sorted(node.text for node in found), sent, gone


def test_the_asynchronous_twins(service: LibraryService) -> None:
    assert asyncio.run(_build(service)) == ([REPORT.text, "new pump"], [False, True], True)


def test_every_retriever_and_engine_of_the_index_sees_its_writes(index: MistralLibraryIndex) -> None:
    topic = {"topic": "pump"}  # by which a lazy search finds documents
    index.insert(Document(text="pump one", id_="a", metadata=topic))
    kinds: list[dict[str, Any]] = [{}, {"refresh": "on_start"}, {"chunk_size": 300}, {"lazy_top_documents": 5}]
    retrievers = [index.as_retriever(similarity_top_k=9, **options) for options in kinds]

    def found() -> list[list[str]]:
        return [sorted(node.text for node in retriever.retrieve("pump")) for retriever in retrievers]

    assert found() == [["pump one"]] * 4
    index.insert(Document(text="pump two", id_="b", metadata=topic))
    assert found() == [["pump one", "pump two"]] * 4
    index.update_ref_doc(Document(text="pump three", id_="b", metadata=topic))
    index.delete_ref_doc("a")
    assert found() == [["pump three"]] * 4


def test_half_a_character_in_an_id_is_refused(service: LibraryService) -> None:
    with pytest.raises(ConfigurationError, match="half a character"):
        made(service, Document(text="pump", id_="\ud800"))


@pytest.mark.parametrize(
    ("given", "named"),
    [({"similarity_top_k": 0}, "similarity_top_k"), ({"filters": {"year": 2025}}, "filters must be MetadataFilters")],
)
def test_a_wrong_argument_of_a_retriever_is_called_as_it_was_given(
    index: MistralLibraryIndex, given: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        index.as_retriever(**given)


def test_a_document_with_half_a_character_is_sent_mended(service: LibraryService) -> None:
    broken = Document(text="The pump \ud83d runs.", id_="half")
    index = made(service, broken)
    assert texts(index) == ["The pump \ufffd runs."]
    assert index.refresh_ref_docs([broken]) == [False]
    assert index.refresh_ref_docs([Document(text="The pump \ud83d stands.", id_="half")]) == [True]


# --- one id twice ---


@pytest.mark.parametrize("known", [True, False])
def test_of_documents_with_one_id_the_last_counts_and_it_is_said(service: LibraryService, known: bool) -> None:
    twice = [Document(text="The old pump.", id_="a"), Document(text="A filter.", id_="b")]
    twice += [Document(text="The new pump.", id_="a"), Document(text="A filter.", id_="b")]
    with pytest.warns(UserWarning, match="the same id \\('a'\\)"):
        index = made(service, *twice, **({"library_id": LIBRARY} if known else {}))
    assert texts(index) == ["The new pump."]
    assert len(list(index.client.libraries.documents(index.library_id))) == 2
    for _ in range(2):
        with pytest.warns(UserWarning, match="an id of its own"):
            assert index.refresh_ref_docs(twice) == [False] * 4
    with pytest.warns(UserWarning, match="an id of its own"):
        assert index.refresh_ref_docs(twice[::-1]) == [False, False, False, True]
    assert texts(index) == ["The old pump."]


def test_one_document_given_twice_is_sent_once(service: LibraryService) -> None:
    twice = [Document(text="The pump.", id_="a")] * 2
    index = made(service)
    assert index.refresh_ref_docs(twice) == [False, True]
    assert index.refresh_ref_docs(twice) == [False, False]


@pytest.mark.parametrize("wrong", [None, Document(text="one"), "text", 5])
def test_what_is_no_list_of_documents_is_refused(
    index: MistralLibraryIndex, service: LibraryService, wrong: Any
) -> None:
    for call in (index.refresh_ref_docs, MistralLibraryIndex.from_documents):
        with pytest.raises(ConfigurationError, match="documents must be a list"):
            call(wrong)
    assert service.requests == []


@pytest.mark.parametrize("wait", [-1, 0, "yes", None, float("nan")])
def test_a_wait_that_is_none_is_refused_before_anything_is_sent(
    index: MistralLibraryIndex, service: LibraryService, tmp_path: Path, wait: Any
) -> None:
    (tmp_path / "a.txt").write_text("one")
    document = Document(text="one", id_="a")
    for call in (
        lambda: index.insert(document, wait=wait),
        lambda: index.update_ref_doc(document, wait=wait),
        lambda: index.refresh_ref_docs([document], wait=wait),
        lambda: index.upload(("a.txt", b"one"), wait=wait),
        lambda: asyncio.run(index.aupload(("a.txt", b"one"), wait=wait)),
        lambda: index.sync_dir(tmp_path, wait=wait),
    ):
        with pytest.raises(ConfigurationError, match="wait must be"):
            call()
    assert service.requests == []


@pytest.mark.parametrize("wrong", [{"timeout": "5"}, {"timeout": -1}, {"name": None}, {"name": " "}])
def test_no_library_is_made_for_a_wrong_argument(service: LibraryService, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(wrong))} must"):
        made(service, Document(text="one"), **wrong)
    assert service.requests == []


@pytest.mark.parametrize(("suffix", "end"), [("", ".txt"), (".MD", ".MD"), (".txt", ".txt"), (".pdf", ".txt")])
def test_a_file_has_a_short_name_however_long_the_id_is(service: LibraryService, suffix: str, end: str) -> None:
    """Readers of pages take whole addresses for ids."""
    long = f"https://example.org/?{'x' * 9000}{suffix}"
    index = made(service, Document(text="pump", id_=long), Document(text="pump", id_=f"pump{suffix}"))
    assert sorted(found.node.ref_doc_id for found in index.as_retriever().retrieve("pump")) == [long, f"pump{suffix}"]
    names = sorted((one["name"] for one in index.client.libraries.documents(index.library_id)), key=len)
    assert names[0] == (f"pump{suffix}" if suffix == end else f"pump{suffix}{end}")
    assert len(names[1]) < 255
    assert names[1].endswith(end)
    assert index.delete_ref_doc(long)


def test_a_document_is_deleted_by_a_text(index: MistralLibraryIndex, service: LibraryService) -> None:
    with pytest.raises(ConfigurationError, match="text of its id"):
        index.delete_ref_doc(None)  # type: ignore[arg-type]
    assert service.requests == []
