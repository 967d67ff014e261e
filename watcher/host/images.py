"""Images in the engine: found, pulled by digest with progress, removed."""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from watcher.errors import HostError
from watcher.host.engine import Engine, asking
from watcher.host.pulling import Pull
from watcher.model.container import LocalImage
from watcher.ports import Clock, NotePull, ReportProgress


def repository_of(image: str) -> str:
    """Return `image` without tag and digest."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


class Images:
    """The images of one engine; `free_disk` returns what is free where it keeps them.

    A pull's deadline is read against `clock`, the one by which the trial reckons it.
    """

    def __init__(self, engine: Engine, free_disk: Callable[[], int | None], clock: Clock) -> None:
        self._engine = engine
        self._free_disk = free_disk
        self._clock = clock

    def find(self, reference: str) -> LocalImage | None:
        told = self._engine.image(reference)
        return _local(told, reference) if told else None

    def pull(
        self, image: str, digest: str | None, report: ReportProgress, deadline: float, begins: NotePull
    ) -> LocalImage:
        """Return the image, from the engine where it is there already. Docker's own configuration gives the login.

        A tag is resolved first, so that the image gets no name in the engine that somebody could take for his own.
        """
        if (found := self._there(image, digest)) is not None:
            return found
        if digest is None:
            digest = Pull(self._engine, image, report, self._free_disk, deadline, self._clock).digest_of_tag()
            if (found := self._there(image, digest)) is not None:
                return found
        reference = f"{repository_of(image)}@{digest}"
        before = self._ids()
        begins(reference, before)
        Pull(self._engine, reference, report, self._free_disk, deadline, self._clock).run()
        if (pulled := self.find(reference)) is None:
            raise HostError("the image was pulled but is not there", image=reference)
        # the same content may have been there under another name: then it is not ours to remove
        return replace(pulled, pulled=pulled.id not in before)

    def remove(self, reference: str) -> None:
        """Take back the name under which the watcher pulled an image; Docker drops what no other name holds.

        One that is gone is fine, and one that somebody tagged since is his. Raises HostError where a container uses it.
        """
        from docker.errors import NotFound

        told = self._engine.image(reference)
        if told is None or told.get("RepoTags"):
            return
        with asking("an image could not be removed", image=reference), contextlib.suppress(NotFound):
            self._engine.api.remove_image(reference)

    def _there(self, image: str, digest: str | None) -> LocalImage | None:
        return self.find(f"{repository_of(image)}@{digest}" if digest else image) or self._built_here(image, digest)

    def _built_here(self, image: str, digest: str | None) -> LocalImage | None:
        """Return the image whose own id `digest` is: what was built on the device has no other digest."""
        found = self.find(digest) if digest else None
        return replace(found, reference=image) if found else None

    def _ids(self) -> frozenset[str]:
        with asking("the images could not be listed"):
            return frozenset(str(image["Id"]) for image in self._engine.api.images(all=True))


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
