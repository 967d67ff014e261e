"""Stand-ins for what the probe meets on a device: a torch that raises chosen errors, an NVML library with chosen codes.

The torch is a Python package and allocates nothing; the NVML is a real shared library, loaded by the real loader. So
the probe's questions, its reading and its line are shown, but neither CUDA nor PyTorch's own branch.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.places import CHECKOUT

PROBE = CHECKOUT / "watcher" / "bugs" / "cuda-allocator" / "probe.py"

NVML_SOURCE = """
#include <stdio.h>
#include <string.h>
static int device;
int nvmlInit_v2(void) { return INIT; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) { *handle = &device; return HANDLE + index; }
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **handle) {
    if (strcmp(bus, "00000000:07:00.0")) return 6;
    *handle = &device;
    return HANDLE;
}
static int answer(void *handle, unsigned *count) {
    if (handle != &device || *count == 0) return 2;
    *count = 0;
    return QUERY;
}
#ifndef NO_QUERY
int nvmlDeviceGetComputeRunningProcesses(void *handle, unsigned *count, void *list) { return answer(handle, count); }
#endif
int nvmlDeviceGetComputeRunningProcesses_v2(void *handle, unsigned *count, void *list) { return answer(handle, count); }
int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, void *list) { return answer(handle, count); }
"""

CUDA_SOURCE = """
#include <string.h>
int cuInit(unsigned flags) { return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetPCIBusId(char *text, int length, int device) { strncpy(text, "0000:07:00.0", length); return 0; }
"""

TORCH_SOURCE = """
import ctypes, json, os
plan = json.loads(os.environ["STAND_IN"])
if plan.get("noise"):
    print(plan["noise"], end="", flush=True)
if plan.get("import") == "fails":
    raise ImportError("libcudart.so.12: cannot open shared object file")
if plan.get("import") == "exits":
    raise SystemExit(3)
if plan.get("import") == "crashes":
    os.abort()
if plan.get("library"):
    ctypes.CDLL(plan["library"])
seen = {name for name in os.environ if "ALLOC" in name or "CACHING" in name}
__version__ = plan.get("version", "2.13.0+cu130")
uint8 = "uint8"

class OutOfMemoryError(RuntimeError):
    pass

class AcceleratorError(RuntimeError):
    pass

class properties:
    pci_domain_id, pci_bus_id, pci_device_id = 0, 7, 0

class cuda:
    @staticmethod
    def init():
        if plan.get("device") == "none":
            raise RuntimeError("No CUDA GPUs are available")
    @staticmethod
    def is_available():
        return plan.get("device") != "unavailable"
    @staticmethod
    def get_device_properties(index):
        if plan.get("properties") == "old":
            return object()
        return properties

def empty(size, dtype, device):
    assert dtype == "uint8" and device == "cuda:0" and not seen, (dtype, device, seen)
    raised = plan.get("small" if size == 1 << 20 else "absurd")
    if size not in (1 << 20, 1 << 50):
        raise AssertionError("the probe asked for %d bytes" % size)
    if raised:
        raise globals().get(raised[0], RuntimeError)(raised[1])
"""

ASSERTION = (
    'NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/opt/pytorch/c10/cuda/CUDACachingAllocator.cpp":838, please report'
)
KIN_ASSERTION = ASSERTION.replace("CUDACachingAllocator", "PeerToPeerAccess")
CLEAN = (
    "CUDA out of memory. Tried to allocate 1048576.00 GiB. GPU 0 has a total capacity of 15.29 GiB of which 9.10 GiB "
    "is free. Of the allocated memory 1.00 MiB is allocated by PyTorch"
)
TOO_LARGE = "Tried to allocate more than 1EB memory"


@dataclass
class Device:
    """A folder that becomes the probe's surroundings: `plan` is what the torch in it does."""

    folder: Path
    plan: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)

    def nvml(self, init: int = 0, handle: int = 0, query: int = 3, has_query: bool = True) -> "Device":
        flags = [f"-DINIT={init}", f"-DHANDLE={handle}", f"-DQUERY={query}", *([] if has_query else ["-DNO_QUERY"])]
        self._compile("libnvidia-ml.so.1", NVML_SOURCE, *flags)
        return self

    def driver(self) -> "Device":
        self._compile("libcuda.so.1", CUDA_SOURCE)
        return self

    def torch(self, **plan: Any) -> "Device":
        package = self.folder / "site" / "torch"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text(TORCH_SOURCE)
        self.plan = plan
        return self

    def allocator_library(self) -> str:
        (self.folder / "site").mkdir(exist_ok=True)
        self._compile("libc10_cuda.so", "int stand_in;")
        return str(self.folder / "lib" / "libc10_cuda.so")

    def run(self, python: str = sys.executable, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run the probe as a trial does: its source as an argument, nothing else of ours in reach."""
        env = {
            "PATH": os.environ["PATH"],
            "LD_LIBRARY_PATH": str(self.folder / "lib"),
            "PYTHONPATH": str(self.folder / "site"),
            "STAND_IN": json.dumps(self.plan),
            **self.env,
        }
        command = [python, "-c", PROBE.read_text()]
        return subprocess.run(command, env=env, cwd=cwd or self.folder, capture_output=True, check=False, timeout=60)

    def _compile(self, name: str, source: str, *flags: str) -> None:
        library = self.folder / "lib" / name
        library.parent.mkdir(exist_ok=True)
        command = ["gcc", "-shared", "-fPIC", "-x", "c", *flags, "-o", str(library), "-"]
        subprocess.run(command, input=source.encode(), check=True)


def told_by(done: subprocess.CompletedProcess[bytes]) -> Mapping[str, Any]:
    """Return the JSON of the one result line."""
    lines = [line for line in done.stdout.splitlines() if line.startswith(b"WATCHER-PROBE ")]
    assert len(lines) == 1, done
    told: Mapping[str, Any] = json.loads(lines[0].partition(b" ")[2])
    return told
