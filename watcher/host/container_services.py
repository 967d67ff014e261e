"""Displaced containers: stopped with Docker as the second guardian, started again, seen to stand as before.

Needs nothing but the engine and what was recorded, so that `restore` works without database and configuration.
"""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

from watcher.errors import HostError, RestoreFailed
from watcher.host.engine import Engine, asking, moment_of, name_of, reason_of
from watcher.host.examine import examine
from watcher.host.names import CREATED_AGAIN_LABEL
from watcher.host.networks import join_again, make_missing_networks
from watcher.host.paid import LEAST_STOP_SECONDS, is_paid
from watcher.host.port_owner import port_owner, taken_port
from watcher.host.recreate import command_to_run, create_body, endpoints
from watcher.model.container import OwedService
from watcher.model.trial import ServiceReport, ServiceState

_STEADY_SECONDS = 0.5
"""A container that ends right after its start was never back."""

Standing = Literal["itself", "again", "another"]
"""The container of the debt; one that was made again from its record; one that somebody put in its place."""


class ContainerServices:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def examine(self, service: str) -> tuple[OwedService, ...]:
        return examine(self._engine, service)

    def stop(self, owed: OwedService) -> None:
        """Keep its image, let Docker bring it back after a reboot, then stop it by its own signal and patience."""
        told = self._engine.container(owed.id)
        if told is None:
            raise HostError("the service was replaced before it was stopped", service=owed.service)
        if not told["State"]["Running"] and not told["State"].get("Restarting"):
            return
        api = self._engine.api
        with asking("the service could not be stopped", service=owed.service):
            self._keep_image(owed)
            self._update_policy(owed.id, {"Name": "always"})
            api.stop(owed.id, timeout=max(int(LEAST_STOP_SECONDS), int(told["Config"].get("StopTimeout") or 0)))

    def is_back(self, owed: OwedService) -> bool:
        standing = self._standing(owed)
        return standing is not None and bool(standing[1]["State"]["Running"])

    def may_be_ending(self, owed: OwedService) -> bool:
        """Return whether a stop that was ordered may be under way: Docker shows none before it has ended.

        The policy is changed just before the order, and the container has not been started since.
        """
        told = self._engine.container(owed.id)
        if told is None or not told["State"]["Running"]:
            return False
        is_unstarted: bool = told["State"]["StartedAt"] == owed.inspect["State"]["StartedAt"]
        return _policy(told)["Name"] == "always" and is_unstarted

    def start(self, owed: OwedService) -> ServiceReport:
        """Start it, or what stands in its place; make it again when it is gone. Raises RestoreFailed."""
        standing = self._standing(owed)
        if standing is None:
            return self._create_again(owed)
        kind, told = standing
        if not told["State"]["Running"]:
            if kind != "another" and self._lost_its_network(owed, told):
                return self._replace_cut_off(owed, told)
            with self._way_back(owed, "the service's network is gone and could not be made again"):
                make_missing_networks(self._engine, owed)
                join_again(self._engine, owed, told)
            self._start(owed, str(told["Id"]))
        elif kind != "another" and self._is_cut_off(owed, told):
            with self._way_back(owed, "the service could not be joined to its network again"):
                self._engine.api.restart(told["Id"])
        return ServiceReport(owed.service, _started_state(kind), _explained(kind, told, owed))

    def settle(self, owed: OwedService) -> ServiceReport:
        """Return how it stands; once it stands as before, give its own restart policy back and drop the kept tag."""
        standing = self._standing(owed)
        if standing is None:
            return ServiceReport(owed.service, ServiceState.DOWN, f"it is gone; run: {command_to_run(owed)}")
        kind, told = standing
        report = _report(owed, kind, told)
        if is_paid(owed, report):
            self._set_right(owed, told if kind == "itself" else None)
        return report

    # --- finding ----------------------------------------------------------------------------------------------------

    def _standing(self, owed: OwedService) -> tuple[Standing, dict[str, Any]] | None:
        """Return what stands for the service now; what runs goes before what is stopped."""
        itself = self._engine.container(owed.id)
        found: list[tuple[Standing, dict[str, Any]]] = [("itself", itself)] if itself else []
        found += [(_kind(owed, told), told) for told in self._others(owed, itself)]
        running = [each for each in found if each[1]["State"]["Running"]]
        return next(iter(running or found), None)

    def _others(self, owed: OwedService, itself: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
        """Yield containers in its place: of its name, then of the same compose project and service."""
        if itself is not None and name_of(itself) == owed.name and itself["State"]["Running"]:
            return
        named = self._engine.container(owed.name)
        if named is not None and named["Id"] != owed.id:
            yield named
        if owed.compose_project and owed.compose_service:
            labels = [
                f"com.docker.compose.project={owed.compose_project}",
                f"com.docker.compose.service={owed.compose_service}",
                f"com.docker.compose.container-number={_number(owed)}",
            ]
            with asking("the containers could not be listed"):
                rows = self._engine.api.containers(all=True, filters={"label": labels})
            for row in rows:
                told = self._engine.container(str(row["Id"]))
                if told is not None and told["Id"] != owed.id and not _is_one_off(told):
                    yield told

    # --- starting ---------------------------------------------------------------------------------------------------

    def _start(self, owed: OwedService, container: str) -> None:
        with self._way_back(owed, "the service could not be started"):
            self._engine.api.start(container)

    @contextlib.contextmanager
    def _way_back(self, owed: OwedService, what: str) -> Iterator[None]:
        """Raise RestoreFailed with what a person needs: the reason, who holds the port, the command to run."""
        from docker.errors import APIError

        try:
            with asking(what, service=owed.service):
                yield
        except RestoreFailed:
            raise
        except HostError as error:
            reason = reason_of(error.__cause__) if isinstance(error.__cause__, APIError) else None
            port = taken_port(reason or "")
            owner = None
            if port is not None:
                with contextlib.suppress(Exception):  # who it is only helps; that it is taken is known
                    owner = port_owner(self._engine.api, port)
                what = "the service could not be started: its port is taken meanwhile"
            fields = {**error.fields, "port": port, "taken_by": owner, "then_run": f"docker start {owed.name}"}
            raise RestoreFailed(what, **fields) from error

    def _create_again(self, owed: OwedService) -> ServiceReport:
        image = self._recorded_image(owed)
        if image is None:
            raise RestoreFailed("the service and its image are gone", service=owed.service, run=command_to_run(owed))
        api: Any = self._engine.api  # the stubs leave the call untyped
        with self._way_back(owed, "the service is gone and could not be made again"):
            volumes = frozenset(str(volume["Name"]) for volume in api.volumes()["Volumes"] or ())
            make_missing_networks(self._engine, owed)
            body = create_body(owed, image, volumes, self._network_of(owed))
            made = str(api.create_container_from_config(body, owed.name)["Id"])
            for network, endpoint in list(endpoints(owed).items())[1:]:
                api.connect_container_to_network(made, network, aliases=endpoint.get("Aliases"))
        self._start(owed, made)
        return ServiceReport(
            owed.service, ServiceState.RUNNING, "it was gone and was made again from what was recorded"
        )

    def _recorded_image(self, owed: OwedService) -> str | None:
        """Return a name of the very image that it ran, as it was called if that name still means it."""
        for name in (owed.image, owed.kept_tag, owed.image_id):
            told = self._engine.image(name) if name else None
            if told is not None and told["Id"] == owed.image_id:
                return name
        return None

    # --- living in another's network --------------------------------------------------------------------------------

    def _network_of(self, owed: OwedService) -> str | None:
        if owed.shares_network_of is None:
            return None
        told = self._engine.container(owed.shares_network_of)
        return str(told["Id"]) if told else None

    def _lost_its_network(self, owed: OwedService, told: dict[str, Any]) -> bool:
        """Return whether it is bound to a container that was replaced by another of the same name."""
        holder = self._network_of(owed)
        bound_to = str(told["HostConfig"]["NetworkMode"]).removeprefix("container:")
        return holder is not None and bound_to not in (holder, owed.shares_network_of)

    def _replace_cut_off(self, owed: OwedService, told: dict[str, Any]) -> ServiceReport:
        """Make it again in the new network; the old container stays under another name, with what it holds."""
        with self._way_back(owed, "the service could not be moved to its new network"):
            self._update_policy(str(told["Id"]), {"Name": "no"})
            self._engine.api.rename(told["Id"], f"{owed.name}-before-{str(told['Id'])[:12]}")
        return self._create_again(owed)

    def _is_cut_off(self, owed: OwedService, told: dict[str, Any]) -> bool:
        """Return whether the container whose network it shares was started after it: then it sees no network."""
        holder = self._engine.container(owed.shares_network_of) if owed.shares_network_of else None
        if holder is None or not holder["State"]["Running"]:
            return False
        return bool(moment_of(holder["State"]["StartedAt"]) > moment_of(told["State"]["StartedAt"]))

    # --- keeping and setting right ----------------------------------------------------------------------------------

    def _keep_image(self, owed: OwedService) -> None:
        from docker.errors import NotFound

        if owed.kept_tag is None:
            return
        repository, _, tag = owed.kept_tag.rpartition(":")
        with contextlib.suppress(NotFound):  # a container runs on without its image; then there is nothing to keep
            self._engine.api.tag(owed.image_id, repository, tag, force=True)

    def _set_right(self, owed: OwedService, itself: dict[str, Any] | None) -> None:
        with asking("the service is back, but its restart policy could not be given back", service=owed.service):
            if itself is not None and _policy(itself) != _named(owed.restart_policy):
                self._update_policy(str(itself["Id"]), _named(owed.restart_policy))
            self._drop_kept_tag(owed)

    def _update_policy(self, container: str, policy: dict[str, Any]) -> None:
        api: Any = self._engine.api  # the stubs know the policy's names only as constants
        api.update_container(container, restart_policy=policy)

    def _drop_kept_tag(self, owed: OwedService) -> None:
        """Remove the tag; where it is the last name of an image that nothing runs, the image would go with it."""
        from docker.errors import APIError

        told = self._engine.image(owed.kept_tag) if owed.kept_tag else None
        if told is None or owed.kept_tag is None:
            return
        names = [*(told.get("RepoTags") or ()), *(told.get("RepoDigests") or ())]
        in_use = self._engine.api.containers(filters={"ancestor": told["Id"]})
        if len(names) > 1 or in_use:
            with contextlib.suppress(APIError):
                self._engine.api.remove_image(owed.kept_tag, force=True, noprune=True)


def _kind(owed: OwedService, told: dict[str, Any]) -> Standing:
    return "again" if (told["Config"].get("Labels") or {}).get(CREATED_AGAIN_LABEL) == owed.id else "another"


def _started_state(kind: Standing) -> ServiceState:
    return ServiceState.REPLACED if kind == "another" else ServiceState.RUNNING


def _report(owed: OwedService, kind: Standing, told: dict[str, Any]) -> ServiceReport:
    state, before = told["State"], owed.inspect.get("State", {})
    if state.get("Restarting") and not before.get("Restarting"):
        return ServiceReport(
            owed.service, ServiceState.DOWN, f"it ends and is restarted, last with exit {state['ExitCode']}"
        )
    if not state["Running"]:
        why = str(state.get("Error") or "") or f"exit code {state['ExitCode']}"
        return ServiceReport(owed.service, ServiceState.DOWN, f"it does not run ({why}); docker start {name_of(told)}")
    if 0 <= (datetime.now(UTC) - moment_of(state["StartedAt"])).total_seconds() < _STEADY_SECONDS:
        return ServiceReport(owed.service, ServiceState.DOWN, "it was started a moment ago")
    message = _explained(kind, told, owed)
    if kind == "another":
        return ServiceReport(owed.service, ServiceState.REPLACED, message)
    health = (state.get("Health") or {}).get("Status")
    if health == "healthy":
        return ServiceReport(owed.service, ServiceState.HEALTHY, message)
    return ServiceReport(owed.service, ServiceState.RUNNING, message or _told_health(owed, health))


def _explained(kind: Standing, told: dict[str, Any], owed: OwedService) -> str:
    if kind == "again":
        return "it was gone and was made again from what was recorded"
    if kind == "another":
        return f"container {name_of(told)} ({str(told['Id'])[:12]}, {told['Config']['Image']}) stands in its place"
    return "" if owed.was_healthy is not False else "it was not healthy before the trial either"


def _told_health(owed: OwedService, health: str | None) -> str:
    return f"it runs, its health check says {health}" if owed.was_healthy and health else ""


def _number(owed: OwedService) -> str:
    labels = (owed.inspect.get("Config") or {}).get("Labels") or {}
    return str(labels.get("com.docker.compose.container-number", "1"))


def _is_one_off(told: dict[str, Any]) -> bool:
    """Return whether it came from `compose run`, which takes nobody's place."""
    return str((told["Config"].get("Labels") or {}).get("com.docker.compose.oneoff", "")).lower() == "true"


def _policy(told: dict[str, Any]) -> dict[str, Any]:
    return _named(told["HostConfig"].get("RestartPolicy") or {})


def _named(policy: Any) -> dict[str, Any]:
    """Return the policy with Docker's empty name spelled out; a count belongs to `on-failure` alone."""
    name = policy.get("Name") or "no"
    count = {"MaximumRetryCount": int(policy.get("MaximumRetryCount") or 0)} if name == "on-failure" else {}
    return {"Name": name, **count}
