"""Which trials an answer can speak of, which ended last, which sources had something last: a case for each reason."""

from dataclasses import replace

from tests.store.examples import HOUR, NOON, begun, candidate, known
from watcher.model.device import DeviceState
from watcher.model.facts import Fact, FactKind, KnownFact, SourceState
from watcher.model.trial import Candidate, Outcome, Stage, Start, Trial
from watcher.model.verdict import BringUp, BugState, FailureClass
from watcher.store import facts, trials
from watcher.store.appearances import Last, last_appearances
from watcher.store.database import Store
from watcher.store.telling import telling_trials
from watcher.store.transaction import Transaction

HERE = DeviceState("36.4.4", "540.4.0", "boot")
BEFORE = DeviceState("36.4.3", "540.3.0", "old boot")
FITS = replace(candidate("fits"), digest="sha256:fits", source="images", compatible=True)
GONE = ("no source shows it any more",)


def verdict(tx: Transaction, hour: int, of: Candidate = FITS, **values: object) -> int:
    """Keep a trial that ended so many hours after noon, and return its number."""
    ended = NOON + hour * HOUR
    trial = replace(begun(of), started_at=ended, finished_at=ended, stage=Stage.DONE, outcome=Outcome.VERDICT)
    trial = replace(trial, bug=BugState.PRESENT, bring_up=BringUp.FAILS)
    return trials.new_trial(tx, replace(trial, **values)).id  # type: ignore[arg-type]


def told(tx: Transaction) -> dict[int, Trial]:
    leaves = (FailureClass.GENUINE_OOM,)
    return {one.id: one for one in telling_trials(tx, "cuda-allocator", "vllm", HERE, GONE, leaves)}


def test_each_verdict_on_this_device_state_is_told(store: Store) -> None:
    with store.transaction() as tx:
        image = known(Fact(FactKind.IMAGE, "1-r36.4", digest=FITS.digest))
        facts.save_look(tx, SourceState("images", "oci-tags"), [image], [])
        alike = {verdict(tx, hour) for hour in range(5)}
        verdict(tx, 5, outcome=Outcome.BENCH)
        assert set(told(tx)) == alike


def test_of_another_device_state_the_turns_are_told_and_what_came_just_before_a_verdict_here(store: Store) -> None:
    with store.transaction() as tx:
        past = [verdict(tx, hour, device_state=BEFORE) for hour in range(4)]
        fixed = [verdict(tx, 4 + hour, device_state=BEFORE, bug=BugState.FIXED) for hour in range(4)]
        here = verdict(tx, 8, bug=BugState.FIXED)
        later = [verdict(tx, 9 + hour, device_state=BEFORE, bug=BugState.FIXED) for hour in range(3)]
        assert set(told(tx)) == {past[0], past[-1], fixed[0], fixed[-1], here, later[-1]}


def test_of_an_image_that_is_shown_and_fits_no_more_only_the_turns_are_told(store: Store) -> None:
    shown = replace(FITS, fingerprint="shown", digest="sha256:shown", compatible=False, reasons=("needs r39",))
    with store.transaction() as tx:
        image = known(Fact(FactKind.IMAGE, "1-r39", digest="sha256:shown"))
        facts.save_look(tx, SourceState("images", "oci-tags"), [image], [])
        ids = [verdict(tx, hour, shown) for hour in range(4)]
        assert set(told(tx)) == {ids[0], ids[-1]}
        facts.save_look(tx, SourceState("images", "oci-tags"), [replace(image, withdrawn=True)], [])
        assert set(told(tx)) == set(ids), "what no source shows has run here and counts"


def test_before_a_verdict_the_first_failure_of_its_boot_that_may_leave_memory_is_told_with_its_starts(
    store: Store,
) -> None:
    starts = (Start("recommended", Stage.READY, BringUp.FAILS, FailureClass.GENUINE_OOM),)
    other_boot, quiet_boot = replace(HERE, boot_id="other boot"), replace(HERE, boot_id="quiet boot")
    with store.transaction() as tx:
        verdict(tx, 0, outcome=Outcome.BENCH)
        first = verdict(tx, 1, outcome=Outcome.BENCH, starts=starts)
        verdict(tx, 2, outcome=Outcome.BENCH, starts=starts)
        other = verdict(tx, 3, outcome=Outcome.BENCH, starts=starts, device_state=other_boot)
        verdict(tx, 4, outcome=Outcome.BENCH, starts=starts, device_state=quiet_boot)
        verdict(tx, 5, outcome=Outcome.BENCH, starts=starts, device_state=BEFORE)
        verdicts = {verdict(tx, 6), verdict(tx, 7, device_state=other_boot)}
        found = told(tx)
    assert set(found) == {first, other} | verdicts
    assert found[first].starts == found[other].starts == starts


def test_when_something_appeared_last_is_known_of_all_and_of_what_is_final(store: Store) -> None:
    def at(hour: int, **values: object) -> KnownFact:
        fact = Fact(FactKind.RELEASE, f"v{hour}", published_at=NOON + hour * HOUR)
        return known(replace(fact, **values))  # type: ignore[arg-type]

    with store.transaction() as tx:
        shown = [at(0), at(1, prerelease=True), at(2, kind=FactKind.THREAD)]
        facts.save_look(tx, SourceState("releases", "github-releases"), shown, [])
        facts.save_look(tx, SourceState("empty", "feed"), [], [])
        found = last_appearances(tx, frozenset({FactKind.RELEASE}))
    assert found == {"releases": Last(NOON + HOUR, NOON), "empty": Last(None, None)}


def test_the_trials_that_ended_last_come_first_and_others_do_not_count(store: Store) -> None:
    with store.transaction() as tx:
        late, early, latest = (verdict(tx, hour) for hour in (5, 1, 9))
        verdict(tx, 10, outcome=Outcome.REFUSED)
        verdict(tx, 11, outcome=None, stage=Stage.READY, finished_at=None)
        last = [one.id for one in trials.last_ended(tx, (Outcome.VERDICT, Outcome.BENCH), 2)]
    assert last == [latest, late]
    assert early not in last
