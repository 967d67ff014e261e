"""Checks of 4, 100 and 1 000 pages, beside nvchecker on the same pages, in turn: A B A B."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.measured import Row, Run, run, typical
from tests.bench.nvchecker import PARALLEL, installed_nvchecker, nvchecker_config
from tests.bench.pages import Pages, Traffic, running_pages
from watcher.demo.world import sources_toml

COUNTS, LATE_MS = (4, 100, 1000), (0, 100)
_ROUNDS = {4: 5, 100: 5, 1000: 3}
_COLD, _WARM, _BARE = "watcher, first check", "watcher, nothing changed", "sockets alone, 100 at once"
_RACE = (100, 100)
"""The count and delay for which there is a budget."""


@dataclass(slots=True)
class _Contest:
    """All runs of one count of pages and one delay, by who ran."""

    pages: Pages
    folder: Path
    count: int
    late_ms: int
    runs: dict[str, list[Run]] = field(default_factory=dict)
    traffic: dict[str, Traffic] = field(default_factory=dict)

    def measure(self, who: str, command: Sequence[str | Path]) -> Run:
        self.pages.traffic()  # counts begin anew
        done = run(command)
        self.runs.setdefault(who, []).append(done)
        self.traffic[who] = self.pages.traffic()
        return done


def compared() -> Iterator[Row]:
    program = installed_nvchecker()
    with running_pages() as pages:
        for late_ms in LATE_MS:
            for count in COUNTS:
                with tempfile.TemporaryDirectory() as folder:
                    contest = _Contest(pages, Path(folder), count, late_ms)
                    _run(contest, program)
                    yield from _rows(contest)


def _run(contest: _Contest, nvchecker: Path) -> None:
    addresses = contest.pages.addresses(contest.count, contest.late_ms)
    watcher = _watcher(contest.folder, addresses)
    configs = {parallel: nvchecker_config(contest.folder, addresses, parallel) for parallel in PARALLEL}
    bare = [sys.executable, "-m", "tests.bench.bare", contest.pages.url, str(contest.late_ms), str(contest.count)]
    for _ in range(_ROUNDS[contest.count]):
        contest.measure(_BARE, bare)
        shutil.rmtree(contest.folder / "data", ignore_errors=True)
        for who, outcome in ((_COLD, "baseline"), (_WARM, "unchanged")):
            looks = json.loads(contest.measure(who, watcher).output)["sources"]
            assert len(looks) == contest.count
            assert {look["outcome"] for look in looks} == {outcome}, [look["error"] for look in looks]
        for parallel, config in configs.items():
            contest.measure(_nvchecker(parallel), [nvchecker, "--logging", "warning", "--file", config])
            found = json.loads((contest.folder / "new.json").read_text())["data"]
            assert len(found) == contest.count
            (contest.folder / "new.json").unlink()


def _watcher(folder: Path, addresses: Mapping[str, str]) -> list[str | Path]:
    sources: list[dict[str, object]] = [
        {"name": name, "kind": "simple-index", "url": url} for name, url in addresses.items()
    ]
    config = folder / "config.toml"
    config.write_text(f'[store]\ndata_dir = "data"\n\n{sources_toml(sources)}')
    return [sys.executable, "-m", "watcher", "--config", config, "check-now", "--no-trial", "--json"]


def _nvchecker(parallel: int) -> str:
    return f"nvchecker, {parallel} at once"


def _rows(contest: _Contest) -> Iterator[Row]:
    what = f"{contest.count} pages" + (f", each {contest.late_ms} ms late" if contest.late_ms else "")
    default = _nvchecker(PARALLEL[0])
    to_beat = typical(contest.runs[default]).wall
    for who, runs in contest.runs.items():
        middle, traffic = typical(runs), contest.traffic[who]
        row = Row(what, who, middle, traffic.requests, traffic.bytes)
        if who in (_COLD, _WARM) and (contest.count, contest.late_ms) == _RACE:
            row = Row(what, who, middle, traffic.requests, traffic.bytes, "", f"< {default}", middle.wall < to_beat)
        yield row
