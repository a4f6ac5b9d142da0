"""What platforms for traces get of a turn: LangSmith's side here, the others by `make observability`."""

from __future__ import annotations

import pytest

from mistral_agents_server.testing import Standin
from scripts.observability import MARKS, PAGE, PLATFORMS, see_langsmith


def test_langsmith_gets_turns_with_tokens_hosted_tools_and_errors() -> None:
    standin = Standin()
    try:
        seen = see_langsmith(standin)
    finally:
        standin.stop()
    tool, call, streamed_tool, stream, refused = seen
    assert [(run.name, run.kind) for run in (tool, streamed_tool)] == [("code_interpreter", "tool")] * 2
    assert [run.kind for run in (call, stream, refused)] == ["llm"] * 3
    assert int(call.tokens) == int(stream.tokens) > 0
    assert [run.failed for run in seen] == [False, False, False, False, True]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_page_says_what_each_platform_got(platform: str) -> None:
    table = PAGE.read_text(encoding="utf-8").split(MARKS[0])[1].split(MARKS[1])[0]
    (row,) = [line for line in table.splitlines() if line.startswith(f"| {platform} |")]
    assert "`code_interpreter` (tool)" in row
    assert ", error)" in row
