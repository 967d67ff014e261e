"""The README's way with compose, as a newcomer goes it: from a checkout to a trial of a real engine that was told.

The commands are read out of the page. What an upstream does in between is a push of the test's.
"""

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w

from tests.engines.gguf_model import write_model
from tests.engines.llama_image import MODEL, SITE, llama_image
from tests.engines.watcher_image import PYTHON_IMAGE, watcher_base
from tests.main_loop.test_config_init import RELEASE
from tests.page.reading import Page
from tests.places import CHECKOUT
from tests.real.browser import dom_of
from tests.real.checkout import Checkout, block_after
from tests.real.docker import PrivateDaemon
from tests.real.registry import Registry, running_registry
from tests.real.scene import ASSISTANT, Scene, scene_with
from tests.real.smtp import SmtpServer, running_smtp, text_of

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]  # the first run makes the base image

COMMANDS = block_after((CHECKOUT / "README.md").read_text(), "As a container, in a checkout")
BASELINE, NEW, NEWER = (f"b{number}-r36.4-cu129-24.04" for number in (9016, 9020, 9031))
WATCHER, TOKEN = "watcher", "the-token-of-the-page"
ADDS_AT_MOST = 150_000_000
"""What the image may add to its base, in bytes."""
_HALF_AN_HOUR_PASSED = """
import sqlite3
from datetime import UTC, datetime, timedelta
with sqlite3.connect("/data/watcher.db", timeout=60) as database:
    earlier = (datetime.now(UTC) - timedelta(minutes=31)).isoformat(timespec="microseconds")
    database.execute("update notices set created_at = ? where kind = 'plan'", [earlier])
"""


@dataclass
class Device:
    """A device on which the service was brought up, with an upstream and a mailbox."""

    scene: Scene
    checkout: Checkout
    registry: Registry
    mail: SmtpServer
    client: "DockerClient"

    @property
    def watcher(self) -> "Container":
        return self.client.containers.get(WATCHER)

    @property
    def repository(self) -> str:
        return f"{self.registry.host}/llama_cpp"

    def push(self, tag: str) -> None:
        """Show a new build upstream; this device does not have it."""
        name = f"{self.repository}:{tag}"
        llama_image(self.client, name, BUILD=tag)
        for line in self.client.api.push(self.repository, tag=tag, stream=True, decode=True):
            assert "error" not in line, line
        self.client.images.remove(name, force=True)

    def wait_until(self, holds: Callable[[], bool], seconds: float) -> None:
        try:
            self.scene.wait_until(holds, seconds)
        except AssertionError:
            print(self.log())  # a test that fails shows what the service said
            raise

    def let_it_be_found_and_announced(self, tag: str) -> None:
        self.push(tag)
        self.wait_until(lambda: len(self.mails(tag, f"container:{ASSISTANT} will be away")) == 1, 180)
        assert self.trials(tag) == [], "people have half an hour to leave it out"

    def let_half_an_hour_pass(self) -> None:
        """Make the announcement older by as much; all that follows the service does by itself."""
        self.run("python", "-c", _HALF_AN_HOUR_PASSED)

    def run(self, *command: str) -> str:
        """Run a command in the watcher's container and return what it said."""
        code, said = self.watcher.exec_run(list(command))
        assert code == 0, said
        assert isinstance(said, bytes)
        return said.decode()

    def trials(self, tag: str) -> list[dict[str, Any]]:
        listed = json.loads(self.run("watcher", "trials", "--json"))["trials"]
        return [trial for trial in listed if tag in trial["image"]]

    def mails(self, tag: str, words: str) -> list[str]:
        texts = [text_of(message) for message in self.mail.messages]
        return [text for text in texts if tag in text and words in text]

    def log(self) -> str:
        return self.watcher.logs().decode()

    def let_rounds_pass(self, number: int) -> None:
        """Wait until the service has ended so many rounds more: it had its chance to say something twice."""
        before = self.log().count(" round: ")
        self.wait_until(lambda: self.log().count(" round: ") >= before + number, 180)

    def page(self) -> Page:
        """Return the page as a browser shows it to somebody who has the token."""
        (published, *_) = self.watcher.attrs["NetworkSettings"]["Ports"]["8787/tcp"]
        return Page(dom_of(f"http://127.0.0.1:{published['HostPort']}/?token={TOKEN}"))

    def assert_all_is_as_before(self) -> None:
        volume = self.client.volumes.get("checkout_data")
        self.scene.table["store"]["data_dir"] = volume.attrs["Mountpoint"]
        self.scene.assert_all_is_as_before(beside=(WATCHER,))


def edited_config(device: Device, packages: Path) -> str:
    """Return what a person writes into config.toml, with times that do not make a test wait."""
    source = {
        "name": "builds",
        "kind": "oci-tags",
        "image": device.repository,
        "registry_url": device.registry.url,
        "architecture": "amd64",
    }
    engine = {
        "images": [device.repository],
        "model": MODEL,
        "mounts": [f"{packages}:{SITE}", f"{device.scene.folder / 'models'}:/models"],
    }
    table = {
        "device": {"name": "orin-nx", "architecture": "amd64"},
        "schedule": {"every": "3s", "jitter": "0s", "window": "any"},
        "trial": {"engine": "llama-cpp", "displace": [f"container:{ASSISTANT}"], "cool_down": "0s"},
        "engines": {"llama-cpp": engine},
        "acceptance": {"soak": "20s"},
        "notify": {"urls": [device.mail.url]},
        "page": {"serve": True, "listen": "0.0.0.0:8787", "token": TOKEN},
        "sources": [source],
    }
    return tomli_w.dumps(table)


