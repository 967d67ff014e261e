"""The service as a process: it beats, gives rounds their turn, hands SIGTERM on, and stays small."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.real.scene import Scene
from tests.real.web import Reply, Web, running_web
from watcher.host.owed import write_debt
from watcher.jobs.pay import still_down
from watcher.jobs.service import Service
from watcher.model.container import Debt, OwedService

HEAVY = ("sqlite3", "sqlalchemy", "httpx", "docker", "github", "feedparser", "apprise", "alembic", "requests")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[tuple[Scene, Web]]:
    with running_web() as web:
        link = b'<a href="torch-2.8.0-cp310-cp310-linux_aarch64.whl#sha256=%s">torch</a>' % (b"a" * 64)
        page = b'<!DOCTYPE html><html><meta name="pypi:repository-version" content="1.0"><body>%s</body></html>'
        web.routes["/torch/"] = Reply(200, page % link, {"Content-Type": "text/html"})
        table = {
            "store": {"data_dir": "data"},
            "device": {"docker": "none"},
            "schedule": {"every": "1s", "jitter": "0s"},
            "sources": [{"name": "torch", "kind": "simple-index", "url": f"{web.url}/torch/"}],
        }
        yield Scene(tmp_path, None, table), web


def within(seconds: float, holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_it_beats_looks_by_itself_again_and_again_and_ends_on_sigterm(scene: tuple[Scene, Web]) -> None:
    stage, web = scene
    service = stage.started("run")
    try:
        within(20, lambda: (stage.data_dir / "heartbeat").exists())
        within(60, lambda: len([path for path in web.paths() if path == "/torch/"]) >= 2)
        assert stage.watcher("healthcheck").returncode == 0
    finally:
        service.send_signal(signal.SIGTERM)
        output, trouble = service.communicate(timeout=60)
    assert service.returncode == 0, output + trouble
    assert "Traceback" not in trouble


SECRET = "4ae3-of-the-monitor"


def told_by(stage: Scene, seen: Callable[[], bool]) -> list[str]:
    """Return the lines that the service wrote until then."""
    service = stage.started("run")
    try:
        within(60, seen)
    finally:
        service.send_signal(signal.SIGTERM)
        output, trouble = service.communicate(timeout=60)
    assert (service.returncode, output) == (0, ""), output + trouble
    return trouble.splitlines()


def test_it_writes_a_line_with_its_time_for_each_round_and_tells_a_monitor(scene: tuple[Scene, Web]) -> None:
    stage, web = scene
    web.routes[f"/{SECRET}"] = Reply(200, b"OK")
    stage.table["notify"] = {"ping_url": f"{web.url}/{SECRET}"}
    lines = told_by(stage, lambda: web.paths().count(f"/{SECRET}") >= 3)
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in lines), lines
    rounds = [line for line in lines if " round: " in line]
    assert len(rounds) >= 2
    assert "round: 1 look, 0 failed, 0 events, 0 trials; " in rounds[0]
    assert SECRET not in "".join(lines)


def test_its_log_can_be_json_and_says_what_a_monitor_answered(scene: tuple[Scene, Web]) -> None:
    stage, web = scene
    web.routes["/torch/"] = Reply(503, b"")
    web.routes[f"/{SECRET}"] = Reply(404, b"")
    stage.table |= {"notify": {"ping_url": f"{web.url}/{SECRET}"}, "log": {"format": "json"}}
    lines = [json.loads(line) for line in told_by(stage, lambda: web.paths().count(f"/{SECRET}") >= 3)]
    (first, *_) = (line for line in lines if "looks" in line)
    assert (first["looks"], first["failed"], first["trials"]) == (1, 1, 0)
    assert any(line.get("source") == "torch" and "503" in line["message"] for line in lines)
    assert any(line["message"].endswith("was not told that this round ended: it answered 404") for line in lines)
    assert SECRET not in str(lines)


def test_without_a_beat_the_healthcheck_says_so(scene: tuple[Scene, Web]) -> None:
    stage, _ = scene
    done = stage.watcher("healthcheck")
    assert done.returncode == 1
    assert "heartbeat" in done.stdout


def test_the_service_process_imports_nothing_heavy() -> None:
    code = f"import sys, watcher.jobs.service, watcher.config.load; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_healthcheck_imports_nothing_heavy() -> None:
    code = (
        "import sys, watcher.__main__ as m; sys.argv[1:] = ['healthcheck']; m.main(); print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False")


def test_a_round_that_begins_while_the_service_is_asked_to_end_is_ended_too(tmp_path: Path) -> None:
    begun: list[subprocess.Popen[bytes]] = []

    def slowly(command: Sequence[str]) -> "subprocess.Popen[bytes]":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.5)
        begun.append(subprocess.Popen(command))
        return begun[0]

    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    service = Service(sleeper, timedelta(hours=1), timedelta(0), tmp_path, print, lambda: False, popen=slowly)
    assert service.serve() == 0
    assert begun[0].poll() == -signal.SIGTERM


def test_a_service_that_stays_down_is_told_by_the_exit_code(tmp_path: Path) -> None:
    assistant = OwedService("container:assistant", "container", "assistant", "1", "2", "image", {}, None)
    owes = Debt(1, "unix:///nowhere", datetime.now(UTC), (assistant,))

    def killed(command: Sequence[str]) -> "subprocess.Popen[bytes]":
        write_debt(tmp_path / "owed", owes)
        os.kill(os.getpid(), signal.SIGTERM)
        return subprocess.Popen(command)

    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    service = Service(
        sleeper, timedelta(hours=1), timedelta(0), tmp_path, print, lambda: bool(still_down(tmp_path)), popen=killed
    )
    assert service.serve() == 5


def test_a_check_that_is_asked_to_end_waits_for_no_upstream(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/torch/"
        table = {
            "store": {"data_dir": "data"},
            "device": {"docker": "none"},
            "sources": [{"name": "torch", "kind": "simple-index", "url": url}],
        }
        running = Scene(tmp_path, None, table).started("check-now")
        silent.settimeout(20)
        asked, _ = silent.accept()
        with asked:
            running.send_signal(signal.SIGTERM)
            begun = time.monotonic()
            running.communicate(timeout=30)
    assert running.returncode == 130
    assert time.monotonic() - begun < 5
