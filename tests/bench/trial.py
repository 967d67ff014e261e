"""A whole trial beside the same container started bare with the Docker SDK: what the watcher itself adds."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.measured import Row, Run, run, typical
from tests.real.docker import CannotRunHere, PrivateDaemon, private_daemon, reused_folder
from tests.real.scene import ASSISTANT, OWN_POLICY, Scene, scene_with
from tests.real.stub_engine import service_image, stub_image
from watcher.config.suites import BUILTIN, read_suite
from watcher.demo.torch_build import TorchBuild
from watcher.host.clock import SystemClock
from watcher.trial.asking import Asking
from watcher.trial.exchange import EngineClient

DELAYS = (0, 5)
"""Seconds until the engine is ready."""
_ROUNDS = 3
_IMAGE = "local/vllm:0.33.0-r36.4-cu129-24.04"
_MODEL = "m"
_PORT = 8000
_COMMAND = ("vllm", "serve", "/models/m", "--served-model-name", _MODEL, "--host", "0.0.0.0", "--port", str(_PORT))
_SITE_PACKAGES = "/usr/local/lib/python3.11/dist-packages"
_LOOK_SECONDS = 0.02
_MOST_SECONDS, _MOST_BYTES = 3, 80e6
_WHAT = "trial, engine ready {}"


@dataclass(frozen=True, slots=True)
class _Bare:
    """Seconds of the engine (start, health, a trial's questions, stop) and of the displaced service (stop, start)."""

    engine: float
    service: float


def trials() -> Iterator[Row]:
    """Yield the rows of each delay; where no private engine can be had, one row that says why."""
    try:
        with reused_folder() as folder, private_daemon(folder) as engine:
            engine.sweep()
            for delay in DELAYS:
                yield from _rows(engine, delay)
                engine.sweep()
    except CannotRunHere as reason:
        yield Row("trial overhead", measured=f"not measured: {str(reason).splitlines()[0]}", budget=_budget())


def _rows(engine: PrivateDaemon, delay: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        scene = _scene(engine, Path(folder), delay)
        _trial(scene)  # bytecode and database are there from now on
        bare, whole = [], []
        for _ in range(_ROUNDS):
            bare.append(_bare(engine))
            whole.append(_trial(scene))
    trial = typical(whole)
    alone, service = median(each.engine for each in bare), median(each.service for each in bare)
    overhead = trial.wall - alone - service
    what = _WHAT.format(f"after {delay} s" if delay else "at once")
    yield Row(what, "bare, by the SDK", measured=f"{alone:.2f} s + {service:.2f} s for the service")
    yield Row(what, run=trial)
    is_kept = overhead <= _MOST_SECONDS and trial.peak_bytes <= _MOST_BYTES
    measured = f"{overhead:.2f} s, {trial.peak_bytes / 1e6:.0f} MB"
    yield Row(f"{what}: overhead", measured=measured, budget=_budget(), is_kept=is_kept)


def _budget() -> str:
    return f"{_MOST_SECONDS} s, {_MOST_BYTES / 1e6:.0f} MB"


def _scene(engine: PrivateDaemon, folder: Path, delay: int) -> Scene:
    client = engine.client()
    stub_image(client, _IMAGE, "healthy", files=_torch(), STUB_DELAY=str(delay))
    scene = scene_with(engine, folder, ["local/vllm"], [])
    # the bare container is given none, and where the engine may not raise limits a trial starts its container twice
    scene.table["engines"]["vllm"]["ulimits"] = {}
    scene.table["device"]["root"] = "/"  # its memory is read, so that the trial waits until it has come to rest
    service = service_image(client, "local/assistant:1", health=False)
    client.containers.run(service, name=ASSISTANT, detach=True, restart_policy=OWN_POLICY)
    _wait(lambda: b"service up" in client.containers.get(ASSISTANT).logs())
    return scene


def _torch() -> dict[str, tuple[bytes, int]]:
    """Return a torch where images have it: without one the whole image is read for it, as long as that takes."""
    files = TorchBuild("2.14.0", has_bug=False).files()
    return {f"{_SITE_PACKAGES}/{path}": (content, 0o644) for path, content in files.items()}


def _trial(scene: Scene) -> Run:
    done = run(scene.command("trial", "run", _IMAGE, "--force", "--json"))
    trial = json.loads(done.output)["trial"]
    assert (trial["outcome"], trial["stage"]) == ("verdict", "done"), done.output
    assert trial["bring_up"] == "works", done.output
    return done


def _bare(engine: PrivateDaemon) -> _Bare:
    client = engine.client()
    service = client.containers.get(ASSISTANT)
    begun = time.monotonic()
    service.stop(timeout=30)
    stopped = time.monotonic()
    container = client.containers.create(_IMAGE, entrypoint=list(_COMMAND[:1]), command=list(_COMMAND[1:]), init=True)
    container.start()
    container.reload()
    address = container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    asking = EngineClient(f"http://{address}:{_PORT}", _MODEL, "/health")
    _wait(asking.is_well)
    for reply in (asking.complete(), asking.stream(), asking.call_tool()):
        assert reply.ok, reply.text
    _ask_the_phrases(asking)
    asking.close()
    container.stop(timeout=30)
    container.remove()
    ended = time.monotonic()
    service.start()
    return _Bare(ended - stopped, stopped - begun + time.monotonic() - ended)


def _ask_the_phrases(client: EngineClient) -> None:
    """Ask what the trial asks: the engine's time for it is the engine's own."""
    suite = read_suite(BUILTIN, Path(), [])
    assert suite.phrases
    asking = Asking(suite, suite.asked_for("minimum"), client, SystemClock())
    assert asking.ask(time.monotonic() + 60, lambda: None, lambda: None) is None
    assert len(asking.answers) == len(suite.phrases)


def _wait(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends, "not within a minute"
        time.sleep(_LOOK_SECONDS)
