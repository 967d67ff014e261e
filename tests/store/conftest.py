"""An open database of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from watcher.store.database import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()
