"""Where CI=true a skipped test fails the run; elsewhere it is counted and told."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import CHECKOUT

_TESTS = {
    "skips": "import pytest\ndef test_one() -> None:\n    pytest.skip('no such server here')\n",
    "skips its module": "import pytest\npytest.skip('not on this machine', allow_module_level=True)\n",
    "passes": "def test_one() -> None:\n    pass\n",
    "fails as expected": "import pytest\n@pytest.mark.xfail\ndef test_one() -> None:\n    assert False\n",
}


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(
    ("kind", "ci", "fails"),
    [
        ("skips", "true", True),
        ("skips its module", "true", True),
        ("skips", "", False),
        ("passes", "true", False),
        ("fails as expected", "true", False),
    ],
)
def test_a_skip_fails_the_run_only_in_ci(tmp_path: Path, kind: str, ci: str, fails: bool, workers: str) -> None:
    (tmp_path / "test_it.py").write_text("def test_passes() -> None:\n    pass\n")
    (tmp_path / "test_other.py").write_text(_TESTS[kind])
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-n", workers, "-p", "tests.no_skips"),
        *("--rootdir", str(tmp_path), str(tmp_path)),
    ]
    environ = {**os.environ, "CI": ci, "PYTHONPATH": str(CHECKOUT), "PYTEST_ADDOPTS": "-c /dev/null"}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert (done.returncode != 0) == fails, done.stdout
    assert ("which CI=true does not allow" in done.stdout) == fails
