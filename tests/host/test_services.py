"""Displaced services on a real engine: each row of DESIGN's table of what may be displaced and what becomes of it."""

import json
import time
import urllib.request
from pathlib import Path

import pytest

from tests.host.contract import wait_for
from tests.host.docker_world import DockerWorld, device_section
from tests.real.base_image import BASE
from tests.real.ports import free_port
from watcher.errors import HostError, Refused, RestoreFailed
from watcher.host.examine import _is_way_to_docker
from watcher.host.services_check import service_faults
from watcher.model.container import OwedService
from watcher.model.trial import ServiceReport, ServiceState

COMPOSE = {
    "com.docker.compose.project": "home",
    "com.docker.compose.service": "assistant",
    "com.docker.compose.container-number": "1",
    "com.docker.compose.oneoff": "False",
}


def displaced(docker: DockerWorld, service: str = "container:assistant") -> tuple[OwedService, ...]:
    """Stop the service with all that hangs on it, as a trial does."""
    services = docker.host.examine(service)
    for owed in reversed(services):
        docker.host.stop_service(owed)
    return services


def settled(docker: DockerWorld, owed: OwedService, state: ServiceState) -> ServiceReport:
    wait_for(lambda: docker.host.settle_service(owed).state is state)
    return docker.host.settle_service(owed)


# --- what may be stopped ----------------------------------------------------------------------------------------------


def test_a_container_that_would_be_deleted_is_refused(docker: DockerWorld) -> None:
    docker.service("assistant", remove=True)
    with pytest.raises(Refused, match="--rm"):
        docker.host.examine("container:assistant")


def test_a_paused_and_a_swarms_container_are_refused(docker: DockerWorld) -> None:
    docker.service("assistant", health=False)
    docker.client.containers.get("assistant").pause()
    with pytest.raises(Refused, match="paused"):
        docker.host.examine("container:assistant")
    docker.service("task", health=False, labels={"com.docker.swarm.service.id": "x"})
    with pytest.raises(Refused, match="swarm"):
        docker.host.examine("container:task")


@pytest.mark.parametrize("service", ["systemd:llama.service", "systemd-user:llama.service"])
def test_systemd_units_are_refused_where_systemd_does_not_run(docker: DockerWorld, service: str) -> None:
    with pytest.raises(Refused, match="systemd units can be displaced only"):
        docker.host.examine(service)


def test_a_stopped_container_owes_nothing(docker: DockerWorld) -> None:
    docker.service("assistant", health=False)
    docker.client.containers.get("assistant").stop(timeout=1)
    assert docker.host.examine("container:assistant") == ()


def test_the_beginning_of_an_id_is_no_name(docker: DockerWorld) -> None:
    container = docker.service("assistant", health=False)
    assert docker.host.examine(f"container:{container[:12]}") == ()


