"""Debian's `docker-registry` on loopback, and images pushed into it by plain HTTP."""

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.real.ports import free_port, stop, wait_until

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
PROGRAM = "docker-registry"

_CONFIG = """version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  delete: {{enabled: true}}
  filesystem: {{rootdirectory: {folder}}}
http: {{addr: "{address}:{port}"}}
{auth}"""
_LOGIN = "auth: {{htpasswd: {{realm: lab, path: {file}}}}}\n"
USER, PASSWORD = "lab-user", "the-password-of-the-lab"
_HTPASSWD = f"{USER}:$2b$04$iBGH0N1MSU6cTQ5slSSrXOYKSYIlkWA6978a2ywO1Eytm5Sy3Nuna\n"
"""The password as bcrypt has it."""


@dataclass(frozen=True)
class Pushed:
    """What a tag names (`digest`), and the manifest of each architecture."""

    digest: str
    children: Mapping[str, str]


@dataclass(frozen=True)
class Registry:
    """A running registry: `host` is what stands before the first slash of an image's name."""

    url: str
    client: httpx.Client

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def push(self, repository: str, tag: str, content: str = "", architectures: tuple[str, ...] = ("arm64",)) -> Pushed:
        """Push an index over `architectures`; the content of each is `content` and the architecture's name."""
        return self.push_parts(repository, tag, {name: f"{content} {name}" for name in architectures})

    def push_parts(self, repository: str, tag: str, contents: Mapping[str, str]) -> Pushed:
        """Push an index with one child per architecture, each of its own content (and an attestation beside them)."""
        children = {name: self._push_manifest(repository, name, text) for name, text in contents.items()}
        listed = [self._descriptor(digest, size, name, "linux") for name, (digest, size) in children.items()]
        attestation = self._push_manifest(repository, "unknown", f"attestation of {sorted(contents.items())}")
        listed.append(self._descriptor(*attestation, "unknown", "unknown"))
        body = _json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed})
        self._put_manifest(repository, tag, body, OCI_INDEX)
        return Pushed(_digest(body), {name: digest for name, (digest, _) in children.items()})

    def push_single(self, repository: str, tag: str, content: str = "", architecture: str = "arm64") -> Pushed:
        """Push an image without an index: the tag names the manifest itself."""
        digest, _ = self._push_manifest(repository, architecture, content, tag)
        return Pushed(digest, {architecture: digest})

    def push_image(
        self, repository: str, tag: str, layers: Sequence[Mapping[str, bytes]], architecture: str = "amd64"
    ) -> str:
        """Push an image that a Docker engine can pull, each layer being files by path; return its digest."""
        packed = [_layer(files) for files in layers]
        config = _json(
            {
                "architecture": architecture,
                "os": "linux",
                "config": {"Env": ["PATH=/bin"]},
                "rootfs": {"type": "layers", "diff_ids": [_digest(gzip.decompress(layer)) for layer in packed]},
            }
        )
        body = self._push_blobs(repository, config, packed)
        self._put_manifest(repository, tag, body, OCI_MANIFEST)
        return _digest(body)

    def delete(self, repository: str, digest: str) -> None:
        """Delete a manifest, and with it every tag that names it."""
        self.client.delete(f"{self.url}/v2/{repository}/manifests/{digest}").raise_for_status()

    def delete_tag(self, repository: str, tag: str) -> None:
        accept = {"Accept": f"{OCI_INDEX}, {OCI_MANIFEST}"}
        answer = self.client.head(f"{self.url}/v2/{repository}/manifests/{tag}", headers=accept).raise_for_status()
        self.delete(repository, answer.headers["docker-content-digest"])

    def _push_manifest(
        self, repository: str, architecture: str, content: str, tag: str | None = None
    ) -> tuple[str, int]:
        config = _json({"architecture": architecture, "os": "linux", "config": {"Labels": {"content": content}}})
        body = self._push_blobs(repository, config, [content.encode()])
        self._put_manifest(repository, tag or _digest(body), body, OCI_MANIFEST)
        return _digest(body), len(body)

    def _push_blobs(self, repository: str, config: bytes, layers: Sequence[bytes]) -> bytes:
        """Push what a manifest names, and return the manifest."""
        for blob in (config, *layers):
            self._push_blob(repository, blob)
        return _json(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": {"mediaType": OCI_CONFIG, "digest": _digest(config), "size": len(config)},
                "layers": [{"mediaType": OCI_LAYER, "digest": _digest(layer), "size": len(layer)} for layer in layers],
            }
        )

    def _push_blob(self, repository: str, content: bytes) -> None:
        begun = self.client.post(f"{self.url}/v2/{repository}/blobs/uploads/").raise_for_status()
        place = httpx.URL(begun.headers["location"]).copy_merge_params({"digest": _digest(content)})
        headers = {"Content-Type": "application/octet-stream"}
        self.client.put(place, content=content, headers=headers).raise_for_status()

    def _put_manifest(self, repository: str, reference: str, body: bytes, media_type: str) -> None:
        headers = {"Content-Type": media_type}
        url = f"{self.url}/v2/{repository}/manifests/{reference}"
        self.client.put(url, content=body, headers=headers).raise_for_status()

    @staticmethod
    def _descriptor(digest: str, size: int, architecture: str, system: str) -> dict[str, Any]:
        platform = {"architecture": architecture, "os": system}
        return {"mediaType": OCI_MANIFEST, "digest": digest, "size": size, "platform": platform}


@contextmanager
def running_registry(
    folder: Path, login: bool = False, port: int = 0, address: str = "127.0.0.1"
) -> Iterator[Registry]:
    """Run a registry that keeps its data in `folder`, until the block ends; `login`: only for USER with PASSWORD."""
    port = port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "registry.yml"
    passwords = folder / "htpasswd"
    passwords.write_text(_HTPASSWD)
    auth = _LOGIN.format(file=passwords) if login else ""
    config.write_text(_CONFIG.format(folder=folder / "data", address=address, port=port, auth=auth))
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, "serve", str(config)], stdout=log, stderr=log)
    try:
        with httpx.Client(auth=(USER, PASSWORD) if login else None) as client:
            registry = Registry(f"http://{address}:{port}", client)
            wait_until(lambda: _answers(client, f"{registry.url}/v2/"), process, PROGRAM)
            yield registry
    finally:
        stop(process)


def is_there() -> bool:
    return shutil.which(PROGRAM) is not None


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with running_registry(tmp_path / "registry") as running:
        yield running


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == 200
    except httpx.HTTPError:
        return False


def _layer(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), compresslevel=1, mtime=0)


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
