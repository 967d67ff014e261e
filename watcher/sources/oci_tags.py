"""Tags of an image in a registry, each with the digest for one architecture.

HEAD of a tag gives the digest of what it names, for most images an index over architectures, and costs no pull.
Only when that moved is the index read (a pull, on Docker Hub), so a look at an unchanged image fetches names alone.
"""

import re
from collections.abc import Iterator

from watcher.config.sources import OciTagsConfig
from watcher.errors import SourceChanged
from watcher.fetch.holds import HostHolds
from watcher.model.facts import Poll
from watcher.planner.news import is_wanted
from watcher.sources.base import Cursor, PolledSource, check_not_emptied
from watcher.sources.bounded import counted
from watcher.sources.image_contents import ImageContents, image_fact, known_contents, stored_contents
from watcher.sources.registry import parse_tags
from watcher.sources.repository import Repository

MAX_PAGES = 200
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel\s*=\s*"?next\b', re.IGNORECASE)


class OciTagsSource(PolledSource):
    """One repository of a registry."""

    def __init__(self, config: OciTagsConfig, holds: HostHolds, architecture: str) -> None:
        filters = f"{config.include} {config.exclude}"  # what they leave out is not looked up
        super().__init__(config, config.kind, holds, depends_on=f"{architecture} {filters}")
        registry_url = self._fetcher.address(str(config.registry_url)) if config.registry_url else None
        self._repository = Repository.of(config.image, registry_url)
        self._include, self._exclude = config.include, config.exclude
        self._contents = ImageContents(self._fetcher, self._repository, architecture)

    def _look(self, cursor: Cursor) -> Poll:
        names = tuple(dict.fromkeys(counted(self._names())))
        check_not_emptied(len(names), cursor.get("names"))
        wanted = [name for name in names if is_wanted(name, self._include, self._exclude)]
        digests = self._contents.digests(wanted)
        contents = self._contents.read(digests, known_contents(cursor.get("contents")))
        facts = tuple(
            image_fact(self._repository, name, digests.get(name), contents.get(digests.get(name, "")))
            for name in names
            if name in digests or name not in wanted
        )
        stored = {"names": len(names), "contents": stored_contents(contents)}
        return Poll(facts, self._write_cursor(stored), listed=len(names))

    def _names(self) -> Iterator[str]:
        url = f"{self._repository.api}/tags/list?n=1000"
        for _ in range(MAX_PAGES):
            page = self._contents.get(url)
            yield from parse_tags(page.body)
            link = _NEXT.search(page.headers.get("link", ""))
            if link is None:
                return
            url = self._fetcher.next_page(page.url, link[1])
        raise SourceChanged("the registry's list of tags does not end", pages=MAX_PAGES)