def publish_the_page(compose: Path) -> None:
    """Do as docs/monitoring.md says, on a free port."""
    text = compose.read_text()
    assert text.count("    restart: always\n") == 1
    compose.write_text(text.replace("    restart: always\n", '    restart: always\n    ports: ["127.0.0.1:0:8787"]\n'))


def jetson_files(root: Path) -> Path:
    for place in ("etc", "proc/device-tree"):
        (root / place).mkdir(parents=True)
    (root / "etc/nv_tegra_release").write_text(RELEASE)
    (root / "proc/device-tree/model").write_text("NVIDIA Jetson Orin NX Engineering Reference Developer Kit\0")
    return root


@pytest.fixture(scope="module")
def device(docker_engine: PrivateDaemon, packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """Bring the service up by the README's commands, on a device whose assistant runs; upstream has one build.

    The checkout's folder names the network and the volume.
    """
    folder, there = tmp_path_factory.mktemp("device"), docker_engine.gateway
    client = docker_engine.client(timeout=300)
    checkout = Checkout(docker_engine, folder / "checkout", jetson_files(folder / "jetson"))
    with running_registry(folder / "registry", address=there) as registry, running_smtp(host=there) as mail:
        device = Device(scene_with(docker_engine, folder, [], []), checkout, registry, mail, client)
        write_model(folder / "models" / "m.gguf")
        device.scene.start_assistant()
        device.push(BASELINE)
        publish_the_page(checkout.folder / "compose.yaml")
        checkout.edited.write_text(edited_config(device, packages))
        checkout.environment["PYTHON_IMAGE"] = watcher_base(client)
        said = checkout.run(COMMANDS, seconds=600)
        assert "automatic trials are on: any time" in said
        assert device.trials(BASELINE) == [], "what was there before is no news"
        yield device
    docker_engine.sweep()


def test_the_image_holds_nothing_of_what_was_edited(device: Device) -> None:
    assert TOKEN in device.run("cat", "/config/config.toml")
    shipped = "from watcher.config.place import shipped; print(shipped('config.toml').read_text(), end='')"
    assert device.run("python", "-c", shipped) == (CHECKOUT / "config.toml").read_text()
    assert device.watcher.exec_run(["grep", "-rlaF", TOKEN, "/opt"]).exit_code == 1


def test_a_new_build_is_found_tried_told_and_shown(device: Device) -> None:
    began = device.scene.assistant()["State"]["StartedAt"]
    device.let_it_be_found_and_announced(NEW)
    device.let_half_an_hour_pass()
    device.wait_until(lambda: bool(device.mails(NEW, "Given back")), 400)

    (trial,) = device.trials(NEW)
    assert (trial["outcome"], trial["bring_up"], trial["displaced"]) == ("verdict", "works", [f"container:{ASSISTANT}"])
    assert (trial["device_state"]["l4t"], trial["owed"]) == ("36.4.4", [])
    assert device.scene.assistant()["State"]["StartedAt"] != began, "it was away"
    device.assert_all_is_as_before()
    (text,) = device.mails(NEW, "Given back")
    assert f"llama.cpp works on orin-nx with {device.repository}:{NEW}" in text
    assert "a tool call worked" in text
    page = device.page()
    assert page.faults == []
    assert f"llama.cpp works on orin-nx with {device.repository}:{NEW}" in page.text
    assert "Trial 1" in page.text
    said = device.checkout.run("docker compose exec watcher watcher status")  # in a shell of another day
    assert f"llama.cpp works on orin-nx with {device.repository}:{NEW}" in said
    device.wait_until(lambda: device.watcher.attrs["State"]["Health"]["Status"] == "healthy", 180)


def test_killed_in_the_middle_of_a_trial_it_gives_back_and_tells_once(device: Device) -> None:
    device.let_it_be_found_and_announced(NEWER)
    soaks = device.log().count("stage soak")
    device.let_half_an_hour_pass()
    device.wait_until(lambda: device.log().count("stage soak") > soaks, 300)
    os.kill(device.watcher.attrs["State"]["Pid"], signal.SIGKILL)  # as the kernel does where memory is short
    device.wait_until(lambda: bool(device.mails(NEWER, "Given back")), 180)
    assert device.watcher.attrs["RestartCount"] == 1, "Docker started it again"

    device.let_rounds_pass(2)
    (trial,) = device.trials(NEWER)
    assert (trial["outcome"], trial["failed_stage"], trial["owed"]) == ("bench", "soak", [])
    (text,) = device.mails(NEWER, "Given back")
    assert "the watcher was ended in stage soak, without a chance to finish" in text
    assert len(device.mails(NEWER, "will be away")) == 1
    device.assert_all_is_as_before()


def test_what_the_image_adds_to_its_base_is_told(device: Device) -> None:
    whole, base = (int(device.client.images.get(name).attrs["Size"]) for name in ("upstream-watcher", PYTHON_IMAGE))
    print(f"{(whole - base) / 1e6:.0f} MB on a base of {base / 1e6:.0f} MB")
    assert whole - base < ADDS_AT_MOST
    assert f"{ADDS_AT_MOST // 10**6} MB" in (CHECKOUT / "docs" / "operations.md").read_text()
