"""The effects of a trial, one method per stage up to the engine's end. Each returns what the machine is told."""

from dataclasses import dataclass, replace
from datetime import timedelta

from watcher.artifacts.inspect import read_static
from watcher.errors import CannotStart, HostError, Refused, SourceUnavailable
from watcher.model.container import KeptEngine, LocalImage
from watcher.model.trial import Outcome, Stage, Trial
from watcher.model.verdict import BugState, ProbeReading
from watcher.planner.candidates import fingerprint
from watcher.ports import Clock, Display, Host
from watcher.trial.control_run import ControlRun
from watcher.trial.dialects import dialect_of
from watcher.trial.displacing import WayThere
from watcher.trial.engine_log import EngineLog, read_log
from watcher.trial.exchange import EngineClient
from watcher.trial.fetching import Fetching
from watcher.trial.figures import Figures
from watcher.trial.ladder import reached_level
from watcher.trial.machine import Again, Enough, Event, Failed, Kept, Passed, Postponed
from watcher.trial.notebook import Notebook
from watcher.trial.order import Order, engine_spec
from watcher.trial.overlaying import Laying
from watcher.trial.probe_run import ProbeRun
from watcher.trial.running import Running
from watcher.trial.seen import Seen, allowed_beyond, remarks_on, seen_in_acceptance
from watcher.trial.stretching import Stretch
from watcher.trial.surroundings import Surroundings
from watcher.trial.watching import Watching
from watcher.verdict.judge import StartSeen, may_another_profile_help
from watcher.verdict.scan import scan

FREEING_MEMORY = timedelta(hours=1)
_READY_PAUSES = (0.1, 1.0)
_PAUSE_SHARE = 0.03
"""An engine is kept waiting for so much of its own time to get ready, within those bounds in seconds."""
_WELL_PAUSE = 0.5
_FIGURES_SHARE = 0.8
"""Of the time of `accept`: what is left is for an answer that is late, so that figures never cost a verdict."""
_GONE = "the trial container is gone: somebody removed it"


class ServiceBack(Exception):
    """A displaced service runs again by somebody else's hand: the trial gives way."""


class Withdrawn(Exception):
    """`watcher restore` asked the trial to end."""


