"""A trial container seen from inside: what the candidate could do to the device and to the outside."""

import json
import os
import resource
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from tests.host.contract import is_well, wait_for
from tests.host.docker_world import DockerWorld, device_section
from tests.real.docker import private_daemon, reused_folder
from tests.real.stub_engine import service_image, stub_image
from watcher.config.engines import Allow, Profile
from watcher.config.load import read_presets
from watcher.errors import CannotStart, HostError, Refused
from watcher.host.docker_host import DockerHost
from watcher.host.isolation import container_config, wants_outside
from watcher.host.names import TRIAL
from watcher.model.container import ContainerSpec, Mount
from watcher.trial.probing import probe_spec
from watcher.trial.seen import allowed_beyond

DAC_READ_SEARCH = 1 << 2
STATUS = """
import json
lines = dict(line.split(":") for line in open("/proc/self/status"))
print(json.dumps([lines[name].strip() for name in ("CapEff", "CapBnd", "NoNewPrivs")]))
"""


def test_the_root_is_read_only_and_the_named_places_are_not(docker: DockerWorld) -> None:
    code = """
for path in ("/root/x", "/etc/x", "/scratch/x"):
    try:
        open(path, "w"); print("wrote", path)
    except OSError as error:
        print(error.strerror)
import os
open("/scratch/run.sh", "w").write("#!/bin/sh\\necho executed\\n"); os.chmod("/scratch/run.sh", 0o755)
import subprocess; print(subprocess.run(["/scratch/run.sh"], capture_output=True, text=True).stdout)
"""
    said = docker.output(docker.script(code, writable=("/scratch",)))
    assert said.splitlines()[:3] == ["Read-only file system", "Read-only file system", "wrote /scratch/x"]
    assert "executed" in said


def test_the_only_capability_is_to_read_what_belongs_to_others(docker: DockerWorld, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_text("weights")
    os.chown(model, 12345, 12345)
    model.chmod(0o700)
    code = f"""{STATUS}
print(open("/models/weights").read())
try:
    open("/models/new", "w")
except OSError as error:
    print(error.strerror)
"""
    said = docker.output(docker.script(code, mounts=(Mount(str(model), "/models"),))).splitlines()
    assert set(json.loads(said[0])) == {f"{DAC_READ_SEARCH:016x}", "1"}
    assert said[1:] == ["weights", "Read-only file system"]


@pytest.fixture
def outside() -> Iterator[str]:
    """Run a server that is neither on this engine nor on this machine's own addresses, and return its address."""
    with reused_folder() as folder, private_daemon(folder) as other:
        client = other.client()
        service_image(client, "outside:1", health=False)
        client.containers.run("outside:1", detach=True, name="outside")
        yield client.api.inspect_container("outside")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]


def test_nothing_outside_is_reached_unless_the_profile_may(docker: DockerWorld, outside: str) -> None:
    docker.service("assistant")
    neighbour = docker.inspect("assistant")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    code = f"""
import socket
for address in ("{outside}", "{neighbour}"):
    try:
        socket.create_connection((address, 8080), 3)
        print("reached")
    except OSError:
        print("not reached")
try:
    socket.getaddrinfo("assistant.example", 80)
    print("resolved")
except OSError:
    print("no such name")
"""
    assert docker.output(docker.script(code)).splitlines() == ["not reached", "not reached", "no such name"]
    for spec in (docker.script(code, network="bridge"), docker.script(code, allow=("network",))):
        assert docker.output(spec).splitlines()[:2] == ["reached", "not reached"]


def test_a_probe_has_no_network_at_all(docker: DockerWorld) -> None:
    image = docker.spec().image
    asked = probe_spec(image, "import os; print(os.listdir('/sys/class/net'))", read_presets()["vllm"], "runc")
    assert docker.output(replace(asked, env={})) == "['lo']\n"
    assert docker.client.networks.list(names=[TRIAL]) == []


def test_what_a_profile_names_is_loosened_and_nothing_else(docker: DockerWorld) -> None:
    code = STATUS + "\nopen('/x','w'); print('wrote')"
    said = docker.output(docker.script(code, allow=("writable-root", "capabilities", "new-privileges")))
    privileges, wrote = said.splitlines()
    assert wrote == "wrote"
    assert json.loads(privileges)[2] == "0"
    assert f"{DAC_READ_SEARCH:016x}" not in privileges


LOOSENED = {
    "network": {"Dns", "DnsOptions"},  # and the network is no internal one
    "writable-root": {"ReadonlyRootfs", "Tmpfs"},
    "host-ipc": {"IpcMode"},
    "capabilities": {"CapAdd", "CapDrop"},
    "new-privileges": {"SecurityOpt"},
}


