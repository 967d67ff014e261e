"""What upstreams show (facts) and how that changed (events)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class FactKind(StrEnum):
    WHEEL = "wheel"
    RELEASE = "release"
    IMAGE = "image"
    DEB = "deb"
    THREAD = "thread"
    ITEM = "item"
    INDEX = "index"
    DEVICE = "device"


class EventKind(StrEnum):
    NEW = "new"
    REBUILT = "rebuilt"
    EDITED = "edited"
    WITHDRAWN = "withdrawn"
    RETURNED = "returned"


class LookOutcome(StrEnum):
    BASELINE = "baseline"
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a source shows now.

    Attributes:
        name: file name, release tag, image tag, "package dist" (`nvidia-l4t-core r36.4`), `owner/repo#1` of a thread,
            title of a feed's item, an index or project that a list names (`jp6/cu126`), `l4t` and `driver` of the
            device.
        version: as written upstream (wheel: public+local; deb: Debian version; thread: its state), None where there is
            none.
        digest: `sha256:…`; of an image: for the device's architecture. None where unknown or not looked up.
        url: a page or file that a person can open.
        published_at: upstream's own stamp, UTC, for display only.
        yanked: the upstream advises against it (PEP 592).
        prerelease: as flagged by the upstream or by its version.
        detail: further stable values whose change is an edit, such as `notes` (a digest of the text);
            keys that start with "_" are carried along and never make an event (`_index_digest`, `_size`, and `_id`,
            by which a feed tells items with the same title apart).
    """

    kind: FactKind
    name: str
    version: str | None = None
    digest: str | None = None
    url: str = ""
    published_at: datetime | None = None
    yanked: bool = False
    prerelease: bool = False
    detail: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Return what identifies this thing within its source: content may change under it."""
        match self.kind:
            case FactKind.DEB:
                return f"{self.name} {self.version}"
            case FactKind.ITEM:
                return self.detail.get("_id", self.name)
            case _:
                return self.name

    @property
    def content_key(self) -> str:
        """Return what names the content in the ledger of builds: the digest, or the name where none is known."""
        return self.digest or f"name:{self.name}"


@dataclass(frozen=True, slots=True)
class Poll:
    """What one look brought.

    Attributes:
        facts: all that the source shows now; None when a validator said "unchanged".
        cursor: validators and whatever else makes the next look cheap (JSON, only the source reads it).
        complete: False when the upstream shows only its newest items: absence then says nothing.
        listed: how many entries the upstream listed in all, before the source chose among them; None where nothing was
            read.
        moved_to: the host that answered instead of the configured one.
        is_fresh: no look before had these settings; what appears or is missing says nothing of the upstream then.
    """

    facts: tuple[Fact, ...] | None
    cursor: str | None = None
    complete: bool = True
    listed: int | None = None
    moved_to: str | None = None
    is_fresh: bool = False


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a look cost: HTTP requests, 304 answers (or equal validators), body bytes received."""

    requests: int = 0
    not_modified: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class KnownFact:
    """A fact as stored.

    Attributes:
        missed: how many looks in a row did not show it.
        withdrawn: it is not there any more; where fewer looks missed it than a withdrawal needs, the settings had
            changed, and nobody was told.
        baseline: it was there when its source was first looked at, or first with settings that ask for it.
    """

    fact: Fact
    first_seen: datetime
    missed: int = 0
    withdrawn: bool = False
    baseline: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """A change of a fact. `id` is 0 until stored.

    `helps` says what it means for the bug on this device; it is found when the event is told, and not stored.
    """

    source: str
    kind: EventKind
    fact: Fact
    seen_at: datetime
    previous_digest: str | None = None
    id: int = 0
    helps: str | None = None


@dataclass(frozen=True, slots=True)
class LookError:
    """Why a look failed, for people and for JSON. `retry_after` in seconds."""

    type: str
    message: str
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """One look at one source, as reported by `check-now`; `told` means the failure is an old, announced one."""

    source: str
    kind: str
    outcome: LookOutcome
    facts: int
    traffic: Traffic
    error: LookError | None = None
    told: bool = False


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is remembered of a source between looks.

    Attributes:
        last_ok: end of the last look that succeeded.
        last_change: when a look last brought an event.
        failures: failed looks in a row; `told` once the third was announced.
        moved_to_host: the host that answered, in the last look that succeeded, instead of the configured one.
        newest: what appeared last of its news, as a person calls it; `newest_at` when, None where that is not known.
    """

    name: str
    kind: str
    cursor: str | None = None
    baseline_at: datetime | None = None
    last_look: datetime | None = None
    last_ok: datetime | None = None
    last_change: datetime | None = None
    failures: int = 0
    told: bool = False
    error: LookError | None = None
    traffic: Traffic = Traffic()
    moved_to_host: str | None = None
    newest: str | None = None
    newest_at: datetime | None = None
