"""What `status` and the page cost after years: 10⁵ facts and 10⁴ trials, each a whole program."""

import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.history import History, configuration, write_history
from tests.bench.measured import Row, Run, run, typical

_ROUNDS = 7
_MOST_SECONDS = 0.5


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


def _row(what: str, name: str, done: Run) -> Row:
    return Row(what, name, run=done, budget=f"{_MOST_SECONDS} s", is_kept=done.wall <= _MOST_SECONDS)
