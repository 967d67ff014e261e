"""Upstream channels: one file per kind, all behind `ports.Source`."""

from datetime import timedelta
from typing import assert_never

from watcher.config.sources import AptConfig, GitHubReleasesConfig, OciTagsConfig, SimpleIndexConfig, SourceConfig
from watcher.fetch.holds import HostHolds
from watcher.ports import Source


def build_source(
    config: SourceConfig,
    *,
    device_architecture: str,
    github_token: str | None,
    holds: HostHolds,
    follow_every: timedelta = timedelta(0),
) -> Source:
    """Return the source of a `[[sources]]` table.

    Args:
        device_architecture: in Docker's words (`arm64`), where the table names none.
        follow_every: how often an apt source looks for successors; each time by default, daily in the service.
    """
    match config:
        case SimpleIndexConfig():
            from watcher.sources.simple_index import SimpleIndexSource

            return SimpleIndexSource(config, holds)
        case GitHubReleasesConfig():
            from watcher.sources.github_releases import GitHubReleasesSource

            return GitHubReleasesSource(config, holds, github_token)
        case OciTagsConfig():
            from watcher.sources.oci_tags import OciTagsSource

            return OciTagsSource(config, holds, config.architecture or device_architecture)
        case AptConfig():
            from watcher.sources.apt import AptSource

            return AptSource(config, holds, follow_every)
        case _:
            assert_never(config)
