"""A program that finds the answer in the database of a configuration and writes the page."""

import gc
import sys
from pathlib import Path

from watcher.__main__ import COLLECT_AFTER


def main(config: Path) -> None:
    from watcher.app import open_means
    from watcher.config.load import load_settings
    from watcher.jobs.plan import answer_now
    from watcher.jobs.publish import publish
    from watcher.ports import Lines

    settings = load_settings(config, {})
    with open_means(settings, Lines(print)) as means:
        publish(means, answer_now(means, means.device()))


if __name__ == "__main__":
    gc.set_threshold(COLLECT_AFTER)  # before the imports and at the end, as the program itself does it
    main(Path(sys.argv[1]))
    gc.freeze()
