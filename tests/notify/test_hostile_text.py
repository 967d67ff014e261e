"""Upstream may write what it likes: it stays one tame line of a message."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.notify.examples import ANSWER, CANDIDATE, FAILED, event
from watcher.model.text import link
from watcher.model.trial import ServiceReport, ServiceState
from watcher.model.verdict import Evidence, Rung
from watcher.notify.message import Digest, SourceTrouble, compose
from watcher.notify.tame import tame

HOSTILE = [
    "line\nSubject: injected\r\nBcc: all@example.org",
    "\x1b[2J\x1b]0;owned\x07",
    "@everyone @here and @channel",
    "<!channel> <@U024BE7LH> <http://evil.example|the release>",
    "[the release](http://evil.example)",
    "abc\u202egnp.exe",
    "\u2028\u2029\u200b",
    "half a pair \ud800",
    "x" * 100_000,
]


def digest_of(text: str) -> Digest:
    """Return a digest in which every upstream text is `text`."""
    trial = replace(
        FAILED,
        candidate=replace(CANDIDATE, image=text, engine=text, digest=text),
        reason=text,
        evidence=(Evidence(Rung.BRING_UP, text, text, 1),),
        displaced=(text,),
        owed=(ServiceReport(text, ServiceState.DOWN, text),),
    )
    return Digest(
        text,
        replace(ANSWER, headline=text, next_step=text),
        events=(event(text, url=text), replace(event(text, url=text), source=text)),
        trials=(trial,),
        troubles=(SourceTrouble(text, text),),
        owed=(ServiceReport(text, ServiceState.DOWN, text),),
        remarks=(text,),
    )


def assert_harmless(text: str) -> None:
    assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in text.replace("\n", ""))
    assert not set(text) & set("\u2028\u2029\u200b\u202e\u2066")
    text.encode()
    for active in ("@everyone", "@here", "@channel", "<!", "<@", "<http", "]("):
        assert active not in text


@pytest.mark.parametrize("text", HOSTILE)
def test_no_hostile_text_leaves_its_line(text: str) -> None:
    message = compose(digest_of(text))
    assert_harmless(message.title)
    assert_harmless(message.body)
    assert "\n" not in message.title
    assert not any(line.startswith(("Subject:", "Bcc:")) for line in message.body.splitlines())
    assert len(message.title) < 400
    assert len(message.body) <= 6000


@given(st.text())
def test_any_text_is_tamed(text: str) -> None:
    tamed = tame(text, 80)
    assert_harmless(tamed)
    assert "\n" not in tamed
    assert len(tamed) <= 80


@given(st.text())
def test_any_text_makes_a_message(text: str) -> None:
    message = compose(digest_of(text))
    assert_harmless(message.title + message.body)


def test_an_image_reference_can_still_be_copied() -> None:
    reference = "ghcr.io/example/vllm:0.33.0-r36.4@sha256:" + "ab" * 32
    assert tame(reference) == reference


@pytest.mark.parametrize("url", ["https://example.org/a/b?x=1&y=%20#f", "http://127.0.0.1:8080/v0.33.0+cu126"])
def test_an_ordinary_page_is_linked(url: str) -> None:
    assert link(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://a b",
        "http://a\nb",
        "http://a|b",
        "http://a)",
        "//a",
        'http://"',
        "http://a/\u202eb",
        "http://a/" + "x" * 500,
    ],
)
def test_anything_else_is_no_link(url: str) -> None:
    assert link(url) is None
