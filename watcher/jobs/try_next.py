"""Try one candidate: take the lease, run the trial, keep each step, its verdict and the notice it makes."""

import gc
import shlex
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from watcher.config.engines import EngineSettings, Profile
from watcher.config.settings import Settings
from watcher.errors import HostError, StoreError
from watcher.host.lease import Lease
from watcher.jobs.announce import note_trial
from watcher.jobs.means import Means
from watcher.jobs.plan import is_quarantined
from watcher.jobs.prune import note_pulling, note_use, prune_images
from watcher.jobs.stage_pages import StagePages
from watcher.jobs.wheels import laying_of
from watcher.model.container import LocalImage
from watcher.model.trial import Candidate, Outcome, Stage, Trial
from watcher.model.verdict import StaticReading, StaticRecord
from watcher.planner.boot import gpu_failures
from watcher.planner.history import earlier_starts
from watcher.planner.versions import public
from watcher.store import candidates as candidate_store
from watcher.store import statics, trials
from watcher.trial.order import Order
from watcher.trial.runner import Runner
from watcher.trial.scoring import ScoreCommand

COLLECT_AFTER = 5_000
_STORE_PATIENCE = 30


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person, or the plan, wants of a trial; None takes the configuration's value."""

    candidate: Candidate
    engine: EngineSettings
    profiles: tuple[Profile, ...]
    by_hand: bool
    force: bool = False
    repeats: int | None = None
    soak: timedelta | None = None
    level: str | None = None
    keep: bool = False
    window_ends: datetime | None = None


def try_candidate(means: Means, wish: Wish) -> tuple[Trial, bool]:
    """Run the trial and return it with whether a person or `restore` ended it.

    Raises LeaseHeld when another process runs one, and StoreError when the end of the trial could not be written
    down (the services are back all the same).
    """
    host = means.host
    if host is None:
        raise HostError("there is no container engine to try anything on; set device.docker")
    _collect_garbage_again()
    with Lease(means.data_dir):
        trial = _opened(means, wish)
        order = _order(means, wish, trial)
        with StagePages(means) as pages:
            notebook = StoredNotebook(means, wish.candidate, pages)
            runner = Runner(order, host, means.clock, notebook, means.display)
            trial = runner.run(trial)
        means.display.stage(Stage.DONE, "telling what came out", None)
        if runner.unrecorded is not None:
            _insist(means, notebook, trial)
        try:
            prune_images(means)
        except StoreError as error:  # the trial is written down; what is left over is pruned after the next one
            means.say(f"old candidate images stay for now: {error}")
    if runner.bug_of_ours is not None:
        raise runner.bug_of_ours
    return trial, runner.interrupted


def refuse_candidate(means: Means, wish: Wish, reason: str) -> Trial:
    """Write down a trial that was refused before anything was touched, and return it."""
    now = means.clock.now()
    refused = Trial(
        candidate=wish.candidate,
        device_state=means.device().state,
        bug_id=means.settings.bug.id,
        started_at=now,
        finished_at=now,
        stage=Stage.DONE,
        outcome=Outcome.REFUSED,
        failed_stage=Stage.PREFLIGHT,
        reason=reason,
        by_hand=wish.by_hand,
        setup=wish.engine.setup,
    )
    with means.store.transaction() as tx:
        (candidate,) = candidate_store.upsert_candidates(tx, (wish.candidate,))
        return trials.new_trial(tx, replace(refused, candidate=candidate))


def _collect_garbage_again() -> None:
    """End what the program's start put off: a trial takes minutes, and what it leaves lying is memory of the model."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)


def _opened(means: Means, wish: Wish) -> Trial:
    device = means.device()
    trial = Trial(
        candidate=wish.candidate,
        device_state=device.state,
        bug_id=means.settings.bug.id,
        started_at=means.clock.now(),
        by_hand=wish.by_hand,
        setup=wish.engine.setup,
    )
    (means.data_dir / "cancel").unlink(missing_ok=True)
    with means.store.transaction() as tx:
        (candidate,) = candidate_store.upsert_candidates(tx, (wish.candidate,))
        return trials.new_trial(tx, replace(trial, candidate=candidate))


def _order(means: Means, wish: Wish, trial: Trial) -> Order:
    settings = means.settings
    with means.store.reading() as tx:
        quarantined = is_quarantined(tx, trial.device_state.boot_id)
        before, here = trials.started_before(tx, trial), trials.on_boot(tx, trial.device_state.boot_id)
    policy = settings.trial.bring_up
    laying = laying_of(means, wish.candidate.overlay) if wish.candidate.overlay else None
    return Order(
        candidate=wish.candidate,
        engine=wish.engine,
        profiles=wish.profiles,
        bug=settings.bug,
        trial=settings.trial,
        device=settings.device,
        data_dir=means.data_dir,
        repeats=wish.repeats or settings.trial.repeats,
        ask_bring_up=laying is None and (wish.by_hand or policy != "by-hand"),
        unless_present=policy == "unless-present",
        force=wish.force,
        quarantined=quarantined,
        gpu_failures=gpu_failures(here, trial.device_state.boot_id),
        earlier=earlier_starts(before, trial, settings.bug.failure_class),
        soak=settings.acceptance.soak if wish.soak is None else wish.soak,
        level=wish.level or settings.acceptance.level,
        suite=settings.suite,
        score_command=_score_command(settings),
        keep=wish.keep,
        must_end_by=wish.window_ends,
        laying=laying,
        control=settings.bug_section.control,
    )


def _score_command(settings: Settings) -> ScoreCommand | None:
    """Return the operator's command; it runs beside the configuration file, where relative paths begin."""
    asked = settings.acceptance
    if asked.command is None:
        return None
    folder = settings.origin.parent if settings.origin else Path.cwd()
    return ScoreCommand(tuple(shlex.split(asked.command)), asked.score, folder)


@dataclass(frozen=True, slots=True)
class StoredNotebook:
    """Keeps a trial's steps in the database; with the last step goes the notice, in one transaction."""

    means: Means
    candidate: Candidate
    pages: StagePages

    def step(self, trial: Trial) -> None:
        with self.means.store.transaction() as tx:
            now = self.means.clock.now()
            trials.record_trial(tx, trial, now)
            if trial.outcome is not None and trial.stage in (Stage.DONE, Stage.RESTORE):
                note_trial(tx, trial, now)
        self.pages.turn()

    def pulling(self, reference: str, there: frozenset[str]) -> None:
        note_pulling(self.means, reference, there)

    def pulled(self, image: LocalImage) -> None:
        note_use(self.means, image)

    def read(self, reading: StaticReading) -> None:
        candidate, now = self.candidate, self.means.clock.now()
        digest = candidate.digest or f"name:{candidate.image}"
        record = StaticRecord(candidate.source, candidate.engine, candidate.image, reading.torch, digest, reading, now)
        if (laid := candidate.overlay) is not None:
            record = StaticRecord(
                laid.source, laid.component, laid.name, public(laid.version), laid.digest, reading, now
            )
        with self.means.store.transaction() as tx:
            statics.save_static(tx, record)

    def is_withdrawn(self) -> bool:
        return (self.means.data_dir / "cancel").exists()


def _insist(means: Means, notebook: StoredNotebook, trial: Trial) -> None:
    """Write the end of the trial once the database can be written again; give up, loudly, after half a minute."""
    ends = means.clock.monotonic() + _STORE_PATIENCE
    while True:
        try:
            return notebook.step(trial)
        except StoreError as error:
            if means.clock.monotonic() >= ends:
                raise
            means.say(f"the end of trial {trial.id} is not written yet: {error}")
            means.clock.sleep(2)
