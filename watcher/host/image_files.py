"""Single files out of an image, through a container that is never started."""

import contextlib
import posixpath
import secrets
import tarfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, Literal, cast

from watcher.errors import HostError
from watcher.host.engine import Engine, asking
from watcher.host.names import INSPECTED, TRIAL_LABEL
from watcher.host.site_packages import site_packages
from watcher.ports import is_wanted

if TYPE_CHECKING:
    from docker.api.client import APIClient

MAX_MEMBER = 256 * 10**6
MAX_MEMBERS = 64
_MAX_LINKS = 8
_READ_SECONDS = 120
_CHUNK = 2**20
_BUFFER = 32 * 2**10
"""`tarfile` copies what is left of its buffer at each header: small enough for that, large enough for big files."""
_FOLDER = 1 << 31  # in Go's file modes, which the engine sends
_TROUBLE = "the image's files could not be read"


class ImageFiles:
    """The Reader of an image in the engine. Raises HostError."""

    def __init__(self, engine: Engine, image_id: str, reference: str) -> None:
        self._engine = engine
        self._image_id = image_id
        self._reference = reference
        self._bytes_read = 0

    @property
    def kind(self) -> Literal["image"]:
        return "image"

    @property
    def target(self) -> str:
        return self._reference

    @property
    def bytes_read(self) -> int:
        return self._bytes_read

    def members(self, suffixes: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
        """Look where Python packages usually lie; where one of `suffixes` is nowhere there, through the whole image."""
        with self._container() as (api, container):
            found: dict[str, str] = {}
            for path, suffix, content in self._in_usual_places(api, container, suffixes):
                found[path] = suffix
                yield path, content
            if not set(suffixes) <= set(found.values()):
                yield from self._everywhere(api, container, suffixes, frozenset(found))

    @contextlib.contextmanager
    def _container(self) -> Iterator[tuple["APIClient", str]]:
        """Make a container on a connection of its own; a name of its own too, so that two readers do not meet."""
        name = f"{INSPECTED}-{secrets.token_hex(4)}"
        with contextlib.closing(self._engine.connect(_READ_SECONDS)) as api:
            with asking(_TROUBLE, image=self._reference):
                made = api.create_container(
                    self._image_id, ["never-started"], name=name, labels={TRIAL_LABEL: ""}, network_disabled=True
                )
            try:
                yield api, str(made["Id"])
            finally:
                # an engine that fails now has said so already; the next trial removes what is left, by its label
                with contextlib.suppress(HostError), asking("the container could not be removed", container=name):
                    api.remove_container(made["Id"], v=True, force=True)

    def _in_usual_places(
        self, api: "APIClient", container: str, suffixes: tuple[str, ...]
    ) -> Iterator[tuple[str, str, bytes]]:
        with asking(_TROUBLE, image=self._reference):
            env = api.inspect_container(container)["Config"].get("Env") or ()
        is_there: dict[str, bool] = {}
        for place in site_packages(tuple(env)):
            if not self._is_there(api, container, place, is_there):
                continue
            for suffix in suffixes:
                path = posixpath.join(place, suffix)
                content = self._file(api, container, path)
                if content is not None:
                    yield path, suffix, content

    def _is_there(self, api: "APIClient", container: str, path: str, known: dict[str, bool]) -> bool:
        """Return whether something is at `path`: below a folder that is not there nothing has to be asked for."""
        parent = posixpath.dirname(path)
        if path not in known and parent not in ("", "/", path) and not self._is_there(api, container, parent, known):
            known[path] = False
        if path not in known:
            address = f"{api.base_url}/v{api.api_version}/containers/{container}/archive"
            with asking(_TROUBLE, image=self._reference):
                known[path] = api.head(address, params={"path": path}, timeout=_READ_SECONDS).ok
        return known[path]

    def _everywhere(
        self, api: "APIClient", container: str, suffixes: tuple[str, ...], known: frozenset[str]
    ) -> Iterator[tuple[str, bytes]]:
        """Go through the image's whole file system as one stream. Links are followed when it has passed."""
        links, count = [], len(known)
        with asking(_TROUBLE, image=self._reference):
            stream = self._counted(api.export(container, chunk_size=_CHUNK))
        for entry, content in self._entries(stream, suffixes):
            path = posixpath.join("/", posixpath.normpath(entry.name))
            if path in known:
                continue
            count += 1
            if count > MAX_MEMBERS:
                raise HostError(
                    "the image holds more copies than anyone reads", image=self._reference, limit=MAX_MEMBERS
                )
            if content is None:
                links.append(path)
            else:
                yield path, content
        for path in links:
            linked = self._file(api, container, path)
            if linked is not None:
                yield path, linked

    def _file(self, api: "APIClient", container: str, path: str) -> bytes | None:
        """Return a regular file's content, through links; None where there is none."""
        for _ in range(_MAX_LINKS):
            answer = self._archive_of(api, container, path)
            if answer is None or int(answer[1].get("mode", 0)) & _FOLDER:
                return None
            contents = [content for _, content in self._entries(self._counted(answer[0]), None)]
            target = str(answer[1].get("linkTarget") or "")
            if not target:
                return contents[0] if contents else None
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        return None

    def _archive_of(self, api: "APIClient", container: str, path: str) -> tuple[Iterator[bytes], dict[str, Any]] | None:
        from docker.errors import APIError

        with asking(_TROUBLE, image=self._reference):
            try:
                return api.get_archive(container, path, chunk_size=_CHUNK)
            except APIError:  # not there, or something else is: a file where the path has a folder, links in a circle
                return None

    def _counted(self, stream: Iterator[bytes]) -> Iterator[bytes]:
        with asking(_TROUBLE, image=self._reference):
            for chunk in stream:
                self._bytes_read += len(chunk)
                yield chunk

    def _entries(
        self, chunks: Iterator[bytes], suffixes: tuple[str, ...] | None
    ) -> Iterator[tuple[tarfile.TarInfo, bytes | None]]:
        """Yield the files and links of a tar stream whose path is wanted, all for None; a link has no content."""
        try:
            with tarfile.open(fileobj=cast(IO[bytes], _Readable(chunks)), mode="r|", bufsize=_BUFFER) as archive:
                for entry in archive:
                    archive.members = []  # type: ignore[attr-defined]  # it would keep every entry: an image has 10^5
                    wanted = suffixes is None or is_wanted(entry.name, suffixes)
                    if wanted and (entry.isfile() or entry.issym() or entry.islnk()):
                        yield entry, _content(archive, entry)
        except (tarfile.TarError, EOFError) as error:
            raise HostError(_TROUBLE, image=self._reference, cause=str(error)) from None


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes | None:
    if not entry.isfile():
        return None
    if entry.size > MAX_MEMBER:
        raise HostError("a file of the image is larger than any that we look for", file=entry.name, bytes=entry.size)
    file = archive.extractfile(entry)
    return file.read() if file is not None else None


class _Readable:
    """The least of a file that `tarfile` needs to read a stream; may return less than was asked for."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        if self._at >= len(self._chunk):
            self._chunk, self._at = next(self._chunks, b""), 0
        part = self._chunk[self._at : self._at + size]
        self._at += len(part)
        return part


def remove_inspected(api: "APIClient") -> None:
    """Remove containers that were only made to be read, of whichever process."""
    from docker.errors import APIError

    for container in api.containers(all=True, filters={"name": f"^/?{INSPECTED}-"}):
        with contextlib.suppress(APIError):
            api.remove_container(container["Id"], force=True, v=True)
