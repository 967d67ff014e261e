"""What a plan is made of, out of all trials: those of here, whole in what a plan reads, and the last verdict of all."""

from dataclasses import replace
from datetime import timedelta

from tests.planner.worlds import NOW, candidate, digest, orin, trial
from watcher.model.device import DeviceFacts
from watcher.model.trial import Candidate, Outcome, Overlay, Stage, Trial
from watcher.model.verdict import BugState
from watcher.store.database import Store
from watcher.store.planning import planning_trials, wheel_trials
from watcher.store.trials import new_trial

HERE, ELSEWHERE = orin(driver="540.4.0"), orin(driver="540.3.0")
IMAGE = candidate("0.32.0-r36.4-cu128-22.04")
LAID = replace(IMAGE, fingerprint="f-laid", overlay=Overlay("torch", "torch.whl", "2.15.0", digest("t"), "", "index"))


def kept(store: Store, *some: Trial) -> list[Trial]:
    with store.transaction() as tx:
        return [new_trial(tx, replace(one, stage=Stage.DONE)) for one in some]


def of(one: Candidate, device: DeviceFacts = HERE, outcome: Outcome | None = Outcome.VERDICT, **keys: object) -> Trial:
    return trial(one, outcome, device=device, **keys)  # type: ignore[arg-type]


def chosen(store: Store, engine: str = "vllm") -> list[int]:
    with store.reading() as tx:
        return [one.id for one in planning_trials(tx, HERE.state, "setup-1", engine)]


def test_an_outline_has_all_that_a_plan_reads(store: Store) -> None:
    again = NOW + timedelta(days=1)
    (whole,) = kept(
        store, of(IMAGE, outcome=Outcome.BENCH, reason="no room", by_hand=True, retry_at=again, bug=BugState.FIXED)
    )
    with store.reading() as tx:
        (outline,) = planning_trials(tx, HERE.state, "setup-1", "vllm")
    for name in ("id", "candidate", "device_state", "started_at", "finished_at", "outcome", "retry_at", "reason"):
        assert getattr(outline, name) == getattr(whole, name), name
    assert (outline.by_hand, outline.bug, outline.setup) == (True, BugState.FIXED, "setup-1")


def test_of_what_ran_elsewhere_the_last_verdict_of_the_engine_counts(store: Store) -> None:
    kept(store, of(IMAGE, ELSEWHERE), of(IMAGE, ELSEWHERE), of(IMAGE, ELSEWHERE, Outcome.BENCH), of(LAID, ELSEWHERE))
    kept(store, of(replace(IMAGE, engine="ollama"), ELSEWHERE), of(IMAGE, outcome=Outcome.BENCH))
    assert chosen(store) == [6, 2]
    assert chosen(store, engine="ollama") == [6, 5]


def test_another_setup_is_elsewhere_but_for_a_wheel(store: Store) -> None:
    kept(store, of(IMAGE, setup="another"), of(IMAGE, setup="another"), of(LAID, setup="another"), of(IMAGE))
    assert chosen(store) == [4, 3]


def test_only_probes_of_wheels_on_this_device_state_speak_of_wheels(store: Store) -> None:
    kept(store, of(IMAGE), of(LAID, ELSEWHERE), of(LAID), of(LAID, orin(driver="540.4.0", boot="another")))
    with store.reading() as tx:
        assert [one.id for one in wheel_trials(tx, HERE.state)] == [4, 3]


def test_what_is_not_known_of_the_device_is_a_state_of_its_own(store: Store) -> None:
    kept(store, of(IMAGE, orin(l4t=None)), of(IMAGE, orin(l4t="", driver="")), of(IMAGE))
    with store.reading() as tx:
        unknown = planning_trials(tx, orin(l4t=None).state, "setup-1", "vllm")
    assert [one.id for one in unknown] == [3, 2, 1], "and the last verdict of all"
    assert {one.device_state.key for one in unknown[1:]} == {"l4t=? driver=?"}
