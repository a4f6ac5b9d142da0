"""The stand-in's replies fit the skeletons of recorded ones."""

from __future__ import annotations

import pytest

from mistral_agents.errors import MistralAgentsError
from mistral_agents.tools import CodeInterpreter, DocumentLibrary, ImageGeneration, WebSearch
from tests.shapes_check import differences, header_differences, stream_differences, unproven

ID = "0" * 32
ASKED = {
    "code_interpreter": ("Run this:\n```python\nprint(6 * 7)\n```", CodeInterpreter()),
    "web_search": ("Search the web for renewable energy.", WebSearch()),
    "image_generation": ("Draw a red circle.", ImageGeneration()),
}


def check_turn(client, asked, tools):
    turn = client.conversations.start(asked, model="mistral-small-latest", **({"tools": tools} if tools else {}))
    assert differences("turn", turn.raw) == []
    assert unproven(turn.raw) == set()
    assert header_differences(turn.headers, stream=False, connectors=list(turn.usage.connectors)) == []
    with client.conversations.append_stream(turn.conversation_id, asked) as stream:
        events = list(stream)
    assert stream_differences(events) == []
    assert header_differences(stream.headers, stream=True) == []
    history = client.conversations.get_history(turn.conversation_id)
    assert differences("conversation", dict(client.conversations.get(turn.conversation_id))) == []
    return turn, history


def test_the_stand_ins_turns_fit(client):
    check_turn(client, "What is 2 + 3?", [])


@pytest.mark.parametrize("tool", ASKED)
def test_the_stand_ins_hosted_tools_fit(client, tool):
    asked, declared = ASKED[tool]
    turn, _ = check_turn(client, asked, [declared])
    assert tool in [run.name for run in turn.tool_executions]


def test_the_stand_ins_libraries_fit(client):
    library = client.libraries.create("shaped")
    document = client.libraries.upload(library.id, ("facts.txt", b"The project is called paper robots."))
    client.libraries.wait_until_ready(library.id, timeout=60)
    status = client.libraries.status(library.id, document.id)
    for name, value in (("library", library), ("document", document), ("document_status", status)):
        assert differences(name, dict(value)) == []
    tools = [DocumentLibrary([library.id])]
    turn, _ = check_turn(client, "What does the library say of paper robots?", tools)
    assert "library_search" in [run.function for run in turn.tool_executions]


def test_the_stand_ins_agents_and_files_fit(client):
    agent = client.agents.create(model="mistral-small-latest", name="shaped")
    assert differences("agent", dict(agent)) == []
    turn = client.conversations.start("What is 2 + 3?", agent_id=agent.id)
    assert differences("turn", turn.raw) == []
    assert differences("file", dict(client.files.upload(("a.txt", b"text")))) == []


def test_the_stand_ins_messages_fit(client):
    agent = client.agents.create(model="mistral-small-latest", name="remembers")
    turn = client.conversations.start("What is 2 + 3?", agent_id=agent.id)
    assert differences("history", client.conversations.get_history(turn.conversation_id).raw) == []
    assert differences("messages", client.conversations.get_messages(turn.conversation_id).raw) == []


def test_the_stand_ins_errors_fit(client):
    for path in ("conv_" + ID, "ag_" + ID):
        with pytest.raises(MistralAgentsError) as caught:
            client.conversations.get(path)
        assert differences("error", caught.value.body) == []
    with pytest.raises(MistralAgentsError) as caught:
        client.conversations.start("x", model="m", completion_args={"n": 0, "unknown": 1})
    assert differences("error", caught.value.body) == []
