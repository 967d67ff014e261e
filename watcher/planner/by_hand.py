"""What a person means who names an image, and whether it was tried already. Pure."""

from collections.abc import Sequence

from watcher.model.container import LocalImage
from watcher.model.device import DeviceFacts
from watcher.model.trial import Candidate, Outcome, Trial
from watcher.planner.boot import doubt_about
from watcher.planner.candidates import fingerprint
from watcher.planner.versions import parse_tag


def named_candidate(image: str, engine: str, local: LocalImage | None) -> Candidate:
    """Return the candidate for a reference that no source shows; by content where the image is there already."""
    digest = image.partition("@")[2] or (local.digest or local.id if local else None)
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    content = fingerprint(digest) if digest else f"name:{image}"
    return Candidate(engine, image, digest, content, compatible=True, version=parse_tag(tag).version)


def reason_not_again(candidate: Candidate, past: Sequence[Trial], device: DeviceFacts, setup: str) -> str | None:
    """Return why a trial by hand is refused unless forced: the same was judged, and nothing is left to confirm."""
    here = [
        trial
        for trial in past
        if trial.candidate.fingerprint == candidate.fingerprint and trial.setup == setup
        if trial.outcome is Outcome.VERDICT and trial.device_state.key == device.state.key
    ]
    last = max(here, key=lambda trial: trial.started_at, default=None)
    if last is None or (last.device_state.boot_id != device.state.boot_id and doubt_about(last, past)):
        return None
    return f"the same content was judged on this device as trial {last.id}; --force tries it again"
