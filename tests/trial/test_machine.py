"""The machine as laws: whatever happens in whatever order, a trial that is done owes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.model.trial import Outcome, Stage
from watcher.trial.machine import (
    ENGINE_UP,
    Again,
    Displacing,
    Enough,
    Event,
    Failed,
    IllegalEvent,
    Kept,
    Passed,
    Postponed,
    Progress,
    Restored,
    advance,
)

SERVICES = ("container:assistant", "container:sidecar")
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.just(Passed()),
    st.just(Postponed()),
    st.just(Enough()),
    st.just(Again()),
    st.just(Kept()),
    st.sets(st.sampled_from(SERVICES)).map(lambda names: Displacing(frozenset(names))),
    st.sampled_from(SERVICES).map(Restored),
    st.sampled_from(Outcome).map(lambda outcome: Failed("trouble", outcome)),
)


def play(*events: Event) -> Progress:
    progress = Progress()
    for event in events:
        progress = advance(progress, event)
    return progress


def up_to(stage: Stage) -> list[Event]:
    """Return the events of a trial in which all goes well, until it stands in `stage`."""
    events: list[Event] = []
    while play(*events).stage is not stage:
        if play(*events).stage is Stage.DISPLACE:
            events.append(Displacing(frozenset({SERVICES[0]})))
        events.append(Passed())
    return events


def test_a_trial_in_which_all_goes_well_passes_every_stage_once() -> None:
    progress, stages = Progress(), [Stage.PREFLIGHT]
    while progress.stage is not Stage.DONE:
        if progress.stage is Stage.DISPLACE:
            progress = advance(progress, Displacing(frozenset(SERVICES)))
        if progress.stage is Stage.RESTORE:
            for service in SERVICES:
                progress = advance(progress, Restored(service))
        progress = advance(progress, Passed())
        stages.append(progress.stage)
    assert stages == list(Stage)
    assert progress.outcome is None


@pytest.mark.parametrize("stage", [Stage.PREFLIGHT, Stage.PULL, Stage.INSPECT, Stage.PROBE])
def test_a_failure_before_displace_ends_the_trial_at_once(stage: Stage) -> None:
    progress = play(*up_to(stage), Failed("no", Outcome.BENCH))
    assert (progress.stage, progress.failed_stage, progress.owed) == (Stage.DONE, stage, frozenset())


@pytest.mark.parametrize("stage", [Stage.DISPLACE, Stage.SETTLE, Stage.START, Stage.READY, Stage.ACCEPT, Stage.SOAK])
def test_a_later_failure_goes_through_teardown_and_restore(stage: Stage) -> None:
    failed = play(*up_to(stage), Failed("no", Outcome.VERDICT))
    assert failed.stage is Stage.TEARDOWN
    assert advance(failed, Failed("stuck")).stage is Stage.RESTORE, "a failed teardown must not keep the service down"


def test_restore_is_left_only_when_nothing_is_owed() -> None:
    owing = play(*up_to(Stage.RESTORE))
    with pytest.raises(IllegalEvent):
        advance(owing, Passed())
    alarmed = advance(owing, Failed("the port is taken"))
    assert (alarmed.stage, alarmed.alarm) == (Stage.RESTORE, "the port is taken")
    paid = advance(advance(alarmed, Restored(SERVICES[0])), Passed())
    assert (paid.stage, paid.alarm) == (Stage.DONE, "")


def test_the_first_failure_names_the_stage_and_the_reason() -> None:
    progress = play(*up_to(Stage.READY), Failed("first", Outcome.VERDICT))
    assert (progress.failed_stage, progress.reason, progress.outcome) == (Stage.READY, "first", Outcome.VERDICT)


def test_a_late_probe_runs_between_settle_and_start() -> None:
    late = play(*up_to(Stage.PROBE), Postponed(), Displacing(frozenset(SERVICES)), Passed())
    assert late.stage is Stage.SETTLE
    assert advance(late, Passed()).stage is Stage.PROBE
    assert advance(advance(late, Passed()), Passed()).stage is Stage.START
    assert advance(advance(late, Passed()), Enough()).stage is Stage.TEARDOWN


def test_enough_after_an_early_probe_ends_without_displacing() -> None:
    assert play(*up_to(Stage.PROBE), Enough()).stage is Stage.DONE


@pytest.mark.parametrize("stage", sorted(ENGINE_UP))
def test_again_starts_the_next_engine_under_the_same_displacement(stage: Stage) -> None:
    again = play(*up_to(stage), Again())
    assert (again.stage, again.owed) == (Stage.START, frozenset({SERVICES[0]}))


def test_an_engine_that_is_kept_leaves_its_place_owed_without_a_failure() -> None:
    kept = play(*up_to(Stage.SOAK), Kept())
    assert (kept.stage, kept.owed, kept.outcome, kept.alarm) == (Stage.RESTORE, frozenset({SERVICES[0]}), None, "")
    with pytest.raises(IllegalEvent):
        play(*up_to(Stage.ACCEPT), Kept())


@given(st.lists(EVENTS, max_size=40))
def test_whatever_happens_a_finished_trial_owes_nothing_and_none_is_forgotten(events: list[Event]) -> None:
    progress, displaced, restored = Progress(), set[str](), set[str]()
    for event in events:
        try:
            after = advance(progress, event)
        except IllegalEvent:
            continue
        if isinstance(event, Displacing):
            displaced |= event.services
        if isinstance(event, Restored):
            restored.add(event.service)
        progress = after
        assert progress.owed == displaced - restored
    if progress.stage is Stage.DONE:
        assert not progress.owed
        assert displaced <= restored


@given(st.lists(EVENTS, max_size=30))
def test_every_trial_can_still_be_ended(events: list[Event]) -> None:
    progress = Progress()
    for event in events:
        try:
            progress = advance(progress, event)
        except IllegalEvent:
            continue
    if progress.stage not in (Stage.DONE, Stage.RESTORE):
        progress = advance(progress, Failed("enough"))
    if progress.stage is Stage.TEARDOWN:
        progress = advance(progress, Passed())
    for service in tuple(progress.owed):
        progress = advance(progress, Restored(service))
    if progress.stage is not Stage.DONE:
        progress = advance(progress, Passed())
    assert progress.stage is Stage.DONE
