"""What others wrote is shown and saved without harm: no control characters, no secrets, no odd names."""

from __future__ import annotations

import json
import logging
import unicodedata
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.dom import minidom

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from langchain_mistral_agents import ChatMistralAgent
from mistral_agents import Conversation
from mistral_agents._conversation.archive import document, read
from mistral_agents._printable import show_text
from mistral_agents._turn.media import safe_name
from mistral_agents.branches import Branch
from mistral_agents.cleanup import CleanedUp, CleanupReport
from mistral_agents.entries import parse_entries
from mistral_agents.errors import ConfigurationError, InvalidRequestError, NotFoundError, error_for_status
from mistral_agents.files import FilesNotSavedError
from mistral_agents.graph import HandoffGraph
from mistral_agents.history import History
from mistral_agents.specs import Change
from mistral_agents.turn import FileRef, Turn

EVIL = "x\x1b[31m\x9b31m\r\x07\x08\x7f\u202egnp\ud800<script>"
ROW = {"type": "message.output", "id": "m", "content": EVIL, "created_at": "2026-01-01T00:00:00Z"}
SHOWN: dict[str, Any] = {
    "error": lambda: str(InvalidRequestError(EVIL, hint=EVIL)),
    "history": lambda: str(History("conv_1", parse_entries([ROW]))),
    "branch": lambda: str(Branch(EVIL, EVIL, EVIL, children=[Branch(EVIL)])),
    "picture": lambda: Branch(EVIL, EVIL, children=[Branch(EVIL)]).to_svg(),
    "timeline": lambda: str(Turn("conv_1", parse_entries([ROW])).explain()),
    "handoffs": lambda: str(HandoffGraph.of([{"id": "a", "name": EVIL, "handoffs": ["b"]}])),
    "diagram": lambda: HandoffGraph.of([{"id": "a", "name": EVIL, "handoffs": ["b"]}]).to_mermaid(),
    "cleanup": lambda: str(CleanupReport([CleanedUp("c", timedelta(1), "failed", error=EVIL)])),
    "change": lambda: str(Change(EVIL, "update", "a", {"instructions": (EVIL, "b")})),
}


