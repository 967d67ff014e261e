"""Package indexes: a real devpi, and pages of the other shapes that the watched indexes have."""

import json
from datetime import UTC, datetime

import pytest

from tests.places import SAMPLES
from tests.real.devpi import Devpi
from tests.real.web import Reply, Web
from tests.sources.conftest import Build, facts_of
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.model.facts import Fact, FactKind
from watcher.sources.simple_index import parse_html_index, parse_json_index, parse_page, wheel_facts

TORCH = "torch-2.8.0-cp310-cp310-linux_aarch64.whl"
AARCH64 = ("linux_aarch64", "manylinux*_aarch64")
PAGE = "https://pypi.jetson-ai-lab.io/jp6/cu126/+simple/torch/"


def table(url: str, more: str = "") -> str:
    return f'kind = "simple-index"\nurl = "{url}"\n{more}'


def sample(name: str, url: str = PAGE) -> dict[str, Fact]:
    body = (SAMPLES / name).read_bytes()
    kind = "application/json" if name.endswith(".json") else "text/html"
    return {fact.name: fact for fact in wheel_facts(parse_page(body, kind, url), AARCH64, ())}


# --- a real devpi -------------------------------------------------------------------------------------------------


def test_a_wheel_on_devpi_is_shown_with_its_sha256_and_stage(devpi: Devpi, build: Build) -> None:
    devpi.create_index("first/cu126")
    sha256 = devpi.upload("first/cu126", TORCH, requires_python=">=3.10")
    devpi.upload("first/cu126", "torch-2.8.0-cp310-cp310-linux_x86_64.whl")
    poll = build(table(devpi.page("first/cu126", "torch"))).poll(None)
    fact = facts_of(poll)[TORCH]
    assert poll.listed == 2
    assert fact.kind is FactKind.WHEEL
    assert fact.version == "2.8.0"
    assert fact.digest == f"sha256:{sha256}"
    assert fact.url == f"{devpi.url}/first/cu126/+f/{sha256[:3]}/{sha256[3:16]}/{TORCH}"
    assert fact.detail == {"_stage": "first/cu126", "_requires_python": ">=3.10"}
    assert not fact.prerelease


def test_devpi_in_html_says_the_same_as_in_json(devpi: Devpi, build: Build) -> None:
    devpi.create_index("second/cu126")
    devpi.upload("second/cu126", TORCH, requires_python=">=3.10,<4")
    url = devpi.page("second/cu126", "torch")
    as_html = devpi.client.get(url, headers={"Accept": "text/html"})
    assert "html" in as_html.headers["content-type"]
    found = wheel_facts(parse_html_index(as_html.content, url), AARCH64, ())
    assert found == build(table(url)).poll(None).facts


def test_an_unchanged_devpi_sends_no_body(devpi: Devpi, build: Build) -> None:
    devpi.create_index("third/cu126")
    devpi.upload("third/cu126", TORCH)
    url = devpi.page("third/cu126", "torch")
    before = build(table(url)).poll(None)
    source = build(table(url))
    after = source.poll(before.cursor)
    assert after.facts is None
    assert after.cursor == before.cursor
    assert (source.traffic.requests, source.traffic.not_modified, source.traffic.bytes) == (1, 1, 0)


def test_a_wheel_uploaded_again_under_its_name_has_a_new_digest(devpi: Devpi, build: Build) -> None:
    devpi.create_index("fourth/cu126")
    old = devpi.upload("fourth/cu126", TORCH, "before")
    url = devpi.page("fourth/cu126", "torch")
    before = build(table(url)).poll(None)
    new = devpi.upload("fourth/cu126", TORCH, "after")
    after = build(table(url)).poll(before.cursor)
    assert facts_of(before)[TORCH].digest == f"sha256:{old}"
    assert facts_of(after)[TORCH].digest == f"sha256:{new}"
    assert facts_of(after)[TORCH].key == facts_of(before)[TORCH].key


def test_an_index_with_bases_names_the_stage_of_each_file(devpi: Devpi, build: Build) -> None:
    devpi.create_index("fifth/base")
    devpi.create_index("fifth/cu126", bases=("fifth/base",))
    devpi.upload("fifth/base", "torch-2.7.0-cp310-cp310-linux_aarch64.whl")
    devpi.upload("fifth/cu126", TORCH)
    facts = facts_of(build(table(devpi.page("fifth/cu126", "torch"))).poll(None))
    stages = {fact.version: fact.detail["_stage"] for fact in facts.values()}
    assert stages == {"2.7.0": "fifth/base", "2.8.0": "fifth/cu126"}


def test_a_deleted_release_is_absent_and_a_missing_project_unavailable(devpi: Devpi, build: Build) -> None:
    devpi.create_index("sixth/cu126")
    devpi.upload("sixth/cu126", TORCH)
    devpi.upload("sixth/cu126", "torch-2.9.1-cp310-cp310-linux_aarch64.whl")
    url = devpi.page("sixth/cu126", "torch")
    before = build(table(url)).poll(None)
    devpi.delete("sixth/cu126", "torch", "2.8.0")
    assert {fact.version for fact in facts_of(build(table(url)).poll(before.cursor)).values()} == {"2.9.1"}
    with pytest.raises(SourceUnavailable, match="no such page"):
        build(table(devpi.page("sixth/cu126", "no-such-project"))).poll(None)


