"""The page in a real browser: nothing runs, nothing is asked for, it fits a phone and follows light and dark."""

import re
from html.parser import HTMLParser

import pytest

from tests.page.examples import YEAR
from tests.page.hostile import facts_of
from tests.real.browser import dom_of
from tests.real.web import Reply, Web, web
from watcher.page.facts import PageFacts
from watcher.page.render import render

__all__ = ["web"]  # the fixture

HTML = {"Content-Type": "text/html; charset=utf-8"}
FRAME = """<!DOCTYPE html><iframe src="/page/" width="{width}" height="2000" onload="
  const page = this.contentDocument, look = name => getComputedStyle(page.querySelector(name));
  document.title = [page.documentElement.scrollWidth, look('body').backgroundColor, look('h1').color,
    look('.card').borderTopStyle, page.querySelectorAll('circle').length].join(' | ')"></iframe>"""


class _Titles(HTMLParser):
    def __init__(self, markup: str) -> None:
        super().__init__()
        self.title, self._in_title = "", False
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_title = tag == "title" and not self.title

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False

    def handle_data(self, data: str) -> None:
        self.title += data if self._in_title else ""


def title_of(markup: str) -> str:
    return _Titles(markup).title


def serve(web: Web, facts: PageFacts, add: str = "") -> str:
    """Serve the page, with `add` slipped in at its end, and return its address."""
    markup = render(facts).replace("</main>", f"{add}</main>")
    web.routes["/page/"] = Reply(200, markup.encode(), HTML)
    return f"{web.url}/page/"


def attack(host: str) -> str:
    return (
        f"<script>document.title='owned';fetch('{host}/leak-1')</script>"
        f"<img src='{host}/leak-2' onerror=\"document.title='owned'\">"
        f"<link rel=stylesheet href='{host}/leak-3'><iframe src='{host}/leak-4'></iframe>"
        f"<p style=\"background:url('{host}/leak-5')\">x</p><meta http-equiv=refresh content='0;{host}/leak-6'>"
    )


def test_the_browser_shows_the_answer(web: Web) -> None:
    dom = dom_of(serve(web, YEAR))
    assert re.search(r"<h1><bdi>The bug is still there: vLLM fails on orin-nx with [^<]*</bdi></h1>", dom)
    assert dom.count("<circle") > 20
    assert web.paths() == ["/page/"], "one file is all of it"


def test_hostile_text_runs_nothing_and_asks_for_nothing(web: Web) -> None:
    dom = dom_of(serve(web, facts_of(attack(web.url))))
    assert title_of(dom).endswith(": present, fails")
    assert "<script" not in dom
    assert "<img" not in dom
    assert web.paths() == ["/page/"]


def test_what_slipped_in_all_the_same_could_do_nothing(web: Web) -> None:
    slipped = attack(web.url).partition("<meta")[
        0
    ]  # a page may always send its reader elsewhere: no policy forbids that
    dom = dom_of(serve(web, YEAR, add=slipped))
    assert "<script>" in dom, "it is there"
    assert title_of(dom) == "orin-nx: present, fails"
    assert web.paths() == ["/page/"]


def test_without_the_policy_it_would_have(web: Web) -> None:
    serve(web, YEAR, add=attack(web.url).partition("<meta")[0])
    page = web.routes["/page/"]
    assert isinstance(page, Reply)
    web.routes["/page/"] = Reply(200, re.sub(rb'<meta http-equiv="Content[^>]*>', b"", page.body), HTML)
    assert title_of(dom_of(f"{web.url}/page/")) == "owned"
    assert {"/leak-2", "/leak-3", "/leak-4", "/leak-5"} <= set(web.paths())


@pytest.mark.parametrize("width", [320, 390, 1200])
def test_it_fits_the_screen_even_with_names_of_ten_thousand_letters(web: Web, width: int) -> None:
    serve(web, facts_of("x" * 10_000))
    web.routes["/frame/"] = Reply(200, FRAME.format(width=width).encode(), HTML)
    shown = title_of(dom_of(f"{web.url}/frame/", "--window-size=1400,2200"))
    assert int(shown.partition(" |")[0]) <= width, shown


def test_it_follows_light_and_dark_and_its_own_style_is_let_in(web: Web) -> None:
    serve(web, YEAR)
    web.routes["/frame/"] = Reply(200, FRAME.format(width=390).encode(), HTML)
    dark, light = (
        title_of(dom_of(f"{web.url}/frame/", f"--blink-settings=preferredColorScheme={scheme}")).split(" | ")
        for scheme in (0, 1)
    )
    assert (dark[1:3], light[1:3]) == (
        ["rgb(18, 19, 22)", "rgb(233, 231, 227)"],
        ["rgb(250, 249, 247)", "rgb(29, 31, 35)"],
    )
    assert light[3] == "solid"
