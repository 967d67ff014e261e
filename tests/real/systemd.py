"""A machine that systemd runs: a container of the private engine whose first process it is, with our code in it."""

import json
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.places import CHECKOUT
from tests.real.base_image import systemd_image
from tests.real.docker import PrivateDaemon

if TYPE_CHECKING:
    from docker.models.containers import Container

ACCOUNT = "jetson"
_BOOT_SECONDS = 90
_SERVICE = """
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy={target}
"""


class SystemdMachine:
    """The machine; `account` has a service manager of its own, as with `loginctl enable-linger`."""

    def __init__(self, container: "Container") -> None:
        self._container = container

    def run(self, *command: str, user: str = "root", check: bool = True) -> str:
        """Run a command in the machine and return what it said."""
        code, said = self.told(*command, user=user)
        assert code == 0 or not check, f"{command}: exit {code}\n{said}"
        return said

    def told(self, *command: str, user: str = "root") -> tuple[int, str]:
        """Run a command in the machine and return its exit code and what it said."""
        runtime = f"/run/user/{1000 if user == ACCOUNT else 0}"
        code, output = self._container.exec_run(
            list(command), user=user, environment={"XDG_RUNTIME_DIR": runtime, "PYTHONPATH": "/site:/code"}
        )
        return int(code or 0), str(output, "utf-8", "replace") if isinstance(output, bytes) else ""

    def python(self, code: str, user: str = "root") -> Any:
        """Run a piece of Python with the watcher's code in the machine; return the JSON that it prints last."""
        said = self.run("python3", "-W", "error", "-c", code, user=user)
        return json.loads(said.splitlines()[-1])

    def unit(self, name: str, text: str | None = None, enable: bool = True, start: bool = True) -> None:
        """Write a unit of the machine."""
        self._unit("/etc/systemd/system", name, text or _SERVICE.format(target="multi-user.target"))
        self._bring_up(("systemctl",), "root", name, enable, start)

    def user_unit(self, name: str, text: str | None = None, enable: bool = True, start: bool = True) -> None:
        """Write a unit of the account."""
        self._unit("/etc/systemd/user", name, text or _SERVICE.format(target="default.target"))
        self._bring_up(("systemctl", "--user"), ACCOUNT, name, enable, start)

    def state(self, unit: str, of_account: bool = False) -> str:
        """Return the unit's ActiveState."""
        command = ["systemctl", *(["--user"] if of_account else []), "is-active", unit]
        return self.run(*command, user=ACCOUNT if of_account else "root", check=False).strip()

    def reboot(self) -> None:
        self._container.restart(timeout=20)
        self.wait_until_up()

    def wait_until_up(self) -> None:
        ends = time.monotonic() + _BOOT_SECONDS
        while self._manager() not in ("running", "degraded") or self._manager(of_account=True) != "running":
            assert time.monotonic() < ends, f"systemd does not come up: {self._manager()}\n{self._journal()}"
            time.sleep(0.3)

    def _manager(self, of_account: bool = False) -> str:
        command = ["systemctl", *(["--user"] if of_account else []), "is-system-running"]
        try:
            return self.run(*command, user=ACCOUNT if of_account else "root", check=False).strip()
        except Exception as error:  # noqa: BLE001  the container restarts: it answers in a moment
            return str(error)

    def _journal(self) -> str:
        return self.run("journalctl", "--no-pager", "-n", "40", check=False) + self._container.logs().decode()[-2000:]

    def _unit(self, folder: str, name: str, text: str) -> None:
        self.run("/bin/sh", "-c", f"mkdir -p {folder} && cat > {folder}/{name} <<'END'\n{text}\nEND")

    def _bring_up(self, systemctl: tuple[str, ...], user: str, name: str, enable: bool, start: bool) -> None:
        self.run(*systemctl, "daemon-reload", user=user)
        if enable:
            self.run(*systemctl, "enable", name, user=user)
        if start:
            self.run(*systemctl, "start", name, user=user)


@contextmanager
def systemd_machine(engine: PrivateDaemon, more: Mapping[str, Any] | None = None) -> Iterator[SystemdMachine]:
    """Boot such a machine; `/site` has the installed packages, `/code` the checkout, `/engine` the engine's socket."""
    client = engine.client()
    socket = Path(engine.url.removeprefix("unix://"))
    places = {
        sysconfig.get_path("purelib"): "/site",
        str(CHECKOUT / "watcher"): "/code/watcher",
        str(CHECKOUT / "migrations"): "/code/migrations",
        str(CHECKOUT / "deploy" / "systemd"): "/code/systemd",
        str(socket.parent): "/engine",
    }
    container = client.containers.run(
        systemd_image(client),
        ["/sbin/init"],
        name="machine",
        detach=True,
        environment={"container": "docker"},
        tmpfs={"/run": "", "/run/lock": ""},
        volumes={
            **{source: {"bind": target, "mode": "ro"} for source, target in places.items()},
            "/sys/fs/cgroup": {"bind": "/sys/fs/cgroup", "mode": "rw"},
        },
        **(more or {}),
    )
    machine = SystemdMachine(container)
    try:
        machine.run("useradd", "--create-home", "--uid", "1000", ACCOUNT)
        machine.run("mkdir", "-p", "/var/lib/systemd/linger")
        machine.run("touch", f"/var/lib/systemd/linger/{ACCOUNT}")
        machine.reboot()
        yield machine
    finally:
        container.remove(force=True)
