"""What the jobs work with, put together by `app`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from watcher.config.settings import Settings
from watcher.config.sources import SourceConfig
from watcher.errors import HostError
from watcher.model.device import DeviceFacts
from watcher.ports import Clock, Display, Host, Notifier, Source
from watcher.store.database import Store

if TYPE_CHECKING:
    from watcher.fetch.client import HostHolds  # who only reads does without HTTP

BuildSource = Callable[[SourceConfig, "HostHolds"], Source]


@dataclass(frozen=True, slots=True)
class Means:
    """`host` is None where no engine is configured: then the program watches and never tries.

    Attributes:
        read_device: the device's facts without asking the engine.
    """

    settings: Settings
    store: Store
    clock: Clock
    host: Host | None
    read_device: Callable[[], DeviceFacts]
    build_source: BuildSource
    notifiers: Sequence[Notifier]
    display: Display

    def say(self, line: str) -> None:
        """Tell a line to a person who waits."""
        self.display.say(line)

    @property
    def data_dir(self) -> Path:
        return self.settings.store.data_dir

    def device(self) -> DeviceFacts:
        """Return what is known of the device; an engine that does not answer hides only its runtimes."""
        if self.host is not None:
            try:
                return self.host.facts()
            except HostError as error:
                self.say(f"the container engine was not asked: {error}")
        return self.read_device()
