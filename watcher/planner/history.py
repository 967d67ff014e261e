"""What earlier trials on this device say to a later one. Pure."""

from collections.abc import Iterable

from watcher.model.trial import Start, Trial
from watcher.model.verdict import BringUp, BugState, EarlierStarts, FailureClass


def earlier_starts(trials: Iterable[Trial], trial: Trial, failure_class: FailureClass) -> tuple[EarlierStarts, ...]:
    """Return, per profile, how often starts before this trial showed the bug's own failure, and how often they worked.

    Only what was started alike counts: the same engine with the same setup. Starts of a build that is known to be
    fixed say nothing of how often the fault shows itself.
    """
    alike = [one for one in trials if _is_like(one, trial)]
    found: dict[str, list[tuple[Trial, Start]]] = {}
    for one in alike:
        for start in one.starts:
            found.setdefault(start.profile, []).append((one, start))
    return tuple(_counted(profile, rows, trial, failure_class) for profile, rows in found.items())


def _is_like(one: Trial, trial: Trial) -> bool:
    asked_alike = (one.bug_id, one.candidate.engine, one.setup) == (trial.bug_id, trial.candidate.engine, trial.setup)
    return asked_alike and one.bug is not BugState.FIXED and one.started_at < trial.started_at


def _counted(
    profile: str, rows: Iterable[tuple[Trial, Start]], trial: Trial, failure_class: FailureClass
) -> EarlierStarts:
    rows = list(rows)
    failed = [one for one, start in rows if start.failure_class is failure_class]
    here = (one for one in failed if one.device_state.key == trial.device_state.key)
    return EarlierStarts(
        profile=profile,
        failures=len(failed),
        clean=sum(start.bring_up is BringUp.WORKS for _, start in rows),
        shown_by=frozenset(one.candidate.fingerprint for one in here),
    )
