"""A source is stale when it was not seen for long, or is quiet past its usual rhythm; it says where publishing went."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from watcher.config.sources import GitHubThreadsConfig, OciTagsConfig, SourceConfig
from watcher.model.facts import Fact, FactKind, KnownFact, SourceState
from watcher.planner.health import UNKNOWN, Stale, called, course_of, newest, quiet_limit, staleness

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WELL = SourceState("it", "oci-tags", baseline_at=NOW - 30 * DAY, last_look=NOW, last_ok=NOW)


def config(**keys: Any) -> OciTagsConfig:
    return OciTagsConfig.model_validate({"name": "it", "kind": "oci-tags", "image": "dustynv/vllm", **keys})


def tag(name: str, days_ago: float, dated: bool = True, prerelease: bool = False) -> KnownFact:
    """Return a tag with upstream's stamp, or (not dated) one that appeared under our eyes."""
    when = NOW - days_ago * DAY
    fact = Fact(FactKind.IMAGE, name, published_at=when if dated else None, prerelease=prerelease)
    return KnownFact(fact, NOW if dated else when, baseline=dated)


def tags(*days_ago: float) -> list[KnownFact]:
    return [tag(f"r36.{number}", days) for number, days in enumerate(days_ago)]


def stale_by(source: SourceConfig, known: list[KnownFact], state: SourceState = WELL) -> Stale | None:
    return staleness(source, state, course_of(source, known), HOUR, NOW)


@pytest.mark.parametrize(
    ("every", "ok_ago", "is_stale"),
    [
        (HOUR, 23 * HOUR, False),
        (HOUR, 25 * HOUR, True),
        (12 * HOUR, 35 * HOUR, False),
        (12 * HOUR, 37 * HOUR, True),
        (7 * DAY, 20 * DAY, False),
    ],
)
def test_not_seen_for_long_is_three_looks_and_at_least_a_day(
    every: timedelta, ok_ago: timedelta, is_stale: bool
) -> None:
    state = SourceState("it", "oci-tags", last_look=NOW, last_ok=NOW - ok_ago, failures=3)
    stale = staleness(config(), state, UNKNOWN, every, NOW)
    limit = max(3 * every, DAY)
    assert stale == (Stale(True, NOW - ok_ago, NOW - ok_ago + limit) if is_stale else None)


def test_what_was_never_looked_at_or_is_switched_off_is_not_stale() -> None:
    long_ago = SourceState("it", "oci-tags", last_ok=NOW - 90 * DAY)
    assert staleness(config(), None, UNKNOWN, HOUR, NOW) is None
    assert staleness(config(), SourceState("it", "oci-tags"), UNKNOWN, HOUR, NOW) is None
    assert staleness(config(enabled=False), long_ago, UNKNOWN, HOUR, NOW) is None
    assert staleness(config(), long_ago, UNKNOWN, HOUR, NOW) is not None


@pytest.mark.parametrize(
    ("known", "quiet_since_days"),
    [
        (tags(89, 100, 110), None),
        (tags(91, 100, 110), 91),
        (tags(91, 150, 210), None),
        (tags(239, 299, 359), None),
        (tags(241, 301, 361), 241),
        (tags(91, 91.1, 91.2), None),
        (tags(179, 190), None),
        (tags(181, 190), 181),
        ([tag("r36.1", 91, dated=False), *tags(100, 110)], 91),
        ([tag("r36.1", 20, dated=False), *tags(100, 110, 120)], None),
        ([tag("r38.1", 5), *tags(100, 110, 120)], 100),
        ([tag("r36.1-rc1", 5, prerelease=True), *tags(100, 110, 120)], 100),
        (tags(-1, 100, 110), None),
    ],
    ids=[
        "within 90 days",
        "past 90 days",
        "a slow rhythm",
        "a slow rhythm, just within",
        "a slow rhythm, past it",
        "one day is one piece of news",
        "two dates, within half a year",
        "two dates, past half a year",
        "first seen counts where there is no stamp",
        "news without a stamp ends the quiet",
        "what include leaves out is no news",
        "what is not final is no news",
        "a stamp in the future",
    ],
)
def test_quiet_is_past_the_usual_rhythm(known: list[KnownFact], quiet_since_days: float | None) -> None:
    stale = stale_by(config(include="^r36"), known)
    since = None if quiet_since_days is None else NOW - quiet_since_days * DAY
    assert (stale.since if stale else None) == since
    assert stale is None or not stale.is_unseen


