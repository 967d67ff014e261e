"""Upstream may write what it likes: it stays text on its line, and no link leads anywhere but to a web page."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.page.hostile import HOSTILE, facts_of
from tests.page.reading import Page
from watcher.page.markup import anchor, plain, said, sentence
from watcher.page.places import kind_of
from watcher.page.render import render
from watcher.page.timeline import moments, timeline

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
URLS = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "//example.org/x",
    "vbscript:x",
    'https://example.org/"><script>',
    "https://example.org/ x",
    "https://example.org/\u202e",
    "https://example.org/" + "x" * 10_000,
]


def is_beside(link: str) -> bool:
    return kind_of(link) is not None


def assert_harmless(markup: str) -> None:
    page = Page(markup)
    assert page.faults == []
    assert all(link.startswith(("https://", "http://", "#")) or is_beside(link) for link in page.links), page.links
    assert not _UNSAFE.search(page.text + page.title)
    markup.encode()


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_hostile_text_becomes_markup(text: str) -> None:
    markup = render(facts_of(text))
    assert_harmless(markup)
    assert len(markup) < 400_000, "long names are cut"


@pytest.mark.parametrize("url", URLS, ids=range(len(URLS)))
def test_no_hostile_address_becomes_a_link(url: str) -> None:
    page = Page(render(facts_of("name", url)))
    assert {link for link in page.links if not link.startswith("#") and not is_beside(link)} == set()
    assert "name" in page.text, "the words stay, without the link"


def test_an_ordinary_address_is_a_link_that_tells_nobody_where_it_was() -> None:
    url = "https://example.org/a?b=1&c='x"
    markup = anchor("https://example.org/a?b=1&c=2", "words")
    assert 'href="https://example.org/a?b=1&amp;c=2" rel="noopener noreferrer"' in markup
    assert "href" not in anchor(url, "words"), "a quote has no place in an address"


@given(st.text())
@settings(max_examples=60, deadline=None)
def test_any_text_makes_a_page(text: str) -> None:
    assert_harmless(render(facts_of(text)))


@given(st.text(max_size=300))
def test_any_text_stays_in_its_element(text: str) -> None:
    for markup in (said(text, 80), sentence(text, 80), f"<p>{plain(text, 80)}</p>", anchor(text, text)):
        assert_harmless(markup)


@pytest.mark.parametrize("text", [text for text in HOSTILE if not set(text) & {"\ufffe", "\uffff"}], ids=repr)
def test_the_picture_stays_good_xml(text: str) -> None:
    facts = facts_of(text)
    ElementTree.fromstring(timeline(facts, moments(facts)))


def test_what_is_said_can_be_read_back() -> None:
    text = '<b>1 < 2 & "3"</b>'
    assert text in Page(render(facts_of(text))).text
