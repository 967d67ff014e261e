"""A plain directory page of a web server, as NVIDIA's redist listing is: anchors, and nothing that can be relied on.

Such a page names no content. A file that is replaced under its name is therefore not seen here; asking each file for
its size and date would cost a request per file and look, and a rebuilt file usually gets a new name (the hash and the
build number are part of NVIDIA's versions). A page that puts `#sha256=…` behind its links is believed.
"""

from watcher.config.sources import WheelListingConfig
from watcher.fetch.client import Validators
from watcher.fetch.holds import HostHolds
from watcher.model.facts import Poll
from watcher.sources.base import Cursor, PolledSource, check_not_emptied
from watcher.sources.simple_index import parse_html_index, wheel_facts


class WheelListingSource(PolledSource):
    """The wheels of one project in one directory, for any platform."""

    def __init__(self, config: WheelListingConfig, holds: HostHolds) -> None:
        super().__init__(config, config.kind, holds)
        self._url, self._project = str(config.url), config.project

    def _look(self, cursor: Cursor) -> Poll:
        validators = Validators.from_dict(cursor.get("validators"))
        page = self._fetcher.get(self._url, headers={"Accept": "text/html"}, validators=validators)
        if page.not_modified:
            return Poll(None, self._write_cursor(cursor))
        files = parse_html_index(page.body, page.url)
        check_not_emptied(len(files), cursor.get("listed"))
        facts = wheel_facts(files, project=self._project)
        after = {"listed": len(files), "validators": page.validators.to_dict()}
        return Poll(facts, self._write_cursor(after), listed=len(files))
