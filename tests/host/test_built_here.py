"""An image that was built on the device: it has no digest but its own id, and no registry knows it."""

import time

from tests.host.contract import unnoted
from tests.real.docker import PrivateDaemon
from tests.real.stub_engine import stub_image
from watcher.config.settings import DeviceSection
from watcher.host.docker_host import DockerHost
from watcher.planner.by_hand import named_candidate

TAG = "dustynv/vllm:built-here"


def test_an_image_that_was_built_here_is_not_asked_of_a_registry(clean_engine: PrivateDaemon) -> None:
    image = stub_image(clean_engine.client(), TAG, "healthy")
    host = DockerHost(clean_engine.url, DeviceSection(name="bench", docker=clean_engine.url))
    try:
        candidate = named_candidate(TAG, "vllm", host.find_image(TAG))
        assert candidate.digest == image
        stub_image(clean_engine.client(), TAG, "assert")  # the tag moved on meanwhile
        found = host.pull(candidate.image, candidate.digest, lambda _line: None, time.monotonic() + 30, unnoted)
    finally:
        host.close()
    assert (found.id, found.reference, found.pulled) == (image, TAG, False)
