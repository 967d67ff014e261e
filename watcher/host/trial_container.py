"""The trial container: made under its fixed name, followed, ended, removed with its network."""

import contextlib
import math
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from watcher.errors import CannotStart, HostError, Refused
from watcher.host.engine import ANSWER_SECONDS, Engine, asking, moment_of, reason_of
from watcher.host.image_files import remove_inspected
from watcher.host.isolation import container_config, wants_outside, without_ulimits
from watcher.host.names import OWNER_LABEL, TRIAL, TRIAL_LABEL
from watcher.host.own_container import network_holder, own_container
from watcher.model.container import ContainerSpec, ContainerState

if TYPE_CHECKING:
    from docker.errors import APIError

ENDED = "http://127.0.0.1:0"
"""Address of an engine that has none any more: port 0 never answers, while another port could be somebody else's."""
_NO_SUCH_MOUNT = re.compile(r"bind source path does not exist: (?P<path>.+?)$", re.M)
_CANDIDATES_FAULT = re.compile(
    r'exec: "[^"]+": (executable file not found|stat [^:]+: no such file|permission denied)|exec format error'
    r"|unable to find user|requirement error: unsatisfied condition",
    re.I,
)
"""The last: the image asks NVIDIA's runtime for a newer CUDA than the device has."""
_MAY_NOT_RAISE_LIMITS = "error setting rlimit"
_EXEC_FAILED = (126, 127)
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FIRST_LOOK_SECONDS = 0.1
_LEAVING = ("removing", "dead")
"""While somebody removes it by force, a container was killed and is still there for a moment."""
_REMOVAL_SECONDS = 30
_KILLED = 137
_MEMORY_SECONDS, _MEMORY_PAUSE = 2.0, 0.1
"""How long after an end Docker may still hear that the kernel killed for memory: it is told of both apart."""
_LAYING_SECONDS = 600


