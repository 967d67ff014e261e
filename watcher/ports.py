"""The seams to the outside. Each has one real part; tests and the demo put another behind the same contract."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from watcher.model.container import Ailment, ContainerLook, ContainerSpec, ContainerState, LocalImage, OwedService
from watcher.model.device import DeviceFacts
from watcher.model.facts import Poll, Traffic
from watcher.model.notice import Message
from watcher.model.trial import ServiceReport

ReportProgress = Callable[[str], None]
"""Takes one line for a person who waits."""
NotePull = Callable[[str, frozenset[str]], None]
"""Takes the reference that is about to be pulled, and the ids of all images that are there before it."""


class Display(Protocol):
    """Shows a person who waits how it stands. The work never depends on it: it neither raises nor waits."""

    def say(self, line: str) -> None:
        """Tell a line that stays."""
        ...

    def update(self, line: str) -> None:
        """Tell one of many lines about the same thing: the next may take its place."""
        ...

    def stage(self, name: str, doing: str, seconds: float | None) -> None:
        """Begin a stage of a trial that may take so many seconds; None where nothing ends it."""
        ...

    def engine_log(self, piece: bytes) -> None:
        """Take what the engine wrote just now, raw; called from the thread that follows its log."""
        ...


@dataclass(frozen=True, slots=True)
class Lines:
    """The display where there is no terminal: line by line, and only what was told."""

    say: ReportProgress

    def update(self, line: str) -> None:
        self.say(line)

    def stage(self, name: str, doing: str, seconds: float | None) -> None: ...

    def engine_log(self, piece: bytes) -> None: ...


class Stages(Lines):
    """The display of a service: what was told, and each stage of a trial, but no progress."""

    def update(self, line: str) -> None: ...

    def stage(self, name: str, doing: str, seconds: float | None) -> None:  # noqa: ARG002  the port's
        self.say(f"trial, stage {name}: {doing}")


class Source(Protocol):
    """One upstream channel. It returns all that it saw; it never filters, stores or notifies."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def traffic(self) -> Traffic:
        """Return what was spent so far, also after a failure."""
        ...

    def poll(self, cursor: str | None) -> Poll:
        """Look once. Raises SourceError; "could not look" is never an empty answer."""
        ...


class Reader(Protocol):
    """Reads single files out of an artefact: a wheel on disk, a wheel behind HTTP ranges, an image."""

    @property
    def kind(self) -> Literal["wheel", "image"]: ...

    @property
    def target(self) -> str: ...

    @property
    def bytes_read(self) -> int: ...

    def members(self, suffixes: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
        """Yield (path, content) of each file whose path ends with one of `suffixes`, as in `torch/lib/libc10_cuda.so`.

        Raises SourceError (a URL) or HostError (an image) when the artefact cannot be read.
        """
        ...


def is_wanted(path: str, suffixes: tuple[str, ...]) -> bool:
    """Return whether a path ends with one of `suffixes`, as whole components: every Reader's rule."""
    return f"/{path}".endswith(tuple(f"/{suffix}" for suffix in suffixes))


class Host(Protocol):
    """The device: its facts, its container engine, its services. Every method may raise HostError."""

    @property
    def docker_url(self) -> str: ...

    def facts(self) -> DeviceFacts: ...

    def gpu_users(self) -> tuple[str, ...]:
        """Return the names of running containers that may use the GPU, the trial's own aside."""
        ...

    def free_disk(self) -> int | None:
        """Return free bytes where images are kept; None when that cannot be seen."""
        ...

    def find_image(self, reference: str) -> LocalImage | None:
        """Return an image that is already in the engine; `reference` is an id, a tag or `repository@digest`."""
        ...

    def pull(
        self, image: str, digest: str | None, report: ReportProgress, deadline: float, begins: NotePull
    ) -> LocalImage:
        """Pull by digest (`deadline` on the monotonic clock) and return it; an image already there is not pulled.

        `begins` is called before the first byte, `report` again and again with how far it is.
        Raises Refused for what another attempt would not change.
        """
        ...

    def remove_image(self, reference: str) -> None:
        """Remove an image by the name under which it was pulled, unless somebody tagged it since.

        Raises HostError while a container uses it.
        """
        ...

    def open_image(self, image: LocalImage) -> Reader: ...

    def start(self, spec: ContainerSpec) -> str:
        """Start the trial container under its fixed name and return its id.

        An older trial container is removed first. Raises CannotStart when the candidate itself is to blame
        (its command does not exist), HostError when the bench is.
        """
        ...

    def follow(self, container: str) -> Iterator[bytes]:
        """Yield raw log chunks (stdout and stderr together) until the container ends."""
        ...

    def state(self, container: str) -> ContainerState: ...

    def look(self, container: str) -> ContainerLook | None:
        """Return what it holds and what runs in it; None where it does not run."""
        ...

    def kill(self, container: str) -> None:
        """End its main process as a crash would (SIGKILL), and do not wait; one that has ended stays so."""
        ...

    def address(self, container: str, port: int) -> str:
        """Return the base URL at which this process reaches the engine."""
        ...

    def signal(self, container: str, grace_seconds: float) -> ContainerState:
        """Ask the container to end, kill it after `grace_seconds`, and return how it ended."""
        ...

    def remove_trial(self) -> None:
        """Kill and remove whatever stands under the trial's name, with its network. Safe at any time."""
        ...

    def examine(self, service: str) -> tuple[OwedService, ...]:
        """Return what stopping `service` would owe, in the order of starting again; empty when it does not run.

        Includes containers that live in its network namespace. Raises Refused for what must not be stopped.
        """
        ...

    def ailment(self, service: str) -> Ailment | None:
        """Return what is wrong with a service that may be displaced; None where it is well, or cannot be told."""
        ...

    def stop_service(self, owed: OwedService) -> None:
        """Make Docker the second guardian (restart policy `always`, image kept by a tag), then stop."""
        ...

    def is_back(self, owed: OwedService) -> bool:
        """Return whether the service runs (again), by whoever's hand."""
        ...

    def start_service(self, owed: OwedService) -> ServiceReport:
        """Start it, without waiting for health; create it again if it is gone. Idempotent. Raises RestoreFailed."""
        ...

    def settle_service(self, owed: OwedService) -> ServiceReport:
        """Return how it stands; when the debt is paid, give its own restart policy back and drop the kept tag."""
        ...


class Notifier(Protocol):
    """One channel."""

    @property
    def channel(self) -> str:
        """Return a stable name that holds no secret."""
        ...

    def send(self, message: Message) -> None:
        """Deliver, or raise NotifyFailed."""
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the time in UTC."""
        ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...
