"""Tags by Docker Hub's own interface: entries as the Hub has them, and a real registry for what it does not know."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.clocks import SteppingClock
from tests.places import SAMPLES
from tests.real.docker_hub import DockerHub, digest_of
from tests.real.registry import Registry
from tests.real.web import Asked, Reply, Web
from tests.sources.conftest import Build, facts_of
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.model.facts import EventKind, FactKind, KnownFact, Poll
from watcher.planner.news import changes
from watcher.sources.docker_hub import MAX_PAGES, parse_tags_page

IMAGE = "dustynv/vllm"
TAG = "0.8.6-r36.4-cu128-24.04"
NOWHERE = "http://127.0.0.1:1"
"""A registry that refuses every connection: asking it fails the look."""


def table(hub: DockerHub, more: str = "", registry: str = NOWHERE) -> str:
    urls = f'hub_url = "{hub.url}"\nregistry_url = "{registry}"'
    return f'kind = "docker-hub"\nrepository = "{IMAGE}"\n{urls}\n{more}'


def sample(name: str) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = json.loads((SAMPLES / f"docker-hub-tags-dustynv-{name}.json").read_bytes())[
        "results"
    ]
    return results


# --- what is shown ------------------------------------------------------------------------------------------------


def test_a_tag_is_shown_with_its_digest_push_and_size(docker_hub: DockerHub, build: Build) -> None:
    docker_hub.results[IMAGE] = sample("vllm")
    poll = build(table(docker_hub)).poll(None)
    fact = facts_of(poll)[TAG]
    digest = "sha256:b2210294b661acc6e94bc302ce5111d6d0cb01a3815ada0132c105f540fb7a63"
    assert fact.kind is FactKind.IMAGE
    assert (fact.version, fact.digest, fact.prerelease) == ("0.8.6", digest, False)
    assert fact.published_at == datetime(2025, 5, 6, 6, 15, 2, 363359, UTC)
    assert fact.url == f"https://hub.docker.com/r/{IMAGE}/tags?name={TAG}"
    assert fact.detail == {
        "_index_digest": digest,
        "_architectures": "arm64",
        "_size": "6148566223",
        "_status": "active",
    }
    assert poll.listed == 11
    assert poll.complete


def test_of_an_index_the_devices_architecture_is_taken_and_attestations_are_none(
    docker_hub: DockerHub, build: Build
) -> None:
    images = {"amd64": digest_of("amd64"), "arm64": digest_of("arm64"), "unknown": digest_of("attestation")}
    docker_hub.push(IMAGE, "v0.33.0", images, digest_of("index"))
    docker_hub.push(IMAGE, "v0.34.0rc1", {"amd64": digest_of("other")}, digest_of("other index"))
    facts = facts_of(build(table(docker_hub)).poll(None))
    assert facts["v0.33.0"].digest == digest_of("arm64")
    assert facts["v0.33.0"].detail["_index_digest"] == digest_of("index")
    assert facts["v0.33.0"].detail["_architectures"] == "amd64 arm64"
    assert facts["v0.34.0rc1"].digest is None
    assert facts["v0.34.0rc1"].detail["_architectures"] == "amd64"
    assert facts["v0.34.0rc1"].prerelease
    other = facts_of(build(table(docker_hub, 'architecture = "amd64"')).poll(None))
    assert other["v0.33.0"].digest == digest_of("amd64")


def test_of_several_variants_the_one_docker_would_take_is_taken(docker_hub: DockerHub, build: Build) -> None:
    entry = docker_hub.push(IMAGE, "1.0", {"arm64": digest_of("v9")}, digest_of("index"))
    plain = {**entry["images"][0], "variant": None, "digest": digest_of("plain")}
    entry["images"] = [{**entry["images"][0], "variant": "v9"}, plain]
    assert facts_of(build(table(docker_hub)).poll(None))["1.0"].digest == digest_of("plain")


def test_a_tag_has_the_shape_the_registry_gives_it(docker_hub: DockerHub, registry: Registry, build: Build) -> None:
    pushed = registry.push(IMAGE, "0.9.2-r36.4", architectures=("amd64", "arm64"))
    docker_hub.push(IMAGE, "0.9.2-r36.4", pushed.children, pushed.digest)
    by_registry = f'kind = "oci-tags"\nimage = "docker.io/{IMAGE}"\nregistry_url = "{registry.url}"'
    one = facts_of(build(by_registry).poll(None))["0.9.2-r36.4"]
    other = facts_of(build(table(docker_hub)).poll(None))["0.9.2-r36.4"]
    for attribute in ("kind", "name", "version", "digest", "url", "yanked", "prerelease"):
        assert getattr(one, attribute) == getattr(other, attribute)
    assert one.detail == {key: other.detail[key] for key in one.detail}


def test_an_inactive_tag_is_kept_and_its_standing_is_no_news(docker_hub: DockerHub, build: Build) -> None:
    docker_hub.results[IMAGE] = sample("pytorch")
    before = build(table(docker_hub)).poll(None)
    fact = facts_of(before)["1.12-r35.2.1"]
    assert fact.detail["_status"] == "inactive"
    assert fact.digest
    assert not fact.yanked
    next(entry for entry in docker_hub.results[IMAGE] if entry["name"] == fact.name)["tag_status"] = "active"
    after = build(table(docker_hub)).poll(before.cursor)
    assert facts_of(after)[fact.name].detail["_status"] == "active"
    assert events(before, after) == []


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ({"tag_last_pushed": "2025-05-06T06:15:21.631290815Z"}, datetime(2025, 5, 6, 6, 15, 21, 631290, UTC)),
        ({"tag_last_pushed": None, "last_updated": "2023-12-19T04:57:54.08493Z"},
         datetime(2023, 12, 19, 4, 57, 54, 84930, UTC)),
        ({"tag_last_pushed": "yesterday", "last_updated": 7}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_push_is_dated_in_utc_where_it_is_dated(stamps: dict[str, object], expected: datetime | None) -> None:
    page = {"count": 1, "next": None, "results": [{"name": "x", "images": [], **stamps}]}
    assert parse_tags_page(json.dumps(page).encode()).tags[0].pushed_at == expected


# --- what a look costs --------------------------------------------------------------------------------------------


def test_an_unchanged_repository_costs_one_page_and_pulls_change_nothing(docker_hub: DockerHub, build: Build) -> None:
    docker_hub.results[IMAGE] = sample("vllm")
    before = build(table(docker_hub)).poll(None)
    docker_hub.pull(IMAGE)
    source = build(table(docker_hub))
    after = source.poll(before.cursor)
    assert (after.facts, after.listed) == (None, None)
    assert after.cursor == before.cursor
    assert (source.traffic.requests, source.traffic.not_modified) == (1, 1)


def test_the_order_of_the_first_page_says_nothing(docker_hub: DockerHub, build: Build) -> None:
    docker_hub.results[IMAGE] = sample("vllm")
    before = build(table(docker_hub)).poll(None)
    docker_hub.results[IMAGE].reverse()
    assert build(table(docker_hub)).poll(before.cursor).facts is None


def test_thousands_of_tags_are_read_once_and_then_by_their_first_page(docker_hub: DockerHub, build: Build) -> None:
    for number in range(2_345):
        docker_hub.push(IMAGE, f"0.{number}.0-r36.4")
    first, second = build(table(docker_hub)), build(table(docker_hub))
    before = first.poll(None)
    assert len(facts_of(before)) == before.listed == 2_345
    assert first.traffic.requests == 24
    assert second.poll(before.cursor).facts is None
    assert second.traffic.requests == 1
    docker_hub.push(IMAGE, "0.9.9-r36.4")
    assert len(facts_of(build(table(docker_hub)).poll(before.cursor))) == 2_346


def test_once_a_day_all_pages_are_read_nevertheless(docker_hub: DockerHub, build: Build, clock: SteppingClock) -> None:
    for number in range(150):
        docker_hub.push(IMAGE, f"0.{number}.0")
    before = build(table(docker_hub)).poll(None)
    hidden = docker_hub.results[IMAGE][140]
    hidden["images"][0]["digest"] = digest_of("replaced")
    clock.time += timedelta(hours=23)
    assert build(table(docker_hub)).poll(before.cursor).facts is None
    clock.time += timedelta(hours=1)
    after = build(table(docker_hub)).poll(before.cursor)
    assert facts_of(after)[hidden["name"]].digest == digest_of("replaced")
    clock.time -= timedelta(days=365)
    assert build(table(docker_hub)).poll(after.cursor).facts is not None


def test_a_tag_deleted_far_back_shows_by_the_count(docker_hub: DockerHub, build: Build) -> None:
    for number in range(150):
        docker_hub.push(IMAGE, f"0.{number}.0")
    before = build(table(docker_hub)).poll(None)
    docker_hub.delete(IMAGE, "0.3.0")
    after = build(table(docker_hub)).poll(before.cursor)
    assert set(facts_of(before)) - set(facts_of(after)) == {"0.3.0"}
    assert build(table(docker_hub)).poll(after.cursor).facts is None


def test_tags_that_moved_between_pages_are_read_again(docker_hub: DockerHub, build: Build) -> None:
    for number in range(150):
        docker_hub.push(IMAGE, f"0.{number}.0")
    tags = docker_hub.results[IMAGE]

    def moving(asked: Asked) -> Reply:
        is_second = asked.query.get("page") == "2"
        if is_second:  # an order that is not stable: 0.50.0 of the first page comes again, 0.49.0 not at all
            tags[99], tags[100] = tags[100], tags[99]
        reply = docker_hub.answer(asked)
        if is_second:
            tags[99], tags[100] = tags[100], tags[99]
        return reply

    docker_hub.web.fallback = moving
    torn = build(table(docker_hub)).poll(None)
    assert (torn.listed, "0.49.0" in facts_of(torn)) == (149, False)
    docker_hub.web.fallback = docker_hub.answer
    assert "0.49.0" in facts_of(build(table(docker_hub)).poll(torn.cursor))


def test_a_tag_pushed_again_and_new_ones_are_news_and_a_missing_one_is_withdrawn_at_the_second_look(
    docker_hub: DockerHub, build: Build
) -> None:
    docker_hub.results[IMAGE] = sample("vllm")
    before = build(table(docker_hub)).poll(None)
    docker_hub.results[IMAGE] = sample("vllm.later-synthetic")
    after = build(table(docker_hub)).poll(before.cursor)
    assert events(before, after) == [
        (EventKind.NEW, "r36.4-cu129-24.04"),
        (EventKind.NEW, "0.9.2-r36.4-cu128-24.04"),
        (EventKind.NEW, "0.9.3-r36.4.0-cu128-24.04"),
        (EventKind.REBUILT, TAG),
    ]
    assert events(before, after, build(table(docker_hub)).poll(after.cursor)) == [
        (EventKind.WITHDRAWN, "0.6.3-r36.4.0")
    ]


def events(baseline: Poll, *polls: Poll) -> list[tuple[EventKind, str]]:
    """Return what the last of these looks makes news of."""
    known: dict[str, KnownFact] = {}
    found: list[tuple[EventKind, str]] = []
    for number, poll in enumerate((baseline, *polls)):
        news = changes("it", known, poll, baseline=number == 0, now=datetime(2026, 11, 23, tzinfo=UTC))
        known |= {fact.fact.key: fact for fact in news.facts}
        found = [(event.kind, event.fact.name) for event in news.events]
    return found


# --- what the Hub does not know -----------------------------------------------------------------------------------


def test_an_old_tag_without_digest_is_asked_of_the_registry_once(
    docker_hub: DockerHub, registry: Registry, build: Build
) -> None:
    pushed = registry.push(IMAGE, "r32.7.1", architectures=("amd64", "arm64"))
    docker_hub.push(IMAGE, "r32.7.1", {"amd64": None, "arm64": None})
    first = build(table(docker_hub, registry=registry.url))
    before = first.poll(None)
    fact = facts_of(before)["r32.7.1"]
    assert fact.digest == pushed.children["arm64"]
    assert fact.detail["_index_digest"] == pushed.digest
    assert first.traffic.requests == 1 + 1 + 1
    docker_hub.push(IMAGE, "r36.4.0")
    second = build(table(docker_hub, registry=registry.url))
    after = second.poll(before.cursor)
    assert facts_of(after)["r32.7.1"].digest == pushed.children["arm64"]
    assert second.traffic.requests == 1
    again = registry.push(IMAGE, "r32.7.1", "rebuilt")
    docker_hub.push(IMAGE, "r32.7.1", {"arm64": None})
    third = build(table(docker_hub, registry=registry.url)).poll(after.cursor)
    assert facts_of(third)["r32.7.1"].digest == again.children["arm64"]
    assert (EventKind.REBUILT, "r32.7.1") in events(before, after, third)


def test_the_registry_is_asked_for_wanted_tags_of_our_architecture_only(
    docker_hub: DockerHub, registry: Registry, build: Build
) -> None:
    registry.push(IMAGE, "r32.7.1")
    docker_hub.push(IMAGE, "r32.7.1", {"arm64": None})
    docker_hub.push(IMAGE, "r32.7.1-builder", {"arm64": None})
    docker_hub.push(IMAGE, "r32.7.1-amd64", {"amd64": None})
    source = build(table(docker_hub, 'exclude = "builder"', registry.url))
    facts = facts_of(source.poll(None))
    assert {name: fact.digest is not None for name, fact in facts.items()} == {
        "r32.7.1": True,
        "r32.7.1-builder": False,
        "r32.7.1-amd64": False,
    }
    assert source.traffic.requests == 1 + 1 + 1
    assert "_index_digest" not in facts["r32.7.1-builder"].detail
    assert "_index_digest" in facts["r32.7.1-amd64"].detail


def test_a_tag_that_the_registry_does_not_have_is_not_asked_for_again(
    docker_hub: DockerHub, web: Web, build: Build
) -> None:
    docker_hub.push(IMAGE, "r32.7.1", {"arm64": None})
    before = build(table(docker_hub, registry=web.url)).poll(None)
    assert facts_of(before)["r32.7.1"].digest is None
    docker_hub.push(IMAGE, "r36.4.0")
    build(table(docker_hub, registry=web.url)).poll(before.cursor)
    assert web.paths() == [f"/v2/{IMAGE}/manifests/r32.7.1"]


def test_many_old_tags_are_asked_for_over_several_looks_newest_push_first(
    docker_hub: DockerHub, web: Web, build: Build
) -> None:
    for number in range(50):
        docker_hub.push(IMAGE, f"r32.{number}", {"arm64": None})
    before = build(table(docker_hub, registry=web.url)).poll(None)
    assert sorted(web.paths()) == sorted(f"/v2/{IMAGE}/manifests/r32.{number}" for number in range(10, 50))
    after = build(table(docker_hub, registry=web.url)).poll(before.cursor)
    assert len(web.asked) == 50
    assert build(table(docker_hub, registry=web.url)).poll(after.cursor).facts is None


def test_a_registry_that_cannot_be_asked_fails_the_look(docker_hub: DockerHub, build: Build) -> None:
    docker_hub.push(IMAGE, "r32.7.1", {"arm64": None})
    with pytest.raises(SourceUnavailable, match="not reachable"):
        build(table(docker_hub)).poll(None)


# --- trouble ------------------------------------------------------------------------------------------------------


def test_a_repository_that_is_not_there_is_unavailable(docker_hub: DockerHub, build: Build) -> None:
    with pytest.raises(SourceUnavailable, match="no such repository"):
        build(table(docker_hub)).poll(None)


@pytest.mark.parametrize(
    "limit",
    [{"Retry-After": "90"}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4102444800"}],
)
def test_a_limit_is_a_time_to_wait(docker_hub: DockerHub, build: Build, limit: dict[str, str]) -> None:
    docker_hub.push(IMAGE, "1.0")
    docker_hub.limited = limit
    source = build(table(docker_hub))
    for reason in ("too often", "left alone"):
        with pytest.raises(SourceUnavailable, match=reason) as caught:
            source.poll(None)
        assert caught.value.retry_after is not None
    assert len(docker_hub.web.asked) == 1


def test_an_empty_list_where_there_was_a_long_one_is_trouble(docker_hub: DockerHub, build: Build) -> None:
    docker_hub.results[IMAGE] = sample("vllm")
    before = build(table(docker_hub)).poll(None)
    docker_hub.results[IMAGE] = []
    with pytest.raises(SourceChanged, match="empty"):
        build(table(docker_hub)).poll(before.cursor)
    assert build(table(docker_hub)).poll(None).facts == ()


def test_the_next_page_does_not_lead_to_another_host(web: Web, other_web: Web, build: Build) -> None:
    page = {"count": 2, "next": f"{other_web.url}/more", "previous": None, "results": [{"name": "1.0", "images": []}]}
    web.fallback = lambda _: Reply(200, json.dumps(page).encode())
    with pytest.raises(SourceUnavailable, match="another host"):
        build(table(DockerHub(web))).poll(None)
    assert other_web.asked == []


def test_pages_without_end_are_given_up(web: Web, build: Build) -> None:
    def answer(asked: Asked) -> Reply:
        after = int(asked.query.get("page", "1")) + 1
        page = {"count": 1, "next": f"?page={after}", "previous": None, "results": [{"name": "1.0", "images": []}]}
        return Reply(200, json.dumps(page).encode())

    web.fallback = answer
    with pytest.raises(SourceChanged, match="does not end"):
        build(table(DockerHub(web))).poll(None)
    assert len(web.asked) == MAX_PAGES + 1


@pytest.mark.parametrize(
    "page",
    [
        b"<html>",
        b"[]",
        b'{"results": []}',
        b'{"count": true, "next": null, "results": []}',
        b'{"count": 1, "next": 7, "results": []}',
        b'{"count": 1, "next": null, "results": {}}',
        b'{"count": 1, "next": null, "results": [1]}',
        b'{"count": 1, "next": null, "results": [{"name": "../x"}]}',
        b'{"count": 1, "next": null, "results": [{"name": "x", "images": 1}]}',
        b'{"count": 1, "next": null, "results": [{"name": "x", "digest": "sha256:short"}]}',
        b'{"count": 1, "next": null, "results": [{"name": "x", "creator": "\\ud800"}]}',
    ],
)
def test_another_form_is_said_to_be_one(page: bytes) -> None:
    with pytest.raises(SourceChanged):
        parse_tags_page(page)


def test_the_samples_are_read() -> None:
    pages = [(SAMPLES / f"docker-hub-tags-dustynv-llama_cpp-page{number}.json").read_bytes() for number in (1, 2, 3)]
    read = [parse_tags_page(page) for page in pages]
    assert [len(page.tags) for page in read] == [10, 10, 2]
    assert {page.count for page in read} == {22}
    assert [page.next is None for page in read] == [False, False, True]
    tags = [tag for page in read for tag in page.tags]
    assert all(tag.content_for("arm64") for tag in tags)
    assert len({tag.mark for tag in tags}) == 22
