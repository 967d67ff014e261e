"""Tags of an image in a registry, each with the digest for one architecture.

HEAD of a tag gives the digest of what it names, for most images an index over architectures, and costs no pull.
Only when that moved is the index read (a pull, on Docker Hub), so a look at an unchanged image fetches names alone.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

from watcher.config.sources import OciTagsConfig
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.fetch.client import Fetched
from watcher.fetch.holds import IN_FLIGHT, HostHolds
from watcher.fetch.refusals import shown
from watcher.model.facts import Fact, FactKind, Poll
from watcher.planner.news import is_wanted
from watcher.planner.versions import parse_tag, pep440_key
from watcher.sources.base import Cursor, PolledSource, check_not_emptied
from watcher.sources.registry import (
    ACCEPT_MANIFESTS,
    RegistryLogin,
    Repository,
    parse_architecture,
    parse_manifest,
    parse_tags,
)

MAX_PAGES = 200
MAX_MANIFEST = 8 * 2**20
HUB_READS_PER_LOOK = 40
"""Docker Hub grants 100 pulls in six hours: a first look at a long list is spread over several, newest tags first."""
_NEXT = re.compile(r'<([^>]*)>\s*;[^,]*\brel\s*=\s*"?next\b', re.IGNORECASE)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Content:
    """What a digest holds: the child for the watched architecture (None: it has none), and all it is built for."""

    child: str | None
    architectures: tuple[str, ...]

    @classmethod
    def from_stored(cls, stored: object) -> Self | None:
        match stored:
            case [None | str() as child, [*architectures]]:
                return cls(child, tuple(str(one) for one in architectures))
            case _:
                return None

    def to_stored(self) -> list[Any]:
        return [self.child, list(self.architectures)]


class OciTagsSource(PolledSource):
    """One repository of a registry."""

    def __init__(self, config: OciTagsConfig, holds: HostHolds, architecture: str) -> None:
        super().__init__(config, config.kind, holds, depends_on=architecture)
        self._repository = Repository.of(config.image, str(config.registry_url) if config.registry_url else None)
        self._architecture = architecture
        self._include, self._exclude = config.include, config.exclude
        self._login = RegistryLogin(self._fetcher, self._repository)

    def _look(self, cursor: Cursor) -> Poll:
        names = tuple(dict.fromkeys(self._names()))
        check_not_emptied(len(names), cursor.get("names"))
        wanted = [name for name in names if is_wanted(name, self._include, self._exclude)]
        digests = self._digests(wanted)
        contents = self._contents(digests, _known(cursor))
        facts = tuple(
            self._fact(name, digests.get(name), contents) for name in names if name in digests or name not in wanted
        )
        stored = {digest: content.to_stored() for digest, content in sorted(contents.items())}
        return Poll(facts, self._write_cursor({"names": len(names), "contents": stored}))

    def _names(self) -> Iterator[str]:
        url = f"{self._repository.api}/tags/list?n=1000"
        for _ in range(MAX_PAGES):
            page = self._get(url)
            yield from parse_tags(page.body)
            link = _NEXT.search(page.headers.get("link", ""))
            if link is None:
                return
            url = self._fetcher.next_page(page.url, link[1])
        raise SourceChanged("the registry's list of tags does not end", pages=MAX_PAGES)

    def _digests(self, names: list[str]) -> dict[str, str]:
        """Return what each tag names now; a tag that vanished since the list was read is left out."""
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            found = tuple(pool.map(self._digest, names))
        return {name: digest for name, digest in zip(names, found, strict=True) if digest is not None}

    def _digest(self, name: str) -> str | None:
        url = f"{self._repository.api}/manifests/{name}"
        answer = self._login.request("HEAD", url, ACCEPT_MANIFESTS, values=(404,))
        if answer.status == 404:
            return None
        digest = answer.headers.get("docker-content-digest", "")
        if _DIGEST.fullmatch(digest):
            return digest
        answer = self._get(url, ACCEPT_MANIFESTS)  # some registries leave the header out of a HEAD
        return f"sha256:{hashlib.sha256(answer.body).hexdigest()}"

    def _contents(self, digests: Mapping[str, str], known: Mapping[str, Content]) -> dict[str, Content]:
        """Return what the named digests hold, reading only those that are not known."""
        newest_first = sorted(digests, key=lambda name: pep440_key(parse_tag(name).version), reverse=True)
        missing = tuple(dict.fromkeys(digests[name] for name in newest_first if digests[name] not in known))
        if self._repository.is_docker_hub:
            missing = missing[:HUB_READS_PER_LOOK]
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            read = dict(zip(missing, pool.map(self._content, missing), strict=True))
        return {digest: found for digest in digests.values() if (found := read.get(digest) or known.get(digest))}

    def _content(self, digest: str) -> Content | None:
        answer = self._get(f"{self._repository.api}/manifests/{digest}", ACCEPT_MANIFESTS, values=(404,))
        if answer.status == 404:
            return None  # pushed over or deleted meanwhile: the next look sees what came instead
        if f"sha256:{hashlib.sha256(answer.body).hexdigest()}" != digest:
            raise SourceChanged("the registry sent other content than its digest says", digest=digest)
        manifest = parse_manifest(answer.body)
        if manifest.config is None:
            return Content(manifest.child_for(self._architecture), manifest.architectures)
        blob = self._get(f"{self._repository.api}/blobs/{manifest.config}", elsewhere=True)
        architecture = parse_architecture(blob.body)
        return Content(digest if architecture == self._architecture else None, (architecture,) if architecture else ())

    def _get(
        self, url: str, accept: str = "application/json", values: Iterable[int] = (), elsewhere: bool = False
    ) -> Fetched:
        answer = self._login.request(
            "GET", url, accept, values=tuple(values), elsewhere=elsewhere, max_body=MAX_MANIFEST
        )
        if answer.status == 404 and 404 not in tuple(values):
            raise SourceUnavailable("the registry has no such repository", url=shown(url))
        return answer

    def _fact(self, name: str, index: str | None, contents: Mapping[str, Content]) -> Fact:
        parts = parse_tag(name)
        content = contents.get(index) if index else None
        detail = {}
        if index and content:  # without `_index_digest` a digest that is learnt later is no news
            detail = {"_index_digest": index, "_architectures": " ".join(content.architectures)}
        return Fact(
            FactKind.IMAGE,
            name=name,
            version=parts.version,
            digest=content.child if content else None,
            url=self._repository.page(name),
            prerelease=parts.prerelease,
            detail=detail,
        )


def _known(cursor: Cursor) -> dict[str, Content]:
    stored = cursor.get("contents")
    pairs = stored.items() if isinstance(stored, dict) else ()
    return {digest: content for digest, value in pairs if (content := Content.from_stored(value))}
