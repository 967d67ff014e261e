"""Plain directory pages: NVIDIA's, and those of a real web server that lists a folder."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.places import SAMPLES
from tests.real.ports import free_port, stop, wait_until
from tests.real.web import Asked, Reply, Web
from tests.sources.conftest import Build, facts_of
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.model.facts import FactKind

TORCH = "torch-2.5.0a0+872d972e41.nv24.08.17622132-cp310-cp310-linux_aarch64.whl"
LISTING = "/compute/redist/jp/v60/pytorch/"


def table(url: str, more: str = "", project: str = "torch") -> str:
    return f'kind = "wheel-listing"\nurl = "{url}"\nproject = "{project}"\n{more}'


# --- a real server ------------------------------------------------------------------------------------------------


@contextmanager
def running_http_server(folder: Path) -> Iterator[str]:
    """Run Python's own server of folders on loopback; yield its address."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(url), process, "http.server")
        yield url
    finally:
        stop(process)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "v61" / "pytorch"
    place.mkdir(parents=True)
    return place


@pytest.fixture
def listing(folder: Path) -> Iterator[str]:
    with running_http_server(folder.parents[1]) as url:
        yield f"{url}/v61/pytorch/"


def test_a_folder_is_shown_with_the_wheels_of_the_project(folder: Path, listing: str, build: Build) -> None:
    for name in (TORCH, "torchvision-0.20.0-cp310-cp310-linux_aarch64.whl", "torch-2.5.0.tar.gz", "README.txt"):
        (folder / name).write_bytes(b"")
    (folder / "old").mkdir()
    poll = build(table(listing)).poll(None)
    fact = facts_of(poll)[TORCH]
    assert set(facts_of(poll)) == {TORCH}
    assert fact.kind is FactKind.WHEEL
    assert fact.version == "2.5.0a0+872d972e41.nv24.08.17622132"
    assert fact.prerelease
    assert fact.digest is None
    assert fact.url == f"{listing}{TORCH.replace('+', '%2B')}"
    assert httpx.get(fact.url).status_code == 200
    assert poll.listed == 3


def test_any_platform_and_any_spelling_of_the_project_is_shown(folder: Path, listing: str, build: Build) -> None:
    names = {
        "onnxruntime_gpu-1.23.0-cp310-cp310-linux_aarch64.whl",
        "onnxruntime.gpu-1.22.0-cp38-cp38-linux_x86_64.whl",
        "Onnxruntime_GPU-1.21.0-py3-none-any.whl",
    }
    for name in (*names, "onnxruntime-1.23.0-cp310-cp310-linux_aarch64.whl"):
        (folder / name).write_bytes(b"")
    assert set(facts_of(build(table(listing, project="onnxruntime-gpu")).poll(None))) == names


def test_a_file_that_comes_or_goes_is_seen_and_an_empty_folder_is_an_empty_list(
    folder: Path, listing: str, build: Build
) -> None:
    empty = build(table(listing)).poll(None)
    assert (empty.facts, empty.listed) == ((), 0)
    (folder / TORCH).write_bytes(b"")
    there = build(table(listing)).poll(empty.cursor)
    assert set(facts_of(there)) == {TORCH}
    (folder / TORCH).unlink()
    assert build(table(listing)).poll(there.cursor).facts == ()


def test_a_folder_that_is_not_there_is_unavailable(listing: str, build: Build) -> None:
    with pytest.raises(SourceUnavailable, match="no such page"):
        build(table(f"{listing}missing/")).poll(None)


def test_a_list_that_was_long_does_not_become_empty(folder: Path, listing: str, build: Build) -> None:
    for number in range(3):
        (folder / f"torch-2.{number}.0-cp310-cp310-linux_aarch64.whl").write_bytes(b"")
    before = build(table(listing)).poll(None)
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(SourceChanged, match="empty"):
        build(table(listing)).poll(before.cursor)


# --- NVIDIA's pages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "versions"),
    [
        ("v60dp", {"2.3.0a0+6ddf5cf85e.nv24.04.14026654"}),
        ("v60", {"2.4.0a0+07cecf4168.nv24.05.14710581", "2.4.0a0+f70bd71a48.nv24.06.15634931"}),
        ("v61", {"2.5.0a0+872d972e41.nv24.08.17622132"}),
    ],
)
def test_nvidias_builds_are_prereleases_with_their_versions_as_written(
    web: Web, build: Build, page: str, versions: set[str]
) -> None:
    web.routes[LISTING] = Reply(200, (SAMPLES / f"nvidia-redist-pytorch-{page}.html").read_bytes())
    poll = build(table(f"{web.url}{LISTING}")).poll(None)
    facts = facts_of(poll).values()
    assert {fact.version for fact in facts} == versions
    assert all(fact.prerelease and fact.digest is None and fact.url.startswith(web.url) for fact in facts)
    assert poll.listed == len(versions)


def test_a_page_that_names_content_behind_its_links_is_believed(web: Web, build: Build) -> None:
    web.routes[LISTING] = Reply(200, f'<a href="{TORCH}#sha256={"a" * 64}">x</a>'.encode())
    assert facts_of(build(table(f"{web.url}{LISTING}")).poll(None))[TORCH].digest == "sha256:" + "a" * 64


def test_validators_spare_the_body_until_the_project_changes(web: Web, build: Build) -> None:
    body = (SAMPLES / "nvidia-redist-pytorch-v60.html").read_bytes()
    stamp = "Mon, 23 Nov 2026 12:00:00 GMT"

    def answer(asked: Asked) -> Reply:
        is_known = asked.headers.get("if-modified-since") == stamp
        return Reply(304) if is_known else Reply(200, body, {"Last-Modified": stamp})

    web.routes[LISTING] = answer
    url = f"{web.url}{LISTING}"
    before = build(table(url)).poll(None)
    source = build(table(url))
    same = source.poll(before.cursor)
    assert (same.facts, same.listed, same.cursor) == (None, None, before.cursor)
    assert source.traffic.bytes == 0
    assert build(table(url, project="torchvision")).poll(before.cursor).facts == ()


@pytest.mark.parametrize("body", [b"", b"<h1>502 Bad Gateway</h1>", b'<h1>Sign in</h1><a href="/login">x</a>'])
def test_a_page_for_people_with_status_200_is_no_empty_folder(web: Web, build: Build, body: bytes) -> None:
    web.routes[LISTING] = Reply(200, body, {"Content-Type": "text/html"})
    with pytest.raises(SourceChanged, match="page for people"):
        build(table(f"{web.url}{LISTING}")).poll(None)
