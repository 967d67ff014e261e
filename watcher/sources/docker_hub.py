"""Tags of a repository on Docker Hub, by the Hub's own web interface.

It says what a registry does not: when a tag was pushed, how large it is, and the digest of each architecture, a hundred
tags a request. It has no validators, but shows on its first page what was pushed last: while that page and the number
of tags stay as they were, a look ends there. Once a day all pages are read nevertheless, since no order is relied on.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

from watcher.config.sources import DockerHubConfig
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.fetch.holds import HostHolds
from watcher.fetch.refusals import shown
from watcher.model.facts import Fact, Poll
from watcher.planner.news import is_wanted
from watcher.sources.base import Cursor, PolledSource, check_not_emptied, is_over, json_object, moment
from watcher.sources.bounded import MOST_FACTS
from watcher.sources.image_contents import (
    HUB_READS_PER_LOOK,
    Content,
    ImageContents,
    image_fact,
    known_contents,
    stored_contents,
)
from watcher.sources.registry import DIGEST, TAG, Manifest, linux_platform
from watcher.sources.repository import Repository

ALL_PAGES_EVERY = timedelta(hours=24)
MAX_PAGES = 200
MAX_PAGE = 8 * 2**20
MOST_IMAGES = 300_000
"""Of all tags together."""
_OTHER_FORM = "Docker Hub's list of tags has another form"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class HubTag:
    """A tag as the Hub lists it.

    Attributes:
        digest: of what the tag names, for most images an index. None where the Hub never learnt it (old images).
        status: `active`, or `inactive` where it was neither pushed nor pulled for long.
        size: compressed, of all architectures, in bytes.
        images: architecture, variant and digest (again None) of each image that runs on Linux.
    """

    name: str
    digest: str | None
    status: str | None
    size: int | None
    pushed_at: datetime | None
    images: tuple[tuple[str, str, str | None], ...]

    @property
    def architectures(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(architecture for architecture, _, _ in self.images))

    @property
    def mark(self) -> str:
        """Return what changes with the content or the standing of the tag, and not with a pull."""
        parts = (self.name, self.digest, self.status, self.pushed_at, sorted(map(str, self.images)))
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def content_for(self, architecture: str) -> Content | None:
        """Return what the tag holds; None where the architecture is listed without a digest."""
        named = tuple((name, variant, digest) for name, variant, digest in self.images if digest)
        child = Manifest(children=named).child_for(architecture)
        if child is None and architecture in self.architectures:
            return None
        return Content(child, self.architectures)


@dataclass(frozen=True, slots=True)
class TagsPage:
    """One page of tags: `count` is how many there are on all pages, `next` the address of the next one."""

    count: int
    next: str | None
    tags: tuple[HubTag, ...]

    @property
    def mark(self) -> str:
        marks = sorted(tag.mark for tag in self.tags)
        return hashlib.sha256(f"{self.count} {' '.join(marks)}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the registry said of tags that the Hub lists without a digest.

    Attributes:
        tags: by name, the tag's mark when it was asked for and the digest it names; None where it has none.
        contents: by digest.
        is_all: whether none is left for the next look.
    """

    tags: dict[str, tuple[str, str | None]]
    contents: dict[str, Content]
    is_all: bool

    def of(self, tag: HubTag) -> tuple[str | None, Content | None]:
        digest = self.tags.get(tag.name, ("", None))[1]
        return digest, self.contents.get(digest) if digest else None

    def to_stored(self) -> dict[str, Any]:
        return {"tags": self.tags, "contents": stored_contents(self.contents)}


