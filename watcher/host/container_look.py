"""One look at a container that runs: when it was started, what memory it holds, which programs run in it."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from watcher.host.engine import Engine, asking
from watcher.model.container import ContainerLook

_COLUMNS = "-eo pid,ppid,args"
_MOST_PROGRAMS = 50
_SHOWN = 120
_CACHE = ("inactive_file", "total_inactive_file")
"""What the kernel gives back when memory is short, in the words of either version of control groups."""


def look_at(engine: Engine, container: str) -> ContainerLook | None:
    """Return None where it does not run, or ended meanwhile. Raises HostError."""
    from docker.errors import APIError

    told = engine.container(container)
    if told is None or not told["State"]["Running"]:
        return None
    with asking("the trial container could not be looked at", container=container[:12]):
        try:
            held = engine.api.stats(container, stream=False, one_shot=True)
            rows = _processes(engine, container)
        except APIError as error:
            if error.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):  # it ended since
                return None
            raise
    started = f"{told['State']['StartedAt']} {told.get('RestartCount', 0)}"
    return ContainerLook(started, memory_in(held), programs_below(int(told["State"]["Pid"]), rows))


def memory_in(told: Mapping[str, Any]) -> int | None:
    """Return the bytes of Docker's figures without the cache that can be given back; None where there are none."""
    memory = told.get("memory_stats") or {}
    used, details = memory.get("usage"), memory.get("stats") or {}
    if not isinstance(used, int):
        return None
    cache = next((details[name] for name in _CACHE if isinstance(details.get(name), int)), 0)
    return max(0, used - cache)


def programs_below(main: int, rows: list[tuple[int, int, str]]) -> dict[int, str]:
    """Return the commands of a process and its descendants, by id, from rows of id, parent and command.

    What was brought into the container from outside, such as a health check, descends from another.
    """
    children: dict[int, list[int]] = {}
    for pid, parent, _ in rows:
        children.setdefault(parent, []).append(pid)
    commands = {pid: command[:_SHOWN] for pid, _, command in rows}
    below = list(_below(main, children))[:_MOST_PROGRAMS]
    return {pid: commands[pid] for pid in below if pid in commands}


def _below(main: int, children: Mapping[int, list[int]]) -> Iterator[int]:
    found, seen = [main], set()
    while found:
        if (pid := found.pop()) not in seen:
            seen.add(pid)
            yield pid
            found += children.get(pid, [])


def _processes(engine: Engine, container: str) -> list[tuple[int, int, str]]:
    """Return none where the device has no `ps` for Docker to ask."""
    from docker.errors import APIError

    try:
        rows = engine.api.top(container, ps_args=_COLUMNS)["Processes"] or ()
    except APIError as error:
        if error.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
            return []
        raise
    return [(int(pid), int(parent), command) for pid, parent, command in rows]
