"""`make record LIVE=1`, rehearsed: an account that holds another person's data, a rate limit, gzip, and failures."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mistral_agents import MistralAgents
from mistral_agents_server.app import create_app
from mistral_agents_server.settings import Settings
from scripts import cassettes
from scripts.cassettes import SERVICE, player
from scripts.record import Target, record, record_all
from scripts.scenarios import SCENARIOS, Scenario, run
from scripts.scenarios._driver import Steps, step
from scripts.scrubbing import Scrubber
from tests.shapes_check import differences_told, story_differences
from tests.support.running import Served

MARK = "Zenobia"
FOREIGN_ID = "0fe51a77-1111-4222-8333-944455566677"
LISTS = {"/v1/conversations", "/v1/agents", "/v1/agents/pages", "/v1/libraries", "/v1/files", "/v1/models"}
Message = dict[str, Any]


class Account:
    """A service as somebody else uses it too: its replies tell of the account, are zipped, and some are refused.

    Attributes:
        asked: method and path of each request.
        refused: how many got a 429.
        refuses: whether any do.
    """

    def __init__(self, app: Any) -> None:
        self.app = app
        self.asked: list[tuple[str, str]] = []
        self.refused = 0
        self.refuses = False

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.asked.append((scope["method"], scope["path"]))
        if self.refuses and len(self.asked) % 3 == 0:
            self.refused += 1
            told = [(b"content-type", b"application/json"), (b"retry-after", b"0")]
            await send({"type": "http.response.start", "status": 429, "headers": told})
            await send({"type": "http.response.body", "body": json.dumps({"message": f"{MARK} is busy"}).encode()})
            return
        begun: list[Message] = []
        parts: list[bytes] = []

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                begun.append(message)
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                await self._send(begun[0], b"".join(parts), send)

        await self.app(scope, receive, telling)

    async def _send(self, start: Message, body: bytes, send: Any) -> None:
        kind = dict(start["headers"]).get(b"content-type", b"")
        if kind.startswith(b"application/json") and body:
            body = json.dumps(_tell(json.loads(body))).encode()
        elif kind.startswith(b"text/event-stream"):
            body = b"".join(_tell_line(line) for line in body.splitlines(keepends=True))
        body = gzip.compress(body)
        kept = [(k, v) for k, v in start["headers"] if k != b"content-length"]
        extra = [(b"content-encoding", b"gzip"), (b"set-cookie", MARK.encode()), (b"x-organization", MARK.encode())]
        await send({**start, "headers": [*kept, *extra]})
        await send({"type": "http.response.body", "body": body})


def _tell(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    holder = {"name": MARK, "mail": f"{MARK}@example.org"}
    return {**data, "holder": holder, "owner_name": MARK, "workspace_id": FOREIGN_ID, "seen_by": [MARK]}


def _tell_line(line: bytes) -> bytes:
    if not line.startswith(b"data: "):
        return line
    return b"data: " + json.dumps(_tell(json.loads(line[6:]))).encode() + b"\n"


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(cassettes, "FOLDER", tmp_path / "cassettes")
    return tmp_path / "cassettes"


@pytest.fixture
def served() -> Iterator[Served]:
    server = Served(Account(create_app(Settings(api_key="k"))))
    yield server
    server.stop()


@pytest.fixture
def theirs(served: Served) -> MistralAgents:
    """The other person's client, after some use."""
    client = MistralAgents(api_key="k", base_url=served.base_url, max_retries=5)
    client.agents.create(model="m", name=f"{MARK}'s agent", instructions=MARK)
    client.conversations.start(f"{MARK} says this.", model="m", name=MARK, metadata={"of": MARK})
    library = client.libraries.create(MARK, description=MARK)
    client.libraries.upload(library.id, (f"{MARK}.txt", MARK.encode()), wait=True)
    client.files.upload((f"{MARK}.txt", MARK.encode()))
    return client


def holdings(client: MistralAgents) -> set[str]:
    lists = (client.conversations.list(), client.agents.list(), client.libraries.list(), client.files.list())
    return {str(row["id"]) for rows in lists for row in rows}


def target(served: Served) -> tuple[Target, list[float]]:
    waits: list[float] = []
    return Target(served.base_url, "k", 1.5, 6, waits.append), waits


def assert_replays(name: str) -> None:
    text = cassettes.path_of(name).read_text()
    assert text.startswith("recorded_against: the live service on ")
    assert "gzip" not in text
    key = SCENARIOS[name].key or "k"
    with player().use_cassette(str(cassettes.path_of(name))) as replayed:
        run(MistralAgents(api_key=key, base_url=SERVICE, max_retries=0), SCENARIOS[name])
    assert replayed.all_played


