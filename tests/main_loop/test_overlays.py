"""A new wheel is laid over the newest image and probed beside the running service, which is never stopped for it."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BufferedIOBase
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.real.docker import PrivateDaemon
from tests.real.registry import running_registry
from tests.real.scene import Scene, scene_with
from tests.real.smtp import SmtpServer, running_smtp, text_of
from tests.real.stub_engine import stub_image
from tests.real.torch_wheel import torch_in_image, torch_wheel
from tests.real.web import Asked, Reply, file_reply, running_web
from watcher.demo.torch_build import packed
from watcher.demo.web import Request, Response
from watcher.demo.wheel_index import Wheel, WheelIndex

HANGS = {"__init__.py": b"import time; time.sleep(600)"}
TAG = "0.32.0-r36.4-cu126-cp311"


@dataclass
class Upstream:
    """The index behind HTTP. Where `breaks` is set, a whole wheel breaks off in its middle, once `goes_on` is set."""

    index: WheelIndex
    breaks: bool = False
    broke: Event = field(default_factory=Event)
    goes_on: Event = field(default_factory=Event)

    def serve(self, asked: Asked) -> Reply:
        answer = self.index.answer(Request(asked.method, asked.path, asked.query, asked.headers))
        assert isinstance(answer.body, bytes)
        if "/+f/" not in asked.path:
            return Reply(answer.status, answer.body, {"Content-Type": answer.content_type, **answer.headers})
        if self.breaks and asked.method == "GET" and "range" not in asked.headers:
            return Reply(raw=self._half(answer))
        return file_reply(asked, answer.body, 1_700_000_000.0)

    def _half(self, answer: Response) -> Any:
        def write(out: BufferedIOBase) -> None:
            assert isinstance(answer.body, bytes)
            out.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % answer.size)
            out.write(answer.body[: answer.size // 2])
            out.flush()
            self.broke.set()
            self.goes_on.wait(120)

        return write


@dataclass
class World:
    """An index of wheels, a registry with one image whose torch has the bug, and the scene that watches both."""

    scene: Scene
    upstream: Upstream
    mail: SmtpServer

    def add(self, wheel: Wheel) -> None:
        self.upstream.index.add(wheel)

    def probed(self, code: int = 0) -> dict[str, Any]:
        """Look once, and return the one trial of it."""
        (trial,) = self.scene.answer("check-now", code=code)["trials"]
        found: dict[str, Any] = trial
        return found

    def assert_untouched(self, since: str, begun: int = 0) -> None:
        """Hold that the service has run on all the while, and that nothing of a trial is left.

        But for `begun` wheels: what was fetched of one that is tried again is not fetched twice.
        """
        assert self.scene.assistant()["State"]["StartedAt"] == since
        self.scene.assert_all_is_as_before()
        assert not self.scene.docker().client().volumes.list()
        assert len(list((self.scene.data_dir / "wheels").glob("*"))) == begun


@pytest.fixture
def world(clean_engine: PrivateDaemon, tmp_path: Path) -> Iterator[World]:
    (tmp_path / "registry").mkdir()
    upstream = Upstream(WheelIndex("/jp6/cu126/"))
    with (
        running_registry(tmp_path / "registry") as registry,
        running_smtp() as mail,
        running_web() as web,
    ):
        web.fallback = upstream.serve
        repository = f"{registry.host}/vllm"
        page = f"{web.url}{upstream.index.page('torch')}"
        sources: list[dict[str, Any]] = [
            {"name": "tags", "kind": "oci-tags", "image": repository, "architecture": "amd64"},
            {"name": "torch", "kind": "simple-index", "url": page, "platforms": ["linux_x86_64"]},
        ]
        scene = scene_with(clean_engine, tmp_path, [repository], sources, notify={"urls": [mail.url]})
        client = clean_engine.client()
        stub_image(client, f"{repository}:{TAG}", "healthy", torch_in_image("2.13.0", has_bug=True))
        for line in client.api.push(repository, tag=TAG, stream=True, decode=True):
            assert "error" not in line, line
        upstream.index.add(torch_wheel("2.13.0", has_bug=True))
        scene.start_assistant()
        first = scene.answer("check-now")
        assert (first["trials"], first["events"]) == ([], []), "what was there before is never due"
        yield World(scene, upstream, mail)


@pytest.mark.parametrize(("has_bug", "state"), [(False, "fixed"), (True, "present")])
def test_a_new_wheel_is_probed_and_the_service_runs_on(world: World, has_bug: bool, state: str) -> None:
    since = world.scene.assistant()["State"]["StartedAt"]
    wheel = torch_wheel("2.14.0", has_bug)
    world.add(wheel)
    document = world.scene.answer("check-now")
    (candidate,) = document["candidates"]
    assert (candidate["overlay"]["wheel"], candidate["compatible"]) == (wheel.name, True)
    (trial,) = document["trials"]
    assert (trial["outcome"], trial["bug"]["state"], trial["bring_up"]) == ("verdict", state, "untried")
    assert (trial["failure_class"], trial["displaced"], trial["starts"]) == (None, [], [])
    assert trial["overlay"]["wheel"] == wheel.name
    assert trial["overlay"]["digest"] == f"sha256:{wheel.sha256}"
    assert {row["rung"] for row in trial["evidence"]} == {"static", "probe"}
    world.assert_untouched(since)

    answer = document["answer"]
    assert (answer["bring_up"], answer["candidate"], answer["bug"]["state"]) == ("untried", None, state)
    assert answer["basis"] == ["static", "probe"]
    assert (answer["fixed_in"] or {}).get("torch") == (None if has_bug else "2.14.0")
    (message,) = world.mail.messages
    assert wheel.name in text_of(message).splitlines()[0]

    assert world.scene.answer("check-now")["trials"] == [], "it was asked, and is not asked again"


def test_a_wheel_that_cannot_speak_here_leaves_the_answer_unknown(world: World) -> None:
    since = world.scene.assistant()["State"]["StartedAt"]
    lacks = {"__init__.py": b"import ctypes; ctypes.CDLL('libcudart.so.12')"}
    world.add(torch_wheel("2.14.0", has_bug=False, more=lacks))
    trial = world.probed()
    assert (trial["outcome"], trial["bug"]["state"]) == ("verdict", "fixed"), "the bytes still say it"
    assert any("libcudart.so.12: cannot open shared object file" in row["text"] for row in trial["evidence"])

    hollow = {"__init__.py": b"from .nothing import here", "lib/libc10_cuda.so": b"neither text"}
    world.add(torch_wheel("2.14.1", has_bug=False, more=hollow))
    trial = world.probed()
    assert (trial["outcome"], trial["bug"]["state"], trial["bring_up"]) == ("verdict", "unknown", "untried")
    assert "torch cannot be imported" in trial["reason"]

    other = torch_wheel("2.14.2", has_bug=False)
    world.add(replace(other, content=packed({"torch-2.14.2.dist-info/METADATA": b"Name: torch\nVersion: 2.14.2\n"})))
    trial = world.probed()
    assert trial["bug"]["state"] == "unknown", "the image's own torch spoke, which has the bug"
    assert "the probe met torch 2.13.0 in /usr/local/lib" in trial["reason"]

    world.add(replace(other, name=other.name.replace("2.14.2", "2.14.3"), content=b"no zip"))
    trial = world.probed()
    assert (trial["outcome"], trial["bug"]["state"]) == ("verdict", "unknown")
    assert "this is not a wheel" in trial["reason"]
    world.assert_untouched(since)


def test_a_download_that_breaks_off_goes_on_where_it_was(world: World) -> None:
    since = world.scene.assistant()["State"]["StartedAt"]
    world.upstream.breaks = True
    world.upstream.goes_on.set()
    world.add(torch_wheel("2.14.0", has_bug=False))
    trial = world.probed()
    assert (trial["outcome"], trial["bug"]["state"]) == ("verdict", "fixed")
    assert world.upstream.broke.is_set()
    world.assert_untouched(since)


@pytest.mark.parametrize("way_back", ["restore", "check-now"])
def test_killed_in_the_download_or_in_the_probe_it_leaves_nothing(world: World, way_back: str) -> None:
    since = world.scene.assistant()["State"]["StartedAt"]
    world.upstream.breaks = True
    world.add(torch_wheel("2.14.0", has_bug=False))
    running = world.scene.started("check-now")
    assert world.upstream.broke.wait(120)
    running.kill()
    running.communicate()
    world.upstream.breaks = False
    world.upstream.goes_on.set()
    assert world.scene.watcher(way_back).returncode == 0
    assert world.scene.answer("check-now")["trials"] == []
    world.assert_untouched(since, begun=1)

    client = world.scene.docker().client()
    world.add(torch_wheel("2.14.1", has_bug=False, more=HANGS))
    running = world.scene.started("check-now")
    world.scene.wait_until(lambda: bool(client.containers.list(filters={"name": "watcher-trial"})), 120)
    assert [mount["Destination"] for mount in client.containers.get("watcher-trial").attrs["Mounts"]
            if mount["Type"] == "volume"] == ["/watcher-overlay"]  # fmt: skip
    running.kill()
    running.communicate()
    assert world.scene.watcher(way_back).returncode == 0
    assert world.scene.answer("check-now")["trials"] == []
    world.assert_untouched(since, begun=1)
    trials = world.scene.answer("trials")["trials"]
    assert [(one["outcome"], one["failed_stage"], one["displaced"]) for one in trials] == [
        ("bench", "probe", []), ("bench", "pull", []),
    ]  # fmt: skip


def test_asked_to_end_in_the_probe_it_ends_at_once(world: World) -> None:
    since = world.scene.assistant()["State"]["StartedAt"]
    client = world.scene.docker().client()
    world.add(torch_wheel("2.14.0", has_bug=False, more=HANGS))
    running = world.scene.started("check-now", "--json")
    world.scene.wait_until(lambda: bool(client.containers.list(filters={"name": "watcher-trial"})), 120)
    running.send_signal(signal.SIGTERM)
    output, trouble = running.communicate(timeout=60)
    assert running.returncode == 130, output + trouble
    assert world.scene.answer("trials")["trials"][0]["outcome"] == "cancelled"
    world.assert_untouched(since, begun=1)
