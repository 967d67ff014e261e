"""Composition root: settings become objects here and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from watcher.config.settings import DeviceSection, Settings
from watcher.config.sources import SourceConfig
from watcher.host.clock import SystemClock
from watcher.host.device import read_device
from watcher.jobs.means import Means
from watcher.model.device import DeviceFacts
from watcher.ports import Clock, Display, Host, Source
from watcher.store.database import open_store

if TYPE_CHECKING:
    from watcher.fetch.client import HostHolds


@contextmanager
def open_means(
    settings: Settings,
    display: Display,
    host: Host | None = None,
    clock: Clock | None = None,
    is_scheduled: bool = False,
) -> Iterator[Means]:
    """Open the database and put together what the jobs work with. `host` stands in for the configured engine.

    The service (`is_scheduled`) looks for successors of an apt dist once a day, a person each time.

    Raises StoreError when the database cannot be opened.
    """
    from watcher.notify.send import build_notifiers

    store = open_store(settings.store.data_dir)
    try:
        yield Means(
            settings=settings,
            store=store,
            clock=clock or SystemClock(),
            host=host or build_host(settings),
            read_device=lambda: _device_alone(settings.device),
            build_source=lambda config, holds: source_of(settings, config, holds, timedelta(days=int(is_scheduled))),
            notifiers=build_notifiers([url.get_secret_value() for url in settings.notify.urls]),
            display=display,
        )
    finally:
        store.close()


def build_host(settings: Settings) -> Host | None:
    """Return the device's engine, None where only watching is configured. It is not asked anything yet."""
    device = settings.device
    if device.watch_only:
        return None
    from watcher.host.docker_host import DockerHost

    return DockerHost(device.docker, device, owner=str(settings.store.data_dir), commands=settings.trial.command_words)


def _device_alone(device: DeviceSection) -> DeviceFacts:
    return read_device(device, ())


def source_of(
    settings: Settings, config: SourceConfig, holds: "HostHolds", follow_every: timedelta = timedelta(0)
) -> Source:
    """Return the source of a table of the configuration, ready to be asked."""
    from watcher.sources import build_source

    token = settings.github.token
    return build_source(
        config,
        device_architecture=settings.device.architecture,
        github_token=token.get_secret_value() if token else None,
        holds=holds,
        read_device=lambda: _device_alone(settings.device),
        follow_every=follow_every,
    )
