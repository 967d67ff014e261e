"""The year as the ordinary program lives through it: each day is a run of its own over the same database."""

import json
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from watcher.app import open_means
from watcher.config.load import load_settings
from watcher.config.settings import Settings
from watcher.demo.bench import Bench
from watcher.demo.simulated import SimulatedHost
from watcher.demo.world import HUB_REPOSITORY, World, sources_toml
from watcher.demo.year import NVIDIA, START, UPSTREAM
from watcher.jobs.round import Round, go_round
from watcher.ports import Lines, ReportProgress

JETPACK_6 = "36.4.4"


@dataclass(slots=True)
class StoryClock:
    """Satisfies ports.Clock: it stands on the day of the story, and goes on from there as real time does."""

    day: datetime = START.date
    set_at: float = field(default_factory=time.monotonic)

    def move_to(self, day: datetime) -> None:
        self.day, self.set_at = day, time.monotonic()

    def now(self) -> datetime:
        return self.day + timedelta(seconds=time.monotonic() - self.set_at)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(slots=True)
class Replay:
    """`l4t` is what the device runs at present."""

    world: World
    bench: Bench
    folder: Path
    l4t: str = JETPACK_6
    clock: StoryClock = field(default_factory=StoryClock)

    def look(self, day: datetime, say: ReportProgress) -> Round:
        """Look at everything on a day, try what is due, and return what happened."""
        self.clock.move_to(day)
        with open_means(self._settings(), Lines(say), host=self.bench.host, clock=self.clock) as means:
            return go_round(means, None, may_try=True, scheduled=False)

    def upgrade(self, l4t: str) -> None:
        """Put the device on another L4T."""
        self.l4t = l4t
        if isinstance(self.bench.host, SimulatedHost):
            self.bench.host.upgrade(l4t)

    def _settings(self) -> Settings:
        """Write the day's config.toml and read it as the program reads any other; the environment has no say in it."""
        bench, images = self.bench, [self.world.image(NVIDIA), self.world.image(UPSTREAM), HUB_REPOSITORY]
        driver = 'driver = "540.4.0"\n' if self.l4t == JETPACK_6 else ""
        text = f"""\
[store]
data_dir = "."

[device]
name = "{bench.device_name}"
docker = "{bench.docker_url}"
architecture = "{bench.architectures[0]}"
runtime = "{bench.runtime}"
l4t = "{self.l4t}"
{driver}
[schedule]
window = "any"

[trial]
displace = ["container:{bench.service}"]

[engines.vllm]
images = {json.dumps(images)}
model = "/models/demo"

[[engines.vllm.image_rules]]
image = "{images[0]}"
tag = "jetson-orin"
l4t = ">=36.4,<37"
reason = "NVIDIA builds it on r36.4"

[[engines.vllm.image_rules]]
image = "{images[1]}"
l4t = ">=39"
driver = ">=580"
version = ">=0.20"
reason = "its images carry CUDA 13; NVIDIA names them for Orin from JetPack 7.2 on"

{sources_toml(self.world.sources())}"""
        file = self.folder / "config.toml"
        file.write_text(text, encoding="utf-8")
        return load_settings(file, {})
