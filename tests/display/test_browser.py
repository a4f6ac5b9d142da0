"""Pages and notebook outputs in a real browser: nothing runs, nothing is loaded, and they fit dark, light and narrow screens.

The browser is Chromium, where one is installed. A server on loopback sees what it asks for.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mistral_agents._display.html import draw_fragment, draw_page

from .inert import look_at
from .objects import HOSTILE, objects_of

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.skipif(BROWSER is None, reason="needs Chromium"), pytest.mark.timeout(200)]
MEASURE = """<script>document.title = [document.documentElement.scrollWidth <= innerWidth + 1, innerWidth < 600,
getComputedStyle(document.body).backgroundColor].join(" ")</script>"""
TRAPS = [
    '<img src="{url}/img" onerror="fetch(\'{url}/onerror\')">',
    "<script>fetch('{url}/script')</script>",
    '<iframe src="{url}/frame"></iframe><object data="{url}/object"></object><embed src="{url}/embed">',
    '<link rel="stylesheet" href="{url}/css"><style>body {{background: url({url}/style)}}</style>',
    "![picture]({url}/markdown)",
    '<svg onload="fetch(\'{url}/svg\')"><image href="{url}/svgimage"/></svg>',
    '<video src="{url}/video" poster="{url}/poster" autoplay></video><audio src="{url}/audio" autoplay></audio>',
    '<meta http-equiv="refresh" content="0;url={url}/refresh"><base href="{url}/base/">',
    '</pre></style></details></div><script src="{url}/src"></script>',
    '" onmouseover="fetch(1)" style="background:url({url}/attribute)',
    "[x](javascript:fetch('{url}/link'))",
]
"""What would ask a server, could it do anything."""


class Trap:
    """A server that nobody should ask."""

    def __init__(self) -> None:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.asked = asked
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    made = Trap()
    yield made
    made.stop()


def browse(folder: Path, html: str, *options: str) -> str:
    """The page as the browser has it once it is loaded."""
    page = folder / "page.html"
    page.write_text(html, encoding="utf-8")
    command = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--dump-dom",
        "--disable-background-networking",
    ]
    command += ["--virtual-time-budget=2000", f"--user-data-dir={folder / 'profile'}", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=150, check=True).stdout


def hostile(trap: Trap) -> str:
    return "\n\n".join([*HOSTILE, *(one.format(url=trap.url) for one in TRAPS)])


def test_the_traps_would_be_sprung_by_a_page_that_lets_them(trap, tmp_path):
    browse(tmp_path, "<!doctype html><body>" + "\n".join(one.format(url=trap.url) for one in TRAPS[:2]))
    assert {"/img", "/script"} <= set(trap.asked)


def test_a_hostile_conversation_page_runs_nothing_and_loads_nothing(trap, tmp_path):
    html = draw_page(objects_of(hostile(trap))["history"]._view())
    looker = look_at(browse(tmp_path, html))
    assert "you" in looker.text
    assert looker.bad == []
    assert trap.asked == []


def test_neither_does_any_output_of_a_notebook_which_no_policy_guards(trap, tmp_path):
    shown = objects_of(hostile(trap))
    html = "".join(draw_fragment(thing._view()) for thing in shown.values())
    browse(tmp_path, f"<!doctype html><body>{html}")
    assert trap.asked == []


@pytest.mark.parametrize(("scheme", "number"), [("dark", 0), ("light", 1)])
@pytest.mark.parametrize("width", [480, 1200])
def test_a_page_fits_the_screen_and_its_colours(tmp_path, scheme, number, width):
    long_words = (
        "word " * 80 + "w" * 400 + "\n\n| a | b |\n|---|---|\n| " + "x" * 300 + " | y |\n\n```\n" + "c" * 300 + "\n```"
    )
    html = draw_page(objects_of(long_words)["history"]._view())
    open_page = re.sub(r"<meta http-equiv[^>]*>", "", html).replace("</body>", f"{MEASURE}</body>")
    assert MEASURE in open_page
    dom = browse(tmp_path, open_page, f"--window-size={width},900", f"--blink-settings=preferredColorScheme={number}")
    fits, is_narrow, colour = re.search(r"<title>(\w+) (\w+) ([^<]*)</title>", dom).groups()
    assert (fits, is_narrow) == ("true", "true" if width < 600 else "false")
    assert (colour == "rgb(23, 24, 28)") is (scheme == "dark")
