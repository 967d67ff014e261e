"""Drives one trial: asks the machine where it stands, has the stage's effect, writes down the step, gives back.

What may die where: before `displace` nothing is owed; from then on the owed file says what is, so that a killed
program leaves nothing that `watcher restore`, the next start, or Docker itself cannot put right.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from watcher.errors import HostError, Refused, StoreError, WatcherError
from watcher.host.kept import kept_out
from watcher.host.owed import clear_debt, write_debt
from watcher.model.container import Debt, OwedService
from watcher.model.trial import Outcome, Stage, Trial
from watcher.ports import Clock, Display, Host
from watcher.trial.control_run import ControlRun
from watcher.trial.doing import doing
from watcher.trial.figures import Figures
from watcher.trial.interrupts import DeadlinePassed, Interrupted, Interrupts
from watcher.trial.ladder import lacking
from watcher.trial.machine import Enough, Event, Failed, Passed, Progress, Restored, advance
from watcher.trial.notebook import Notebook
from watcher.trial.order import Order
from watcher.trial.restoring import WayBack
from watcher.trial.seen import Seen, as_record, seen_in_acceptance, with_verdict
from watcher.trial.stages import ServiceBack, Stages, Withdrawn
from watcher.trial.stretching import Stretch

_OWN_DEADLINES = {Stage.PREFLIGHT: 60.0}


@dataclass(slots=True)
class Runner:
    """Runs one trial to its end. `interrupted` tells the caller to exit 130."""

    order: Order
    host: Host
    clock: Clock
    notebook: Notebook
    display: Display
    interrupted: bool = False
    unrecorded: StoreError | None = None
    bug_of_ours: Exception | None = None
    _progress: Progress = field(default_factory=Progress)
    _left_behind: bool = False

    def run(self, trial: Trial) -> Trial:
        """Return the trial as it ended. What is still owed then is in `owed`, and in the owed file."""
        seen = Seen(self.order.bug, gpu_failures=self.order.gpu_failures, earlier=self.order.earlier)
        figures = Figures(self.order, self.clock, seen, self.display)
        control = ControlRun(self.order, self.host, seen, self.display)
        stretch = Stretch(self.order, self.host, self.clock, seen, self.display)
        stages = Stages(
            self.order, trial, self.host, self.clock, seen, self.notebook, self.display, figures, control, stretch
        )
        way_back = WayBack(self.host, self.clock)
        with Interrupts() as interrupts:
            try:
                self._drive(stages, interrupts, way_back)
            except Exception as error:  # noqa: BLE001  a bug of ours: the way back comes first, the caller raises it then
                self._derail(error)
            trial = self._judged(seen, stages)
            if not self._is_left_running(trial, seen, interrupts):
                self._give_back(way_back, trial, seen)
            self.interrupted = self.interrupted or interrupts.noted
        return self._closed(trial, seen, way_back)

    def _drive(self, stages: Stages, interrupts: Interrupts, way_back: WayBack) -> None:
        """Go from stage to stage until only the way back is left, or nothing."""
        while self._progress.stage not in (Stage.DONE, Stage.RESTORE):
            event = self._stepped(stages, interrupts)
            if isinstance(event, Failed) and stages.seen.stopped_at is not None:
                self._first_things_first(way_back, stages.seen, event)
            self._progress = advance(self._progress, event)

    def _derail(self, error: Exception) -> None:
        self.bug_of_ours = error
        stage = Stage.RESTORE if self._progress.displaced else Stage.DONE
        reason = f"an error of the watcher itself: {type(error).__name__}: {error}"
        self._progress = replace(self._progress, stage=stage, outcome=Outcome.BENCH, reason=reason)
        self._kill_engine()

    def _stepped(self, stages: Stages, interrupts: Interrupts) -> Event:
        """Record the stage, then have its effect; whatever goes wrong becomes an event."""
        stage = self._progress.stage
        lost = self._recorded(as_record(stages.trial, self._progress, stages.seen))
        if lost is not None and stage is not Stage.TEARDOWN:  # the way back is gone without a record, too
            return Failed(str(lost))
        if stage is Stage.DISPLACE and not self._progress.displaced:
            interrupts.start_total(self.order.longest.total_seconds())
        return self._attempted(stages, interrupts, stage, lambda: self._effect(stages, stage, interrupts))

    def _attempted(
        self,
        stages: Stages,
        interrupts: Interrupts,
        stage: Stage,
        effect: Callable[[], Event],
        late: DeadlinePassed | None = None,
    ) -> Event:
        """Have an effect in the time of its stage; what follows when that is over (`late`) has the teardown's."""
        shown = Stage.TEARDOWN if late else stage
        seconds = self._seconds(shown)
        self._show(stages, shown, max(0, interrupts.at_most(seconds)))
        try:
            with interrupts.deadline(seconds):
                return effect()
        except Interrupted:
            self.interrupted = True
            return self._torn_down(stages) if stage is Stage.TEARDOWN else Failed("interrupted", Outcome.CANCELLED)
        except Withdrawn:
            return self._withdrawn(stage)
        except DeadlinePassed as rung:
            if stage is Stage.TEARDOWN:
                return self._torn_down(stages)
            if stages.stretch.is_under_way:
                return stages.stretch.give_up(str(rung))
            if rung.whole_trial and stages.figures.measuring is not None:
                return Enough()  # the engine works, and only figures are missing
            if late is not None:
                return Failed(f"{late} in stage {stage}")
            first = rung
            return self._attempted(stages, interrupts, stage, lambda: self._late(stages, stage, first), late=rung)
        except ServiceBack as back:
            return self._ended(stage, Failed(f"{back} runs again; the trial gave way"))
        except Refused as refused:
            if stages.stretch.is_under_way and stage is not Stage.TEARDOWN:
                return stages.stretch.give_up(str(refused))
            stages.trial = replace(stages.trial, retry_at=refused.retry_at)
            return self._ended(stage, Failed(str(refused), Outcome.REFUSED))
        except WatcherError as error:
            if self.notebook.is_withdrawn():  # it broke because `restore` took the container away
                return self._withdrawn(stage)
            if stages.stretch.is_under_way and stage is not Stage.TEARDOWN:
                return stages.stretch.give_up(str(error))
            return self._ended(stage, Failed(str(error)))
        except Exception as error:  # noqa: BLE001  a bug of ours: the way back comes first, the caller raises it then
            self.bug_of_ours = error
            return self._ended(stage, Failed(f"an error of the watcher itself: {type(error).__name__}: {error}"))

    def _show(self, stages: Stages, stage: Stage, seconds: float) -> None:
        running, services = stages.running, stages.seen.services
        self.display.stage(
            stage, doing(stage, self.order, services, running.seen.profile if running else None), seconds
        )

    def _withdrawn(self, stage: Stage) -> Event:
        self.interrupted = True
        return self._ended(stage, Failed("ended by watcher restore", Outcome.CANCELLED))

    def _ended(self, stage: Stage, event: Failed) -> Event:
        """A failed teardown is no failure of the trial: the way back begins all the same."""
        self._left_behind = stage is Stage.TEARDOWN
        return Passed() if self._left_behind else event

    def _effect(self, stages: Stages, stage: Stage, interrupts: Interrupts) -> Event:
        if stage is not Stage.TEARDOWN and self.notebook.is_withdrawn():
            raise Withdrawn
        if stage is Stage.PROBE:
            return stages.probe(already_waited=self._progress.late_probe)
        if stage is Stage.DISPLACE:
            return stages.displace(already_named=self._progress.displaced)
        if stage is Stage.ACCEPT:  # the soak comes after it, in the same total
            left = interrupts.total_left - self.order.soak.total_seconds()
            return stages.accept(min(self._seconds(stage), left))
        effect: Callable[[], Event] = getattr(stages, stage.value)
        return effect()

    def _late(self, stages: Stages, stage: Stage, rung: DeadlinePassed) -> Event:
        """Return what a deadline means: in `ready` and `accept` the candidate's fault, elsewhere the bench's."""
        if stage is Stage.PROBE and not rung.whole_trial:
            return stages.probe_hung()
        if stage is Stage.PULL and not rung.whole_trial:
            return stages.not_pulled()
        if stage is Stage.SETTLE and not rung.whole_trial:
            return stages.not_settled()
        if stage is Stage.ACCEPT and stages.figures.measuring is not None and stages.running is not None:
            return stages.cut_off()
        if stage in (Stage.READY, Stage.ACCEPT) and stages.running is not None and not rung.whole_trial:
            return stages.over(f"the engine did not pass the stage {stage} in time", deadline_passed=True)
        return Failed(f"{rung} in stage {stage}")

    def _seconds(self, stage: Stage) -> float:
        if stage is Stage.SOAK:
            asked = self.order.trial.timeouts.accept if self.order.level == "stretch" else timedelta(0)
            return (self.order.soak + asked).total_seconds() + 60
        if stage in _OWN_DEADLINES:
            return _OWN_DEADLINES[stage]
        seconds: float = getattr(self.order.trial.timeouts, stage.value).total_seconds()
        return seconds

    def _first_things_first(self, way_back: WayBack, seen: Seen, event: Failed) -> None:
        """Kill the trial container and start what is owed at once, unless only the candidate failed."""
        if event.outcome is Outcome.VERDICT:
            return
        self._kill_engine()
        self._start_owed(way_back, seen)

    @staticmethod
    def _start_owed(way_back: WayBack, seen: Seen) -> None:
        if seen.stopping is not None and way_back.has_ended(seen.stopping):
            seen.stopping = None
        way_back.start_all(seen.services)

    def _torn_down(self, stages: Stages) -> Event:
        """End the engine without its time to end well; what it had shown before stays seen."""
        self._kill_engine()
        try:
            stages.close_start()
        except HostError as error:
            self.display.say(f"the end of the engine was not seen: {error}")
        return Passed()

    def _kill_engine(self) -> None:
        try:
            self.host.remove_trial()
        except HostError as error:
            self.display.say(f"the trial container could not be removed yet: {error}")

    # --- the end --------------------------------------------------------------------------------------------------

    def _judged(self, seen: Seen, stages: Stages) -> Trial:
        """Return the record with its verdict: known, and written down, before the wait for health begins."""
        record = as_record(stages.trial, self._progress, seen)
        try:
            if seen.acceptance is not None:
                open_lines = lacking(seen.acceptance, self.order.level)
                seen.extra.extend(seen_in_acceptance(f"level {self.order.level}: {line}") for line in open_lines)
            return with_verdict(record, self._progress, seen)
        except Exception as error:  # noqa: BLE001  see above
            self.bug_of_ours = error
            return replace(record, outcome=Outcome.BENCH, reason=f"an error of the watcher itself: {error}")

    def _is_left_running(self, trial: Trial, seen: Seen, interrupts: Interrupts) -> bool:
        """Return whether the engine stays in place of what it displaced; that is written down, verdict first."""
        if seen.kept is None:
            return False
        owed = seen.debt or Debt(trial.id, self.host.docker_url, self.clock.now(), seen.services)
        try:
            if self._recorded(trial) is None and not interrupts.noted and not self.notebook.is_withdrawn():
                write_debt(self.order.data_dir / "owed", replace(owed, kept=seen.kept))
                self.display.say(f"{seen.kept.title} is kept running at {seen.kept.address}; `watcher restore` ends it")
                return True
        except HostError as error:
            self.display.say(f"the engine is not kept: {error}")
        seen.kept = None
        self._kill_engine()
        return False

    def _give_back(self, way_back: WayBack, trial: Trial, seen: Seen) -> None:
        """Start what is owed, wait until it stands as before, drop the owed file: nothing interrupts this."""
        if self._progress.stage is not Stage.RESTORE:
            if self._progress.outcome not in (None, Outcome.REFUSED):
                self._kill_engine()  # the probe's container, if its removal was torn apart
            return
        seconds = self._seconds(Stage.RESTORE)
        self.display.stage(Stage.RESTORE, doing(Stage.RESTORE, self.order, seen.services, None), seconds)
        self._recorded(trial)
        for owed in seen.services:
            self.display.say(f"starting {owed.service} again")
        self._start_owed(way_back, seen)
        if seen.stopping is not None:
            way_back.let_end(seen.stopping)
        left = way_back.wait_for(seen.services, seconds, self._paid)
        if seen.stopped_at is not None:
            seen.away_seconds = round(self.clock.monotonic() - seen.stopped_at, 1)
        if self._left_behind or self._progress.outcome is not None:
            self._kill_engine()  # what was ordered as the trial was cut off may have come to be only now
        if left:
            down = "; ".join(way_back.reports[owed.service].message or owed.service for owed in left)
            self._progress = advance(self._progress, Failed(down))
            return
        try:
            clear_debt(self.order.data_dir / "owed", trial.id)
        except HostError as error:  # paid all the same: whoever reads the file next sees that the service runs
            self.display.say(str(error))
        self._progress = advance(self._progress, Passed())

    def _paid(self, owed: OwedService) -> None:
        self.display.say(f"{owed.service} is back")
        self._progress = advance(self._progress, Restored(owed.service))

    def _closed(self, trial: Trial, seen: Seen, way_back: WayBack) -> Trial:
        owed = tuple(way_back.reports[name] for name in sorted(self._progress.owed) if name in way_back.reports)
        if seen.kept is not None:
            owed = tuple(kept_out(one.service, seen.kept) for one in seen.services)
        remarks = self._remarks(way_back)
        trial = replace(
            trial,
            stage=self._progress.stage,
            reason="; ".join((trial.reason.removesuffix("."), *remarks)) if remarks else trial.reason,
            away_seconds=seen.away_seconds,
            owed=owed,
            finished_at=self.clock.now() if self._progress.stage is Stage.DONE else None,
        )
        self._recorded(trial)
        return trial

    def _remarks(self, way_back: WayBack) -> list[str]:
        """Return what is to be said of services that are back: who replaced one, that it was made again, or was ill."""
        back = (report for name, report in sorted(way_back.reports.items()) if name not in self._progress.owed)
        return [f"{report.service}: {report.message}" for report in back if report.message]

    def _recorded(self, trial: Trial) -> StoreError | None:
        """Write the step down; a database that cannot be written ends the trial early, never the way back."""
        self.unrecorded = None
        try:
            self.notebook.step(trial)
        except StoreError as error:
            self.unrecorded = error
        except Exception as error:  # noqa: BLE001  see above
            self.bug_of_ours = error
            self.unrecorded = StoreError("the step could not be written down", error=f"{type(error).__name__}: {error}")
        return self.unrecorded
