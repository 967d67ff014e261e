"""Pay what is owed, before anything else; database and settings are not needed, nor what reads them."""

from pathlib import Path

from watcher.host.kept import kept_debts
from watcher.host.lease import lease_holder
from watcher.host.owed import broken_debts, read_debts
from watcher.model.trial import ServiceReport
from watcher.ports import ReportProgress


def pay_first(data_dir: Path, docker_url: str, say: ReportProgress) -> tuple[ServiceReport, ...]:
    """Pay what a dead process left owed; a trial that is alive is left alone, and an engine that a person keeps."""
    debts = read_debts(data_dir / "owed")
    if not debts or lease_holder(data_dir) is not None or len(kept_debts(data_dir / "owed")) == len(debts):
        return ()
    from watcher.host.restore import restore_all  # nearly never needed, and each round starts here

    say("a service is owed from an earlier trial: putting it back first")
    return restore_all(data_dir, docker_url)


def still_down(data_dir: Path) -> tuple[ServiceReport, ...]:
    """Return what is owed, and down, while nothing gives it back: no process, no engine that is kept."""
    return () if lease_holder(data_dir) is not None else seen_down(data_dir)


def seen_down(data_dir: Path) -> tuple[ServiceReport, ...]:
    """Return what is owed and is seen to be down: a note that could not be removed may name what runs again."""
    folder = data_dir / "owed"
    if not (read_debts(folder) or broken_debts(folder)):
        return ()
    makes_room = {owed.service for debt in kept_debts(folder) for owed in debt.services}
    from watcher.host import restore  # as above

    return tuple(report for report in restore.seen_down(data_dir) if report.service not in makes_room)
