"""What the slow tier runs on, built once into the cache: packages of vLLM for the CPU and of llama.cpp, the models, and
the wheels of the watcher's own image."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.places import CACHE, CHECKOUT
from tests.real.docker import CannotRunHere
from tests.real.kept import once

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
LLAMA_REQUIREMENTS = HERE / "llama-requirements.txt"
IMAGE_REQUIREMENTS = (CHECKOUT / "requirements.lock", CHECKOUT / "requirements-build.lock")
PACKAGES = (HERE / "shim", HERE / "plugin")
MODEL = HERE / "model"
PYTHON = "3.11"
"""The base image's Python (Debian 12): it runs the packages that this machine's Python of that version installed."""
IMAGE_PYTHON = "3.13"
"""The Python of the watcher's own image."""
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_MANYLINUX = ("manylinux2014", "manylinux_2_17", "manylinux_2_28")
_TAIL = 1500


@dataclass(frozen=True)
class EngineBuild:
    """Folders on this machine: `python` runs the packages in `site`, `model` is what vLLM serves."""

    python: Path
    site: Path
    model: Path


def engine_build() -> EngineBuild:
    """Return packages and model, built on first use (minutes, 3.4 GB). Raises CannotRunHere with what is missing."""
    environment = _environment()
    python = environment / "bin" / "python"
    once(environment / ".own" / _content_of(*PACKAGES), lambda stamp: _install_own(python, stamp))
    return EngineBuild(python, environment / "lib" / f"python{PYTHON}" / "site-packages", _model(python))


def llama_packages() -> Path:
    """Return the folder with llama.cpp's packages, filled on first use (10 s, 110 MB). Raises CannotRunHere."""
    folder = CACHE / "engines" / f"llama-{_content_of(LLAMA_REQUIREMENTS)}"
    once(folder, _install_llama)
    return folder


def image_wheels(architecture: str) -> Path:
    """Return the folder with the wheels that the Dockerfile installs (22 MB). Raises CannotRunHere."""
    folder = CACHE / f"wheels-{IMAGE_PYTHON}-{architecture}-{_content_of(*IMAGE_REQUIREMENTS)}"
    once(folder, lambda folder: _download(folder, _MACHINES[architecture]))
    return folder


def _install_llama(folder: Path) -> None:
    _pip("install", PYTHON, "--target", str(folder), "-r", str(LLAMA_REQUIREMENTS))


def _download(folder: Path, machine: str) -> None:
    platforms = [f"--platform={platform}_{machine}" for platform in _MANYLINUX]
    for locked in IMAGE_REQUIREMENTS:
        _pip("download", IMAGE_PYTHON, *platforms, "--require-hashes", "--dest", str(folder), "-r", str(locked))


def _pip(command: str, version: str, *arguments: str) -> None:
    """Let pip choose for an image's Python, whichever runs here."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", command, "--quiet", "--no-cache-dir")
    _run(*pip, "--no-deps", "--only-binary=:all:", "--python-version", version, *arguments)


def _environment() -> Path:
    environment = CACHE / "engines" / f"vllm-{_content_of(REQUIREMENTS)}"
    once(environment, _install)
    return environment


def _model(python: Path) -> Path:
    model = CACHE / "engines" / f"model-{_content_of(MODEL)}"
    once(model, lambda folder: _run(str(python), str(MODEL / "train.py"), str(folder)))
    return model


def _install(environment: Path) -> None:
    _run(_base_python(), "-m", "venv", str(environment))
    pip = (str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check")
    _run(*pip, "install", "--quiet", "--no-cache-dir", "--no-deps", "-r", str(REQUIREMENTS))


def _install_own(python: Path, stamp: Path) -> None:
    """Install the packages of ours from copies: building leaves files beside the sources."""
    with tempfile.TemporaryDirectory() as folder:
        copies = [shutil.copytree(package, Path(folder) / package.name) for package in PACKAGES]
        pip = (str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps")
        _run(*pip, "--no-build-isolation", "--force-reinstall", *map(str, copies))
    stamp.mkdir(parents=True)


def _base_python() -> str:
    if sys.version_info[:2] == tuple(map(int, PYTHON.split("."))):
        return sys.executable
    found = shutil.which(f"python{PYTHON}")
    if found is None:
        raise CannotRunHere(f"not installed: python{PYTHON}, the version in the base image")
    return found


def _content_of(*places: Path) -> str:
    """Return a short hash over the files' names and bytes; what an interpreter leaves beside them does not count."""
    digest = hashlib.sha256()
    for place in places:
        files = sorted(place.iterdir()) if place.is_dir() else [place]
        for file in files:
            if file.is_file():
                digest.update(f"{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr)[-_TAIL:]
        raise CannotRunHere(f"{' '.join(command[:4])} … ended with {done.returncode}:\n{said}")