class TrialContainer:
    """Makes and removes the one container that a trial may have at a time.

    `owner` tells two watchers on one engine apart: a container of another owner that runs is left alone.
    """

    def __init__(self, engine: Engine, owner: str = "") -> None:
        self._engine = engine
        self._owner = owner

    def start(self, spec: ContainerSpec) -> str:
        """Return the id of the started container. Raises CannotStart, Refused or HostError."""
        config = container_config(spec, self._engine.url, self._owner)
        self._refuse_anothers()
        self.remove()
        if spec.network != "off":
            self._make_network(internal=not wants_outside(spec))
        container = self._create(config)
        self._refuse_missing_command(container, spec)
        self._lay(container, spec)
        if not self._start(container):
            self._remove_container(container)
            container = self._create(without_ulimits(config))
            self._lay(container, spec)
            self._start(container)
        self._look_once(container, spec)
        return container

    def follow(self, container: str) -> Iterator[bytes]:
        """Yield what the container writes, until it ends; over a connection of its own."""
        api = self._engine.connect(60)
        with contextlib.closing(api), asking("the trial container's log broke off", container=container[:12]):
            yield from api.logs(container, stream=True, follow=True, stdout=True, stderr=True)

    def state(self, container: str) -> ContainerState:
        told = self._engine.container(container)
        while told is not None and _may_lack_memory(told["State"], told["HostConfig"]):
            time.sleep(_MEMORY_PAUSE)
            told = self._engine.container(container)
        return _state_of(told)

    def address(self, container: str, port: int) -> str:
        """Return the URL by the container's own address; a watcher in a container joins the network for it."""
        told = self._engine.container(container)
        attached = (told or {}).get("NetworkSettings", {}).get("Networks", {}).get(TRIAL) or {}
        address = str(attached.get("IPAddress") or "")
        if not address:
            return ENDED
        self._join()
        return f"http://{address}:{port}"

    def signal(self, container: str, grace_seconds: float) -> ContainerState:
        """Ask it to end by its own signal, kill it after the grace, and return how it ended."""
        from docker.errors import NotFound

        with asking("the trial container could not be ended", container=container[:12]), contextlib.suppress(NotFound):
            self._engine.api.stop(container, timeout=math.ceil(grace_seconds))
        return _state_of(self._engine.container(container))  # who was killed by us lacked no memory

    def kill(self, container: str) -> None:
        """Send SIGKILL to the main process; with an init before it, the kernel ends the rest."""
        if not _state_of(self._engine.container(container)).running:
            return
        with asking("the trial container could not be killed", container=container[:12]):
            self._engine.api.kill(container, "SIGKILL")

    def remove(self) -> None:
        """Kill and remove whatever stands under the trial's name or label, then the network."""
        with asking("the trial container could not be removed"):
            remove_inspected(self._engine.api)
            for container in self._standing():
                self._remove_container(container)
            self._remove_volumes()
            self._remove_network()

    # --- making -----------------------------------------------------------------------------------------------------

    def _refuse_anothers(self) -> None:
        told = self._engine.container(TRIAL)
        if told is None or not told["State"]["Running"] or not self._owner:
            return
        owner = (told["Config"].get("Labels") or {}).get(OWNER_LABEL)
        if owner and owner != self._owner:
            again = datetime.now(UTC) + timedelta(minutes=30)
            raise Refused("another watcher runs a trial on this engine", retry_at=again, owner=owner)

    def _make_network(self, internal: bool) -> None:
        with asking("the trial's network could not be made"):
            self._engine.api.create_network(TRIAL, driver="bridge", internal=internal, labels={TRIAL_LABEL: ""})

    def _create(self, config: dict[str, Any]) -> str:
        from docker.errors import APIError

        with asking("the trial container could not be made", image=config["Image"]):
            api: Any = self._engine.api  # the stubs leave this call untyped
            try:
                return str(api.create_container_from_config(config, TRIAL)["Id"])
            except APIError as error:
                if missing := _NO_SUCH_MOUNT.search(reason_of(error)):
                    raise Refused("a mount's path does not exist on the device", path=missing["path"]) from error
                raise

    def _lay(self, container: str, spec: ContainerSpec) -> None:
        """Copy files into their volume, over a connection of its own: they may be many."""
        if (laid := spec.laid) is None:
            return
        with (
            contextlib.closing(self._engine.connect(_LAYING_SECONDS)) as api,
            asking("the files could not be laid into the trial container", container=container[:12]),
        ):
            api.put_archive(container, laid.target, laid.tar())

    def _start(self, container: str) -> bool:
        """Start it; False where this engine (a rootless one) may not raise limits, which a candidate can do without."""
        from docker.errors import APIError

        with asking("the trial container could not be started", container=container[:12]):
            try:
                self._engine.api.start(container)
            except APIError as error:
                if _MAY_NOT_RAISE_LIMITS in reason_of(error):
                    return False
                raise _judged(error) or error from None
        return True

    def _refuse_missing_command(self, container: str, spec: ContainerSpec) -> None:
        """Raise CannotStart when the image does not have the command.

        The init process is what Docker starts, so that a missing command would only show as exit code 127 later.
        """
        command, places = spec.entrypoint[0], self._places(spec)
        if places and not any(self._holds(container, path) for path in places):
            raise CannotStart("the image does not have the engine's command", command=command)

    def _holds(self, container: str, path: str) -> bool:
        api = self._engine.api
        with asking("the image could not be looked into", path=path):
            url = f"{api.base_url}/v{api.api_version}/containers/{container}/archive"
            return bool(
                api.head(url, params={"path": path}, timeout=ANSWER_SECONDS).status_code != HTTPStatus.NOT_FOUND
            )

    def _places(self, spec: ContainerSpec) -> tuple[str, ...]:
        """Return the paths at which the command may be; empty where that cannot be told."""
        command = spec.entrypoint[0]
        if "/" in command:
            paths: tuple[str, ...] = (command,) if command.startswith("/") else ()
        else:
            env = {**_pairs((self._engine.image(spec.image) or {}).get("Config") or {}), **spec.env}
            folders = (env.get("PATH") or _DEFAULT_PATH).split(":")
            paths = tuple(f"{folder.rstrip('/')}/{command}" for folder in folders if folder.startswith("/"))
        return () if any(_is_mounted(path, spec) for path in paths) else paths

    def _look_once(self, container: str, spec: ContainerSpec) -> None:
        """Raise CannotStart when the command could not be executed: the init process, or a shell, ends so at once."""
        ends = time.monotonic() + _FIRST_LOOK_SECONDS
        while (state := self.state(container)).running:
            if time.monotonic() > ends:
                return
            time.sleep(0.02)
        if state.exit_code in _EXEC_FAILED:
            with asking("the trial container's log could not be read"):
                said = bytes(self._engine.api.logs(container, tail=3)).decode(errors="replace").strip()
            raise CannotStart("the engine's command cannot be executed", command=spec.entrypoint[0], cause=said[-200:])

    # --- removing ---------------------------------------------------------------------------------------------------

    def _standing(self) -> list[str]:
        api = self._engine.api
        labelled = api.containers(all=True, filters={"label": TRIAL_LABEL})
        named = api.containers(all=True, filters={"name": f"^/?{TRIAL}$"})
        return list(dict.fromkeys(str(row["Id"]) for row in (*labelled, *named)))

    def _remove_container(self, container: str) -> None:
        """Remove it for certain: one that somebody else removes at this moment is waited for."""
        from docker.errors import APIError, NotFound

        ends = time.monotonic() + _REMOVAL_SECONDS
        while True:
            try:
                self._engine.api.remove_container(container, force=True, v=True)
                return
            except NotFound:
                return
            except APIError as error:
                if time.monotonic() > ends:
                    raise HostError("the trial container could not be removed", cause=reason_of(error)) from error
                time.sleep(0.1)

    def _remove_volumes(self) -> None:
        """Remove what a trial container left that somebody else removed without its volume."""
        from docker.errors import APIError

        for row in self._engine.api.volumes(filters={"label": TRIAL_LABEL, "dangling": True})["Volumes"] or ():
            with contextlib.suppress(APIError):
                self._engine.api.remove_volume(row["Name"])

    def _remove_network(self) -> None:
        from docker.errors import APIError, NotFound

        api = self._engine.api
        for row in api.networks(names=[TRIAL]):
            if row["Name"] != TRIAL:
                continue
            network = str(row["Id"])
            with contextlib.suppress(NotFound):
                for member in self._members(network):
                    with contextlib.suppress(APIError):
                        api.disconnect_container_from_network(member, network, force=True)
                api.remove_network(network)

    def _members(self, network: str) -> tuple[str, ...]:
        """Return who is in it; also a watcher that was killed: without the network it could not be started again."""
        api = self._engine.api
        stopped = [str(row["Id"]) for row in api.containers(all=True, filters={"network": network})]
        return tuple(dict.fromkeys([*(api.inspect_network(network).get("Containers") or {}), *stopped]))

    def _join(self) -> None:
        """Let the watcher's own container into the trial's network; it leaves when that is removed."""
        from docker.errors import APIError

        own = own_container(self._engine)
        if own is None or own["HostConfig"].get("NetworkMode") == "host":
            return
        holder = network_holder(self._engine, own)
        if TRIAL in holder["NetworkSettings"]["Networks"]:
            return
        with asking("the watcher's container could not join the trial's network"):
            try:
                self._engine.api.connect_container_to_network(holder["Id"], TRIAL)
            except APIError as error:
                if "already exists" not in reason_of(error):
                    raise


