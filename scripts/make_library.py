"""Makes the PDF and DOCX of `examples/library/` from `scripts/library/`: `python -m scripts.make_library`.

The texts are plain Markdown of four kinds of block: headings, paragraphs, lists and tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

TEXTS = Path(__file__).parent / "library"
OUT = Path(__file__).parent.parent / "examples" / "library"
AS_WORD = {"agents-in-production-handbook"}
MADE = datetime(2026, 1, 31, tzinfo=timezone.utc)
"""A fixed date, so that the same text gives the same file."""
Block = tuple[str, Any]


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a text: ("h1" | "h2" | "p", text), ("ul", items), ("table", rows)."""
    for part in re.split(r"\n\s*\n", text.strip()):
        lines = [line.strip() for line in part.splitlines()]
        if lines[0].startswith("#"):
            level, _, title = lines[0].partition(" ")
            yield f"h{len(level)}", title
        elif lines[0].startswith("|"):
            yield "table", [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        elif lines[0].startswith("- "):
            yield "ul", [line[2:] for line in lines]
        else:
            yield "p", " ".join(lines)


def make_pdf(text: str, path: Path) -> None:
    """Write a PDF of A4 pages with page numbers."""
    from fpdf import FPDF
    from fpdf.enums import XPos, YPos

    class Pages(FPDF):
        def footer(self) -> None:
            self.set_y(-15)
            self.set_font("Times", size=9)
            self.cell(0, 8, str(self.page_no()), align="C")

    pdf = Pages(format="A4")
    pdf.set_creation_date(MADE)
    pdf.set_margins(28, 24)
    pdf.set_auto_page_break(auto=True, margin=24)
    pdf.add_page()
    for kind, value in blocks(text):
        if kind in ("h1", "h2"):
            pdf.set_font("Helvetica", "B", 19 if kind == "h1" else 13)
            pdf.ln(0 if kind == "h1" else 3)
            pdf.multi_cell(0, 9, value, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            pdf.ln(2)
        elif kind == "table":
            _pdf_table(pdf, value)
        else:
            pdf.set_font("Times", size=12)
            for line in [f"- {item}" for item in value] if kind == "ul" else [value]:
                pdf.multi_cell(0, 6.2, line, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            pdf.ln(3)
    title = next(value for kind, value in blocks(text) if kind == "h1")
    pdf.set_title(title)
    pdf.output(str(path))


def _pdf_table(pdf: Any, rows: list[list[str]]) -> None:
    pdf.set_font("Times", size=11)
    widths = (2, *[1] * (len(rows[0]) - 1))
    aligned = ("LEFT", *["RIGHT"] * (len(rows[0]) - 1))
    if pdf.will_page_break(7 * len(rows)):
        pdf.add_page()
    with pdf.table(col_widths=widths, text_align=aligned, line_height=6.5) as table:
        for row in rows:
            cells = table.row()
            for cell in row:
                cells.cell(cell)
    pdf.ln(4)


def make_word(text: str, path: Path) -> None:
    """Write a Word document with real headings and lists."""
    from docx import Document
    from docx.shared import Pt

    document = Document()
    document.core_properties.created = document.core_properties.modified = MADE.replace(tzinfo=None)
    document.core_properties.author = "mistral-agents"
    document.styles["Normal"].font.size = Pt(12)
    for kind, value in blocks(text):
        if kind in ("h1", "h2"):
            document.add_heading(value, level=0 if kind == "h1" else 1)
        elif kind == "ul":
            for item in value:
                document.add_paragraph(item, style="List Bullet")
        elif kind == "table":
            table = document.add_table(rows=0, cols=len(value[0]), style="Table Grid")
            for row in value:
                for cell, content in zip(table.add_row().cells, row, strict=True):
                    cell.text = content
        else:
            document.add_paragraph(value)
    document.save(str(path))


def main() -> None:
    """Make every file."""
    OUT.mkdir(parents=True, exist_ok=True)
    for source in sorted(TEXTS.glob("*.md")):
        text = source.read_text("utf-8")
        word = source.stem in AS_WORD
        path = OUT / f"{source.stem}.{'docx' if word else 'pdf'}"
        (make_word if word else make_pdf)(text, path)
        print(path)


if __name__ == "__main__":
    main()
