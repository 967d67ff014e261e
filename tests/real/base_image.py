"""Small Debians with Python in Docker images, made without a registry: debootstrap once, then load."""

import fcntl
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.places import CACHE
from tests.real.debian import BOOKWORM, TRIXIE, mirror
from tests.real.docker import CACHED, CannotRunHere, unmount_below
from tests.real.emulation import HERE, emulated

if TYPE_CHECKING:
    from docker import DockerClient

BASE = "watcher-test/base:1"
SYSTEMD = "watcher-test/systemd:1"
_PYTHON = "python3-minimal,libpython3-stdlib,ca-certificates"
_CONTENT = "watcher-test.content"


@dataclass(frozen=True)
class _Debian:
    """A release of Debian with packages, for an architecture in Debian's (and Docker's) words."""

    name: str
    suite: str
    packages: str
    architecture: str = HERE


def base_image(client: "DockerClient") -> str:
    """Return the tag of the base image, made on first use. Raises CannotRunHere with what is missing."""
    return _image(client, _Debian(BASE, BOOKWORM, f"{_PYTHON},libgomp1,libnuma1"))


def systemd_image(client: "DockerClient") -> str:
    """Return the tag of an image whose /sbin/init is systemd, made on first use. Raises CannotRunHere."""
    systemd = "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd"
    return _image(client, _Debian(SYSTEMD, BOOKWORM, f"{_PYTHON},{systemd}"))


def python_image(client: "DockerClient", architecture: str = HERE) -> str:
    """Return the tag of an image with Python 3.13 and its venv, made on first use. Raises CannotRunHere."""
    packages = "python3,python3-venv,python-is-python3"
    return _image(client, _Debian(f"watcher-test/python-3.13-{architecture}:2", TRIXIE, packages, architecture))


def _image(client: "DockerClient", debian: _Debian) -> str:
    if not client.images.list(name=debian.name):
        with _archive_of_image(debian) as archive, archive.open("rb") as opened:
            client.images.load(opened)
    return debian.name


def build_image(
    client: "DockerClient",
    tag: str,
    files: Mapping[str, tuple[bytes, int]],
    conf: Mapping[str, Any],
    base: str | None = None,
) -> str:
    """Put files (path to content and mode) and a container configuration upon the base; return the image's id.

    The same content is built once per data root: it stays under a name of its own when tests are swept away.
    """
    content = _hash(files, conf, base)
    kept = f"watcher-test/built:{content}"
    if not client.images.list(name=kept):
        _commit(client, base or base_image(client), kept, files, {**conf, "Labels": _labels(conf, content)})
    image = client.images.get(kept)
    assert image.tag(*_split(tag))
    return str(image.id)


def _commit(
    client: "DockerClient", base: str, tag: str, files: Mapping[str, tuple[bytes, int]], conf: dict[str, Any]
) -> None:
    container = client.api.create_container(base, command=["true"])["Id"]
    try:
        if files:
            client.api.put_archive(container, "/", _tar(files))
        repository, name = _split(tag)
        client.api.commit(container, repository=repository, tag=name, conf=conf)
    finally:
        client.api.remove_container(container, force=True)


def _tar(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, (content, mode) in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _hash(files: Mapping[str, tuple[bytes, int]], conf: Mapping[str, Any], base: str | None) -> str:
    told = repr((sorted(files.items()), sorted(conf.items()), base or BASE))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _labels(conf: Mapping[str, Any], content: str) -> dict[str, str]:
    return {**conf.get("Labels", {}), CACHED: "1", _CONTENT: content}


def _split(tag: str) -> tuple[str, str]:
    repository, _, name = tag.rpartition(":")
    return repository, name


@contextmanager
def _archive_of_image(debian: _Debian) -> Iterator[Path]:
    """Lend an archive as `docker load` takes it; `docker import` could not say for which architecture it is."""
    root = _root_archive(debian)
    with root.open("rb") as opened:
        layer = hashlib.file_digest(opened, "sha256").hexdigest()
    config = {
        "architecture": debian.architecture,
        "os": "linux",
        "config": {"Cmd": ["/bin/sh"], "Labels": {CACHED: "1"}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
        "history": [{"created_by": "debootstrap"}],
    }
    manifest = [{"Config": "config.json", "RepoTags": [debian.name], "Layers": ["layer.tar"]}]
    described = {"config.json": config, "manifest.json": manifest}
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        packed = Path(folder) / "image.tar"
        packed.write_bytes(_tar({name: (json.dumps(part).encode(), 0o644) for name, part in described.items()}))
        with tarfile.open(packed, "a") as archive:
            archive.add(root, "layer.tar")
        yield packed


def _root_archive(debian: _Debian) -> Path:
    """Return the packed root file system, made once per checkout."""
    archive = CACHE / f"{debian.name.rpartition('/')[2].replace(':', '-')}.tar"
    CACHE.mkdir(parents=True, exist_ok=True)
    with archive.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            _make_archive(archive, debian)
    return archive


def _make_archive(archive: Path, debian: _Debian) -> None:
    if os.geteuid() != 0:
        raise CannotRunHere("making the base image needs root (debootstrap)")
    program = shutil.which("debootstrap", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        raise CannotRunHere("not installed: debootstrap (Debian: apt-get install debootstrap)")
    with tempfile.TemporaryDirectory(dir=CACHE) as folder, emulated(debian.architecture):
        root = Path(folder) / "root"
        chosen = (f"--arch={debian.architecture}", "--variant=minbase", f"--include={debian.packages}")
        command = [program, *chosen, debian.suite, str(root), *filter(None, [mirror()])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        unmount_below(root)  # on a busy machine debootstrap gives up on its own /proc, and ends well all the same
        if done.returncode != 0:
            raise CannotRunHere(f"debootstrap failed: {(done.stdout + done.stderr)[-800:]}")
        for litter in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(root / litter, ignore_errors=True)
        packed = Path(folder) / "base.tar"
        subprocess.run(["tar", "-C", str(root), "-cf", str(packed), "."], check=True)
        packed.rename(archive)
