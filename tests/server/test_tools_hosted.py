"""The hosted tools through their door: schemas, results in the service's shapes, failures."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from PIL import Image

from mistral_agents_server.db import Database
from mistral_agents_server.documents import Documents
from mistral_agents_server.libraries import LibraryStore
from mistral_agents_server.tools.code import _files
from mistral_agents_server.tools.image import draw
from mistral_agents_server.tools.limited.job import Report
from mistral_agents_server.tools.limited.runner import LimitedRunner
from mistral_agents_server.tools.toolbox import Toolbox
from mistral_agents_server.tools.web import WebSearch, read_page

CODE = [{"type": "code_interpreter"}]
IMAGE = [{"type": "image_generation"}]
WEB = [{"type": "web_search"}]
PREMIUM = [{"type": "web_search_premium"}]


@pytest.fixture
def libraries(tmp_path: Path):
    database = Database(tmp_path / "db")
    store = LibraryStore(database, Documents(database, tmp_path / "documents"))
    yield store
    store.documents.close()


@pytest.fixture
def box(libraries: LibraryStore) -> Toolbox:
    return Toolbox(libraries, lambda file_id: f"http://here/{file_id}", runner=LimitedRunner())


def add(store: LibraryStore, owner: dict, name: str, text: str) -> dict:
    document, _ = store.documents.upload(owner, name, text.encode())
    for _ in range(100_000):
        found = store.documents.get(owner["id"], document["id"])
        if found["process_status"] != "in_progress":
            return found
    raise AssertionError("the document is never ready")


@pytest.fixture
def shelf(libraries: LibraryStore):
    """A library with two documents, the second of two pages."""
    owner = libraries.create("Rivers", None, 256, "Workspace")
    otter = add(libraries, owner, "otters.txt", "Otters & herons live by rivers. They're shy.")
    plant = add(libraries, owner, "plants.txt", "Reeds grow in water.\fWillows grow on the bank of rivers.")
    return owner, otter, plant, [{"type": "document_library", "library_ids": [owner["id"]]}]


# --- what is offered


def names(box: Toolbox, tools: list) -> list[str]:
    return [schema["function"]["name"] for schema in box.schemas(tools)]


def test_functions_of_each_tool(box: Toolbox) -> None:
    library = [{"type": "document_library", "library_ids": ["x"]}]
    assert names(box, CODE) == ["code_interpreter"]
    assert names(box, WEB) == ["web_search", "open_url"]
    assert names(box, PREMIUM) == ["web_search", "news_search", "open_url"]
    assert names(box, IMAGE) == ["generate_image"]
    assert names(box, library) == ["library_search", "library_list_documents", "open_library_result"]
    assert names(box, [{"type": "function", "function": {}}, {"type": "connector"}]) == []


def test_schemas_are_plain_json_schemas(box: Toolbox) -> None:
    (schema,) = box.schemas(CODE)
    parameters = schema["function"]["parameters"]
    assert parameters["required"] == ["code"]
    assert parameters["properties"]["code"]["type"] == "string"
    assert "title" not in json.dumps(parameters)


def test_names_of_runs_are_those_of_the_service(box: Toolbox) -> None:
    library = [{"type": "document_library", "library_ids": ["x"]}]
    seen = {
        "code_interpreter": (CODE, "code_interpreter"),
        "open_url": (WEB, "web_search"),
        "generate_image": (IMAGE, "image_generation"),
        "library_search": (library, "document_library"),
        "library_list_documents": (library, "library_list_documents"),
        "open_library_result": (library, "open_library_result"),
    }
    for function, (tools, name) in seen.items():
        assert box.wire_name(function, tools) == name
    with pytest.raises(KeyError):
        box.wire_name("library_search", WEB)


# --- code


def test_code_in_the_services_shape(box: Toolbox) -> None:
    code = "# Calculate\nresult = 21 * 2\nresult"
    result = box.run("code_interpreter", {"code": code}, CODE)
    assert result.info == {"result": [{"type": "text", "text": "42\n"}], "code": code, "code_output": "42\n"}
    assert (result.connector, result.files) == ("code_interpreter", [])


def test_code_that_fails_says_so_in_the_services_words(box: Toolbox) -> None:
    result = box.run("code_interpreter", {"code": "print('before')\n1/0"}, CODE)
    assert result.info["result"].startswith("Error executing tool code_interpreter: before\nTraceback")
    assert result.info["result"].endswith("ZeroDivisionError: division by zero")
    assert result.connector == "code_interpreter"
    assert result.tokens > 0


def test_the_model_is_told_which_libraries_there_are(libraries: LibraryStore, monkeypatch) -> None:
    def told() -> str:
        return Toolbox(libraries, str).schemas(CODE)[0]["function"]["description"]

    assert "numpy, pandas, matplotlib." in told()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "numpy, pandas." in told()


def test_a_plot_is_a_file(box: Toolbox) -> None:
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()"
    result = box.run("code_interpreter", {"code": code}, CODE)
    (file,) = result.files
    assert (file.name, file.type) == ("plot_0.png", "png")
    assert Image.open(io.BytesIO(file.data)).size[0] > 100


def test_links_are_named_and_not_given_back(box: Toolbox) -> None:
    code = "import os; os.symlink('/etc/passwd', 'a.txt'); print('made')"
    result = box.run("code_interpreter", {"code": code}, CODE)
    assert result.files == []
    assert result.info["code_output"].startswith("made\n['a.txt' is not given back")


def test_names_of_made_files_can_not_climb() -> None:
    report = Report(
        files=[("../../x.csv", b"1"), ("sub/x.csv", b"2"), ("a\\b\n.PNG", b"3"), ("noext", b"\x89PNG\r\n\x1a\n")]
    )
    made = _files(report)
    assert [file.name for file in made] == ["x.csv", "x_1.csv", "b.PNG", "noext"]
    assert [file.type for file in made] == ["csv", "csv", "png", "png"]
    assert len({file.file_id for file in made}) == 4


@pytest.mark.parametrize("arguments", [{}, {"code": 3}, {"cod": "1"}])
def test_wrong_arguments_are_a_failed_run(box: Toolbox, arguments: dict) -> None:
    result = box.run("code_interpreter", arguments, CODE)
    assert result.info["result"].startswith(
        "Error executing tool code_interpreter: 1 validation error for call[code_interpreter]\ncode\n"
    )


def test_code_is_off_where_it_is_not_allowed(libraries: LibraryStore) -> None:
    box = Toolbox(libraries, str)
    result = box.run("code_interpreter", {"code": "1"}, CODE)
    assert result.info["result"].startswith("Error executing tool code_interpreter: code is not allowed")
    assert box.code_description.startswith("off")


# --- document library


def test_library_search_in_the_services_shape(box: Toolbox, shelf) -> None:
    owner, otter, _, tools = shelf
    result = box.run("library_search", {"query": "shy herons"}, tools)
    ((key, found),) = json.loads(result.info["result"]).items()
    assert len(key) == 8
    assert key.isalnum()
    description = "Otters &amp; herons live by rivers. They&#x27;re shy."
    assert found == {
        "url": otter["id"],
        "title": "otters.txt",
        "description": description,
        "snippets": ["Otters & herons live by rivers. They're shy.", description, "otters.txt"],
        "date": None,
        "rank": 0,
        "source": "library_search",
        "metadata": {
            "relevant_pages": [0],
            "relevant_snippet_positions_in_text": "0",
            "library_id": owner["id"],
            "library_name": "Rivers",
        },
        "can_open": True,
    }
    assert (result.connector, result.references) == ("document_library", [])


def test_library_search_ranks_and_knows_pages(box: Toolbox, shelf) -> None:
    _, _, plant, tools = shelf
    found = list(json.loads(box.run("library_search", {"query": "willow bank river"}, tools).info["result"]).values())
    assert [hit["rank"] for hit in found] == list(range(len(found)))
    assert found[0]["url"] == plant["id"]
    assert found[0]["metadata"]["relevant_pages"] == [1]


def test_library_search_only_in_some_documents(box: Toolbox, shelf) -> None:
    _, otter, plant, tools = shelf
    for document in (otter, plant):
        arguments = {"query": "rivers", "document_ids": [document["id"]]}
        found = json.loads(box.run("library_search", arguments, tools).info["result"])
        assert {hit["url"] for hit in found.values()} == {document["id"]}


def test_library_search_without_a_hit_is_an_empty_object(box: Toolbox, shelf) -> None:
    assert box.run("library_search", {"query": "submarine"}, shelf[3]).info == {"result": "{}"}


def test_library_search_sees_changes(box: Toolbox, libraries: LibraryStore, shelf) -> None:
    owner, otter, _, tools = shelf

    def urls(query: str) -> list[str]:
        return [
            h["url"] for h in json.loads(box.run("library_search", {"query": query}, tools).info["result"]).values()
        ]

    assert urls("badger") == []
    badger = add(libraries, owner, "badgers.txt", "Badgers dig.")
    assert urls("badger") == [badger["id"]]
    libraries.documents.delete(owner["id"], otter["id"])
    assert otter["id"] not in urls("rivers")


def test_a_file_name_as_document_id_fails_like_on_the_service(box: Toolbox, shelf) -> None:
    result = box.run("library_search", {"query": "x", "document_ids": ["facts.txt"]}, shelf[3])
    text = result.info["result"]
    assert text.startswith(
        "Error executing tool library_search: 1 validation error for call[library_search]\ndocument_ids.0\n"
        "  Input should be a valid UUID, invalid character: "
    )
    assert "[type=uuid_parsing, input_value='facts.txt', input_type=str]" in text
    assert result.connector == "document_library"


def test_a_library_that_is_not_there_is_a_failed_run(box: Toolbox) -> None:
    tools = [{"type": "document_library", "library_ids": [str(uuid4())]}]
    for function, arguments in (("library_search", {"query": "x"}), ("library_list_documents", {})):
        assert (
            box.run(function, arguments, tools).info["result"].startswith(f"Error executing tool {function}: Library")
        )


def test_listing_documents(box: Toolbox, shelf) -> None:
    _, otter, _, tools = shelf
    result = box.run("library_list_documents", {"document_name_contains": "OTTER"}, tools)
    (item,) = result.info["result"]
    assert [found["document_id"] for found in json.loads(item["text"])] == [otter["id"]]
    assert result.connector == "document_library_mcp"
    everything = box.run("library_list_documents", {}, tools)
    assert len(json.loads(everything.info["result"][0]["text"])) == 2


def test_opening_a_result_in_the_services_shape(box: Toolbox, shelf) -> None:
    _, _, plant, tools = shelf
    arguments = {"document_id": plant["id"], "relevant_snippet_positions_in_text": "1"}
    result = box.run("open_library_result", arguments, tools)
    assert json.loads(result.info["result"][0]["text"]) == {
        "url": plant["id"],
        "source": "library_search",
        "content": "Willows grow on the bank of rivers.",
        "can_open": False,
        "title": "plants.txt",
        "description": None,
        "date": None,
        "metadata": {},
    }
    assert result.connector == "open_library_result"
    whole = box.run("open_library_result", {"document_id": plant["id"]}, tools)
    assert "Reeds" in whole.info["result"][0]["text"]
    gone = box.run("open_library_result", {"document_id": str(uuid4())}, tools)
    assert gone.info["result"].startswith("Error executing tool open_library_result: Document")


# --- images


def test_an_image_is_jpeg_under_the_name_png(box: Toolbox) -> None:
    result = box.run("generate_image", {"prompt": "A small red circle on a white background"}, IMAGE)
    (file,) = result.files
    assert (file.name, file.type) == ("image_generated_0", "png")
    assert file.data.startswith(b"\xff\xd8\xff")
    assert json.loads(result.info["result"]) == {"url": f"http://here/{file.file_id}"}
    picture = Image.open(io.BytesIO(file.data)).convert("RGB")
    red, green, blue = picture.getpixel((256, 256))
    assert red > 150 > max(green, blue)
    assert min(picture.getpixel((5, 5))) > 230


def test_images_follow_from_the_prompt_alone() -> None:
    assert draw("a forest") == draw("a forest")
    assert draw("a forest") != draw("a desert")
    assert draw("")
    assert draw("日本 " * 1000)


# --- web


def test_web_search_in_the_services_shape(box: Toolbox) -> None:
    result = box.run("web_search", {"query": "how are passages ranked by rare words"}, WEB)
    hits = json.loads(result.info["result"])
    assert all(len(key) == 8 for key in hits)
    first = next(iter(hits.values()))
    assert set(first) == {
        *("url", "title", "description", "snippets", "date", "rank", "source", "metadata", "can_open")
    }
    assert first["title"] == "How BM25 ranks passages"
    assert first["description"].startswith("<strong>")
    assert set(first["metadata"]) == {"lang", "thumbnail", "favicon", "source"}
    assert result.connector == "web_search"
    assert result.references[0] == {
        "type": "tool_reference",
        "tool": "web_search",
        "title": first["title"],
        "url": first["url"],
        "favicon": first["metadata"]["favicon"],
        "description": first["description"],
    }


def test_opening_a_page(box: Toolbox) -> None:
    hits = json.loads(box.run("web_search", {"query": "wind power Betz"}, WEB).info["result"])
    url = next(iter(hits.values()))["url"]
    result = box.run("open_url", {"url": url}, WEB)
    opened = json.loads(result.info["result"][0]["text"])
    assert set(opened) == {"url", "content", "can_open", "title", "description", "date"}
    assert "Albert Betz" in opened["content"]
    assert result.references == []
    failed = box.run("open_url", {"url": "https://example.com/"}, WEB)
    assert failed.info["result"].startswith("Error executing tool open_url: https://example.com/")


def test_files_elsewhere_are_no_pages(box: Toolbox) -> None:
    for url in ("file:///etc/passwd", "https://pages.example/../../etc/passwd", "/etc/passwd"):
        assert "Error executing tool" in box.run("open_url", {"url": url}, WEB).info["result"]


def test_pages_of_the_users_own(tmp_path: Path, libraries: LibraryStore) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.md").write_text(
        "---\ntitle: Tides\nurl: https://sea.example/tides\ndate: 2025-03-01\n---\nTides."
    )
    (tmp_path / "b.html").write_text(
        "<title>Moon</title><link rel=canonical href=https://m.example/><p>The moon pulls."
    )
    (tmp_path / "c.txt").write_text("Plain text on harbours.")
    (tmp_path / "d.bin").write_bytes(b"\0")
    page = read_page(tmp_path / "sub" / "a.md", tmp_path)
    assert (page.title, page.url, page.date, page.content) == (
        "Tides",
        "https://sea.example/tides",
        "2025-03-01",
        "Tides.",
    )
    box = Toolbox(libraries, str, pages=tmp_path)
    found = {
        word: [hit["url"] for hit in json.loads(box.run("web_search", {"query": word}, WEB).info["result"]).values()]
        for word in ("tides", "moon", "harbours", "nothing")
    }
    assert found == {
        "tides": ["https://sea.example/tides"],
        "moon": ["https://m.example/"],
        "harbours": ["https://pages.example/c.txt"],
        "nothing": [],
    }
    news = json.loads(box.run("news_search", {"query": "tides moon"}, PREMIUM).info["result"])
    assert [hit["date"] for hit in news.values()] == ["2025-03-01"]
    assert box.run("web_search", {"query": "moon"}, PREMIUM).connector == "web_search_premium"


def test_a_folder_without_pages_finds_nothing(tmp_path: Path) -> None:
    search = {f.name: f for f in WebSearch(tmp_path).functions()}["web_search"]
    assert search.call({"query": "x"}, WEB[0]).info == {"result": "{}"}
