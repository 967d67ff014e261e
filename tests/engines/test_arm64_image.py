"""The README's way with compose on an aarch64 machine: built for it, brought up there, and asked to look.

On another machine QEMU runs the container's programs; the engine beneath is this machine's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import tomli_w

from tests.engines.build import IMAGE_PYTHON
from tests.engines.test_compose_path import COMMANDS, WATCHER, jetson_files
from tests.engines.watcher_image import watcher_base
from tests.real.checkout import Checkout
from tests.real.docker import CannotRunHere, PrivateDaemon
from tests.real.emulation import emulated
from tests.real.registry import Registry, running_registry
from tests.real.scene import Scene

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

pytestmark = [pytest.mark.engines, pytest.mark.timeout(1800)]  # the first run makes the base image, all by QEMU

ARM64, REPOSITORY = "arm64", "llama_cpp"
OLD, NEW = (f"b{number}-r36.4-cu129-24.04" for number in (9016, 9020))
_LOADS_COMPILED = """
import importlib, pathlib, platform, sys, sysconfig
site = pathlib.Path(sysconfig.get_path("platlib"))
files = sorted(site.rglob("*.so"))
for file in files:
    place = file.relative_to(site)
    importlib.import_module(".".join((*place.parts[:-1], place.name.partition(".")[0])))
print(platform.machine(), ".".join(map(str, sys.version_info[:2])), len(files))
"""


@dataclass
class Device:
    checkout: Checkout
    registry: Registry
    client: "DockerClient"

    @property
    def watcher(self) -> "Container":
        return self.client.containers.get(WATCHER)

    def says(self, command: str) -> str:
        return self.checkout.run(f"docker compose exec watcher {command}")


@pytest.fixture(scope="module")
def device(docker_engine: PrivateDaemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """Bring the service up by the README's commands, on a device for which the image must be built for aarch64."""
    folder, client = tmp_path_factory.mktemp("arm64"), docker_engine.client(timeout=600)
    checkout = Checkout(docker_engine, folder / "checkout", jetson_files(folder / "jetson"))
    try:
        base = watcher_base(client, ARM64)
    except CannotRunHere as reason:
        pytest.skip(str(reason))
    checkout.environment |= {"PYTHON_IMAGE": base, "DOCKER_DEFAULT_PLATFORM": f"linux/{ARM64}"}
    with emulated(ARM64), running_registry(folder / "registry", address=docker_engine.gateway) as registry:
        registry.push(REPOSITORY, OLD)
        checkout.edited.write_text(edited_config(registry))
        assert "/config/config.toml: well; 1 source" in checkout.run(COMMANDS, seconds=900)
        yield Device(checkout, registry, client)
        docker_engine.sweep()


def edited_config(registry: Registry) -> str:
    source = {
        "name": "builds",
        "kind": "oci-tags",
        "image": f"{registry.host}/{REPOSITORY}",
        "registry_url": registry.url,
    }
    return tomli_w.dumps({"device": {"name": "orin-nx"}, "sources": [source]})


def test_the_image_is_for_aarch64_and_all_that_is_compiled_in_it_loads(device: Device) -> None:
    assert device.client.images.get("upstream-watcher").attrs["Architecture"] == ARM64
    machine, python, number = device.says(f"python -c '{_LOADS_COMPILED}'").split()
    assert (machine, python) == ("aarch64", IMAGE_PYTHON)
    assert int(number) > 10


def test_what_is_pushed_is_found_and_told(device: Device) -> None:
    device.registry.push(REPOSITORY, NEW, "newer")
    device.says("watcher check-now --no-trial")
    assert NEW in device.says("watcher events")
    assert "waits for an arm64 image for r36" in device.says("watcher status")


def test_doctor_sees_the_device_the_engine_and_the_source(device: Device) -> None:
    said = device.says("watcher doctor")
    for part in ("L4T 36.4.4", "docker.sock answers", "1 of 1 do well"):
        assert part in said, said


def test_the_service_is_healthy(device: Device) -> None:
    assert device.says("watcher healthcheck") == "healthy\n"
    Scene.wait_until(lambda: device.watcher.attrs["State"]["Health"]["Status"] == "healthy", 180)
    assert device.watcher.attrs["RestartCount"] == 0
