"""Project pages of Python package indexes: PEP 503 HTML, PEP 691 JSON, and devpi's ways.

The page says which wheels exist; files for other platforms are no facts at all. devpi sends neither ETag nor sizes, but
`X-DEVPI-SERIAL`, the number of its last transaction: an unchanged serial means that nothing changed anywhere on it.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from watcher.config.sources import SimpleIndexConfig
from watcher.errors import SourceChanged, SourceError
from watcher.fetch.client import Fetched, Validators
from watcher.fetch.holds import HostHolds
from watcher.fetch.hosts import resolve
from watcher.fetch.refusals import shown
from watcher.model.facts import Fact, FactKind, Poll
from watcher.sources.base import Cursor, PolledSource, check_not_emptied, is_prerelease

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
SERIAL = "x-devpi-serial"
_SUFFIXES = (".whl", ".tar.gz", ".tar.bz2", ".tgz", ".zip", ".egg", ".tar.xz", ".exe", ".msi", ".rpm")
_INDEX_TITLE = re.compile(r"\b(links? for|links to|simple index|index of|directory listing)\b", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
_DEVPI_PATH = re.compile(r"/([^/]+/[^/]+)/\+[fe]/(?:([0-9a-f]{3})/([0-9a-f]{13})/)?")


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A file that a page lists. `url` is absolute, without fragment; `sha256` in lower case or None."""

    name: str
    url: str
    sha256: str | None = None
    requires_python: str | None = None
    yanked: str | None = None
    size: int | None = None
    uploaded_at: datetime | None = None


class SimpleIndexSource(PolledSource):
    """One project page."""

    def __init__(self, config: SimpleIndexConfig, holds: HostHolds) -> None:
        super().__init__(config, config.kind, holds)
        self._url = str(config.url)
        self._platforms, self._pythons = config.platforms, config.pythons

    def _look(self, cursor: Cursor) -> Poll:
        if cursor.get("serial") and self._serial_now() == cursor["serial"]:
            self._fetcher.count_unchanged()
            return Poll(None, self._write_cursor(cursor))
        validators = Validators.from_dict(cursor.get("validators"))
        page = self._fetcher.get(self._url, headers={"Accept": ACCEPT}, validators=validators)
        if page.not_modified:
            return Poll(None, self._write_cursor(cursor))
        files = parse_page(page.body, page.headers.get("content-type", ""), page.url)
        check_not_emptied(len(files), cursor.get("files"))
        facts = wheel_facts(files, self._platforms, self._pythons)
        return Poll(facts, self._write_cursor(_cursor_after(page, len(files))))

    def _serial_now(self) -> str | None:
        try:
            page = self._fetcher.head(self._url, headers={"Accept": ACCEPT})
        except SourceError as error:
            if getattr(error, "retry_after", None) is not None:
                raise
            return None  # some proxies refuse HEAD; the GET that follows says what is really wrong
        return page.headers.get(SERIAL)


def parse_page(body: bytes, content_type: str, url: str) -> tuple[IndexFile, ...]:
    """Return the files of a page in whichever of the two forms it came; links are resolved against `url`."""
    is_json = "json" in content_type or body[:64].lstrip().startswith(b"{")
    return parse_json_index(body, url) if is_json else parse_html_index(body, url)


def parse_json_index(body: bytes, url: str) -> tuple[IndexFile, ...]:
    """Return the files of a PEP 691 page. Raises SourceChanged on anything else."""
    try:
        page = json.loads(body)
    except (ValueError, RecursionError):
        raise SourceChanged("the index page is not the JSON it says to be", url=shown(url)) from None
    listed = page.get("files") if isinstance(page, dict) else None
    if not isinstance(listed, list):
        raise SourceChanged("the index page has no list of files", url=shown(url))
    return tuple(file for entry in listed if (file := _json_file(entry, url)))


def parse_html_index(body: bytes, url: str) -> tuple[IndexFile, ...]:
    """Return the files of a PEP 503 page or plain directory listing, read by its anchors only.

    Raises SourceChanged for a page that is meant for people: no file among its anchors, and no title of an index.
    """
    reader = _AnchorReader(url)
    try:
        reader.feed(body.decode("utf-8", "replace"))
        reader.close()
    except (AssertionError, ValueError, RecursionError):
        raise SourceChanged("the index page is not HTML", url=shown(url)) from None
    if not reader.files and not _INDEX_TITLE.search(" ".join(reader.titles)):
        raise SourceChanged("the answer is a page for people, not an index", url=shown(url))
    return tuple(reader.files)


