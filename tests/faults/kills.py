"""Random kills of a running trial, as many as asked for: `python -m tests.faults.kills --kills 1000`.

Each kill is a SIGKILL at a moment drawn evenly over the length of a whole trial, on a real container engine with a
healthy service to displace. Then `watcher restore` runs once, and what was there before must be there again: the
service, healthy, with its own restart policy, and nothing of the trial. Anything else is a loss; the end says how many
there were, and at which stage the kills fell. A seed makes the moments the same again, though not what they hit.

In every second place the service takes its time to stop, so that kills fall into a stop that outlives its watcher.
"""

import argparse
import itertools
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.forked import KILLED, ForkServer, fork_server
from tests.main_loop.one_trial import IMAGE, stage_now
from tests.real.docker import PrivateDaemon, private_daemon, reused_folder
from tests.real.scene import Scene, scene_with
from tests.real.stub_engine import stub_image
from tests.real.torch_wheel import SITE_PACKAGES, torch_files

_SLOW_STOP = 1.5  # seconds


@dataclass(slots=True)
class Tally:
    """What came of the kills. `stages` counts where the trial stood, `ended` runs that were over before the kill."""

    kills: int = 0
    ended: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    losses: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.kills += other.kills
        self.ended += other.ended
        self.stages += other.stages
        self.losses += other.losses

    def __str__(self) -> str:
        where = ", ".join(f"{stage} {times}" for stage, times in sorted(self.stages.items()))
        told = "".join(f"\n  {loss}" for loss in self.losses)
        return f"{self.kills} kills, {len(self.losses)} losses ({where}; {self.ended} runs ended first){told}"


@dataclass(slots=True)
class Killing:
    """One scene in which trial after trial is killed."""

    scene: Scene
    forks: ForkServer
    seconds: float
    tally: Tally = field(default_factory=Tally)

    @classmethod
    def on(cls, scene: Scene, forks: ForkServer) -> "Killing":
        """Measure how long a trial takes when it is left alone."""
        begun = time.monotonic()
        killing = cls(scene, forks, 0)
        code = forks.run(killing.trial, killing.output)
        assert code == 0, killing.output.read_text()
        killing.seconds = time.monotonic() - begun
        return killing

    @property
    def trial(self) -> list[str]:
        return self.scene.command("trial", "run", IMAGE, "--force")[3:]

    @property
    def output(self) -> Path:
        return self.scene.folder / "output"

    def kill_once(self, after: float) -> None:
        """Kill a trial so many seconds after its start, put back what is owed, and look."""
        run = self.forks.start(self.trial, self.output)
        time.sleep(after)
        os.kill(run, signal.SIGKILL)
        if self.forks.wait(run) != KILLED:
            self.tally.ended += 1
            return
        self.tally.kills += 1
        stage = stage_now(self.scene) or "before"
        self.tally.stages[stage] += 1
        restored = self.forks.run(self.scene.command("restore")[3:], self.output)
        try:
            assert restored == 0, f"restore ended with {restored}: {self.output.read_text()}"
            self.scene.assert_all_is_as_before()
        except Exception as loss:  # noqa: BLE001  whatever keeps us from seeing that all is well
            self.tally.losses.append(f"killed after {after:.3f} s in stage {stage}: {type(loss).__name__}: {loss}")


def killing_scene(engine: PrivateDaemon, folder: Path, stop_seconds: float = 0) -> Scene:
    """Return a scene whose engine is soon ready, and whose service takes so long to stop."""
    torch = {f"{SITE_PACKAGES}/{path}": (file, 0o644) for path, file in torch_files("2.14.0", has_bug=False).items()}
    stub_image(engine.client(), IMAGE, "healthy", files=torch, STUB_DELAY="0.1")
    scene = scene_with(engine, folder, ["local/vllm"], [])
    scene.start_assistant(SERVICE_STOP_SECONDS=str(stop_seconds))
    return scene


def kill_many(killing: Killing, kills: int, moments: random.Random, say: bool = False) -> Tally:
    """Kill until so many trials were really killed."""
    while killing.tally.kills < kills:
        killing.kill_once(moments.uniform(0, killing.seconds))
        if say and killing.tally.kills % 20 == 0:
            print(f"  {killing.tally}", file=sys.stderr, flush=True)
    return killing.tally


@contextmanager
def _place(stop_seconds: float) -> Iterator[Killing]:
    with (
        reused_folder() as data,
        private_daemon(data) as engine,
        tempfile.TemporaryDirectory() as folder,
        fork_server() as forks,
    ):
        engine.sweep()
        yield Killing.on(killing_scene(engine, Path(folder), stop_seconds), forks)
        engine.sweep()


def _one_place(kills: int, seed: int, stop_seconds: float) -> Tally:
    with _place(stop_seconds) as killing:
        return kill_many(killing, kills, random.Random(seed), say=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="kill trials at random and count what did not come back")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--places", type=int, default=2, help="container engines side by side")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    asked = parser.parse_args()
    begun, whole = time.monotonic(), Tally()
    shares = [asked.kills // asked.places + (place < asked.kills % asked.places) for place in range(asked.places)]
    with ThreadPoolExecutor(asked.places) as threads:
        seeds, slow = range(asked.seed, asked.seed + asked.places), itertools.cycle((0, _SLOW_STOP))
        for tally in threads.map(_one_place, shares, seeds, slow):
            whole.add(tally)
    print(f"{whole}\nseed {asked.seed}, {(time.monotonic() - begun) / max(1, whole.kills):.1f} s a kill")
    return int(bool(whole.losses))


if __name__ == "__main__":
    sys.exit(main())
