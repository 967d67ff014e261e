"""Project pages of Python package indexes: PEP 503 HTML, PEP 691 JSON, and devpi's ways; `index_list` reads lists.

The page says which wheels exist; files for other platforms are no facts at all. devpi sends neither ETag nor sizes, but
`X-DEVPI-SERIAL`, the number of its last transaction: an unchanged serial means that nothing changed anywhere on it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from packaging.utils import canonicalize_name

from watcher.config.pip import PREFIX, UNNAMED
from watcher.config.sources import SimpleIndexConfig
from watcher.errors import SourceChanged, SourceError, SourceUnavailable
from watcher.fetch.client import Fetched, Validators
from watcher.fetch.holds import HostHolds
from watcher.fetch.refusals import shown
from watcher.model.facts import Fact, FactKind, Poll
from watcher.sources.anchors import Anchor, link_at, read_page
from watcher.sources.base import Cursor, PolledSource, check_not_emptied, is_prerelease, json_object, moment
from watcher.sources.bounded import counted
from watcher.sources.index_list import Shape, is_json, parse_indexes, parse_projects

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
ACCEPT_ROOT = "application/json"
"""Alone: as soon as HTML is named too, however little it weighs, devpi-web sends its page."""
SERIAL = "x-devpi-serial"
_LONGEST_FILE_NAME = 255
_SUFFIXES = (".whl", ".tar.gz", ".tar.bz2", ".tgz", ".zip", ".egg", ".tar.xz", ".exe", ".msi", ".rpm")
_SHA256 = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
_METADATA_MARK = re.compile(r"true|\w+=\w+", re.IGNORECASE)
_DEVPI_PATH = re.compile(r"/([^/]+/[^/]+)/\+[fe]/(?:([0-9a-f]{3})/([0-9a-f]{13})/)?")


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A file that a page lists. `url` is absolute, without fragment; `sha256` in lower case or None.

    `has_metadata`: the index serves the wheel's METADATA beside it, at `url` + ".metadata" (PEP 658 and 714).
    """

    name: str
    url: str
    sha256: str | None = None
    requires_python: str | None = None
    yanked: str | None = None
    size: int | None = None
    uploaded_at: datetime | None = None
    has_metadata: bool = False


class SimpleIndexSource(PolledSource):
    """One page of an index: of a project, or a list."""

    def __init__(self, config: SimpleIndexConfig, holds: HostHolds) -> None:
        super().__init__(config, config.kind, holds)
        self._url = str(config.url)
        self._shape = Shape.of(self._url)
        self._accept = {"Accept": ACCEPT_ROOT if self._shape is Shape.ROOT else ACCEPT}
        self._platforms, self._pythons = config.platforms, config.pythons

    def _look(self, cursor: Cursor) -> Poll:
        if self._url.startswith(PREFIX):
            raise SourceUnavailable(UNNAMED)
        if cursor.get("serial") and self._serial_now() == cursor["serial"]:
            self._fetcher.count_unchanged()
            return Poll(None, self._write_cursor(cursor))
        validators = Validators.from_dict(cursor.get("validators"))
        page = self._fetcher.get(self._url, headers=self._accept, validators=validators)
        if page.not_modified:
            return Poll(None, self._write_cursor(cursor))
        listed, facts = self._read(page)
        check_not_emptied(listed, cursor.get("listed"))
        return Poll(facts, self._write_cursor(_cursor_after(page, listed)), listed=listed)

    def _read(self, page: Fetched) -> tuple[int, tuple[Fact, ...]]:
        """Return how many entries the page lists, and the facts among them."""
        content_type = page.headers.get("content-type", "")
        match self._shape:
            case Shape.ROOT:
                facts = parse_indexes(page.body, content_type, page.url)
            case Shape.PROJECTS:
                facts = parse_projects(page.body, content_type, page.url)
            case Shape.PROJECT:
                files = parse_page(page.body, content_type, page.url)
                return len(files), wheel_facts(files, self._platforms, self._pythons)
        return len(facts), facts

    def _serial_now(self) -> str | None:
        try:
            page = self._fetcher.head(self._url, headers=self._accept)
        except SourceError as error:
            if getattr(error, "retry_after", None) is not None:
                raise
            return None  # some proxies refuse HEAD; the GET that follows says what is really wrong
        return page.headers.get(SERIAL)


def parse_page(body: bytes, content_type: str, url: str) -> tuple[IndexFile, ...]:
    """Return the files of a page in whichever of the two forms it came; links are resolved against `url`."""
    return parse_json_index(body, url) if is_json(body, content_type) else parse_html_index(body, url)


