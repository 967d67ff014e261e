"""Fixtures of the source tests: the real servers, a clock, and a source built as the program builds it."""

import tomllib
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.clocks import SteppingClock
from tests.real.apt import apt
from tests.real.devpi import devpi
from tests.real.docker_hub import docker_hub
from tests.real.github import github
from tests.real.registry import registry
from tests.real.web import other_web, web
from watcher.config.sources import SourceConfig
from watcher.fetch.holds import HostHolds
from watcher.model.device import DeviceFacts, DeviceState
from watcher.model.facts import Fact, Poll
from watcher.ports import Source
from watcher.sources import build_source

__all__ = ["apt", "devpi", "docker_hub", "github", "other_web", "registry", "web"]

_CONFIG: TypeAdapter[Any] = TypeAdapter(SourceConfig)
Build = Callable[..., Source]
NO_DEVICE = DeviceFacts("nowhere", DeviceState())


def validated(table: Mapping[str, Any]) -> SourceConfig:
    """Return the configuration of one `[[sources]]` table."""
    config: SourceConfig = _CONFIG.validate_python(table)
    return config


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def build(clock: SteppingClock) -> Build:
    """Return a maker of sources: TOML of one `[[sources]]` table, without the name."""

    def built(
        toml: str,
        *,
        token: str | None = None,
        follow_every: timedelta = timedelta(0),
        device: DeviceFacts = NO_DEVICE,
    ) -> Source:
        config = validated({"name": "it", **tomllib.loads(toml)})
        return build_source(
            config,
            device_architecture="arm64",
            github_token=token,
            holds=HostHolds({}, clock),
            read_device=lambda: device,
            follow_every=follow_every,
        )

    return built


def facts_of(poll: Poll) -> dict[str, Fact]:
    """Return the facts by key; a look that says "unchanged" is a failure of the test."""
    assert poll.facts is not None, "the look said unchanged"
    found = {fact.key: fact for fact in poll.facts}
    assert len(found) == len(poll.facts)
    return found
