"""Small Debians with Python in Docker images, made without a registry: debootstrap once, then import."""

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.places import CACHE
from tests.real.docker import CACHED, CannotRunHere, unmount_below

if TYPE_CHECKING:
    from docker import DockerClient

BASE = "watcher-test/base:1"
SUITE = "bookworm"
SYSTEMD = "watcher-test/systemd:1"
PYTHON = "watcher-test/python:1"
_PYTHON = "python3-minimal,libpython3-stdlib,ca-certificates"
_PACKAGES = {
    BASE: f"{_PYTHON},libgomp1,libnuma1",
    SYSTEMD: f"{_PYTHON},systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd",
    PYTHON: "python3,python3-venv,python3-pip,python-is-python3,ca-certificates",
}
_CONTENT = "watcher-test.content"


def base_image(client: "DockerClient") -> str:
    """Return the tag of the base image, made on first use. Raises CannotRunHere with what is missing."""
    return _debian(client, BASE)


def systemd_image(client: "DockerClient") -> str:
    """Return the tag of an image whose /sbin/init is systemd, made on first use. Raises CannotRunHere."""
    return _debian(client, SYSTEMD)


def python_image(client: "DockerClient") -> str:
    """Return the tag of an image with python, its venv and pip, made on first use. Raises CannotRunHere."""
    return _debian(client, PYTHON)


def _debian(client: "DockerClient", name: str) -> str:
    if not client.images.list(name=name):
        repository, _, tag = name.partition(":")
        client.api.import_image_from_file(
            str(_root_archive(name)), repository=repository, tag=tag, changes=[f"LABEL {CACHED}=1", 'CMD ["/bin/sh"]']
        )
    return name


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


def _root_archive(name: str) -> Path:
    """Return the packed root file system, made once per checkout."""
    archive = CACHE / f"{name.rpartition('/')[2].replace(':', '-')}.tar"
    CACHE.mkdir(parents=True, exist_ok=True)
    with archive.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            _make_archive(archive, _PACKAGES[name])
    return archive


def _make_archive(archive: Path, packages: str) -> None:
    if os.geteuid() != 0:
        raise CannotRunHere("making the base image needs root (debootstrap)")
    program = shutil.which("debootstrap", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        raise CannotRunHere("not installed: debootstrap (Debian: apt-get install debootstrap)")
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        root = Path(folder) / "root"
        command = [program, "--variant=minbase", f"--include={packages}", SUITE, str(root), *_mirror()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        unmount_below(root)  # on a busy machine debootstrap gives up on its own /proc, and ends well all the same
        if done.returncode != 0:
            raise CannotRunHere(f"debootstrap failed: {(done.stdout + done.stderr)[-800:]}")
        for litter in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(root / litter, ignore_errors=True)
        packed = Path(folder) / "base.tar"
        subprocess.run(["tar", "-C", str(root), "-cf", str(packed), "."], check=True)
        packed.rename(archive)


def _mirror() -> list[str]:
    """Return the mirror that this machine's apt uses for the suite; none leaves debootstrap its default."""
    try:
        asked = ["apt-get", "indextargets", "Created-By: Packages", "--format", "$(RELEASE) $(REPO_URI)"]
        lines = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
    except FileNotFoundError:
        return []
    return next(([line.split()[1]] for line in lines if line.split()[0] == SUITE), [])
