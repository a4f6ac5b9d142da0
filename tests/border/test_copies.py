"""Copies of models for streams: what `copy.copy` gives, and nothing shared that a later change could reach."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, TextBlock
from pydantic import BaseModel, ConfigDict, PrivateAttr

from mistral_agents._border.copies import copy_with


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str = ""
    _kept: int = PrivateAttr(default=3)


PATTERNS = [
    AIMessageChunk(content="Hi", id="m", response_metadata={"a": 1}),
    ChatGenerationChunk(message=AIMessageChunk(content="Hi")),
    ChatMessage(role="assistant", content="Hi", additional_kwargs={"a": 1}),
    ChatResponse(message=ChatMessage(content="Hi"), delta="i", raw={"a": 1}),
    TextBlock(text="Hi"),
    Open(name="a", other=[1]),
]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: type(pattern).__name__)
def test_a_copy_is_what_copy_gives(pattern: Any) -> None:
    made, usual = copy_with(pattern), copy.copy(pattern)
    assert made == usual == pattern
    assert type(made) is type(pattern)
    assert made.model_fields_set == usual.model_fields_set
    assert made.model_dump_json() == usual.model_dump_json()


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: type(pattern).__name__)
def test_what_is_set_on_a_copy_stays_there(pattern: Any) -> None:
    before = pattern.model_dump_json(), set(pattern.model_fields_set)
    made = copy_with(pattern)
    name = next(iter(type(pattern).model_fields))
    made.__pydantic_fields_set__.add("something")
    made.__dict__[name] = "else"
    if made.__pydantic_extra__ is not None:
        made.__pydantic_extra__["more"] = 1
    if made.__pydantic_private__ is not None:
        made.__pydantic_private__["_kept"] = 4
    assert (pattern.model_dump_json(), pattern.model_fields_set) == before
    if isinstance(pattern, Open):
        assert pattern._kept == 3


def test_other_values_take_their_fields() -> None:
    made = copy_with(TextBlock(text="Hi"), text="Ho")
    assert made == TextBlock(text="Ho")