# --- pages as the watched indexes have them -----------------------------------------------------------------------


def test_the_jetson_index_is_read_alike_in_both_forms() -> None:
    as_html, as_json = sample("simple-index-jetson-ai-lab-torch.html"), sample("simple-index-jetson-ai-lab-torch.json")
    assert as_html == as_json
    assert len(as_html) == 3
    fact = as_html[TORCH]
    assert fact.digest == "sha256:62a1beee9f2f147076a974d2942c90060c12771c94740830327cae705b2595fc"
    assert fact.url == f"https://pypi.jetson-ai-lab.io/jp6/cu126/+f/62a/1beee9f2f1470/{TORCH}"
    assert fact.detail["_stage"] == "jp6/cu126"


def test_one_name_with_other_content_is_the_same_thing_rebuilt() -> None:
    before = sample("simple-index-jetson-ai-lab-torch.before-reupload.html")[TORCH]
    after = sample("simple-index-jetson-ai-lab-torch.html")[TORCH]
    assert before.key == after.key
    assert before.digest != after.digest


def test_other_platforms_are_no_facts_and_quoted_names_are_unquoted() -> None:
    url = "https://download.pytorch.org/whl/cu130/torch/"
    facts = sample("simple-index-pytorch-cu130-torch.html", url)
    assert facts
    assert all("aarch64" in name and "x86_64" not in name for name in facts)
    fact = facts["torch-2.9.1+cu130-cp312-cp312-manylinux_2_28_aarch64.whl"]
    assert fact.version == "2.9.1+cu130"
    assert fact.url.endswith("/torch-2.9.1%2Bcu130-cp312-cp312-manylinux_2_28_aarch64.whl")


def test_a_plain_listing_shows_nvidias_builds_as_prereleases_as_written() -> None:
    facts = sample(
        "nvidia-redist-pytorch-v60.html", "https://developer.download.nvidia.com/compute/redist/jp/v60/pytorch/"
    )
    assert {fact.version for fact in facts.values()} == {
        "2.4.0a0+07cecf4168.nv24.05.14710581",
        "2.4.0a0+f70bd71a48.nv24.06.15634931",
    }
    assert all(fact.prerelease and fact.digest is None for fact in facts.values())


def test_pythons_and_platforms_choose_among_the_files() -> None:
    names = ["a-1-cp310-cp310-linux_aarch64.whl", "a-1-cp312-cp312-manylinux_2_17_aarch64.manylinux2014_aarch64.whl",
             "a-1-py2.py3-none-any.whl", "a-1-1-cp310-cp310-linux_aarch64.whl", "a-1.tar.gz"]  # fmt: skip
    body = json.dumps({"files": [{"filename": name, "url": name} for name in names]}).encode()
    files = parse_json_index(body, PAGE)
    assert [fact.name for fact in wheel_facts(files, AARCH64, ("cp310",))] == [names[3], names[0]]
    assert [fact.name for fact in wheel_facts(files, AARCH64, ())] == [names[3], names[0], names[1]]
    assert [fact.name for fact in wheel_facts(files, ("any",), ("py3",))] == [names[2]]


def test_yanked_size_and_time_are_kept_where_an_index_tells_them() -> None:
    file = {
        "filename": TORCH,
        "url": f"https://files.example/{TORCH}",
        "hashes": {"sha256": "A" * 64},
        "yanked": "broken on Orin",
        "size": 430,
        "upload-time": "2026-09-02T13:44:00.123456Z",
    }
    fact = wheel_facts(parse_json_index(json.dumps({"files": [file]}).encode(), PAGE), AARCH64, ())[0]
    assert fact.yanked
    assert fact.digest == "sha256:" + "a" * 64
    assert fact.published_at == datetime(2026, 9, 2, 13, 44, 0, 123456, UTC)
    assert fact.detail == {"_yanked": "broken on Orin", "_size": "430"}
    html = f'<title>Links for torch</title><a href="{TORCH}" data-yanked="">x</a>'
    assert wheel_facts(parse_html_index(html.encode(), PAGE), AARCH64, ())[0].yanked


