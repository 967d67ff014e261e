"""What an upstream may say: documents that parse in bounded memory and time, facts that can be stored and shown.

A parser takes whatever comes: 8 MB of `[[],[],…` become half a gigabyte of lists. So a document is measured before it
is parsed, and facts are measured before they leave the source.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from watcher.errors import SourceChanged
from watcher.model.facts import Fact, Poll

MOST_FACTS = 100_000
"""Of one source: ten times the longest list that is known, and what the database and the page are measured with."""
LONGEST_NAME, LONGEST_URL, LONGEST_DETAIL = 1_000, 4_000, 1_000
_LONGEST_CURSOR = 16 * 2**20
_MOST_VALUES = 1_000_000

Item = TypeVar("Item")


def check_json(body: bytes) -> None:
    """Raise SourceChanged for more values than any list that we watch has; commas in texts count too, and are few."""
    values = body.count(b",") + body.count(b"[") + body.count(b"{")
    if values > _MOST_VALUES:
        raise SourceChanged("the answer holds more values than allowed", limit=_MOST_VALUES)


def counted(listed: Iterable[Item]) -> Iterator[Item]:
    """Yield what an upstream lists. Raises SourceChanged as soon as it is more than one source may have."""
    for number, item in enumerate(listed):
        if number == MOST_FACTS:
            raise SourceChanged("the upstream lists more than allowed", limit=MOST_FACTS)
        yield item


def bounded(poll: Poll) -> Poll:
    """Return a poll that can be stored and shown: details cut, addresses of the web only. Raises SourceChanged.

    A name, version or digest that is too long is no fact of ours, and it is refused rather than cut: two names cut
    alike would be one fact that is rebuilt at every look. Left out, it would look withdrawn.
    """
    if len(poll.cursor or "") > _LONGEST_CURSOR:
        raise SourceChanged("the upstream tells more than can be remembered", limit=_LONGEST_CURSOR)
    if poll.facts is None:
        return poll
    return replace(poll, facts=tuple(map(_bounded, counted(poll.facts))))


def _bounded(fact: Fact) -> Fact:
    texts = (fact.name, fact.version or "", fact.digest or "", fact.detail.get("_id", ""))
    if not fact.name or max(map(len, texts)) > LONGEST_NAME:
        raise SourceChanged("a name or version of the upstream is missing or too long", limit=LONGEST_NAME)
    if not _is_unicode("".join((*texts, fact.url, *fact.detail, *fact.detail.values()))):
        raise SourceChanged("a text of the upstream is not Unicode", name=ascii(fact.name))
    url = fact.url if fact.url.startswith(("http://", "https://")) and len(fact.url) <= LONGEST_URL else ""
    if url == fact.url and all(len(value) <= LONGEST_DETAIL for value in fact.detail.values()):
        return fact
    return replace(fact, url=url, detail={key: value[:LONGEST_DETAIL] for key, value in fact.detail.items()})


def _is_unicode(text: str) -> bool:
    """Return whether the text can be written down; JSON may name half a character (`\\ud800`)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
