"""The story of `watcher demo`: an upstream world lives through a year, the ordinary program watches and tries."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from watcher.demo.bench import Bench, open_bench
from watcher.demo.replay import Replay
from watcher.demo.world import World
from watcher.demo.year import DAYS, START, TODAY, UPGRADED
from watcher.errors import ConfigError
from watcher.jobs.round import Round
from watcher.model.answer import Answer
from watcher.model.facts import Event, LookOutcome
from watcher.model.trial import Trial
from watcher.model.verdict import BringUp, BugState, Rung
from watcher.ports import ReportProgress

FIXED_IN = {"torch": "2.14.0", "vllm": "0.33.0"}


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
        ended_well = _Story(print_line, Replay(world, bench, folder)).play()
        bench.forget_images()
    print_line("")
    print_line(f"The page:     {folder / 'page' / 'index.html'}")
    print_line(f"The database: {folder / 'watcher.db'}")
    print_line(f"Look around:  watcher --config {folder / 'config.toml'} status | events | trials | sources")
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


@dataclass(slots=True)
class _Story:
    """Tells each line that is not a dated public fact as simulated, and the answer whenever it changes."""

    print_line: Callable[[str], None]
    replay: Replay
    answer: Answer | None = None

    def tell(self, line: str) -> None:
        self.print_line(f"simulated  {line}" if line else "")

    def progress(self, line: str) -> None:
        self.tell(f"    … {line}")

    def play(self) -> bool:
        """Live through the year, then put the device on JetPack 7.2; return whether both answers are the right ones."""
        self._known(START.known)
        self._chapter(START.date, f"the first look: {START.title}")
        self._round(START.date)
        for today in DAYS:
            self._known(today.known)
            self._chapter(today.date, today.title)
            self.replay.world.live(today)
            self._round(today.date)
        self._chapter(TODAY, "nothing moved")
        quiet = self._round(TODAY)
        on_6 = quiet.answer
        self._chapter(TODAY, f"the same world, seen from the same device on JetPack 7.2.1 (L4T r{UPGRADED})")
        self.replay.upgrade(UPGRADED)
        on_7 = self._round(TODAY).answer
        return (
            not quiet.events
            and not quiet.trials
            and (on_6.bug, on_6.fixed_in) == (BugState.PRESENT, FIXED_IN)
            and (on_7.bug, on_7.bring_up) == (BugState.FIXED, BringUp.WORKS)
        )

    def _known(self, lines: tuple[str, ...]) -> None:
        if lines:
            self.print_line("")
        for line in lines:
            self.print_line(line)

    def _chapter(self, day: datetime, title: str) -> None:
        self.tell("")
        self.tell(f"== {day:%Y-%m-%d}: {title}")

    def _round(self, day: datetime) -> Round:
        done = self.replay.look(day, self.progress)
        for look in done.looks:
            if look.outcome is LookOutcome.FAILED and look.error:
                self.tell(f"  {look.source} failed: {look.error.message}")
        for event in done.events:
            self._event(event)
        for trial in done.trials:
            self._trial(trial)
        if done.answer != self.answer:
            self.answer = done.answer
            self._answer(done.answer)
        return done

    def _event(self, event: Event) -> None:
        version = event.fact.version
        shown = f" {version}" if version and version not in event.fact.name else ""
        self.tell(f"  {event.kind}: {event.fact.name}{shown} ({event.source})")
        if event.helps:
            self.tell(f"      {event.helps}")

    def _trial(self, trial: Trial) -> None:
        self.tell(f"  trial {trial.id} of {trial.candidate.title}: {trial.outcome}, {trial.reason}")
        first: dict[Rung, str] = {}
        for row in trial.evidence:
            first.setdefault(row.rung, row.text)
        for rung, text in first.items():
            self.tell(f"    {rung}: {text[:160]}")
        if trial.displaced:
            self.tell(f"    {', '.join(trial.displaced)} was away for {trial.away_seconds or 0:.1f} s and runs again")

    def _answer(self, answer: Answer) -> None:
        self.tell(f"  ANSWER: {answer.headline}")
        self.tell(f"    bug {answer.bug_id}: {answer.bug}, bring-up: {answer.bring_up}")
        if answer.fixed_in:
            self.tell(f"    fixed in: {json.dumps(answer.fixed_in)}")
        for waiting in answer.waits_for:
            since = f", since {waiting.since:%Y-%m-%d}" if waiting.since else ""
            self.tell(f"    {waiting.question} waits for {waiting.what}{since}")
        if answer.next_step:
            self.tell(f"    next: {answer.next_step}")