class DockerHubSource(PolledSource):
    """One repository of Docker Hub."""

    def __init__(self, config: DockerHubConfig, holds: HostHolds, architecture: str) -> None:
        filters = f"{config.include} {config.exclude}"  # what they leave out is not looked up
        super().__init__(config, config.kind, holds, depends_on=f"{architecture} {filters}")
        registry_url = self._fetcher.address(str(config.registry_url)) if config.registry_url else None
        self._repository = Repository.of(f"docker.io/{config.repository}", registry_url)
        namespace, _, name = config.repository.partition("/")
        hub_url = str(config.hub_url).rstrip("/")
        self._url = f"{hub_url}/v2/namespaces/{namespace}/repositories/{name}/tags?page_size=100"
        self._architecture = architecture
        self._include, self._exclude = config.include, config.exclude
        self._contents = ImageContents(self._fetcher, self._repository, architecture)
        self._now = holds.now

    def _look(self, cursor: Cursor) -> Poll:
        first = self._page(self._url)
        if first.mark == cursor.get("first") and not is_over(cursor.get("all_at"), ALL_PAGES_EVERY, self._now()):
            self._fetcher.count_unchanged()
            return Poll(None, self._write_cursor(cursor))
        tags = self._all(first)
        check_not_emptied(len(tags), cursor.get("listed"))
        asked = self._ask_registry(tags, cursor)
        facts = tuple(self._fact(tag, asked) for tag in tags)
        # tags move between pages while these are read: where the sum is wrong, the next look reads all of them again
        is_settled = asked.is_all and len(tags) == first.count
        after = {
            "listed": len(tags),
            "first": first.mark if is_settled else None,
            "all_at": self._now().isoformat(),
            "asked": asked.to_stored(),
        }
        return Poll(facts, self._write_cursor(after), listed=len(tags))

    def _page(self, url: str) -> TagsPage:
        answer = self._fetcher.get(url, headers={"Accept": "application/json"}, max_body=MAX_PAGE, values=(404,))
        if answer.status == 404:
            raise SourceUnavailable("Docker Hub has no such repository", url=shown(url))
        page = parse_tags_page(answer.body)
        return replace(page, next=self._fetcher.next_page(answer.url, page.next)) if page.next else page

    def _all(self, page: TagsPage) -> tuple[HubTag, ...]:
        """Return the tags of a page and of all that follow; one that moved onto the next page meanwhile only once."""
        tags: dict[str, HubTag] = {}
        images = 0
        for _ in range(MAX_PAGES):
            images += sum(len(tag.images) for tag in page.tags)
            tags |= {tag.name: tag for tag in page.tags if tag.name not in tags}
            if len(tags) > MOST_FACTS or images > MOST_IMAGES:
                raise SourceChanged("Docker Hub lists more than allowed", tags=MOST_FACTS, images=MOST_IMAGES)
            if page.next is None:
                return tuple(tags.values())
            page = self._page(page.next)
        raise SourceChanged("Docker Hub's list of tags does not end", pages=MAX_PAGES)

    def _ask_registry(self, tags: Iterable[HubTag], cursor: Cursor) -> _Asked:
        """Ask for the digests that the Hub does not know, where the tag changed since it was asked for."""
        before, contents = _asked_before(cursor.get("asked"))
        gaps = [tag for tag in tags if tag.content_for(self._architecture) is None and self._is_wanted(tag)]
        asked = {tag.name: before[tag.name] for tag in gaps if before.get(tag.name, ("",))[0] == tag.mark}
        missing = [tag for tag in gaps if tag.name not in asked]
        missing.sort(key=lambda tag: tag.pushed_at or _LONG_AGO, reverse=True)
        found = self._contents.digests([tag.name for tag in missing[:HUB_READS_PER_LOOK]])
        asked |= {tag.name: (tag.mark, found.get(tag.name)) for tag in missing[:HUB_READS_PER_LOOK]}
        digests = {name: digest for name, (_, digest) in asked.items() if digest}
        return _Asked(asked, self._contents.read(digests, contents), len(asked) == len(gaps))

    def _is_wanted(self, tag: HubTag) -> bool:
        return is_wanted(tag.name, self._include, self._exclude)

    def _fact(self, tag: HubTag, asked: _Asked) -> Fact:
        """Return the tag as a fact. An inactive one is not advised against: a single pull makes it active again."""
        index, content = tag.digest, tag.content_for(self._architecture)
        if content is None:
            index, content = asked.of(tag)
        more = {
            "_architectures": " ".join(tag.architectures),
            "_size": str(tag.size) if tag.size is not None else "",
            "_status": tag.status or "",
        }
        told = {key: value for key, value in more.items() if value}
        return image_fact(self._repository, tag.name, index, content, tag.pushed_at, told)


def parse_tags_page(body: bytes) -> TagsPage:
    """Return one page of tags. Raises SourceChanged on anything else."""
    answer = json_object(body, _OTHER_FORM)
    count, after, results = answer.get("count"), answer.get("next"), answer.get("results")
    if not _is_size(count) or not isinstance(after, str | None) or not isinstance(results, list):
        raise SourceChanged(_OTHER_FORM)
    return TagsPage(count, after or None, tuple(map(_tag, results)))


def _tag(entry: object) -> HubTag:
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(name, str) or not TAG.fullmatch(name):
        raise SourceChanged("a tag on Docker Hub has no name")
    images, status, size = entry.get("images") or [], entry.get("tag_status"), entry.get("full_size")
    if not isinstance(images, list):
        raise SourceChanged(_OTHER_FORM, tag=name)
    return HubTag(
        name=name,
        digest=_digest(entry),
        status=status if isinstance(status, str) else None,
        size=size if _is_size(size) else None,
        pushed_at=moment(entry.get("tag_last_pushed")) or moment(entry.get("last_updated")),
        images=tuple((*platform, _digest(image)) for image in images if (platform := linux_platform(image))),
    )


def _digest(entry: dict[str, Any]) -> str | None:
    digest = entry.get("digest") or None
    if digest is None or (isinstance(digest, str) and DIGEST.fullmatch(digest)):
        return digest
    raise SourceChanged("a digest on Docker Hub is none")


def _is_size(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _asked_before(stored: object) -> tuple[dict[str, tuple[str, str | None]], dict[str, Content]]:
    """Read back `_Asked.to_stored`; anything else is nothing."""
    match stored:
        case {"tags": dict(tags), "contents": contents}:
            pairs = {name: (str(pair[0]), pair[1]) for name, pair in tags.items()}
            return pairs, known_contents(contents)
        case _:
            return {}, {}
