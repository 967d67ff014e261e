"""Atom and RSS through feedparser, in bounded time and memory whoever wrote the feed.

feedparser forgives damaged feeds and is not made for hostile ones: some of its parts take quadratic time over what no
feed holds. 256 kB kept it busy for minutes (a word, a declaration or white space without end), 50 000 categories for
one. So it gets a text that was decoded, counted and shortened here, and what remains takes 10 s at worst. Its HTML
sanitizer is left off: titles are escaped wherever they are shown.

A document type with declarations of its own is refused. feedparser drops nested entities and expat limits how much they
may grow, but a hundredfold of 4 MiB is allowed, a comment in the right place gets them past feedparser, and an expat
before 2.4 has no limit.
"""

import codecs
import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from time import struct_time
from typing import Any

from watcher.errors import SourceChanged

MAX_FEED = 4 * 2**20
"""Of a feed's body: forums and commits need a tenth of it, ten releases with long notes one MB."""
MAX_TAGS, MAX_NAMESPACES = 20_000, 2_000
"""As often as `<` and `xmlns` may stand in it, in the text of items too."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"<\0?\0", "utf-16-le"),
    (b"\0<\0?", "utf-16-be"),
)
_ENCODING = re.compile(rb"""\s{0,99}<\?xml[^>]{0,99}?encoding\s?=\s?["']([\w.-]{1,40})""")
_OLD_ENCODINGS = re.compile(r"iso-?8859-\d+|windows-125\d|koi8-[ru]|gb2312|gbk|gb18030|big5|shift_jis|euc-(jp|kr)")
_DECLARATION = re.compile(r"\s*<\?xml\b[^>]*>")
_MANY_ATTRIBUTES = re.compile(r"<(?:[^<>=]*+=){200}")
_OWN_DECLARATION = re.compile(r"<!(ENTITY|ATTLIST)")
_LONG_SPACE = re.compile(r"\s{100,}")
_LONG_WORD = re.compile(r"[\w.+-]{301,}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as the feed has it; `updated` is the stamp as written, `published_at` in UTC."""

    identity: str
    title: str
    link: str
    updated: str
    published_at: datetime | None


def parse_document(body: bytes) -> tuple[Entry, ...]:
    """Return the entries of a feed. Raises SourceChanged on anything else."""
    import feedparser

    text = f'<?xml version="1.0" encoding="utf-8"?>\n{_tamed(_decoded(body))}'
    stream = io.BytesIO(text.encode("utf-8", "replace"))  # a stream: text would be tried as an address first
    try:
        feed = feedparser.parse(stream, sanitize_html=False, resolve_relative_uris=False)
        entries = tuple(_entry(entry) for entry in feed.entries)
    except Exception as error:  # noqa: BLE001  its handlers raise whatever they stumble over
        raise SourceChanged("the feed cannot be read", cause=type(error).__name__) from None
    if not feed.get("version") or (feed.get("bozo") and not entries):
        raise SourceChanged("the answer is not a feed")
    return entries


def _decoded(body: bytes) -> str:
    """Return the text: as UTF-8 wherever it is, whatever it declares, else as declared, else as old browsers do.

    Python's codecs are more than encodings of feeds, and some are slow: only known names are taken from outside.
    """
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return body.decode(encoding, "replace").removeprefix("\ufeff")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode(_old_encoding(body), "replace")


def _old_encoding(body: bytes) -> str:
    match = _ENCODING.match(body)
    name = match[1].decode("ascii", "replace").lower() if match else ""
    try:
        return codecs.lookup(name).name if _OLD_ENCODINGS.fullmatch(name) else "windows-1252"
    except LookupError:
        return "windows-1252"


def _tamed(text: str) -> str:
    if declaration := _DECLARATION.match(text):
        text = text[declaration.end() :]
    text = _LONG_SPACE.sub(" ", text)
    text = _LONG_WORD.sub(lambda word: word[0][:150] + word[0][-150:], text)  # both ends: one may close a comment
    if text.count("<") > MAX_TAGS or text.count("xmlns") > MAX_NAMESPACES or _MANY_ATTRIBUTES.search(text):
        raise SourceChanged("the feed has more markup than a feed needs")
    if "<!DOCTYPE" in text and _OWN_DECLARATION.search(text):
        raise SourceChanged("the feed declares entities of its own")
    return text


def _entry(entry: dict[str, Any]) -> Entry:
    # the entry's own `get` would give one stamp for the other, with a warning
    stamp = dict.get(entry, "published_parsed") or dict.get(entry, "updated_parsed")
    updated = dict.get(entry, "updated") or dict.get(entry, "published")
    return Entry(
        identity=str(entry.get("id") or ""),
        title=str(entry.get("title") or ""),
        link=str(entry.get("link") or ""),
        updated=str(updated or ""),
        published_at=_moment(stamp),
    )


def _moment(stamp: object) -> datetime | None:
    """Return feedparser's stamp, which is in UTC."""
    if not isinstance(stamp, struct_time):
        return None
    try:
        return datetime(*stamp[:6], tzinfo=UTC)
    except ValueError:
        return None
