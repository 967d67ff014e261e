"""What is to be tried, and how: everything that a trial needs to know beforehand."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from watcher.config.bugs import BugSettings
from watcher.config.engines import EngineSettings, Profile
from watcher.config.settings import DeviceSection, TrialSection
from watcher.model.container import ContainerSpec
from watcher.model.suite import Suite
from watcher.model.trial import Candidate
from watcher.model.verdict import EarlierStarts
from watcher.trial.overlaying import Laying
from watcher.trial.scoring import ScoreCommand

LABEL = "watcher.trial"
NO_PHRASES = Suite()


@dataclass(frozen=True, slots=True)
class Order:
    """One trial as it was asked for.

    Attributes:
        ask_bring_up: question 2 is asked at all; False leaves it at the probe.
        unless_present: question 2 is not asked when the bug already showed itself.
        must_end_by: the end of the window for an automatic trial; None by hand.
        level: the acceptance level whose open criteria the report names.
        laying: the wheel that is laid over the image for the probe; then question 2 is not asked.
        force: lifts what `--force` lifts in preflight: heat, memory and quarantine.
        suite: the phrases that a working engine is asked.
        score_command: what takes the figures in place of the phrases.
        keep: an engine that works is left running in place of what it displaced.
        gpu_failures: starts that failed on this boot before, in a way that may leave memory mapped.
        control: an image known to have the bug, see `control_run`.
        earlier: what starts in earlier trials on this device showed of the bug.
    """

    candidate: Candidate
    engine: EngineSettings
    profiles: tuple[Profile, ...]
    bug: BugSettings
    trial: TrialSection
    device: DeviceSection
    data_dir: Path
    repeats: int = 1
    ask_bring_up: bool = True
    unless_present: bool = False
    force: bool = False
    quarantined: bool = False
    gpu_failures: int = 0
    earlier: tuple[EarlierStarts, ...] = ()
    keep: bool = False
    soak: timedelta = timedelta(0)
    level: str = "minimum"
    suite: Suite = NO_PHRASES
    score_command: ScoreCommand | None = None
    must_end_by: datetime | None = None
    laying: Laying | None = None
    control: str | None = None

    @property
    def longest(self) -> timedelta:
        """Return how long the trial may take, with all repeats and its soak."""
        return self.trial.total_of(self.repeats) + self.soak

    @property
    def planned_starts(self) -> tuple[Profile, ...]:
        return tuple(profile for profile in self.profiles for _ in range(self.repeats))

    def ends_a_profile(self, starts: int) -> bool:
        """Return whether so many starts are all of a profile: figures and soak are taken in the last one of each."""
        return starts % self.repeats == 0


@dataclass(slots=True)
class _Filler:
    engine: EngineSettings
    names: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.names = {"{model}": self.engine.model or "", "{name}": self.engine.asked_name}

    def __call__(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self._one(text) for text in texts)

    def _one(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace(name, value)
        return text


def engine_spec(order: Order, profile: Profile, image_id: str, trial_id: int) -> ContainerSpec:
    """Return the container of one start in a trial."""
    spec = engine_spec_of(order.engine, profile, image_id, order.device.runtime)
    return replace(spec, labels={LABEL: str(trial_id)})


def engine_spec_of(engine: EngineSettings, profile: Profile, image: str, runtime: str) -> ContainerSpec:
    """Return the container that an engine runs in: its settings with the profile laid over them."""
    engine = engine.with_model_of(profile)
    fill = _Filler(engine)
    return ContainerSpec(
        image=image,
        entrypoint=fill(engine.entrypoint),
        args=fill((*engine.args, *profile.args)),
        env={**engine.env, **profile.env},
        mounts=engine.parsed_mounts(),
        writable=engine.writable,
        runtime=runtime,
        network=engine.network,
        ipc=engine.ipc,
        shm_bytes=engine.shm_size,
        memory_bytes=engine.memory,
        ulimits=engine.ulimits,
        allow=profile.allow,
    )
