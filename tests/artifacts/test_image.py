"""Images in a real Docker engine are read without being started, and nothing of that is left behind."""

import contextlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.artifacts.builders import FIXED, LIBRARY, PRESENT, VERSION
from tests.real.base_image import base_image
from tests.real.docker import PrivateDaemon
from watcher.artifacts.inspect import read_static
from watcher.config.bugs import BugSettings
from watcher.errors import HostError
from watcher.host import image_files
from watcher.host.engine import Engine
from watcher.host.image_files import ImageFiles, remove_inspected
from watcher.model.verdict import BugState

if TYPE_CHECKING:
    from docker import DockerClient

DIST = "/usr/local/lib/python3.11/dist-packages"
IMAGE = "watcher-inspect/torch:1"
Content = bytes | str
"""A file's bytes, or where a symbolic link leads; a text with `=` before it makes a hard link."""


@dataclass(frozen=True)
class Bench:
    """The engine of a test, and how images come into it."""

    engine: Engine
    client: "DockerClient"

    def image(self, files: Mapping[str, Content], *changes: str) -> ImageFiles:
        """Import an image that holds these files and nothing else, no shell and no command, and open it."""
        repository, tag = IMAGE.split(":")
        self.client.api.import_image_from_data(_tar(files), repository=repository, tag=tag, changes=list(changes))
        return self.opened(IMAGE)

    def opened(self, reference: str) -> ImageFiles:
        return ImageFiles(self.engine, str(self.client.images.get(reference).id), reference)


