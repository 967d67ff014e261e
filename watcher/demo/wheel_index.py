"""The package indexes of the demo: as devpi serves them, and as the Python index does."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from watcher.demo.torch_build import TorchBuild, packed
from watcher.demo.web import NOT_FOUND, Request, Response, text

JSON_INDEX = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A file of an index; `metadata` is what stands beside it (PEP 658)."""

    name: str
    content: bytes
    uploaded: datetime | None = None
    metadata: bytes | None = None

    @property
    def project(self) -> str:
        return self.name.partition("-")[0]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def path(self) -> str:
        """Return its place below the index, which names its content."""
        return f"+f/{self.sha256[:3]}/{self.sha256[3:16]}/{self.name}"


def torch_wheel(build: TorchBuild, uploaded: datetime | None = None) -> Wheel:
    return Wheel(build.wheel_name, build.wheel(), uploaded)


def vllm_wheel(version: str, torch: str, uploaded: datetime) -> Wheel:
    """Return a wheel of vLLM that asks for one version of torch: all that matters here is its metadata."""
    info = f"vllm-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\nRequires-Dist: torch=={torch}\n".encode()
    content = packed({"vllm/__init__.py": b"", f"{info}/METADATA": metadata, f"{info}/RECORD": b""})
    return Wheel(f"vllm-{version}-cp38-abi3-manylinux_2_28_aarch64.whl", content, uploaded, metadata)


@dataclass(slots=True)
class WheelIndex:
    """An index below `root`.

    Attributes:
        is_devpi: pages below `+simple/` with a serial instead of an ETag, and neither dates nor metadata files.
        serial: counts its changes.
    """

    root: str
    is_devpi: bool = True
    serial: int = 4100
    wheels: dict[str, Wheel] = field(default_factory=dict)

    def add(self, wheel: Wheel) -> None:
        self.wheels[wheel.name] = wheel
        self.serial += 1

    def page(self, project: str) -> str:
        """Return the path of a project's page."""
        return f"{self.root}{'+simple/' if self.is_devpi else ''}{project}/"

    def answer(self, request: Request) -> Response:
        for wheel in self.wheels.values():
            if request.path == self.page(wheel.project):
                return self._page(wheel.project, as_json=JSON_INDEX in request.headers.get("accept", ""))
            if request.path == f"{self.root}{wheel.path}":
                return Response(wheel.content, headers={"ETag": f'"{wheel.sha256}"'})
            if request.path == f"{self.root}{wheel.path}.metadata" and wheel.metadata is not None:
                return Response(wheel.metadata)
        return NOT_FOUND

    def _page(self, project: str, as_json: bool) -> Response:
        files = [wheel for wheel in self.wheels.values() if wheel.project == project]
        page, kind = (self._json(project, files), JSON_INDEX) if as_json else (self._html(project, files), "text/html")
        if not self.is_devpi:
            return text(page, kind, Vary="Accept")
        return Response(page.encode(), kind, headers={"X-DEVPI-SERIAL": str(self.serial), "Vary": "Accept, User-Agent"})

    def _json(self, project: str, files: list[Wheel]) -> str:
        listed = [self._entry(wheel) for wheel in files]
        version = "1.0" if self.is_devpi else "1.1"
        return json.dumps({"meta": {"api-version": version}, "name": project, "files": listed})

    def _entry(self, wheel: Wheel) -> Mapping[str, Any]:
        entry: dict[str, Any] = {
            "filename": wheel.name,
            "url": f"../{'../' if self.is_devpi else ''}{wheel.path}",
            "hashes": {"sha256": wheel.sha256},
        }
        if not self.is_devpi:
            entry["size"] = len(wheel.content)
            if wheel.metadata is not None:
                entry["core-metadata"] = {"sha256": hashlib.sha256(wheel.metadata).hexdigest()}
            if wheel.uploaded is not None:
                entry["upload-time"] = wheel.uploaded.isoformat().replace("+00:00", "Z")
        return entry

    def _html(self, project: str, files: list[Wheel]) -> str:
        index = self.root.strip("/")
        links = "".join(
            f'{index} <a href="{self._entry(wheel)["url"]}#sha256={wheel.sha256}">{wheel.name}</a><br/>\n'
            for wheel in files
        )
        title = f"{index}: links for {project}"
        return f"<!DOCTYPE html><html><head><title>{title}</title></head><body>\n{links}</body></html>"
