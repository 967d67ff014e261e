"""Wheels and libraries as the tests need them: small, with the texts that the real builds carry."""

import random
import tomllib
import zipfile
from io import BytesIO
from pathlib import Path

from tests.places import CHECKOUT
from watcher.config.bugs import BugSettings, read_bug

LIBRARY = "torch/lib/libc10_cuda.so"
VERSION = "torch/version.py"
KIN = 'NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/build/c10/cuda/PeerToPeerAccess.cpp":69, please report a bug'
"""The same macro in another file: it stays in fixed builds and is another fault."""
WARNING = "omitting per-process memory info from CUDA out-of-memory messages."


def assertion(line: int, build: str = "/build") -> str:
    return (
        f'NVML_SUCCESS == r INTERNAL ASSERT FAILED at "{build}/c10/cuda/CUDACachingAllocator.cpp":{line}, please report'
    )


def library(*texts: str, size: int = 40_000, seed: int = 1) -> bytes:
    """Return an ELF-like file: noise with the texts in between, each ended by NUL as in a string table."""
    noise = random.Random(seed)
    chunk = size // (len(texts) + 1)
    strings = b"".join(noise.randbytes(chunk) + b"\0" + text.encode() + b"\0" for text in texts)
    return b"\x7fELF" + strings + noise.randbytes(chunk)


PRESENT = library(assertion(1377), assertion(1392), assertion(1407), KIN)
FIXED = library(f"nvmlInit_v2 failed; {WARNING}", f"the process query failed; {WARNING}", KIN)


def wheel(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def torch_wheel(content: bytes | None, version: str = "2.13.0+cu130") -> bytes:
    """Return a torch wheel around a library; None makes a CPU build."""
    members = {"torch/__init__.py": b"", VERSION: f"debug = False\n__version__ = '{version}'\n".encode()}
    if content is not None:
        members[LIBRARY] = content
    return wheel({**members, f"torch-{version}.dist-info/METADATA": f"Name: torch\nVersion: {version}\n".encode()})


def saved(folder: Path, content: bytes, name: str = "torch-2.13.0-cp312-cp312-manylinux_2_28_aarch64.whl") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def allocator_bug() -> BugSettings:
    """Return the shipped bug as the program reads it."""
    folder = CHECKOUT / "watcher" / "bugs" / "cuda-allocator"
    return read_bug(folder, tomllib.loads((folder / "bug.toml").read_text()))
