"""Wheels that are laid over images: who fetches one for a trial, and which are kept on disk."""

from collections.abc import Iterable

from watcher.artifacts.wheel_store import WheelStore, prune_wheels
from watcher.config.sources import WheelSource
from watcher.errors import HostError
from watcher.fetch.client import Fetcher, HostHolds
from watcher.jobs.means import Means
from watcher.model.trial import Candidate, Overlay
from watcher.store import facts as fact_store
from watcher.trial.overlaying import Laying

_FOLDER = "wheels"


def laying_of(means: Means, overlay: Overlay) -> Laying:
    """Return what fetches a wheel, asking its host as the look at its index does."""
    with means.store.transaction() as tx:
        holds = HostHolds(fact_store.holds(tx), means.clock, fact_store.budgets(tx))
    fetcher = Fetcher(timeout=means.settings.trial.timeouts.pull, holds=holds)
    for source in means.settings.sources:
        if isinstance(source, WheelSource) and source.name == overlay.source:
            fetcher.address(str(source.url))  # the files of an index may stand behind its login
    return Laying(overlay, WheelStore(means.data_dir / _FOLDER, fetcher))


def drop_wheels(means: Means, candidates: Iterable[Candidate]) -> None:
    """Keep the wheel, whole or begun, that is still to be tried, and remove all others.

    It is that of the newest candidate (they come so): the older ones are superseded by it.
    """
    waiting = (one.overlay for one in candidates if one.due or one.waiting_for)
    newest = next((overlay for overlay in waiting if overlay is not None), None)
    try:
        prune_wheels(means.data_dir / _FOLDER, [newest.digest] if newest else [])
    except HostError as error:
        means.say(str(error))
