"""What the page counts over all trials and notices, and how the trials that it shows went from stage to stage."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, select

from watcher.model.notice import NoticeKind
from watcher.model.trial import Outcome
from watcher.store.database import Transaction
from watcher.store.tables import channels, deliveries, journal, notices, trials
from watcher.store.trials import StageChange
from watcher.store.upsert import CHUNK, chunks


@dataclass(frozen=True, slots=True)
class TrialTotals:
    """`outcomes` counts the trials that ended, `away_seconds` is how long services were away in all."""

    outcomes: dict[Outcome, int]
    away_seconds: float


def trial_totals(tx: Transaction) -> TrialTotals:
    query = select(trials.c.outcome, func.count(), func.total(trials.c.away_seconds)).group_by(trials.c.outcome)
    rows = tx.execute(query).all()
    ended = {outcome: int(count) for outcome, count, _ in rows if outcome is not None}
    return TrialTotals(ended, sum(float(away) for _, _, away in rows))


def undelivered(tx: Transaction, names: Iterable[str], kinds: Iterable[NoticeKind]) -> dict[str, int]:
    """Return how many notices of these kinds each channel has not taken yet, also those that are postponed."""
    told = tuple(dict.fromkeys(names))
    query = (
        select(channels.c.channel, func.count())
        .join(notices, and_(notices.c.kind == channels.c.kind, notices.c.created_at >= channels.c.since))
        .outerjoin(deliveries, and_(deliveries.c.notice_id == notices.c.id, deliveries.c.channel == channels.c.channel))
        .where(channels.c.channel.in_(told), channels.c.kind.in_(tuple(kinds)), deliveries.c.delivered_at.is_(None))
        .group_by(channels.c.channel)
    )
    waiting = {str(row[0]): int(row[1]) for row in tx.execute(query)}
    return {name: waiting.get(name, 0) for name in told}


def journals(tx: Transaction, trial_ids: Sequence[int]) -> dict[int, tuple[StageChange, ...]]:
    """Return how each of these trials went from stage to stage."""
    found: dict[int, list[StageChange]] = {number: [] for number in trial_ids}
    for some in chunks(list(trial_ids), CHUNK):
        for row in tx.execute(select(journal).where(journal.c.trial_id.in_(some)).order_by(journal.c.id)):
            found[row.trial_id].append(StageChange(row.old_stage, row.new_stage, row.reason, row.at))
    return {number: tuple(changes) for number, changes in found.items()}
