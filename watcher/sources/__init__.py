"""Upstream channels: one file per kind, all behind `ports.Source`."""

from collections.abc import Callable
from datetime import timedelta
from typing import assert_never

from watcher.config.sources import (
    AptConfig,
    DeviceConfig,
    DockerHubConfig,
    FeedConfig,
    GitHubReleasesConfig,
    GitHubThreadsConfig,
    OciTagsConfig,
    SimpleIndexConfig,
    SourceConfig,
    WheelListingConfig,
)
from watcher.fetch.holds import HostHolds
from watcher.model.device import DeviceFacts
from watcher.ports import Source


def build_source(
    config: SourceConfig,
    *,
    device_architecture: str,
    github_token: str | None,
    holds: HostHolds,
    read_device: Callable[[], DeviceFacts],
    follow_every: timedelta = timedelta(0),
) -> Source:
    """Return the source of a `[[sources]]` table.

    Args:
        device_architecture: in Docker's words (`arm64`), where the table names none.
        read_device: the device's facts, which one kind of source shows.
        follow_every: how often an apt source looks for successors; each time by default, daily in the service.
    """
    match config:
        case SimpleIndexConfig():
            from watcher.sources.simple_index import SimpleIndexSource

            return SimpleIndexSource(config, holds)
        case WheelListingConfig():
            from watcher.sources.wheel_listing import WheelListingSource

            return WheelListingSource(config, holds)
        case GitHubReleasesConfig():
            from watcher.sources.github_releases import GitHubReleasesSource

            return GitHubReleasesSource(config, holds, github_token)
        case GitHubThreadsConfig():
            from watcher.sources.github_threads import GitHubThreadsSource

            return GitHubThreadsSource(config, holds, github_token)
        case OciTagsConfig():
            from watcher.sources.oci_tags import OciTagsSource

            return OciTagsSource(config, holds, config.architecture or device_architecture)
        case DockerHubConfig():
            from watcher.sources.docker_hub import DockerHubSource

            return DockerHubSource(config, holds, config.architecture or device_architecture)
        case AptConfig():
            from watcher.sources.apt import AptSource

            return AptSource(config, holds, follow_every)
        case FeedConfig():
            from watcher.sources.feed import FeedSource

            return FeedSource(config, holds)
        case DeviceConfig():
            from watcher.sources.device import DeviceSource

            return DeviceSource(config, read_device)
        case _:
            assert_never(config)
