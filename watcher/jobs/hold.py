"""What a person holds back: one candidate, or all automatic trials for a while."""

from datetime import datetime, timedelta

from watcher.errors import ConfigError
from watcher.jobs.means import Means
from watcher.jobs.plan import PAUSED_UNTIL, make_plan
from watcher.model.trial import Candidate
from watcher.store import candidates as candidate_store
from watcher.store import trials


def skip_candidate(means: Means, candidate_id: int, skipped: bool) -> Candidate | None:
    """Leave a candidate out, or take it in again, and plan anew; None where there is none of this id."""
    with means.store.transaction() as tx:
        if not candidate_store.set_skipped(tx, candidate_id, skipped):
            return None
    make_plan(means, means.device(), asked_now=False)
    with means.store.reading() as tx:
        return candidate_store.candidates_by_id(tx, (candidate_id,))[candidate_id]


def pause_trials(means: Means, span: timedelta | None) -> datetime | None:
    """Pause automatic trials from now on, or end the pause (None), and plan anew; return until when they rest."""
    try:
        until = means.clock.now() + span if span is not None else None
    except OverflowError:
        raise ConfigError("nobody will be there at the end of such a pause; name a shorter one") from None
    with means.store.transaction() as tx:
        trials.set_meta(tx, PAUSED_UNTIL, until.isoformat() if until else "")
    make_plan(means, means.device(), asked_now=False)
    return until
