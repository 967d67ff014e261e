"""An Atom or RSS feed: a forum, the commits of a branch.

It shows only its newest items, so that one is absent says nothing. An item is known by its id; its stamp makes no edit,
because forums set it anew whenever somebody answers.
"""

import re
from collections.abc import Iterable, Iterator

from watcher.config.sources import FeedConfig
from watcher.errors import SourceChanged
from watcher.fetch.client import Validators
from watcher.fetch.holds import HostHolds
from watcher.fetch.hosts import resolve
from watcher.fetch.refusals import shown
from watcher.model.facts import Fact, FactKind, Poll
from watcher.model.text import printable
from watcher.sources.base import Cursor, PolledSource, check_not_emptied
from watcher.sources.feed_document import MAX_FEED, Entry, parse_document

MAX_TITLE = 300
_MAX_ID, _MAX_LINK = 1000, 2000


class FeedSource(PolledSource):
    """The items of one feed whose title matches."""

    def __init__(self, config: FeedConfig, holds: HostHolds) -> None:
        super().__init__(config, config.kind, holds)
        self._url = str(config.url)
        self._match = config.match or ""

    def _look(self, cursor: Cursor) -> Poll:
        known = Validators.from_dict(cursor.get("feed"))
        answer = self._fetcher.get(self._url, validators=known, max_body=MAX_FEED)
        if answer.not_modified:
            return Poll(None, self._write_cursor(cursor), complete=False)
        entries = parse_document(answer.body)
        check_not_emptied(len(entries), cursor.get("entries"))
        after = self._write_cursor({"feed": answer.validators.to_dict(), "entries": len(entries)})
        return Poll(tuple(items(entries, answer.url, self._match)), after, complete=False, listed=len(entries))


def items(entries: Iterable[Entry], url: str, match: str) -> Iterator[Fact]:
    """Yield the entries whose title matches, as facts; `url` is the feed's own address."""
    for entry in entries:
        title = printable(" ".join(entry.title.split()), MAX_TITLE)
        identity = printable(entry.identity or entry.link or title, _MAX_ID)
        if identity and re.search(match, title):
            yield Fact(
                FactKind.ITEM,
                name=title or identity,
                url=_page(entry.link, url),
                published_at=entry.published_at,
                detail={"_id": identity, "title": title},  # a name alone makes no edit
            )


def _page(link: str, url: str) -> str:
    """Return where a person can read the item, else the feed itself, without what may be secret in its address."""
    try:
        page = resolve(url, link) if link and link.isprintable() else ""
    except SourceChanged:
        page = ""
    return page if 0 < len(page) <= _MAX_LINK else shown(url)
