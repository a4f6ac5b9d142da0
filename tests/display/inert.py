"""Whether a piece of HTML can do anything by itself: parsed, not searched for words."""

from __future__ import annotations

from html.parser import HTMLParser

ALLOWED = frozenset(
    [
        "a",
        "blockquote",
        "body",
        "br",
        "code",
        "dd",
        "del",
        "details",
        "div",
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "head",
        "hr",
        "html",
        "img",
        "li",
        "main",
        "mark",
        "meta",
        "ol",
        "p",
        "path",
        "pre",
        "rect",
        "s",
        "span",
        "strong",
        "style",
        "summary",
        "svg",
        "table",
        "tbody",
        "td",
        "text",
        "th",
        "thead",
        "title",
        "tr",
        "ul",
        "circle",
    ]
)
ATTRIBUTES = frozenset(
    [
        "alt",
        "charset",
        "class",
        "content",
        "cx",
        "cy",
        "d",
        "fill",
        "font-family",
        "font-size",
        "height",
        "href",
        "http-equiv",
        "lang",
        "name",
        "r",
        "rel",
        "rx",
        "src",
        "stroke",
        "style",
        "target",
        "text-anchor",
        "value",
        "viewbox",
        "viewbox",
        "width",
        "x",
        "xmlns",
        "y",
        "start",
    ]
)


class _Looker(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.bad: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ALLOWED:
            self.bad.append(tag)
        for name, value in attrs:
            text = (value or "").strip().lower()
            if name not in ATTRIBUTES:
                self.bad.append(f"{tag} {name}")
            if name == "href" and not text.startswith(("http://", "https://")):
                self.bad.append(f"href {text}")
            if name == "href":
                self.links.append(value or "")
            if name == "src" and not text.startswith(
                ("data:image/png;", "data:image/jpeg;", "data:image/gif;", "data:image/webp;")
            ):
                self.bad.append(f"src {text[:40]}")
            if name == "style" and text not in ("text-align:left", "text-align:right", "text-align:center"):
                self.bad.append(f"style {text}")

    def handle_data(self, data: str) -> None:
        self.text += data


def look_at(html: str) -> _Looker:
    looker = _Looker()
    looker.feed(html)
    looker.close()
    return looker
