"""Print what the program costs beside its budget. A measurement, not a test: other load on the machine shows in it."""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from watcher.demo import stub_engine
from watcher.demo.torch_build import LIBRARY
from watcher.demo.world import World, sources_toml
from watcher.verdict.scan import scan

ROUNDS = 5


def main() -> None:
    print(f"{'what':<44} {'measured':>24}   budget")
    _commands()
    with World() as world, tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.toml"
        config.write_text(f'[store]\ndata_dir = "data"\n\n{sources_toml(world.sources())}')
        _checks(config)
        _inspection(config, world)
        _idle_service(config)
    _log_scan()


def _row(what: str, measured: str, budget: str) -> None:
    print(f"{what:<44} {measured:>24}   {budget}")


def _run(*arguments: str) -> tuple[float, float, int, str]:
    """Return wall and CPU seconds, peak memory and stdout of one call of the program."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "watcher", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    output = process.stdout.read().decode()
    _, _, usage = os.wait4(process.pid, 0)
    process.stdout.close()
    process.returncode = 0  # already reaped, by wait4
    return time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, output


def _best(call: Callable[[], tuple[float, float, int, str]]) -> tuple[float, float, int]:
    runs = [call() for _ in range(ROUNDS)]
    return min(run[0] for run in runs), min(run[1] for run in runs), max(run[2] for run in runs)


def _commands() -> None:
    wall, _, _ = _best(lambda: _run("--help"))
    _row("watcher --help", f"{wall * 1000:.0f} ms", "80 ms")
    _, cpu, _ = _best(lambda: _run("healthcheck"))
    _row("watcher healthcheck", f"{cpu * 1000:.0f} ms CPU", "30 ms CPU")


def _checks(config: Path) -> None:
    check = ("--config", str(config), "check-now", "--no-trial", "--json")
    wall, _, peak, output = _run(*check)
    first = sum(source["bytes"] for source in json.loads(output)["sources"])
    _row("check-now, 4 sources, cold", f"{wall:.2f} s, {peak / 1e6:.0f} MB", "0.9 s, 100 MB")
    wall, _, peak = _best(lambda: _run(*check))
    again = sum(source["bytes"] for source in json.loads(_run(*check)[3])["sources"])
    _row("check-now, 4 sources, warm", f"{wall:.2f} s, {peak / 1e6:.0f} MB", "0.5 s, 70 MB")
    _row("warm check, share of the first one's bytes", f"{again / first:.1%} of {first}", "5 %")


def _inspection(config: Path, world: World) -> None:
    url = f"{world.server.url}{world.index.root}+simple/torch/"
    name, content = next(iter(world.index.wheels.items()))
    (wheel,) = [link for link in _links(url) if name in link]
    wall, _, _, output = _run("--config", str(config), "inspect", wheel, "--json")
    read = json.loads(output)["bytes_read"]
    _row(f"inspect of a remote wheel ({LIBRARY[-14:]})", f"{wall:.2f} s, {read} of {len(content)} B", "1 s, 2 MB")


def _links(url: str) -> Iterator[str]:
    import httpx

    page = httpx.get(url, headers={"Accept": "application/vnd.pypi.simple.v1+json"}, trust_env=False).json()
    yield from (str(httpx.URL(url).join(file["url"])) for file in page["files"])


def _idle_service(config: Path) -> None:
    """Start the service, wait until its first round is over, and read what it alone keeps resident."""
    command = [sys.executable, "-m", "watcher", "--quiet", "--config", str(config), "run"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(8)
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        (pss,) = [line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")]
        _row("idle service, resident (PSS)", f"{int(pss) / 1000:.0f} MB", "40 MB")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _log_scan() -> None:
    lines = "".join(f"{line}\n" for line in stub_engine.log_lines("0.33.0", "/models/demo", has_bug=False)).encode()
    piece = lines * (1_000_000 // len(lines))
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    scan(piece for _ in range(100))
    seconds = time.monotonic() - begun
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    _row(
        "log scan, healthy log",
        f"{len(piece) * 100 / seconds / 1e6:.0f} MB/s, +{grown / 1000:.0f} MB",
        "100 MB/s, flat",
    )


if __name__ == "__main__":
    main()
