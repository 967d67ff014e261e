"""A real browser: Debian's Chromium without a window, with a profile of its own for each page."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_FLAGS = (
    "--headless",
    "--no-sandbox",  # root in a container has none; it only opens pages of the tests
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
_SECONDS = 120


def require_chromium() -> str:
    """Return the program; skip where it is not installed."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("not installed: chromium (Debian: apt-get install chromium)")
    return found


def dom_of(url: str, *flags: str) -> str:
    """Open a page and return its document as the browser holds it after everything was loaded."""
    with _profile() as folder:
        done = subprocess.run(
            [require_chromium(), *_FLAGS, f"--user-data-dir={folder}", *flags, "--dump-dom", url],
            capture_output=True,
            timeout=_SECONDS,
            check=True,
            env={**os.environ, "HOME": folder},
        )
    return done.stdout.decode("utf-8")


def picture_of(url: str, path: Path, *flags: str) -> None:
    """Write what a screen shows of a page as a PNG."""
    with _profile() as folder:
        subprocess.run(
            [
                require_chromium(),
                *_FLAGS,
                "--hide-scrollbars",
                f"--user-data-dir={folder}",
                *flags,
                f"--screenshot={path}",
                url,
            ],
            capture_output=True,
            timeout=_SECONDS,
            check=True,
            env={**os.environ, "HOME": folder},
        )


@contextmanager
def _profile() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="wt-chromium-", ignore_cleanup_errors=True) as folder:
        yield folder
