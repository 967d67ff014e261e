"""What a host still grants of its rate limit."""

from dataclasses import dataclass
from datetime import datetime, timedelta

_SAYS_SOMETHING_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Budget:
    """What the last answer of a host said of its rate limit.

    Attributes:
        host: `name`, or `name:port` where the port is not the scheme's own.
        limit: requests granted per window; None where it was not said.
        resets_at: when all of it is granted again, at the latest; None where nothing tells.
    """

    host: str
    limit: int | None
    remaining: int
    resets_at: datetime | None
    seen_at: datetime

    def is_current(self, now: datetime) -> bool:
        """Return whether it still says something: its window runs, or without one it is younger than a day."""
        return now < (self.resets_at or self.seen_at + _SAYS_SOMETHING_FOR)
