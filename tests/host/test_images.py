"""Images: pulled by digest from a real registry, and what the watcher may remove of them."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.contract import unnoted
from tests.host.docker_world import DockerWorld
from tests.real.base_image import base_image
from tests.real.registry import Registry, is_there, running_registry
from tests.real.stub_engine import stub_image
from watcher.errors import HostError
from watcher.host.images import repository_of


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    if not is_there():
        pytest.skip("not installed: docker-registry")
    with running_registry(tmp_path / "registry") as running:
        yield running


def pushed(docker: DockerWorld, registry: Registry) -> tuple[str, str, str]:
    """Push a stub from the engine; return reference, digest and id, and leave nothing of it in the engine."""
    reference = f"{registry.host}/lab/vllm:0.33.0-r36.4"
    image = stub_image(docker.client, reference, "healthy")
    for line in docker.client.api.push(reference, stream=True, decode=True):
        assert "error" not in line, line
    (digest,) = docker.client.images.get(reference).attrs["RepoDigests"]
    docker.client.api.remove_image(image, force=True)
    return reference, digest.partition("@")[2], image


def soon() -> float:
    return time.monotonic() + 60


def test_an_image_is_pulled_by_its_digest_and_then_there(docker: DockerWorld, registry: Registry) -> None:
    reference, digest, image_id = pushed(docker, registry)
    lines: list[str] = []
    image = docker.host.pull(reference, digest, lines.append, soon(), unnoted)
    assert (image.id, image.digest, image.pulled) == (image_id, digest, True)
    assert image.reference == f"{registry.host}/lab/vllm@{digest}"
    assert image.architecture
    assert image.bytes > 0
    assert any(entry.startswith("STUB_MODE=") for entry in image.env)
    assert lines
    again = docker.host.pull(reference, digest, lines.append, soon(), unnoted)
    assert (again.id, again.pulled) == (image_id, False)
    docker.host.remove_image(image.reference)
    assert docker.host.find_image(image_id) is None
    docker.host.remove_image(image.reference)


def test_content_that_was_there_under_another_name_is_not_ours(docker: DockerWorld, registry: Registry) -> None:
    reference, digest, image_id = pushed(docker, registry)
    assert stub_image(docker.client, "mine:1", "healthy")
    docker.client.api.pull(f"{registry.host}/lab/vllm@{digest}")
    docker.client.images.get(image_id).tag("the-users", "1")
    docker.client.api.remove_image(f"{registry.host}/lab/vllm@{digest}")
    image = docker.host.pull(reference, digest, lambda line: None, soon(), unnoted)
    assert (image.id, image.pulled) == (image_id, False)
    docker.host.remove_image(image.reference)
    assert docker.host.find_image("the-users:1") is not None


def test_no_time_left_is_said_before_anything_is_pulled(docker: DockerWorld) -> None:
    with pytest.raises(HostError, match="no time left"):
        docker.host.pull(
            "localhost:1/lab/vllm:1", f"sha256:{'0' * 64}", lambda line: None, time.monotonic() - 1, unnoted
        )


def test_a_local_image_needs_no_registry(docker: DockerWorld) -> None:
    tag = base_image(docker.client)
    image = docker.host.pull(tag, None, lambda line: None, soon(), unnoted)
    assert (image.pulled, image.digest) == (False, None)
    assert docker.host.find_image(image.id) is not None


def test_the_disk_under_the_images_is_seen(docker: DockerWorld) -> None:
    free = docker.host.free_disk()
    assert free is not None
    assert free > 0


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("dustynv/vllm:0.9-r36.4", "dustynv/vllm"),
        ("127.0.0.1:5000/lab/vllm", "127.0.0.1:5000/lab/vllm"),
        ("127.0.0.1:5000/lab/vllm:1", "127.0.0.1:5000/lab/vllm"),
        ("ghcr.io/a/b@sha256:00", "ghcr.io/a/b"),
        ("ghcr.io/a/b:1@sha256:00", "ghcr.io/a/b"),
        ("vllm", "vllm"),
    ],
)
def test_the_repository_is_what_stands_before_tag_and_digest(image: str, repository: str) -> None:
    assert repository_of(image) == repository
