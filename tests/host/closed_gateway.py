"""Said from inside a network namespace of its own: who is reached before and after a line closes the device to trials.

`python -m tests.host.closed_gateway LINE FOLDER` prints as JSON what was reached before and after the line was run.
The line may name all bridges of Docker: in this namespace there is no engine but the private one.
"""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from docker.models.containers import Container

from tests.host.contract import is_well, wait_for
from tests.host.docker_world import DockerWorld
from tests.real.bridge import bring_up
from tests.real.docker import private_daemon
from watcher.host.names import TRIAL

NEIGHBOURS = "neighbours"
_ASK = "import socket; socket.create_connection(({address!r}, {port}), 3)"


def reached_before_and_after(line: str, folder: Path) -> dict[str, dict[str, bool]]:
    bring_up("lo")
    with private_daemon(folder) as engine, somebody_listening() as port:
        engine.sweep()
        world = DockerWorld(engine)
        try:
            address = world.host.address(world.host.start(world.spec()), 8000)
            wait_for(lambda: is_well(address))
            world.client.networks.create(NEIGHBOURS)
            world.service("first", network=NEIGHBOURS, ports={"8080/tcp": ("127.0.0.1", 0)})
            world.service("second", network=NEIGHBOURS)
            world.service("plain")
            before = reached(world, address, port)
            subprocess.run(["bash", "-euc", line], check=True)
            return {"before": before, "after": reached(world, address, port)}
        finally:
            world.host.close()
            engine.sweep()


def reached(world: DockerWorld, engine: str, port: int) -> dict[str, bool]:
    first, plain, trial = (world.client.containers.get(name) for name in ("first", "plain", TRIAL))
    (published, *_) = world.inspect("first")["NetworkSettings"]["Ports"]["8080/tcp"]
    return {
        "device from a trial": asks(trial, gateway_of(world, TRIAL), port),
        "device from a network of Docker": asks(first, gateway_of(world, NEIGHBOURS), port),
        "device from the default bridge": asks(plain, world.engine.gateway, port),
        "engine from the watcher": is_well(engine),
        "neighbour by its name": asks(first, "second", 8080),
        "published port": is_well(f"http://127.0.0.1:{published['HostPort']}"),
    }


def gateway_of(world: DockerWorld, network: str) -> str:
    return str(world.client.api.inspect_network(network)["IPAM"]["Config"][0]["Gateway"])


def asks(container: Container, address: str, port: int) -> bool:
    return container.exec_run(["python3", "-c", _ASK.format(address=address, port=port)]).exit_code == 0


@contextmanager
def somebody_listening() -> Iterator[int]:
    """Be a service of the device that listens on all of its addresses, and yield its port."""
    with socket.create_server(("0.0.0.0", 0), backlog=64) as listening:
        threading.Thread(target=_take_all, args=(listening,), daemon=True).start()
        yield int(listening.getsockname()[1])


def _take_all(listening: socket.socket) -> None:
    while True:
        try:
            listening.accept()[0].close()
        except OSError:
            return


if __name__ == "__main__":
    print(json.dumps(reached_before_and_after(sys.argv[1], Path(sys.argv[2]))))
