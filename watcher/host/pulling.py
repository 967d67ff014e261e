"""One pull: tried again until it is there or its time is over, measured against the disk, told in lines.

What Docker does itself (20.10): it asks for a layer that broke off up to five times, each time from where it broke
off, with pauses of 5, 10, 15 and 20 seconds; `max-download-attempts` in its daemon.json makes that more. A pull that it
gives up, or that loses its client, drops what it had, finished layers too; only a daemon that was killed finds those.
"""

import contextlib
import re
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from watcher.errors import HostError, Refused
from watcher.host.clock import SystemClock
from watcher.host.engine import Engine, asking
from watcher.ports import Clock, ReportProgress

UNPACKED = 2.5
"""How much larger an engine's layers are on the disk than compressed."""
_REPORT_SECONDS = 1.0
_RATE_SECONDS = 15.0
_SILENCE_SECONDS = 600.0
"""Docker says nothing while it checks a large layer; after so long a pull is stuck."""
_PAUSES = (5.0, 300.0)
_MB, _GB = 10**6, 10**9

_HOUR = timedelta(hours=1)
_REFUSALS = (
    (
        r"toomanyrequests|too many requests|rate limit",
        "the registry's pull limit is used up: wait, or log in with `docker login`",
        _HOUR,
    ),
    (
        r"unauthorized|no basic auth credentials|authentication required|(?<!permission )denied|403 Forbidden",
        "the registry wants another login than Docker's configuration has: `docker login` as the watcher's user",
        6 * _HOUR,
    ),
    (
        r"manifest unknown|manifest for \S+ not found|not found: manifest|repository name not known",
        "the registry does not have this image any more: upstream withdrew it",
        24 * _HOUR,
    ),
    (r"no matching manifest", "the image does not exist for this device's architecture", 24 * _HOUR),
    (r"no space left on device", "the disk became full during the pull", 6 * _HOUR),
)
"""What another attempt would not change: pattern in Docker's words, ours, and when to look again."""


@dataclass(slots=True)
class Pull:
    """A pull of `reference`.

    Attributes:
        report: takes, about each second, a line that says how far it is.
        free_disk: returns the bytes that are free where Docker keeps images, None where that cannot be seen.
        deadline: on the clock's monotonic time.
    """

    engine: Engine
    reference: str
    report: ReportProgress
    free_disk: Callable[[], int | None]
    deadline: float
    clock: Clock = field(default_factory=SystemClock)

    def run(self) -> None:
        """Return when the image is there. Raises Refused for what another attempt would not change, else HostError."""
        if self.deadline <= self.clock.monotonic():
            raise HostError("there was no time left to pull the image", image=self.reference)
        pause, longest = _PAUSES
        while True:
            try:
                return self._attempt()
            except Refused:
                raise
            except HostError as error:
                if self.clock.monotonic() + pause >= self.deadline:
                    raise
                self._wait(pause, error)
                pause = min(2 * pause, longest)

    def digest_of_tag(self) -> str:
        """Return the digest that the registry has for a tag now."""
        with self._judged(), contextlib.closing(self._connect()) as api:
            told = api.inspect_distribution(self.reference, auth_config=login_for(self.reference) or {})
            return str(told["Descriptor"]["digest"])

    def _attempt(self) -> None:
        progress = _Progress(self.reference)
        told_at = 0.0
        with self._judged(), contextlib.closing(self._connect()) as api:
            # closing the connection is what makes the engine give up a pull, and remove what it has of it
            for line in api.pull(self.reference, stream=True, decode=True, auth_config=login_for(self.reference) or {}):
                if "error" in line:
                    raise HostError("the image could not be pulled", image=self.reference, cause=_short(line["error"]))
                if self.clock.monotonic() > self.deadline:
                    raise HostError("the image was not pulled in time", image=self.reference)
                if progress.note(line):
                    self._refuse_what_does_not_fit(progress)
                if self.clock.monotonic() - told_at >= _REPORT_SECONDS:
                    told_at = self.clock.monotonic()
                    self.report(progress.line(told_at))

    def _connect(self) -> Any:
        """Return a connection of one's own."""
        return self.engine.connect(min(self.deadline - self.clock.monotonic(), _SILENCE_SECONDS))

    @contextlib.contextmanager
    def _judged(self) -> Any:
        """Raise Refused for the troubles of `_REFUSALS`."""
        try:
            with asking("the image could not be pulled", image=self.reference):
                yield
        except Refused:
            raise
        except HostError as error:
            cause = str(error.fields.get("cause", ""))
            for pattern, message, after in _REFUSALS:
                if re.search(pattern, cause, re.IGNORECASE):
                    again = self.clock.now() + after
                    raise Refused(message, retry_at=again, image=self.reference, cause=cause) from error
            raise

    def _refuse_what_does_not_fit(self, progress: "_Progress") -> None:
        free, needed = self.free_disk(), progress.needed()
        if free is not None and needed > free:
            raise Refused(
                "the disk has too little room for the image",
                retry_at=self.clock.now() + 6 * _HOUR,
                image=self.reference,
                needed=f"at least {needed / _GB:.1f} GB more",
                free=f"{free / _GB:.1f} GB",
            )

    def _wait(self, seconds: float, trouble: HostError) -> None:
        """Wait, telling it again and again: whoever is told may end the trial."""
        ends = self.clock.monotonic() + seconds
        while (left := ends - self.clock.monotonic()) > 0:
            self.report(f"{trouble}; again in {left:.0f} s")
            self.clock.sleep(min(left, 5.0))


