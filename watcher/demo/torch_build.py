"""Builds of PyTorch as far as the demo needs them: a library that carries the assert or the warning, in a wheel."""

import base64
import hashlib
import io
import random
import zipfile
from dataclasses import dataclass
from functools import cache

LIBRARY = "torch/lib/libc10_cuda.so"
_FILLING = "torch/lib/libtorch_cuda.so"
_ASSERT = (
    b'NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/opt/pytorch/c10/cuda/CUDACachingAllocator.cpp":%d, please report'
)
_WARNING = (
    b"nvmlDeviceGetComputeRunningProcesses failed; omitting per-process memory info from CUDA out-of-memory messages."
)
_ELSEWHERE = (
    b'NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/opt/pytorch/c10/cuda/PeerToPeerAccess.cpp":201, please report'
)


ASSERTED = _ASSERT.partition(b"%d")[0]


@dataclass(frozen=True, slots=True)
class TorchBuild:
    """`version` as in `2.13.0` or `2.13.0+cu130`; `has_bug` says which of the two texts its library holds.

    `has_cuda` False is a build for the CPU, which has no such library at all.
    """

    version: str
    has_bug: bool
    python: str = "cp310"
    platform: str = "linux_aarch64"
    has_cuda: bool = True

    @property
    def wheel_name(self) -> str:
        return f"torch-{self.version}-{self.python}-{self.python}-{self.platform}.whl"

    def library(self) -> bytes:
        """Return a stand-in for libc10_cuda.so: an ELF header, the texts, and filling that does not compress away."""
        texts = [_ASSERT % line for line in (1377, 1392, 1407)] if self.has_bug else [_WARNING]
        filling = random.Random(self.version).randbytes(400_000)  # noqa: S311  filling, not a secret
        return b"\x7fELF\x02\x01\x01" + bytes(9) + filling + b"\0" + b"\0".join([*texts, _ELSEWHERE]) + b"\0" + filling

    def files(self) -> dict[str, bytes]:
        """Return what an installation has of it, by path below site-packages."""
        info = f"torch-{self.version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: torch\nVersion: {self.version}\nRequires-Python: >=3.10\n"
        tag = f"{self.python}-{self.python}-{self.platform}"
        library = {LIBRARY: self.library()} if self.has_cuda else {}
        return {
            "torch/__init__.py": f"from torch.version import __version__  # build {self.version}\n".encode(),
            "torch/version.py": f"__version__ = '{self.version}'\ncuda = '12.6'\n".encode(),
            **library,
            _FILLING: b"\x7fELF" + random.Random(self.platform).randbytes(3_000_000),  # noqa: S311
            f"{info}/METADATA": metadata.encode(),
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: demo\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
        }

    def wheel(self) -> bytes:
        """Return the wheel, the same bytes each time."""
        return _wheel(self)


@cache
def _wheel(build: TorchBuild) -> bytes:
    files = build.files()
    files[f"torch-{build.version}.dist-info/RECORD"] = "".join(map(_record, files.items())).encode()
    return packed(files)


def packed(files: dict[str, bytes]) -> bytes:
    """Return a wheel of these files, compressed but for the filling, which does not compress."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in files.items():
            method = zipfile.ZIP_STORED if name == _FILLING else zipfile.ZIP_DEFLATED
            wheel.writestr(zipfile.ZipInfo(name, (2026, 9, 2, 0, 0, 0)), content, method)
    return buffer.getvalue()


def _record(file: tuple[str, bytes]) -> str:
    name, content = file
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"