def test_the_way_to_docker_is_not_stopped(docker: DockerWorld) -> None:
    docker.service("socket-proxy", health=False, ports={"8080/tcp": ("127.0.0.1", 12375)})
    told = docker.inspect("socket-proxy")
    address = told["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    for url in ("tcp://socket-proxy:2375", f"http://{address}:2375", "tcp://127.0.0.1:12375", "tcp://localhost:12375"):
        assert _is_way_to_docker(told, url), url
    for url in ("tcp://127.0.0.1:2375", "tcp://other:2375", "unix:///var/run/docker.sock"):
        assert not _is_way_to_docker(told, url), url


def test_config_check_names_the_place_of_each_fault(docker: DockerWorld) -> None:
    docker.service("temporary", health=False, remove=True)
    docker.service("assistant", health=False)
    section = device_section(docker.engine.url)
    faults = service_faults(section, ("container:assistant", "container:temporary", "systemd:x"))
    assert [fault.partition(":")[0] for fault in faults] == ["trial.displace.1", "trial.displace.2"]
    silent = device_section("unix:///nowhere/docker.sock")
    assert service_faults(silent, ("container:assistant",)) == []


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_docker_becomes_the_second_guardian_before_the_stop(docker: DockerWorld) -> None:
    docker.service("assistant", restart_policy={"Name": "on-failure", "MaximumRetryCount": 3})
    (owed,) = displaced(docker)
    assert not docker.runs("assistant")
    assert docker.policy("assistant") == "always"
    assert "watcher-keep/assistant:trial" in docker.tags()
    assert owed.restart_policy == {"Name": "on-failure", "MaximumRetryCount": 3}
    docker.host.start_service(owed)
    settled(docker, owed, ServiceState.HEALTHY)
    assert docker.inspect("assistant")["HostConfig"]["RestartPolicy"] == owed.restart_policy
    assert "watcher-keep/assistant:trial" not in docker.tags()
    assert "assistant:1" in docker.tags()


def test_a_service_gets_the_time_it_needs_to_end(docker: DockerWorld) -> None:
    docker.service("assistant", health=False, env={"SERVICE_STOP_SECONDS": "12"})  # Docker alone waits for 10
    displaced(docker)
    assert b"saved" in docker.client.containers.get("assistant").logs()
    assert docker.inspect("assistant")["State"]["ExitCode"] == 0


def test_a_service_is_stopped_by_its_own_signal(docker: DockerWorld) -> None:
    program = "import signal,time; signal.signal(signal.SIGINT, lambda *a: exit(7)); time.sleep(1000)"
    docker.client.containers.run(BASE, ["python3", "-c", program], detach=True, name="assistant", stop_signal="SIGINT")
    docker.settle()
    displaced(docker)
    assert docker.inspect("assistant")["State"]["ExitCode"] == 7


def test_a_service_that_was_replaced_in_the_meantime_is_not_stopped(docker: DockerWorld) -> None:
    docker.service("assistant", health=False)
    (owed,) = docker.host.examine("container:assistant")
    docker.client.containers.get("assistant").remove(force=True)
    docker.service("assistant", health=False)
    with pytest.raises(HostError, match="replaced before it was stopped"):
        docker.host.stop_service(owed)
    assert docker.runs("assistant")


# --- the way back -----------------------------------------------------------------------------------------------------


def test_a_service_that_was_ill_before_is_owed_as_running_only(docker: DockerWorld) -> None:
    docker.service("assistant")
    docker.client.containers.get("assistant").exec_run(["touch", "/tmp/ill"])
    wait_for(lambda: docker.inspect("assistant")["State"]["Health"]["Status"] == "unhealthy")
    (owed,) = displaced(docker)
    assert owed.was_healthy is False
    docker.host.start_service(owed)
    report = settled(docker, owed, ServiceState.RUNNING)
    assert "not healthy before" in report.message
    assert docker.policy("assistant") == "no"


def test_a_service_is_not_back_before_its_health_is(docker: DockerWorld) -> None:
    docker.service("assistant", env={"SERVICE_WARM_UP": "4"})
    (owed,) = displaced(docker)
    docker.host.start_service(owed)
    docker.settle()
    report = docker.host.settle_service(owed)
    assert report.state is ServiceState.RUNNING
    assert docker.policy("assistant") == "always"
    settled(docker, owed, ServiceState.HEALTHY)
    assert docker.policy("assistant") == "no"


def test_a_service_that_ends_right_after_its_start_is_not_back(docker: DockerWorld) -> None:
    program = "import os,time; os.path.exists('/state/broken') and exit(3); time.sleep(1000)"
    docker.client.containers.run(
        BASE,
        ["python3", "-c", program],
        init=True,
        detach=True,
        name="assistant",
        volumes={"state": {"bind": "/state"}},
    )
    (owed,) = displaced(docker)
    docker.client.containers.run(BASE, ["touch", "/state/broken"], volumes={"state": {"bind": "/state"}}, remove=True)
    docker.host.start_service(owed)
    for _ in range(20):
        assert docker.host.settle_service(owed).state is ServiceState.DOWN
        time.sleep(0.1)


def test_a_replacement_of_the_same_name_pays_the_debt_and_is_told(docker: DockerWorld) -> None:
    docker.service("assistant")
    (owed,) = displaced(docker)
    docker.client.containers.get("assistant").remove()
    new = docker.service("assistant", restart_policy={"Name": "unless-stopped"})
    assert docker.host.is_back(owed)
    docker.host.start_service(owed)
    report = settled(docker, owed, ServiceState.REPLACED)
    assert new[:12] in report.message
    assert docker.policy("assistant") == "unless-stopped"


def test_a_replacement_of_the_same_compose_service_pays_the_debt(docker: DockerWorld) -> None:
    docker.service("home-assistant-1", health=False, labels=COMPOSE)
    (owed,) = displaced(docker, "container:home-assistant-1")
    docker.client.containers.get("home-assistant-1").remove()
    docker.service("one-off", health=False, labels={**COMPOSE, "com.docker.compose.oneoff": "True"})
    assert not docker.host.is_back(owed)
    docker.service("home_assistant_1", health=False, labels=COMPOSE)
    assert docker.host.is_back(owed)
    assert "home_assistant_1" in settled(docker, owed, ServiceState.REPLACED).message


def test_a_replacement_that_stands_stopped_is_started(docker: DockerWorld) -> None:
    docker.service("assistant", health=False)
    (owed,) = displaced(docker)
    docker.client.containers.get("assistant").remove()
    docker.client.containers.create("assistant:1", name="assistant")
    assert docker.host.start_service(owed).state is ServiceState.REPLACED
    settled(docker, owed, ServiceState.REPLACED)
    assert docker.runs("assistant")


def test_a_service_that_is_gone_is_made_again_as_it_was(docker: DockerWorld, tmp_path: Path) -> None:
    docker.client.networks.create("home")
    port = free_port()
    before = docker.service(
        "assistant",
        env={"SERVICE_NAME": "the assistant"},
        network="home",
        ports={"8080/tcp": ("127.0.0.1", port)},
        volumes={str(tmp_path): {"bind": "/config", "mode": "ro"}, "state": {"bind": "/state"}},
        restart_policy={"Name": "unless-stopped"},
        labels={"role": "assistant"},
        mem_limit="200m",
    )
    docker.client.networks.create("second")
    docker.client.networks.get("second").connect("assistant", aliases=["helper"])
    was = docker.inspect("assistant")
    (owed,) = displaced(docker)
    docker.client.containers.get("assistant").remove()
    for tag in docker.client.images.get(owed.image_id).tags:
        if tag != owed.kept_tag:  # which is what saves the image now
            docker.client.images.remove(tag)
    docker.client.images.prune()
    report = docker.host.start_service(owed)
    assert "made again" in report.message
    settled(docker, owed, ServiceState.HEALTHY)
    now = docker.inspect("assistant")
    assert now["Id"] != before
    assert now["Image"] == was["Image"]
    for key in ("Env", "Cmd", "Healthcheck"):
        assert now["Config"][key] == was["Config"][key], key
    for key in ("Binds", "PortBindings", "Memory", "RestartPolicy", "NetworkMode"):
        assert now["HostConfig"][key] == was["HostConfig"][key], key
    assert now["Config"]["Labels"].items() >= {"role": "assistant"}.items()
    assert now["NetworkSettings"]["Networks"].keys() == {"home", "second"}
    assert "helper" in now["NetworkSettings"]["Networks"]["second"]["Aliases"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        assert answer.read() == b"the assistant"
    docker.host.start_service(owed)
    assert docker.inspect("assistant")["Id"] == now["Id"]


def test_data_in_an_unnamed_volume_is_there_again(docker: DockerWorld) -> None:
    docker.client.containers.run(
        BASE, ["sh", "-c", "exec sleep 1000"], detach=True, name="assistant", volumes=["/data"], init=True
    )
    docker.client.containers.get("assistant").exec_run(["sh", "-c", "echo learned > /data/memory"])
    (owed,) = displaced(docker)
    docker.client.containers.get("assistant").remove(v=False)
    docker.host.start_service(owed)
    docker.settle()
    assert docker.client.containers.get("assistant").exec_run(["cat", "/data/memory"]).output == b"learned\n"


def test_without_container_and_image_a_person_is_told_what_to_run(docker: DockerWorld) -> None:
    labels = {**COMPOSE, "com.docker.compose.project.working_dir": "/home/me/my home"}
    docker.service("assistant", health=False, labels=labels)
    (owed,) = displaced(docker)
    docker.client.containers.get("assistant").remove()
    docker.client.images.remove(owed.image_id, force=True)
    with pytest.raises(RestoreFailed, match="cd '/home/me/my home' && docker compose -p home up -d assistant"):
        docker.host.start_service(owed)
    assert docker.host.settle_service(owed).state is ServiceState.DOWN


def test_a_port_that_was_taken_meanwhile_names_its_owner(docker: DockerWorld) -> None:
    port = free_port()
    docker.service("assistant", health=False, ports={"8080/tcp": ("127.0.0.1", port)})
    (owed,) = displaced(docker)
    docker.service("squatter", health=False, ports={"8080/tcp": ("127.0.0.1", port)})
    with pytest.raises(RestoreFailed, match=f"port is taken .*port={port}, taken_by=container squatter"):
        docker.host.start_service(owed)
    docker.client.containers.get("squatter").remove(force=True)
    docker.host.start_service(owed)
    settled(docker, owed, ServiceState.RUNNING)


def test_a_port_that_a_process_took_names_the_process(docker: DockerWorld) -> None:
    import os
    import socket

    port = free_port()
    docker.service("assistant", health=False, ports={"8080/tcp": ("127.0.0.1", port)})
    (owed,) = displaced(docker)
    with socket.socket() as taking:
        taking.bind(("127.0.0.1", port))
        taking.listen()
        with pytest.raises(RestoreFailed, match=f"taken_by=process {os.getpid()} "):
            docker.host.start_service(owed)


# --- living in another's network --------------------------------------------------------------------------------------


def test_what_lives_in_its_network_goes_and_comes_with_it_in_order(docker: DockerWorld) -> None:
    docker.service("assistant")
    docker.service("vpn-client", health=False, network_mode="container:assistant", env={"SERVICE_PORT": "9000"})
    services = displaced(docker)
    assert [owed.name for owed in services] == ["assistant", "vpn-client"]
    assert services[1].shares_network_of == "assistant"
    assert not docker.runs("vpn-client")
    for owed in services:
        docker.host.start_service(owed)
    settled(docker, services[0], ServiceState.HEALTHY)
    settled(docker, services[1], ServiceState.RUNNING)
    assert _reaches_assistant(docker)


def test_a_dependent_with_rm_keeps_the_service_from_being_displaced(docker: DockerWorld) -> None:
    docker.service("assistant", health=False)
    docker.service("shell", health=False, network_mode="container:assistant", env={"SERVICE_PORT": "9000"}, remove=True)
    with pytest.raises(Refused, match="shell"):
        docker.host.examine("container:assistant")


def test_a_dependent_that_was_cut_off_by_a_restart_is_joined_again(docker: DockerWorld) -> None:
    docker.service("assistant", health=False)
    docker.service("vpn-client", health=False, network_mode="container:assistant", env={"SERVICE_PORT": "9000"})
    services = docker.host.examine("container:assistant")
    docker.client.containers.get("assistant").restart(timeout=1)
    assert not _reaches_assistant(docker)
    for owed in services:
        docker.host.start_service(owed)
    assert _reaches_assistant(docker)


def test_a_dependent_moves_to_the_container_that_replaced_the_service(docker: DockerWorld) -> None:
    docker.service("assistant", health=False)
    old = docker.service("vpn-client", health=False, network_mode="container:assistant", env={"SERVICE_PORT": "9000"})
    services = displaced(docker)
    docker.client.containers.get("assistant").remove()
    docker.service("assistant", health=False)
    for owed in services:
        docker.host.start_service(owed)
    settled(docker, services[0], ServiceState.REPLACED)
    settled(docker, services[1], ServiceState.RUNNING)
    assert _reaches_assistant(docker)
    kept = docker.inspect(f"vpn-client-before-{old[:12]}")  # with what it wrote
    assert kept["State"]["Running"] is False
    assert kept["HostConfig"]["RestartPolicy"]["Name"] == "no"


def _reaches_assistant(docker: DockerWorld) -> bool:
    ask = "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/', timeout=2)"

    def tried() -> bool:
        return bool(docker.client.containers.get("vpn-client").exec_run(["python3", "-c", ask]).exit_code == 0)

    ends = time.monotonic() + 3
    while time.monotonic() < ends:
        if tried():
            return True
        time.sleep(0.2)
    return False


# --- the daemon itself ------------------------------------------------------------------------------------------------


def test_after_a_power_cut_docker_brings_the_service_back_without_us(docker: DockerWorld) -> None:
    docker.service("assistant", restart_policy={"Name": "unless-stopped"})
    (owed,) = displaced(docker)
    docker.engine.power_cut()
    docker.restart_engine()
    wait_for(lambda: docker.runs("assistant"))
    assert docker.host.is_back(owed)
    settled(docker, owed, ServiceState.HEALTHY)
    assert docker.policy("assistant") == "unless-stopped"
    docker.client.containers.get("assistant").stop()
    docker.engine.kill()
    docker.restart_engine()
    docker.settle()
    assert not docker.runs("assistant"), "its own policy holds again: stopped by hand, it stays down"


def test_what_is_owed_survives_being_written_as_json(docker: DockerWorld) -> None:
    docker.service("assistant", health=False)
    (owed,) = docker.host.examine("container:assistant")
    assert json.loads(json.dumps(dict(owed.inspect))) == owed.inspect
