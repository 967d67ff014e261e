"""Threads on GitHub: one conditional request each, the state a person means, and what closed them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.clocks import SteppingClock
from tests.real.github import GitHub, Thread
from tests.real.web import Reply, Web
from tests.sources.conftest import Build, facts_of
from watcher.errors import SourceChanged, SourceUnavailable
from watcher.model.facts import Event, EventKind, FactKind, KnownFact, Poll
from watcher.planner.news import changes
from watcher.sources.github_threads import closing_commit, parse_events, parse_thread

ISSUE, REQUEST, OTHER = "pytorch/pytorch#185240", "pytorch/pytorch#185946", "dusty-nv/jetson-containers#1568"
CLOSED = "2026-07-23T10:00:00Z"
COMMIT, LATER = "a" * 40, "b" * 40
NOW = datetime(2026, 8, 1, tzinfo=UTC)


def table(github: GitHub, *threads: str, more: str = "") -> str:
    names = ", ".join(f'"{name}"' for name in threads or (ISSUE,))
    return f'kind = "github-threads"\nthreads = [{names}]\napi_url = "{github.api_url}"\n{more}'


def events_of(before: Poll, after: Poll) -> tuple[Event, ...]:
    known = {fact.key: KnownFact(fact, first_seen=NOW) for fact in before.facts or ()}
    return changes("it", known, after, baseline=False, now=NOW).events


def test_an_open_issue_is_shown_with_labels_title_page_and_stamp(github: GitHub, build: Build) -> None:
    github.issue(ISSUE, title="NVML assert\n on  Tegra").label("triaged", "module: cuda")
    fact = facts_of(build(table(github)).poll(None))[ISSUE]
    assert (fact.kind, fact.name, fact.version, fact.digest) == (FactKind.THREAD, ISSUE, "open", None)
    assert fact.url == "https://github.com/pytorch/pytorch/issues/185240"
    assert fact.published_at == datetime(2026, 5, 20, 8, tzinfo=UTC)
    assert fact.detail == {"labels": "module: cuda, triaged", "_title": "NVML assert on Tegra"}


def test_unchanged_threads_cost_one_request_each_and_no_body(github: GitHub, build: Build) -> None:
    github.issue(ISSUE).close(CLOSED, commit=COMMIT)
    github.pull_request(OTHER)
    toml = table(github, ISSUE, OTHER)
    before = build(toml).poll(None)
    source = build(toml)
    after = source.poll(before.cursor)
    assert (after.facts, after.cursor) == (None, before.cursor)
    assert (source.traffic.requests, source.traffic.not_modified, source.traffic.bytes) == (2, 2, 0)


def test_a_thread_that_did_not_change_is_still_shown_beside_one_that_did(github: GitHub, build: Build) -> None:
    github.issue(ISSUE).close(CLOSED, commit=COMMIT)
    request = github.pull_request(REQUEST)
    toml = table(github, ISSUE, REQUEST)
    before = build(toml).poll(None)
    request.label("ciflow/trunk")
    after = build(toml).poll(before.cursor)
    assert facts_of(after)[ISSUE] == facts_of(before)[ISSUE]
    assert [(event.kind, event.fact.name) for event in events_of(before, after)] == [(EventKind.EDITED, REQUEST)]


def test_a_new_comment_is_no_event(github: GitHub, build: Build) -> None:
    issue = github.issue(ISSUE)
    before = build(table(github)).poll(None)
    issue.document |= {"comments": 7, "updated_at": "2026-07-01T00:00:00Z"}
    after = build(table(github)).poll(before.cursor)
    assert events_of(before, after) == ()
    assert after.facts is not None


@pytest.mark.parametrize(
    ("reason", "state"),
    [("completed", "closed"), (None, "closed"), ("not_planned", "not planned"), ("duplicate", "duplicate")],
)
def test_a_closed_issue_says_why(github: GitHub, build: Build, reason: str | None, state: str) -> None:
    github.issue(ISSUE).close(CLOSED, reason=reason)
    fact = facts_of(build(table(github)).poll(None))[ISSUE]
    assert fact.version == state
    assert fact.published_at == datetime(2026, 7, 23, 10, tzinfo=UTC)
    assert "_closing_commit" not in fact.detail


def test_the_closing_of_an_issue_is_an_edit_and_names_its_commit(github: GitHub, build: Build) -> None:
    issue = github.issue(ISSUE)
    before = build(table(github)).poll(None)
    issue.happened("referenced", CLOSED, "somebody", LATER)
    issue.close(CLOSED, commit=COMMIT)
    (event,) = events_of(before, build(table(github)).poll(before.cursor))
    assert (event.kind, event.fact.version) == (EventKind.EDITED, "closed")
    assert event.fact.detail["_closing_commit"] == COMMIT


def closed_by_hand(request: Thread) -> None:
    request.close(CLOSED, by="gderossi", reason=None)


def landed_by_the_bot(request: Thread) -> None:
    request.close(CLOSED, by="pytorchmergebot", reason=None, commit=COMMIT)


def landed_and_labelled(request: Thread) -> None:
    request.close(CLOSED, by="gderossi", reason=None, commit=COMMIT)
    request.label("open source", "Merged")


def reverted_and_closed(request: Thread) -> None:
    landed_by_the_bot(request)
    request.reopen("2026-07-24T10:00:00Z")
    request.close("2026-07-25T10:00:00Z", by="gderossi", reason=None)
    request.label("Merged", "Reverted")


def reverted_and_landed_again(request: Thread) -> None:
    reverted_and_closed(request)
    request.happened("closed", "2026-07-26T10:00:00Z", "gderossi", LATER)
    request.label("mergedX1", "Merged", "Reverted")


def closed_as_stale(request: Thread) -> None:
    request.close(CLOSED, by="github-actions[bot]", reason=None)
    request.label("Stale", "to be merged", "merging")


@pytest.mark.parametrize(
    ("happen", "state", "commit"),
    [
        (closed_by_hand, "closed", None),
        (closed_as_stale, "closed", None),
        (landed_by_the_bot, "landed", COMMIT),
        (landed_and_labelled, "landed", COMMIT),
        (reverted_and_closed, "closed", None),
        (reverted_and_landed_again, "landed", LATER),
        (lambda request: request.merge(CLOSED, COMMIT), "merged", COMMIT),
    ],
)
def test_a_closed_pull_request_is_told_by_what_became_of_it(
    github: GitHub, build: Build, happen: Callable[[Thread], None], state: str, commit: str | None
) -> None:
    happen(github.pull_request(REQUEST))
    fact = facts_of(build(table(github, REQUEST)).poll(None))[REQUEST]
    assert (fact.version, fact.detail.get("_closing_commit")) == (state, commit)
    assert fact.url == "https://github.com/pytorch/pytorch/pull/185946"


def test_a_landed_request_that_was_reverted_is_open_again(github: GitHub, build: Build) -> None:
    request = github.pull_request(REQUEST)
    landed_by_the_bot(request)
    before = build(table(github, REQUEST)).poll(None)
    request.reopen("2026-07-24T10:00:00Z")
    fact = facts_of(build(table(github, REQUEST)).poll(before.cursor))[REQUEST]
    assert (fact.version, fact.detail.get("_closing_commit")) == ("open", None)


def test_the_commit_is_asked_for_once_per_closing(github: GitHub, build: Build) -> None:
    issue = github.issue(ISSUE)
    issue.close(CLOSED, commit=COMMIT)
    before = build(table(github)).poll(None)
    issue.label("triaged")
    after = build(table(github)).poll(before.cursor)
    assert facts_of(after)[ISSUE].detail["_closing_commit"] == COMMIT
    assert sum("events" in path for path in github.web.paths()) == 1
    issue.reopen("2026-07-24T10:00:00Z")
    issue.close("2026-07-25T10:00:00Z", commit=LATER)
    assert facts_of(build(table(github)).poll(after.cursor))[ISSUE].detail["_closing_commit"] == LATER
    assert sum("events" in path for path in github.web.paths()) == 2


def test_an_open_thread_is_not_asked_for_its_events(github: GitHub, build: Build) -> None:
    github.issue(ISSUE)
    source = build(table(github))
    source.poll(None)
    assert source.traffic.requests == 1


def test_the_commit_is_found_behind_many_events(github: GitHub, build: Build) -> None:
    issue = github.issue(ISSUE)
    for _ in range(250):
        issue.happened("mentioned", CLOSED, "somebody")
    issue.close(CLOSED, commit=COMMIT)
    source = build(table(github))
    assert facts_of(source.poll(None))[ISSUE].detail["_closing_commit"] == COMMIT
    assert source.traffic.requests == 1 + 3


def test_a_thread_with_events_without_end_is_read_to_a_limit(github: GitHub, build: Build) -> None:
    issue = github.issue(ISSUE)
    for _ in range(1_500):
        issue.happened("mentioned", CLOSED, "somebody")
    issue.close(CLOSED, commit=COMMIT)
    source = build(table(github))
    assert facts_of(source.poll(None))[ISSUE].version == "closed"
    assert source.traffic.requests == 1 + 10


def test_events_that_cannot_be_had_fail_the_look_and_are_asked_again(github: GitHub, build: Build) -> None:
    github.issue(ISSUE).close(CLOSED, commit=COMMIT)
    path = "/repos/pytorch/pytorch/issues/185240/events"
    github.web.routes[path] = Reply(502, b"bad gateway")
    with pytest.raises(SourceUnavailable, match="in trouble"):
        build(table(github)).poll(None)
    github.web.routes[path] = Reply(404)
    assert "_closing_commit" not in facts_of(build(table(github)).poll(None))[ISSUE].detail


def test_the_token_and_the_version_of_the_api_are_sent(github: GitHub, build: Build) -> None:
    github.issue(ISSUE).close(CLOSED)
    build(table(github), token="ghp_secret").poll(None)
    assert len(github.web.asked) == 2
    for asked in github.web.asked:
        assert asked.headers["authorization"] == "Bearer ghp_secret"
        assert asked.headers["accept"] == "application/vnd.github+json"
        assert asked.headers["x-github-api-version"] == "2022-11-28"
    build(table(github)).poll(None)
    assert "authorization" not in github.web.asked[-1].headers


def test_a_thread_that_moved_keeps_its_configured_name(github: GitHub, build: Build) -> None:
    github.issue("pytorch/new#7").close(CLOSED, commit=COMMIT)
    github.moved[ISSUE] = "pytorch/new#7"
    before = build(table(github)).poll(None)
    fact = facts_of(before)[ISSUE]
    assert (fact.version, fact.url) == ("closed", "https://github.com/pytorch/new/issues/7")
    assert fact.detail["_closing_commit"] == COMMIT
    assert build(table(github)).poll(before.cursor).facts is None


def test_a_thread_does_not_move_to_another_host_and_takes_no_token_there(
    github: GitHub, other_web: Web, build: Build
) -> None:
    path = "/repos/pytorch/pytorch/issues/185240"
    github.web.routes[path] = Reply(301, headers={"Location": f"{other_web.url}{path}"})
    with pytest.raises(SourceUnavailable, match="another host"):
        build(table(github), token="ghp_secret").poll(None)
    assert other_web.asked == []
    with pytest.raises(SourceUnavailable, match="no such thread"):
        build(table(github, more=f'allowed_hosts = ["{other_web.host}"]'), token="ghp_secret").poll(None)
    assert "authorization" not in other_web.asked[0].headers


def test_a_thread_that_never_was_seen_is_shown_as_not_found_beside_the_others(github: GitHub, build: Build) -> None:
    github.issue(ISSUE)
    toml = table(github, ISSUE, OTHER)
    before = build(toml).poll(None)
    facts = facts_of(before)
    assert (facts[ISSUE].version, facts[OTHER].version) == ("open", "not found")
    assert facts[OTHER].url == "https://github.com/dusty-nv/jetson-containers/issues/1568"
    assert build(toml).poll(before.cursor).facts is None
    github.issue(OTHER)
    (event,) = events_of(before, build(toml).poll(before.cursor))
    assert (event.kind, event.fact.name, event.fact.version) == (EventKind.EDITED, OTHER, "open")


def test_threads_of_which_none_is_found_fail_the_look(github: GitHub, build: Build) -> None:
    with pytest.raises(SourceUnavailable, match=f"no such thread.*{ISSUE}, {OTHER}"):
        build(table(github, ISSUE, OTHER)).poll(None)


def test_after_an_edit_of_the_configuration_a_deleted_thread_hides_no_other(github: GitHub, build: Build) -> None:
    github.issue(ISSUE)
    github.issue(OTHER)
    before = build(table(github, ISSUE, OTHER)).poll(None)
    del github.threads[OTHER]
    github.pull_request(REQUEST)
    after = facts_of(build(table(github, ISSUE, OTHER, REQUEST)).poll(before.cursor))
    assert {name: fact.version for name, fact in after.items()} == {ISSUE: "open", OTHER: "not found", REQUEST: "open"}


def test_a_thread_that_is_gone_is_withdrawn_and_hides_no_other(github: GitHub, build: Build) -> None:
    issue, gone = github.issue(ISSUE), github.issue(OTHER)
    toml = table(github, ISSUE, OTHER)
    first = build(toml).poll(None)
    known = {fact.key: KnownFact(fact, first_seen=NOW) for fact in first.facts or ()}
    del github.threads[OTHER]
    issue.label("triaged")
    second = build(toml).poll(first.cursor)
    found = changes("it", known, second, baseline=False, now=NOW)
    assert [(event.kind, event.fact.name) for event in found.events] == [(EventKind.EDITED, ISSUE)]
    known |= {fact.fact.key: fact for fact in found.facts}
    third = build(toml).poll(second.cursor)
    found = changes("it", known, third, baseline=False, now=NOW)
    assert [(event.kind, event.fact.name) for event in found.events] == [(EventKind.WITHDRAWN, OTHER)]
    known |= {fact.fact.key: fact for fact in found.facts}
    github.threads[OTHER] = gone
    found = changes("it", known, build(toml).poll(third.cursor), baseline=False, now=NOW)
    assert [(event.kind, event.fact.name) for event in found.events] == [(EventKind.RETURNED, OTHER)]


def test_a_thread_that_was_away_for_one_look_only_is_no_event(github: GitHub, build: Build) -> None:
    gone = github.issue(ISSUE)
    first = build(table(github)).poll(None)
    del github.threads[ISSUE]
    second = build(table(github)).poll(first.cursor)
    assert second.facts == ()
    github.threads[ISSUE] = gone
    third = build(table(github)).poll(second.cursor)
    assert third.facts == first.facts, "a bare 'unchanged' would confirm the absence"


def test_a_spent_rate_limit_says_when_to_come_back_and_is_obeyed(
    github: GitHub, build: Build, clock: SteppingClock
) -> None:
    github.issue(ISSUE)
    before = build(table(github)).poll(None)
    github.limited_until = int(datetime.now(UTC).timestamp()) + 1_800
    source = build(table(github))
    with pytest.raises(SourceUnavailable, match="asked too often") as caught:
        source.poll(before.cursor)
    assert caught.value.retry_after is not None
    assert timedelta(minutes=29) < caught.value.retry_after <= timedelta(minutes=30)
    asked = len(github.web.asked)
    with pytest.raises(SourceUnavailable, match="left alone"):
        source.poll(before.cursor)
    assert len(github.web.asked) == asked


def test_a_thread_named_twice_is_asked_once(github: GitHub, build: Build) -> None:
    github.issue(ISSUE)
    source = build(table(github, ISSUE, ISSUE))
    assert len(facts_of(source.poll(None))) == source.traffic.requests == 1


def test_other_threads_in_the_configuration_start_anew(github: GitHub, build: Build) -> None:
    github.issue(ISSUE)
    github.issue(OTHER)
    cursor = build(table(github)).poll(None).cursor
    assert set(facts_of(build(table(github, ISSUE, OTHER)).poll(cursor))) == {ISSUE, OTHER}


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Unicorn!</html>",
        b"null",
        b"[]",
        b'{"message": "?"}',
        b'{"state": "ajar", "html_url": "https://github.com/a/b/issues/1"}',
        b'{"state": "open", "html_url": "javascript:alert(1)"}',
        b'{"state": "open"}',
        b"[" * 100_000,
    ],
)
def test_another_shape_of_the_answer_is_named(github: GitHub, build: Build, body: bytes) -> None:
    github.web.routes["/repos/pytorch/pytorch/issues/185240"] = Reply(200, body)
    with pytest.raises(SourceChanged):
        build(table(github)).poll(None)


def test_parts_of_an_answer_that_are_missing_are_left_out() -> None:
    thread = parse_thread(
        b'{"state": "closed", "html_url": "https://x.example", "labels": ["b", {"name": "a"}, 3, {}]}'
    )
    assert (thread.state, thread.labels, thread.title, thread.closed_at) == ("closed", ("a", "b"), "", "")


def test_only_a_commit_is_taken_for_one() -> None:
    assert closing_commit(parse_events(b'[{"event": "closed", "commit_id": "<script>"}, {"event": 3}]')) is None
    with pytest.raises(SourceChanged):
        parse_events(b'[{"event": "closed"}, 7]')
