"""`watcher run` serves the page beside the schedule; that it cannot is one line, and watching goes on."""

import signal
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import Popen
from typing import Any

from tests.real.ports import free_port
from tests.real.scene import Scene
from watcher.config.settings import PageSection
from watcher.jobs.serve_page import served_page

TOKEN = "s3cret-of-the-page"


@contextmanager
def running(folder: Path, page: dict[str, Any]) -> Iterator[tuple[Scene, Popen[str]]]:
    table = {"store": {"data_dir": "data"}, "device": {"docker": "none", "name": "orin"}, "sources": [], "page": page}
    scene = Scene(folder, None, table)
    service = scene.started("--quiet", "run")
    try:
        yield scene, service
    finally:
        service.send_signal(signal.SIGTERM)


def read(port: int, path: str) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {TOKEN}"})
    with suppress(OSError), urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())
    return ""


def test_the_service_serves_what_its_checks_write(tmp_path: Path) -> None:
    port = free_port()
    page = {"serve": True, "listen": f"127.0.0.1:{port}", "token": TOKEN}
    with running(tmp_path, page) as (scene, service):
        scene.wait_until(lambda: "watcher on" in read(port, "/"))
        assert '"device": "orin"' in read(port, "/answer.json")
    output, trouble = service.communicate(timeout=60)
    assert (service.returncode, output) == (0, "")
    assert all(" round: " in line for line in trouble.splitlines()), trouble
    assert TOKEN not in output


def test_a_port_in_use_is_one_line_and_the_service_watches(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with running(tmp_path, {"serve": True, "listen": listen}) as (scene, service):
            scene.wait_until(lambda: (scene.data_dir / "page" / "index.html").exists())
            scene.wait_until(lambda: (scene.data_dir / "heartbeat").exists())
        _, trouble = service.communicate(timeout=60)
    assert service.returncode == 0
    lines = [line.partition(" ")[2] for line in trouble.splitlines()]
    assert [line for line in lines if not line.startswith("round: ")] == [
        f"the page is not served at {listen}: Address already in use; it is tried again, and watching goes on"
    ]


def test_nothing_listens_where_nobody_asked_for_it(tmp_path: Path) -> None:
    port = free_port()
    with served_page(PageSection(listen=f"127.0.0.1:{port}"), tmp_path, print), socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
