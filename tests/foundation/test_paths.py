"""Paths of users: `~` is the home folder wherever something is written or read, not a folder of that name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mistral_agents._conversation import archive
from mistral_agents._display.page import write_page
from mistral_agents._turn.media import FileData
from mistral_agents.specs import load_specs
from mistral_agents.threads import SqliteConversations

EXPORT = {"format": archive.FORMAT, "version": archive.VERSION, "conversation": {"id": "conv_1"}, "entries": []}


def test_what_is_saved_at_home_is_found_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.chdir(here)
    assert FileData.of("a.txt", b"x").save("~/files") == home / "files" / "a.txt"
    assert FileData.of("a.txt", b"x").save(Path("~")) == home / "a.txt"
    archive.write("~/one.json", EXPORT)
    assert archive.read("~/one.json").conversation_id == "conv_1"
    assert archive.write_into("~/archive", EXPORT) == home / "archive" / "conv_1.json"
    write_page("~/talk.html", "<p>page")
    threads = SqliteConversations("~/threads.db")
    threads.set("t", "agent", "conv_1")
    assert threads.get("t", "agent") == "conv_1"
    (home / "agents.json").write_text('{"agents": {"helper": {"model": "m"}}}')
    assert [spec.name for spec in load_specs("~/agents.json")] == ["helper"]
    assert {"one.json", "talk.html", "threads.db"} <= {path.name for path in home.iterdir()}
    assert list(here.iterdir()) == []
