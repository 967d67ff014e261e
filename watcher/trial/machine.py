"""The trial as one pure function: where it stands and what happened give where it stands next.

    preflight → pull → inspect → probe → displace → settle → start → ready → accept → soak → teardown → restore → done
        │         │       │        │         │         │        ↑│      │       │       │                 └ stays, with
        │         │       │        │         │         │        └┴──────┴───────┴───────┤                   an alarm,
        │         │       │        │         │         │          Again: next start     │                   while owed
        └─────────┴───────┴────────┴→ done   └─────────┴────────────────────────────────┴→ teardown

    soak ── Kept ──→ restore      where a working engine stays in place of what it displaced: still owed, no failure
    probe ── Postponed ──→ displace → settle → probe → start      where memory allows the probe only then
    probe, settle … soak ── Enough ──→ what a failure would do, without one

A failure before `displace` owes nothing and ends the trial; any later one goes through `teardown`, then `restore`;
a failed teardown never keeps the service down; `restore` is left only when nothing is owed.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

from watcher.model.trial import Outcome, Stage

ORDER = tuple(Stage)
NEXT = dict(pairwise(ORDER))
BESIDE_THE_SERVICE = frozenset({Stage.PREFLIGHT, Stage.PULL, Stage.INSPECT, Stage.PROBE})
ENGINE_UP = frozenset({Stage.START, Stage.READY, Stage.ACCEPT, Stage.SOAK})
BEFORE_TEARDOWN = frozenset(ORDER[: ORDER.index(Stage.TEARDOWN)])


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a trial stands.

    Attributes:
        owed: services that were, or are about to be, stopped and were not seen running again.
        late_probe: the probe waits for the memory that the displaced service holds.
        outcome: None while everything went as planned; else what the first failure made of the trial.
        alarm: why a service is still down.
    """

    stage: Stage = Stage.PREFLIGHT
    owed: frozenset[str] = frozenset()
    displaced: bool = False
    late_probe: bool = False
    outcome: Outcome | None = None
    failed_stage: Stage | None = None
    reason: str = ""
    alarm: str = ""


@dataclass(frozen=True, slots=True)
class Passed:
    """The stage did what it should."""


@dataclass(frozen=True, slots=True)
class Postponed:
    """The probe has to wait until the displaced service gave its memory back."""


@dataclass(frozen=True, slots=True)
class Enough:
    """What was asked is known: nothing more is started."""


@dataclass(frozen=True, slots=True)
class Again:
    """The engine is started once more, with the next profile or as a repeat."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The engine works and stays, as a person asked: nothing is torn down, and what it displaced stays owed."""


@dataclass(frozen=True, slots=True)
class Displacing:
    """`services` are written down as owed and are about to be stopped."""

    services: frozenset[str]


@dataclass(frozen=True, slots=True)
class Restored:
    """`service` was seen running again."""

    service: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The trial cannot go on; `outcome` says whose failure it is (`verdict`: the candidate's)."""

    reason: str
    outcome: Outcome = Outcome.BENCH


Event = Passed | Postponed | Enough | Again | Kept | Displacing | Restored | Failed


class IllegalEvent(Exception):
    """The event cannot happen at this stage: a bug of ours."""

    def __init__(self, stage: Stage, event: Event) -> None:
        super().__init__(f"{type(event).__name__} cannot happen in stage {stage}")


def advance(progress: Progress, event: Event) -> Progress:
    """Return where the trial stands after `event`. Raises IllegalEvent."""
    match progress.stage, event:
        case Stage.DISPLACE, Displacing(services):  # recorded first, stopped second
            return replace(progress, owed=progress.owed | services, displaced=True)
        case Stage.PROBE, Postponed() if not progress.late_probe and not progress.displaced:
            return replace(progress, stage=Stage.DISPLACE, late_probe=True)
        case stage, Again() if stage in ENGINE_UP:
            return replace(progress, stage=Stage.START)
        case Stage.SOAK, Kept():
            return replace(progress, stage=Stage.RESTORE)
        case Stage.RESTORE, Restored(service):
            return replace(progress, owed=progress.owed - {service})
        case Stage.RESTORE, Passed() if not progress.owed:
            return replace(progress, stage=Stage.DONE, alarm="")
        case Stage.RESTORE, Failed(reason):  # stay here and call a human
            return replace(progress, alarm=reason)
        case Stage.TEARDOWN, Passed() | Failed():  # a failed teardown must not keep the service down
            return replace(progress, stage=Stage.RESTORE)
        case stage, Passed() if stage in BEFORE_TEARDOWN:
            return replace(progress, stage=_next(progress))
        case stage, Enough() if stage in BEFORE_TEARDOWN:
            return replace(progress, stage=_way_out(progress))
        case stage, Failed(reason, outcome) if stage in BEFORE_TEARDOWN:
            return replace(
                progress,
                stage=_way_out(progress),
                outcome=outcome,
                failed_stage=stage,
                reason=progress.reason or reason,
            )
        case stage, _:
            raise IllegalEvent(stage, event)


def _next(progress: Progress) -> Stage:
    if progress.late_probe and progress.stage is Stage.SETTLE:
        return Stage.PROBE
    if progress.late_probe and progress.stage is Stage.PROBE:
        return Stage.START
    return NEXT[progress.stage]


def _way_out(progress: Progress) -> Stage:
    beside = progress.stage in BESIDE_THE_SERVICE and not progress.displaced
    return Stage.DONE if beside else Stage.TEARDOWN
