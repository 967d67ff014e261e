"""What the page counts over all trials and notices, and how the trials that it shows went from stage to stage."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from watcher.model.notice import NoticeKind
from watcher.model.trial import Outcome
from watcher.store.transaction import Reading
from watcher.store.trials import StageChange, stage_change
from watcher.store.values import listed


@dataclass(frozen=True, slots=True)
class TrialTotals:
    """`outcomes` counts the trials that ended, `away_seconds` is how long services were away in all."""

    outcomes: dict[Outcome, int]
    away_seconds: float


def trial_totals(tx: Reading) -> TrialTotals:
    rows = tx.rows("SELECT outcome, count(*), total(away_seconds) FROM trials GROUP BY outcome")
    ended = {Outcome(outcome): count for outcome, count, _ in rows if outcome is not None}
    return TrialTotals(ended, sum(away for _, _, away in rows))


def undelivered(tx: Reading, names: Iterable[str], kinds: Iterable[NoticeKind]) -> dict[str, int]:
    """Return how many notices of these kinds each channel has not taken yet, also those that are postponed."""
    told = tuple(dict.fromkeys(names))
    query = """
        SELECT c.channel, count(*) FROM channels c
        JOIN notices n INDEXED BY ix_notices_created_at ON n.kind = c.kind AND n.created_at >= c.since
        LEFT JOIN deliveries d ON d.notice_id = n.id AND d.channel = c.channel
        WHERE c.channel IN (SELECT value FROM json_each(:names)) AND c.kind IN (SELECT value FROM json_each(:kinds))
          AND d.delivered_at IS NULL
        GROUP BY c.channel
    """
    waiting: dict[str, int] = dict(tx.rows(query, {"names": listed(told), "kinds": listed(kinds)}))
    return {name: waiting.get(name, 0) for name in told}


def journals(tx: Reading, trial_ids: Sequence[int]) -> dict[int, tuple[StageChange, ...]]:
    """Return how each of these trials went from stage to stage."""
    found: dict[int, list[StageChange]] = {number: [] for number in trial_ids}
    query = """
        SELECT old_stage, new_stage, reason, at, trial_id FROM journal
        WHERE trial_id IN (SELECT value FROM json_each(?)) ORDER BY id
    """
    for *change, number in tx.rows(query, (listed(trial_ids),)):
        found[number].append(stage_change(change))
    return {number: tuple(changes) for number, changes in found.items()}
