"""Which images the watcher removes, with a real registry, a real engine and a real database."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.clocks import SteppingClock
from tests.host.docker_world import DockerWorld
from tests.real.docker import PrivateDaemon
from tests.real.registry import Registry, running_registry
from watcher.config.load import load_settings
from watcher.jobs.means import Means
from watcher.jobs.prune import note_pulling, note_use, prune_images
from watcher.model.container import LocalImage
from watcher.ports import Lines
from watcher.store.database import open_store


class Killed(BaseException):
    """The program ends here, without another word."""


@dataclass
class Shop:
    """A watcher that tries images of a registry."""

    docker: DockerWorld
    registry: Registry
    means: Means

    def push(self, tag: str, content: bytes | None = None, repository: str = "lab/vllm") -> str:
        """Push an image and return its reference by digest."""
        layers = [{"file": content or os.urandom(1000)}]
        return f"{self.registry.host}/{repository}@{self.registry.push_image(repository, tag, layers)}"

    def try_(self, reference: str, killed_after_pull: bool = False) -> LocalImage:
        """Do with images what a trial does."""
        name, _, digest = reference.partition("@")
        deadline = time.monotonic() + 60

        def begins(reference: str, there: frozenset[str]) -> None:
            note_pulling(self.means, reference, there)

        image = self.docker.host.pull(name, digest, print, deadline, begins)
        if killed_after_pull:
            raise Killed
        note_use(self.means, image)
        prune_images(self.means)
        return image

    def there(self, *references: str) -> list[bool]:
        return [self.docker.host.find_image(reference) is not None for reference in references]

    def keeping(self, number: int) -> None:
        settings = self.means.settings
        trial = settings.trial.model_copy(update={"keep_images": number})
        self.means = replace(self.means, settings=settings.model_copy(update={"trial": trial}))


@pytest.fixture
def shop(clean_engine: PrivateDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "no-login"))
    docker = DockerWorld(clean_engine)
    store = open_store(tmp_path / "data")
    with running_registry(tmp_path / "registry") as registry:
        settings = load_settings(None, {"WATCHER_DEVICE__DOCKER": "none", "HOME": str(tmp_path)})
        never: Any = None
        means = Means(settings, store, SteppingClock(), docker.host, never, never, (), Lines(print))
        yield Shop(docker, registry, means)
    store.close()
    docker.host.close()


def test_the_newest_stay_beside_the_current_one(shop: Shop) -> None:
    names = [shop.push(str(number)) for number in range(5)]
    for name in names:
        shop.try_(name)
    assert shop.there(*names) == [False, False, True, True, True]
    shop.keeping(0)
    shop.try_(names[2])
    assert shop.there(*names) == [False, False, True, False, False], "the current one is the one just tried"


def test_what_was_there_before_is_never_removed(shop: Shop) -> None:
    shop.keeping(0)
    own = shop.push("own")
    shop.docker.client.api.pull(own)
    content = os.urandom(1000)
    here = shop.push("here", content, "lab/first")
    image_id = shop.docker.client.api.pull(here) and shop.docker.client.images.get(here).id
    same = shop.push("same", content, "lab/second")
    for name in (own, same, shop.push("other"), shop.push("last")):
        shop.try_(name)
    assert shop.there(own, here) == [True, True]
    assert shop.docker.client.images.get(here).id == image_id


def test_an_image_whose_trial_was_killed_right_after_the_pull_is_known(shop: Shop) -> None:
    shop.keeping(0)
    lost, there = shop.push("lost"), shop.push("there")
    shop.docker.client.api.pull(there)
    for name in (lost, there):
        with pytest.raises(Killed):
            shop.try_(name, killed_after_pull=True)
    shop.try_(shop.push("next"))
    assert shop.there(lost, there) == [False, True]


def test_the_same_content_under_two_of_our_names_goes_under_both(shop: Shop) -> None:
    shop.keeping(0)
    content = os.urandom(1000)
    first, second = shop.push("1", content, "lab/first"), shop.push("1", content, "lab/second")
    shop.try_(first)
    image = shop.try_(second)
    assert shop.there(first, second) == [True, True]
    shop.try_(shop.push("next"))
    assert shop.there(first, second, image.id) == [False, False, False]


def test_what_somebody_tagged_or_uses_stays_and_a_used_one_is_offered_again(shop: Shop) -> None:
    shop.keeping(0)
    tagged, used = shop.push("tagged"), shop.push("used")
    shop.try_(tagged)
    assert shop.docker.client.images.get(tagged).tag(tagged.partition("@")[0], "mine")
    shop.try_(used)
    container = shop.docker.client.api.create_container(used, ["x"])["Id"]
    shop.try_(shop.push("next"))
    assert shop.there(tagged, used) == [True, True]
    shop.docker.client.api.remove_container(container)
    shop.try_(shop.push("last"))
    assert shop.there(tagged, used) == [True, False]
