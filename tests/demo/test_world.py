"""The demo's upstreams answer as real ones do, and move forward step by step."""

import io
import zipfile
from collections.abc import Iterator

import httpx
import pytest

from watcher.demo.registry import INDEX
from watcher.demo.torch_build import LIBRARY, TorchBuild
from watcher.demo.world import REPOSITORY, STEPS, World


@pytest.fixture
def world() -> Iterator[World]:
    with World() as world:
        yield world


@pytest.fixture
def web(world: World) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=world.server.url, trust_env=False) as client:
        yield client


def _tags(web: httpx.Client) -> list[str]:
    tags: list[str] = web.get(f"/v2/{REPOSITORY}/tags/list").json()["tags"]
    return tags


def test_each_step_publishes_a_tag_and_the_last_a_fixed_wheel(world: World, web: httpx.Client) -> None:
    before = len(_tags(web))
    steps = [world.advance(), world.advance()]
    assert tuple(steps) == STEPS
    assert world.advance() is None
    assert len(_tags(web)) == before + len(STEPS)
    page = web.get("/jp6/cu126/+simple/torch/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}).json()
    assert [file["filename"] for file in page["files"]][-1] == "torch-2.14.0-cp310-cp310-linux_aarch64.whl"
    assert "v0.33.0" in web.get("/vllm-project/vllm/releases.atom").text


def test_a_tag_names_an_index_with_a_child_for_each_architecture(web: httpx.Client) -> None:
    tag = _tags(web)[0]
    head = web.head(f"/v2/{REPOSITORY}/manifests/{tag}")
    index = web.get(f"/v2/{REPOSITORY}/manifests/{head.headers['Docker-Content-Digest']}").json()
    assert head.headers["Content-Type"] == INDEX
    assert head.content == b""
    assert [child["platform"]["architecture"] for child in index["manifests"]] == ["arm64", "amd64"]


def test_tags_come_in_pages(world: World, web: httpx.Client) -> None:
    world.advance()
    first = web.get(f"/v2/{REPOSITORY}/tags/list?n=1")
    rest = web.get(first.links["next"]["url"]).json()["tags"]
    assert first.json()["tags"] + rest == _tags(web)


@pytest.mark.parametrize("path", ["/vllm-project/vllm/releases.atom", "/jetson/common/dists/r36.4/Release"])
def test_an_unchanged_page_is_not_sent_twice(web: httpx.Client, path: str) -> None:
    first = web.get(path)
    again = web.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


def test_files_are_served_in_ranges(web: httpx.Client) -> None:
    page = web.get("/jp6/cu126/+simple/torch/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}).json()
    url = f"/jp6/cu126/+simple/torch/{page['files'][0]['url']}"
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