def test_nothing_of_others_gets_into_a_cassette_and_nothing_is_left(
    folder: Path, served: Served, theirs: MistralAgents
) -> None:
    before, account = holdings(theirs), served.app
    account.asked.clear()
    account.refuses = True
    aim, waits = target(served)
    outcome = record_all(list(SCENARIOS), aim, lambda _: None)
    account.refuses = False
    assert (outcome.failed, outcome.left) == ({}, [])
    assert set(outcome.kept) == {name for name, found in SCENARIOS.items() if not found.live}
    assert account.refused > 5
    assert set(waits) == {1.5}
    assert [path for method, path in account.asked if method == "GET" and path in LISTS] == []
    assert holdings(theirs) == before
    for path in folder.rglob("*"):
        text = path.read_bytes() if path.is_file() else b""
        assert MARK.lower().encode() not in text.lower(), path
        assert not any(key.encode() in text for key in (FOREIGN_ID, *before)), path
    assert {"holder", "seen_by"} <= set(outcome.new_fields["plain-turn"])
    assert {"holder", "seen_by"} <= set(outcome.new_fields["streamed-turn"])
    assert "holder" in (folder / "plain-turn" / "README.md").read_text()
    for name in outcome.recorded:
        assert_replays(name)
        told = differences_told((folder / name / "README.md").read_text())
        assert set(story_differences(yaml.safe_load(cassettes.path_of(name).read_text())["interactions"])) == set(told)


def _break_off(error: BaseException) -> Any:
    def steps() -> Steps:
        yield step("agents.create", model="m", name="to be deleted")
        yield step("libraries.create", "to be deleted")
        yield step("files.upload", ("a.txt", b"to be deleted"))
        turn = yield step("conversations.start", "hello", model="m")
        yield step("conversations.restart", turn.conversation_id, turn.last_entry_id, "again")
        raise error

    return steps


def test_a_failure_stops_no_other_keeps_the_old_cassette_and_leaves_nothing(
    folder: Path, served: Served, theirs: MistralAgents, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = holdings(theirs)
    monkeypatch.setitem(SCENARIOS, "broken", Scenario("broken", _break_off(AssertionError("another answer"))))
    old = folder / "broken" / "cassette.yaml"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    outcome = record_all(["broken", "plain-turn"], target(served)[0], lambda _: None)
    assert outcome.failed == {"broken": "AssertionError: another answer"}
    assert outcome.recorded == ["plain-turn"]
    assert [path.name for path in old.parent.iterdir()] == ["cassette.yaml"]
    assert old.read_text() == "old"
    assert holdings(theirs) == before


def test_everything_is_deleted_after_ctrl_c(folder: Path, served: Served, theirs: MistralAgents) -> None:
    before = holdings(theirs)
    with pytest.raises(KeyboardInterrupt):
        record(Scenario("stopped", _break_off(KeyboardInterrupt())), target(served)[0], [])
    assert holdings(theirs) == before
    assert list(folder.iterdir()) == []


def test_what_cant_be_deleted_is_told(folder: Path, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[str] = []
    monkeypatch.setattr(
        "mistral_agents.conversations.Conversations.delete",
        lambda _, key: MistralAgents(api_key="k", base_url="http://127.0.0.1:9", max_retries=0).agents.get(key),
    )
    record(SCENARIOS["plain-turn"], target(served)[0], left)
    assert left == [left[0]]
    assert left[0].startswith("conversations conv_")


def _exchange(scrubber: Scrubber, method: str, path: str, reply: Any, status: int = 200) -> Any:
    from vcr.request import Request

    scrubber.request(Request(method, f"http://x{path}", b"{}", {}))
    body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
    kept = scrubber.response({"status": {"code": status}, "headers": {}, "body": {"string": body}})
    return kept if kept is None else kept["body"]["string"].decode()


def test_of_lists_only_the_scenarios_own_rows_are_kept() -> None:
    own, other = "conv_" + "a" * 32, "conv_" + "b" * 32
    scrubber = Scrubber("http://x", SERVICE)
    _exchange(scrubber, "POST", "/v1/conversations", {"conversation_id": own})
    rows = [{"id": own, "name": "ours"}, {"id": other, "name": MARK}, MARK]
    assert json.loads(_exchange(scrubber, "GET", "/v1/conversations", rows)) == [{"id": own, "name": "ours"}]
    page = {"data": rows, "next_page_token": other, "note": MARK}
    kept = json.loads(_exchange(scrubber, "GET", "/v1/agents/pages", page))
    assert kept == {"data": [{"id": own, "name": "ours"}], "next_page_token": "page-1", "note": "FILTERED"}
    assert MARK not in _exchange(scrubber, "GET", f"/v1/conversations/{other}", {"id": other, "name": MARK})
    assert _exchange(scrubber, "GET", f"/v1/conversations/{own}", {"message": "slow down"}, 429) is None


def test_texts_of_ours_name_no_others() -> None:
    scrubber = Scrubber("http://x", SERVICE)
    line = b'event: a\ndata: {"type": "a", "conversation_id": "conv_1", "content": "ask me@example.org"}\n\n'
    kept = _exchange(scrubber, "POST", "/v1/conversations", line)
    assert kept.startswith('event: a\ndata: {"type": "a"')
    assert "me@example.org" not in kept
    refused = _exchange(scrubber, "POST", "/v1/conversations", {"detail": f"no {FOREIGN_ID}", "metadata": {"a": MARK}})
    assert json.loads(refused) == {"detail": "no 00000000-0000-4000-8000-000000000000", "metadata": {}}


def test_an_empty_id_makes_nothing_the_scenarios_own() -> None:
    scrubber = Scrubber("http://x", SERVICE)
    _exchange(scrubber, "POST", "/v1/conversations", {"conversation_id": "conv_1", "parent_id": ""})
    assert MARK not in _exchange(scrubber, "GET", "/v1/agents/ag_2", {"id": "ag_2", "name": MARK})