def login_for(reference: str) -> dict[str, Any] | None:
    """Return what Docker's own configuration has for the image's registry: `auths`, or a credential helper's answer.

    Raises Refused for a helper that fails; what it said is left out, since it may hold the secret.
    """
    from docker.auth import load_config, resolve_repository_name
    from docker.errors import DockerException

    registry, _ = resolve_repository_name(reference.partition("@")[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK warns of a missing helper, and then raises
        try:
            login: dict[str, Any] | None = load_config().resolve_authconfig(registry)
        except (DockerException, OSError, ValueError, KeyError, TypeError):
            # without the cause in its traceback either
            raise Refused(
                "the credential helper in Docker's configuration does not give the login: log in again, or remove it",
                retry_at=datetime.now(UTC) + _HOUR,
                registry=registry,
            ) from None
    return login


@dataclass(slots=True)
class _Layer:
    """Compressed bytes: all, those that came, those that are unpacked. `total` is 0 until Docker begins with it."""

    total: int = 0
    loaded: int = 0
    unpacked: int = 0
    done: bool = False
    broken: bool = False


@dataclass(slots=True)
class _Progress:
    """Adds up what Docker tells of the layers."""

    reference: str
    layers: dict[str, _Layer] = field(default_factory=dict)
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, line: dict[str, Any]) -> bool:
        """Take one line; return whether it told the size of one more layer."""
        status, detail = str(line.get("status", "")), line.get("progressDetail") or {}
        if status in ("Pulling fs layer", "Already exists"):
            self.layers[str(line.get("id", ""))] = _Layer(done=status == "Already exists")
        layer = self.layers.get(str(line.get("id", "")))
        if layer is None:
            return False
        was_known = layer.total > 0
        match status:
            case "Downloading":
                told = int(detail.get("total", layer.total) or 0)
                layer.total, layer.broken = max(layer.total, told), False
                # of a layer that goes on Docker counts what is left, from nothing
                layer.loaded = layer.total - told + int(detail.get("current", 0))
            case "Download complete":
                layer.loaded = layer.total
            case "Extracting":
                layer.loaded = layer.total = max(layer.total, int(detail.get("total", 0) or 0))
                layer.unpacked = int(detail.get("current", 0))
            case "Pull complete":
                layer.loaded = layer.unpacked = layer.total
                layer.done = True
            case _ if status.startswith("Retrying in"):
                layer.loaded, layer.broken = 0, True  # Docker says "all of it" here
        return layer.total > 0 and not was_known

    def needed(self) -> int:
        """Return the bytes that the layers still need on the disk, as far as their sizes are known."""
        left = (layer for layer in self.layers.values() if not layer.done)
        return int(sum(layer.total - layer.loaded + (layer.total - layer.unpacked) * UNPACKED for layer in left))

    def line(self, now: float) -> str:
        loaded = sum(layer.loaded for layer in self.layers.values())
        total = sum(layer.total for layer in self.layers.values())
        done = sum(layer.done for layer in self.layers.values())
        share = f" ({100 * loaded // total} %)" if total else ""
        unknown = sum(not layer.done and not layer.total for layer in self.layers.values())
        broken = sum(layer.broken for layer in self.layers.values())
        more = f", {unknown} not begun" if unknown else ""
        more += f", {broken} broken off and tried again" if broken else ""
        return (
            f"pulling {self.reference}: {loaded // _MB} of {total // _MB} MB{share}, {self._rate(now, loaded)}"
            f"{done} of {len(self.layers)} layers done{more}"
        )

    def _rate(self, now: float, loaded: int) -> str:
        self._seen.append((now, loaded))
        while now - self._seen[0][0] > _RATE_SECONDS:
            self._seen.popleft()
        began, before = self._seen[0]
        return f"{(loaded - before) / (now - began) / _MB:.1f} MB/s, " if now > began and loaded > before else ""


def _short(cause: object) -> str:
    return str(cause)[:300]
