"""The line of docs/security.md that closes the device to trials: what it keeps out, and what goes on."""

import json
import os
import re
import subprocess
import sys

from tests.places import CHECKOUT
from tests.real.docker import reused_folder

PAGE = (CHECKOUT / "docs" / "security.md").read_text()


def test_the_line_of_the_page_closes_the_device_to_trials_and_nothing_else_breaks() -> None:
    """In a network namespace of its own: the line names all of Docker, and this machine has other engines."""
    (line,) = re.findall(r"^ {4}sudo (iptables .*)$", PAGE, re.MULTILINE)
    with reused_folder() as folder:
        done = subprocess.run(
            ["unshare", "--net", sys.executable, "-m", "tests.host.closed_gateway", line, str(folder)],
            cwd=CHECKOUT,
            env=os.environ,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout)
    assert set(told["before"].values()) == {True}, told["before"]
    closed = {who for who, reached in told["after"].items() if not reached}
    assert closed == {"device from a trial", "device from a network of Docker"}
