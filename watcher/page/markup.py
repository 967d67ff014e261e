"""Pieces of HTML. Every text goes through `said`, every address through `anchor`: nothing else may reach the page."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape

from watcher.model.text import link, printable
from watcher.model.verdict import BringUp, BugState

_CODE = re.compile(r"`([^`]+)`")
_SIGNS = {
    BugState.PRESENT: "✗",
    BugState.FIXED: "✓",
    BugState.UNKNOWN: "?",
    BringUp.WORKS: "✓",
    BringUp.FAILS: "✗",
    BringUp.UNTRIED: "–",
}


def said(text: str, most: int = 200) -> str:
    """Return one escaped line of at most `most` characters, set apart from the direction of what surrounds it."""
    return f"<bdi>{plain(text, most)}</bdi>"


def plain(text: str, most: int = 200) -> str:
    """Return the same without markup, as attributes, `<title>` and SVG need it."""
    return escape(_encodable(printable(text, most)))


def sentence(text: str, most: int = 600) -> str:
    """Return an escaped sentence of our own, which may name things from upstream; `…` in backticks is set as code."""
    marked = _CODE.sub(r"<code>\1</code>", plain(text, most))
    return f"<bdi>{marked}</bdi>"


def anchor(url: str, words: str, most: int = 200) -> str:
    """Return the words as a link; only as words where the address is not a plain web page's."""
    address = link(url)
    if address is None:
        return said(words, most)
    return f'<a href="{escape(_encodable(address))}" rel="noopener noreferrer">{said(words, most)}</a>'


def moment(when: datetime | None, otherwise: str = "never") -> str:
    """Return a point in time to the minute: `2 Nov 2026, 12:00`. The page says once that times are UTC."""
    if when is None:
        return otherwise
    utc = when.astimezone(UTC)
    return f'<time datetime="{utc:%Y-%m-%dT%H:%MZ}">{day_text(utc)}, {utc:%H:%M}</time>'


def day(when: datetime) -> str:
    utc = when.astimezone(UTC)
    return f'<time datetime="{utc:%Y-%m-%d}">{day_text(utc)}</time>'


def day_text(when: datetime) -> str:
    return f"{when.day} {when:%b %Y}"


def chip(state: BugState | BringUp, words: str | None = None) -> str:
    """Return a state as a sign and a word: its colour says nothing that they do not."""
    return mark(state.value, sign(state), words or state.value)


def mark(name: str, sign: str, words: str) -> str:
    """Return a small label; `name` is the class that colours it, `words` are ours."""
    return f'<span class="chip {name}"><span class="sign" aria-hidden="true">{sign}</span>{escape(words)}</span>'


def sign(state: BugState | BringUp) -> str:
    return _SIGNS[state]


def table(name: str, heads: Iterable[str], rows: Iterable[str], caption: str = "") -> str:
    """Return a table of rows made by `row`; `name` is the class that gives its columns their widths."""
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    title = f"<caption>{caption}</caption>" if caption else ""
    return f'<table class="{name}">{title}<thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def row(*cells: str) -> str:
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def note(text: str) -> str:
    """Return a quiet line; `text` is markup."""
    return f'<p class="note">{text}</p>'


def under(text: str) -> str:
    """Return what stands small below the first line of a cell; `text` is markup."""
    return f'<span class="under">{text}</span>'


def _encodable(text: str) -> str:
    """Return the text with a question mark for half a surrogate pair, which no encoding can write."""
    return text.encode("utf-8", "replace").decode()
