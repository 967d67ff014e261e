"""systemd's own command: questions and orders to the service manager of the machine, or of one account."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

from watcher.errors import HostError

_BOOTED = Path("/run/systemd/system")
"""Where systemd runs the machine; sd_booted(3)."""
_CONTAINER = Path("/.dockerenv")
_ANSWER_SECONDS = 20.0
_STOP_SECONDS = 600.0
"""The unit's own TimeoutStopSec ends it long before, and the deadline of the stage ends the wait."""


def why_no_systemd() -> str | None:
    """Return why no unit can be stopped or started from here, in words for a person; None where it can."""
    if _CONTAINER.exists() and not _BOOTED.is_dir():
        return "systemd units can be displaced only by a watcher that is installed on the host, and this is a container"
    if shutil.which("systemctl") is None or not _BOOTED.is_dir():
        return "systemd units can be displaced only where systemd runs the machine, and here it does not"
    return None


class Systemctl:
    """Speaks to the machine's manager, or to that of the account `user_id`; root may speak to anybody's."""

    def __init__(self, user_id: int | None) -> None:
        self._user_id = user_id

    @property
    def command(self) -> str:
        """Return how a person begins the same command."""
        return "systemctl" if self._user_id is None else "systemctl --user"

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Return properties of a unit; one that does not exist has LoadState `not-found`. Raises HostError."""
        wanted = [argument for name in names for argument in ("--property", name)]
        said = self._asked(_ANSWER_SECONDS, "show", *wanted, "--", unit)
        told = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        if missing := [name for name in names if name not in told]:
            raise HostError("systemd does not tell enough of the unit", unit=unit, missing=", ".join(missing))
        return told

    def running(self) -> dict[str, str]:
        """Return the services that run, each with its `ExecStart` as systemd tells it. Raises HostError."""
        listed = self._asked(
            _ANSWER_SECONDS, "list-units", "--type=service", "--state=running", "--no-legend", "--plain"
        )
        units = [line.split()[0] for line in listed.splitlines() if line.strip()]
        if not units:
            return {}
        said = self._asked(_ANSWER_SECONDS, "show", "--property", "Id", "--property", "ExecStart", "--", *units)
        tables = [dict(line.split("=", 1) for line in part.splitlines() if "=" in line) for part in said.split("\n\n")]
        return {table["Id"]: table.get("ExecStart", "") for table in tables if "Id" in table}

    def enabled(self, unit: str) -> bool:
        """Return whether the unit is started at each boot, or at each login of the account."""
        return self.show(unit, "UnitFileState")["UnitFileState"] == "enabled"

    def stop(self, unit: str) -> None:
        """Return when the unit has ended, by its own signal and patience. Raises HostError."""
        self._asked(_STOP_SECONDS, "stop", "--", unit)

    def begin(self, unit: str) -> None:
        """Order the start and do not wait for it. Raises HostError when systemd does not take the order."""
        self._asked(_ANSWER_SECONDS, "start", "--no-block", "--", unit)

    def forget_failures(self, unit: str) -> None:
        """Let a unit that failed too often be started again."""
        self._asked(_ANSWER_SECONDS, "reset-failed", "--", unit)

    def _asked(self, seconds: float, *arguments: str) -> str:
        scope = [] if self._user_id is None else ["--user"]
        command = ["systemctl", *scope, "--no-pager", "--no-ask-password", *arguments]
        try:
            done: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603  words of ours, and a unit's name
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
                **self._as_the_account(),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise HostError("systemctl could not be run", command=" ".join(command), cause=str(error)[:300]) from None
        if done.returncode != 0:
            raise HostError("systemd refused", command=" ".join(command), cause=done.stderr.strip()[-600:])
        return done.stdout

    def _as_the_account(self) -> dict[str, Any]:
        """Return how to call as the account: a service of the machine lacks what a login sets, and root becomes it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WATCHER_")}
        environment = {**kept, "LC_ALL": "C", "SYSTEMD_COLORS": "0"}
        if self._user_id is None:
            return {"env": environment}
        environment.pop("DBUS_SESSION_BUS_ADDRESS", None)
        environment["XDG_RUNTIME_DIR"] = f"/run/user/{self._user_id}"
        if self._user_id == os.geteuid():
            return {"env": environment}
        try:
            account = pwd.getpwuid(self._user_id)
        except KeyError:
            raise HostError("the account whose unit this is does not exist any more", user_id=self._user_id) from None
        environment |= {"HOME": account.pw_dir, "USER": account.pw_name}
        return {"env": environment, "user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
