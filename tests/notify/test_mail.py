"""The HTML of a mail: the same words as the plain text, laid out, and nothing that upstream could act through."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.notify.examples import ANSWER, FAILED, event
from tests.notify.test_hostile_text import HOSTILE, digest_of
from tests.notify.test_message import DOWN, NEWS, PLAN
from watcher.model.notice import Message
from watcher.model.text import link
from watcher.notify.mail import render_html
from watcher.notify.message import Digest, compose

TAGS = {"div", "p", "b", "br", "ul", "li", "a"}


class Reading(HTMLParser):
    """Gathers what a mail program would act on, and the words that it shows."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert {name for name, _ in attrs} <= {"style", "href"}
        self.links += [value or "" for name, value in attrs if name == "href"]
        self.words += " "

    def handle_endtag(self, tag: str) -> None:
        self.words += " "

    def handle_data(self, data: str) -> None:
        self.words += data


def words_of(text: str) -> list[str]:
    """Return the words without the marks of list rows."""
    return [word for line in text.splitlines() for word in line.removeprefix("- ").split()]


def test_it_says_what_the_plain_text_says_and_links_its_pages() -> None:
    message = compose(
        Digest("orin-nx", ANSWER, events=(event(), *NEWS), trials=(FAILED,), planned=(PLAN,), owed=(DOWN,))
    )
    read = Reading(render_html(message))
    assert read.tags == TAGS
    assert set(read.links) == {"http://127.0.0.1/v0.33.0"}
    assert read.words.split() == words_of(message.body)
    assert read.words.split()[:4] == ["container:zoe-ollama", "is", "still", "down."]


def test_the_bar_beside_the_verdict_tells_bad_from_good() -> None:
    bars = {render_html(Message("t", "text", tone)) for tone in ("info", "success", "warning", "failure")}
    assert len(bars) == 4


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    message = compose(digest_of(text))
    read = Reading(render_html(message))
    assert read.tags <= TAGS
    assert all(link(each) == each for each in read.links)


@given(st.text())
def test_any_text_can_be_laid_out(text: str) -> None:
    read = Reading(render_html(Message("t", text)))
    assert read.tags <= TAGS
