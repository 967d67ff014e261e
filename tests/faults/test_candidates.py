"""Candidates that misbehave: each is ended, judged by what it did, and the service is back."""

import contextlib
import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.faults.table import Row
from tests.main_loop.one_trial import IMAGE
from tests.real.docker import PrivateDaemon
from tests.real.scene import Scene, scene_with
from tests.real.stub_engine import StubMode, stub_image
from tests.real.web import Web, running_web
from watcher.trial.engine_log import HEAD_BYTES, TAIL_BYTES

FLAT_BYTES = 250_000_000
"""More than the program needs with everything loaded, less than with one flood kept in memory."""
KEPT = ("images", "model", "mounts", "profiles")
SOON = {"ready": "6s", "accept": "6s"}


@dataclass(frozen=True)
class Case:
    """How a candidate misbehaves and what the trial then says.

    `env` is its own, `engine` what the operator's configuration says of it. `may_lose_log`: it writes faster than can
    be read, and Docker throws away the oldest; then its reason may be gone.
    """

    mode: StubMode
    what: str
    bring_up: str = "fails"
    failure_class: str | None = "other-crash"
    bug: str = "unknown"
    timeouts: dict[str, str] = field(default_factory=dict)
    may_lose_log: bool = False
    env: dict[str, str] = field(default_factory=dict)
    engine: dict[str, Any] = field(default_factory=dict)


CASES = (
    Case("ignore-term", "ignores SIGTERM", "works", None),
    Case("fork-away", "forks away from its session and exits 0"),
    Case("thread-bomb", "takes every process that it may"),
    Case(
        "flood", "floods its log with 200 MB", failure_class="allocator-nvml-assert", bug="present", may_lose_log=True
    ),
    Case("crash-loop", "restarts itself again and again", timeouts=SOON),
    Case(
        "healthy",
        "takes more memory than its limit",
        failure_class="genuine-oom",
        env={"STUB_MEMORY": "600000000"},
        engine={"memory": "200MB"},
    ),
    Case(
        "fill-files",
        "fills its own `/tmp`, which counts as its memory",
        failure_class="genuine-oom",
        engine={"memory": "200MB"},
    ),
    Case(
        "fill-files",
        "fills its shared memory",
        failure_class="genuine-oom",
        env={"STUB_FILLS": "/dev/shm"},
        engine={"shm_size": "20MB"},
    ),
    Case("exit0", "exits 0 at once"),
    Case("die-after-ready", "exits 0 after it was ready"),
    Case("never-ready", "never gets ready", failure_class="not-ready", timeouts=SOON),
    Case("hang-requests", "hangs on every request", timeouts=SOON),
    Case("garbage", "answers garbage"),
    Case("endless-body", "answers with a body without end"),
    Case("endless-headers", "sends headers without end"),
    Case("redirect", "redirects to elsewhere"),
    Case("tls", "speaks TLS", failure_class="not-ready", timeouts=SOON),
    Case("closes", "closes every connection"),
)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Web]:
    with running_web() as web:
        yield web


@pytest.fixture(scope="module")
def bench(docker_engine: PrivateDaemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One scene for all candidates: what one leaves behind would be seen by the next."""
    scene = scene_with(docker_engine, tmp_path_factory.mktemp("candidates"), ["local/vllm"], [])
    scene.start_assistant()
    yield scene
    docker_engine.sweep()


def tried(scene: Scene, *options: str) -> tuple[dict[str, Any], int]:
    """Run a trial; return it, and the most memory in bytes that the program held."""
    running = scene.started("trial", "run", IMAGE, "--force", "--json", *options)
    most = 0
    while running.poll() is None:
        most = max(most, memory_of(running.pid))
        time.sleep(0.2)
    output, trouble = running.communicate()
    assert running.returncode == 0, f"exit {running.returncode}\n{output}\n{trouble}"
    return json.loads(output)["trial"], most


def memory_of(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_a_candidate_that_misbehaves_is_ended_and_judged(bench: Scene, elsewhere: Web, case: Case) -> None:
    env = {"STUB_ELSEWHERE": f"{elsewhere.url}/stolen", **case.env}
    stub_image(bench.docker().client(), IMAGE, case.mode, None, **env)
    engine = bench.table["engines"]["vllm"]
    bench.table["engines"]["vllm"] = {**{key: engine[key] for key in KEPT}, **case.engine}
    bench.table["trial"]["timeouts"] = {"ready": "120s", "accept": "60s", "restore": "60s", **case.timeouts}
    trial, most = tried(bench, "--soak", "5s" if case.mode == "die-after-ready" else "0s")
    assert (trial["outcome"], trial["stage"]) == ("verdict", "done")
    said = (trial["bring_up"], trial["failure_class"], trial["bug"]["state"])
    without_its_log = [(case.bring_up, "other-crash", "unknown")] if case.may_lose_log else []
    assert said in [(case.bring_up, case.failure_class, case.bug), *without_its_log]
    assert trial["displaced"] == ["container:assistant"]
    assert most < FLAT_BYTES
    assert elsewhere.asked == [], "no redirect is followed"
    bench.assert_all_is_as_before()
    assert processes_with(f"STUB_ELSEWHERE={elsewhere.url}") == [], "nothing of the candidate runs on"
    if case.mode == "flood":
        (start,) = trial["starts"]
        with gzip.open(bench.data_dir / start["log"], "rb") as log:
            assert len(log.read()) < HEAD_BYTES + 2 * TAIL_BYTES + 1000


def processes_with(variable: str) -> list[str]:
    """Return the processes of this machine whose environment holds the text: only this module's candidates do."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if variable.encode() in (folder / "environ").read_bytes():
                found.append(folder.name)
    return found


GROUP = "the candidate"
ROWS = tuple(
    Row(
        GROUP,
        case.what,
        "the trial's way back",
        " ".join(filter(None, (f"`{case.bring_up}`", case.failure_class and f"`{case.failure_class}`"))),
        1,
    )
    for case in CASES
)
