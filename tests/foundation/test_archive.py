"""Export, import, archive and cleanup: nothing is deleted before its export was read back."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mistral_agents import CodeInterpreter, DocumentLibrary, MistralAgents
from mistral_agents.cleanup import acleanup, cleanup
from mistral_agents.conversation import Conversation
from mistral_agents.errors import ConfigurationError, NotFoundError, ToolBudgetExceededError
from tests.conftest import API_KEY
from tests.support.scripted import ScriptedModel, call, say

MODEL = "mistral-small-latest"
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
NOW = timedelta(microseconds=0)


@pytest.fixture
def talker(standin_factory: Callable[..., Any], scripted: ScriptedModel) -> Iterator[MistralAgents]:
    served = standin_factory(model_url=scripted.url, allow_code=True)
    with MistralAgents(api_key=API_KEY, base_url=served.base_url, max_retries=0) as client:
        yield client


@pytest.fixture
def rich(talker: MistralAgents, scripted: ScriptedModel) -> Conversation:
    """A conversation with text, a call and its result, a hosted run with a file, and a cited library hit."""
    library = talker.libraries.create("facts")
    document = talker.libraries.upload(
        library.id, ("facts.txt", b"The project is called Saffron. It has seven robots.")
    )
    talker.libraries.wait_until_ready(library.id, [document.id])
    code = "open('made.csv','w').write('a,b\\n1,2\\n'); print(42)"
    scripted.script(
        call("f"),
        call("code_interpreter", {"code": code}),
        call("library_search", {"query": "Saffron robots"}),
        say("All done."),
    )
    tools = [FUNCTION, CodeInterpreter(), DocumentLibrary(library.id)]
    conversation = Conversation(
        talker, model=MODEL, tools=tools, functions={"f": lambda: "f-result"}, instructions="Be brief."
    )
    conversation.append("Do it all.")
    return conversation


def shape(document: dict[str, Any]) -> list[Any]:
    return [
        (row["type"], row.get("content"), row.get("name"), row.get("arguments"), row.get("result"), row.get("info"))
        for row in document["entries"]
    ]


async def test_export_import_export_keeps_text_calls_results_files_and_citations(
    talker: MistralAgents, scripted: ScriptedModel, rich: Conversation, tmp_path: Path
) -> None:
    first = rich.export(tmp_path / "one.json", files=True)
    assert json.loads((tmp_path / "one.json").read_text()) == first
    assert [file["name"] for file in first["files"]] == ["made.csv"]
    assert base64.b64decode(first["files"][0]["base64"]) == b"a,b\n1,2\n"
    assert rich.last_turn is not None
    assert rich.last_turn.citations[0].title == "facts.txt"

    again = Conversation.import_(talker, tmp_path / "one.json")
    assert again.id is None, "nothing is sent, and nothing billed, before the first append"
    scripted.script(say("Going on."))
    assert again.append("Go on.").text == "Going on."
    sent = scripted.requests[-1]["messages"]
    assert [m["role"] for m in sent if m["role"] != "system"][:1] == ["user"]
    assert any("f-result" in str(m["content"]) for m in sent)
    assert any("42" in str(m["content"]) for m in sent)

    second = await again.aexport(files=True)
    before, after = shape(first), shape(second)
    assert after[: len(before)] == before
    assert [row[0] for row in after[len(before) :]] == ["message.input", "message.output"]
    assert second["files"] == first["files"]
    assert second["conversation"]["metadata"]["mistral_agents_parent"] == rich.id
    await talker.aclose()


def test_an_import_may_go_to_another_model(talker: MistralAgents, scripted: ScriptedModel, rich: Conversation) -> None:
    scripted.script(say("ok"))
    again = Conversation.import_(talker, rich.export(), model="another-model")
    again.append("hi")
    info = talker.conversations.get(str(again.id))
    assert (info.model, info.instructions, info.tools) == ("another-model", None, [])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (0.3, 40)),
        ({"temperature": 0.9}, (0.9, 40)),
        ({"max_completion_tokens": 7}, (0.3, 7)),
        ({"completion_args": {"max_tokens": 7}, "temperature": 0.9}, (0.9, 7)),
        ({"model": "another-model", "temperature": 0.9}, (0.9, None)),
    ],
)
def test_what_an_import_is_given_differs_and_the_rest_stays(
    talker: MistralAgents, scripted: ScriptedModel, given: Any, expected: tuple[float, int | None]
) -> None:
    """A temperature beside the exported one was left out without a word."""
    scripted.always(say("ok"))
    talk = Conversation(talker, model=MODEL, temperature=0.3, max_tokens=40)
    talk.append("hi")
    again = Conversation.import_(talker, talk.export(), **given)
    again.append("hi")
    found = talker.conversations.get(str(again.id)).completion_args
    assert (found["temperature"], found["max_tokens"]) == expected


@pytest.mark.parametrize("way", ["import", "compact", "other tools"])
def test_limits_on_tools_go_on_in_what_continues_a_conversation(
    talker: MistralAgents, scripted: ScriptedModel, way: str
) -> None:
    """They stood in its metadata, and nobody held the new one to them."""
    scripted.script(say("hi"), say("a summary"))
    talk = Conversation(talker, model=MODEL, tools=[CodeInterpreter(max_iterations=1)])
    talk.append("hi")
    other = MistralAgents(api_key=API_KEY, base_url=talker.base_url, max_retries=0)
    if way == "compact":
        again = Conversation(other, talk.id).compact()
    else:
        changed: Any = {"tools": [CodeInterpreter()]} if way == "other tools" else {}
        again = Conversation.import_(other, talk.export(), **changed)
    run = call("code_interpreter", {"code": "print(1)"})
    scripted.script(run, run, say("done"))
    if way == "other tools":
        assert again.append("compute").text == "done"
    else:
        with pytest.raises(ToolBudgetExceededError):
            again.append("compute")


def test_an_import_of_a_branch_names_the_branch_alone(talker: MistralAgents, scripted: ScriptedModel) -> None:
    scripted.always(say("ok"))
    talk = Conversation(talker, model=MODEL, metadata={"project": "harbour"})
    talk.append("hi")
    branch = talk.branch()
    branch.append("hi")
    again = Conversation.import_(talker, branch.export())
    again.append("hi")
    held = talker.conversations.get(str(again.id)).metadata
    assert held == {"project": "harbour", "mistral_agents_parent": branch.id}


def test_open_and_void_calls_of_an_export_are_settled_before_it_begins_anew(
    talker: MistralAgents, scripted: ScriptedModel
) -> None:
    scripted.script(call("f"), say("ok"))
    left = Conversation(talker, model=MODEL, tools=[FUNCTION])
    left.append("go")
    again = Conversation.import_(talker, left.export())
    assert again.append("and now?").text == "ok"
    rows = [
        {"type": "message.input", "id": "1", "role": "user", "content": "hi"},
        {"type": "function.call", "id": "2", "tool_call_id": "aaaaaaaaa", "name": "f", "arguments": "{}"},
        {"type": "agent.handoff", "id": "3", "previous_agent_id": "ag_1", "next_agent_id": "ag_2"},
        {
            "type": "function.call",
            "id": "4",
            "tool_call_id": "b",
            "name": "x",
            "arguments": "{}",
            "confirmation_status": "denied",
        },
        {"type": "message.output", "id": "5", "role": "assistant", "content": "hello"},
    ]
    scripted.script(say("fine"))
    document = {
        "format": "mistral-agents/conversation",
        "version": 1,
        "conversation": {"id": "c", "model": MODEL},
        "entries": rows,
    }
    assert Conversation.import_(talker, document).append("more").text == "fine"
    assert [m["content"] for m in scripted.requests[-1]["messages"]] == ["hi", "hello", "more"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("not json", "can't be read"),
        ("[]", "no exported conversation"),
        ("{}", "its format is None"),
        ('{"format": "mistral-agents/conversation", "version": 99}', "version 99; this package reads up to 1"),
        ('{"format": "mistral-agents/conversation", "version": 1, "entries": []}', "lacks its conversation"),
        (
            '{"format": "mistral-agents/conversation", "version": 1, "entries": [], "conversation": {"metadata": "x"}}',
            "metadata that are no mapping",
        ),
        (
            '{"format": "mistral-agents/conversation", "version": 1, "conversation": {}, "entries": [], "files": [{}]}',
            "file in the export",
        ),
    ],
)
def test_what_is_no_export_is_refused(client: MistralAgents, tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=words):
        Conversation.import_(client, path, model=MODEL)
    with pytest.raises(ConfigurationError, match="can't be read"):
        Conversation.import_(client, tmp_path / "absent.json", model=MODEL)


# archive and cleanup ------------------------------------------------------------------------------------------------


@pytest.fixture
def own(standin_factory: Callable[..., Any]) -> Iterator[Any]:
    served = standin_factory()
    with MistralAgents(api_key=API_KEY, base_url=served.base_url, max_retries=0) as client:
        yield client, served


def test_an_archived_conversation_is_deleted_after_its_export(own: Any, tmp_path: Path) -> None:
    client, _ = own
    turn = client.conversations.start("hello", model=MODEL)
    path = client.conversations.archive(turn.conversation_id, tmp_path)
    assert path == tmp_path / f"{turn.conversation_id}.json"
    with pytest.raises(NotFoundError):
        client.conversations.get(turn.conversation_id)
    assert Conversation.import_(client, path).append("again").text


def test_a_failed_export_never_deletes(own: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client, served = own
    keys = [str(client.conversations.start(f"hello {n}", model=MODEL).conversation_id) for n in range(3)]
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / f"{keys[1]}.json").mkdir()
    report = cleanup(client, older_than=NOW, archive_to=blocked, dry_run=False)
    assert {row.conversation_id for row in report.failed} == {keys[1]}
    assert [info.id for info in client.conversations.list()] == [keys[1]]
    served.faults.answer(500, {"object": "Error", "message": "no"}, method="GET", path="/history")
    report = cleanup(client, older_than=NOW, archive_to=tmp_path / "other", dry_run=False)
    assert [row.done for row in report.rows] == ["failed"]
    assert client.conversations.get(keys[1]).id == keys[1]


async def test_250_conversations_over_3_pages_and_a_killed_cleanup_that_runs_again(own: Any, tmp_path: Path) -> None:
    client, _ = own
    agent = client.agents.create(model=MODEL, name="a")
    for number in range(250):
        by = {"agent_id": agent.id} if number % 2 else {"model": MODEL, "metadata": {"keep": "no"}}
        client.conversations.start(f"hello {number}", **by)
    dry = cleanup(client, older_than=NOW, archive_to=tmp_path)
    assert (dry.looked_at, len(dry.rows), {row.done for row in dry.rows}) == (250, 250, {"would delete"})
    assert list(tmp_path.iterdir()) == []
    assert len(list(client.conversations.list())) == 250
    assert cleanup(client, older_than=timedelta(days=1)).rows == []

    class Killed(BaseException):
        pass

    def kill(done: int, total: int) -> None:
        if done == 40:
            raise Killed

    with pytest.raises(Killed):
        cleanup(client, older_than=NOW, agent_id=agent.id, archive_to=tmp_path, dry_run=False, on_progress=kill)
    shown: list[tuple[int, int]] = []
    report = await acleanup(
        client,
        older_than=NOW,
        agent_id=agent.id,
        archive_to=tmp_path,
        dry_run=False,
        on_progress=lambda d, t: shown.append((d, t)),
    )
    assert shown[-1] == (85, 85)
    assert {row.done for row in report.rows} == {"deleted"}
    assert len(list(tmp_path.iterdir())) == 125, "every conversation of the agent is in the archive"
    assert len(list(client.conversations.list())) == 125
    report = await acleanup(client, older_than=NOW, metadata={"keep": "no"}, dry_run=False)
    assert len(report.rows) == 125
    assert list(client.conversations.list()) == []
    assert "deleted" in str(report)
    await client.aclose()


def test_the_age_must_be_a_timedelta(client: MistralAgents) -> None:
    with pytest.raises(ConfigurationError, match="must be a timedelta"):
        cleanup(client, older_than=90)  # type: ignore[arg-type]
