"""A conversation as one page."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mistral_agents._conversation.archive import collect_file_refs
from mistral_agents._display.blocks import View, Words
from mistral_agents._display.html import draw_page
from mistral_agents._display.talk import view_history
from mistral_agents._paths import expand_home, writing
from mistral_agents._turn.media import FileData
from mistral_agents.errors import ConfigurationError
from mistral_agents.history import History

_FACTS = ("id", "model", "agent_id", "created_at", "updated_at")


def conversation_page(info: Mapping[str, Any], history: History, files: Sequence[FileData]) -> str:
    """The page of a conversation.

    Args:
        info: What the service tells of it.
        history: Its entries.
        files: The files made in it, in order; none where they are left out.

    Raises:
        ConfigurationError: Jinja2 is not installed.
    """
    refs = collect_file_refs(history.entries)
    pictures = {str(ref.file_id): file for ref, file in zip(refs, files, strict=False)}
    name = info.get("name")
    view = view_history(history, name if isinstance(name, str) and name else None, pictures)
    facts = " · ".join(str(info[key]) for key in _FACTS if info.get(key) is not None)
    page = draw_page(View(view.title, [*([Words(facts)] if facts else []), *view.blocks], view.plain))
    if page is None:
        raise ConfigurationError("A page needs Jinja2: pip install 'mistral-agents[notebook]'.")
    return page


def write_page(path: str | os.PathLike[str], page: str) -> None:
    """Write a page; its folder is made.

    Raises:
        ConfigurationError: It can't be written.
    """
    target = expand_home(path)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")
