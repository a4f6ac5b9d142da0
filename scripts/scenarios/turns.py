"""Plain turns, hosted tools, function calls, and conversations that go on."""

from __future__ import annotations

from mistral_agents.entries import function_result
from mistral_agents.tools import CodeInterpreter, DocumentLibrary, ImageGeneration, WebSearch
from scripts.scenarios._driver import Steps, scenario, step

MODEL = "mistral-small-latest"
PLOT = """Run exactly this code:
```python
import matplotlib.pyplot as plt
values = [120, 135, 148, 162, 155]
plt.plot(values)
plt.show()
print(sum(values) / len(values))
```"""
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
FACTS = b"""The lighthouse of Kermor

The lighthouse of Kermor was lit in 1887. Its lamp is seen from twenty miles away.
The keeper's diary tells of the great storm, and of the codename of the rescue boat: Blue Heron.
"""


@scenario("plain-turn")
def plain_turn() -> Steps:
    turn = yield step("conversations.start", "What is 17 + 25? Answer with the number.", model=MODEL)
    assert "42" in turn.text
    assert turn.conversation_id.startswith("conv_")
    assert turn.usage.total_tokens == turn.usage.prompt_tokens + turn.usage.completion_tokens > 0
    assert turn.request_id


@scenario("streamed-turn")
def streamed_turn() -> Steps:
    turn = yield step("conversations.start_stream", "What is 17 + 25? Answer with the number.", model=MODEL)
    assert "42" in turn.text
    assert turn.complete
    assert turn.usage.total_tokens > 0


@scenario("code-run-with-file")
def code_run() -> Steps:
    turn = yield step("conversations.start", PLOT, model=MODEL, tools=[CodeInterpreter()])
    assert "144" in "".join(run.output or "" for run in turn.code_runs)
    assert turn.usage.connectors["code_interpreter"] >= 1
    assert [quota for quota in turn.quotas if quota.name == "code-interpreter"]
    if turn.files:
        data = yield step("files.download", turn.files[0].file_id)
        assert data[:4] in (b"\x89PNG", b"\xff\xd8\xff\xe0")


@scenario("web-search")
def web_search() -> Steps:
    turn = yield step(
        "conversations.start", "Search the web: how does BM25 rank documents?", model=MODEL, tools=[WebSearch()]
    )
    assert turn.searches[0].hits
    assert all(citation.origin == "web" and citation.url for citation in turn.citations)
    assert turn.usage.connector_tokens > 0


@scenario("image")
def image() -> Steps:
    turn = yield step(
        "conversations.start", "Generate an image of a red circle.", model=MODEL, tools=[ImageGeneration()]
    )
    assert turn.images
    if turn.images[0].file_id:
        data = yield step("files.download", turn.images[0].file_id)
        assert data[:2] in (b"\x89P", b"\xff\xd8")


@scenario("library-search")
def library_search() -> Steps:
    library = yield step("libraries.create", "mistral-agents cassette")
    document = yield step("libraries.upload", library.id, ("kermor.txt", FACTS))
    yield step("libraries.wait_until_ready", library.id, [document.id])
    text = yield step("libraries.text", library.id, document.id)
    assert "Blue Heron" in text
    question = "Search the library: what is the codename of the rescue boat?"
    turn = yield step("conversations.start", question, model=MODEL, tools=[DocumentLibrary([library.id])])
    assert "Blue Heron" in turn.text
    assert {citation.document_id for citation in turn.citations} == {document.id}
    yield step("libraries.delete", library.id)


@scenario("function-call")
def function_call() -> Steps:
    asked = "What is the weather in Paris? Use the function."
    turn = yield step("conversations.start", asked, model=MODEL, tools=[WEATHER])
    (call,) = turn.function_calls
    assert (call.name, call.args) == ("get_weather", {"city": "Paris"})
    result = function_result(call.tool_call_id, {"sky": "clear", "celsius": 21})
    answer = yield step("conversations.append", turn.conversation_id, [result])
    assert "21" in answer.text
    assert answer.conversation_id == turn.conversation_id


@scenario("append")
def append() -> Steps:
    first = yield step("conversations.start", "My name is Ada and I like lighthouses.", model=MODEL)
    second = yield step("conversations.append", first.conversation_id, "What is my name?")
    assert second.conversation_id == first.conversation_id
    assert "Ada" in second.text


@scenario("branch")
def branch() -> Steps:
    first = yield step("conversations.start", "My name is Ada.", model=MODEL)
    yield step("conversations.append", first.conversation_id, "My name is Grace now.")
    other = yield step("conversations.restart", first.conversation_id, first.last_entry_id, "What is my name?")
    assert other.conversation_id != first.conversation_id
    assert "Ada" in other.text


@scenario("history")
def history() -> Steps:
    turn = yield step("conversations.start", "My name is Ada.", model=MODEL, metadata={"purpose": "cassette"})
    entries = yield step("conversations.get_history", turn.conversation_id)
    assert [entry.type for entry in entries.entries] == ["message.input", "message.output"]
    messages = yield step("conversations.get_messages", turn.conversation_id)
    assert [message.role for message in messages.entries] == ["user", "assistant"]
    found = yield step("conversations.get", turn.conversation_id)
    assert found.conversation_id == turn.conversation_id
    assert found.created_at.tzinfo is not None


@scenario("delete")
def delete() -> Steps:
    turn = yield step("conversations.start", "Say seven.", model=MODEL)
    yield step("conversations.delete", turn.conversation_id)
    gone = yield step("conversations.get", turn.conversation_id)
    assert gone.status_code == 404


@scenario("list-and-delete", live=False)  # a list would show what else the account has
def list_and_delete() -> Steps:
    made = []
    for number in range(3):
        turn = yield step("conversations.start", f"Number {number}.", model=MODEL)
        made.append(turn.conversation_id)
    found = yield step("conversations.list", page_size=2)
    assert set(made) <= {conversation.conversation_id for conversation in found}
    for conversation_id in made:
        yield step("conversations.delete", conversation_id)
    gone = yield step("conversations.get", made[0])
    assert gone.status_code == 404