def test_a_devpi_path_without_fragment_still_names_the_content() -> None:
    html = f'<h1>Links for torch</h1><a href="../../+f/62a/1beee9f2f1470/{TORCH}">x</a>'
    assert wheel_facts(parse_html_index(html.encode(), PAGE), AARCH64, ())[0].digest == "sha256:62a1beee9f2f1470"


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ('data-core-metadata="true"', True),
        (f'data-dist-info-metadata="sha256={"0" * 64}"', True),
        ('data-core-metadata="false" data-dist-info-metadata="true"', False),
        ("data-core-metadata", False),
        ("", False),
    ],
)
def test_metadata_served_beside_a_wheel_is_marked_in_html(marks: str, expected: bool) -> None:
    html = f'<h1>Links for torch</h1><a href="{TORCH}" {marks}>x</a>'
    (file,) = parse_html_index(html.encode(), PAGE)
    assert file.has_metadata is expected
    assert wheel_facts([file])[0].detail.get("_metadata") == ("1" if expected else None)


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ({"core-metadata": True}, True),
        ({"core-metadata": {"sha256": "0" * 64}}, True),
        ({"dist-info-metadata": {"sha256": "0" * 64}}, True),
        ({"core-metadata": False, "dist-info-metadata": True}, False),
        ({"core-metadata": "yes"}, False),
        ({}, False),
    ],
)
def test_metadata_served_beside_a_wheel_is_marked_in_json(marks: dict[str, object], expected: bool) -> None:
    body = json.dumps({"files": [{"filename": TORCH, "url": TORCH, **marks}]}).encode()
    (file,) = parse_json_index(body, PAGE)
    assert file.has_metadata is expected
    assert wheel_facts([file])[0].detail.get("_metadata") == ("1" if expected else None)


def test_pytorchs_own_index_serves_metadata() -> None:
    facts = sample("simple-index-pytorch-cu130-torch.html", "https://download.pytorch.org/whl/cu130/torch/")
    assert {fact.detail["_metadata"] for fact in facts.values()} == {"1"}


def test_links_that_are_not_http_are_no_files() -> None:
    html = f'<h1>Links for x</h1><a href="file:///{TORCH}">1</a><a href="javascript:{TORCH}">2</a><a href="http://[/x.whl">3</a>'
    assert parse_html_index(html.encode(), PAGE) == ()


# --- trouble ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page",
    [
        b"<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>",
        b'<title>Sign in</title><form action="/login"><a href="/register">Register</a></form>',
        b"",
        b"plain words",
        b"\xff\xfe\x00",
    ],
)
def test_a_page_for_people_with_status_200_is_not_an_empty_index(web: Web, build: Build, page: bytes) -> None:
    web.routes["/torch/"] = Reply(200, page, {"Content-Type": "text/html"})
    with pytest.raises(SourceChanged, match="not an index"):
        build(table(f"{web.url}/torch/")).poll(None)


@pytest.mark.parametrize(
    "body", [b'{"files": [{"filename"', b"[]", b'{"projects": []}', b'{"files": [1]}', b"[" * 50_000]
)
def test_half_a_json_is_no_answer(web: Web, build: Build, body: bytes) -> None:
    web.routes["/torch/"] = Reply(200, body, {"Content-Type": "application/vnd.pypi.simple.v1+json"})
    with pytest.raises(SourceChanged):
        build(table(f"{web.url}/torch/")).poll(None)


def many(count: int) -> Reply:
    files = [{"filename": f"t-{n}-cp310-cp310-linux_aarch64.whl", "url": f"{n}.whl"} for n in range(count)]
    return Reply(200, json.dumps({"files": files}).encode(), {"Content-Type": "application/json", "ETag": f'"{count}"'})


def test_an_empty_list_where_there_was_a_long_one_is_trouble(web: Web, build: Build) -> None:
    web.routes["/torch/"] = many(5)
    cursor = build(table(f"{web.url}/torch/")).poll(None).cursor
    web.routes["/torch/"] = many(0)
    with pytest.raises(SourceChanged, match="empty"):
        build(table(f"{web.url}/torch/")).poll(cursor)
    web.routes["/torch/"] = many(1)
    few = build(table(f"{web.url}/torch/")).poll(cursor)
    assert len(facts_of(few)) == 1
    web.routes["/torch/"] = many(0)
    assert build(table(f"{web.url}/torch/")).poll(few.cursor).facts == ()


def test_validators_spare_the_body_until_the_filters_change(web: Web, build: Build) -> None:
    web.routes["/torch/"] = lambda asked: Reply(304) if asked.headers.get("if-none-match") == '"3"' else many(3)
    url = f"{web.url}/torch/"
    cursor = build(table(url)).poll(None).cursor
    assert build(table(url)).poll(cursor).facts is None
    assert build(table(url, 'timeout = "9s"')).poll(cursor).facts is None
    assert len(facts_of(build(table(url, 'pythons = ["cp310"]')).poll(cursor))) == 3


@pytest.mark.parametrize("cursor", ["", "{", "[]", "null", '{"fits": 1}', '{"validators": []}'])
def test_a_cursor_that_cannot_be_read_is_as_none(web: Web, build: Build, cursor: str) -> None:
    web.routes["/torch/"] = many(2)
    assert len(facts_of(build(table(f"{web.url}/torch/")).poll(cursor))) == 2


def test_a_moved_index_resolves_links_against_where_it_is_now(web: Web, build: Build) -> None:
    web.routes["/torch/"] = Reply(301, headers={"Location": "/new/torch/"})
    web.routes["/new/torch/"] = Reply(200, f'<h1>Links for torch</h1><a href="{TORCH}">x</a>'.encode())
    assert facts_of(build(table(f"{web.url}/torch/")).poll(None))[TORCH].url == f"{web.url}/new/torch/{TORCH}"