def harmful(text: str) -> list[str]:
    return [char for char in text if unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t"]


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_nothing_shown_commands_a_terminal(name: str) -> None:
    shown = SHOWN[name]()
    assert harmful(shown) == []
    assert "\u202e" not in shown
    shown.encode()


def test_no_warning_and_no_log_record_commands_a_terminal(
    make_client: Any, wire: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A block of another provider has an odd kind, and the service sends an odd event."""
    caplog.set_level(logging.DEBUG)
    started = {"type": "conversation.response.started", "conversation_id": "conv_1"}
    done = {"type": "conversation.response.done", "usage": {}}
    lines = [f"data: {json.dumps(event)}\n\n".encode() for event in (started, {"type": EVIL}, done)]
    wire.answer((200, b"".join(lines)))
    model = ChatMistralAgent(model="m", client=make_client())
    with pytest.warns(UserWarning, match="is left out") as warned:
        list(model.stream([HumanMessage("q"), AIMessage([{"type": EVIL}]), HumanMessage("more")]))
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("mistral_agents")]
    assert [text for text in logged if "unknown event" in text]
    assert [harmful(text) for text in (*logged, *(str(one.message) for one in warned)) if harmful(text)] == []


@pytest.mark.parametrize("name", ["picture", "diagram"])
def test_nothing_drawn_holds_markup_of_others(name: str) -> None:
    assert "<script" not in SHOWN[name]()


def test_a_picture_is_well_formed() -> None:
    minidom.parseString(SHOWN["picture"]())


@given(st.text(st.characters(codec=None)))
def test_any_text_can_be_shown_and_plain_text_stays(text: str) -> None:
    assert harmful(show_text(text)) == []
    assert not set(show_text(text, one_line=True)) & set("\n\t\r")
    show_text(text).encode()
    if text.isprintable():
        assert show_text(text) == text


# names -----------------------------------------------------------------------------------------------------------------


@given(
    st.text(st.characters(codec=None), max_size=400), st.sampled_from([b"", b"x,y\n", b"\x89PNG\r\n\x1a\n", b"\x00"])
)
def test_any_name_can_be_saved_and_seen(name: str, data: bytes) -> None:
    safe = safe_name(name, data)
    assert 0 < len(safe.encode()) <= 255
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in safe)
    assert safe == safe.strip(" .")
    assert Path(safe).name == safe


@pytest.mark.parametrize("name", ["con", "Con .txt", "prn .a.b", "COM1.tar.gz", "lpt\xb9.txt", "conin$", "aux."])
def test_a_device_is_no_name(name: str) -> None:
    assert safe_name(name).startswith("file_")


def test_a_long_name_keeps_its_extension() -> None:
    assert safe_name("水" * 300 + ".csv", b"a,b\n").endswith(".csv")


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_one_bad_file_does_not_cost_the_others(
    make_client: Any, wire: Any, tmp_path: Path, asynchronous: bool
) -> None:
    files = make_client(max_retries=0).files
    refs = [FileRef(f"file_{name}", f"{name}.txt") for name in ("a", "b", "c")]
    wire.answer((200, b"hello"), (404, {"message": "gone"}), (200, b"hello"))

    async def save() -> Any:
        return await files.asave(refs, tmp_path) if asynchronous else files.save(refs, tmp_path)

    with pytest.raises(FilesNotSavedError, match=r"1 of 3 files.*b\.txt") as caught:
        await save()
    assert [path.name for path in caught.value.saved] == ["a.txt", "c.txt"]
    assert isinstance(caught.value.failed["b.txt"], NotFoundError)
    wire.answer((404, {"message": "gone"}))
    with pytest.raises(NotFoundError):
        files.save(refs[0], tmp_path)


def test_each_of_two_bad_files_of_one_name_is_told(make_client: Any, wire: Any, tmp_path: Path) -> None:
    """Images of tools share their names; the second failure took the place of the first."""
    wire.answer((200, b"hello"), (404, {"message": "gone"}), (404, {"message": "gone"}))
    refs = [FileRef(f"file_{number}", "image.png") for number in range(3)]
    with pytest.raises(FilesNotSavedError, match="2 of 3 files") as caught:
        make_client(max_retries=0).files.save(refs, tmp_path)
    assert list(caught.value.failed) == ["image.png", "image.png (file_2)"]


def test_a_folder_that_cannot_be_written_is_named(make_client: Any, wire: Any, tmp_path: Path) -> None:
    wire.answer((200, b"hello"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError, match="is a file"):
        make_client().files.save(FileRef("file_a", "a.txt"), tmp_path / "file")


# exports ---------------------------------------------------------------------------------------------------------------


def test_an_export_leaves_authorizations_out_and_can_be_imported(make_client: Any) -> None:
    tool = {"type": "connector", "connector_id": "gmail", "authorization": {"type": "api-key", "value": "secret"}}
    info = {"id": "conv_1", "model": "m", "tools": [tool], "nested": [{"connection_credentials": "secret"}]}
    exported = document(info, History("conv_1", []), [])
    assert "secret" not in json.dumps(exported)
    assert "authorization" not in json.dumps(exported)
    assert info["tools"] == [tool], "what was given is not changed"
    assert read(exported).info["tools"] == [{"type": "connector", "connector_id": "gmail"}]
    assert Conversation.import_(make_client(), exported).id is None


def test_an_error_repeats_the_beginning_of_a_message_and_keeps_all_of_it() -> None:
    error = error_for_status(422, {"message": "x" * 1_000_000}, what="Asking", headers={})
    assert len(str(error)) < 3_000
    assert error.body == {"message": "x" * 1_000_000}