def _tar(files: Mapping[str, Content]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            if isinstance(content, str):
                entry.type = tarfile.LNKTYPE if content.startswith("=") else tarfile.SYMTYPE
                entry.linkname = content.removeprefix("=")
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def torch_at(folder: str, content: bytes, version: str = "2.13.0") -> dict[str, Content]:
    return {f"{folder}/{LIBRARY}": content, f"{folder}/{VERSION}": f"__version__ = '{version}'\n".encode()}


@pytest.fixture
def bench(clean_engine: PrivateDaemon) -> Iterator[Bench]:
    with contextlib.closing(clean_engine.client()) as client:
        yield Bench(Engine(clean_engine.url), client)


def test_torch_in_a_usual_place_is_found(bench: Bench, bug: BugSettings) -> None:
    reading = read_static(bench.image(torch_at(DIST, PRESENT)), bug)
    assert (reading.state, reading.torch) == (BugState.PRESENT, "2.13.0")
    assert (reading.kind, reading.target) == ("image", IMAGE)
    assert reading.copies == (f"{DIST}/{LIBRARY}",)
    assert len(PRESENT) < reading.bytes_read < 2 * len(PRESENT)


def test_what_is_in_a_usual_place_costs_no_look_through_the_whole_image(bench: Bench, bug: BugSettings) -> None:
    files = {**torch_at(DIST, FIXED), "/opt/large": bytes(30_000_000)}
    reading = read_static(bench.image(files), bug)
    assert reading.state is BugState.FIXED
    assert reading.bytes_read < 1_000_000


@pytest.mark.parametrize(
    ("folder", "change"),
    [
        ("/srv/site", "ENV PYTHONPATH=/opt/missing:/srv/site"),
        ("/srv/env/lib/python3.12/site-packages", "ENV VIRTUAL_ENV=/srv/env"),
        ("/srv/env/lib/python3.10/site-packages", "ENV PATH=/usr/bin:/srv/env/bin"),
    ],
)
def test_the_images_environment_says_where_to_look(folder: str, change: str, bench: Bench, bug: BugSettings) -> None:
    files = {**torch_at(folder, FIXED), "/opt/large": bytes(30_000_000)}
    reading = read_static(bench.image(files, change), bug)
    assert reading.copies == (f"{folder}/{LIBRARY}",)
    assert reading.bytes_read < 1_000_000


def test_torch_in_an_unusual_place_is_found_too(bench: Bench, bug: BugSettings) -> None:
    files = {"/opt/large": bytes(3_000_000), **torch_at("/srv/my env/packages", FIXED, "2.14.0")}
    reading = read_static(bench.image(files), bug)
    assert (reading.state, reading.torch) == (BugState.FIXED, "2.14.0")
    assert reading.copies == (f"/srv/my env/packages/{LIBRARY}",)


def test_two_copies_in_usual_places_that_differ_are_both_named(bench: Bench, bug: BugSettings) -> None:
    conda = "/opt/conda/lib/python3.10/site-packages"
    files = {**torch_at(DIST, PRESENT, "2.9.0"), **torch_at(conda, FIXED, "2.14.0")}
    reading = read_static(bench.image(files), bug)
    assert (reading.state, reading.torch) == (BugState.UNKNOWN, None)
    assert set(reading.copies) == {f"{DIST}/{LIBRARY}", f"{conda}/{LIBRARY}"}
    assert all(copy in reading.reason for copy in reading.copies)


def test_links_to_folders_and_files_are_followed(bench: Bench, bug: BugSettings) -> None:
    files: dict[str, Content] = {
        **torch_at("/srv/store/abc", PRESENT),
        "/usr/local/lib/python3.11": "/srv/py",
        "/srv/py/dist-packages/torch/version.py": "/srv/store/abc/torch/version.py",
        f"/srv/py/dist-packages/{LIBRARY}": "../../../../store/abc/torch/lib/libc10_cuda.so",
    }
    reading = read_static(bench.image(files), bug)
    assert (reading.state, reading.torch) == (BugState.PRESENT, "2.13.0")
    assert reading.copies == (f"{DIST}/{LIBRARY}",)


def test_links_in_unusual_places_are_followed_after_the_stream(bench: Bench, bug: BugSettings) -> None:
    files: dict[str, Content] = {
        "/srv/store/blob": PRESENT,
        f"/srv/a/{LIBRARY}": "=srv/store/blob",
        f"/srv/b/{LIBRARY}": "/srv/store/blob",
        f"/srv/c/{LIBRARY}": "/srv/nowhere",
    }
    reading = read_static(bench.image(files), bug)
    assert reading.state is BugState.PRESENT
    assert set(reading.copies) == {f"/srv/a/{LIBRARY}", f"/srv/b/{LIBRARY}"}


def test_whatever_stands_in_the_way_is_passed_over(bench: Bench, bug: BugSettings) -> None:
    files: dict[str, Content] = {
        "/opt/site.zip": b"a file where the path has a folder",
        f"{DIST}/{LIBRARY}": f"{DIST}/{LIBRARY}",
        f"{DIST}/torch/version.py/README": b"a folder where the path has a file",
        "/usr/lib/python3.9": "/usr/lib/python3.9",
    }
    image = bench.image(files, "ENV PYTHONPATH=/opt/site.zip")
    reading = read_static(image, bug)
    assert (reading.state, reading.reason) == (BugState.UNKNOWN, "there is no torch inside")


def test_an_image_with_a_cpu_build_says_nothing(bench: Bench, bug: BugSettings) -> None:
    files = {f"{DIST}/{VERSION}": b"__version__ = '2.9.1+cpu'\n"}
    reading = read_static(bench.image(files), bug)
    assert (reading.state, reading.torch) == (BugState.UNKNOWN, "2.9.1+cpu")
    assert "CPU" in reading.reason


def test_nothing_is_left_behind(bench: Bench, bug: BugSettings) -> None:
    image = bench.image(torch_at(DIST, PRESENT), "VOLUME /data", "ENTRYPOINT /missing")
    read_static(image, bug)
    half = image.members((LIBRARY,))
    assert next(half)[1] == PRESENT
    del half
    assert bench.client.containers.list(all=True) == []
    assert bench.client.volumes.list() == []


def test_a_file_larger_than_any_library_is_an_error(
    bench: Bench, bug: BugSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_files, "MAX_MEMBER", 10_000)
    image = bench.image(torch_at(DIST, PRESENT))
    with pytest.raises(HostError, match="larger than any that we look for"):
        read_static(image, bug)
    assert bench.client.containers.list(all=True) == []


def test_an_image_with_copies_without_end_is_an_error(bench: Bench, bug: BugSettings) -> None:
    files = {f"/srv/{number}/{LIBRARY}": b"x" for number in range(70)}
    with pytest.raises(HostError, match="more copies"):
        read_static(bench.image(files), bug)


def test_an_image_that_is_gone_is_the_benchs_fault(bench: Bench, bug: BugSettings) -> None:
    image = bench.image({"/a": b""})
    bench.client.images.remove(IMAGE, force=True)
    with pytest.raises(HostError, match="No such image"):
        read_static(image, bug)


# docker's client does not close a socket which it could not connect
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_goes_away_while_it_is_read_is_the_benchs_fault(
    clean_engine: PrivateDaemon, bench: Bench
) -> None:
    members = bench.image(torch_at(DIST, PRESENT)).members((LIBRARY, VERSION))
    assert next(members)[0] == f"{DIST}/{LIBRARY}"
    clean_engine.kill()
    try:
        with pytest.raises(HostError, match="files could not be read"):
            list(members)
    finally:
        clean_engine.start()


def test_a_real_file_of_a_real_image_arrives_whole(bench: Bench) -> None:
    """The base image's own python3 is a link to a binary of megabytes: what arrives is what runs there."""
    reference = base_image(bench.client)
    found = dict(bench.opened(reference).members(("bin/python3",)))
    assert set(found) == {"/usr/bin/python3"}
    told = bench.client.containers.run(reference, ["wc", "-c", "/usr/bin/python3"], remove=True, network_disabled=True)
    assert len(found["/usr/bin/python3"]) == int(told.split()[0])


def test_containers_that_a_killed_reader_left_are_removed(bench: Bench) -> None:
    members = bench.image(torch_at(DIST, PRESENT)).members((LIBRARY,))
    next(members)
    remove_inspected(bench.engine.api)
    assert bench.client.containers.list(all=True) == []
    assert list(members) == []
