"""What importing the wing loads, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "llama_index",
    "mistralai",
    "langgraph",
    "langchain",
    "langchain_classic",
    "llama_index_mistral_agents",
)

LATER = (
    "mistral_agents.conversations",
    "mistral_agents.batches",
    "mistral_agents._api.planner",
    "mistral_agents._http.transport",
    "langchain_mistral_agents._structured",
    "langchain_mistral_agents._turns",
    "mistral_agents._border.continuation",
    "mistral_agents.entries",
)
"""What only a call needs, or one method."""


@pytest.mark.parametrize(
    "statement",
    [
        "import langchain_mistral_agents",
        "from langchain_mistral_agents import ChatMistralAgent; ChatMistralAgent(model='m')",
        "from langchain_mistral_agents import MistralAgentRunnable; MistralAgentRunnable(agent_id='ag_1')",
        "from langchain_mistral_agents import MistralConversationHistory; MistralConversationHistory()",
    ],
)
def test_nothing_heavy_is_loaded(statement: str) -> None:
    code = f"{statement}\nimport sys\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_a_call_needs_is_loaded_with_the_first_call() -> None:
    code = f"from langchain_mistral_agents import ChatMistralAgent\nimport sys\nprint([m for m in {LATER!r} if m in sys.modules])"
    code += (
        f"\nChatMistralAgent(model='m').mistral.conversations\nprint([m for m in {LATER[2:4]!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", str(list(LATER[2:4]))]


def test_the_package_alone_loads_nothing() -> None:
    code = "import langchain_mistral_agents, sys\nprint('langchain_core' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_exported_name_is_there() -> None:
    import langchain_mistral_agents as wing

    assert all(getattr(wing, name) for name in wing.__all__)
    assert set(wing.__all__) <= set(dir(wing))
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = wing.nothing_like_this
