"""A clock for tests, which stands still until it is moved."""

from datetime import UTC, datetime, timedelta


class SteppingClock:
    """Satisfies ports.Clock; `sleep` moves it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
