"""A hook of MkDocs: the notebooks of `examples/`, with the outputs they keep, as pages of the site.

Nothing is executed and nothing of them is written into `docs/`. Outputs of HTML are ours and pandas': they bring their
styles, load nothing, and take their colours from the page, dark or light.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "examples"
_DRAWN = ("text/html", "image/svg+xml", "image/png", "image/jpeg", "text/plain")
"""The forms of an output that a page shows, the best first."""


def render_notebook(notebook: dict[str, Any], name: str) -> str:
    """A notebook as Markdown."""
    parts = [part for cell in notebook["cells"] for part in _render_cell(cell)]
    title, rest = parts[0].partition("\n")[::2]
    return "\n\n".join([title, f"[The notebook]({name}.ipynb), to run it yourself.", rest.strip(), *parts[1:]]) + "\n"


def _render_cell(cell: dict[str, Any]) -> Iterator[str]:
    text = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield text.replace("](../docs/", "](../")
        return
    yield _fence(text, "python")
    for output in cell["outputs"]:
        yield from _render_output(output)


def _render_output(output: dict[str, Any]) -> Iterator[str]:
    if output["output_type"] == "stream":
        yield _fence("".join(output["text"]).rstrip("\n"), "text")
        return
    data = output.get("data", {})
    kind = next((kind for kind in _DRAWN if kind in data), None)
    if kind is None:
        return
    text = "".join(data[kind])
    if kind.startswith("image/") and kind != "image/svg+xml":
        yield f'<div><img alt="output" src="data:{kind};base64,{text.strip()}"></div>'
    elif kind == "text/plain":
        yield _fence(text, "text")
    else:
        yield "\n".join(line for line in text.splitlines() if line.strip())


def _fence(text: str, language: str) -> str:
    """A block of code, in a fence that its text does not hold."""
    mark = "~~~" if "```" in text else "```"
    return f"{mark}{language}\n{text}\n{mark}"


def on_files(files: Any, config: Any) -> Any:
    """Add the pages, and the notebooks themselves."""
    from mkdocs.structure.files import File

    for path in sorted(FOLDER.glob("*.ipynb")):
        page = render_notebook(json.loads(path.read_text(encoding="utf-8")), path.stem)
        files.append(File.generated(config, f"examples/{path.stem}.md", content=page))
        files.append(File.generated(config, f"examples/{path.name}", abs_src_path=str(path)))
    return files
