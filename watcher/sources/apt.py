"""apt repositories: Release tells whether Packages changed, Packages holds the versions.

Each L4T minor is a directory of its own and numbers are skipped between majors, so a watch on `r36.4` never shows the
next one: with `follow` the source asks for the directories that could come next. A configured dist that is missing
fails the whole look (old facts stay); a successor that vanishes again is simply gone.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from watcher.config.sources import AptConfig
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.fetch.bodies import unpacked
from watcher.fetch.client import Fetched, Validators
from watcher.fetch.holds import HostHolds
from watcher.fetch.refusals import shown
from watcher.model.facts import Fact, FactKind, Poll
from watcher.sources.base import Cursor, PolledSource, check_not_emptied, is_over

MAX_PACKAGES = 64 * 2**20
"""Of an unpacked Packages file; the whole of Debian stays below it."""
MAX_RELEASE = 4 * 2**20
_MOST_STANZAS = 500_000
_LONGEST_STANZA, _MOST_CHOSEN = 64 * 2**10, 2 * 2**20
"""Bytes of one watched package, and of all of them: what is kept of each byte is a hundred times as large."""
SUFFIXES = (".xz", ".gz", "")
_DIST = re.compile(r"r(\d{1,3})\.(\d{1,3})")
_MINORS_AHEAD, _MAJORS_AHEAD, _MINORS_OF_A_NEW_MAJOR = 3, 3, range(5)
_STANZA = re.compile(rb"\n[ \t\r]*\n")
_PACKAGE = re.compile(rb"^Package:[ \t]*(\S+)", re.MULTILINE)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Deb:
    """One version of a package; `path` is relative to the repository."""

    package: str
    version: str
    sha256: str | None
    path: str


class AptSource(PolledSource):
    """Some packages of the dists of one or more repositories."""

    def __init__(self, config: AptConfig, holds: HostHolds, follow_every: timedelta) -> None:
        super().__init__(config, config.kind, holds)
        self._urls = tuple(self._fetcher.address(str(url)).rstrip("/") for url in config.urls)
        self._dists, self._packages = config.dists, config.packages
        self._index = f"{config.component}/binary-{config.architecture}/Packages"
        self._follow, self._follow_every = config.follow, follow_every
        self._now = holds.now

    def _look(self, cursor: Cursor) -> Poll:
        before: dict[str, Any] = cursor.get("dists", {})
        after = {f"{url} {dist}": self._read(url, dist, before) for url in self._urls for dist in self._dists}
        after |= self._successors(before)
        followed_at = cursor.get("followed_at")
        if self._follow and is_over(followed_at, self._follow_every, self._now()):
            after |= self._found(after)
            followed_at = self._now().isoformat()
        stored = self._write_cursor({"dists": after, "followed_at": followed_at})
        if before and _checksums(before) == _checksums(after):
            return Poll(None, stored)
        return Poll(tuple(_facts(after)), stored, listed=sum(state["total"] for state in after.values()))

    def _successors(self, before: dict[str, Any]) -> dict[str, Any]:
        """Read again what was found in earlier looks; what is gone is left out."""
        found = {}
        for key in before:
            url, _, dist = key.partition(" ")
            if url in self._urls and dist not in self._dists:
                try:
                    found[key] = self._read(url, dist, before)
                except _NoSuchDist:
                    continue
        return found

    def _found(self, known: dict[str, Any]) -> dict[str, Any]:
        """Return the dists that could come next and do exist."""
        found = {}
        for url in self._urls:
            there = [key.partition(" ")[2] for key in known if key.startswith(f"{url} ")]
            for dist in successors(there):
                answer = self._fetcher.head(f"{url}/dists/{dist}/Release", values=(403, 404))
                if answer.status == 200 and (state := self._try_read(url, dist)) is not None:
                    found[f"{url} {dist}"] = state
        return found

    def _try_read(self, url: str, dist: str) -> dict[str, Any] | None:
        """Return a successor; None while it is being built, or where every address answers 200 with some page."""
        try:
            return self._read(url, dist, {})
        except (SourceChanged, _NoSuchDist):
            return None

    def _read(self, url: str, dist: str, before: dict[str, Any]) -> dict[str, Any]:
        """Return the state of one dist: validators, checksums of Packages, and the packages themselves."""
        known = before.get(f"{url} {dist}", {})
        address = f"{url}/dists/{dist}/Release"
        answer = self._fetcher.get(
            address, validators=Validators.from_dict(known.get("validators")), values=(404,), max_body=MAX_RELEASE
        )
        if answer.status == 404:
            raise _NoSuchDist("the apt repository has no such dist", dist=dist, url=shown(url))
        if answer.not_modified:
            return dict(known)
        files = parse_release(answer.body)
        listed = {suffix: files[name] for suffix in SUFFIXES if (name := f"{self._index}{suffix}") in files}
        if not listed:
            raise SourceChanged("Release does not list the Packages file", file=self._index, url=shown(address))
        state = {"validators": answer.validators.to_dict(), "packages": listed}
        if known.get("packages") == listed:
            return {**known, **state}
        total, debs = self._read_packages(f"{url}/dists/{dist}/{self._index}", listed)
        check_not_emptied(total, known.get("total"))
        return {**state, "total": total, "debs": [[deb.package, deb.version, deb.sha256, deb.path] for deb in debs]}

    def _read_packages(self, address: str, listed: dict[str, str]) -> tuple[int, tuple[Deb, ...]]:
        suffix, answer = self._packages_file(address, listed)
        if hashlib.sha256(answer.body).hexdigest() != listed[suffix]:
            raise SourceChanged("Packages does not have the checksum that Release names", url=shown(answer.url))
        return parse_packages(unpacked(answer.body, suffix, MAX_PACKAGES), self._packages)

    def _packages_file(self, address: str, listed: dict[str, str]) -> tuple[str, Fetched]:
        """Fetch the smallest form that is there: Release lists some that are not kept."""
        for suffix in listed:
            answer = self._fetcher.get(f"{address}{suffix}", values=(404,))
            if answer.status != 404:
                return suffix, answer
        raise SourceUnavailable("the apt repository lacks the Packages file that Release names", url=shown(address))


class _NoSuchDist(SourceUnavailable):
    """The directory of a dist is not there."""


def successors(dists: Iterable[str]) -> tuple[str, ...]:
    """Return the `rX.Y` that could come after those given: the next minors of each major, and the next majors."""
    newest: dict[int, int] = {}
    for match in filter(None, map(_DIST.fullmatch, dists)):
        major, minor = int(match[1]), int(match[2])
        newest[major] = max(minor, newest.get(major, 0))
    if not newest:
        return ()
    minors = [(major, minor + step) for major, minor in newest.items() for step in range(1, _MINORS_AHEAD + 1)]
    last = max(newest)
    majors = [(last + step, minor) for step in range(1, _MAJORS_AHEAD + 1) for minor in _MINORS_OF_A_NEW_MAJOR]
    return tuple(f"r{major}.{minor}" for major, minor in sorted(minors + majors))


def parse_release(body: bytes) -> dict[str, str]:
    """Return {file: sha256} of a Release file. Raises SourceChanged on anything else."""
    from debian.deb822 import Release

    try:
        rows = Release(body).get("SHA256") or ()
        pairs = {str(row["name"]): str(row["sha256"]).lower() for row in rows}
    except (ValueError, KeyError, TypeError, EOFError, IndexError, AttributeError):
        raise SourceChanged("the Release file has another form") from None
    if not pairs or not all(_SHA256.fullmatch(sha256) for sha256 in pairs.values()):
        raise SourceChanged("the Release file has no checksums")
    return pairs


def parse_packages(body: bytes, packages: Iterable[str]) -> tuple[int, tuple[Deb, ...]]:
    """Return how many packages there are in all, and the versions of those named. Raises SourceChanged.

    Only stanzas of the named ones go through the parser: the files hold thousands.
    """
    wanted = {package.encode() for package in packages}
    count, chosen, size = 0, [], 0
    for stanza in _stanzas(body):
        if match := _PACKAGE.search(stanza):
            count += 1
            if match[1] in wanted:
                chosen.append(stanza)
                size += len(stanza)
        if size > _MOST_CHOSEN or (chosen and len(chosen[-1]) > _LONGEST_STANZA):
            raise SourceChanged("the Packages file says more of a package than allowed")
    if not count and body.strip():
        raise SourceChanged("the Packages file has another form")
    return count, tuple(_debs(b"\n\n".join(chosen)))


def _stanzas(body: bytes) -> Iterator[bytes]:
    begin = 0
    for number, gap in enumerate(_STANZA.finditer(body)):
        if number == _MOST_STANZAS:
            raise SourceChanged("the Packages file holds more packages than allowed", limit=_MOST_STANZAS)
        yield body[begin : gap.start()]
        begin = gap.end()
    yield body[begin:]


def _debs(stanzas: bytes) -> Iterator[Deb]:
    from debian.deb822 import Packages

    if not stanzas:
        return
    try:
        for paragraph in Packages.iter_paragraphs(stanzas, use_apt_pkg=False):
            sha256 = str(paragraph.get("SHA256", "")).strip().lower()
            known = sha256 if _SHA256.fullmatch(sha256) else None
            yield Deb(str(paragraph["Package"]), str(paragraph["Version"]), known, str(paragraph.get("Filename", "")))
    except (ValueError, KeyError, TypeError, EOFError, IndexError, AttributeError):
        raise SourceChanged("a package of the apt repository has no version") from None


def _checksums(states: dict[str, Any]) -> dict[str, Any]:
    return {key: state["packages"] for key, state in states.items()}


def _facts(states: dict[str, Any]) -> Iterator[Fact]:
    for key, state in states.items():
        url, _, dist = key.partition(" ")
        for package, version, sha256, path in state["debs"]:
            yield Fact(
                FactKind.DEB,
                name=f"{package} {dist}",
                version=version,
                digest=f"sha256:{sha256}" if sha256 else None,
                url=f"{url}/{path}" if path else f"{url}/dists/{dist}/",
                detail={"_dist": dist, "_package": package, "_repository": url},
            )
