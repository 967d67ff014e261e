"""The pull of a trial: its image, and the wheel that is laid over one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from watcher.errors import StoreError
from watcher.model.container import LocalImage
from watcher.ports import Display, Host
from watcher.trial.notebook import Notebook
from watcher.trial.overlaying import Laying
from watcher.trial.seen import Seen


@dataclass(slots=True)
class Fetching:
    """`give_way` raises where the trial must end for others."""

    host: Host
    notebook: Notebook
    seen: Seen
    display: Display
    give_way: Callable[[], None]

    def image(self, name: str, digest: str | None, deadline: float) -> LocalImage:
        """Return the image, once it is here and written down. `deadline` is on the monotonic clock."""
        self.seen.pulling = f"asking for {name}"
        try:
            image = self.host.pull(name, digest, self._tick, deadline, self._begins)
        except StoreError:  # ours, not the registry's
            self.seen.pulling = None
            raise
        self.seen.pulling = None
        self.notebook.pulled(image)
        return image

    def wheel(self, laying: Laying, now: datetime) -> None:
        laying.fetch(now, self.host.free_disk(), self._tick)
        self.seen.pulling = None

    def _begins(self, reference: str, there: frozenset[str]) -> None:
        if self.host.free_disk() is None:
            self.display.say("the disk under the images cannot be seen from here: the image may not fit")
        self.notebook.pulling(reference, there)

    def _tick(self, line: str) -> None:
        self.give_way()
        self.seen.pulling = line
        self.display.update(line)
