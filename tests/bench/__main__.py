"""Print what the program costs beside its budget. A measurement, not a test: other load on the machine shows in it."""

import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

from tests.bench.compared import compared
from tests.bench.measured import Row, Run, run, table, typical
from tests.bench.trial import trials
from tests.bench.years import years
from tests.real.ports import free_port
from watcher.demo import stub_engine
from watcher.demo.torch_build import LIBRARY
from watcher.demo.world import World, sources_toml
from watcher.demo.year import JP6
from watcher.verdict.scan import scan

ROUNDS = 7
FOUR = ("torch-jp6-cu126", "vllm-releases", "images-nvidia-ai-iot", "l4t-r36")
"""One source of each family."""
_LOADED = 0.5
"""A machine whose load is above this did something else while it measured."""


def main() -> None:
    before = os.getloadavg()[0]
    rows = [*_commands(), *_with_the_world(), _log_scan(), *years(), *trials(), *compared()]
    print(table(rows))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"\nMedians of several runs; the highest peak. {machine}; load before it began: {before:.1f}.")
    if before > _LOADED:
        print("The machine was busy: a budget that was not kept may be kept on a quiet one.")


def _watcher(*arguments: str) -> Run:
    return run([sys.executable, "-m", "watcher", *arguments])


def _commands() -> Iterator[Row]:
    _watcher("--help")  # bytecode is written, files are in memory
    asked = typical([_watcher("--help") for _ in range(ROUNDS)])
    yield Row("watcher --help", run=asked, budget="80 ms", is_kept=asked.wall <= 0.08)
    asked = typical([_watcher("healthcheck") for _ in range(ROUNDS)])
    yield Row("watcher healthcheck", run=asked, budget="30 ms CPU", is_kept=asked.cpu <= 0.03)


def _with_the_world() -> Iterator[Row]:
    with World() as world, tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.toml"
        four = [{**source, "follow": False} if "follow" in source else source for source in world.sources()]
        four = [source for source in four if source["name"] in FOUR]
        config.write_text(f'[store]\ndata_dir = "data"\n\n{sources_toml(four)}')
        yield from _checks(config)
        yield _inspection(config, world)
        yield from _idle_service(config)


def _checks(config: Path) -> Iterator[Row]:
    """Check the four kinds of sources of the demo's world, from nothing and then with nothing changed."""
    cold, warm = [], []
    for _ in range(ROUNDS):
        shutil.rmtree(config.parent / "data", ignore_errors=True)
        cold.append(_check(config))
        warm.append(_check(config))
    first, again = typical(cold), typical(warm)
    for what, middle, seconds, limit in (
        ("4 sources of four kinds, first check", first, 0.9, 100),
        ("4 sources of four kinds, nothing changed", again, 0.5, 70),
    ):
        is_kept = middle.wall <= seconds and middle.peak_bytes <= limit * 1e6
        requests, size = _spent(middle)
        yield Row(what, "watcher", middle, requests, size, "", f"{seconds} s, {limit} MB", is_kept)
    share = _spent(again)[1] / _spent(first)[1]
    yield Row("share of the first check's bytes", measured=f"{share:.1%}", budget="5 %", is_kept=share < 0.05)


def _check(config: Path) -> Run:
    return _watcher("--config", str(config), "check-now", "--no-trial", "--json")


def _spent(check: Run) -> tuple[int, int]:
    """Return requests and body bytes by the program's own count."""
    looks = json.loads(check.output)["sources"]
    return sum(look["requests"] for look in looks), sum(look["bytes"] for look in looks)


def _inspection(config: Path, world: World) -> Row:
    index = world.indexes[JP6]
    name, shown = next(iter(index.wheels.items()))
    (wheel,) = [link for link in _links(f"{world.server.url}{index.page('torch')}") if name in link]
    done = typical([_watcher("--config", str(config), "inspect", wheel, "--json") for _ in range(ROUNDS)])
    read = json.loads(done.output)["bytes_read"]
    what = f"inspect a remote wheel of {len(shown.content) / 1e6:.0f} MB ({LIBRARY[-14:]})"
    is_kept = done.wall <= 1 and read <= 2_000_000
    return Row(what, run=done, bytes=read, budget="1 s, 2 MB read", is_kept=is_kept)


def _links(url: str) -> Iterator[str]:
    import httpx

    page = httpx.get(url, headers={"Accept": "application/vnd.pypi.simple.v1+json"}, trust_env=False).json()
    yield from (str(httpx.URL(url).join(file["url"])) for file in page["files"])


def _idle_service(config: Path) -> Iterator[Row]:
    """Measure what the service alone keeps resident after its first round, without its page and with it served."""
    yield _resident(config, "idle service", 40)
    port = free_port()
    served = config.with_name("served.toml")
    served.write_text(f'{config.read_text()}\n[page]\nserve = true\nlisten = "127.0.0.1:{port}"\n')
    yield _resident(served, "idle service, page and metrics served", 50, port)


def _resident(config: Path, what: str, budget: int, port: int | None = None) -> Row:
    """Start the service, wait until its first round is over and the page was read often, and read what it holds."""
    command = [sys.executable, "-m", "watcher", "--quiet", "--config", str(config), "run"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for_its_round(process.pid, config.parent / "data" / "page" / "index.html", time.time())
        for path in ("", "metrics", "answer.json", "trials.json") * 50 if port else ():
            with urlopen(f"http://127.0.0.1:{port}/{path}") as answer:
                answer.read()
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        (pss,) = [line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    size = int(pss) * 1024
    return Row(what, measured=f"{size / 1e6:.0f} MB PSS", budget=f"{budget} MB", is_kept=size <= budget * 1e6)


def _wait_for_its_round(pid: int, page: Path, since: float) -> None:
    """Wait until the first round has written its page and its process is gone."""
    ends = time.monotonic() + 120
    while not (page.exists() and page.stat().st_mtime > since) or _any_children(pid):
        if time.monotonic() > ends:
            raise TimeoutError("the service did not finish its first round")
        time.sleep(0.1)


def _any_children(pid: int) -> bool:
    return any(task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/children"))


def _log_scan() -> Row:
    lines = "".join(f"{line}\n" for line in stub_engine.log_lines("0.33.0", "/models/demo", has_bug=False)).encode()
    piece = lines * (1_000_000 // len(lines))
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    scan(piece for _ in range(100))
    speed = len(piece) * 100 / (time.monotonic() - begun) / 1e6
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
    measured, is_kept = f"{speed:.0f} MB/s, +{grown:.0f} MB", speed >= 100 and grown < 20
    return Row("scan 100 MB of a healthy log", measured=measured, budget="100 MB/s, flat", is_kept=is_kept)


if __name__ == "__main__":
    main()
