"""The control of a bug: fetched beside the candidate, and probed in its place."""

from dataclasses import dataclass, replace

from watcher.errors import HostError
from watcher.model.container import LocalImage
from watcher.model.verdict import BugState, ControlReading, ProbeReading
from watcher.planner.compatibility import repository_of
from watcher.ports import Display, Host
from watcher.trial.fetching import Fetching
from watcher.trial.order import Order
from watcher.trial.probe_run import ProbeRun
from watcher.trial.seen import Seen
from watcher.verdict.control import wants_control


@dataclass(slots=True)
class ControlRun:
    """Nothing that goes wrong with the control ends the trial: `missing` then says why it was not run."""

    order: Order
    host: Host
    seen: Seen
    display: Display
    image: LocalImage | None = None
    missing: str = "it was not fetched in time"
    fetching: bool = False

    @property
    def is_asked(self) -> bool:
        """Return whether there is a control, and a probe to run in it."""
        return self.order.control is not None and self.order.bug.probe is not None and self.order.engine.carries_torch

    def fetch(self, fetching: Fetching, deadline: float) -> None:
        """Have the image here: one that is not, is only fetched from the engine's repositories."""
        if not self.is_asked:
            return
        name = self.order.control or ""
        self.fetching = True
        try:
            if self.host.find_image(name) is None and repository_of(name) not in self.order.engine.images:
                self.missing = f"it is not here, and engines.{self.order.engine.id}.images does not name its repository"
            else:
                self._take(fetching.image(*_named(name), deadline))
        except HostError as error:
            self.missing = str(error)
            self.gives_up()
        self.fetching = False

    def _take(self, image: LocalImage) -> None:
        wanted = self.order.device.architecture
        if image.architecture == wanted:
            self.image = image
        else:
            self.missing = f"it is for {image.architecture}, this device is {wanted}"

    def gives_up(self) -> bool:
        """Go on without the control where it is what is being fetched; return whether it is."""
        if self.fetching:
            self.fetching, self.seen.pulling = False, None  # what was to be tried is here
            return True
        return False

    def look(self, trial_id: int, starts_follow: bool) -> None:
        """Probe the control as well where a clean answer of the device could decide."""
        probe = self.seen.probe
        if probe is None or not self.is_asked or not wants_control(self.seen.static, probe, starts_follow):
            return
        self.display.say(f"probing the control {self.order.control}")
        # this stands when the time of the stage ends meanwhile
        self.seen.probe = replace(probe, control=self._not_run("its probe did not end in time"))
        self.seen.probe = replace(probe, control=self._read(trial_id))

    def _not_run(self, reason: str) -> ControlReading:
        return ControlReading(self.order.control or "", None, reason)

    def _read(self, trial_id: int) -> ControlReading:
        """Return what the probe says in the control's own container."""
        if self.image is None:
            return self._not_run(self.missing)
        try:
            reading = ProbeRun(replace(self.order, laying=None), self.host).read(self.image, trial_id, [])
        except HostError as error:
            return self._not_run(str(error))
        return ControlReading(self.order.control or "", _shows(reading), reading.reason)


def _named(image: str) -> tuple[str, str | None]:
    name, _, digest = image.partition("@")
    return name, digest or None


def _shows(reading: ProbeReading) -> bool | None:
    """Return whether the fault showed itself; None where the probe could not tell in the control."""
    if reading.state is BugState.PRESENT:
        return True
    return False if reading.saw == "clean" else None
