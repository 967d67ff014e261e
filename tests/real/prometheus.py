"""A real Prometheus, its data in a folder of the test's, and its tool for rules and metrics."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

from tests.real.debian import unpacked
from tests.real.ports import free_port, stop, wait_until


def promtool(*arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run the tool to its end, with `given` on its standard input. Raises CannotRunHere."""
    program = unpacked("promtool") / "usr/bin/promtool"
    return subprocess.run([program, *arguments], input=given, capture_output=True, text=True, check=False)


class Prometheus:
    """A server that runs."""

    def __init__(self, url: str) -> None:
        self._url = url

    def asked(self, path: str) -> Any:
        """Return what its API answers. Raises OSError where nobody listens yet."""
        with urlopen(f"{self._url}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def values(self, expression: str) -> list[float]:
        """Return what an expression gives now, without labels."""
        found = self.asked(f"query?query={quote(expression)}")["result"]
        return [float(row["value"][1]) for row in found]


@contextmanager
def running_prometheus(config: Path) -> Iterator[Prometheus]:
    """Start a server of a configuration and wait until it answers. Raises CannotRunHere."""
    program, port = unpacked("prometheus") / "usr/bin/prometheus", free_port()
    listens, keeps = f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={config.parent / 'tsdb'}"
    with (config.parent / "prometheus.log").open("w") as log:
        server = subprocess.Popen([program, f"--config.file={config}", listens, keeps], stderr=log)
    running = Prometheus(f"http://127.0.0.1:{port}")
    try:
        wait_until(lambda: _answers(running), server, "prometheus")
        yield running
    finally:
        stop(server)


def _answers(running: Prometheus) -> bool:
    try:
        return bool(running.asked("status/runtimeinfo"))
    except OSError:
        return False
