"""Builds of a stand-in for torch that a container can import, and an NVML library that refuses the process query.

The package raises what such a build raises; its `libc10_cuda.so` is a real library that holds the text of its kind, so
that it is seen in the bytes, and in the process that loaded it. No CUDA is in it.
"""

import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.bugs.stand_ins import ASSERTION, CLEAN, NVML_SOURCE
from watcher.demo.torch_build import LIBRARY, packed
from watcher.demo.wheel_index import Wheel

NVML_PLACE = "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"
SITE_PACKAGES = "/usr/local/lib/python3.11/dist-packages"
_WARNING = (
    "nvmlDeviceGetComputeRunningProcesses failed; omitting per-process memory info from CUDA out-of-memory messages."
)
_PACKAGE = """
import ctypes, os
ctypes.CDLL(os.path.join(os.path.dirname(__file__), "lib", "libc10_cuda.so"))
from torch.version import __version__
uint8 = "uint8"

class OutOfMemoryError(RuntimeError):
    pass

class properties:
    pci_domain_id, pci_bus_id, pci_device_id = 0, 7, 0

class cuda:
    init = staticmethod(lambda: None)
    is_available = staticmethod(lambda: True)
    get_device_properties = staticmethod(lambda index: properties)

def empty(size, dtype, device):
    if size > 1 << 20:
        raise {error}
"""


def torch_files(version: str, has_bug: bool) -> dict[str, bytes]:
    """Return what an installation has of it, by path below site-packages."""
    error = f"RuntimeError({ASSERTION!r})" if has_bug else f"OutOfMemoryError({CLEAN!r})"
    return {
        "torch/__init__.py": _PACKAGE.replace("{error}", error).encode(),
        "torch/version.py": f"__version__ = '{version}'\n".encode(),
        LIBRARY: _compiled(f"const char text[] = {_quoted(ASSERTION if has_bug else _WARNING)};"),
        f"torch-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n".encode(),
    }


def torch_wheel(version: str, has_bug: bool, more: Mapping[str, bytes] | None = None) -> Wheel:
    """Return its wheel; `more` are further files of the package."""
    files = torch_files(version, has_bug) | {f"torch/{name}": content for name, content in (more or {}).items()}
    return Wheel(f"torch-{version}-cp311-cp311-linux_x86_64.whl", packed(files))


def torch_in_image(version: str, has_bug: bool) -> dict[str, tuple[bytes, int]]:
    """Return the files of an image that holds it, with an NVML library as on a Jetson."""
    files = {f"{SITE_PACKAGES}/{path}": (content, 0o644) for path, content in torch_files(version, has_bug).items()}
    return files | {NVML_PLACE: (_compiled(NVML_SOURCE, "-DINIT=0", "-DHANDLE=0", "-DQUERY=3"), 0o644)}


@cache
def _compiled(source: str, *flags: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "built.so"
        command = ["gcc", "-shared", "-fPIC", "-x", "c", *flags, "-o", str(library), "-"]
        subprocess.run(command, input=source.encode(), check=True)
        return library.read_bytes()


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
