"""The page while a trial runs: written anew when a stage begins, by a thread of its own.

The trial neither waits for it nor fails with it: what is put aside must not be away longer because of a page.
"""

import signal
import threading
from collections.abc import Callable

from watcher.errors import WatcherError
from watcher.jobs.means import Means
from watcher.jobs.plan import answer_now
from watcher.jobs.publish import publish
from watcher.model.answer import Answer

_PATIENCE_SECONDS = 5.0
_TOGETHER_SECONDS = 1.0
"""Stages that follow each other so fast make one page."""


class StagePages:
    """A context manager. After it nobody but its caller writes the page, unless a disk keeps the thread hanging."""

    def __init__(self, means: Means, write: Callable[[Means, Answer], bool] = publish) -> None:
        self._means, self._write = means, write
        self._turned = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stage-pages", daemon=True)

    def __enter__(self) -> "StagePages":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._turned.set()
        self._thread.join(_PATIENCE_SECONDS)

    def turn(self) -> None:
        """Tell that a stage has begun."""
        self._turned.set()

    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they break out of what the main thread does
        answer: Answer | None = None
        while self._turned.wait() and not self._ending.wait(_TOGETHER_SECONDS):
            self._turned.clear()
            try:
                answer = answer or answer_now(self._means, self._means.read_device())
            except (WatcherError, OSError):  # the check's own page will say it
                return
            if not self._write(self._means, answer):
                return
