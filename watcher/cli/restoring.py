"""The way back as a command, and as the first thing that the service does.

It needs the standard library, and for containers the Docker SDK; neither typer nor what opens settings and database.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from watcher.cli import exits
from watcher.cli.call import Call, show, show_json
from watcher.config.place import read_data_dir, read_docker_url, why_unsure
from watcher.host.kept import kept_engines
from watcher.host.lease import lease_holder
from watcher.host.owed import broken_debts, read_debts
from watcher.jobs.heartbeat import beat
from watcher.model.trial import ServiceReport, ServiceState


def restore(call: Call, as_json: bool) -> int:
    from watcher.cli.views import show_services
    from watcher.host.restore import restore_all
    from watcher.model.documents import service_document

    data_dir = read_data_dir(call.config)
    if kept := kept_engines(data_dir):
        call.say(f"ending {kept}, which was kept running")
    for owed in (owed for debt in read_debts(data_dir / "owed") for owed in debt.services):
        call.say(f"putting back {owed.service}")
    reports = restore_all(data_dir, read_docker_url(call.config))
    code = _exit_code(call, data_dir, reports)
    if code == exits.DONE and (unsure := why_unsure(call.config)) is not None:
        call.complain(
            f"{unsure}\nwhat is owed was looked for in {data_dir}; set WATCHER_STORE__DATA_DIR if that is wrong"
        )
        code = exits.MUST_CHANGE
    with contextlib.suppress(OSError):  # nobody takes what is printed: the exit code says it all the same
        if as_json:
            show_json({"schema": "watcher/restore/1", "restore": [service_document(report) for report in reports]})
        else:
            show_services(reports)
            if not reports:
                show("nothing is owed")
        sys.stdout.flush()
        return code
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter's last flush fails once more
    return code


def _exit_code(call: Call, data_dir: Path, reports: Sequence[ServiceReport]) -> int:
    from watcher.host.restore import unpaid_services

    if lease_holder(data_dir) is not None:  # a trial that was told to end gives back by itself
        return exits.STILL_DOWN if any(report.state is ServiceState.DOWN for report in reports) else exits.DONE
    if unpaid := unpaid_services(data_dir, reports):
        call.complain(f"still down: {', '.join(unpaid)}")
        return exits.STILL_DOWN
    if read_debts(data_dir / "owed"):
        call.complain(
            f"all of it runs again, but its note in {data_dir / 'owed'} could not be removed; see to that disk"
        )
        return exits.UNEXPECTED
    return exits.DONE


def pay_before_the_service(config: Path | None) -> None:
    """Put back what a dead process left owed, in a process of its own; a trial that is alive is left alone.

    So it is done before the service starts, also where that cannot, and the service keeps none of the memory of it.
    """
    data_dir = read_data_dir(config)
    folder = data_dir / "owed"
    debts, broken = read_debts(folder), broken_debts(folder)
    if not (debts or broken) or lease_holder(data_dir) is not None:
        return
    if not broken and all(debt.kept for debt in debts):  # whether that engine still runs the first round sees
        return
    with contextlib.suppress(OSError):  # it may take minutes, and whoever looks at the container sees it at work
        beat(data_dir)
    named = ["--config", str(config)] if config else []
    with contextlib.suppress(OSError):
        subprocess.run([sys.executable, "-m", "watcher", *named, "restore"], check=False)  # noqa: S603  our own words