def _judged(error: "APIError") -> CannotStart | None:
    """Return whose fault a refused start is: the candidate's, or None for the bench's."""
    reason = reason_of(error)
    return (
        CannotStart("the engine's command cannot be executed", cause=reason)
        if _CANDIDATES_FAULT.search(reason)
        else None
    )


def _is_mounted(path: str, spec: ContainerSpec) -> bool:
    return any(f"{path}/".startswith(f"{mount.target.rstrip('/')}/") for mount in spec.mounts)


def _pairs(config: dict[str, Any]) -> dict[str, str]:
    return dict(entry.partition("=")[::2] for entry in config.get("Env") or ())


def _state_of(told: Mapping[str, Any] | None) -> ContainerState:
    if told is None:
        return ContainerState(exists=False)
    state = told["State"]
    running = bool(state["Running"])
    if not running and state["Status"] in _LEAVING:
        return ContainerState(exists=False)
    return ContainerState(
        exists=True,
        running=running,
        exit_code=None if running else int(state["ExitCode"]),
        oom_killed=bool(state["OOMKilled"]),
        error=str(state.get("Error") or ""),
    )


def _may_lack_memory(state: Mapping[str, Any], limits: Mapping[str, Any]) -> bool:
    """Return whether a container with a limit was killed this moment, and Docker may yet say that it was for memory."""
    if state["Running"] or state["OOMKilled"] or int(state["ExitCode"]) != _KILLED or not limits.get("Memory"):
        return False
    return abs((datetime.now(UTC) - moment_of(state["FinishedAt"])).total_seconds()) < _MEMORY_SECONDS
