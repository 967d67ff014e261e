"""What several tests of the slow tier are given."""

from pathlib import Path

import pytest

from tests.engines.build import llama_packages
from tests.real.docker import CannotRunHere


@pytest.fixture(scope="session")
def packages() -> Path:
    """Return the folder with llama.cpp's packages."""
    try:
        return llama_packages()
    except CannotRunHere as reason:
        pytest.skip(str(reason))
