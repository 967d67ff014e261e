"""What hosts still grant: read from their answers, kept per host, and a budget that is used up is a time to wait."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.clocks import SteppingClock
from tests.real.web import Reply, Web
from watcher.errors import SourceUnavailable
from watcher.fetch.budgets import budget_told
from watcher.fetch.client import Fetcher
from watcher.fetch.holds import HostHolds
from watcher.model.budget import Budget

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
IN_AN_HOUR = str(int((NOON + HOUR).timestamp()))
A_YEAR_AGO = format_datetime(NOON - timedelta(days=365), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "limit", "remaining", "resets_at"),
    [
        ({"x-ratelimit-limit": "60", "x-ratelimit-remaining": "57", "x-ratelimit-reset": IN_AN_HOUR}, 60, 57,
         NOON + HOUR),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": IN_AN_HOUR}, None, 0, NOON + HOUR),
        ({"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "76;w=21600"}, 100, 76, NOON + 6 * HOUR),
        ({"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "9", "ratelimit-reset": "50"}, 100, 9,
         NOON + timedelta(seconds=50)),
        ({"x-ratelimit-limit": "180", "x-ratelimit-remaining": "179"}, 180, 179, None),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "1"}, None, 3, NOON + timedelta(seconds=1)),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": str(int(NOON.timestamp()) - 9)}, None, 3, None),
    ],
    ids=["github", "spent", "registry", "drafts", "no reset", "a span", "a reset that is over"],
)  # fmt: skip
def test_each_form_of_a_budget_is_read(
    headers: dict[str, str], limit: int | None, remaining: int, resets_at: datetime | None
) -> None:
    assert budget_told(headers, "a.example", NOON) == Budget("a.example", limit, remaining, resets_at, NOON)


def test_a_reset_is_read_against_the_upstreams_own_clock() -> None:
    there = str(int((NOON - timedelta(days=365) + HOUR).timestamp()))
    told = budget_told({"x-ratelimit-remaining": "3", "x-ratelimit-reset": there, "date": A_YEAR_AGO}, "a", NOON)
    assert told is not None
    assert told.resets_at == NOON + HOUR


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-limit": "60"},
        {"x-ratelimit-remaining": "many"},
        {"ratelimit-remaining": "-1"},
        {"ratelimit-remaining": "9" * 40},
        {"ratelimit-remaining": ""},
    ],
)
def test_an_answer_without_a_readable_rest_tells_nothing(headers: dict[str, str]) -> None:
    assert budget_told(headers, "a.example", NOON) is None


@pytest.mark.parametrize("reset", ["soon", "", "9" * 19, "9" * 40, "253402300799", "-5"])
def test_a_nonsensical_reset_harms_nothing(reset: str) -> None:
    told = budget_told({"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}, "a.example", NOON)
    assert told is not None
    assert told.resets_at is None or told.resets_at < NOON + timedelta(days=400)


def test_the_latest_answer_counts_and_the_next_process_knows_it(
    web: Web, fetcher: Fetcher, holds: HostHolds, clock: SteppingClock
) -> None:
    limits = {"X-RateLimit-Limit": "60", "X-RateLimit-Reset": _in_an_hour()}
    for left in ("58", "57"):
        web.routes["/a"] = Reply(200, b"", {**limits, "X-RateLimit-Remaining": left})
        fetcher.get(f"{web.url}/a")
    (budget,) = holds.budgets()
    assert (budget.host, budget.limit, budget.remaining) == (web.host, 60, 57)
    later = HostHolds({}, clock, holds.budgets())
    assert later.budgets() == holds.budgets()
    clock.sleep(2 * 3600)
    assert later.budgets() == (), "after the reset all of it is granted again"


def test_a_budget_that_is_used_up_holds_every_source_of_the_host_until_its_reset(
    web: Web, fetcher: Fetcher, holds: HostHolds, clock: SteppingClock
) -> None:
    spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": _in_an_hour()}
    web.routes["/last"] = Reply(200, b"the last one", spent)
    assert fetcher.get(f"{web.url}/last").body == b"the last one"
    with pytest.raises(SourceUnavailable, match="left alone") as caught:
        Fetcher(timeout=HOUR, holds=holds).get(f"{web.url}/last")
    assert caught.value.retry_after is not None
    assert timedelta(minutes=59) < caught.value.retry_after <= HOUR
    assert web.paths() == ["/last"]
    clock.sleep(3600)
    assert fetcher.get(f"{web.url}/last").status == 200


def test_a_registry_whose_pulls_are_used_up_may_still_be_asked_for_heads(
    web: Web, fetcher: Fetcher, holds: HostHolds
) -> None:
    web.routes["/a"] = Reply(200, headers={"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "0;w=21600"})
    fetcher.head(f"{web.url}/a")
    assert fetcher.head(f"{web.url}/a").status == 200
    assert [budget.remaining for budget in holds.budgets()] == [0]


def _in_an_hour() -> str:
    """Return a reset by the server's clock: its answers carry the real date."""
    return str(int(time.time()) + 3600)
