"""Looks in processes of their own, each with little memory and little time: what is too much kills it.

As a program it takes one `[[sources]]` table (JSON) per line and answers with one line each; it forks for every look,
so that the parts are imported once.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from tests.places import CHECKOUT
from tests.sources.conftest import NO_DEVICE, validated
from watcher.errors import SourceUnavailable
from watcher.fetch.holds import HostHolds
from watcher.host.clock import SystemClock
from watcher.ports import Source
from watcher.sources import build_source

MEMORY = 400 * 2**20
"""Address space of a look: all libraries and stacks count, some 130 MB before anything is read."""
CPU_SECONDS = 20


_KINDS = [f"watcher.sources.{path.stem}" for path in (CHECKOUT / "watcher" / "sources").glob("[a-z]*.py")]


@dataclass(frozen=True)
class Looked:
    """What came of a look: the class of its error (`killed` where the limits ended it), or the names of its facts."""

    error: str | None = None
    message: str = ""
    names: tuple[str, ...] = ()
    peak: int = 0


LookAt = Callable[[str], Looked]


@contextmanager
def bounded_looks() -> Iterator[LookAt]:
    """Lend a function that looks once at the source of a TOML table (without its name)."""
    command = [sys.executable, "-m", "tests.sources.bounded_looks"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        requests, answers = process.stdin, process.stdout

        def look_at(toml: str) -> Looked:
            requests.write(json.dumps({"name": "it", **tomllib.loads(toml)}) + "\n")
            requests.flush()
            answer = json.loads(answers.readline())
            return Looked(**{**answer, "names": tuple(answer.get("names", ()))})

        try:
            yield look_at
        finally:
            requests.close()


def main() -> None:
    for late in ("feedparser", "debian.deb822", *_KINDS):
        import_module(late)
    with suppress(SourceUnavailable):  # loads certificates, once for all looks
        _source({"name": "it", "kind": "simple-index", "url": "http://127.0.0.1:9/"}).poll(None)
    for line in sys.stdin:
        if os.fork() == 0:
            _look(json.loads(line))
        _, status = os.wait()
        if os.WIFSIGNALED(status):
            print(json.dumps({"error": "killed", "message": signal.Signals(os.WTERMSIG(status)).name}), flush=True)


def _look(table: dict[str, Any]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    answer: dict[str, Any]
    try:
        facts = _source(table).poll(None).facts or ()
        answer = {"names": [fact.name for fact in facts[:10]]}
    except BaseException as error:  # noqa: BLE001  whatever it is, the test judges it
        answer = {"error": type(error).__name__, "message": str(error)[:400]}
    answer["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(answer), flush=True)
    os._exit(0)


def _source(table: dict[str, Any]) -> Source:
    return build_source(
        validated(table),
        device_architecture="arm64",
        github_token=None,
        holds=HostHolds({}, SystemClock()),
        read_device=lambda: NO_DEVICE,
    )


if __name__ == "__main__":
    main()
