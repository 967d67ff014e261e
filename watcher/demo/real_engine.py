"""The demo on a real container engine: real images over a real pull, a real container that makes room."""

import gzip
import hashlib
import json
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from watcher.demo.bench import Bench
from watcher.demo.registry import Layer
from watcher.demo.year import NVIDIA, UPSTREAM
from watcher.errors import ConfigError, HostError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.images import Image

SERVICE = "watcher-demo-assistant"
LABEL = "watcher.demo"
_HEALTH = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080')"
_SECOND = 10**9


@contextmanager
def open_real_bench(base: str, folder: Path) -> Iterator[Bench]:
    """Start the service that makes room, lend the bench, and remove the service again.

    Raises HostError when there is no engine, ConfigError when it has no such image.
    """
    import docker
    from docker.errors import DockerException, ImageNotFound

    url = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    try:
        client = docker.DockerClient(base_url=url, timeout=120)
        image = client.images.get(base)
    except ImageNotFound:
        hint = "name another with --base, or pull it first"
        raise ConfigError("the engine has no such image to build the demo's on", (hint,), image=base) from None
    except DockerException as error:
        raise HostError("the container engine does not answer", docker=url, reason=str(error)) from None
    layers = base_layers(image, folder / "base")
    _remove_service(client)
    _start_service(client, base)
    try:
        yield Bench(
            host=None,
            device_name="this-machine",
            docker_url=url,
            runtime="runc",
            service=SERVICE,
            architectures=(str(image.attrs["Architecture"]),),
            layers=layers,
            forget_images=partial(_forget_images, client),
        )
    finally:
        _remove_service(client)
        shutil.rmtree(folder / "base", ignore_errors=True)
        client.close()


def base_layers(image: "Image", folder: Path) -> tuple[Layer, ...]:
    """Return the image's layers, compressed into files below `folder`, lowest first."""
    folder.mkdir(parents=True)
    saved = folder / "saved.tar"
    with saved.open("wb") as file:
        for chunk in image.save():
            file.write(chunk)
    with tarfile.open(saved) as tar:
        (entry,) = json.load(_member(tar, "manifest.json"))
        layers = tuple(_compressed(_member(tar, name), folder) for name in entry["Layers"])
    saved.unlink()
    return layers


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    content = tar.extractfile(name)
    if content is None:
        raise HostError("the engine saved an image without one of its parts", part=name)
    return content


def _compressed(layer: IO[bytes], folder: Path) -> Layer:
    plain, packed = hashlib.sha256(), hashlib.sha256()
    blob = folder / "layer.gz"
    with blob.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1, mtime=0) as file:
        while chunk := layer.read(1 << 20):
            plain.update(chunk)
            file.write(chunk)
    with blob.open("rb") as written:
        while chunk := written.read(1 << 20):
            packed.update(chunk)
    kept = blob.rename(folder / packed.hexdigest())
    return Layer(kept, f"sha256:{packed.hexdigest()}", f"sha256:{plain.hexdigest()}", kept.stat().st_size)


def _start_service(client: "DockerClient", base: str) -> None:
    from docker.errors import DockerException

    try:
        client.containers.run(  # type: ignore[call-overload]  # the stubs know only two of the restart policies
            base,
            ["python3", "-m", "http.server", "8080", "--directory", "/tmp"],  # noqa: S108  in the container
            name=SERVICE,
            detach=True,
            init=True,
            labels={LABEL: "1"},
            restart_policy={"Name": "unless-stopped"},
            healthcheck={
                "test": ["CMD", "python3", "-c", _HEALTH],
                "interval": _SECOND,
                "timeout": 3 * _SECOND,
                "retries": 5,
            },
        )
    except DockerException as error:
        raise HostError("the demo's service could not be started; has the image python3?", reason=str(error)) from None
    _wait_until_healthy(client)


def _wait_until_healthy(client: "DockerClient") -> None:
    ends = time.monotonic() + 60
    while client.containers.get(SERVICE).attrs["State"].get("Health", {}).get("Status") != "healthy":
        if time.monotonic() > ends:
            raise HostError("the demo's service did not become healthy", container=SERVICE)
        time.sleep(0.5)


def _remove_service(client: "DockerClient") -> None:
    for container in client.containers.list(all=True, filters={"name": f"^{SERVICE}$", "label": LABEL}):
        container.remove(force=True)


def _forget_images(client: "DockerClient") -> None:
    """Remove what was pulled from the demo's world: its registry is gone with it."""
    for image in client.images.list():
        named = [name.partition("@")[0] for name in (*image.tags, *(image.attrs.get("RepoDigests") or ()))]
        if named and all(
            name.startswith("127.0.0.1:") and any(one in name for one in (NVIDIA, UPSTREAM)) for name in named
        ):
            client.images.remove(str(image.id), force=True)
