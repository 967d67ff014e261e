"""The tables. Each index says which query it serves; `migrations/` makes the same schema, and a test compares them."""

from typing import Annotated, Any

from pydantic import BeforeValidator
from sqlalchemy import (
    Boolean,
    Column,
    Computed,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)

from watcher.model.device import DeviceState
from watcher.model.facts import EventKind, Fact, FactKind, LookError
from watcher.model.notice import NoticeKind
from watcher.model.trial import Acceptance, Candidate, Outcome, Overlay, ServiceReport, Stage, Start
from watcher.model.verdict import BringUp, BugState, Evidence, FailureClass, ProbeReading, Rung, StaticReading
from watcher.store.columns import Details, Json, Moment, Named, Written


def _with_counted_figures(value: Any) -> Any:
    """Leave out an accuracy that is a bare number, as early releases kept it: without its n it says nothing."""
    if isinstance(value, dict) and not isinstance(value.get("tool_accuracy"), dict):
        return value | {"tool_accuracy": None}
    return value


def _following(expression: str) -> Computed:
    """Return what makes a column follow from others of its row: it is kept in indexes only, and never written."""
    return Computed(expression, persisted=False)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

sources = Table(
    "sources",
    metadata,
    Column("name", Written, primary_key=True),
    Column("kind", Written, nullable=False),
    Column("cursor", Written),
    Column("baseline_at", Moment),
    Column("last_look", Moment),
    Column("last_ok", Moment),
    Column("last_change", Moment),
    Column("failures", Integer, nullable=False),
    Column("told", Boolean, nullable=False),
    Column("error", Json(LookError)),
    Column("requests", Integer, nullable=False),
    Column("not_modified", Integer, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("moved_to_host", Written),
    Column("newest", Written),
    Column("newest_at", Moment),
)

# the primary key serves known_facts, which reads one source at each look
facts = Table(
    "facts",
    metadata,
    Column("source", Written, primary_key=True),
    Column("key", Written, primary_key=True),
    Column("kind", Named(FactKind), nullable=False),
    Column("name", Written, nullable=False),
    Column("version", Written),
    Column("digest", Written),
    Column("url", Written, nullable=False),
    Column("published_at", Moment),
    Column("yanked", Boolean, nullable=False),
    Column("prerelease", Boolean, nullable=False),
    Column("detail", Details, nullable=False),
    Column("first_seen", Moment, nullable=False),
    Column("missed", Integer, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    Column("baseline", Boolean, nullable=False),
    # upstream's own stamp, else when it was first seen; what was there at the first look may be of any age
    Column("appeared_at", Moment, _following("coalesce(published_at, CASE WHEN baseline = 0 THEN first_seen END)")),
    Index(
        "ix_facts_digest", "digest", "kind", "withdrawn"
    ),  # serves telling_facts, and telling_trials without the table
    Index("ix_facts_version", "version"),  # serves wheels_of_version
    # serves last_appearances, dated_facts, and days_of and counts, which it spares the table
    Index("ix_facts_appeared_at", "source", "appeared_at", "kind", "prerelease", "withdrawn"),
    # serves baseline_published_since
    Index("ix_facts_published_at", "published_at", sqlite_where=text("baseline IS 1 AND withdrawn IS 0")),
)

# the fact is kept as it was at the event: the row in `facts` goes on changing
events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source", Written, nullable=False),
    Column("kind", Named(EventKind), nullable=False),
    Column("fact", Json(Fact), nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("previous_digest", Written),
    Index("ix_events_seen_at", "seen_at"),  # serves events_since
    sqlite_autoincrement=True,
)

holds = Table(
    "holds",
    metadata,
    Column("host", Written, primary_key=True),
    Column("until", Moment, nullable=False),
)

budgets = Table(
    "budgets",
    metadata,
    Column("host", Written, primary_key=True),
    Column("limit", Integer),
    Column("remaining", Integer, nullable=False),
    Column("resets_at", Moment),
    Column("seen_at", Moment, nullable=False),
)

# the primary key serves static_of; the same file listed by two sources is read, and kept, for each
statics = Table(
    "statics",
    metadata,
    Column("digest", Written, primary_key=True),
    Column("component", Written, primary_key=True),
    Column("source", Written, primary_key=True),
    Column("name", Written, nullable=False),
    Column("version", Written),
    Column("reading", Json(StaticReading), nullable=False),
    Column("at", Moment, nullable=False),
)

# the unique constraint serves upsert_candidates, which finds a candidate again by its content
candidates = Table(
    "candidates",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("engine", Written, nullable=False),
    Column("fingerprint", Written, nullable=False),
    Column("image", Written, nullable=False),
    Column("digest", Written),
    Column("source", Written, nullable=False),
    Column("compatible", Boolean, nullable=False),
    Column("reasons", Json(tuple[str, ...]), nullable=False),
    Column("due", Boolean, nullable=False),
    Column("waiting_for", Written),
    Column("version", Written),
    Column("published_at", Moment),
    Column("first_seen", Moment),
    Column("baseline", Boolean, nullable=False),
    Column("skipped", Boolean, nullable=False),
    Column("overlay", Json(Overlay)),
    UniqueConstraint("engine", "fingerprint"),
    sqlite_autoincrement=True,
)

# the candidate is kept as it was tried: tags move, and a person must see what ran
trials = Table(
    "trials",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("candidate_id", ForeignKey("candidates.id"), nullable=False),
    Column("candidate", Json(Candidate), nullable=False),
    Column("device_state", Json(DeviceState), nullable=False),
    Column("bug_id", Written, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("stage", Named(Stage), nullable=False),
    Column("outcome", Named(Outcome)),
    Column("retry_at", Moment),
    Column("failed_stage", Named(Stage)),
    Column("bug", Named(BugState), nullable=False),
    Column("bring_up", Named(BringUp), nullable=False),
    Column("failure_class", Named(FailureClass)),
    Column("reason", Written, nullable=False),
    Column("starts", Json(tuple[Start, ...]), nullable=False),
    Column("deciding_start", Integer),
    Column("evidence", Json(tuple[Evidence, ...]), nullable=False),
    Column("basis", Json(tuple[Rung, ...]), nullable=False),
    Column("acceptance", Json(Annotated[Acceptance, BeforeValidator(_with_counted_figures)])),
    Column("displaced", Json(tuple[str, ...]), nullable=False),
    Column("away_seconds", Float),
    Column("owed", Json(tuple[ServiceReport, ...]), nullable=False),
    Column("by_hand", Boolean, nullable=False),
    Column("setup", Written, nullable=False),
    Column("signatures", Written),
    Column("probe", Json(ProbeReading)),
    Column("ended_at", Moment, _following("coalesce(finished_at, started_at)")),
    Column("l4t", Written, _following("json_extract(device_state, '$.l4t')")),
    Column("driver", Written, _following("json_extract(device_state, '$.driver')")),
    Column("boot_id", Written, _following("json_extract(device_state, '$.boot_id')")),
    Index("ix_trials_unfinished", "id", sqlite_where=text("stage != 'done'")),  # serves unfinished_trials
    # both serve telling_trials: the first finds which verdicts speak, the second what happened on their boots before
    Index(
        "ix_trials_ended_at",
        *("bug_id", "outcome", "ended_at", "candidate_id", "l4t", "driver", "bug", "bring_up"),
    ),
    Index("ix_trials_boot_id", "boot_id", "started_at"),
    Index("ix_trials_outcome", "outcome", "away_seconds"),  # serves trial_totals, which it spares the table
    sqlite_autoincrement=True,
)

# a change of stage is a row, written before its effect
journal = Table(
    "journal",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("trial_id", ForeignKey("trials.id", ondelete="CASCADE"), nullable=False),
    Column("old_stage", Named(Stage)),
    Column("new_stage", Named(Stage), nullable=False),
    Column("reason", Written, nullable=False),
    Column("at", Moment, nullable=False),
    Index("ix_journal_trial_id", "trial_id"),  # serves journal_of
)

meta = Table(
    "meta",
    metadata,
    Column("key", Written, primary_key=True),
    Column("value", Written, nullable=False),
)

# the unique constraint is what makes a notice be told once, for ever
notices = Table(
    "notices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Named(NoticeKind), nullable=False),
    Column("key", Written, nullable=False),
    Column("topic", Written, nullable=False),
    Column("subjects", Json(tuple[str, ...]), nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("key"),
    Index("ix_notices_created_at", "created_at"),  # serves pending, which leaves out what is older than the channel
    sqlite_autoincrement=True,
)

# since when a channel is told this kind: what came long before is not poured over it
channels = Table(
    "channels",
    metadata,
    Column("channel", Written, primary_key=True),
    Column("kind", Named(NoticeKind), primary_key=True),
    Column("since", Moment, nullable=False),
)

# the primary key serves pending, which asks for one channel's row of a notice
deliveries = Table(
    "deliveries",
    metadata,
    Column("notice_id", ForeignKey("notices.id", ondelete="CASCADE"), primary_key=True),
    Column("channel", Written, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Moment),
    Column("delivered_at", Moment),
)
