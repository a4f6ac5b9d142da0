"""The code interpreter: Python in a limited process."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from pydantic import BaseModel, Field

from mistral_agents_server.tools.calls import HostedFunction
from mistral_agents_server.tools.limited.job import DATA_LIBRARIES, Report
from mistral_agents_server.tools.limited.runner import CodeUnavailableError, LimitedRunner
from mistral_agents_server.tools.results import MadeFile, ToolError, ToolResult, text_items
from mistral_agents_server.uploads import extension_of, safe_name

Wire = dict[str, Any]

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_TEXT_FILE = "txt"


class Code(BaseModel):
    """Arguments of `code_interpreter`."""

    code: str = Field(description="Python to run. Save figures and tables as files to give them to the user.")


class CodeInterpreter:
    """Runs Python as a notebook cell; nothing is kept from one run to the next.

    Args:
        runner: where code runs; None when it isn't allowed here.
    """

    def __init__(self, runner: LimitedRunner | None) -> None:
        self._runner = runner

    def functions(self) -> list[HostedFunction[Any]]:
        """The functions it offers."""
        missing = missing_libraries()
        there = ", ".join(["numpy", *(name for name in DATA_LIBRARIES if name not in missing)])
        what = f"Run Python code in a fresh process. Libraries: {there}. There is no network."
        return [HostedFunction("code_interpreter", what, Code, self._run)]

    def _run(self, arguments: Code, _: Wire) -> ToolResult:
        if self._runner is None:
            raise ToolError("code is not allowed on this server; start it with --allow-code")
        try:
            report = self._runner.run(arguments.code)
        except CodeUnavailableError as error:
            raise ToolError(f"code can't be limited on this machine, so it is not run: {error}") from error
        if report.failed:
            raise ToolError(_reason(report))
        output = "".join([report.output, *(f"[{note}]\n" for note in report.notes)])
        info = {"result": text_items(output), "code": arguments.code, "code_output": output}
        return ToolResult(info, files=_files(report))


def missing_libraries() -> list[str]:
    """The libraries for data that code finds on the service and not here."""
    return [name for name in DATA_LIBRARIES if find_spec(name) is None]


def _reason(report: Report) -> str:
    said = report.output.strip("\n")
    if report.broken:
        return f"the process could not be made: {report.broken}"
    if report.stopped:
        return "\n".join(part for part in (said, f"The code was stopped: {report.stopped}.") if part)
    return said if said else "The code ended with an error and no message."


def _files(report: Report) -> list[MadeFile]:
    """The files made, by safe names, each once."""
    taken: set[str] = set()
    made = []
    for path, data in report.files:
        name = _free_name(safe_name(path), taken)
        taken.add(name)
        made.append(MadeFile(name, _type_of(name, data), data))
    return made


def _free_name(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    stem, dot, extension = name.rpartition(".")
    number = 1
    while (candidate := f"{stem}_{number}.{extension}" if dot else f"{name}_{number}") in taken:
        number += 1
    return candidate


def _type_of(name: str, data: bytes) -> str:
    """What the bytes are, where they tell; else what the name says."""
    if data.startswith(_PNG):
        return "png"
    if data.startswith(_JPEG):
        return "jpeg"
    extension = extension_of(name)
    return extension if extension else _TEXT_FILE
