"""An OCI registry: images pushed by the demo, served in the distribution protocol to whoever pulls."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from watcher.demo.web import Request, Response

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True, slots=True)
class Layer:
    """A compressed layer: its content, and the digest of what it unpacks to."""

    blob: bytes | Path
    digest: str
    diff_id: str
    size: int


def layer_of(files: Mapping[str, bytes], executable: frozenset[str] = frozenset()) -> Layer:
    """Return a layer with these files, the same bytes each time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755 if name in executable else 0o644
            tar.addfile(entry, io.BytesIO(content))
    blob = gzip.compress(buffer.getvalue(), compresslevel=1, mtime=0)
    return Layer(blob, digest_of(blob), digest_of(buffer.getvalue()), len(blob))


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(slots=True)
class Registry:
    """`tags` maps repository and tag to the digest of an index."""

    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[str, bytes | Path] = field(default_factory=dict)

    def push(
        self, repository: str, tag: str, layers: tuple[Layer, ...], env: tuple[str, ...], architectures: tuple[str, ...]
    ) -> str:
        """Publish one image for each architecture under a tag; return the digest of the index."""
        children = []
        for architecture in architectures:
            media_type, content = MANIFEST, self._manifest(layers, env, architecture)
            digest = self._keep_manifest(media_type, content)
            platform = {"architecture": architecture, "os": "linux"}
            children.append({"mediaType": media_type, "digest": digest, "size": len(content), "platform": platform})
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": children}
        digest = self._keep_manifest(INDEX, json.dumps(index, indent=1).encode())
        self.tags.setdefault(repository, {})[tag] = digest
        return digest

    def _manifest(self, layers: tuple[Layer, ...], env: tuple[str, ...], architecture: str) -> bytes:
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Env": list(env), "Cmd": ["vllm"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        }
        content = json.dumps(config, indent=1).encode()
        self.blobs[digest_of(content)] = content
        for layer in layers:
            self.blobs[layer.digest] = layer.blob
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest_of(content), "size": len(content)},
            "layers": [{"mediaType": LAYER, "digest": layer.digest, "size": layer.size} for layer in layers],
        }
        return json.dumps(manifest, indent=1).encode()

    def _keep_manifest(self, media_type: str, content: bytes) -> str:
        digest = digest_of(content)
        self.manifests[digest] = (media_type, content)
        return digest

    def answer(self, request: Request) -> Response:
        """Answer what begins with `/v2/`: tag lists, manifests by tag or digest, blobs."""
        path = request.path.removeprefix("/v2/")
        if not path:
            return _json({})
        for middle, method in (
            ("/tags/list", self._tag_list),
            ("/manifests/", self._one_manifest),
            ("/blobs/", self._blob),
        ):
            repository, found, rest = path.rpartition(middle)
            if found and repository in self.tags:
                return method(request, repository, rest)
        return _fault(404, "NAME_UNKNOWN", "repository name not known to registry")

    def _tag_list(self, request: Request, repository: str, _rest: str) -> Response:
        """Return the names in lexical order, `n` at a time, with a relative link to the next page."""
        names = [name for name in sorted(self.tags[repository]) if name > request.query.get("last", "")]
        count = int(request.query.get("n") or len(names))
        shown = names[:count]
        link = f'</v2/{repository}/tags/list?n={count}&last={shown[-1]}>; rel="next"' if len(names) > count else ""
        return _json({"name": repository, "tags": shown}, {"Link": link} if link else {})

    def _one_manifest(self, _request: Request, repository: str, reference: str) -> Response:
        digest = self.tags[repository].get(reference, reference)
        if digest not in self.manifests:
            return _fault(404, "MANIFEST_UNKNOWN", "manifest unknown")
        media_type, content = self.manifests[digest]
        return Response(content, media_type, headers={"Docker-Content-Digest": digest, "ETag": f'"{digest}"'})

    def _blob(self, _request: Request, _repository: str, digest: str) -> Response:
        if digest not in self.blobs:
            return _fault(404, "BLOB_UNKNOWN", "blob unknown to registry")
        return Response(self.blobs[digest], headers={"Docker-Content-Digest": digest, "ETag": f'"{digest}"'})


def _json(document: Mapping[str, Any], headers: Mapping[str, str] | None = None, status: int = 200) -> Response:
    versioned = {"Docker-Distribution-Api-Version": "registry/2.0", **(headers or {})}
    return Response(json.dumps(document).encode(), "application/json", status, versioned)


def _fault(status: int, code: str, message: str) -> Response:
    return _json({"errors": [{"code": code, "message": message}]}, status=status)
