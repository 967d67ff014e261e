"""A wheel over an image: how it reaches the probe's container, and what the probe says of it then.

The wheel lies in a volume of its own that goes with the container, first on Python's path: the image's root stays
read-only, there is no network, and nothing of it takes memory as a tmpfs would.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from watcher.artifacts.inspect import read_static
from watcher.artifacts.unpacked import unpacked, unpacked_bytes
from watcher.artifacts.wheel import WheelFile
from watcher.artifacts.wheel_store import WheelStore
from watcher.config.bugs import BugSettings
from watcher.errors import CannotStart, HostError, Refused
from watcher.fetch.refusals import shown
from watcher.model.container import ContainerSpec, LaidFiles, LocalImage
from watcher.model.trial import Overlay
from watcher.model.verdict import BugState, Evidence, ProbeReading, Rung, StaticReading
from watcher.planner.overlays import reason_against_python
from watcher.planner.versions import parse_version, public
from watcher.trial.probing import read_probe

FOLDER = "/watcher-overlay"
_PYTHON_FIRST = (
    "import sys; print('\\nWATCHER-PYTHON %d.%d' % sys.version_info[:2], flush=True); exec(sys.argv.pop(1), globals())"
)
"""What stands before the probe: it is run from its text as ever, once it is known which Python runs it."""
_PYTHON_LINE = re.compile(rb"^WATCHER-PYTHON (\d\.\d{1,2})\s*$", re.MULTILINE)
_MAKING_ROOM = timedelta(hours=6)


@dataclass(slots=True)
class Laying:
    """The wheel of one trial, from its index to the probe's container."""

    overlay: Overlay
    store: WheelStore
    path: Path | None = None

    def fetch(self, now: datetime, free_for_images: int | None, tick: Callable[[str], None]) -> None:
        """Fetch the wheel. Raises Refused where there is no room for it, packed or unpacked."""
        missing, free = self.store.missing_bytes(self.overlay), self.store.free_bytes()
        if missing is not None and missing > free:
            raise _no_room(now, "the disk has too little room for the wheel", free, missing)
        tick(f"fetching {self.overlay.name}")
        self.path = self.store.fetch(self.overlay, tick)
        needed = self._unpacked_bytes()
        if free_for_images is not None and needed > free_for_images:
            raise _no_room(now, "the disk has too little room to unpack the wheel", free_for_images, needed)

    def read(self, bug: BugSettings) -> StaticReading:
        """Return what the wheel's bytes say; its digest is its index's, so what is damaged in it is its own fault."""
        target = shown(self.overlay.url)
        try:
            return replace(read_static(WheelFile(self._fetched()), bug), target=target)
        except HostError as error:
            return StaticReading(target, "wheel", BugState.UNKNOWN, error.message)

    def over(self, spec: ContainerSpec, image: LocalImage) -> ContainerSpec:
        """Return a probe's container with the wheel laid over its image, first on Python's path."""
        path, image_env = self._fetched(), dict(entry.partition("=")[::2] for entry in image.env)
        before = spec.env.get("PYTHONPATH") or image_env.get("PYTHONPATH")
        program, option, source = spec.entrypoint
        return replace(
            spec,
            entrypoint=(program, option, _PYTHON_FIRST, source),
            env={**spec.env, "PYTHONPATH": f"{FOLDER}:{before}" if before else FOLDER},
            laid=LaidFiles(FOLDER, lambda: unpacked(path)),
        )

    def evidence(self) -> Evidence:
        """Return what the report says of how the probe ran."""
        where = f"in a volume of its own at {FOLDER}, gone with the container"
        return Evidence(Rung.PROBE, f"{self.overlay.name} lay over the image, {where}; no other rule was loosened")

    def _fetched(self) -> Path:
        assert self.path is not None, "the wheel is fetched before it is used"
        return self.path

    def _unpacked_bytes(self) -> int:
        try:
            return unpacked_bytes(self._fetched())
        except CannotStart:  # said again, and kept as the wheel's own fault, when it is laid over the image
            return 0


def read_overlay_probe(output: bytes, exit_code: int | None, overlay: Overlay) -> ProbeReading:
    """Return what a probe says of the wheel; unknown where it met another build than this one."""
    python = _PYTHON_LINE.search(output)
    if python and (reason := reason_against_python(overlay.name, python[1].decode())):
        return ProbeReading(BugState.UNKNOWN, False, f"{overlay.name} {reason}, the image's Python")
    reading = read_probe(output, exit_code)
    if reading.state is BugState.UNKNOWN or _is_of(reading, overlay):
        return reading
    met = f"{overlay.component} {reading.torch or 'of no version'} in {reading.library or 'a library it did not name'}"
    reason = f"the probe met {met}, not {overlay.version} of the wheel"
    return replace(reading, state=BugState.UNKNOWN, reason=reason, text="")


def _is_of(reading: ProbeReading, overlay: Overlay) -> bool:
    """Return whether the wheel's own library spoke; a file name without a local version leaves that open."""
    told, wanted = reading.torch, overlay.version
    if "+" not in wanted:
        told = public(told)
    same = told is not None and parse_version(told) == parse_version(wanted)
    return same and (reading.library or "").startswith(f"{FOLDER}/")


def _no_room(now: datetime, sentence: str, free: int, needed: int) -> Refused:
    return Refused(sentence, retry_at=now + _MAKING_ROOM, free_bytes=free, needed_bytes=needed)
