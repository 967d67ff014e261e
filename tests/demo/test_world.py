"""The demo's upstreams answer as real ones do, and each day changes them."""

import io
import zipfile
from collections.abc import Iterator

import httpx
import pytest

from watcher.demo.registry import INDEX
from watcher.demo.torch_build import LIBRARY, TorchBuild
from watcher.demo.world import World
from watcher.demo.year import DAYS, JP6, NVIDIA, OFFICIAL, PYTHON

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
TORCH_JP6, TORCH_OFFICIAL, VLLM = f"/{JP6}/+simple/torch/", f"/{OFFICIAL}/torch/", f"/{PYTHON}/vllm/"
FEED, RELEASE = "/vllm-project/vllm/releases.atom", "/jetson/common/dists/r36.4/Release"


@pytest.fixture
def world() -> Iterator[World]:
    with World() as world:
        yield world


@pytest.fixture
def web(world: World) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=world.server.url, trust_env=False) as client:
        yield client


def _tags(web: httpx.Client) -> list[str]:
    tags: list[str] = web.get(f"/v2/{NVIDIA}/tags/list").json()["tags"]
    return tags


def _files(web: httpx.Client, page: str) -> list[str]:
    return [file["filename"] for file in web.get(page, headers=JSON).json()["files"]]


def test_the_days_are_in_order_and_each_has_its_dates() -> None:
    dates = [today.date for today in DAYS]
    assert dates == sorted(dates)
    for today in DAYS:
        assert all(line[:10] <= f"{today.date:%Y-%m-%d}" for line in today.known), today.title
        assert [line[:10] for line in today.known] == sorted(line[:10] for line in today.known)


def test_the_year_brings_the_fix_everywhere_but_to_jetpack_6(world: World, web: httpx.Client) -> None:
    for today in DAYS:
        world.live(today)
    assert "torch-2.14.0+cu130-cp312-cp312-manylinux_2_28_aarch64.whl" in _files(web, TORCH_OFFICIAL)
    assert _files(web, TORCH_JP6)[-1] == "torch-2.10.0-cp310-cp310-linux_aarch64.whl"
    assert "v0.33.0" in web.get(FEED).text
    assert "39.2.1" in web.get("/jetson/som/dists/r39.2/main/binary-arm64/Packages").text
    issue = web.get("/api/repos/pytorch/pytorch/issues/185946").json()
    assert (issue["state"], issue["labels"], issue["pull_request"]["merged_at"]) == (
        "closed",
        [{"name": "Merged"}],
        None,
    )
    (closing,) = web.get("/api/repos/pytorch/pytorch/issues/185946/events").json()
    assert (closing["event"], closing["actor"]["login"]) == ("closed", "pytorchmergebot")


def test_the_python_index_has_dates_and_metadata_and_devpi_has_neither(web: httpx.Client) -> None:
    (file,) = web.get(VLLM, headers=JSON).json()["files"]
    assert file["upload-time"] == "2025-11-12T12:00:00Z"
    assert "Requires-Dist: torch==2.8.0" in web.get(f"{VLLM}{file['url']}.metadata").text
    page = web.get(TORCH_JP6, headers=JSON)
    assert page.json()["meta"] == {"api-version": "1.0"}
    assert all(set(file) == {"filename", "url", "hashes"} for file in page.json()["files"])
    assert "X-DEVPI-SERIAL" in page.headers


def test_a_page_for_people_links_the_same_files(web: httpx.Client) -> None:
    (file, _) = web.get(TORCH_JP6, headers=JSON).json()["files"]
    link = f'<a href="{file["url"]}#sha256={file["hashes"]["sha256"]}">{file["filename"]}</a>'
    assert link in web.get(TORCH_JP6).text


def test_the_hub_tells_dates_and_digests(web: httpx.Client) -> None:
    page = web.get("/hub/v2/namespaces/dustynv/repositories/vllm/tags?page_size=100").json()
    assert (page["count"], page["next"]) == (2, None)
    newest = page["results"][0]
    assert (newest["name"], newest["tag_last_pushed"][:10]) == ("0.8.6-r36.4-cu128-24.04", "2025-05-06")
    assert newest["images"][0]["architecture"] == "arm64"


def test_a_tag_names_an_index_with_a_child_for_each_architecture(web: httpx.Client) -> None:
    tag = _tags(web)[0]
    head = web.head(f"/v2/{NVIDIA}/manifests/{tag}")
    index = web.get(f"/v2/{NVIDIA}/manifests/{head.headers['Docker-Content-Digest']}").json()
    assert head.headers["Content-Type"] == INDEX
    assert head.content == b""
    assert [child["platform"]["architecture"] for child in index["manifests"]] == ["arm64", "amd64"]


def test_tags_come_in_pages(world: World, web: httpx.Client) -> None:
    world.live(DAYS[0])
    first = web.get(f"/v2/{NVIDIA}/tags/list?n=1")
    rest = web.get(first.links["next"]["url"]).json()["tags"]
    assert first.json()["tags"] + rest == _tags(web)


@pytest.mark.parametrize("path", [FEED, RELEASE, TORCH_OFFICIAL, "/api/repos/pytorch/pytorch/issues/112377"])
def test_an_unchanged_page_is_not_sent_twice(web: httpx.Client, path: str) -> None:
    first = web.get(path)
    again = web.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


def test_files_are_served_in_ranges(web: httpx.Client) -> None:
    page = web.get(TORCH_JP6, headers=JSON).json()
    url = f"{TORCH_JP6}{page['files'][0]['url']}"
    whole = web.get(url)
    part = web.get(url, headers={"Range": "bytes=100-199"})
    tail = web.get(url, headers={"Range": "bytes=-22"})
    beyond = web.get(url, headers={"Range": f"bytes={len(whole.content)}-"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert tail.content == whole.content[-22:]
    assert beyond.status_code == 416


@pytest.mark.parametrize("path", ["/v2/other/vllm/tags/list", "/jetson/common/dists/r36.6/Release", "/elsewhere"])
def test_what_does_not_exist_is_not_found(web: httpx.Client, path: str) -> None:
    assert web.get(path).status_code == 404


@pytest.mark.parametrize(("has_bug", "text"), [(True, b"CUDACachingAllocator.cpp"), (False, b"omitting per-process")])
def test_a_wheel_carries_the_assert_or_what_replaced_it(has_bug: bool, text: bytes) -> None:
    build = TorchBuild("2.14.0", has_bug)
    with zipfile.ZipFile(io.BytesIO(build.wheel())) as wheel:
        assert wheel.testzip() is None
        assert text in wheel.read(LIBRARY)
    assert build.wheel() == build.wheel()


def test_a_build_for_the_cpu_has_no_such_library() -> None:
    with zipfile.ZipFile(io.BytesIO(TorchBuild("2.9.1", has_bug=True, has_cuda=False).wheel())) as wheel:
        assert LIBRARY not in wheel.namelist()
