"""Serve the page beside the schedule, where the configuration asks for it."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from watcher.config.listen import parse_listen
from watcher.config.settings import PageSection
from watcher.page.places import FOLDER
from watcher.ports import ReportProgress


def served_page(page: PageSection, data_dir: Path, complain: ReportProgress) -> AbstractContextManager[object]:
    """Return a block during which the page is served; nothing that goes wrong with it reaches the block."""
    if not page.serve:
        return nullcontext()
    from watcher.page.door import Door
    from watcher.page.serve import ServedPage

    address = parse_listen(page.listen)
    token = page.token.get_secret_value() if page.token else None
    return ServedPage(address, data_dir / FOLDER, Door(token, address[0]), complain)
