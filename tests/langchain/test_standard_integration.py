"""LangChain's standard integration suite against the stand-in: each mode, each form of output."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.integration_tests import chat_models as suite
from langchain_tests.integration_tests.chat_models import magic_function, magic_function_no_args, unicode_customer
from vcr import VCR

from langchain_mistral_agents import ChatMistralAgent
from mistral_agents import MistralAgents
from tests.support.running import Standin

MODEL = "mistral-small-latest"


PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n%%EOF\n"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@dataclass(frozen=True)
class _Fetched:
    """What a fetch of the suite gives: bytes of the kind that the address names."""

    content: bytes


def _fetch(url: str, **_: Any) -> _Fetched:
    return _Fetched(PDF if url.endswith(".pdf") else PNG)


@pytest.mark.filterwarnings(
    "ignore:A (tool_use|thinking) block of another provider's answer is left out:UserWarning",  # the suite sends some
    "ignore:tool_choice='any' can't be forced on an agent:UserWarning",  # and forces tools on agents
)
class _Suite(ChatModelIntegrationTests):
    """What all have in common. What the suite would download (pictures, a PDF) comes from here."""

    server: Standin
    extra: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _on_standin(self, standin: Standin) -> None:
        type(self).server = standin

    @pytest.fixture(autouse=True)
    def _without_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(suite.httpx, "get", _fetch)

    @pytest.fixture
    def vcr(self, tmp_path: Path) -> Iterator[Any]:
        """A cassette that is recorded on the spot, against the stand-in."""
        with VCR(record_mode="new_episodes").use_cassette(str(tmp_path / "stream.yaml")) as cassette:
            yield cassette

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatMistralAgent

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": MODEL, "api_key": "test-key", "base_url": self.server.base_url, **self.extra}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_urls(self) -> bool:
        return True

    @property
    def supports_pdf_inputs(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_pdf_tool_message(self) -> bool:
        return True

    @property
    def enable_vcr_tests(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def supports_model_override(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "mistral-medium-latest"


class TestStateless(_Suite):
    extra: ClassVar[dict[str, Any]] = {}


class TestStatelessV1(_Suite):
    extra: ClassVar[dict[str, Any]] = {"output_version": "v1"}


class TestStored(_Suite):
    extra: ClassVar[dict[str, Any]] = {"store": True}


class TestStoredV1(_Suite):
    extra: ClassVar[dict[str, Any]] = {"store": True, "output_version": "v1"}


@tool
def my_adder_tool(a: int, b: int) -> int:
    """Tool that adds two integers.

    Takes two integers, a and b, and returns their sum.
    """
    return a + b


@tool
def get_weather(location: str) -> str:
    """Get the weather at a location."""
    return "It's sunny."


@tool
def color_picker(fav_color: str) -> str:
    """Input your fav color and get a random fact about it."""
    return "A fact."


@tool
def random_image() -> str:
    """Return a random image."""
    return ""


@tool
def random_pdf() -> str:
    """Return a random PDF."""
    return ""


def _functions() -> list[dict[str, Any]]:
    """The suite's functions: an agent's tools are set when it is made."""
    prompt = ChatPromptTemplate.from_messages([("human", "Hello. Please respond in the style of {answer_style}.")])
    greeting = (prompt | RunnableLambda(str)).as_tool(
        name="greeting_generator", description="Generate a greeting in a particular style of speaking."
    )
    tools = [magic_function, magic_function_no_args, my_adder_tool, get_weather, color_picker, unicode_customer]
    tools += [greeting, random_image, random_pdf]
    return [convert_to_openai_tool(each) for each in tools]


@pytest.fixture(scope="module")
def agent_id(standin: Standin) -> str:
    with MistralAgents(api_key="test-key", base_url=standin.base_url) as client:
        return str(client.agents.create(model=MODEL, name="suite", tools=_functions())["id"])


class _AgentSuite(_Suite):
    agent_id: str

    @pytest.fixture(autouse=True)
    def _with_agent(self, agent_id: str) -> None:
        type(self).agent_id = agent_id

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"agent_id": self.agent_id, "api_key": "test-key", "base_url": self.server.base_url, **self.extra}

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        """No temperature and no max_tokens: the service refuses completion options beside an agent."""
        return {"timeout": 60, "stop": [], "max_retries": 2}

    @property
    def has_tool_choice(self) -> bool:
        """The agent's own completion options decide; they can't be given with a request."""
        return False

    @property
    def has_structured_output(self) -> bool:
        """`response_format` is a completion option too."""
        return False

    @property
    def supports_json_mode(self) -> bool:
        """The same."""
        return False

    @property
    def supports_model_override(self) -> bool:
        """The agent fixes the model."""
        return False


class TestAgent(_AgentSuite):
    extra: ClassVar[dict[str, Any]] = {}


class TestAgentV1(_AgentSuite):
    extra: ClassVar[dict[str, Any]] = {"output_version": "v1"}


class TestStoredAgent(_AgentSuite):
    extra: ClassVar[dict[str, Any]] = {"store": True}


class TestStoredAgentV1(_AgentSuite):
    extra: ClassVar[dict[str, Any]] = {"store": True, "output_version": "v1"}