def wheel_facts(files: Iterable[IndexFile], platforms: tuple[str, ...], pythons: tuple[str, ...]) -> tuple[Fact, ...]:
    """Return the wheels for one of the platforms (globs) and pythons (tags; none given: all), sorted by name.

    An index with bases may list a name twice: both are returned, what is known already decides between them.
    """
    return tuple(
        _fact(file)
        for file in sorted(files, key=lambda file: (file.name, file.yanked is not None, file.url))
        if (tags := _wheel_tags(file.name))
        if _fits(tags[1], platforms) and (not pythons or _fits(tags[0], pythons))
    )


def _cursor_after(page: Fetched, count: int) -> Cursor:
    cursor: Cursor = {"files": count, "validators": page.validators.to_dict()}
    if serial := page.headers.get(SERIAL):
        cursor["serial"] = serial
    return cursor


def _wheel_tags(name: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return (python tags, platform tags) of a wheel's file name, None for anything else."""
    parts = name.removesuffix(".whl").split("-")
    if not name.endswith(".whl") or len(parts) not in (5, 6) or not all(parts):
        return None
    return tuple(parts[-3].split(".")), tuple(parts[-1].split("."))


def _fits(tags: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    return any(fnmatchcase(tag, pattern) for tag in tags for pattern in wanted)


def _fact(file: IndexFile) -> Fact:
    version = file.name.split("-")[1]
    stage, partial = _devpi(file.url)
    digest = file.sha256 or partial
    detail = {
        "_requires_python": file.requires_python,
        "_stage": stage,
        "_yanked": file.yanked,
        "_size": str(file.size) if file.size is not None else None,
    }
    return Fact(
        FactKind.WHEEL,
        name=file.name,
        version=version,
        digest=f"sha256:{digest}" if digest else None,
        url=file.url,
        published_at=file.uploaded_at,
        yanked=file.yanked is not None,
        prerelease=is_prerelease(version),
        detail={key: value for key, value in detail.items() if value},
    )


def _devpi(url: str) -> tuple[str | None, str | None]:
    """Return stage (`jp6/cu126`) and the start of the sha256 that devpi writes into its paths."""
    match = _DEVPI_PATH.search(urlsplit(url).path)
    if match is None:
        return None, None
    return match[1], match[2] + match[3] if match[2] else None


def _json_file(entry: object, url: str) -> IndexFile | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("filename"), str) or not _text(entry.get("url")):
        raise SourceChanged("a file of the index has no name or no address", url=shown(url))
    link = _file_link(url, entry["url"])
    if link is None:
        return None
    hashes = entry.get("hashes")
    given = hashes.get("sha256") if isinstance(hashes, dict) else None
    yanked, size = entry.get("yanked"), entry.get("size")
    return IndexFile(
        name=entry["filename"],
        url=link[0],
        sha256=_sha256(given) or link[1],
        requires_python=_text(entry.get("requires-python")),
        yanked=yanked if isinstance(yanked, str) else "" if yanked is True else None,
        size=size if isinstance(size, int) and not isinstance(size, bool) else None,
        uploaded_at=_moment(entry.get("upload-time")),
    )


def _file_link(page: str, href: str) -> tuple[str, str | None] | None:
    """Return (address, sha256 of its fragment); None for links that are neither http nor https."""
    try:
        url, fragment = urldefrag(resolve(page, href))
    except (SourceChanged, ValueError):
        return None
    name, _, value = fragment.partition("=")
    return url, _sha256(value) if name == "sha256" else None


def _sha256(value: object) -> str | None:
    return value.lower() if isinstance(value, str) and _SHA256.fullmatch(value) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _moment(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC) if _text(value) else None
    except (ValueError, OverflowError):
        return None


class _AnchorReader(HTMLParser):
    """Collects the anchors that lead to distribution files, and the text of titles and headings."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.files: list[IndexFile] = []
        self.titles: list[str] = []
        self._base = url
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self._in_title = tag in ("title", "h1")
        if tag == "base" and (href := values.get("href")):
            self._base = _joined(self._base, href)
        if tag == "a" and (href := values.get("href")):
            self._take(href.strip(), values)

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 — the parser's signature
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.titles.append(data)

    def _take(self, href: str, values: dict[str, str | None]) -> None:
        link = _file_link(self._base, href)
        name = unquote(urlsplit(link[0]).path.rsplit("/", 1)[-1]) if link else ""
        if link is None or not name.endswith(_SUFFIXES):
            return
        yanked = values["data-yanked"] or "" if "data-yanked" in values else None
        requires = values.get("data-requires-python")
        self.files.append(IndexFile(name, link[0], link[1], requires_python=_text(requires), yanked=yanked))


def _joined(base: str, href: str) -> str:
    try:
        return urljoin(base, href)
    except ValueError:
        return base
