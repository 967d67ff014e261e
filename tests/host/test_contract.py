"""DockerHost on a real engine keeps the contract of the port."""

import pytest

from tests.host.contract import HostContract, HostWorld
from tests.host.docker_world import DockerWorld


class TestDockerHost(HostContract):
    @pytest.fixture
    def world(self, docker: DockerWorld) -> HostWorld:
        docker.service("assistant", restart_policy={"Name": "unless-stopped"})
        return HostWorld(
            host=docker.host,
            healthy=docker.spec("healthy"),
            failing=docker.spec("assert"),
            without_command=docker.spec("none"),
            service="container:assistant",
            start_behind=lambda: docker.client.api.start("assistant"),
        )
