"""Remove candidate images that the watcher pulled, beyond the number to keep; never one that was there before.

A pull is noted before its first byte, with the images that were there: a program that is killed between the pull and
the next line finds out afterwards whether the image is its own.
"""

import json
from dataclasses import dataclass

from watcher.errors import HostError
from watcher.jobs.means import Means
from watcher.model.container import LocalImage
from watcher.store import trials
from watcher.store.transaction import Reading, Transaction

PULLING, PULLED = "pulling-image", "pulled-images"


@dataclass(frozen=True, slots=True)
class Pulled:
    """An image that the watcher brought, and the name under which it did."""

    id: str
    reference: str


def note_pulling(means: Means, reference: str, there: frozenset[str]) -> None:
    """Write down what is about to be pulled, and the ids of the images that are `there` without it."""
    _claim(means)
    with means.store.transaction() as tx:
        trials.set_meta(tx, PULLING, json.dumps({"reference": reference, "there": sorted(there)}))


def note_use(means: Means, image: LocalImage) -> None:
    """Remember the image of a trial as the newest, where the watcher brought it: only such are ever removed."""
    _claim(means)
    with means.store.transaction() as tx:
        known = _pulled(tx)
        used = [one for one in known if one.id == image.id]
        _keep(tx, [one for one in known if one.id != image.id] + used)


def prune_images(means: Means) -> None:
    """Keep the newest `keep_images` beside the current one; a removal that fails is offered again."""
    host, keep = means.host, means.settings.trial.keep_images
    if host is None:
        return
    try:
        _claim(means)
    except HostError as error:
        means.say(f"old candidate images stay for now: {error}")
        return
    with means.store.transaction() as tx:
        known = _pulled(tx)
    kept = set(list(dict.fromkeys(one.id for one in known))[-(keep + 1) :])
    left = list(known)
    for one in known:
        if one.id in kept:
            continue
        try:
            host.remove_image(one.reference)
            left.remove(one)
        except HostError as error:
            means.say(f"an old candidate image stays for now: {error}")
    if left != known:
        with means.store.transaction() as tx:
            _keep(tx, left)


def _claim(means: Means) -> None:
    """Take what was noted before a pull, and is there now, for the watcher's own; content that was there is not.

    The same content under a second name is the watcher's where it was under the first.
    """
    host = means.host
    with means.store.transaction() as tx:
        noted = trials.get_meta(tx, PULLING)
    if not noted or host is None:
        return
    pulling = json.loads(noted)
    image = host.find_image(pulling["reference"])
    with means.store.transaction() as tx:
        known = _pulled(tx)
        if image is not None and (image.id not in pulling["there"] or image.id in {one.id for one in known}):
            brought = Pulled(image.id, pulling["reference"])
            _keep(tx, [one for one in known if one != brought] + [brought])
        trials.set_meta(tx, PULLING, None)


def _pulled(tx: Reading) -> list[Pulled]:
    """Return what the watcher brought, the newest last; one without a name is known by its id."""
    lines = (trials.get_meta(tx, PULLED) or "").splitlines()
    words = (line.partition(" ") for line in lines if line)
    return [Pulled(image_id, reference or image_id) for image_id, _, reference in words]


def _keep(tx: Transaction, images: list[Pulled]) -> None:
    trials.set_meta(tx, PULLED, "\n".join(f"{one.id} {one.reference}" for one in images))
