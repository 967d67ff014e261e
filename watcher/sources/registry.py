"""The registry protocol: how to get in, and what manifests say."""

import re
import threading
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlencode

from watcher.errors import SourceChanged, SourceUnavailable
from watcher.fetch.client import Fetched, Fetcher
from watcher.fetch.hosts import resolve
from watcher.fetch.refusals import shown
from watcher.sources.base import json_object
from watcher.sources.repository import Repository

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
ACCEPT_MANIFESTS = ", ".join((OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST))
"""All four: a registry converts, or picks another one, where a type is missing, and the digest changes with it."""

_CHALLENGE = re.compile(r'\b([a-zA-Z]+)="([^"]*)"')
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_MOST_CHILDREN, _LONGEST_ARCHITECTURE = 1_000, 64


class RegistryLogin:
    """Gets past a registry's anonymous token: one per look, shared by all its requests."""

    def __init__(self, fetcher: Fetcher, repository: Repository) -> None:
        self._fetcher = fetcher
        self._repository = repository
        self._lock = threading.Lock()
        self._token: str | None = None

    def request(
        self,
        method: str,
        url: str,
        accept: str,
        values: Collection[int] = (),
        elsewhere: bool = False,
        max_body: int | None = None,
    ) -> Fetched:
        """Return the answer of a GET or HEAD, with a new token where the registry wants one. Raises SourceError."""
        token = self._token
        for is_last in (False, True):
            headers = {"Accept": accept} | ({"Authorization": f"Bearer {token}"} if token else {})
            expected = (*values, 401)
            if method == "HEAD":
                answer = self._fetcher.head(url, headers=headers, values=expected)
            else:
                answer = self._fetcher.get(
                    url, headers=headers, values=expected, elsewhere=elsewhere, max_body=max_body
                )
            if answer.status != 401:
                return answer
            if not is_last:
                token = self._renewed(token, answer.headers.get("www-authenticate", ""), url)
        raise SourceUnavailable("the registry does not let us in without a login", url=shown(url))

    def _renewed(self, refused: str | None, challenge: str, url: str) -> str:
        """Return a token other than the refused one; whoever comes first asks for it."""
        with self._lock:
            if self._token is None or self._token == refused:
                self._token = self._ask_for_token(challenge, url)
            return self._token

    def _ask_for_token(self, challenge: str, url: str) -> str:
        values = parse_challenge(challenge)
        if not challenge.lower().startswith("bearer") or "realm" not in values:
            raise SourceUnavailable("the registry does not let us in without a login", url=shown(url))
        realm = resolve(url, values["realm"])
        scope = values.get("scope") or f"repository:{self._repository.path}:pull"
        query = {"scope": scope} | ({"service": values["service"]} if "service" in values else {})
        separator = "&" if "?" in realm else "?"
        return parse_token(self._fetcher.get(f"{realm}{separator}{urlencode(query)}", elsewhere=True).body)


@dataclass(frozen=True, slots=True)
class Manifest:
    """An index (`children`: architecture, variant, digest; no config) or the manifest of one image (`config`)."""

    config: str | None = None
    children: tuple[tuple[str, str, str], ...] = ()

    @property
    def architectures(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(architecture for architecture, _, _ in self.children))

    def child_for(self, architecture: str) -> str | None:
        """Return the digest for an architecture: a plain or `v8` variant first, as Docker chooses for arm64."""
        mine = [(variant not in ("", "v8"), digest) for name, variant, digest in self.children if name == architecture]
        return min(mine, key=lambda pair: pair[0])[1] if mine else None


def parse_challenge(header: str) -> dict[str, str]:
    """Return realm, service and scope of a `WWW-Authenticate` header."""
    return {key.lower(): value for key, value in _CHALLENGE.findall(header)}


def parse_token(body: bytes) -> str:
    answer = json_object(body, "the token service did not answer as such")
    token = answer.get("token") or answer.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise SourceChanged("the token service sent no token")
    return token


def parse_tags(body: bytes) -> tuple[str, ...]:
    """Return the tags of one page of `tags/list`; a repository without any sends null. Raises SourceChanged."""
    tags = json_object(body, "the registry's list of tags has another form").get("tags", ())
    if tags is None:
        return ()
    if not isinstance(tags, list) or not all(isinstance(tag, str) and TAG.fullmatch(tag) for tag in tags):
        raise SourceChanged("the registry's list of tags has another form")
    return tuple(tags)


def parse_manifest(body: bytes) -> Manifest:
    """Return an index or manifest; attestations (architecture `unknown`) are no children. Raises SourceChanged."""
    answer = json_object(body, "the registry's manifest has another form")
    if isinstance(listed := answer.get("manifests"), list):
        if len(listed) > _MOST_CHILDREN:
            raise SourceChanged("the registry's index names more images than allowed", limit=_MOST_CHILDREN)
        return Manifest(children=tuple(child for entry in listed if (child := _child(entry))))
    config = answer.get("config")
    digest = config.get("digest") if isinstance(config, dict) else None
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise SourceChanged("the registry's manifest names no configuration", media_type=answer.get("mediaType"))
    return Manifest(config=digest)


def parse_architecture(body: bytes) -> str | None:
    """Return the architecture in an image's configuration, None where it does not say. Raises SourceChanged."""
    architecture = json_object(body, "the image's configuration has another form").get("architecture")
    return architecture if isinstance(architecture, str) and _is_architecture(architecture) else None


def _is_architecture(name: str) -> bool:
    return 0 < len(name) <= _LONGEST_ARCHITECTURE and name != "unknown"


def _child(entry: object) -> tuple[str, str, str] | None:
    if not isinstance(entry, dict):
        raise SourceChanged("the registry's manifest has another form")
    digest, platform = entry.get("digest"), linux_platform(entry.get("platform"))
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise SourceChanged("the registry's index names something without a digest")
    return (*platform, digest) if platform else None


def linux_platform(platform: object) -> tuple[str, str] | None:
    """Return architecture and variant of what runs on Linux; None for anything else, an attestation too."""
    if not isinstance(platform, dict) or platform.get("os") != "linux":
        return None
    architecture, variant = platform.get("architecture"), platform.get("variant")
    if not isinstance(architecture, str) or not _is_architecture(architecture):
        return None
    return architecture, variant if isinstance(variant, str) else ""
