"""The exception tree. A class says who must act.

    WatcherError
    ├── ConfigError            the operator edits config.toml or the call
    ├── SourceError            one upstream; the others go on
    │   ├── SourceUnavailable    try later (carries retry_after)
    │   └── SourceChanged        its answers have a new shape: the parser must be adapted
    ├── HostError              the bench: the trial's outcome is `bench`, both answers stay as they were
    │   ├── Refused              preflight said no (carries retry_at): the outcome is `refused`
    │   │   └── LeaseHeld            another process runs a trial
    │   ├── NoEngine             no Docker engine is reached (carries a remedy): the operator starts it, or lets us in
    │   ├── CannotStart          the candidate's own command cannot be executed: a verdict, not the bench
    │   └── RestoreFailed        a displaced service is still down: tell a human now
    ├── StoreError             the database is locked, full or unreadable: nothing promised is lost
    │   └── OtherRevision        it is not migrated yet, and who only reads must not do it
    └── NotifyFailed           the notice stays unsent and is offered again

That a candidate fails is no error: it is a verdict. Anything outside this tree is a bug of ours.
"""

from datetime import datetime, timedelta


class WatcherError(Exception):
    """Carry a constant message and the varying parts as fields."""

    def __init__(self, message: str, **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields

    def __str__(self) -> str:
        details = ", ".join(f"{key}={value}" for key, value in self.fields.items() if value is not None)
        return f"{self.message} ({details})" if details else self.message


class ConfigError(WatcherError):
    """The configuration or the call must change; `faults` holds one line per fault."""

    def __init__(self, message: str, faults: tuple[str, ...] = (), **fields: object) -> None:
        super().__init__(message, **fields)
        self.faults = faults


class SourceError(WatcherError):
    """One upstream could not be read; what was known of it stays."""


class SourceUnavailable(SourceError):
    """The upstream did not answer as it should; try later."""

    def __init__(self, message: str, retry_after: timedelta | None = None, **fields: object) -> None:
        super().__init__(message, **fields)
        self.retry_after = retry_after


class SourceChanged(SourceError):
    """The upstream answered in a shape that the parser does not know."""


class HostError(WatcherError):
    """Docker, the device or the disk failed: never evidence about a candidate."""


class Refused(HostError):
    """A trial must not start now; `retry_at` says when to look again."""

    def __init__(self, message: str, retry_at: datetime | None = None, **fields: object) -> None:
        super().__init__(message, **fields)
        self.retry_at = retry_at


class LeaseHeld(Refused):
    """Another process runs a trial; the message names it."""


class NoEngine(HostError):
    """No Docker engine is reached; `trouble` says so without the remedy."""

    def __init__(self, message: str, remedy: str, **fields: object) -> None:
        super().__init__(message, **fields)
        self.trouble = super().__str__()
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.trouble}: {self.remedy}"


class CannotStart(HostError):
    """The engine accepted the container but could not execute the candidate's command."""


class RestoreFailed(HostError):
    """A displaced service is still down."""


class StoreError(WatcherError):
    """The database could not be read or written."""


class OtherRevision(StoreError):
    """The database has the schema of another release."""


class NotifyFailed(WatcherError):
    """A channel did not take the message; it is offered again."""
