"""Parsing raises nothing but SourceChanged, whatever bytes come: random ones, and samples cut off or damaged."""

import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.places import SAMPLES
from watcher.errors import SourceChanged
from watcher.fetch.bodies import unpacked
from watcher.model.facts import Fact, FactKind, Poll
from watcher.sources.apt import parse_packages, parse_release
from watcher.sources.bounded import bounded
from watcher.sources.docker_hub import parse_tags_page
from watcher.sources.feed import items
from watcher.sources.feed_document import parse_document
from watcher.sources.github_releases import parse_feed, parse_releases
from watcher.sources.github_threads import closing_commit, parse_events, parse_thread
from watcher.sources.index_list import parse_indexes, parse_projects
from watcher.sources.registry import parse_architecture, parse_challenge, parse_manifest, parse_tags, parse_token
from watcher.sources.simple_index import parse_html_index, parse_json_index, wheel_facts

URL = "https://index.example/jp6/cu126/+simple/torch/"
LIST = "https://index.example/simple/"
ANY = ("*",)


def _read_hub(body: bytes) -> None:
    page = parse_tags_page(body)
    assert page.mark
    for tag in page.tags:
        tag.content_for("arm64")


PARSERS: dict[str, tuple[Callable[[bytes], object], str]] = {
    "html": (lambda body: wheel_facts(parse_html_index(body, URL), ANY, ()), "simple-index-jetson-ai-lab-torch.html"),
    "json": (lambda body: wheel_facts(parse_json_index(body, URL), ANY, ()), "simple-index-jetson-ai-lab-torch.json"),
    "listing": (
        lambda body: wheel_facts(parse_html_index(body, URL), project="torch"),
        "nvidia-redist-pytorch-v60.html",
    ),
    "projects": (lambda body: parse_projects(body, "", LIST), "simple-index-jetson-ai-lab-root.json"),
    "html projects": (lambda body: parse_projects(body, "text/html", LIST), "simple-index-pytorch-cu130-torch.html"),
    "indexes": (lambda body: parse_indexes(body, "", LIST), "simple-index-jetson-ai-lab-root.json"),
    "html indexes": (lambda body: parse_indexes(body, "text/html", LIST), "nvidia-redist-pytorch-v60.html"),
    "hub": (_read_hub, "docker-hub-tag-dustynv-vllm-0.8.6-r36.4-cu128-24.04.json"),
    "hub page": (_read_hub, "docker-hub-tags-dustynv-tensorrt_llm.json"),
    "feed": (parse_feed, "github-releases-vllm.atom"),
    "atom": (lambda body: tuple(items(parse_document(body), URL, "")), "github-releases-vllm.atom"),
    "rss": (lambda body: tuple(items(parse_document(body), URL, "")), "discourse-topic.rss"),
    "thread": (parse_thread, "docker-hub-404.json"),
    "events": (lambda body: closing_commit(parse_events(body)), "github-tags-vllm.json"),
    "release": (parse_release, "apt-Release-r36.4-common"),
    "packages": (lambda body: parse_packages(body, ["nvidia-jetpack"]), "apt-Packages-r36.4-common"),
    "gz": (lambda body: unpacked(body, ".gz", 10_000), "apt-Packages-r36.4-common.gz"),
    "xz": (lambda body: unpacked(body, ".xz", 10_000), "apt-Packages-r36.4-common.gz"),
    "tags": (parse_tags, "oci-tags-list-dustynv-vllm.json"),
    "manifest": (parse_manifest, "oci-tags-list-dustynv-vllm.json"),
    "config": (parse_architecture, "oci-token-response.json"),
    "token": (parse_token, "oci-token-response.json"),
    "challenge": (lambda body: parse_challenge(body.decode("latin-1")), "oci-unauthorized.http"),
}

JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["files", "filename", "url", "hashes", "sha256", "tags", "token", "manifests", "platform", "digest",
                 "os", "architecture", "config", "yanked", "size", "upload-time", "variant", "draft", "name", "body",
                 "published_at", "prerelease", "tag_name", "projects", "type", "result", "indexes", "count", "next",
                 "results", "images", "tag_status", "full_size", "tag_last_pushed", "core-metadata", "state",
                 "state_reason", "labels", "title", "closed_at", "closed_by", "login", "pull_request", "merged_at",
                 "event", "commit_id"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip
THREAD_KEYS = st.sampled_from(
    ["state_reason", "labels", "title", "created_at", "closed_at", "closed_by", "pull_request"]
)


FACTS = st.builds(
    Fact,
    kind=st.sampled_from(FactKind),
    name=st.text(st.characters(), max_size=4) | st.just("n" * 2_000),
    version=st.none() | st.text(st.characters(), max_size=4) | st.just("1" * 2_000),
    url=st.sampled_from(["", "https://a.example/", "javascript:alert(1)", "https://a.example/" + "x" * 9_000]),
    detail=st.dictionaries(
        st.sampled_from(["notes", "_id"]), st.text(st.characters(), max_size=4) | st.just("d" * 9_000)
    ),
)


@settings(max_examples=300, deadline=None)
@given(facts=st.lists(FACTS, max_size=3))
def test_what_leaves_a_source_can_be_stored_and_shown(facts: list[Fact]) -> None:
    with suppress(SourceChanged):
        for fact in bounded(Poll(tuple(facts))).facts or ():
            texts = (fact.name, fact.version or "", fact.url, *fact.detail.values())
            assert fact.name
            assert max(map(len, texts)) <= 4_000
            assert fact.url == "" or fact.url.startswith("https://")
            "".join(texts).encode()


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=300))
def test_random_bytes(name: str, body: bytes) -> None:
    with suppress(SourceChanged):
        PARSERS[name][0](body)


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_samples_cut_off_or_damaged(name: str, data: st.DataObject) -> None:
    parse, file = PARSERS[name]
    body = (SAMPLES / file).read_bytes()
    cut = body[: data.draw(st.integers(0, len(body)))]
    place = data.draw(st.integers(0, max(len(cut) - 1, 0)))
    damaged = cut[:place] + data.draw(st.binary(max_size=6)) + cut[place + 1 :]
    with suppress(SourceChanged):
        parse(damaged)


@pytest.mark.parametrize(
    "name",
    ["json", "projects", "indexes", "hub", "tags", "manifest", "config", "token", "thread", "events"],
)
@settings(max_examples=150, deadline=None)
@given(value=JSONS)
def test_any_json(name: str, value: object) -> None:
    with suppress(SourceChanged):
        PARSERS[name][0](json.dumps(value).encode())


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(JSONS, max_size=3))
def test_any_rows_of_releases(rows: list[dict[str, object]]) -> None:
    with suppress(SourceChanged):
        parse_releases([{"tag_name": "v1", **row} if isinstance(row, dict) else row for row in rows])


@settings(max_examples=150, deadline=None)
@given(row=st.dictionaries(THREAD_KEYS, JSONS), state=st.sampled_from(["open", "closed"]))
def test_any_thread(row: dict[str, object], state: str) -> None:
    parse_thread(json.dumps({**row, "state": state, "html_url": URL}).encode())


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(JSONS, max_size=3))
def test_any_events(rows: list[object]) -> None:
    found = [{"event": "closed", **row} if isinstance(row, dict) else {"event": row, "commit_id": row} for row in rows]
    closing_commit(parse_events(json.dumps(found).encode()))
