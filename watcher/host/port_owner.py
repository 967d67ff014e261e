"""Who holds a port of the host, for the notice that a service cannot come back because of it."""

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker.api.client import APIClient

_TAKEN = (
    re.compile(r"Bind for \S*?:(\d+) failed: port is already allocated"),
    re.compile(r"listen (?:tcp|udp)\d? \S*?:(\d+): bind: address already in use"),
    re.compile(r":(\d+)\b.*(?:already in use|already allocated)"),
)
_LISTENING = "0A"


def taken_port(reason: str) -> int | None:
    """Return the port that Docker's error names as taken, None when it is about something else."""
    return next((int(match[1]) for pattern in _TAKEN if (match := pattern.search(reason))), None)


def port_owner(api: "APIClient", port: int, proc: Path = Path("/proc")) -> str | None:
    """Return the owner in words for a person, as far as it can be seen from here."""
    for row in api.containers():
        if any(published.get("PublicPort") == port for published in row.get("Ports") or ()):
            return f"container {row['Names'][0].removeprefix('/')}"
    return _process(port, proc)


def _process(port: int, proc: Path) -> str | None:
    sockets = {f"socket:[{inode}]" for inode in _inodes(port, proc)}
    if not sockets:
        return None
    for folder in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(str(link.readlink()) in sockets for link in (folder / "fd").iterdir()):
                return f"process {folder.name} ({(folder / 'comm').read_text().strip()})"
    return "a process that cannot be seen from here"


def _inodes(port: int, proc: Path) -> list[str]:
    found = []
    for name in ("net/tcp", "net/tcp6"):
        with contextlib.suppress(OSError):
            for line in (proc / name).read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == _LISTENING and int(words[1].rpartition(":")[2], 16) == port:
                    found.append(words[9])
    return found
