"""What is owed comes before everything else that a command does, and before every other exit code."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from watcher.cli.call import Call
from watcher.config.place import read_data_dir, read_docker_url
from watcher.errors import RestoreFailed, WatcherError
from watcher.host.paid import better_told
from watcher.jobs.pay import pay_first, still_down
from watcher.model.trial import ServiceReport


def paid_first(call: Call) -> tuple[ServiceReport, ...]:
    """Pay what is owed, also where the configuration has faults or the database is damaged; return what is left."""
    data_dir = read_data_dir(call.config)
    paid = {report.service: report for report in pay_first(data_dir, read_docker_url(call.config), call.say)}
    reports = tuple(better_told(paid.get(report.service), report) for report in still_down(data_dir))
    for report in reports:
        call.complain(f"{report.service} is still down: {report.message}")
    return reports


@contextmanager
def owed_comes_first(call: Call, find_down: Callable[[Path], tuple[ServiceReport, ...]] = still_down) -> Iterator[None]:
    """Raise RestoreFailed instead of whatever else goes wrong in the block while a service is still down."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        down = find_down(read_data_dir(call.config))
        if not down:
            raise
        if not isinstance(error, WatcherError):
            traceback.print_exception(error)
        services = "; ".join(f"{report.service}: {report.message}" for report in down)
        raise RestoreFailed("a displaced service is still down", services=services, besides=str(error)) from error
