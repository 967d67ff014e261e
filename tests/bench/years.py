"""What `status`, the page and a round cost after years: 10⁵ facts and 10⁴ trials, each a whole program."""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from tests.bench.history import History, configuration, write_history
from tests.bench.measured import Row, Run, run, typical
from watcher.demo.web import NOT_FOUND, Request, Response, WebServer, text
from watcher.demo.wheel_index import JSON_INDEX
from watcher.model.facts import Fact
from watcher.store import facts
from watcher.store.database import open_store

_ROUNDS = 7
_MOST_SECONDS = 0.5
_UNREAD = ("torchvision-", "flash_attn-")
"""Wheels that are not read for the bug: those of a history lead to no file."""


def years() -> Iterator[Row]:
    """Yield the rows; one answer that was found, and one that has to look for what another L4T would open."""
    for works, named in ((True, "an engine works"), (False, "none works")):
        history = History(datetime.now(UTC), works=works)
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "config.toml"
            config.write_text(configuration(history))
            write_history(Path(folder) / "data", history)
            size = (Path(folder) / "data" / "watcher.db").stat().st_size / 1e6
            what = f"{history.facts} facts, {history.trials} trials ({size:.0f} MB), {named}"
            status = [sys.executable, "-m", "watcher", "--config", str(config), "status", "--json"]
            page = [sys.executable, "-m", "tests.bench.page_once", str(config)]
            for name, command in (("watcher status", status), ("the page", page)):
                run(command)
                yield _row(what, name, typical([run(command) for _ in range(_ROUNDS)]))
            if works:
                yield from _rounds(config, history, what)


def _row(what: str, name: str, done: Run) -> Row:
    return Row(what, name, run=done, budget=f"{_MOST_SECONDS} s", is_kept=done.wall <= _MOST_SECONDS)


def _rounds(config: Path, history: History, what: str) -> Iterator[Row]:
    """Go rounds in which nothing changed, and such in which one page lists one wheel more."""
    command = [sys.executable, "-m", "watcher", "--config", str(config), "check-now", "--no-trial", "--json"]
    pages = _Pages(_wheels(config.parent / "data"))
    with WebServer(pages.answer) as server:
        config.write_text(configuration(history, {name: f"{server.url}/{name}/" for name in pages.listed}))
        for _ in range(2):  # the first brings everything up to date
            run(command)
        unchanged, moved = [], []
        for number in range(_ROUNDS):
            unchanged.append(_looked(run(command), events=0))
            pages.add(number)
            moved.append(_looked(run(command), events=1))
    yield Row(what, "a round, nothing changed", run=typical(unchanged))
    yield Row(what, "a round, one new wheel", run=typical(moved))


def _looked(done: Run, events: int) -> Run:
    """Return a run that saw what it should; another would measure something else."""
    told = json.loads(done.output)
    failed = [look["name"] for look in told["sources"] if look["outcome"] == "failed"]
    if failed or len(told["events"]) != events:
        raise RuntimeError(f"{len(told['events'])} events in place of {events}; failed: {failed}")
    return done


def _wheels(data_dir: Path) -> dict[str, list[Fact]]:
    """Return, by source, the wheels that are served."""
    store = open_store(data_dir)
    with store.reading() as tx:
        shown = {name: [known.fact for known in facts.known_facts(tx, name).values()] for name in facts.counts(tx)}
    store.close()
    return {name: some for name, some in shown.items() if some[0].name.startswith(_UNREAD)}


class _Pages:
    """The project pages of the sources, each at its name."""

    def __init__(self, listed: Mapping[str, list[Fact]]) -> None:
        self.listed = listed

    def add(self, number: int) -> None:
        """List one wheel more on the first page."""
        name = f"torchvision-9.0.{number}-cp310-cp310-linux_aarch64.whl"
        wheel = Fact(self.first[0].kind, name, digest=f"sha256:{sha256(name.encode()).hexdigest()}", url="new.whl")
        self.first.append(wheel)

    @property
    def first(self) -> list[Fact]:
        return next(iter(self.listed.values()))

    def answer(self, request: Request) -> Response:
        name = request.path.strip("/")
        if name not in self.listed:
            return NOT_FOUND
        files = [_entry(fact) for fact in self.listed[name]]
        return text(json.dumps({"meta": {"api-version": "1.1"}, "name": name, "files": files}), JSON_INDEX)


def _entry(fact: Fact) -> Mapping[str, object]:
    stamp = {"upload-time": fact.published_at.isoformat()} if fact.published_at else {}
    return {"filename": fact.name, "url": fact.url, "hashes": {"sha256": (fact.digest or "")[7:]}, **stamp}
