"""All hosted tools behind one door."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mistral_agents_server.libraries import LibraryStore
from mistral_agents_server.tools.calls import HostedFunction
from mistral_agents_server.tools.code import CodeInterpreter, missing_libraries
from mistral_agents_server.tools.image import ImageGeneration
from mistral_agents_server.tools.library import DocumentLibrary
from mistral_agents_server.tools.limited.runner import CodeUnavailableError, LimitedRunner
from mistral_agents_server.tools.results import ToolError, ToolResult, failure, tokens_of
from mistral_agents_server.tools.web import WebSearch

Wire = dict[str, Any]


class Toolbox:
    """The hosted tools of a server.

    Args:
        libraries: where document libraries are kept.
        image_url: gives the address of a picture by its file id.
        pages: folder of pages for web search; None takes those that come with this package.
        runner: where code runs; None when it isn't allowed.
    """

    def __init__(
        self,
        libraries: LibraryStore,
        image_url: Callable[[str], str],
        *,
        pages: Path | None = None,
        runner: LimitedRunner | None = None,
    ) -> None:
        self._runner = runner
        self._functions: dict[str, list[HostedFunction[Any]]] = {
            "code_interpreter": CodeInterpreter(runner).functions(),
            "document_library": DocumentLibrary(libraries).functions(),
            "image_generation": ImageGeneration(image_url).functions(),
            "web_search": WebSearch(pages).functions(),
            "web_search_premium": WebSearch(pages, premium=True).functions(),
        }

    @property
    def code_description(self) -> str:
        """How code is run here, in a phrase; found out by running a line of it."""
        if self._runner is None:
            return "off (--allow-code turns it on)"
        try:
            described = self._runner.description
        except CodeUnavailableError as error:
            return f"off ({error})"
        missing = missing_libraries()
        return f"{described}, without {' or '.join(missing)}" if missing else described

    def schemas(self, tools: list[Wire]) -> list[Wire]:
        """The functions that the declared tools offer, in OpenAI's form."""
        return [function.schema() for _, function in self._offered(tools)]

    def wire_name(self, function: str, tools: list[Wire]) -> str:
        """The `name` of a run of `function`: the tool's type, or the function's own name where the service uses it.

        Raises:
            KeyError: no declared tool offers the function.
        """
        tool, found = self._find(function, tools)
        return found.entry if found.entry else str(tool["type"])

    def bare_name(self, function: str, tools: list[Wire]) -> str:  # noqa: ARG002
        """A function of a built-in tool has one name."""
        return function

    def run(self, function: str, arguments: Wire, tools: list[Wire]) -> ToolResult:
        """Run a function and wait for it. A failure is a result too, in the service's words.

        Raises:
            KeyError: no declared tool offers the function.
        """
        tool, found = self._find(function, tools)
        try:
            result = found.call(arguments, tool)
        except ToolError as error:
            connector = found.connector if found.connector else tool["type"]
            result = ToolResult(failure(function, str(error)), connector=connector)
        result.tokens = tokens_of(result.info)
        return result

    def _offered(self, tools: list[Wire]) -> Iterator[tuple[Wire, HostedFunction[Any]]]:
        for tool in tools:
            for function in self._functions.get(tool["type"], []):
                yield tool, function

    def _find(self, function: str, tools: list[Wire]) -> tuple[Wire, HostedFunction[Any]]:
        for tool, found in self._offered(tools):
            if found.name == function:
                return tool, found
        raise KeyError(f"none of the declared tools offers {function}")
