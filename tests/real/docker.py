"""A private Docker engine: the real dockerd with data, socket, containerd, bridge and packet filter of its own."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.places import CACHE
from tests.real.bridge import add_bridge, delete_bridge, free_network, interfaces
from tests.real.firewall import chains_of, remove_rules, write_wrappers

if TYPE_CHECKING:
    from docker import DockerClient

CACHED = "watcher-test.cached"
"""Label of images that may stay in a reused data root; everything else is swept away."""
CACHE_REPOSITORY = "watcher-test/"
_CONTAINERD_PID = "exec/containerd/containerd.pid"
_PROGRAMS = ("dockerd", "containerd", "runc", "docker-init", "iptables", "bash")
_START_SECONDS = 60
_SLOTS = 6
_BUILD_CACHE_BYTES = 2 * 10**9


class CannotRunHere(Exception):
    """This machine cannot run a private Docker engine; the message says what it lacks."""


def require_docker() -> None:
    """Raise CannotRunHere unless a daemon can be started here."""
    if os.geteuid() != 0:
        raise CannotRunHere("a private Docker daemon needs root")
    missing = [program for program in _PROGRAMS if _find(program) is None]
    if missing:
        raise CannotRunHere(f"not installed: {', '.join(missing)} (Debian: apt-get install docker.io)")


class PrivateDaemon:
    """One dockerd over `folder/data`. Everything that must have a short path (sockets) lies in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._data.mkdir(parents=True, exist_ok=True)
        self._run = Path(tempfile.mkdtemp(prefix="wt-"))
        self._log = folder / "dockerd.log"
        self._network = free_network()
        self._bridge = self._run.name[:15]
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: list[DockerClient] = []
        self._chains = chains_of(self._run.name)
        write_wrappers(self._run / "bin", self._chains)
        # not the machine's own; a registry at the gateway speaks plain HTTP, as one on loopback does
        (self._run / "daemon.json").write_text(json.dumps({"insecure-registries": [f"{self.gateway}/32"]}))

    @property
    def url(self) -> str:
        return f"unix://{self._run / 'sock'}"

    @property
    def gateway(self) -> str:
        """Return the address under which containers reach what runs on this machine."""
        return f"{self._network}.0.1"

    @property
    def environment(self) -> dict[str, str]:
        """Return what a child process needs to speak to this engine and to no other."""
        return {"DOCKER_HOST": self.url}

    def client(self, timeout: float = 60) -> "DockerClient":
        """Return a client of the SDK; its connections are closed by the next sweep, kill or stop."""
        from docker import DockerClient

        client = DockerClient(base_url=self.url, timeout=int(timeout))
        self._clients.append(client)
        return client

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        if self._bridge not in interfaces():
            add_bridge(self._bridge, self.gateway)
        (self._run / "pid").unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, start_new_session=True, env=self._own_environment()
            )
        self._wait_until_it_answers()

    def kill(self) -> None:
        """End daemon and containerd by SIGKILL, as a crash does. Containers go on running until the next start."""
        self._close_clients()
        containerd = self._containerd_pid()
        if self._process is not None:
            _end(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        if containerd is not None:
            _end(containerd, signal.SIGKILL)
            _wait_gone(containerd)
            # where nobody reaps it, the next daemon would take the dead process for a running containerd
            (self._run / _CONTAINERD_PID).unlink(missing_ok=True)

    def power_cut(self) -> None:
        """End daemon, containerd and every container at once, as a reboot does."""
        pids = self._container_pids()
        self.kill()
        for pid in (*self._shim_pids(), *pids):
            _end(pid, signal.SIGKILL)
        for pid in pids:
            _wait_gone(pid)

    def stop(self) -> None:
        """Stop for good and leave nothing behind but the data folder."""
        if self._process is not None:
            with contextlib.suppress(Exception):  # a daemon that does not answer is ended all the same
                self._remove_containers()
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
        self.kill()
        for pid in self._shim_pids():
            _end(pid, signal.SIGKILL)
        unmount_below(self._data)
        unmount_below(self._run)
        remove_rules(self._chains, self._bridge, f"{self._network}.")
        delete_bridge(self._bridge)
        shutil.rmtree(self._run, ignore_errors=True)

    def sweep(self) -> None:
        """Remove containers, networks, volumes, images but for the cached ones, and old layers of builds."""
        client = self.client()
        self._remove_containers()
        client.networks.prune()
        for volume in client.volumes.list():
            volume.remove(force=True)
        for image in client.images.list():
            names = [*image.tags, *(image.attrs.get("RepoDigests") or ())]  # the latter stay after a push
            _sweep_image(client, str(image.id), names, dict(image.labels))
        client.api.prune_builds(keep_storage=_BUILD_CACHE_BYTES, all=True)
        self._close_clients()

    def _close_clients(self) -> None:
        while self._clients:
            self._clients.pop().close()

    def _own_environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{self._run / 'bin'}:{_path()}"}

    def _command(self) -> list[str]:
        return [
            *("dockerd", "--config-file", str(self._run / "daemon.json"), "--host", self.url),
            *(
                "--data-root",
                str(self._data),
                "--exec-root",
                str(self._run / "exec"),
                "--pidfile",
                str(self._run / "pid"),
            ),
            *("--bridge", self._bridge, "--ip6tables=false"),
            *("--default-address-pool", f"base={self._network}.128.0/17,size=24"),
            *("--exec-opt", "native.cgroupdriver=cgroupfs", "--add-runtime", f"nvidia={_find('runc')}"),
        ]

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        ends = time.monotonic() + _START_SECONDS
        while time.monotonic() < ends:
            if self._process.poll() is not None:
                break
            if self._answers():
                return
            time.sleep(0.1)
        tail = self._log.read_text(errors="replace")[-2000:]
        self.stop()
        raise CannotRunHere(f"dockerd does not start here:\n{tail}")

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as asking, contextlib.suppress(OSError):
            asking.settimeout(5)
            asking.connect(str(self._run / "sock"))
            asking.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in asking.recv(64)
        return False

    def _remove_containers(self) -> None:
        from docker.errors import APIError

        client = self.client()
        for container in client.api.containers(all=True):
            with contextlib.suppress(APIError):
                client.api.remove_container(container["Id"], force=True, v=True)

    def _container_pids(self) -> list[int]:
        client = self.client()
        details = [client.api.inspect_container(row["Id"]) for row in client.api.containers()]
        return [int(detail["State"]["Pid"]) for detail in details if detail["State"]["Pid"]]

    def _containerd_pid(self) -> int | None:
        try:
            return int((self._run / _CONTAINERD_PID).read_text())
        except (OSError, ValueError):
            return None

    def _shim_pids(self) -> list[int]:
        return _pids_with(str(self._run / "exec/containerd/containerd.sock"))


@contextmanager
def private_daemon(folder: Path) -> Iterator[PrivateDaemon]:
    """Run a private Docker engine whose data lies in `folder`. Raises CannotRunHere."""
    require_docker()
    daemon = PrivateDaemon(folder)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


@contextmanager
def reused_folder() -> Iterator[Path]:
    """Lend a folder under CACHE in which base images stay from run to run; parallel runs get one each."""
    for slot in range(_SLOTS):
        folder = CACHE / "docker" / str(slot)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _end_leftovers(folder / "data")
            yield folder
            return
    raise CannotRunHere(f"all {_SLOTS} cached Docker folders are in use")


def unmount_below(folder: Path) -> None:
    """Unmount whatever a killed daemon left mounted in `folder`, innermost first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed(points):
        if point == str(folder) or point.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", point], check=False, capture_output=True)


def _end_leftovers(data: Path) -> None:
    """End the daemon of a test run that was itself killed; it is known by its data root."""
    for pid in _pids_with(f"--data-root\0{data}\0"):
        run = Path(_option(pid, "--exec-root") or "/nonexistent/exec")
        others = _pids_with(str(run / "containerd/"))
        for each in (pid, *others):
            _end(each, signal.SIGKILL)
        _wait_gone(pid)
        unmount_below(run)
        remove_rules(chains_of(run.parent.name), run.parent.name)
        delete_bridge(run.parent.name)
        shutil.rmtree(run.parent, ignore_errors=True)
    unmount_below(data)


def _sweep_image(client: "DockerClient", image_id: str, names: list[str], labels: dict[str, Any]) -> None:
    from docker.errors import APIError

    extra = [name for name in names if not name.startswith(CACHE_REPOSITORY)]
    with contextlib.suppress(APIError):
        if CACHED in labels and len(extra) < len(names):
            for name in extra:
                client.api.remove_image(name)
        else:
            client.api.remove_image(image_id, force=True)


def _find(program: str) -> str | None:
    return shutil.which(program, path=_path())


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _pids_with(text: str) -> list[int]:
    """Return the processes whose command line (arguments separated and ended by NUL) contains `text`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if text in (folder / "cmdline").read_bytes().decode(errors="replace"):
                found.append(int(folder.name))
    return [pid for pid in found if pid != os.getpid()]


def _option(pid: int, name: str) -> str | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        return words[words.index(name) + 1]
    return None


def _end(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _wait_gone(pid: int, seconds: float = 10) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and _is_alive(pid):
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def describe(client: "DockerClient") -> str:
    """Return what stands in the engine, for the message of a failing test."""
    rows = client.api.containers(all=True)
    return json.dumps(
        [{"name": row["Names"], "state": row["State"], "status": row["Status"]} for row in rows], indent=1
    )
