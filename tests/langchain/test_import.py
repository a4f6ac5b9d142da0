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

FOR_TURNS = ("mistral_agents.conversations", "mistral_agents._api.planner", "mistral_agents._http.transport")
FOR_OTHERS = ("mistral_agents.batches", "mistral_agents.libraries")
EARLY = (
    *FOR_TURNS,
    *FOR_OTHERS,
    "langchain_mistral_agents._turns",
    "mistral_agents._border.continuation",
    "mistral_agents.entries",
)


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


def test_what_a_call_needs_is_loaded_with_the_first_model() -> None:
    """Processes that are forked from there on share it; the SDK waits for the first call."""
    code = "from langchain_mistral_agents import ChatMistralAgent\nimport sys\nChatMistralAgent(model='m')\n"
    code += f"print([m for m in {('langchain_mistral_agents._turns', *FOR_TURNS)!r} if m not in sys.modules])\n"
    code += f"print([m for m in {(*FOR_OTHERS, 'mistralai')!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]"]


def test_the_import_loads_nothing_that_only_turns_need() -> None:
    code = f"from langchain_mistral_agents import ChatMistralAgent\nimport sys\nprint([m for m in {EARLY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


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