@pytest.mark.parametrize("name", get_args(Allow))
def test_each_name_loosens_exactly_what_it_says_and_the_report_shows_it(name: Allow) -> None:
    strict = ContainerSpec(image="i", entrypoint=("x",), writable=("/cache",))
    loose = replace(strict, allow=(name,), ipc="host" if name == "host-ipc" else None)
    before, after = (container_config(spec, "unix:///s") for spec in (strict, loose))
    held, now = before.pop("HostConfig"), after.pop("HostConfig")
    assert before == after
    assert {key for key in {*held, *now} if held.get(key) != now.get(key)} == LOOSENED[name]
    assert wants_outside(loose) == (name == "network")
    (shown,) = allowed_beyond(Profile(name="plain", allow=(name,)))
    assert f"profile plain ran with {name} allowed" in str(shown)


def test_it_sees_no_docker_socket_no_others_processes_and_no_disk(docker: DockerWorld) -> None:
    docker.service("assistant")
    code = """
import os, stat
print([path for path in ("/var/run/docker.sock", "/run/docker.sock") if os.path.exists(path)])
print(sorted(int(name) for name in os.listdir("/proc") if name.isdigit()) == sorted((1, os.getpid())))
print([name for name in os.listdir("/dev") if stat.S_ISBLK(os.stat(f"/dev/{name}").st_mode)])
try:
    os.mknod("/scratch/disk", stat.S_IFBLK | 0o600, os.makedev(7, 0)); print("made a disk")
except OSError as error:
    print(error.strerror)
"""
    said = docker.output(docker.script(code, writable=("/scratch",))).splitlines()
    assert said == ["[]", "True", "[]", "Operation not permitted"]


def test_known_limit_what_listens_on_the_gateways_address_is_seen(docker: DockerWorld) -> None:
    docker.host.start(docker.spec())
    (network,) = docker.client.networks.list(names=[TRIAL])
    network.reload()
    gateway = network.attrs["IPAM"]["Config"][0]["Gateway"]
    with socket.create_server((gateway, 0)) as listening:
        port = listening.getsockname()[1]
        code = f"import socket; socket.create_connection(('{gateway}', {port}), 5); print('reached')"
        ended, said = docker.client.containers.get(TRIAL).exec_run(["python3", "-c", code])
    assert (ended, said) == (0, b"reached\n")


def test_limits_shared_memory_and_init_are_set(docker: DockerWorld) -> None:
    spec = docker.spec(
        runtime="nvidia",
        shm_bytes=123 * 2**20,
        memory_bytes=256 * 2**20,
        ulimits={"nofile": 1000, "stack": 8_000_000},
        labels={"watcher.trial": "7"},
    )
    docker.host.start(spec)
    told = docker.inspect(TRIAL)
    held = told["HostConfig"]
    assert (held["Runtime"], held["ShmSize"], held["Memory"], held["MemorySwap"]) == (
        "nvidia",
        123 * 2**20,
        256 * 2**20,
        256 * 2**20,
    )
    assert held["Init"] is True
    assert 0 < held["PidsLimit"] <= 4096
    assert held["LogConfig"]["Config"]["max-size"]
    assert held["IpcMode"] == "private"
    assert held["RestartPolicy"]["Name"] == "no"
    assert {limit["Name"]: limit["Soft"] for limit in held["Ulimits"]} == {"nofile": 1000, "stack": 8_000_000}
    assert told["Config"]["Labels"]["watcher.trial"] == "7"


def test_an_engine_that_may_not_raise_limits_goes_without(docker: DockerWorld) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    spec = docker.script("print('runs')", ulimits={"nofile": 2**20 * 1024})  # more than the kernel gives anyone
    assert hard < 2**30
    assert docker.output(spec) == "runs\n"


def test_a_wrong_model_path_is_refused_and_not_created(docker: DockerWorld, tmp_path: Path) -> None:
    missing = tmp_path / "models"
    with pytest.raises(Refused, match=f"a mount's path does not exist on the device .*{missing}"):
        docker.host.start(docker.spec(mounts=(Mount(str(missing), "/models"),)))
    assert not missing.exists()
    docker.host.remove_trial()
    assert docker.client.networks.list(names=[TRIAL]) == []


@pytest.mark.parametrize("source", ["/var/run/docker.sock", "/var/run", "/", "/run", "/srv/engine/sock", "/srv"])
def test_the_docker_socket_is_never_handed_over(source: str) -> None:
    spec = ContainerSpec(image="i", entrypoint=("x",), mounts=(Mount(source, "/inside"),))
    with pytest.raises(Refused, match="Docker socket"):
        container_config(spec, "unix:///srv/engine/sock")


@pytest.mark.parametrize("source", ["models", "/models/../var/run"])
def test_a_mount_that_is_not_plainly_absolute_is_refused(source: str) -> None:
    with pytest.raises(Refused, match="absolute path"):
        container_config(ContainerSpec(image="i", entrypoint=("x",), mounts=(Mount(source, "/m"),)), "unix:///s")


