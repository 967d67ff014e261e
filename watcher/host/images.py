"""Images in the engine: found, pulled by digest with progress, removed."""

import contextlib
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from watcher.errors import HostError
from watcher.host.engine import Engine, asking
from watcher.model.container import LocalImage
from watcher.ports import ReportProgress

_REPORT_SECONDS = 1.0
_MB = 1_000_000


def repository_of(image: str) -> str:
    """Return `image` without tag and digest."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


class Images:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, reference: str) -> LocalImage | None:
        told = self._engine.image(reference)
        return _local(told, reference) if told else None

    def pull(self, image: str, digest: str | None, report: ReportProgress, deadline: float) -> LocalImage:
        """Return the image, from the engine where it is there already. Docker's own configuration gives the login."""
        reference = f"{repository_of(image)}@{digest}" if digest else image
        if (found := self.find(reference) or self._built_here(image, digest)) is not None:
            return found
        before = self._ids()
        self._transfer(reference, report, deadline)
        if (pulled := self.find(reference)) is None:
            raise HostError("the image was pulled but is not there", image=reference)
        # the same content may have been there under another name: then it is not ours to remove
        return replace(pulled, pulled=pulled.id not in before)

    def remove(self, image_id: str) -> None:
        """Remove an image that the watcher pulled; one that is gone is fine, one that somebody named since stays."""
        from docker.errors import NotFound

        with asking("an image could not be removed", image=image_id), contextlib.suppress(NotFound):
            self._engine.api.remove_image(image_id)

    def _built_here(self, image: str, digest: str | None) -> LocalImage | None:
        """Return the image whose own id `digest` is: what was built on the device has no other digest."""
        found = self.find(digest) if digest else None
        return replace(found, reference=image) if found else None

    def _ids(self) -> frozenset[str]:
        with asking("the images could not be listed"):
            return frozenset(str(image["Id"]) for image in self._engine.api.images(all=True))

    def _transfer(self, reference: str, report: ReportProgress, deadline: float) -> None:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise HostError("there was no time left to pull the image", image=reference)
        # a connection of its own: closing it is what makes the engine give up a pull
        api = self._engine.connect(remaining)
        with contextlib.closing(api), asking("the image could not be pulled", image=reference):
            progress = _Progress(reference, report)
            for line in api.pull(reference, stream=True, decode=True):
                if "error" in line:
                    raise HostError("the image could not be pulled", image=reference, cause=str(line["error"])[:300])
                if time.monotonic() > deadline:
                    raise HostError("the image was not pulled in time", image=reference)
                progress.note(line)


class _Progress:
    """Adds up the layers and tells a line now and then."""

    def __init__(self, reference: str, report: ReportProgress) -> None:
        self._reference = reference
        self._report = report
        self._layers: dict[str, tuple[int, int]] = {}
        self._done: set[str] = set()
        self._told_at = 0.0

    def note(self, line: dict[str, Any]) -> None:
        layer, status, detail = str(line.get("id", "")), str(line.get("status", "")), line.get("progressDetail") or {}
        if status == "Downloading" and "total" in detail:
            self._layers[layer] = (int(detail.get("current", 0)), int(detail["total"]))
        elif status in ("Pull complete", "Already exists"):
            self._done.add(layer)
        if time.monotonic() - self._told_at >= _REPORT_SECONDS:
            self._told_at = time.monotonic()
            self._report(self._line())

    def _line(self) -> str:
        here = sum(current for current, _ in self._layers.values()) // _MB
        total = sum(size for _, size in self._layers.values()) // _MB
        return f"pulling {self._reference}: {here} of {total} MB, {len(self._done)} layers done"


def _local(told: dict[str, Any], reference: str) -> LocalImage:
    return LocalImage(
        id=str(told["Id"]),
        reference=reference,
        digest=_digest(told.get("RepoDigests") or (), reference),
        architecture=str(told.get("Architecture", "")),
        bytes=int(told.get("Size", 0)),
        env=tuple((told.get("Config") or {}).get("Env") or ()),
    )


def _digest(digests: Iterable[str], reference: str) -> str | None:
    """Return the digest under which the reference's own repository knows the image, else any."""
    asked = reference.partition("@")[2]
    known = sorted(digests, key=lambda digest: not digest.startswith(f"{repository_of(reference)}@"))
    return asked or next((digest.partition("@")[2] for digest in known), None)
