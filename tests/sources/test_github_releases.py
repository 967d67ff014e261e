"""GitHub releases: the feed first, the API when it moved or once a week, the rate limit read and obeyed."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.clocks import SteppingClock
from tests.places import SAMPLES
from tests.real.github import GitHub
from tests.real.web import Reply, Web
from tests.sources.conftest import Build, facts_of
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.model.facts import FactKind
from watcher.sources.github_releases import feed_address, parse_feed, parse_releases


def table(github: GitHub, more: str = "") -> str:
    return f'kind = "github-releases"\nrepo = "{github.repo}"\napi_url = "{github.api_url}"\n{more}'


def test_a_release_is_shown_with_tag_version_stamp_and_page(github: GitHub, build: Build) -> None:
    github.release("v0.33.0")
    fact = facts_of(build(table(github)).poll(None))["v0.33.0"]
    assert (fact.kind, fact.version, fact.prerelease) == (FactKind.RELEASE, "0.33.0", False)
    assert fact.published_at == datetime(2026, 11, 2, 10, 13, tzinfo=UTC)
    assert fact.url == "https://github.com/vllm-project/vllm/releases/tag/v0.33.0"
    assert fact.detail["title"] == "v0.33.0"


def test_the_first_look_reads_all_pages_of_the_samples(github: GitHub, build: Build) -> None:
    for name in ("github-releases-vllm.json", "github-releases-vllm-page2.json"):
        github.releases += json.loads((SAMPLES / name).read_text())
    github.per_page = 30
    source = build(table(github))
    poll = source.poll(None)
    assert len(facts_of(poll)) == poll.listed == 50
    assert poll.complete
    assert github.api_requests == 2
    assert source.traffic.requests == 3


def test_an_unmoved_feed_spares_the_api_and_the_body(github: GitHub, build: Build) -> None:
    github.release("v0.33.0")
    before = build(table(github)).poll(None)
    source = build(table(github))
    after = source.poll(before.cursor)
    assert (after.facts, after.listed) == (None, None)
    assert (source.traffic.requests, source.traffic.not_modified, source.traffic.bytes) == (1, 1, 0)
    assert github.api_requests == 1


def test_a_moved_feed_makes_the_api_tell(github: GitHub, build: Build) -> None:
    github.release("v0.32.0")
    before = build(table(github)).poll(None)
    github.release("v0.33.0", prerelease=True)
    facts = facts_of(build(table(github)).poll(before.cursor))
    assert facts["v0.33.0"].prerelease
    assert set(facts) == {"v0.32.0", "v0.33.0"}


def test_edits_that_the_feed_does_not_show_are_seen_within_a_week(
    github: GitHub, build: Build, clock: SteppingClock
) -> None:
    release = github.release("v0.1.0")
    before = build(table(github)).poll(None)
    release["prerelease"] = True
    assert build(table(github)).poll(before.cursor).facts is None
    clock.sleep(timedelta(days=7, hours=1).total_seconds())
    assert facts_of(build(table(github)).poll(before.cursor))["v0.1.0"].prerelease


def test_edited_notes_change_the_detail(github: GitHub, build: Build) -> None:
    release = github.release("v0.33.0")
    before = build(table(github)).poll(None)
    release["body"], release["updated_at"] = "Other notes.", "2026-11-03T09:00:00Z"
    after = build(table(github)).poll(before.cursor)
    assert facts_of(before)["v0.33.0"].detail["notes"] != facts_of(after)["v0.33.0"].detail["notes"]


def test_drafts_are_left_out_and_candidates_are_prereleases(github: GitHub, build: Build) -> None:
    github.releases += json.loads((SAMPLES / "github-releases-edge-cases.synthetic.json").read_text())
    facts = build(table(github)).poll(None).facts or ()
    by_name = {fact.name: fact for fact in facts}
    assert "v0.33.1" not in by_name
    assert by_name["v0.33.1rc0"].prerelease


def test_a_candidate_counts_as_prerelease_even_if_it_is_not_flagged() -> None:
    facts = parse_releases([{"tag_name": "v0.9.2rc1", "prerelease": False}, {"tag_name": "b5283"}])
    assert [(fact.version, fact.prerelease) for fact in facts] == [("0.9.2rc1", True), ("b5283", False)]


def test_a_spent_rate_limit_says_when_to_come_back_and_is_obeyed(
    github: GitHub, build: Build, clock: SteppingClock
) -> None:
    github.release("v0.33.0")
    github.limited_until = int(datetime.now(UTC).timestamp()) + 1_800
    source = build(table(github))
    with pytest.raises(SourceUnavailable, match="asked too often") as caught:
        source.poll(None)
    assert caught.value.retry_after is not None
    assert 1_790 <= caught.value.retry_after.total_seconds() <= 1_800
    asked = len(github.web.asked)
    with pytest.raises(SourceUnavailable, match="left alone"):
        source.poll(None)
    assert len(github.web.asked) == asked
    assert source.traffic.requests == asked == 2


def test_a_failed_api_leaves_the_news_for_the_next_look(github: GitHub, build: Build) -> None:
    github.release("v0.32.0")
    before = build(table(github)).poll(None)
    github.release("v0.33.0")
    path = f"/repos/{github.repo}/releases"
    github.web.routes[path] = Reply(502, b"bad gateway")
    with pytest.raises(SourceUnavailable, match="in trouble"):
        build(table(github)).poll(before.cursor)
    del github.web.routes[path]
    assert "v0.33.0" in facts_of(build(table(github)).poll(before.cursor))


def test_an_api_that_lags_behind_the_feed_is_asked_again(github: GitHub, build: Build) -> None:
    github.release("v0.32.0")
    cursor = build(table(github)).poll(None).cursor
    github.release("v0.33.0")
    github.api_lags = True
    late = build(table(github)).poll(cursor)
    assert set(facts_of(late)) == {"v0.32.0"}
    github.api_lags = False
    assert "v0.33.0" in facts_of(build(table(github)).poll(late.cursor))


def test_a_tag_without_a_release_does_not_cost_an_api_look_each_time(github: GitHub, build: Build) -> None:
    github.release("v0.32.0")
    github.release("v0.33.0rc1")
    github.api_lags = True
    second = build(table(github)).poll(build(table(github)).poll(None).cursor)
    assert build(table(github)).poll(second.cursor).facts is None


def test_without_a_feed_the_api_is_asked_each_time(github: GitHub, build: Build) -> None:
    github.release("v0.33.0")
    toml = table(github, f'feed_url = "{github.web.url}/none.atom"')
    cursor = build(toml).poll(None).cursor
    assert set(facts_of(build(toml).poll(cursor))) == {"v0.33.0"}


def test_the_token_goes_to_the_api_and_only_there(github: GitHub, build: Build) -> None:
    github.release("v0.33.0")
    build(table(github), token="ghp_secret").poll(None)
    sent = {asked.path: asked.headers.get("authorization", "") for asked in github.web.asked}
    assert "ghp_secret" in sent[f"/repos/{github.repo}/releases"]
    assert sent[f"/{github.repo}/releases.atom"] == ""


@pytest.mark.parametrize("target", ["https://api.github.com/x?page=2", "{other}/x?page=2", "https://evil.example/x"])
def test_pages_do_not_lead_to_another_host(github: GitHub, other_web: Web, build: Build, target: str) -> None:
    link = {"Link": f'<{target.format(other=other_web.url)}>; rel="next"'}
    github.web.routes[f"/repos/{github.repo}/releases"] = Reply(200, b'[{"tag_name": "v1", "url": "/x"}]', link)
    with pytest.raises(SourceUnavailable, match="another host"):
        build(table(github)).poll(None)
    assert other_web.asked == []


@pytest.mark.parametrize(
    "body", [b'[{"tag_name": "v1"', b"<html>", b'{"message": "?"}', b"[1]", b'[{"name": "no tag"}]', b"null", b'"x"']
)
def test_another_shape_of_the_api_is_named(github: GitHub, build: Build, body: bytes) -> None:
    github.web.routes[f"/repos/{github.repo}/releases"] = Reply(200, body)
    with pytest.raises(SourceChanged):
        build(table(github)).poll(None)


def test_an_empty_list_where_there_was_a_long_one_is_trouble(github: GitHub, build: Build) -> None:
    for number in range(4):
        github.release(f"v0.{number}.0")
    cursor = build(table(github)).poll(None).cursor
    github.releases.clear()
    with pytest.raises(SourceChanged, match="empty"):
        build(table(github)).poll(cursor)


def test_a_look_that_hangs_ends_in_time(github: GitHub, build: Build) -> None:
    github.web.routes[f"/repos/{github.repo}/releases"] = Reply(200, b"[]", delay=3)
    with pytest.raises(SourceUnavailable, match="in time"):
        build(table(github, 'timeout = "500ms"')).poll(None)


def test_the_feed_of_another_server_stands_beside_its_api() -> None:
    assert feed_address("https://api.github.com", "a/b") == "https://github.com/a/b/releases.atom"
    assert feed_address("https://ghe.example/api/v3", "a/b") == "https://ghe.example/a/b/releases.atom"
    assert feed_address("http://127.0.0.1:80", "a/b") == "http://127.0.0.1:80/a/b/releases.atom"


def test_the_sample_feed_is_read_by_tag() -> None:
    entries = parse_feed((SAMPLES / "github-releases-vllm.atom").read_bytes())
    assert len(entries) == 10
    assert (entries[0].tag, entries[0].updated) == ("v0.33.0", "2026-11-02T10:13:00Z")
    with pytest.raises(SourceChanged, match="not a feed"):
        parse_feed(b"<html><title>Unicorn!</title></html>")


def test_a_login_in_the_address_of_an_own_server_is_sent_and_told_nowhere(github: GitHub, build: Build) -> None:
    github.release("v0.33.0")
    toml = table(github).replace("http://", "http://me:s3cret@")
    assert "s3cret" not in str(build(toml).poll(None))
    assert {asked.headers.get("authorization") for asked in github.web.asked} == {"Basic bWU6czNjcmV0"}
    github.web.routes[f"/repos/{github.repo}/releases"] = Reply(200, b"{}")
    with pytest.raises(SourceChanged) as caught:
        build(toml).poll(None)
    assert "s3cret" not in str(caught.value)