@pytest.mark.parametrize("ipc", ["host", "container:other", "shared"])
def test_foreign_memory_must_be_allowed_by_name(ipc: str) -> None:
    with pytest.raises(Refused):
        container_config(ContainerSpec(image="i", entrypoint=("x",), ipc=ipc), "unix:///s")
    if ipc == "host":
        allowed = ContainerSpec(image="i", entrypoint=("x",), ipc=ipc, allow=("host-ipc",))
        assert container_config(allowed, "unix:///s")["HostConfig"]["IpcMode"] == "host"


def test_a_mount_takes_the_place_of_a_tmpfs_at_the_same_path() -> None:
    spec = ContainerSpec(image="i", entrypoint=("x",), writable=("/tmp", "/cache"), mounts=(Mount("/d", "/cache/"),))
    assert list(container_config(spec, "unix:///s")["HostConfig"]["Tmpfs"]) == ["/tmp"]


def test_a_runtime_that_docker_does_not_know_is_the_benchs_fault(docker: DockerWorld) -> None:
    with pytest.raises(HostError) as caught:
        docker.host.start(docker.spec(runtime="cuda-from-the-moon"))
    assert not isinstance(caught.value, CannotStart | Refused)


@pytest.mark.parametrize("content", [(b"#!/no/such/interpreter\n", 0o755), (b"#!/bin/sh\n", 0o644)])
def test_a_command_that_is_there_but_cannot_be_executed_is_the_candidates_fault(
    docker: DockerWorld, content: tuple[bytes, int]
) -> None:
    image = stub_image(docker.client, "stub/broken:1", "none", files={"/usr/local/bin/vllm": content})
    with pytest.raises(CannotStart, match="cannot be executed"):
        docker.host.start(docker.spec(image=image))


def test_a_command_that_a_mount_brings_is_not_missing(docker: DockerWorld, tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\necho from the mount\n")
    (tmp_path / "tool").chmod(0o755)
    spec = docker.spec(entrypoint=("/opt/tools/tool",), args=(), mounts=(Mount(str(tmp_path), "/opt/tools"),))
    assert docker.output(spec) == "from the mount\n"


def test_an_engine_that_has_ended_has_no_address_that_anything_could_answer(docker: DockerWorld) -> None:
    container = docker.host.start(docker.spec("exit0"))
    for _ in docker.host.follow(container):
        pass
    place = docker.host.address(container, 8000).removeprefix("http://").split(":")
    with socket.socket() as asking, pytest.raises(OSError, match=r"refused|assign"):
        asking.connect((place[0], int(place[1])))


def test_a_cgroup_out_of_memory_is_told(docker: DockerWorld) -> None:
    spec = docker.script("x = bytearray(300_000_000); print(len(x))", memory_bytes=64 * 2**20)
    container = docker.host.start(spec)
    for _ in docker.host.follow(container):
        pass
    state = docker.host.state(container)
    assert (state.exit_code, state.oom_killed) == (137, True)


def test_an_engine_that_ignores_the_signal_is_killed_after_the_grace(docker: DockerWorld) -> None:
    container = docker.host.start(docker.spec("ignore-term"))
    wait_for(lambda: is_well(docker.host.address(container, 8000)))
    state = docker.host.signal(container, grace_seconds=1)
    assert (state.running, state.exit_code) == (False, 137)


def test_a_running_trial_of_another_watcher_is_left_alone(docker: DockerWorld) -> None:
    section = device_section(docker.engine.url)
    mine = DockerHost(docker.engine.url, section, owner="/data/one")
    other = DockerHost(docker.engine.url, section, owner="/data/other")
    container = mine.start(docker.spec())
    with pytest.raises(Refused, match="another watcher") as caught:
        other.start(docker.spec())
    assert caught.value.retry_at is not None
    assert mine.state(container).running
    mine.start(docker.spec())  # its own older one is replaced
    mine.remove_trial()
    other.start(docker.spec())
    for host in (mine, other):
        host.close()


def test_removal_meets_a_start_that_is_half_done(docker: DockerWorld) -> None:
    spec = docker.spec()
    faults: list[Exception] = []

    def start() -> None:
        try:
            docker.host.start(spec)
        except HostError as error:
            faults.append(error)

    starting = threading.Thread(target=start)
    starting.start()
    for _ in range(30):
        docker.host.remove_trial()
    starting.join()
    docker.host.remove_trial()
    assert docker.client.containers.list(all=True) == []
    assert docker.client.networks.list(names=[TRIAL]) == []


def test_the_owner_is_told_when_the_engine_does_not_answer(tmp_path: Path) -> None:
    url = f"unix://{tmp_path / 'nobody'}"
    host = DockerHost(url, device_section(url))
    for asked in (host.facts, host.free_disk, host.remove_trial, lambda: host.state("x"), lambda: host.find_image("x")):
        with pytest.raises(HostError, match="does not answer"):
            asked()
