"""What happened since the device was started: it makes later evidence weak, or keeps automatic trials off. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from watcher.model.trial import Outcome, Trial
from watcher.model.verdict import BringUp, BugState, FailureClass, Rung

QUARANTINE = (
    "two trials in a row failed on our side on this boot: reboot the device, or try by hand with"
    " `watcher trial run --force`"
)
EVIDENCE = (Outcome.VERDICT, Outcome.BENCH)
LEAVES_MAPPINGS = frozenset(
    {
        FailureClass.ALLOCATOR_NVML_ASSERT,
        FailureClass.ALLOCATOR_OTHER_ASSERT,
        FailureClass.NVMAP_ALLOC_FAILURE,
        FailureClass.GENUINE_OOM,
        FailureClass.DRIVER_RUNTIME,
    }
)
"""After these NvMap may keep what the engine held, and memory stays in pieces, until the device is started again."""


def is_quarantined(trials: Iterable[Trial], boot_id: str | None, cleared_at: datetime | None = None) -> bool:
    """Return whether the last two trials that ended failed on our side, on this boot, since it was last cleared."""
    ended = [trial for trial in trials if trial.outcome in EVIDENCE]
    last_two = sorted(ended, key=_ended)[-2:]
    return len(last_two) == 2 and all(
        trial.outcome is Outcome.BENCH
        and trial.device_state.boot_id == boot_id
        and (cleared_at is None or _ended(trial) > cleared_at)
        for trial in last_two
    )


def gpu_failures(trials: Iterable[Trial], boot_id: str | None) -> int:
    """Return how many starts of an engine failed on this boot in a way that may leave memory mapped."""
    here = (trial for trial in trials if boot_id is not None and trial.device_state.boot_id == boot_id)
    return sum(start.failure_class in LEAVES_MAPPINGS for trial in here for start in trial.starts)


def doubt(trial: Trial, failures_before: int) -> str | None:
    """Return why a trial's verdict should be confirmed after a reboot, None where nothing speaks for that.

    What the bytes or the probe said of the bug does not depend on how much memory there was.
    """
    is_sure = trial.bug is BugState.PRESENT and not {Rung.STATIC, Rung.PROBE}.isdisjoint(trial.basis)
    may_be_memory = trial.bring_up is BringUp.FAILS and trial.failure_class in LEAVES_MAPPINGS
    if trial.outcome is not Outcome.VERDICT or is_sure or not may_be_memory or failures_before == 0:
        return None
    times = "once" if failures_before == 1 else f"{failures_before} times"
    return f"Weak evidence: the GPU had failed {times} before on this boot, which may keep memory until a reboot."


def confirmation(image: str) -> str:
    return f"reboot the device, then {tried_again(image)}"


def tried_again(image: str) -> str:
    return f"`watcher trial run {image}`"


def doubt_about(trial: Trial, trials: Sequence[Trial]) -> str | None:
    """Return the doubt about a trial among all that are known."""
    before = (one for one in trials if one.started_at < trial.started_at)
    return doubt(trial, gpu_failures(before, trial.device_state.boot_id))


def _ended(trial: Trial) -> datetime:
    return trial.finished_at or trial.started_at