@dataclass(slots=True)
class Stages:
    """What the runner calls. Holds no decision of its own: those are in `machine` and `judge`."""

    order: Order
    trial: Trial
    host: Host
    clock: Clock
    seen: Seen
    notebook: Notebook
    display: Display
    figures: Figures
    control: ControlRun
    stretch: Stretch
    running: Running | None = None
    client: EngineClient | None = None
    next_start: int = 0
    probe_run: ProbeRun | None = None

    # --- beside the running service -------------------------------------------------------------------------------

    def preflight(self) -> Event:
        """Refuse what cannot go well, before anything is spent."""
        look = Surroundings(self.order, self.host, self.clock)
        self.seen.services, unstoppable = look.services_or_refusals()
        look.refuse(self.seen.services, unstoppable)
        if others := look.known(self.seen.services).others:
            self.display.say(f"not displaced, but may use the GPU: {', '.join(others)}")
        return Passed()

    def pull(self) -> Event:
        """Fetch the candidate by its digest, and the wheel that is laid over it."""
        fetching = Fetching(self.host, self.notebook, self.seen, self.display, self._give_way)
        deadline = self.clock.monotonic() + self.order.trial.timeouts.pull.total_seconds()
        image = fetching.image(self.order.candidate.image, self.order.candidate.digest, deadline)
        if image.architecture != self.order.device.architecture:
            reason = f"the image is for {image.architecture}, this device is {self.order.device.architecture}"
            return Failed(reason, Outcome.REFUSED)
        self.seen.image = image
        if self.order.candidate.digest is None:  # named by hand by a tag: from now on its content names it
            digest = image.digest or image.id
            named = replace(self.trial.candidate, digest=digest, fingerprint=fingerprint(digest))
            self.trial = replace(self.trial, candidate=named)
        if self.order.laying is not None:
            self._fetch_wheel(fetching, self.order.laying)
        self.control.fetch(fetching, deadline)
        if self.control.image is not None:
            self.notebook.pulled(image)  # once more: of the two it is the current one
        return Passed()

    def _fetch_wheel(self, fetching: Fetching, laying: Laying) -> None:
        try:
            fetching.wheel(laying, self.clock.now())
        except SourceUnavailable as error:
            if error.retry_after is not None:
                self.trial = replace(self.trial, retry_at=self.clock.now() + error.retry_after)
            raise

    def not_pulled(self) -> Event:
        """Give up on an image that was not there at the deadline; the control is done without."""
        if self.control.gives_up():
            return Passed()
        return Failed(f"it was not fetched in time; the last that was seen: {self.seen.pulling or 'it was there'}")

    def inspect(self) -> Event:
        image, laying = self._image(), self.order.laying
        if laying is not None:
            self.display.say(f"reading {laying.overlay.name}")
            self.seen.static = laying.read(self.order.bug)
        else:
            self.display.say(f"reading {self.order.bug.component} in {image.reference}")
            self.seen.static = read_static(self.host.open_image(image), self.order.bug)
        self.notebook.read(self.seen.static)
        return Passed()

    def probe(self, already_waited: bool) -> Event:
        """Run the probe, in the candidate's own container; put it off while memory is short."""
        if self.order.bug.probe is None or not self.order.engine.carries_torch:
            return self._enough() or Passed()
        available = self.host.facts().memory_available
        short = available is not None and available < self.order.trial.preflight.probe_memory
        if short and not already_waited and self.seen.services and self._asks_bring_up():
            return Postponed()
        if short and self.order.laying is not None and not self.order.force:
            raise Refused(
                "there is too little memory to probe beside what runs",
                retry_at=self.clock.now() + FREEING_MEMORY,
                available=available,
                needed=self.order.trial.preflight.probe_memory,
            )
        self.probe_run = ProbeRun(self.order, self.host)
        self.seen.probe = self.probe_run.read(self._image(), self.trial.id, self.seen.extra)
        self.control.look(self.trial.id, self._asks_bring_up())
        return self._enough() or Passed()

    def probe_hung(self) -> Event:
        """Go on without the probe's answer: one that does not end says nothing about the bug."""
        if self.probe_run is None or not self.probe_run.started:
            return Failed("the probe could not be started in time")
        if self.seen.probe is None:
            self.seen.probe = ProbeReading(BugState.UNKNOWN, trap_set=False, reason="the probe did not end in time")
        return self._enough() or Passed()

    def _asks_bring_up(self) -> bool:
        return self.order.ask_bring_up and not (self.order.unless_present and self.seen.is_present)

    def _enough(self) -> Event | None:
        if self._asks_bring_up():
            return None
        self.seen.left_out = self.seen.is_present and self.order.laying is None
        return Enough()

    # --- the service is away --------------------------------------------------------------------------------------

    def displace(self, already_named: bool) -> Event:
        """Name what is owed, in the journal and then in the owed file; only the next call stops it."""
        way_there = self._way_there()
        return way_there.stop(self.trial.id) if already_named else way_there.name()

    def settle(self) -> Event:
        return self._way_there().settle(self._give_way)

    def not_settled(self) -> Event:
        return self._way_there().not_settled()

    def _way_there(self) -> WayThere:
        return WayThere(self.order, self.host, self.clock, self.seen, self.display)

    def start(self) -> Event:
        if not self.stretch.is_under_way:  # else the one that worked is started once more
            self.next_start += 1
        profile, number = self.order.planned_starts[self.next_start - 1], len(self.seen.starts)
        asks_several = self.order.level == "stretch"
        self.seen.extra += (*remarks_on(self.order.engine, asks_several), *allowed_beyond(profile))
        log_name = f"logs/trial-{self.trial.id}/start-{number}.log.gz"
        seen = StartSeen(
            profile=profile.name,
            tools_asked=profile.tools,
            stage=Stage.START,
            writes_to_disk="writable-root" in profile.allow
            or any(not mount.read_only for mount in self.order.engine.parsed_mounts()),
        )
        self.display.say(f"starting {self.order.engine.title} with profile {profile.name}")
        self._give_way()
        try:
            container = self.host.start(engine_spec(self.order, profile, self._image().id, self.trial.id))
        except CannotStart as error:
            self.seen.starts.append(replace(seen, cannot_execute=str(error)))
            self.seen.logs.append(None)
            return self._failed(f"the engine cannot be executed: {error.message}")
        log = EngineLog(self.order.data_dir / log_name, self.host.follow(container), self.display.engine_log)
        self.running = Running(container, log.start(), log_name, replace(seen, stage=Stage.READY))
        return Passed()

    def ready(self) -> Event:
        """Wait until the engine is healthy, its container ends, or the deadline rings."""
        running = self._started()
        engine = self.order.engine.with_model_of(self.order.planned_starts[self.next_start - 1])
        address = self.host.address(running.container, engine.port)
        self.client = EngineClient(address, engine.asked_name, engine.health_path, dialect_of(engine.api))
        begun, (least, most) = self.clock.monotonic(), _READY_PAUSES
        while not self.client.is_well():
            self._give_way()
            if self._has_ended(running):
                return self.over("the engine ended before it was ready")
            self.clock.sleep(min(most, max(least, _PAUSE_SHARE * (self.clock.monotonic() - begun))))
        running.seen = replace(running.seen, became_ready=True, stage=Stage.ACCEPT)
        return Passed()

    def accept(self, seconds: float) -> Event:
        """Ask what decides whether the engine works; then, in most of the `seconds` of this stage, take the figures."""
        until = self.clock.monotonic() + _FIGURES_SHARE * seconds
        running, client = self._started(), self._client()
        if self.stretch.is_under_way:
            return Passed() if self.stretch.came_back(running, client) else Enough()
        if (failure := running.answers(client, self.seen)) is not None:
            return self.over(failure)
        if self.order.ends_a_profile(self.next_start):
            taken = self.figures.take(client, running.seen.tools_asked, until, self._give_way, self._still_well)
            if taken is not None:
                return taken
        running.keep_metrics(client)
        return self._still_well() or Passed()

    def cut_off(self) -> Event:
        """Go on without the figures that were not taken in time: they decide nothing."""
        self.figures.measuring = None
        self._started().keep_metrics(self._client())
        return self._still_well() or Passed()

    def soak(self) -> Event:
        """Watch the engine for as long as was asked; it counts from readiness on."""
        running = self._started()
        running.seen = replace(running.seen, stage=Stage.SOAK)
        if self.stretch.is_under_way:
            return self._last()
        if self.order.soak and self.order.ends_a_profile(self.next_start):
            watching = Watching(self.host, running.container, self.order.engine.memory, self.clock, self.order.soak)
            if (dead := watching.to_its_end(self._give_way, self._still_well)) is not None:
                return dead
            if self.seen.acceptance:
                steady = watching.measured(self.seen.acceptance)
                self.seen.acceptance = replace(steady, level=reached_level(steady))
                self.seen.extra += map(seen_in_acceptance, watching.told())
        return self._after_start(works=True) or self._stretched() or self._last()

    def _stretched(self) -> Event | None:
        """Return Again where the engine was ended to be started once more; None where no more is asked of it."""
        if not self.stretch.is_due:
            return None
        self.stretch.begin(self._started(), self._client())
        self.close_start()
        return Again()

    def _last(self) -> Event:
        return self._keep() if self.order.keep else Passed()

    def _keep(self) -> Event:
        """Close the books of the engine that works, and leave it running; its log is judged as far as it came."""
        running = self._started()
        address = self.host.address(running.container, self.order.engine.port)
        self.seen.starts.append(replace(running.seen, reading=scan(read_log(running.log.path)), ended_by_us=True))
        self.seen.logs.append(running.log_name)
        self.seen.kept = KeptEngine(running.container, self.order.engine.title, address)
        self.running = None
        return Kept()

    def _still_well(self) -> Event | None:
        """Return None while the engine answers, else its end: health and the container decide, never the exit code."""
        running, client = self._started(), self._client()
        ends = self.clock.monotonic() + self.order.engine.health_grace.total_seconds()
        while not client.is_well():
            if self._has_ended(running) or self.clock.monotonic() >= ends:
                running.seen = replace(running.seen, died_after_ready=True)
                return self.over("the engine died after it was ready")
            self.clock.sleep(_WELL_PAUSE)
        return None

    def _has_ended(self, running: Running) -> bool:
        """Return whether the engine's container ended; one that somebody removed is no evidence (HostError)."""
        state = self.host.state(running.container)
        if not state.exists:
            raise HostError(_GONE)
        return not state.running

    # --- the end of a start ---------------------------------------------------------------------------------------

    def over(self, reason: str, deadline_passed: bool = False) -> Event:
        """Close the start that failed, and go on with the next profile where that could change something.

        An engine that was ended for others, or by somebody, did not fail: that is looked at first.
        """
        running = self._started()
        self._give_way()
        self._has_ended(running)
        running.seen = replace(running.seen, deadline_passed=deadline_passed)
        self.close_start()
        closed = self.seen.starts[-1]
        if closed.exit_code is None and not closed.ended_by_us:  # it was on its way out when it was looked at above
            raise HostError(_GONE)
        return self._failed(reason, next_may_help=True)

    def _failed(self, reason: str, next_may_help: bool = False) -> Event:
        if self.stretch.is_under_way:
            return self.stretch.give_up(reason)
        return (self._after_start(works=False) if next_may_help else None) or Failed(reason, Outcome.VERDICT)

    def _after_start(self, works: bool) -> Event | None:
        """Return Again when another start is due: a repeat of this profile, or the next one after a failure."""
        planned = self.order.planned_starts
        if self.next_start >= len(planned):
            return None
        last, following = planned[self.next_start - 1], planned[self.next_start]
        if following.name != last.name:
            if works or not may_another_profile_help(self.seen.starts[-1], self.order.bug):
                return None
        elif works:
            self.close_start()
        return Again()

    def close_start(self) -> None:
        """End the engine that runs, read its log, keep what was seen. Safe to call when none runs."""
        if (running := self.running) is None:
            return
        ended_by_us, after = running.end(self.host, self.order.engine.stop_grace, self.display)
        if running.container == self.stretch.ended:
            ended_by_us, after = True, replace(after, oom_killed=False)
        running.log.finish()
        reading = scan(read_log(running.log.path))
        self.running = None  # only now: an interrupted call is made once more
        self.seen.starts.append(
            replace(
                running.seen,
                reading=reading,
                exit_code=after.exit_code,
                oom_killed=after.oom_killed,
                ended_by_us=ended_by_us,
            )
        )
        self.seen.logs.append(running.log_name)
        if self.client is not None:
            self.client.close()
            self.client = None
        self.host.remove_trial()

    def teardown(self) -> Event:
        """End the engine, or whatever of the trial still runs."""
        try:
            self.close_start()
        finally:
            self.host.remove_trial()
        if self.seen.services and not any(self.host.is_back(owed) for owed in self.seen.services):
            self._way_there().keep_condition("after the trial", self.host.facts())
        return Passed()

    # --- checks ---------------------------------------------------------------------------------------------------

    def _give_way(self) -> None:
        """Raise when the trial must end for others: `restore` was called, or a displaced service is back."""
        if self.notebook.is_withdrawn():
            raise Withdrawn
        for owed in self.seen.services:
            if self.seen.stopped_at is not None and self.host.is_back(owed):
                raise ServiceBack(owed.service)

    def _image(self) -> LocalImage:
        assert self.seen.image is not None, "the image is pulled before it is used"
        return self.seen.image

    def _started(self) -> Running:
        if self.running is None:
            raise HostError("no engine was started")
        return self.running

    def _client(self) -> EngineClient:
        if self.client is None:
            raise HostError("the engine was not reached yet")
        return self.client
