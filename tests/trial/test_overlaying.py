"""A trial of a wheel over an image: whose library spoke, and what it is refused for."""

import json
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.demo.whole_year import world
from tests.real.web import Reply, Web, file_reply, web
from tests.trial.test_runner import CONFIG, GoodNotebook
from watcher.artifacts.wheel_store import WheelStore
from watcher.config.load import load_settings
from watcher.demo.simulated import GB, SimulatedHost
from watcher.demo.torch_build import TorchBuild
from watcher.demo.wheel_index import torch_wheel
from watcher.demo.world import World
from watcher.demo.year import NVIDIA
from watcher.errors import Refused
from watcher.fetch.client import Fetcher, HostHolds
from watcher.host.clock import SystemClock
from watcher.model.container import ContainerSpec, OwedService
from watcher.model.device import DeviceFacts, DeviceState
from watcher.model.trial import Candidate, Outcome, Overlay, Stage, Trial
from watcher.model.verdict import BringUp, BugState, StaticReading
from watcher.ports import Lines
from watcher.trial.order import Order
from watcher.trial.overlaying import FOLDER, Laying, read_overlay_probe
from watcher.trial.runner import Runner

__all__ = ["web", "world"]

WHEEL = torch_wheel(TorchBuild("2.14.0", has_bug=False))
LIBRARY = f"{FOLDER}/torch/lib/libc10_cuda.so"


def overlay(url: str = "https://x/t.whl", name: str = WHEEL.name, version: str = "2.14.0") -> Overlay:
    return Overlay("torch", name, version, f"sha256:{WHEEL.sha256}", url, "jp6")


def line(python: str = "3.10", **told: object) -> bytes:
    values = {"trap_set": True, "saw": "clean", "text": "total capacity", "torch": "2.14.0", "library": LIBRARY, **told}
    return f"\nWATCHER-PYTHON {python}\n\nWATCHER-PROBE {json.dumps(values)}\n".encode()


@pytest.mark.parametrize(
    ("output", "state", "reason"),
    [
        (line(), BugState.FIXED, "the trap was set"),
        (line(saw="fault"), BugState.PRESENT, "the fault showed itself"),
        (line(torch="2.14.0+cu126"), BugState.FIXED, "the trap was set"),
        (line(torch="2.13.0"), BugState.UNKNOWN, "the probe met torch 2.13.0 in /watcher-overlay"),
        (
            line(library="/usr/lib/python3/torch/lib/libc10_cuda.so"),
            BugState.UNKNOWN,
            "the probe met torch 2.14.0 in /usr",
        ),
        (line(library=None), BugState.UNKNOWN, "in a library it did not name, not 2.14.0 of the wheel"),
        (line(library="/watcher-overlay-not/x.so"), BugState.UNKNOWN, "the probe met"),
        (line("3.12"), BugState.UNKNOWN, "is built for cp310, not for 3.12, the image's Python"),
        (line(trap_set=False, trap="granted"), BugState.UNKNOWN, "the trap was not set"),
        (
            line(saw="nothing", text="torch cannot be imported: libx"),
            BugState.UNKNOWN,
            "torch cannot be imported: libx",
        ),
        (b"", BugState.UNKNOWN, "the probe printed no result"),
    ],
)
def test_the_probe_counts_only_where_the_wheels_own_library_spoke(output: bytes, state: BugState, reason: str) -> None:
    reading = read_overlay_probe(output, 0, overlay())
    assert reading.state is state
    assert reason in reading.reason


def test_a_local_version_in_the_name_is_held_to() -> None:
    named = overlay(version="2.14.0+cu126")
    assert read_overlay_probe(line(torch="2.14.0+cu126"), 0, named).state is BugState.FIXED
    assert read_overlay_probe(line(torch="2.14.0+cu128"), 0, named).state is BugState.UNKNOWN


class Notebook(GoodNotebook):
    def __init__(self) -> None:
        super().__init__()
        self.readings: list[StaticReading] = []

    def read(self, reading: StaticReading) -> None:
        self.readings.append(reading)


class ShortOfMemory(SimulatedHost):
    def facts(self) -> DeviceFacts:
        return replace(super().facts(), memory_available=GB)


class ShortOfDisk(SimulatedHost):
    def free_disk(self) -> int | None:
        return 1_000_000