def parse_json_index(body: bytes, url: str) -> tuple[IndexFile, ...]:
    """Return the files of a PEP 691 page. Raises SourceChanged on anything else."""
    listed = json_object(body, "the index page is not the JSON it says to be", url=shown(url)).get("files")
    if not isinstance(listed, list):
        raise SourceChanged("the index page has no list of files", url=shown(url))
    return tuple(file for entry in counted(listed) if (file := _json_file(entry, url)))


def parse_html_index(body: bytes, url: str) -> tuple[IndexFile, ...]:
    """Return the files of a PEP 503 page or plain directory listing, read by its anchors only.

    Raises SourceChanged for a page that is meant for people: no file among its anchors, and no title of an index.
    """
    page = read_page(body, url)
    files = tuple(_html_file(anchor) for anchor in page.anchors if anchor.file_name.endswith(_SUFFIXES))
    if not files and not page.is_index:
        raise SourceChanged("the answer is a page for people, not an index", url=shown(url))
    return files


def wheel_facts(
    files: Iterable[IndexFile],
    platforms: tuple[str, ...] = (),
    pythons: tuple[str, ...] = (),
    project: str | None = None,
) -> tuple[Fact, ...]:
    """Return the wheels for one of the platforms (globs) and pythons (tags) and of the project, sorted by name.

    What is not given lets all through. An index with bases may list a name twice: both are returned, what is known
    already decides between them.
    """
    return tuple(
        _fact(file)
        for file in sorted(files, key=lambda file: (file.name, file.yanked is not None, file.url))
        if (wheel := _wheel(file.name))
        if _fits(wheel.platforms, platforms) and _fits(wheel.pythons, pythons)
        if project is None or canonicalize_name(wheel.project) == canonicalize_name(project)
    )


def _cursor_after(page: Fetched, listed: int) -> Cursor:
    cursor: Cursor = {"listed": listed, "validators": page.validators.to_dict()}
    if serial := page.headers.get(SERIAL):
        cursor["serial"] = serial
    return cursor


@dataclass(frozen=True, slots=True)
class _Wheel:
    """What the file name of a wheel says."""

    project: str
    pythons: tuple[str, ...]
    platforms: tuple[str, ...]


def _wheel(name: str) -> _Wheel | None:
    if not name.endswith(".whl") or len(name) > _LONGEST_FILE_NAME:
        return None
    parts = name.removesuffix(".whl").split("-")
    if len(parts) not in (5, 6) or not all(parts):
        return None
    return _Wheel(parts[0], tuple(parts[-3].split(".")), tuple(parts[-1].split(".")))


def _fits(tags: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    return not wanted or any(fnmatchcase(tag, pattern) for tag in tags for pattern in wanted)


def _fact(file: IndexFile) -> Fact:
    version = file.name.split("-")[1]
    stage, partial = _devpi(file.url)
    digest = file.sha256 or partial
    detail = {
        "_requires_python": file.requires_python,
        "_stage": stage,
        "_yanked": file.yanked,
        "_size": str(file.size) if file.size is not None else None,
        "_metadata": "1" if file.has_metadata else None,
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
    link = link_at(url, entry["url"])
    if link is None:
        return None
    hashes = entry.get("hashes")
    given = hashes.get("sha256") if isinstance(hashes, dict) else None
    marks = entry.get("core-metadata", entry.get("dist-info-metadata"))
    yanked, size = entry.get("yanked"), entry.get("size")
    return IndexFile(
        name=entry["filename"],
        url=link[0],
        sha256=_sha256(given) or _sha256_in(link[1]),
        requires_python=_text(entry.get("requires-python")),
        yanked=yanked if isinstance(yanked, str) else "" if yanked is True else None,
        size=size if isinstance(size, int) and not isinstance(size, bool) else None,
        uploaded_at=moment(entry.get("upload-time")),
        has_metadata=marks is True or isinstance(marks, dict),
    )


def _html_file(anchor: Anchor) -> IndexFile:
    values = anchor.attributes
    marks = values.get("data-core-metadata", values.get("data-dist-info-metadata"))
    return IndexFile(
        anchor.file_name,
        anchor.url,
        _sha256_in(anchor.fragment),
        requires_python=_text(values.get("data-requires-python")),
        yanked=values["data-yanked"] or "" if "data-yanked" in values else None,
        has_metadata=bool(_METADATA_MARK.fullmatch(marks or "")),
    )


def _sha256_in(fragment: str) -> str | None:
    name, _, value = fragment.partition("=")
    return _sha256(value) if name == "sha256" else None


def _sha256(value: object) -> str | None:
    return value.lower() if isinstance(value, str) and _SHA256.fullmatch(value) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
