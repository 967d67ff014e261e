"""What counts as growing memory, and what does not."""

import math
import random

import pytest

from watcher.trial.growth import DAY, LEAST_LOOKS, growth_of

MB = 10**6
MINUTES = [60.0 * number for number in range(61)]


def test_an_even_growth_counts_and_lasts_as_long_as_the_room() -> None:
    growth = growth_of(MINUTES, [500 * MB + MB * seconds / 60 for seconds in MINUTES])
    assert growth is not None
    assert growth.counts
    assert growth.per_second == pytest.approx(MB / 60)
    assert growth.rise == pytest.approx(30 * MB)
    assert growth.lasts(60 * MB) == pytest.approx(3600)
    assert growth.lasts(-1) == 0, "there is no room left"
    assert growth.lasts(MB / 60 * DAY) is None, "a day is long enough"


def test_a_growth_with_noise_counts() -> None:
    chance = random.Random(7)
    growth = growth_of(MINUTES, [MB * seconds / 60 + chance.uniform(-3 * MB, 3 * MB) for seconds in MINUTES])
    assert growth is not None
    assert growth.counts


NO_GROWTH = {
    "level": [5.0 * MB for _ in MINUTES],
    "falls": [-MB * seconds for seconds in MINUTES],
    "step": [0.0 if seconds < 2700 else 300.0 * MB for seconds in MINUTES],
    "late-step": [0.0 if seconds < 3300 else 300.0 * MB for seconds in MINUTES],
    "warms-up": [300 * MB * min(1.0, seconds / 1200) for seconds in MINUTES],
    "saw": [MB * (seconds % 600) for seconds in MINUTES],
}


@pytest.mark.parametrize("name", NO_GROWTH)
def test_what_is_no_growth_does_not_count(name: str) -> None:
    growth = growth_of(MINUTES, NO_GROWTH[name])
    assert growth is not None
    assert not growth.counts
    assert growth.lasts(1) is None


def test_noise_alone_hardly_ever_counts() -> None:
    chance = random.Random(11)
    looks = [growth_of(MINUTES, [chance.gauss(900 * MB, 5 * MB) for _ in MINUTES]) for _ in range(500)]
    assert sum(growth is not None and growth.counts for growth in looks) <= 5


def test_too_few_looks_say_nothing() -> None:
    few = MINUTES[: 2 * LEAST_LOOKS - 2]
    assert growth_of(few, few) is None
    assert growth_of([], []) is None
    assert growth_of([1.0] * 60, [1.0] * 60) is None
    enough = growth_of(MINUTES[: 2 * LEAST_LOOKS], [math.exp(look / 9) for look in range(2 * LEAST_LOOKS)])
    assert enough is not None
    assert enough.counts, "one that grows ever faster"
