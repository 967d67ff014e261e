"""Years of simulated devices: trials as the program would make them, and never a `fixed` that was not there.

Each device has a fault that shows itself in a share of its starts, images of which some carry the fix, and a person who
starts them in any order and number. Neither bytes nor probe say anything; what is known comes from starts alone.
"""

import random
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from tests.planner.worlds import NOW, candidate, orin, trial, vllm
from tests.test_answer import answer
from tests.verdict.test_judge import ASSERT_LINE, BUG, CLEAN_ERROR, WORKING, failing
from watcher.config.bugs import BugSettings
from watcher.model.trial import Stage, Trial
from watcher.model.verdict import BugState
from watcher.planner.flips import last_flip
from watcher.planner.history import earlier_starts
from watcher.trial.machine import Progress
from watcher.trial.seen import Seen, with_verdict
from watcher.verdict.judge import StartSeen
from watcher.verdict.repeated import HIDES_AT_MOST

FAULT, OTHER = failing(ASSERT_LINE), failing(CLEAN_ERROR)
RATES = (0.01, 0.05, 0.2, 0.5, 0.9, 1.0)
IMAGES = tuple(candidate(f"0.3{number}.0-r36.4") for number in range(5))
BY_RUNS = BUG.model_copy(update={"fixed_by_runs": 20})


@dataclass(frozen=True)
class Device:
    """`rate` is the share of starts that show the fault in an image without the fix; `noise` of other failures."""

    rate: float
    noise: float
    fixed: frozenset[str]

    def start(self, image: str, dice: random.Random) -> StartSeen:
        if image not in self.fixed and dice.random() < self.rate:
            return FAULT
        return OTHER if dice.random() < self.noise else WORKING


def history(device: Device, dice: random.Random, trials: int, bug: BugSettings = BUG) -> list[Trial]:
    """Return the trials of one device, each judged with those before it."""
    told: list[Trial] = []
    for number in range(trials):
        image = dice.choice(IMAGES)
        began = trial(image, None, ended=NOW + timedelta(hours=number), number=number + 1)
        began = replace(began, device_state=orin(dice.choice(("36.4.3", "36.4.4"))).state)
        seen = Seen(bug, earlier=earlier_starts(told, began, BUG.failure_class))
        seen.starts = [device.start(image.image, dice) for _ in range(dice.choice((1, 3, 10, 30)))]
        seen.logs = [None] * len(seen.starts)
        judged = with_verdict(began, Progress(Stage.DONE), seen)
        told.append(replace(judged, finished_at=began.started_at + timedelta(minutes=30)))
    return told


def devices(seed: int, count: int) -> list[tuple[Device, random.Random]]:
    dice = random.Random(seed)
    images = [one.image for one in IMAGES]
    made = []
    for _ in range(count):
        fixed = frozenset(one for one in images if dice.random() < 0.3)
        made.append((Device(dice.choice(RATES), dice.choice((0.0, 0.2)), fixed), random.Random(dice.random())))
    return made


@pytest.mark.parametrize("seed", range(4))
def test_starts_alone_never_say_fixed_and_what_they_show_stands(seed: int) -> None:
    for device, dice in devices(seed, 60):
        told = history(device, dice, 8)
        assert BugState.FIXED not in {one.bug for one in told}
        for one in told:
            shown = any(start.failure_class is BUG.failure_class for start in one.starts)
            assert (one.bug is BugState.PRESENT) is shown
            assert not (shown and one.candidate.image in device.fixed)
        got = answer(candidates=IMAGES, trials=told)
        assert got.bug is not BugState.FIXED
        assert got.bug is BugState.UNKNOWN or got.candidate is None or got.candidate.image not in device.fixed


@pytest.mark.parametrize("seed", range(2))
def test_not_seen_is_said_exactly_where_earlier_starts_had_shown_it(seed: int) -> None:
    for device, dice in devices(100 + seed, 40):
        told = history(device, dice, 8)
        for place, one in enumerate(told):
            before = any(start.failure_class is BUG.failure_class for past in told[:place] for start in past.starts)
            clean = WORKING.profile in {start.profile for start in one.starts if start.failure_class is None}
            expected = before and clean and one.bug is BugState.UNKNOWN
            assert ("not seen in" in one.reason) is expected, one.reason


@pytest.mark.parametrize("seed", range(2))
def test_what_a_flip_names_really_moved(seed: int) -> None:
    for device, dice in devices(200 + seed, 40):
        told = history(device, dice, 8)
        found = last_flip(told[-1], (told[-1].bug, told[-1].bring_up), told, vllm(), ())
        if found is None:
            continue
        one, two = told[found.before - 1], told[found.after - 1]
        assert any(part.startswith("L4T") for part in found.moved) is (one.device_state.l4t != two.device_state.l4t)
        assert any(part.startswith("image") for part in found.moved) is (one.candidate.image != two.candidate.image)


def test_a_bug_that_is_decided_by_runs_is_seldom_called_fixed_wrongly() -> None:
    said, wrong = 0, 0
    for device, dice in devices(8, 300):
        for one in history(replace(device, noise=0.0), dice, 8, BY_RUNS):
            said += one.bug is BugState.FIXED
            wrong += one.bug is BugState.FIXED and one.candidate.image not in device.fixed
    assert said > 50, "where many clean starts follow failures, it is said"
    assert wrong <= HIDES_AT_MOST * said
