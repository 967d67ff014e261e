"""A trial that has ended, judged once more from what is kept of it: its logs are read by newer signatures. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from watcher.config.bugs import BugSettings
from watcher.model.trial import Outcome, Stage, Start, Trial
from watcher.model.verdict import (
    BringUp,
    BugState,
    EarlierStarts,
    Evidence,
    FailureClass,
    Finding,
    LogReading,
    ProbeReading,
    Rung,
    StaticReading,
    Verdict,
)
from watcher.verdict.judge import bring_up_of, failure_of, judge
from watcher.verdict.rungs import Rungs, StartSeen

_READY = (Stage.ACCEPT, Stage.SOAK)
_KILLED = 137


@dataclass(frozen=True, slots=True)
class Kept:
    """What is still there of a trial's evidence; `logs` has None where one is gone or was cut off."""

    static: StaticReading | None
    logs: tuple[LogReading | None, ...]
    earlier: tuple[EarlierStarts, ...] = ()


def judged_again(trial: Trial, bug: BugSettings, kept: Kept) -> Trial:
    """Return the trial as it is judged now; it is the same where its logs say what they said, or are gone.

    What a start did (answered, was killed) is kept only by its end and its class: that is taken as it was said.
    """
    is_gone = None in kept.logs
    if all(log is None for log in kept.logs) or (is_gone and trial.bug is BugState.FIXED):
        return trial
    seen = tuple(_seen(start, log, bug) for start, log in zip(trial.starts, kept.logs, strict=True))
    rungs = Rungs(
        bug,
        static=kept.static,
        probe=trial.probe or _probe_of(trial),
        starts=seen,
        earlier=kept.earlier,
        content=trial.candidate.fingerprint,
    )
    verdict = judge(rungs)
    classed = [
        replace(start, bring_up=bring_up_of(one), failure_class=failure_of(one, bug))
        for start, one in zip(trial.starts, seen, strict=True)
    ]
    judged = replace(trial, starts=tuple(classed))
    changed = _answered(trial, verdict)
    if says(changed) == says(trial):
        return judged
    return replace(
        changed,
        starts=judged.starts,
        reason=f"{verdict.reason} Before newer signatures read its logs, it said: {says(trial)}.",
        evidence=_evidence(trial.evidence, verdict.evidence, is_gone),
        basis=verdict.basis,
        deciding_start=verdict.deciding_start,
    )


def says(trial: Trial) -> str:
    """Return a verdict in one clause."""
    failed = f" ({trial.failure_class.value})" if trial.failure_class else ""
    if trial.outcome is not Outcome.VERDICT:
        return f"our own side failed{failed}"
    unknown = trial.bug is BugState.UNKNOWN
    bug = "of the bug nothing is known" if unknown else f"the bug is {trial.bug.value}"
    return f"{bug}, {trial.candidate.engine} {_BROUGHT_UP[trial.bring_up]}{failed}"


_BROUGHT_UP = {
    BringUp.WORKS: "works",
    BringUp.FAILS: "fails",
    BringUp.UNTRIED: "was not brought up",
}


def _answered(trial: Trial, verdict: Verdict) -> Trial:
    if verdict.bench:
        return replace(
            trial,
            outcome=Outcome.BENCH,
            bug=BugState.UNKNOWN,
            bring_up=BringUp.UNTRIED,
            failure_class=verdict.failure_class,
        )
    return replace(trial, bug=verdict.bug, bring_up=verdict.bring_up, failure_class=verdict.failure_class)


def _seen(start: Start, log: LogReading | None, bug: BugSettings) -> StartSeen:
    """Return a start as it must have been seen, to be given this end and class when its log told nothing."""
    failed, failure = start.bring_up is BringUp.FAILS, start.failure_class
    works, ready = start.bring_up is BringUp.WORKS, start.stage in _READY
    called_no_tool = failed and ready and failure is FailureClass.MODEL_CONFIG
    return StartSeen(
        profile=start.profile,
        stage=start.stage,
        reading=log or _as_before(start, bug),
        became_ready=ready,
        completion_ok=True if works or called_no_tool else None,
        tools_asked=called_no_tool,
        tool_ok=False if called_no_tool else None,
        exit_code=None if called_no_tool else start.exit_code,
        oom_killed=failure is FailureClass.GENUINE_OOM and start.exit_code == _KILLED,
        ended_by_us=not failed or failure is FailureClass.NOT_READY,
        died_after_ready=failed and ready and not called_no_tool,
        deadline_passed=failure is FailureClass.NOT_READY,
        cannot_execute="its command could not be executed" if failed and start.log is None else None,
    )


def _as_before(start: Start, bug: BugSettings) -> LogReading | None:
    """Return a reading that says of a start what was said of it, in place of a log that is gone."""
    failure = start.failure_class
    if failure is None:
        return None
    state = BugState.PRESENT if failure is bug.failure_class else BugState.UNKNOWN
    return LogReading(failure, state, (Finding("", failure, 0, "its log is gone", decides=True),))


def _probe_of(trial: Trial) -> ProbeReading | None:
    """Return what the probe must have said, of a trial from before that was kept."""
    if Rung.PROBE not in trial.basis or trial.bug is BugState.UNKNOWN:
        return None
    return ProbeReading(trial.bug, trap_set=True, reason="as the probe said then")


def _evidence(before: Sequence[Evidence], now: Sequence[Evidence], is_gone: bool) -> tuple[Evidence, ...]:
    """Return what was not read from logs as it was, and what is read from them now."""
    stays = [row for row in before if is_gone or row.signature is None]
    return tuple(dict.fromkeys((*stays, *(row for row in now if row.signature))))
