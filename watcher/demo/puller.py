"""Pull an image over the registry protocol: index, manifest, configuration, layers, each checked against its digest."""

import gzip
import io
import json
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

from watcher.demo.registry import INDEX, MANIFEST, digest_of
from watcher.errors import HostError
from watcher.model.container import LocalImage

_LOOPBACK = build_opener(ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class FetchedImage:
    """An image with its environment and its files by path."""

    image: LocalImage
    env: Mapping[str, str]
    files: Mapping[str, bytes]


def pull_image(reference: str, digest: str | None, architecture: str, deadline: float) -> FetchedImage:
    """Return the image of a loopback registry; `deadline` is on the monotonic clock. Raises HostError."""
    place, _, tag = reference.rpartition(":")
    if "/" not in place:
        raise HostError("the reference names no registry and repository", image=reference)
    host, repository = place.split("/", 1)
    registry = _Registry(host, repository, deadline)
    content = registry.get("manifests", digest or tag, digest)
    manifest = json.loads(content)
    if manifest.get("mediaType") == INDEX:
        digest = _child(manifest, architecture)
        content = registry.get("manifests", digest, digest)
        manifest = json.loads(content)
    config_digest = manifest["config"]["digest"]
    config = json.loads(registry.get("blobs", config_digest, config_digest))
    layers = [registry.get("blobs", layer["digest"], layer["digest"]) for layer in manifest["layers"]]
    env = tuple(config.get("config", {}).get("Env") or ())
    image = LocalImage(
        id=config_digest,
        reference=reference,
        digest=digest_of(content),
        architecture=config["architecture"],
        bytes=sum(map(len, layers)),
        env=env,
        pulled=True,
    )
    return FetchedImage(image, dict(line.split("=", 1) for line in env), _unpacked(layers))


@dataclass(frozen=True, slots=True)
class _Registry:
    host: str
    repository: str
    deadline: float

    def get(self, what: str, reference: str, digest: str | None) -> bytes:
        """Return a manifest or blob; what does not fit its digest is refused."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise HostError("the pull took too long", image=self.repository)
        url = f"http://{self.host}/v2/{self.repository}/{what}/{reference}"
        try:
            asked = Request(url, headers={"Accept": f"{INDEX}, {MANIFEST}"})
            with _LOOPBACK.open(asked, timeout=min(left, 30)) as response:
                content: bytes = response.read()
        except (URLError, OSError) as error:
            raise HostError("the image could not be pulled", url=url, reason=str(error)) from None
        if digest is not None and digest_of(content) != digest:
            raise HostError("the registry sent something else than was asked for", url=url)
        return content


def _child(index: Mapping[str, Any], architecture: str) -> str:
    for child in index["manifests"]:
        if child["platform"]["architecture"] == architecture:
            return str(child["digest"])
    raise HostError("the image does not exist for this architecture", architecture=architecture)


def _unpacked(layers: list[bytes]) -> dict[str, bytes]:
    """Return the files of all layers, later ones over earlier ones."""
    files: dict[str, bytes] = {}
    for layer in layers:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer))) as tar:
            for entry in tar:
                content = tar.extractfile(entry) if entry.isfile() else None
                if content is not None:
                    files[entry.name.removeprefix("./")] = content.read()
    return files
