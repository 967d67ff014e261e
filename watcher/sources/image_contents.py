"""What the tags of an image hold, asked of its registry.

HEAD of a tag gives the digest of what it names, for most images an index over architectures, and costs no pull.
What a digest holds never changes, so it is read once (a pull, on Docker Hub).
"""

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Self

from watcher.errors import SourceChanged, SourceUnavailable
from watcher.fetch.client import Fetched, Fetcher
from watcher.fetch.holds import IN_FLIGHT
from watcher.fetch.refusals import shown
from watcher.model.facts import Fact, FactKind
from watcher.planner.versions import parse_tag, pep440_key
from watcher.sources.registry import (
    ACCEPT_MANIFESTS,
    DIGEST,
    RegistryLogin,
    parse_architecture,
    parse_manifest,
)
from watcher.sources.repository import Repository

MAX_MANIFEST = 4 * 2**20
"""As registries have to take; a list of 100 000 tags stays below it."""
HUB_READS_PER_LOOK = 40
"""Docker Hub grants 100 pulls in six hours: a first look at a long list is spread over several, newest tags first."""


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


class ImageContents:
    """Turns the tags of one repository into digests, and digests into what they hold for one architecture."""

    def __init__(self, fetcher: Fetcher, repository: Repository, architecture: str) -> None:
        self._repository, self._architecture = repository, architecture
        self._login = RegistryLogin(fetcher, repository)

    def digests(self, names: list[str]) -> dict[str, str]:
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
        if DIGEST.fullmatch(digest):
            return digest
        answer = self.get(url, ACCEPT_MANIFESTS)  # some registries leave the header out of a HEAD
        return f"sha256:{hashlib.sha256(answer.body).hexdigest()}"

    def read(self, digests: Mapping[str, str], known: Mapping[str, Content]) -> dict[str, Content]:
        """Return what the named digests hold, reading only those that are not known."""
        newest_first = sorted(digests, key=lambda name: pep440_key(parse_tag(name).version), reverse=True)
        missing = tuple(dict.fromkeys(digests[name] for name in newest_first if digests[name] not in known))
        if self._repository.is_docker_hub:
            missing = missing[:HUB_READS_PER_LOOK]
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            read = dict(zip(missing, pool.map(self._content, missing), strict=True))
        return {digest: found for digest in digests.values() if (found := read.get(digest) or known.get(digest))}

    def _content(self, digest: str) -> Content | None:
        answer = self.get(f"{self._repository.api}/manifests/{digest}", ACCEPT_MANIFESTS, values=(404,))
        if answer.status == 404:
            return None  # pushed over or deleted meanwhile: the next look sees what came instead
        if f"sha256:{hashlib.sha256(answer.body).hexdigest()}" != digest:
            raise SourceChanged("the registry sent other content than its digest says", digest=digest)
        manifest = parse_manifest(answer.body)
        if manifest.config is None:
            return Content(manifest.child_for(self._architecture), manifest.architectures)
        blob = self.get(f"{self._repository.api}/blobs/{manifest.config}", elsewhere=True)
        architecture = parse_architecture(blob.body)
        return Content(digest if architecture == self._architecture else None, (architecture,) if architecture else ())

    def get(
        self, url: str, accept: str = "application/json", values: Iterable[int] = (), elsewhere: bool = False
    ) -> Fetched:
        answer = self._login.request(
            "GET", url, accept, values=tuple(values), elsewhere=elsewhere, max_body=MAX_MANIFEST
        )
        if answer.status == 404 and 404 not in tuple(values):
            raise SourceUnavailable("the registry has no such repository", url=shown(url))
        return answer


def image_fact(
    repository: Repository,
    tag: str,
    index: str | None,
    content: Content | None,
    published_at: datetime | None = None,
    more: Mapping[str, str] = MappingProxyType({}),
) -> Fact:
    """Return a tag as a fact. `index` is what the tag names, `content` what that holds: None where it was not read.

    What was not read has no `_index_digest`: a digest that is learnt later is no news then.
    """
    parts = parse_tag(tag)
    read = {"_index_digest": index or "", "_architectures": " ".join(content.architectures)} if content else {}
    return Fact(
        FactKind.IMAGE,
        name=tag,
        version=parts.version,
        digest=content.child if content else None,
        url=repository.page(tag),
        published_at=published_at,
        prerelease=parts.prerelease,
        detail={**read, **more},
    )


def known_contents(stored: object) -> dict[str, Content]:
    """Read back `stored_contents`; what is no content is left out."""
    pairs = stored.items() if isinstance(stored, dict) else ()
    return {digest: content for digest, value in pairs if (content := Content.from_stored(value))}


def stored_contents(contents: Mapping[str, Content]) -> dict[str, list[Any]]:
    return {digest: content.to_stored() for digest, content in sorted(contents.items())}
