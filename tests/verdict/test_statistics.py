"""The chance that a fault hid, and the interval of a count: their laws, and known values."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.verdict.statistics import chance_hidden, k_of_n, not_seen, percent, wilson_interval

COUNTS = st.integers(0, 500)


def integrated(failures: int, clean: int, runs: int, steps: int = 1500) -> float:
    """Return E[(1 - p)^runs] by Simpson's rule over the density of Beta(1 + failures, 1 + clean)."""

    def under(p: float, more: int) -> float:
        return p**failures * (1 - p) ** (clean + more)

    def simpson(more: int) -> float:
        inner = (under(i / steps, more) * (4 if i % 2 else 2) for i in range(1, steps))
        return (under(0, more) + under(1, more) + sum(inner)) / (3 * steps)

    return simpson(runs) / simpson(0)


def test_ten_clean_starts_after_three_failures_in_ten_leave_six_per_cent() -> None:
    assert chance_hidden(3, 7, 10) == pytest.approx(0.0551, abs=1e-4)
    assert not_seen(3, 7, 10) == "not seen in 10 starts, seen in 3 of 10 before; the chance that it hid is 6 %"


@pytest.mark.parametrize(
    ("failures", "clean", "runs", "expected"),
    [(0, 0, 1, 1 / 2), (0, 0, 9, 1 / 10), (1, 0, 1, 1 / 3), (3, 7, 1, 8 / 12), (5, 5, 0, 1.0)],
)
def test_values_that_can_be_found_by_hand(failures: int, clean: int, runs: int, expected: float) -> None:
    assert chance_hidden(failures, clean, runs) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("failures", [0, 1, 3, 20])
@pytest.mark.parametrize("clean", [0, 7, 40])
@pytest.mark.parametrize("runs", [1, 10, 60])
def test_the_closed_form_agrees_with_an_integral(failures: int, clean: int, runs: int) -> None:
    assert chance_hidden(failures, clean, runs) == pytest.approx(integrated(failures, clean, runs), rel=1e-6)


@given(COUNTS, COUNTS, COUNTS)
def test_a_chance_lies_between_nought_and_one(failures: int, clean: int, runs: int) -> None:
    assert 0 < chance_hidden(failures, clean, runs) <= 1


@given(COUNTS, COUNTS, COUNTS)
def test_it_falls_with_clean_starts_and_with_earlier_failures_and_rises_with_earlier_clean_ones(
    failures: int, clean: int, runs: int
) -> None:
    chance = chance_hidden(failures, clean, runs + 1)
    assert chance < chance_hidden(failures, clean, runs)
    assert chance_hidden(failures + 1, clean, runs + 1) < chance
    assert chance_hidden(failures, clean + 1, runs + 1) > chance


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_starts_one_after_the_other_say_what_they_say_together(f: int, c: int, first: int, then: int) -> None:
    together = chance_hidden(f, c, first + then)
    assert chance_hidden(f, c, first) * chance_hidden(f, c + first, then) == pytest.approx(together, rel=1e-8)


def test_the_interval_is_wilsons() -> None:
    assert wilson_interval(7, 10) == pytest.approx((0.3968, 0.8922), abs=1e-4)
    assert wilson_interval(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert k_of_n(7, 10) == "7 of 10 starts (95 %: 40 to 89 %)"
    assert k_of_n(1, 1).startswith("1 of 1 start (")


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_its_share_and_mirrors(counted: tuple[int, int]) -> None:
    k, n = counted
    low, high = wilson_interval(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert wilson_interval(n - k, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(share: float) -> None:
    n = 40
    chances = [comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    held = sum(
        chance for k, chance in enumerate(chances) if wilson_interval(k, n)[0] <= share <= wilson_interval(k, n)[1]
    )
    assert held > 0.92


def test_a_small_chance_is_never_shown_as_none() -> None:
    shown = [percent(one) for one in (0.0004, 0.0021, 0.0551, 0.67, 0.0)]
    assert shown == ["below 0.1 %", "0.2 %", "6 %", "67 %", "0.0 %"]
