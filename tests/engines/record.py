"""Write the real engine's logs as cases for the classifier: `python -m tests.engines.record [CASE…]`, a minute each.

Each case is one start of the real vLLM in the isolation of a trial, ended the way its fault ends it. Run it again when
another version of vLLM is taken; the difference of the files is the review.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.engines.build import EngineBuild, engine_build
from tests.engines.image import ASSERT_TEXT, MODEL, PROFILE_ARGS, ULIMITS, mounts, vllm_image
from tests.places import CHECKOUT
from tests.real.docker import PrivateDaemon, private_daemon, reused_folder
from watcher.config.engines import EngineSettings, parse_mount
from watcher.config.load import read_presets
from watcher.config.settings import DeviceSection
from watcher.host.docker_host import DockerHost
from watcher.model.container import ContainerSpec
from watcher.trial.exchange import EngineClient

LOGS = CHECKOUT / "tests" / "data" / "logs" / "vllm"
READY_SECONDS = 600
CUDA_OOM = (
    "CUDA out of memory. Tried to allocate 3.57 GiB. GPU 0 has a total capacity of 15.29 GiB of which 1.02 GiB is "
    "free. Of the allocated memory 2.61 GiB is allocated by PyTorch, and 48.11 MiB is reserved by PyTorch but "
    "unallocated."
)
NVML_WARNING = (
    "[W CUDACachingAllocator.cpp:1407] Warning: nvmlDeviceGetComputeRunningProcesses failed; omitting per-process "
    "memory info from CUDA out-of-memory messages. This is expected on platforms with partial NVML support such as "
    "Tegra/Jetson. (function reportProcessMemoryInfo)"
)
NVMAP = "NvMapMemAllocInternalTagged: 1075072515 error 12\nNvMapMemHandleAlloc: error 0"
START_CHECK = (
    "Free memory on device cuda:0 (4.21/15.29 GiB) on startup is less than desired GPU memory utilization "
    "(0.6, 9.17 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes."
)
PEER_ASSERT = (
    'NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/opt/pytorch/c10/cuda/PeerToPeerAccess.cpp":69, '
    "please report a bug to PyTorch. "
)


@dataclass(frozen=True)
class Case:
    """One start: the fault put into it, and what a classifier must say of its log."""

    failure_class: str
    bug: str = "unknown"
    fault: Mapping[str, str] = field(default_factory=dict)
    args: tuple[str, ...] = ()


CASES = {
    "healthy-cpu-0.32": Case("healthy"),
    "assert-at-kv-0.32": Case("allocator-nvml-assert", "present", {"FAULT_AT_KV": ASSERT_TEXT}),
    "nvmap-before-assert-0.32": Case(
        "allocator-nvml-assert", "present", {"FAULT_AT_KV": ASSERT_TEXT, "FAULT_STDERR": NVMAP}
    ),
    "oom-at-kv-0.32": Case("genuine-oom", fault={"FAULT_AT_KV": CUDA_OOM, "FAULT_ERROR": "OutOfMemoryError"}),
    "oom-of-a-fixed-build-0.32": Case(
        "genuine-oom",
        "fixed",
        {"FAULT_AT_KV": CUDA_OOM, "FAULT_ERROR": "OutOfMemoryError", "FAULT_STDERR": NVML_WARNING},
    ),
    "oom-at-the-start-check-0.32": Case(
        "genuine-oom", fault={"FAULT_AT_LOAD": START_CHECK, "FAULT_ERROR": "ValueError"}
    ),
    "nvmap-while-loading-0.32": Case(
        "nvmap-alloc-failure",
        fault={
            "FAULT_AT_LOAD": "CUDA error: out of memory",
            "FAULT_ERROR": "AcceleratorError",
            "FAULT_STDERR": NVMAP,
        },
    ),
    "no-kernel-image-0.32": Case(
        "arch-mismatch",
        fault={
            "FAULT_AT_LOAD": "CUDA error: no kernel image is available for execution on the device",
            "FAULT_ERROR": "AcceleratorError",
        },
    ),
    "peer-access-assert-0.32": Case("driver-runtime", fault={"FAULT_AT_LOAD": PEER_ASSERT}),
    "killed-while-loading-0.32": Case("other-crash", fault={"FAULT_AT_LOAD": "killed", "FAULT_ACT": "kill"}),
    "killed-after-ready-0.32": Case("other-crash", fault={"FAULT_AT_RUN": "killed", "FAULT_ACT": "kill"}),
    "unknown-flag-0.32": Case("model-config", args=("--no-such-flag",)),
    "context-too-long-0.32": Case("model-config", args=("--max-model-len", "8192")),
}


def record(daemon: PrivateDaemon, name: str, build: EngineBuild) -> str:
    """Run one case, write its log, and return one line on how it went."""
    case, preset = CASES[name], read_presets()["vllm"]
    host = DockerHost(daemon.url, DeviceSection(name="recording", docker=daemon.url))
    image = vllm_image(daemon.client(), f"watcher-test/vllm:{name}", **case.fault)
    begun = time.monotonic()
    container = host.start(_spec(preset, case, image, build))
    try:
        client = EngineClient(host.address(container, preset.port), preset.asked_name, preset.health_path)
        told = _use(host, client, container)
        after = f"{time.monotonic() - begun:.0f} s"
        state = host.signal(container, preset.stop_grace.total_seconds())
        _write(LOGS / f"{name}.log", case, b"".join(host.follow(container)))
    finally:
        host.remove_trial()
        host.close()
    return f"{name}: {told} after {after}, exit code {state.exit_code}"


def _spec(preset: EngineSettings, case: Case, image: str, build: EngineBuild) -> ContainerSpec:
    def fill(texts: tuple[str, ...]) -> tuple[str, ...]:
        names = {"{model}": MODEL, "{name}": preset.served_name}
        return tuple(names.get(text, text) for text in texts)

    return ContainerSpec(
        image=image,
        entrypoint=preset.entrypoint,
        args=(*fill(preset.args), *PROFILE_ARGS, *case.args),
        env=preset.env,
        mounts=tuple(parse_mount(mount) for mount in mounts(build)),
        writable=preset.writable,
        shm_bytes=preset.shm_size,
        ulimits=ULIMITS,
    )


def _use(host: DockerHost, client: EngineClient, container: str) -> str:
    """Wait for readiness or the end, and ask what a trial asks."""
    ends = time.monotonic() + READY_SECONDS
    while not client.is_well():
        if not host.state(container).running:
            return "ended before it was ready"
        if time.monotonic() > ends:
            return "never got ready"
        time.sleep(0.5)
    told = [client.complete(), client.stream(), client.call_tool()]
    time.sleep(10 if not client.is_well() else 0)  # an engine that dies says so for some seconds
    return "ready; " + "; ".join(f"{'yes' if reply.ok else 'no'}: {reply.text}" for reply in told)


def _write(path: Path, case: Case, log: bytes) -> None:
    """Write header and log; the log as it came, with its carriage returns. A header that is there already stays."""
    header = f"class: {case.failure_class}\nbug: {case.bug}\nsource: made by tests/engines".encode()
    if path.exists():
        header = path.read_bytes().partition(b"\n\n")[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + b"\n\n" + log)


def main(names: list[str]) -> None:
    build = engine_build()
    with reused_folder() as folder, private_daemon(folder) as daemon:
        for name in names or list(CASES):
            print(record(daemon, name, build), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
