"""Write the page: gather what it shows and hand it over. A page that cannot be written is said, and stops nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from watcher.config.pip import PREFIX
from watcher.config.sources import (
    AptConfig,
    DeviceConfig,
    DockerHubConfig,
    FeedConfig,
    GitHubReleasesConfig,
    GitHubThreadsConfig,
    OciTagsConfig,
    SimpleIndexConfig,
    SourceConfig,
    WheelListingConfig,
)
from watcher.errors import StoreError
from watcher.fetch.logins import without_login
from watcher.host.kept import owed_reports
from watcher.host.lease import lease_holder
from watcher.jobs.means import Means
from watcher.model.answer import Answer
from watcher.model.facts import SourceState
from watcher.model.notice import NoticeKind
from watcher.model.trial import Trial
from watcher.page.facts import PageFacts, SourceRow, Totals, TrialDetails
from watcher.page.write import write_page
from watcher.planner.health import is_news
from watcher.planner.pins import resolved
from watcher.store import facts as fact_store
from watcher.store import overview, statics, trials
from watcher.store.transaction import Reading
from watcher.store.trials import StageChange

MOST_EVENTS, MOST_BEFORE, MOST_TRIALS = 400, 200, 20
_MOST_READ = 400
"""What the filters of the sources leave out is read too."""
_YEAR = timedelta(days=365)
_LAST_CHECK = "last-check"


def publish(means: Means, answer: Answer, check_began: datetime | None = None) -> bool:
    """Write the page as things stand now, and return whether that went well.

    Never raises: what the page shows was done and stored before. `check_began`: a check ends with this.
    """
    try:
        if check_began is not None:
            _note_check(means, check_began)
        write_page(means.data_dir, page_facts(means, answer))
    except (OSError, StoreError) as error:
        means.say(f"the page was not written: {error}")
        return False
    except Exception as error:  # noqa: BLE001  a bug of ours in the page must not fail a check
        means.say(f"the page was not written, by an error of the watcher itself: {type(error).__name__}: {error}")
        return False
    return True


def _note_check(means: Means, began: datetime) -> None:
    ended = means.clock.now()
    with means.store.transaction() as tx:
        trials.set_meta(tx, _LAST_CHECK, f"{ended.isoformat()} {(ended - began).total_seconds():.3f}")


def page_facts(means: Means, answer: Answer) -> PageFacts:
    """Return what the page shows. Raises StoreError."""
    settings, now = means.settings, means.clock.now()
    configs = {one.name: one for one in settings.sources}
    with means.store.reading() as tx:  # also while a trial writes its steps
        states, shown = fact_store.source_states(tx), fact_store.counts(tx)
        ledger, tried = resolved(statics.static_records(tx), settings.bug.component), _trials(tx, answer)
        events = fact_store.events_since(tx, now - _YEAR, MOST_EVENTS + 1)
        before = fact_store.baseline_published_since(tx, now - _YEAR, _MOST_READ)
        told = _shown(tried, answer.trial_id)
        journals = overview.journals(tx, [one.id for one in told])
        totals = _totals(tx, means)
    heard = [(name, fact) for name, fact in before if name in configs and is_news(configs[name], fact)]
    return PageFacts(
        device=settings.device.name,
        component=settings.bug.component,
        engine=settings.trial.engine,
        answer=answer,
        now=now,
        statics=ledger,
        events=events[-MOST_EVENTS:],
        before=tuple(heard[:MOST_BEFORE]),
        sources=tuple(
            replace(_row(one, states.get(one.name), shown.get(one.name, 0)), stale=answer.stale.get(one.name))
            for one in settings.sources
        ),
        trials=told,
        owed=owed_reports(means.data_dir),
        trial_is_alive=lease_holder(means.data_dir) is not None,
        more_events=len(events) > MOST_EVENTS,
        more_trials=len(tried) > MOST_TRIALS,
        details=_details(means, told, journals) if told else {},
        totals=totals,
    )


def _details(
    means: Means, told: Sequence[Trial], journals: Mapping[int, Sequence[StageChange]]
) -> dict[int, TrialDetails]:
    from watcher.jobs.trial_details import trial_details  # where nothing was tried, a check does without all of this

    now = means.clock.now()
    return {one.id: trial_details(one, journals[one.id], means.data_dir, now) for one in told}


def _totals(tx: Reading, means: Means) -> Totals:
    ended = overview.trial_totals(tx)
    kinds = [NoticeKind(kind) for kind in means.settings.notify.on]
    waiting = overview.undelivered(tx, [one.channel for one in means.notifiers], kinds)
    checked, _, seconds = (trials.get_meta(tx, _LAST_CHECK) or "").partition(" ")
    if not checked:
        return Totals(ended.outcomes, ended.away_seconds, waiting)
    return Totals(ended.outcomes, ended.away_seconds, waiting, datetime.fromisoformat(checked), float(seconds))


def _trials(tx: Reading, answer: Answer) -> tuple[Trial, ...]:
    """Return one trial more than are shown, and the one that the answer stands on where it is older."""
    last = trials.trials(tx, MOST_TRIALS + 1)
    if answer.trial_id is None or any(one.id == answer.trial_id for one in last):
        return last
    deciding = trials.trial(tx, answer.trial_id)
    return (*last, deciding) if deciding else last


def _shown(tried: Sequence[Trial], deciding: int | None) -> tuple[Trial, ...]:
    return (*tried[:MOST_TRIALS], *(one for one in tried[MOST_TRIALS:] if one.id == deciding))


def _row(config: SourceConfig, state: SourceState | None, facts: int) -> SourceRow:
    return SourceRow(
        name=config.name,
        kind=config.kind,
        pages=pages_of(config),
        facts=facts,
        state=state,
        enabled=config.enabled,
    )


def pages_of(config: SourceConfig) -> tuple[str, ...]:
    """Return the addresses, without logins, at which a person can look at what a source watches.

    There are none for the device itself, nor for a page that only pip could name.
    """
    return tuple(without_login(url) for url in _addresses(config) if not url.startswith(PREFIX))


def _addresses(config: SourceConfig) -> tuple[str, ...]:
    match config:
        case SimpleIndexConfig() | WheelListingConfig() | FeedConfig():
            return (str(config.url),)
        case GitHubReleasesConfig():
            return (f"https://github.com/{config.repo}/releases",)
        case GitHubThreadsConfig():  # GitHub leads from there to a pull request of that number
            return tuple(f"https://github.com/{thread.replace('#', '/issues/')}" for thread in config.threads)
        case OciTagsConfig() | DockerHubConfig():
            from watcher.sources.repository import Repository

            registry = str(config.registry_url) if config.registry_url else None
            return (Repository.of(config.image, registry).page(""),)
        case AptConfig():
            return tuple(map(str, config.urls))
        case DeviceConfig():
            return ()
        case _:
            assert_never(config)
