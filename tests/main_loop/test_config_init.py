"""`config init` on a device with a real engine: what it writes is right here, and what is there already stays."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.host.docker_world import DockerWorld
from tests.host.inside import ENVIRONMENT, PLACES, bound, socket_of
from tests.places import CHECKOUT
from tests.real.base_image import BASE, base_image
from tests.real.docker import PrivateDaemon
from tests.real.stub_engine import service_image, stub_image
from watcher.config.load import load_settings
from watcher.config.settings import Settings

if TYPE_CHECKING:
    from docker.models.containers import Container

TAG = "local/vllm:0.32.0-r36.4-cu129-24.04"
RELEASE = (
    "# R36 (release), REVISION: 4.4, GCID: 41062509, BOARD: generic, EABI: aarch64, DATE: Mon Jun 16 16:07:13 UTC 2025"
)


class Desk:
    """A folder in which somebody begins, on a machine whose files are a Jetson's."""

    def __init__(self, engine: PrivateDaemon, folder: Path) -> None:
        self.engine, self.folder, self.root = engine, folder / "desk", folder / "jetson"
        self.folder.mkdir()
        for name, text in {
            "etc/nv_tegra_release": RELEASE,
            "etc/hostname": "orin-nx\n",
            "etc/timezone": "Europe/Berlin\n",
            "proc/device-tree/model": "NVIDIA Jetson Orin NX Engineering Reference Developer Kit\0",
            "proc/meminfo": "MemTotal:       16083576 kB\n",
        }.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)

    def watcher(self, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WATCHER_", "DOCKER_"))}
        told = {"WATCHER_DEVICE__DOCKER": self.engine.url, "WATCHER_DEVICE__ROOT": str(self.root)}
        return subprocess.run(
            [sys.executable, "-m", "watcher", *arguments],
            cwd=self.folder,
            env={**kept, "PYTHONPATH": str(CHECKOUT), "HOME": str(self.folder), **told, **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @property
    def file(self) -> Path:
        return self.folder / "config.toml"

    def settings(self) -> Settings:
        return load_settings(self.file, {})

    def engine_service(self, name: str, **more: Any) -> "Container":
        client = self.engine.client()
        stub_image(client, TAG, "healthy")
        command = ["vllm", "serve", "/models/m", "--max-model-len", "2048", "--enable-auto-tool-choice"]
        return client.containers.run(TAG, command, name=name, detach=True, **more)


@pytest.fixture
def desk(clean_engine: PrivateDaemon, tmp_path: Path) -> Desk:
    return Desk(clean_engine, tmp_path)


def test_a_running_engine_becomes_the_file_and_config_check_accepts_it(desk: Desk) -> None:
    models = desk.folder / "models"
    models.mkdir()
    desk.engine_service(
        "zoe-vllm",
        environment={"HF_TOKEN": "secret-word", "OMP_NUM_THREADS": "4"},
        volumes={str(models): {"bind": "/models", "mode": "ro"}, "cache": {"bind": "/root/.cache/huggingface"}},
        shm_size="1g",
        restart_policy={"Name": "unless-stopped"},
    )
    client = desk.engine.client()
    service_image(client, "local/web:1", health=False)
    client.containers.run("local/web:1", name="web", detach=True, ports={"8080/tcp": None})
    done = desk.watcher("config", "init")
    assert done.returncode == 0, done.stderr
    assert "config check" in done.stdout
    there = desk.settings()
    assert (there.device.name, there.device.docker, there.device.runtime) == ("orin-nx", desk.engine.url, "nvidia")
    assert there.trial.displace == ("container:zoe-vllm",)
    (profile,) = there.engine.profiles
    assert (there.engine.model, profile.args) == (
        "/models/m", ("--max-model-len", "2048", "--enable-auto-tool-choice"),
    )  # fmt: skip
    volume = str(client.volumes.get("cache").attrs["Mountpoint"])
    assert set(there.engine.mounts) == {f"{models}:/models", f"{volume}:/root/.cache/huggingface"}
    assert there.engine.env["OMP_NUM_THREADS"] == "4"
    assert "PATH" not in there.engine.env, "what the image sets is not the service's"
    assert there.engine.shm_size == 2**30
    text = desk.file.read_text()
    assert "secret-word" not in text
    assert "# HF_TOKEN" in text
    assert "L4T 36.4.4 (JetPack 6.2.1)" in text
    assert "Also seen: container:web" in text
    assert TAG in text, "images that are here already are named"
    checked = desk.watcher("config", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "they need schedule.window" in checked.stdout
    desk.file.write_text(text.replace("#window", "window"))
    assert "automatic trials are on: 02:00-06:00 Europe/Berlin\n" in desk.watcher("config", "check").stdout


def test_a_compose_service_is_found_under_the_name_that_it_really_has(desk: Desk) -> None:
    """Whatever made it: by its labels; its volume is where the engine has it; one that is stopped is said to be."""
    client = desk.engine.client()
    labels = {"com.docker.compose.project": "desk", "com.docker.compose.service": "llm"}
    mounts = {"desk_hub": {"bind": "/root/.cache/huggingface"}}
    container = desk.engine_service("odd_name", labels=labels, volumes=mounts)
    (desk.folder / "compose.yaml").write_text(
        f"services:\n  llm:\n    image: {TAG}\n    command: vllm serve org/model\n"
        "    volumes: ['hub:/root/.cache/huggingface', './gone:/gone']\nvolumes: {hub: }\n"
    )
    container.stop(timeout=1)
    assert desk.watcher("config", "init", "--from-compose", "compose.yaml").returncode == 0
    there, text = desk.settings(), desk.file.read_text()
    assert there.trial.displace == ("container:odd_name",)
    volume = str(client.volumes.get("desk_hub").attrs["Mountpoint"])
    assert there.engine.mounts == (f"{volume}:/root/.cache/huggingface",), "what is not there would be refused"
    assert f"{desk.folder}/gone is not on this device" in text.replace("\n# ", " ")
    assert "container:odd_name does not run now" in text


def test_a_service_with_rm_is_not_displaced_and_config_check_accepts_that(desk: Desk) -> None:
    desk.engine_service("passing", auto_remove=True)
    assert desk.watcher("config", "init").returncode == 0
    assert desk.settings().trial.displace is None
    assert "--rm" in desk.file.read_text()
    assert desk.watcher("config", "check").returncode == 0


def test_a_file_that_is_there_stays_and_the_text_goes_to_stdout(desk: Desk) -> None:
    desk.file.write_text("# mine\n")
    done = desk.watcher("config", "init")
    assert done.returncode == 2
    assert desk.file.read_text() == "# mine\n"
    assert "stays as it is" in done.stderr
    other = desk.folder / "other.toml"
    assert desk.watcher("--config", str(other), "config", "init").returncode == 0
    assert other.read_text() == done.stdout
    assert {file.name for file in desk.folder.iterdir()} == {"config.toml", "other.toml"}, "no part of a file is left"


def test_a_link_that_leads_nowhere_is_not_written_through(desk: Desk) -> None:
    desk.file.symlink_to(desk.folder / "elsewhere")
    assert desk.watcher("config", "init").returncode == 2
    assert not (desk.folder / "elsewhere").exists()


def test_a_place_that_cannot_be_written_is_told(desk: Desk) -> None:
    done = desk.watcher("--config", "/proc/nowhere/config.toml", "config", "init")
    assert done.returncode == 2
    assert "could not be written" in done.stderr
    assert done.stdout.startswith("# Written by")


def test_wrong_calls_say_what_to_do(desk: Desk) -> None:
    file = desk.folder / "compose.yaml"
    file.write_text("services:\n  db: {image: postgres}\n  web: {image: nginx}\n")
    for call, word in (
        (("--service", "db"), "--from-compose"),
        (("--from-compose", "none.yaml"), "none.yaml"),
        (("--from-compose", "compose.yaml"), "db, web"),
        (("--from-compose", "compose.yaml", "--service", "llm"), "db, web"),
        (("--from-compose", "compose.yaml", "--service", "db"), "vllm"),
    ):
        done = desk.watcher("config", "init", *call)
        assert (done.returncode, done.stdout) == (2, ""), call
        assert word in done.stderr, call
    assert not desk.file.exists()


@pytest.mark.parametrize(
    ("docker", "said"), [("unix:///nowhere.sock", "the Docker engine does not answer"), ("none", "no Docker engine")]
)
def test_without_an_engine_it_says_so(desk: Desk, docker: str, said: str) -> None:
    done = desk.watcher("config", "init", WATCHER_DEVICE__DOCKER=docker)
    if Path("/.dockerenv").exists():  # without an engine nothing tells that this is not the watcher's own container
        assert (done.returncode, desk.file.exists()) == (2, False)
        assert "docker run " in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert f"Not looked at: {said}" in desk.file.read_text().replace("\n# ", " ")


def test_in_a_container_it_says_the_one_line_and_that_line_works(desk: Desk) -> None:
    world = DockerWorld(desk.engine)
    base_image(world.client)
    desk.engine_service("zoe-vllm")
    socket = socket_of(world)
    places = {
        **bound({**PLACES, str(socket.parent): "/wt"}),
        str(desk.folder): {"bind": str(desk.folder), "mode": "rw"},
    }
    at = f"unix:///wt/{socket.name}"

    def inside(environment: dict[str, str], more: dict[str, dict[str, str]]) -> tuple[int, str]:
        container = world.client.containers.run(
            BASE,
            ["python3", "-m", "watcher", "config", "init"],
            detach=True,
            environment={**ENVIRONMENT, "WATCHER_DEVICE__DOCKER": at, **environment},
            volumes={**places, **more},
            working_dir=str(desk.folder),
        )
        return int(container.wait(timeout=60)["StatusCode"]), container.logs().decode()

    code, said = inside({}, {})
    assert (code, desk.file.exists()) == (2, False)
    (line,) = (line for line in said.splitlines() if line.strip().startswith("docker run "))
    assert "-v /:/host:ro -e WATCHER_DEVICE__ROOT=/host" in line
    (desk.root / "etc/os-release").write_text("ID=ubuntu\n")
    code, said = inside({"WATCHER_DEVICE__ROOT": "/host"}, {str(desk.root): {"bind": "/host", "mode": "ro"}})
    assert code == 0, said
    there = desk.settings()
    assert there.device.name == "orin-nx"
    assert there.trial.displace == ("container:zoe-vllm",)
    assert there.device.root == Path("/"), "in the container its image says where the device's files are"
    world.host.close()
