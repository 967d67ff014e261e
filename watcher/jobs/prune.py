"""Remove candidate images that the watcher pulled, beyond the number to keep; never one that was there before."""

from watcher.errors import HostError
from watcher.jobs.means import Means
from watcher.store import trials

PULLED = "pulled-images"


def note_pulled(means: Means, image_id: str) -> None:
    """Remember that a trial brought this image: only such are ever removed."""
    with means.store.transaction() as tx:
        known = _pulled(trials.get_meta(tx, PULLED))
        if image_id not in known:
            trials.set_meta(tx, PULLED, "\n".join((*known, image_id)))


def prune_images(means: Means) -> None:
    """Keep the newest `keep_images` beside the current one; a removal that fails is offered again."""
    host, keep = means.host, means.settings.trial.keep_images
    with means.store.transaction() as tx:
        known = _pulled(trials.get_meta(tx, PULLED))
    if host is None or len(known) <= keep + 1:
        return
    left = list(known)
    for image_id in known[: -(keep + 1)]:
        try:
            host.remove_image(image_id)
            left.remove(image_id)
        except HostError as error:
            means.say(f"an old candidate image stays for now: {error}")
    with means.store.transaction() as tx:
        trials.set_meta(tx, PULLED, "\n".join(left))


def _pulled(text: str | None) -> tuple[str, ...]:
    return tuple(line for line in (text or "").splitlines() if line)