def test_prereleases_are_news_where_they_are_asked_for() -> None:
    known = [tag("r36.1-rc1", 5, prerelease=True), *tags(100, 110, 120)]
    assert stale_by(config(prereleases=True), known) is None


@pytest.mark.parametrize(("watched_days", "is_stale"), [(179, False), (181, True)])
def test_without_any_date_quiet_begins_with_the_first_look(watched_days: int, is_stale: bool) -> None:
    state = SourceState("it", "oci-tags", baseline_at=NOW - watched_days * DAY, last_look=NOW, last_ok=NOW)
    old = [KnownFact(Fact(FactKind.IMAGE, "r36.4.0"), NOW - watched_days * DAY, baseline=True)]
    stale = stale_by(config(), old, state)
    assert (stale is not None) is is_stale


def test_what_is_quiet_by_nature_is_not_called_so() -> None:
    threads = GitHubThreadsConfig(name="it", kind="github-threads", threads=("pytorch/pytorch#185240",))
    closed = Fact(FactKind.THREAD, "pytorch/pytorch#185240", "closed", published_at=NOW - 400 * DAY)
    assert stale_by(threads, [KnownFact(closed, NOW - 400 * DAY)]) is None


def test_the_sentence_says_since_when_and_where_publishing_went() -> None:
    quiet = stale_by(config(moved_to="ghcr.io/nvidia-ai-iot/vllm"), tags(566, 571, 580))
    assert quiet is not None
    assert quiet.sentence == "nothing new since 2025-05-06; publishing moved to ghcr.io/nvidia-ai-iot/vllm"
    unseen = staleness(config(), SourceState("it", "oci-tags", last_ok=NOW - 3 * DAY, failures=9), UNKNOWN, HOUR, NOW)
    assert unseen is not None
    assert unseen.sentence == "not seen since 2026-11-20 12:00 UTC"


def test_the_rhythm_of_the_jetson_containers_is_that_of_its_dump() -> None:
    """Push dates of dustynv/vllm for r36.4, as its maintainers kept them: 90 days of silence are enough."""
    pushed = ["2024-10-15", "2024-10-21", "2025-01-15", "2025-01-17", "2025-02-10", "2025-03-17", "2025-04-02",
              "2025-04-22", "2025-05-01", "2025-05-06"]  # fmt: skip
    assert quiet_limit(map(date.fromisoformat, pushed)) == 90 * DAY


@pytest.mark.parametrize(
    ("known", "name"),
    [
        (tags(5, 1, 9), "r36.1"),
        ([KnownFact(Fact(FactKind.IMAGE, f"0.{minor}-r36"), NOW, baseline=True) for minor in (9, 10, 2)], "0.10-r36"),
        ([*tags(5), tag("r36.9", 1, dated=False)], "r36.9"),
        ([*tags(5), KnownFact(tag("r36.9", 1).fact, NOW, withdrawn=True)], "r36.0"),
        ([*tags(5), tag("r36.9-rc1", 1, prerelease=True), tag("builder", 1)], "r36.0"),
        ([KnownFact(Fact(FactKind.WHEEL, "torch-r36.whl", "2.10.0"), NOW)], "2.10.0"),
        ([KnownFact(Fact(FactKind.DEB, "l4t-core r36.4", "36.4.7-2025"), NOW)], "l4t-core r36.4 36.4.7-2025"),
        ([], None),
    ],
)  # fmt: skip
def test_the_newest_is_called_as_people_do(known: list[KnownFact], name: str | None) -> None:
    last = newest(config(include="r36"), known)
    assert (called(last.fact) if last else None) == name
