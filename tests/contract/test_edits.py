"""Any sequence of edits: both wings choose the same operations, and send the same words."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mistral_agents import MistralAgents
from mistral_agents._http import sdk
from tests.contract.ways import Way

TOOLS = [
    [],
    [{"type": "web_search"}],
    [{"type": "document_library", "library_ids": ["aaaaaaaa-1111-4111-8111-111111111111"]}],
]
WORDS = st.sampled_from(["yes", "no", "why"])
EDITS = st.one_of(
    st.tuples(st.just("say"), WORDS),
    st.tuples(st.just("say"), WORDS),
    st.tuples(st.just("edit"), st.integers(0, 9), WORDS),
    st.tuples(st.just("rewind"), st.integers(1, 4)),
    st.tuples(st.just("trim"), st.integers(1, 3)),
    st.tuples(st.just("drop"), st.integers(0, 9)),
    st.tuples(st.just("swap"), st.integers(0, 9)),
    st.tuples(st.just("offer"), st.integers(0, 2)),
    st.tuples(st.just("forget")),
    st.tuples(st.just("elsewhere"), WORDS),
)


@dataclass
class Service:
    """Keeps conversations as lists of entries, and what was asked of it."""

    kept: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    numbers: Any = field(default_factory=count)

    def __call__(self, request: Any) -> Any:
        parts = request.url.path.removeprefix("/v1/conversations").strip("/").split("/")
        if request.method == "GET":
            return self._reply({"conversation_id": parts[0], "entries": self.kept[parts[0]]})
        body = json.loads(request.content)
        key, after = parts[0], body.get("from_entry_id")
        before = self.kept.get(key, [])
        if after is not None:
            place = next(i for i, entry in enumerate(before) if entry["id"] == after)
            before = before[: place + 1]
        if after is not None or key == "":
            key = f"conv_{next(self.numbers)}"
        new = [{**entry, "id": f"e{next(self.numbers)}"} for entry in body["inputs"]]
        said = {"type": "message.output", "id": f"e{next(self.numbers)}", "role": "assistant", "content": "ok"}
        self.kept[key] = [*before, *new, said]
        words = [(entry["type"], entry["content"]) for entry in body["inputs"]]
        self.asked.append((request.url.path, str(after), (words, body.get("tools"))))
        return self._reply({"conversation_id": key, "outputs": [said], "usage": {}})

    def _reply(self, data: Any) -> Any:
        return sdk.http().Response(200, json=data)


class User:
    """A user of one wing, who talks and edits."""

    def __init__(self, wing: Any) -> None:
        library = sdk.http()
        self.way = Way(wing, streamed=False, asynchronous=False, stored=True)
        self.service = Service()
        self.client = MistralAgents(
            api_key="k",
            base_url=f"https://{wing.replace('_', '-')}.test",
            http_client=library.Client(transport=library.MockTransport(self.service)),
        )
        self.messages: list[Any] = []
        self.tools: list[Any] = []

    def do(self, kind: str, *values: Any) -> None:
        getattr(self, kind)(*values)

    def say(self, text: str) -> None:
        self.messages.append(self.way.user(text))
        self.messages.append(self.way.ask(self.way.model(self.client, self.tools), self.messages))

    def edit(self, place: int, text: str) -> None:
        if place < len(self.messages):
            answered = place % 2 == 1
            self.messages[place] = self.way.assistant(text) if answered else self.way.user(text)

    def rewind(self, number: int) -> None:
        del self.messages[max(len(self.messages) - 2 * number, 0) :]

    def trim(self, number: int) -> None:
        del self.messages[: 2 * number]

    def drop(self, place: int) -> None:
        pair = place // 2 * 2
        del self.messages[pair : pair + 2]

    def swap(self, place: int) -> None:
        pair = place // 2 * 2
        if pair + 4 <= len(self.messages):
            first, second = self.messages[pair : pair + 2], self.messages[pair + 2 : pair + 4]
            self.messages[pair : pair + 4] = [*second, *first]

    def offer(self, number: int) -> None:
        self.tools = TOOLS[number]

    def forget(self) -> None:
        from mistral_agents._border.turns import HEADS

        HEADS.__init__()  # type: ignore[misc]

    def elsewhere(self, text: str) -> None:
        """Another process goes on with the newest conversation."""
        if self.service.kept:
            key = list(self.service.kept)[-1]
            number = next(self.service.numbers)
            self.service.kept[key].append(
                {"type": "message.input", "id": f"e{number}", "role": "user", "content": text}
            )
            said = {"type": "message.output", "id": f"x{number}", "role": "assistant", "content": "ok"}
            self.service.kept[key].append(said)


def live(wing: str, edits: list[tuple[Any, ...]]) -> list[tuple[str, str, Any]]:
    user = User(wing)
    user.forget()
    for kind, *values in edits:
        user.do(kind, *values)
    return user.service.asked


@settings(max_examples=60, deadline=None)
@given(st.lists(EDITS, max_size=14))
def test_both_wings_choose_the_same(edits: list[tuple[Any, ...]]) -> None:
    assert live("langchain", edits) == live("llama_index", edits)


@settings(max_examples=40, deadline=None)
@given(st.lists(EDITS.filter(lambda edit: edit[0] != "elsewhere"), max_size=12))
def test_the_model_hears_what_the_user_sees(edits: list[tuple[Any, ...]]) -> None:
    """After any edits, the conversation that the next answer belongs to holds just the messages given.

    But for what another process said there since this one looked, which it does not see.
    """
    user = User("llama_index")
    user.forget()
    for kind, *values in [*edits, ("say", "last")]:
        user.do(kind, *values)
    held = user.service.kept[str(user.way.conversation(user.messages[-1]))]
    assert [entry["content"] for entry in held] == [user.way.text(message) for message in user.messages]
