"""What is due, and what holds the rest back."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.planner.worlds import HOUR, NOW, candidate, orin, trial
from watcher.config.values import parse_window
from watcher.model.trial import Candidate, Outcome, Trial
from watcher.planner.due import FIRST_DELAY, LEAST_NOTICE, TOO_SHORT, Rules, Standing, next_due, next_start, plan

RULES = Rules(engine="vllm")
STANDING = Standing(device=orin(), setup="setup-1", now=NOW)
NEWS = candidate("0.33.0-r36.4")
OLDER = candidate("0.32.0-r36.4")


def due(*some: Candidate, trials: tuple[Trial, ...] = (), rules: Rules = RULES, **standing: object) -> Candidate | None:
    return next_due(plan(some, trials, rules, replace(STANDING, **standing)))  # type: ignore[arg-type]


def waits(one: Candidate, trials: tuple[Trial, ...] = (), rules: Rules = RULES, **standing: object) -> str | None:
    (planned,) = plan([one], trials, rules, replace(STANDING, **standing))  # type: ignore[arg-type]
    assert not planned.due
    return planned.waiting_for


def is_due(one: Candidate, *trials: Trial, **standing: object) -> bool:
    return due(one, trials=trials, rules=RULES, **standing) is not None


def test_news_that_settled_is_due() -> None:
    assert is_due(NEWS)


def test_what_was_there_at_the_first_look_is_never_due() -> None:
    assert not is_due(candidate("0.33.0-r36.4", baseline=True))
    assert waits(candidate("0.33.0-r36.4", baseline=True)) is None
    assert not is_due(candidate("0.33.0-r36.4", baseline=True), check_now=True)


def test_what_cannot_run_or_was_skipped_is_never_due() -> None:
    assert not is_due(replace(NEWS, compatible=False))
    assert not is_due(replace(NEWS, skipped=True))
    assert not is_due(replace(NEWS, skipped=True), check_now=True)
    assert waits(replace(NEWS, skipped=True)) is not None
    assert waits(replace(NEWS, skipped=True, compatible=False)) is None


def test_the_same_content_is_never_tried_twice_on_the_same_ground() -> None:
    assert not is_due(NEWS, trial(NEWS))
    assert not is_due(NEWS, trial(NEWS), check_now=True)
    assert not is_due(NEWS, trial(NEWS, device=orin(boot="boot-2")))  # a reboot alone changes nothing


def test_another_l4t_another_driver_or_another_setup_makes_it_due_again() -> None:
    assert is_due(NEWS, trial(NEWS, device=orin("36.4.3")))
    assert is_due(NEWS, trial(NEWS, device=orin(driver="540.4.0")))
    assert is_due(NEWS, trial(NEWS, setup="setup-0"))


def test_other_content_under_the_same_name_is_due() -> None:
    rebuilt = replace(NEWS, digest="sha256:new", fingerprint="new")
    assert is_due(rebuilt, trial(NEWS))


def test_a_changed_device_makes_the_newest_compatible_due_even_of_the_baseline() -> None:
    old, new = candidate("0.9.2-r36.4", baseline=True), candidate("0.9.3-r36.4", baseline=True)
    newer = candidate("0.33.0-r39.2", baseline=True, compatible=False)
    on_old_l4t = trial(old, device=orin("36.4.3"))
    assert due(old, new, newer, trials=(on_old_l4t,)) == replace(new, due=True)
    assert due(old, new, newer, device_changed=True) == replace(new, due=True)
    assert due(old, new, newer, trials=(trial(new),), device_changed=True) is None


def test_a_trial_of_another_engine_is_no_changed_ground() -> None:
    llama = replace(candidate("b5283-r36.4"), engine="llama-cpp")
    assert not is_due(candidate("0.9.3-r36.4", baseline=True), trial(llama, setup="other"))


def test_of_several_the_newest_is_due_and_the_older_ones_are_superseded() -> None:
    planned = plan([OLDER, NEWS], (), RULES, STANDING)
    assert [(one.image, one.due, one.waiting_for) for one in planned] == [
        (NEWS.image, True, None),
        (OLDER.image, False, f"superseded by {NEWS.image}"),
    ]


def test_what_was_superseded_stays_so_after_the_newer_had_its_verdict() -> None:
    assert due(OLDER, NEWS, trials=(trial(NEWS),)) is None


def test_an_older_version_that_appears_after_the_newer_was_tried_is_due() -> None:
    backport = replace(OLDER, first_seen=NOW - 8 * HOUR)
    assert due(backport, NEWS, trials=(trial(NEWS, ended=NOW - 20 * HOUR),)) == replace(backport, due=True)


def test_after_bench_trouble_it_is_tried_again_after_a_growing_delay() -> None:
    first = trial(NEWS, Outcome.BENCH, ended=NOW - FIRST_DELAY)
    assert is_due(NEWS, first)
    assert not is_due(NEWS, first, now=NOW - timedelta(minutes=1))
    second = trial(NEWS, Outcome.BENCH, ended=NOW, reason="pull failed")
    assert waits(NEWS, (first, second)) == "again at 2026-11-23 14:00 UTC after trouble on our side: pull failed"
    assert is_due(NEWS, first, second, now=NOW + 4 * FIRST_DELAY)


def test_after_so_many_retries_bench_trouble_gives_up_and_lets_an_older_one_go_first() -> None:
    trouble = tuple(trial(NEWS, Outcome.BENCH, ended=NOW - hours * HOUR) for hours in (20, 15, 10, 9))
    assert "given up after 4 trials" in (waits(NEWS, trouble) or "")
    assert due(OLDER, NEWS, trials=trouble) == replace(OLDER, due=True)


def test_a_refused_trial_is_tried_again_at_its_time() -> None:
    refused = trial(NEWS, Outcome.REFUSED, retry_at=NOW + HOUR, reason="too little disk")
    assert waits(NEWS, (refused,)) == "again at 2026-11-23 13:00 UTC after a refusal: too little disk"
    assert is_due(NEWS, refused, now=NOW + HOUR)


def test_a_refusal_that_no_time_cures_is_looked_at_once_a_day_or_when_a_person_asks() -> None:
    refused = trial(NEWS, Outcome.REFUSED, ended=NOW, reason="the mount path does not exist")
    assert not is_due(NEWS, refused, now=NOW + 23 * HOUR)
    assert is_due(NEWS, refused, now=NOW + 24 * HOUR)
    assert is_due(NEWS, refused, check_now=True)


def test_a_cancelled_trial_comes_back_after_the_cool_down_or_with_the_next_check_by_hand() -> None:
    cancelled = trial(NEWS, Outcome.CANCELLED)
    assert not is_due(NEWS, cancelled)
    assert is_due(NEWS, cancelled, check_now=True)
    assert is_due(NEWS, cancelled, now=NOW + 5 * HOUR)


def test_a_running_trial_is_not_started_again() -> None:
    assert waits(NEWS, (trial(NEWS, None, number=7),)) == "trial 7 is running"


def test_bench_trouble_of_a_baseline_candidate_asked_for_by_hand_makes_nothing_due() -> None:
    old = candidate("0.9.3-r36.4", baseline=True)
    assert not is_due(old, trial(old, Outcome.BENCH, ended=NOW - 9 * HOUR, by_hand=True))


def test_news_cools_down_unless_a_person_asks() -> None:
    fresh = replace(NEWS, first_seen=NOW - HOUR)
    assert waits(fresh) == "cool-down until 2026-11-23 17:00 UTC"
    assert is_due(fresh, check_now=True)


def test_automatic_trials_wait_for_the_window_unless_a_person_asks() -> None:
    rules = replace(RULES, hours=parse_window("02:00-06:00"))
    assert waits(NEWS, rules=rules) == "the window, which opens for it at 2026-11-24 02:00 UTC"
    asked = due(NEWS, rules=rules, check_now=True)
    assert asked is not None
    assert asked.waiting_for == waits(NEWS, rules=rules), "and it is known when it would be without them"
    assert due(NEWS, rules=rules, now=NOW + 14 * HOUR)
    assert not due(NEWS, rules=rules, now=NOW + 17.9 * HOUR)


def test_a_window_shorter_than_a_trial_says_so() -> None:
    assert waits(NEWS, rules=replace(RULES, hours=parse_window("02:00-02:20"))) == TOO_SHORT


def test_automatic_trials_that_are_off_say_what_is_missing() -> None:
    off = replace(RULES, auto_missing=("trial.displace", "schedule.window"))
    assert waits(NEWS, rules=off) == "automatic trials are off until trial.displace, schedule.window are set"
    assert not due(NEWS, rules=off, check_now=True)


def test_a_pause_and_the_quarantine_hold_also_what_is_asked_for() -> None:
    for check_now in (False, True):
        assert waits(NEWS, paused_until=NOW + HOUR, check_now=check_now) == "paused until 2026-11-23 13:00 UTC"
        assert "two trials in a row failed" in (waits(NEWS, quarantined=True, check_now=check_now) or "")
    assert is_due(NEWS, paused_until=NOW)


def test_only_the_chosen_engine_is_tried_by_itself_and_others_do_not_stand_before_it() -> None:
    other = replace(candidate("0.99.0-r36.4"), engine="ollama")
    assert waits(other) == "automatic trials bring up vllm only"
    assert due(other, NEWS) == replace(NEWS, due=True)


def test_the_next_start_is_foreseen() -> None:
    fresh = replace(NEWS, first_seen=NOW - HOUR)
    rules = replace(RULES, hours=parse_window("16:00-18:00"))
    assert next_start([fresh], (), RULES, STANDING) == (fresh, NOW + 5 * HOUR)
    assert next_start([fresh], (), rules, STANDING) == (fresh, NOW + 5 * HOUR)
    assert next_start([NEWS], (), rules, STANDING) == (NEWS, NOW + 4 * HOUR)
    assert next_start([NEWS], (trial(NEWS),), rules, STANDING) is None
    assert next_start([NEWS], (), replace(rules, auto_missing=("trial.displace",)), STANDING) is None


NAMES = st.sampled_from(["0.33.0-r36.4", "0.32.0-r36.4", "0.9.3-r36.4", "r36.4", "latest-jetson-orin"])
CANDIDATES = st.lists(
    st.builds(
        candidate,
        NAMES,
        seen=st.integers(0, 48).map(lambda hours: NOW - hours * HOUR),
        baseline=st.booleans(),
        compatible=st.booleans(),
        skipped=st.booleans(),
    ),
    unique_by=lambda one: one.fingerprint,
    max_size=5,
)
OUTCOMES = st.sampled_from([*Outcome, None])
TRIALS = st.lists(
    st.builds(
        trial,
        NAMES.map(candidate),
        OUTCOMES,
        ended=st.integers(0, 48).map(lambda hours: NOW - hours * HOUR),
        setup=st.sampled_from(["setup-0", "setup-1"]),
    ),
    max_size=6,
)


@given(some=CANDIDATES, trials=TRIALS, check_now=st.booleans())
def test_planning_twice_adds_nothing(some: list[Candidate], trials: list[Trial], check_now: bool) -> None:
    standing = replace(STANDING, check_now=check_now)
    once = plan(some, trials, RULES, standing)
    assert plan(once[::-1], trials[::-1], RULES, standing) == once
    assert sum(one.due for one in once) <= 1


@given(some=CANDIDATES, trials=TRIALS)
def test_a_verdict_on_what_was_due_ends_the_matter_after_a_few_trials(
    some: list[Candidate], trials: list[Trial]
) -> None:
    """Trying what is due until nothing is: it ends, and nothing is tried twice."""
    now, tried = NOW, []
    while one := due(*some, trials=tuple(trials), now=now):
        assert one.fingerprint not in tried
        tried.append(one.fingerprint)
        now += HOUR
        trials = [*trials, trial(one, ended=now)]
    assert len(tried) <= len(some)


@given(some=CANDIDATES, trials=TRIALS)
def test_what_is_foreseen_is_due_at_that_time(some: list[Candidate], trials: list[Trial]) -> None:
    rules = replace(RULES, hours=parse_window("02:00-06:00"))
    foreseen = next_start(some, trials, rules, STANDING)
    if foreseen is None:
        assert due(*some, trials=tuple(trials), rules=rules) is None
        return
    which, when = foreseen
    then = due(*some, trials=tuple(trials), rules=rules, now=when)
    assert then is not None
    assert then.fingerprint == which.fingerprint


def test_what_displaces_a_service_waits_until_people_could_read_of_it() -> None:
    rules = replace(RULES, displaces=True)
    key = (NEWS.engine, NEWS.fingerprint)
    assert (
        waits(NEWS, rules=rules)
        == f"the half hour after its announcement, until {NOW + LEAST_NOTICE:%Y-%m-%d %H:%M} UTC"
    )
    assert next_start([NEWS], (), rules, STANDING) == (NEWS, NOW + LEAST_NOTICE)
    told = replace(STANDING, announced={key: NOW - LEAST_NOTICE})
    assert next_due(plan([NEWS], (), rules, told)) is not None
    assert next_start([NEWS], (), rules, told) == (NEWS, NOW)
    assert next_due(plan([NEWS], (), rules, replace(STANDING, check_now=True))) is not None, "a person does not wait"
    assert next_due(plan([NEWS], (), RULES, STANDING)) is not None, "nothing is taken away"
