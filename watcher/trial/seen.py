"""What a running trial has seen so far, and the record that is made of it."""

from dataclasses import dataclass, field, replace

from watcher.config.bugs import BugSettings
from watcher.config.engines import EngineSettings, Profile
from watcher.model.container import Debt, KeptEngine, LocalImage, OwedService
from watcher.model.trial import Acceptance, Outcome, Start, Trial
from watcher.model.verdict import (
    BugState,
    EarlierStarts,
    Evidence,
    FailureClass,
    ProbeReading,
    Rung,
    StaticReading,
    Verdict,
)
from watcher.planner.boot import confirmation, doubt
from watcher.trial.machine import Progress
from watcher.verdict.judge import Rungs, StartSeen, bring_up_of, failure_of, judge
from watcher.verdict.signatures import VERSION


@dataclass(slots=True)
class Seen:
    """Gathered by the stages, in their order.

    `gpu_failures` is how many starts failed on this boot before, in a way that may leave memory mapped; `earlier` what
    starts in earlier trials showed of the bug.
    `away_seconds` runs from the stop until all were seen running again; `stopping` was told to stop, and is not known
    to have stopped yet. `pulling` is the last line of a pull that is under way, or that failed.
    """

    bug: BugSettings
    pulling: str | None = None
    image: LocalImage | None = None
    static: StaticReading | None = None
    probe: ProbeReading | None = None
    services: tuple[OwedService, ...] = ()
    debt: Debt | None = None
    kept: KeptEngine | None = None
    starts: list[StartSeen] = field(default_factory=list)
    logs: list[str | None] = field(default_factory=list)
    extra: list[Evidence] = field(default_factory=list)
    gpu_failures: int = 0
    earlier: tuple[EarlierStarts, ...] = ()
    acceptance: Acceptance | None = None
    left_out: bool = False
    stopped_at: float | None = None
    stopping: OwedService | None = None
    away_seconds: float | None = None

    def verdict(self, content: str = "") -> Verdict:
        """Return the verdict as things stand; `content` is the candidate's fingerprint."""
        return judge(
            Rungs(
                static=self.static,
                probe=self.probe,
                starts=tuple(self.starts),
                bug=self.bug,
                skipped_because_present=self.left_out,
                earlier=self.earlier,
                content=content,
            )
        )

    @property
    def is_present(self) -> bool:
        """Return whether what was read and probed already shows the bug."""
        return self.verdict().bug is BugState.PRESENT


def outcome_of(progress: Progress, verdict: Verdict) -> Outcome:
    """Return what became of a trial that has ended."""
    if progress.outcome not in (None, Outcome.VERDICT):
        return progress.outcome
    return Outcome.BENCH if verdict.bench else Outcome.VERDICT


def as_record(trial: Trial, progress: Progress, seen: Seen) -> Trial:
    """Return the trial as it stands, without an outcome."""
    return replace(
        trial,
        stage=progress.stage,
        failed_stage=progress.failed_stage,
        displaced=tuple(owed.service for owed in seen.services) if progress.displaced else (),
        away_seconds=seen.away_seconds,
        acceptance=seen.acceptance,
        reason=progress.reason,
    )


def with_verdict(trial: Trial, progress: Progress, seen: Seen) -> Trial:
    """Return the ended trial with its outcome and, where the bench did not fail, its two answers."""
    verdict = seen.verdict(trial.candidate.fingerprint)
    outcome = outcome_of(progress, verdict)
    ended = replace(
        trial,
        outcome=outcome,
        starts=start_records(seen),
        basis=verdict.basis,
        signatures=VERSION,
        probe=seen.probe,
    )
    evidence = tuple(dict.fromkeys((*verdict.evidence, *seen.extra)))  # several starts say the same thing once
    if outcome is not Outcome.VERDICT:
        reason = progress.reason or verdict.reason
        return replace(ended, reason=reason, evidence=evidence, failure_class=_bench_class(outcome, verdict, seen))
    ended = replace(
        ended,
        bug=verdict.bug,
        bring_up=verdict.bring_up,
        failure_class=verdict.failure_class,
        reason=verdict.reason,
        evidence=evidence,
        deciding_start=verdict.deciding_start,
    )
    weak = doubt(ended, seen.gpu_failures)
    if weak is None:
        return ended
    return replace(ended, reason=f"{ended.reason} {weak} To confirm: {confirmation(ended.candidate.image)}.")


def _bench_class(outcome: Outcome, verdict: Verdict, seen: Seen) -> FailureClass | None:
    """Return the class of a failure that is ours, where one of the table's says it."""
    if outcome is Outcome.BENCH and seen.pulling is not None:
        return FailureClass.NETWORK_PULL
    return verdict.failure_class if verdict.bench else None


def start_records(seen: Seen) -> tuple[Start, ...]:
    return tuple(
        Start(
            profile=start.profile,
            stage=start.stage,
            bring_up=bring_up_of(start),
            failure_class=failure_of(start, seen.bug),
            exit_code=start.exit_code,
            log=log,
        )
        for start, log in zip(seen.starts, seen.logs, strict=True)
    )


def seen_in_acceptance(text: str) -> Evidence:
    return Evidence(Rung.ACCEPTANCE, text)


def seen_of_device(text: str) -> Evidence:
    return Evidence(Rung.BRING_UP, text)


def remarks_on(engine: EngineSettings, asks_several: bool) -> tuple[Evidence, ...]:
    """Return what a reader of the report should know of an engine, whatever came out."""
    told = []
    if engine.experimental:
        told.append(f"{engine.title} is experimental: little is known of it on a Jetson")
    if engine.multi_model and not asks_several:
        told.append(f"{engine.title} can hold several models at once; one was tried")
    return tuple(Evidence(Rung.BRING_UP, text) for text in told)


def allowed_beyond(profile: Profile) -> tuple[Evidence, ...]:
    """Return what the profile loosened, so that the report shows it."""
    if not profile.allow:
        return ()
    return (Evidence(Rung.BRING_UP, f"profile {profile.name} ran with {', '.join(profile.allow)} allowed"),)
