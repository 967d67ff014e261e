"""Which source is stale: not seen for long, or quiet past its usual rhythm. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import median

from watcher.config.sources import SourceConfig
from watcher.model.facts import Fact, FactKind, KnownFact, SourceState
from watcher.planner.news import is_wanted
from watcher.planner.versions import order_key

UNSEEN_AT_LEAST, UNSEEN_LOOKS = timedelta(hours=24), 3
QUIET_AT_LEAST, QUIET_GAPS = timedelta(days=90), 4
QUIET_WITHOUT_RHYTHM = timedelta(days=180)
FEWEST_DATES = 3
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
HAS_RHYTHM = frozenset({FactKind.WHEEL, FactKind.RELEASE, FactKind.IMAGE, FactKind.DEB, FactKind.ITEM})
"""What is published again and again; a closed thread, a list of indexes and the device itself are quiet by nature."""


@dataclass(frozen=True, slots=True)
class Stale:
    """Why a source is stale.

    Attributes:
        is_unseen: it could not be looked at; otherwise nothing new appeared.
        since: the last look that succeeded, or the stamp of its newest news.
        began: when that became too long.
        moved_to: where publishing went, as the configuration says.
    """

    is_unseen: bool
    since: datetime
    began: datetime
    moved_to: str | None = None

    @property
    def sentence(self) -> str:
        since = self.since.astimezone(UTC)
        what = f"not seen since {since:%Y-%m-%d %H:%M} UTC" if self.is_unseen else f"nothing new since {since:%Y-%m-%d}"
        return f"{what}; publishing moved to {self.moved_to}" if self.moved_to else what


@dataclass(frozen=True, slots=True)
class Course:
    """When news of a source appeared.

    Attributes:
        days: each with its last stamp, as far as that is known.
        publishes: it shows what has a rhythm, dated or not.
    """

    days: Mapping[date, datetime] = field(default_factory=dict)
    publishes: bool = False


UNKNOWN = Course()


def course_of(config: SourceConfig, known: Sequence[KnownFact]) -> Course:
    return Course(news_stamps(config, known), any(one.fact.kind in HAS_RHYTHM for one in known))


def staleness(
    config: SourceConfig, state: SourceState | None, course: Course, every: timedelta, now: datetime
) -> Stale | None:
    """Return why a source is stale, None while it does well, was never seen, or is switched off."""
    if not config.enabled or state is None or state.last_ok is None:
        return None
    limit = max(UNSEEN_LOOKS * every, UNSEEN_AT_LEAST)
    if now - state.last_ok > limit:
        return Stale(True, state.last_ok, state.last_ok + limit, config.moved_to)
    last = max(course.days.values(), default=state.baseline_at if course.publishes else None)
    if last is None:
        return None
    limit = quiet_limit(course.days)
    return Stale(False, last, last + limit, config.moved_to) if now - last > limit else None


def news_stamps(config: SourceConfig, known: Iterable[KnownFact]) -> dict[date, datetime]:
    """Return the days on which news of a source appeared, each with its last stamp, as far as that is known."""
    found: dict[date, datetime] = {}
    for one in known:
        stamp = appeared_at(one) if one.fact.kind in HAS_RHYTHM else None
        # the filters are asked last: patterns cost, and a hundred thousand facts have few days
        if stamp is not None and stamp > found.get(stamp.date(), _LONG_AGO) and is_news(config, one.fact):
            found[stamp.date()] = stamp
    return found


def appeared_at(known: KnownFact) -> datetime | None:
    """Return upstream's own stamp, else when it was first seen; what was there at the first look may be of any age."""
    return known.fact.published_at or (None if known.baseline else known.first_seen)


def is_news(config: SourceConfig, fact: Fact) -> bool:
    """Return whether a source would tell of this: final, unless it asks for more, and let through by its filters."""
    return (config.prereleases or not fact.prerelease) and is_wanted(fact.name, config.include, config.exclude)


def newest(config: SourceConfig, known: Iterable[KnownFact]) -> KnownFact | None:
    """Return what appeared last of a source's news; without dates, or of one date, the highest in order."""
    there = [one for one in known if not one.withdrawn and is_news(config, one.fact)]
    last = max(filter(None, map(appeared_at, there)), default=None)
    rivals = (one for one in there if appeared_at(one) == last)
    return max(rivals, key=lambda one: order_key(one.fact), default=None)


def called(fact: Fact) -> str:
    """Return a fact as a person calls it: a wheel by its version."""
    match fact.kind:
        case FactKind.WHEEL:
            return fact.version or fact.name
        case FactKind.DEB | FactKind.THREAD | FactKind.DEVICE:
            return f"{fact.name} {fact.version or ''}".strip()
        case _:
            return fact.name


def quiet_limit(days: Iterable[date]) -> timedelta:
    """Return after how long without news a source is quiet: four of its usual gaps, at least 90 days.

    What appears on one day is one piece of news. Without a rhythm (fewer than three dates) it is half a year.
    """
    known = sorted(days)
    if len(known) < FEWEST_DATES:
        return QUIET_WITHOUT_RHYTHM
    usual_gap = median((later - earlier).days for earlier, later in pairwise(known))
    return max(QUIET_AT_LEAST, QUIET_GAPS * timedelta(days=usual_gap))
