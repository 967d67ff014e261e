"""What a trial writes down while it runs, and the one thing it looks up there."""

from typing import Protocol

from watcher.model.container import LocalImage
from watcher.model.trial import Trial
from watcher.model.verdict import StaticReading


class Notebook(Protocol):
    """Kept by whoever ordered the trial. Every write may raise StoreError."""

    def step(self, trial: Trial) -> None:
        """Write down where the trial stands, before the stage's effect."""
        ...

    def pulling(self, reference: str, there: frozenset[str]) -> None:
        """Note what is about to be pulled, and the ids of the images that are `there` without it."""
        ...

    def pulled(self, image: LocalImage) -> None:
        """Note the image that this trial uses."""
        ...

    def read(self, reading: StaticReading) -> None:
        """Keep what the image's bytes said."""
        ...

    def is_withdrawn(self) -> bool:
        """Return whether `watcher restore` asked the trial to end."""
        ...
