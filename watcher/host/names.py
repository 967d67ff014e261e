"""Names and labels that stand in the Docker engine; a person may see them there."""

import re

TRIAL = "watcher-trial"
"""Container and network of a trial. Fixed, so that two watchers exclude each other and a left-over is found."""
INSPECTED = "watcher-inspected"
"""Container that is made to read an image's files and never started."""
TRIAL_LABEL = "watcher.trial"
OWNER_LABEL = "watcher.owner"
CREATED_AGAIN_LABEL = "watcher.created-again"
"""On a service that was gone and was made again from what was recorded; holds the id that it stands for."""


def kept_tag(name: str) -> str:
    """Return the extra tag that keeps a displaced service's image from being pruned meanwhile."""
    return f"watcher-keep/{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-') or 'service'}:trial"
