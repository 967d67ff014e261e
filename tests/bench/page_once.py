"""A program that finds the answer in the database of a configuration and writes the page."""

import sys
from pathlib import Path

from watcher.app import open_means
from watcher.config.load import load_settings
from watcher.jobs.plan import answer_now
from watcher.jobs.publish import publish
from watcher.ports import Lines


def main() -> None:
    settings = load_settings(Path(sys.argv[1]), {})
    with open_means(settings, Lines(print)) as means:
        publish(means, answer_now(means, means.device()))


if __name__ == "__main__":
    main()
