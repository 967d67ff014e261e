"""Long lists are read completely, in bounded memory: 10 000 tags of a real registry, 5 000 wheels of a real devpi."""

import json
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.places import CHECKOUT
from tests.real.devpi import Devpi
from tests.real.registry import Registry, running_registry
from tests.real.scene import Scene
from tests.real.web import Asked, Reply, Web, running_web
from tests.sources.conftest import Build, facts_of
from watcher.sources.simple_index import ACCEPT, parse_page

TAGS, WHEELS = 10_000, 5_000
MEMORY = 300 * 2**20
"""Data of a whole check."""
FEW = "^1\\.999\\d-r36"


@pytest.fixture(scope="module")
def large_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Run a registry with one image under all tags."""
    folder = tmp_path_factory.mktemp("registry")
    with running_registry(folder) as registry:
        pushed = registry.push("vllm", tag_of(0))
        for number in range(1, TAGS):
            registry_keeps_tag(folder, tag_of(number), pushed.digest)
        yield registry


def tag_of(number: int) -> str:
    return f"1.{number}-r36.4"


def registry_keeps_tag(folder: Path, tag: str, digest: str) -> None:
    """Write what the registry itself writes for one more tag: by HTTP ten thousand would take half a minute."""
    place = folder / "data/docker/registry/v2/repositories/vllm/_manifests/tags" / tag
    for link in (place / "current", place / "index/sha256" / digest.removeprefix("sha256:")):
        link.mkdir(parents=True)
        (link / "link").write_text(digest)


@pytest.fixture(scope="module")
def large_index(devpi: Devpi) -> Iterator[str]:
    """Let devpi mirror an index with all wheels, and return its page: uploads would take a quarter of an hour."""
    names = [f"torch-2.{number}.0-cp310-cp310-linux_aarch64.whl" for number in range(WHEELS)]
    files = [{"filename": name, "url": name, "hashes": {"sha256": f"{n:064x}"}} for n, name in enumerate(names)]
    body = json.dumps({"meta": {"api-version": "1.0"}, "name": "torch", "files": files}).encode()
    with running_web() as web:
        web.routes["/simple/torch/"] = Reply(200, body, {"Content-Type": "application/vnd.pypi.simple.v1+json"})
        index = f"{uuid4().hex[:8]}/cu126"
        devpi.create_mirror(index, f"{web.url}/simple/")
        yield devpi.page(index, "torch")


def image_table(registry: Registry) -> dict[str, Any]:
    return {"kind": "oci-tags", "image": f"{registry.host}/vllm", "architecture": "arm64"}


def test_ten_thousand_tags_are_read_with_their_digests(large_registry: Registry, build: Build) -> None:
    toml = f'kind = "oci-tags"\nimage = "{large_registry.host}/vllm"'
    source = build(toml)
    facts = facts_of(source.poll(None))
    assert set(facts) == {tag_of(number) for number in range(TAGS)}
    assert all(fact.digest for fact in facts.values())
    assert source.traffic.requests == 1 + TAGS + 1


def test_include_narrows_ten_thousand_tags_to_few_requests(large_registry: Registry, build: Build) -> None:
    source = build(f'kind = "oci-tags"\nimage = "{large_registry.host}/vllm"\ninclude = \'{FEW}\'')
    facts = facts_of(source.poll(None))
    assert len(facts) == TAGS
    assert {name for name, fact in facts.items() if fact.digest} == {tag_of(9990 + number) for number in range(10)}
    assert source.traffic.requests == 1 + 10 + 1


def test_ten_thousand_tags_in_pages_are_all_followed(web: Web, build: Build) -> None:
    def page(asked: Asked) -> Reply:
        if not asked.path.endswith("/tags/list"):
            return Reply(404)
        size, begin = int(asked.query["n"]), int(asked.query.get("last", "-1")) + 1
        link = {"Link": f'<{asked.path}?n={size}&last={begin + size - 1}>; rel="next"'} if begin + size < TAGS else {}
        return Reply(200, json.dumps({"tags": [tag_of(begin + number) for number in range(size)]}).encode(), link)

    web.fallback = page
    source = build(f'kind = "oci-tags"\nimage = "{web.host}/vllm"\ninclude = "nothing"')
    assert set(facts_of(source.poll(None))) == {tag_of(number) for number in range(TAGS)}
    assert source.traffic.requests == 10


def test_five_thousand_wheels_are_read_and_cost_nothing_again(large_index: str, build: Build) -> None:
    toml = f'kind = "simple-index"\nurl = "{large_index}"'
    source = build(toml)
    poll = source.poll(None)
    facts = facts_of(poll)
    assert {fact.version for fact in facts.values()} == {f"2.{number}.0" for number in range(WHEELS)}
    assert all(fact.digest for fact in facts.values())
    again = build(toml)
    assert again.poll(poll.cursor).facts is None
    assert (again.traffic.requests, again.traffic.bytes) == (1, 0)


def test_five_thousand_wheels_in_html_are_the_same(devpi: Devpi, large_index: str) -> None:
    answers = [devpi.client.get(large_index, headers={"Accept": accept}) for accept in ("text/html", ACCEPT)]
    as_html, as_json = (parse_page(one.content, one.headers["content-type"], large_index) for one in answers)
    assert len(as_html) == WHEELS
    assert {(file.name, file.url, file.sha256) for file in as_html} == {
        (file.name, file.url, file.sha256) for file in as_json
    }


def test_the_program_keeps_all_of_it_in_little_memory(
    large_registry: Registry, large_index: str, tmp_path: Path
) -> None:
    sources = [
        {"name": "tags", **image_table(large_registry), "include": FEW},
        {"name": "wheels", "kind": "simple-index", "url": large_index},
    ]
    table = {"store": {"data_dir": "data"}, "device": {"docker": "none"}, "sources": sources}
    scene = Scene(tmp_path, engine=None, table=table)
    looks, _ = checked(scene)
    assert {name: (look["outcome"], look["facts"]) for name, look in looks.items()} == {
        "tags": ("baseline", TAGS),
        "wheels": ("baseline", WHEELS),
    }
    looks, trouble = checked(scene)
    assert {name: look["outcome"] for name, look in looks.items()} == {"tags": "unchanged", "wheels": "unchanged"}
    assert (looks["tags"]["requests"], looks["wheels"]["not_modified"]) == (11, 1)
    assert trouble.count("could not be read now") == 12, "the mirrored files are not there; the rest is left for later"


def checked(scene: Scene) -> tuple[dict[str, dict[str, Any]], str]:
    """Check once with little memory and return the looks by name, and what was said meanwhile."""
    done = subprocess.run(
        scene.command("check-now", "--no-trial", "--json"),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {look["name"]: look for look in json.loads(done.stdout)["sources"]}, done.stderr
