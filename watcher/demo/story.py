"""The story of `watcher demo`: an upstream world moves forward, the ordinary program watches and tries what appears."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from watcher.app import open_means
from watcher.config.load import load_settings
from watcher.config.settings import Settings
from watcher.demo.bench import Bench, open_bench
from watcher.demo.world import Step, World, sources_toml
from watcher.errors import ConfigError
from watcher.jobs.means import Means
from watcher.jobs.round import Round, go_round
from watcher.model.answer import Answer
from watcher.model.facts import LookOutcome
from watcher.model.trial import Trial
from watcher.model.verdict import BringUp, BugState
from watcher.ports import ReportProgress

KNOWN = (
    "2026-06-02  PyTorch pull request 185946 is opened: warn instead of assert in reportProcessMemoryInfo",
    "2026-07-08  PyTorch 2.13.0 is released; the assert is still in its bytes",
)


def run_demo(print_line: ReportProgress, docker: bool, base: str, data_dir: Path | None) -> int:
    """Play the story and return the exit code: 0 when it ended as it should.

    Args:
        docker: try in the container engine of this machine instead of on the simulated device.
        base: with `docker`, a local image that has python3.
        data_dir: an empty folder for the demo's data; a new temporary one where None.

    Raises ConfigError when the folder or the base image is of no use.
    """
    folder = _own_folder(data_dir)
    with _open_bench(docker, base, folder) as bench, World(bench.layers, bench.architectures) as world:
        settings = _settings(folder, world, bench)
        story = _Story(print_line, world)
        with open_means(settings, story.progress, host=bench.host) as means:
            ended_well = story.play(means)
        bench.forget_images()
    print_line("")
    print_line(f"The database: {folder / 'watcher.db'}")
    print_line(f"Look around:  watcher --config {folder / 'config.toml'} status | events | trials | trial show 1")
    return 0 if ended_well else 1


@contextmanager
def _open_bench(docker: bool, base: str, folder: Path) -> Iterator[Bench]:
    if docker:
        from watcher.demo.real_engine import open_real_bench

        with open_real_bench(base, folder) as bench:
            yield bench
    else:
        yield open_bench()


def _own_folder(data_dir: Path | None) -> Path:
    if data_dir is None:
        return Path(tempfile.mkdtemp(prefix="watcher-demo-"))
    if (data_dir / "watcher.db").exists():
        raise ConfigError("the folder already holds a database; give the demo one of its own", folder=str(data_dir))
    data_dir.mkdir(parents=True, exist_ok=True)
    return data_dir.absolute()


def _settings(folder: Path, world: World, bench: Bench) -> Settings:
    """Write the demo's config.toml and read it as the program reads any other; the environment has no say in it."""
    text = f"""\
[store]
data_dir = "."

[device]
name = "{bench.device_name}"
docker = "{bench.docker_url}"
architecture = "{bench.architectures[0]}"
runtime = "{bench.runtime}"
l4t = "36.4.4"
driver = "540.4.0"

[schedule]
window = "any"

[trial]
displace = ["container:{bench.service}"]

[engines.vllm]
images = ["{world.image}"]
model = "/models/demo"

{sources_toml(world.sources())}"""
    file = folder / "config.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, {})


@dataclass(slots=True)
class _Story:
    """Tells each line that is not a dated public fact as simulated."""

    print_line: Callable[[str], None]
    world: World

    def tell(self, line: str) -> None:
        self.print_line(f"simulated  {line}" if line else "")

    def progress(self, line: str) -> None:
        self.tell(f"    … {line}")

    def play(self, means: Means) -> bool:
        """Look, move the world, look again; return whether the last answer is the one that the world holds."""
        for line in KNOWN:
            self.print_line(line)
        self._chapter("The first look: what is there already is no news")
        answer = self._round(means).answer
        while (step := self.world.advance()) is not None:
            self._step(step)
            answer = self._round(means).answer
        self._chapter("A last look: nothing moved")
        done = self._round(means)
        quiet = not done.events and not done.trials
        return quiet and (answer.bug, answer.bring_up) == (BugState.FIXED, BringUp.WORKS)

    def _step(self, step: Step) -> None:
        if step.known:
            self.print_line("")
            for line in step.known:
                self.print_line(line)
        self._chapter(f"Upstream: {step.title}")

    def _chapter(self, title: str) -> None:
        self.tell("")
        self.tell(f"== {title}")

    def _round(self, means: Means) -> Round:
        done = go_round(means, None, may_try=True, scheduled=False)
        for look in done.looks:
            error = f": {look.error.message}" if look.error else ""
            if look.outcome is not LookOutcome.UNCHANGED or error:
                self.tell(f"  {look.source}: {look.outcome}, {look.facts} facts, {look.traffic.bytes} bytes{error}")
        for event in done.events:
            self.tell(f"  {event.kind}: {event.fact.name} ({event.source})")
        for trial in done.trials:
            self._trial(trial)
        self._answer(done.answer)
        return done

    def _trial(self, trial: Trial) -> None:
        self.tell(f"  trial {trial.id} of {trial.candidate.image}: {trial.outcome}, {trial.reason}")
        for line in dict.fromkeys(f"{row.rung}: {row.text}" for row in trial.evidence):
            self.tell(f"    {line[:160]}")
        if trial.displaced:
            self.tell(f"    {', '.join(trial.displaced)} was away for {trial.away_seconds or 0:.1f} s and runs again")

    def _answer(self, answer: Answer) -> None:
        self.tell(f"  ANSWER: {answer.headline}")
        self.tell(f"    bug {answer.bug_id}: {answer.bug}, bring-up: {answer.bring_up}")
        if answer.fixed_in:
            self.tell(f"    fixed in: {json.dumps(answer.fixed_in)}")
        if answer.next_step:
            self.tell(f"    next: {answer.next_step}")
