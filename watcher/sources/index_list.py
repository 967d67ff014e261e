"""Lists that an index server shows: the projects of an index, and at devpi's root the indexes themselves.

A new entry is the news: a CUDA version or a JetPack got an index of its own, or an index got its first vLLM.
"""

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Self
from urllib.parse import quote, unquote, urljoin, urlsplit

from packaging.utils import canonicalize_name

from watcher.errors import SourceChanged
from watcher.fetch.hosts import host_of
from watcher.fetch.refusals import shown
from watcher.model.facts import Fact, FactKind
from watcher.sources.anchors import Anchor, read_page
from watcher.sources.base import json_object

MAX_LISTED = 50_000
"""An index that mirrors the whole world has hundreds of thousands of projects: no list to watch."""
_PROJECTS_PATH = re.compile(r"(?<!/simple)(?<!/\+simple)/\+?simple/?\Z")
_INDEX_PATH = re.compile(r"/([^/+][^/]*)/([^/+][^/]*)(?:/\+simple)?/?")


class Shape(StrEnum):
    """What a page of an index lists: devpi's indexes, projects, or the files of a project."""

    ROOT = "root"
    PROJECTS = "projects"
    PROJECT = "project"

    @classmethod
    def of(cls, url: str) -> Self:
        """Return what the page at an address lists; `…/simple/simple/` is the page of a project of that name."""
        path = urlsplit(url).path
        if path in ("", "/"):
            return cls("root")
        return cls("projects" if _PROJECTS_PATH.search(path) else "project")


def is_json(body: bytes, content_type: str) -> bool:
    """Return in which of its two forms an answer came."""
    return "json" in content_type or body[:64].lstrip().startswith(b"{")


def parse_projects(body: bytes, content_type: str, url: str) -> tuple[Fact, ...]:
    """Return the projects of an index, PEP 503 HTML or PEP 691 JSON, sorted by name. Raises SourceChanged."""
    pairs = _json_projects(body, url) if is_json(body, content_type) else _html_projects(body, url)
    return _facts(pairs, url)


def parse_indexes(body: bytes, content_type: str, url: str) -> tuple[Fact, ...]:
    """Return the indexes (`user/name`) of a devpi server by the answer of its root. Raises SourceChanged."""
    names = _json_indexes(body, url) if is_json(body, content_type) else _html_indexes(body, url)
    return _facts(((name, urljoin(url, f"/{quote(name)}/+simple/")) for name in names), url)


def _facts(pairs: Iterable[tuple[str, str]], url: str) -> tuple[Fact, ...]:
    listed = dict(pairs)
    if len(listed) > MAX_LISTED:
        raise SourceChanged("the list is too long to be watched; name the page of a project", url=shown(url))
    return tuple(Fact(FactKind.INDEX, name, url=page) for name, page in sorted(listed.items()))


def _json_projects(body: bytes, url: str) -> Iterator[tuple[str, str]]:
    listed = json_object(body, "the list of projects is not the JSON it says to be", url=shown(url)).get("projects")
    if not isinstance(listed, list):
        raise SourceChanged("the index has no list of projects", url=shown(url))
    for entry in listed:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            raise SourceChanged("a project of the index has no name", url=shown(url))
        yield name, urljoin(f"{url.rstrip('/')}/", f"{quote(canonicalize_name(name), safe='')}/")


def _html_projects(body: bytes, url: str) -> Iterator[tuple[str, str]]:
    """Yield the anchors that lead one step down, to what their text says: as PEP 503 has them, and no page's menu."""
    page = read_page(body, url)
    found = [(anchor.text, anchor.url) for anchor in page.anchors if _is_project(anchor, url)]
    if not found and not page.is_index:
        raise SourceChanged("the answer is a page for people, not a list of projects", url=shown(url))
    yield from found


def _is_project(anchor: Anchor, page: str) -> bool:
    folder, _, last = unquote(anchor.path).rstrip("/").rpartition("/")
    is_below = host_of(anchor.url) == host_of(page) and folder == unquote(urlsplit(page).path).rstrip("/")
    return is_below and bool(anchor.text) and canonicalize_name(anchor.text) == canonicalize_name(last)


def _json_indexes(body: bytes, url: str) -> Iterator[str]:
    answer = json_object(body, "the list of indexes is not the JSON it says to be", url=shown(url))
    users = answer.get("result")
    if answer.get("type") != "list:userconfig" or not isinstance(users, dict):
        raise SourceChanged("the answer is not devpi's list of users and indexes", url=shown(url))
    for user, settings in users.items():
        indexes = settings.get("indexes", {}) if isinstance(settings, dict) else None
        if not isinstance(indexes, dict):
            raise SourceChanged("a user of devpi has no indexes as we know them", url=shown(url))
        yield from (f"{user}/{name}" for name in indexes)


def _html_indexes(body: bytes, url: str) -> Iterator[str]:
    """Yield what links to a path of two parts on this host: devpi-web's page, or one that somebody wrote."""
    here = host_of(url)
    anchors = read_page(body, url).anchors
    paths = [_INDEX_PATH.fullmatch(anchor.path) for anchor in anchors if host_of(anchor.url) == here]
    found = [unquote(f"{path[1]}/{path[2]}") for path in paths if path]
    if not found:
        raise SourceChanged("the answer is a page for people, not a list of indexes", url=shown(url))
    yield from found