def tried(host: SimulatedHost, world: World, url: str, folder: Path, more: str = "") -> tuple[Trial, Notebook]:
    (folder / "config.toml").write_text(CONFIG + more)
    settings, clock, notebook = load_settings(folder / "config.toml"), SystemClock(), Notebook()
    fetcher = Fetcher(timeout=timedelta(seconds=60), holds=HostHolds({}, clock))
    laying = Laying(overlay(url), WheelStore(folder / "wheels", fetcher))
    image = f"{world.image(NVIDIA)}:latest-jetson-orin"
    one = Candidate("vllm", image, None, "f", compatible=True, overlay=laying.overlay)
    order = Order(
        candidate=one,
        engine=settings.engine,
        profiles=settings.engine.profiles,
        bug=settings.bug,
        trial=settings.trial,
        device=settings.device,
        data_dir=folder,
        ask_bring_up=False,
        laying=laying,
    )
    trial = Trial(one, DeviceState("36.4.4"), settings.bug.id, clock.now(), id=1)
    return Runner(order, host, clock, notebook, Lines(lambda _: None)).run(trial), notebook


def served(web: Web) -> str:
    web.routes["/t.whl"] = lambda asked: file_reply(asked, WHEEL.content, 1_700_000_000.0)
    return f"{web.url}/t.whl"


def test_the_wheel_is_read_and_probed_over_the_image_and_nothing_is_stopped(
    web: Web, world: World, tmp_path: Path
) -> None:
    host = SimulatedHost()
    trial, notebook = tried(host, world, served(web), tmp_path)
    assert (trial.outcome, trial.bug, trial.bring_up) == (Outcome.VERDICT, BugState.FIXED, BringUp.UNTRIED)
    (reading,) = notebook.readings
    assert (reading.kind, reading.torch, reading.target) == ("wheel", "2.14.0", f"{web.url}/t.whl")
    assert any("volume of its own at /watcher-overlay" in row.text for row in trial.evidence)
    assert host.services["assistant"].running
    assert trial.displaced == ()


def test_short_of_memory_beside_what_runs_it_waits_for_another_hour(web: Web, world: World, tmp_path: Path) -> None:
    trial, _ = tried(ShortOfMemory(), world, served(web), tmp_path)
    assert (trial.outcome, trial.failed_stage, trial.displaced) == (Outcome.REFUSED, Stage.PROBE, ())
    assert "too little memory to probe beside what runs" in trial.reason
    assert trial.retry_at is not None


def test_without_room_to_unpack_it_is_refused_with_the_sizes(web: Web, world: World, tmp_path: Path) -> None:
    trial, _ = tried(ShortOfDisk(), world, served(web), tmp_path)
    assert (trial.outcome, trial.failed_stage) == (Outcome.REFUSED, Stage.PULL)
    assert "too little room to unpack the wheel" in trial.reason
    assert "free_bytes=1000000" in trial.reason


def test_an_index_that_asks_for_a_rest_is_asked_again_after_it(web: Web, world: World, tmp_path: Path) -> None:
    web.routes["/t.whl"] = Reply(429, headers={"Retry-After": "7200"})
    trial, _ = tried(SimulatedHost(), world, f"{web.url}/t.whl", tmp_path)
    assert (trial.outcome, trial.failed_stage) == (Outcome.BENCH, Stage.PULL)
    assert trial.retry_at is not None
    assert trial.retry_at - trial.started_at > timedelta(hours=1, minutes=59)


class SlowDisk(SimulatedHost):
    def start(self, spec: ContainerSpec) -> str:
        time.sleep(30)
        return super().start(spec)

    def examine(self, service: str) -> tuple[OwedService, ...]:
        raise Refused("this service must not be stopped", service=service)


def test_a_wheel_that_is_not_laid_in_time_is_trouble_of_ours_and_services_do_not_matter(
    web: Web, world: World, tmp_path: Path
) -> None:
    trial, _ = tried(SlowDisk(), world, served(web), tmp_path, more='[trial.timeouts]\nprobe = "1s"\n')
    assert (trial.outcome, trial.failed_stage) == (Outcome.BENCH, Stage.PROBE)
    assert "could not be started in time" in trial.reason
