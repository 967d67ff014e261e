"""The links of a web page, which is all that is read of it: layouts change, anchors stay."""

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

from watcher.errors import SourceChanged
from watcher.fetch.hosts import resolve
from watcher.fetch.refusals import shown
from watcher.sources.bounded import LONGEST_URL, MOST_FACTS

_PIECE, _LONGEST_TAG = 64 * 2**10, 256 * 2**10
"""A page is read piece by piece, and no tag or comment may be longer: the parser takes quadratic time over it."""
_MOST_TAGS = 500_000
_KEPT = ("data-requires-python", "data-yanked", "data-core-metadata", "data-dist-info-metadata")
_INDEX_TITLE = re.compile(
    r"\b(links? for|links to|simple index|simple list|index of|directory listing)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A link: `url` is absolute, http or https, without the fragment; `text` is what a person clicks on.

    `attributes` are those by which an index says more of a file.
    """

    url: str
    fragment: str
    text: str
    attributes: Mapping[str, str | None]

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def file_name(self) -> str:
        """Return the last part of the path, unquoted; nothing for a folder."""
        return unquote(self.path.rsplit("/", 1)[-1])


@dataclass(frozen=True, slots=True)
class Page:
    """The anchors of a page, and whether its title is one of an index: then it may be empty."""

    anchors: tuple[Anchor, ...]
    is_index: bool


def read_page(body: bytes, url: str) -> Page:
    """Return the anchors of a page that came from `url`. Raises SourceChanged."""
    if body.count(b"<") > _MOST_TAGS:
        raise SourceChanged("the page has more tags than allowed", url=shown(url), limit=_MOST_TAGS)
    reader = _AnchorReader(url)
    try:
        for piece in codecs.iterdecode(_pieces(body), "utf-8", "replace"):
            reader.feed(piece)
            if len(reader.rawdata) > _LONGEST_TAG:
                raise ValueError("a tag without end")
        reader.finish()  # not `close`: what began and did not end would be read again from each of its letters
    except (AssertionError, ValueError, RecursionError):
        raise SourceChanged("the index page is not HTML", url=shown(url)) from None
    return Page(tuple(reader.anchors), bool(_INDEX_TITLE.search("".join(reader.titles))))


def _pieces(body: bytes) -> Iterator[bytes]:
    return (body[place : place + _PIECE] for place in range(0, len(body), _PIECE))


def link_at(page: str, href: str) -> tuple[str, str] | None:
    """Return (absolute address, fragment) of a link; None where it is neither http nor https, or far too long."""
    if len(href) > LONGEST_URL:
        return None
    try:
        url, _, fragment = resolve(page, href).partition("#")
    except SourceChanged:
        return None
    return url, fragment


class _AnchorReader(HTMLParser):
    """Collects the anchors, and the text of titles and headings."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.anchors: list[Anchor] = []
        self.titles: list[str] = []
        self._base = url
        self._in_title = False
        self._open: tuple[str, str, Mapping[str, str | None]] | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self._in_title = tag in ("title", "h1")
        if self._in_title:
            self.titles.append(" ")
        if tag == "base" and (href := values.get("href")):
            self._base = _joined(self._base, href)
        if tag == "a":
            self.finish()
            href = values.get("href")
            link = link_at(self._base, href.strip()) if href else None
            self._open = (*link, {name: values[name] for name in _KEPT if name in values}) if link else None

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False
        if tag == "a":
            self.finish()

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.titles.append(data)
        if self._open:
            self._text.append(data)

    def finish(self) -> None:
        """Take the anchor that is open, at its end or where the next one begins."""
        if self._open:
            if len(self.anchors) == MOST_FACTS:
                raise SourceChanged("the upstream lists more than allowed", limit=MOST_FACTS)
            url, fragment, attributes = self._open
            self.anchors.append(Anchor(url, fragment, " ".join("".join(self._text).split()), attributes))
        self._open = None
        self._text = []


def _joined(base: str, href: str) -> str:
    try:
        return urljoin(base, href)
    except ValueError:
        return base
