"""Functions that LlamaIndex runs outside an agent."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from llama_index.core.tools import FunctionTool

from llama_index_mistral_agents import MistralAgentLLM
from mistral_agents import MistralAgents
from tests.support.running import Standin
from tests.support.scripted import ScriptedModel, call, calls, say

GOOD, CUT = '{"path": "/srv/new"}', '{"path": "/srv/ol'
each_way = pytest.mark.parametrize("blocking", [True, False], ids=["sync", "async"])


@pytest.fixture(scope="module")
def stage() -> Any:
    mind = ScriptedModel()
    served = Standin(model_url=mind.url)
    yield served, mind
    served.stop()
    mind.stop()


class Files:
    """What was really wiped."""

    def __init__(self) -> None:
        self.wiped: list[str] = []

    def wipe(self, path: str = "/") -> str:
        """Remove a folder."""
        if path == "/locked":
            raise PermissionError(path)
        self.wiped.append(path)
        return f"wiped {path}"


def predict(stage: Any, blocking: bool, files: Files, *replies: Any, **options: Any) -> Any:
    served, mind = stage
    mind.script(*replies)
    tools = [FunctionTool.from_defaults(files.wipe)]
    options = {"tools": tools, "user_msg": "Tidy up.", "allow_parallel_tool_calls": True, **options}
    with MistralAgents(api_key="k", base_url=served.base_url, max_retries=0) as client:
        model = MistralAgentLLM("m", client=client)
        if blocking:
            return model.predict_and_call(**options)

        async def apredict() -> Any:
            try:
                return await model.apredict_and_call(**options)
            finally:
                await client.aclose()

        return asyncio.run(apredict())


@each_way
def test_what_can_be_read_is_run_and_the_rest_is_an_error(stage: Any, blocking: bool) -> None:
    files = Files()
    answer = predict(stage, blocking, files, calls(call("wipe", CUT), call("wipe", GOOD)))
    assert files.wiped == ["/srv/new"]
    assert [output.is_error for output in answer.sources] == [True, False]
    assert "no JSON object" in answer.sources[0].content


@each_way
def test_a_function_that_is_not_there_is_an_error(stage: Any, blocking: bool) -> None:
    answer = predict(stage, blocking, Files(), call("burn", json.loads(GOOD)))
    assert [output.is_error for output in answer.sources] == [True]
    with pytest.raises(ValueError, match="burn"):
        predict(stage, blocking, Files(), call("burn", json.loads(GOOD)), error_on_tool_error=True)


@each_way
def test_half_a_call_alone_is_an_error_with_the_reason(stage: Any, blocking: bool) -> None:
    files = Files()
    with pytest.raises(ValueError, match=r"can't be read.*no JSON object"):
        predict(stage, blocking, files, call("wipe", CUT))
    answer = predict(stage, blocking, files, call("wipe", CUT), error_on_no_tool_call=False)
    assert [output.is_error for output in answer.sources] == [True]
    assert files.wiped == []


@each_way
def test_words_alone_are_the_answer(stage: Any, blocking: bool) -> None:
    assert (
        str(predict(stage, blocking, Files(), say("Nothing to do."), error_on_no_tool_call=False)) == "Nothing to do."
    )
    with pytest.raises(ValueError, match="it has none"):
        predict(stage, blocking, Files(), say("Nothing to do."))


@each_way
def test_a_function_that_fails_is_told(stage: Any, blocking: bool) -> None:
    answer = predict(stage, blocking, Files(), call("wipe", {"path": "/locked"}))
    assert [output.is_error for output in answer.sources] == [True]
