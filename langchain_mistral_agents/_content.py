"""Content of LangChain's messages, as the border reads it."""

from __future__ import annotations

from typing import Any

from mistral_agents._border.blocks import ResultContent, make_content, make_result, make_text_only
from mistral_agents._border.dialects import read_parts, read_result, read_text_result
from mistral_agents._json import JsonDict

_Content = str | list[Any]


def human_content(content: _Content) -> str | list[JsonDict]:
    """A human message's content as the service takes it.

    Raises:
        ConfigurationError: A block is of a kind the service does not take (audio, video), or damaged.

    Warns:
        UserWarning: A block says nothing that the service takes.
    """
    return content if isinstance(content, str) else make_content(read_parts(content))


def system_content(content: _Content) -> str:
    """A system message's text.

    Raises:
        ConfigurationError: A block is more than text.
    """
    return content if isinstance(content, str) else make_text_only(list(read_parts(content)), "A system message")


def result_content(content: _Content) -> ResultContent:
    """A tool message's content: its text, and the pictures and documents that follow it.

    What is no content block of any dialect is a value that the tool gave, and goes in as JSON.
    """
    return make_result(read_text_result(content) if isinstance(content, str) else read_result(content))
