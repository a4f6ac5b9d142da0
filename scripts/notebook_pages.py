"""The notebooks of `examples/` with their outputs as pages of the site: `make docs` writes them before it builds.

Nothing is executed. Outputs of HTML are ours and pandas': they bring their
styles, load nothing, and take their colours from the page, dark or light.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "examples"
PAGES = Path(__file__).parent.parent / "docs" / "examples"
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


def main() -> None:
    """Write the pages, and the notebooks beside them, where the site is built from; git does not keep them."""
    PAGES.mkdir(exist_ok=True)
    for path in sorted(FOLDER.glob("*.ipynb")):
        source = path.read_text(encoding="utf-8")
        (PAGES / f"{path.stem}.md").write_text(render_notebook(json.loads(source), path.stem), encoding="utf-8")
        (PAGES / path.name).write_text(source, encoding="utf-8")


if __name__ == "__main__":
    main()
