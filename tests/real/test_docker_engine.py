"""The fixtures themselves: a daemon that can be killed, images without a registry, stand-ins that behave as told."""

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from docker import DockerClient

from tests.real.base_image import BASE, base_image
from tests.real.docker import PrivateDaemon
from tests.real.stub_engine import StubMode, service_image, stub_image

SERVE = ["vllm", "serve", "/models/m", "--served-model-name", "tiny", "--host", "0.0.0.0", "--port", "8000"]


def wait_for(what: Callable[[], object], seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.1)


@pytest.fixture
def client(clean_engine: PrivateDaemon) -> DockerClient:
    client = clean_engine.client()
    base_image(client)
    return client


def test_a_killed_daemon_brings_back_what_restarts_always(clean_engine: PrivateDaemon, client: DockerClient) -> None:
    container = client.containers.run(
        BASE, ["sleep", "1000"], detach=True, restart_policy={"Name": "always"}, init=True
    )
    for end in (clean_engine.kill, clean_engine.power_cut):
        end()
        clean_engine.start()
        wait_for(lambda: clean_engine.client().containers.get(str(container.id)).status == "running")


def test_the_runtime_called_nvidia_can_be_asked_for(client: DockerClient) -> None:
    said = client.containers.run(BASE, ["python3", "-c", "print(6 * 7)"], runtime="nvidia", remove=True)
    assert said == b"42\n"


@pytest.mark.parametrize(
    ("mode", "exit_code", "text"),
    [
        ("assert", 1, b"INTERNAL ASSERT FAILED"),
        ("oom", 1, b"torch.OutOfMemoryError"),
        ("fixed-oom", 1, b"omitting per-process memory info"),
        ("crash", 139, b"Loading weights"),
        ("exit0", 0, b"Loading weights"),
        ("die-after-ready", 0, b"fatal error"),
    ],
)
def test_a_stub_ends_as_its_mode_says(client: DockerClient, mode: StubMode, exit_code: int, text: bytes) -> None:
    image = stub_image(client, f"stub/{mode}:1", mode, STUB_DELAY="0", STUB_LIFE="0")
    container = client.containers.run(image, SERVE, detach=True, init=True)
    assert container.wait()["StatusCode"] == exit_code
    assert text in container.logs()


def test_a_healthy_stub_answers_streams_and_calls_a_tool(client: DockerClient) -> None:
    base = _serve(client, "healthy")
    wait_for(lambda: _status(f"{base}/health") == 200)
    assert _post(base, {"messages": [{"content": "Hi"}]})["choices"][0]["message"]["content"]
    tool = {"type": "function", "function": {"name": "add", "parameters": {"properties": {"item": {}}}}}
    said = _post(base, {"messages": [{"content": "add milk"}], "tools": [tool]})["choices"][0]["message"]
    assert json.loads(said["tool_calls"][0]["function"]["arguments"]) == {"item": "milk"}
    assert _ask(base, {"messages": [{"content": "Hi"}], "stream": True}).endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("mode", ["hang", "never-ready"])
def test_a_stub_that_never_gets_ready_answers_503(client: DockerClient, mode: StubMode) -> None:
    base = _serve(client, mode)
    wait_for(lambda: _status(f"{base}/health") == 503)
    time.sleep(1)
    assert _status(f"{base}/health") == 503


def test_a_service_tells_its_health_through_docker(client: DockerClient) -> None:
    image = service_image(client, "service:1")
    container = client.containers.run(image, detach=True, name="service")
    wait_for(lambda: client.api.inspect_container("service")["State"]["Health"]["Status"] == "healthy")
    container.exec_run(["touch", "/tmp/ill"])
    wait_for(lambda: client.api.inspect_container("service")["State"]["Health"]["Status"] == "unhealthy")


def test_a_sweep_leaves_only_cached_images_under_their_own_names(
    clean_engine: PrivateDaemon, client: DockerClient
) -> None:
    stub_image(client, "dustynv/vllm:1", "healthy")
    client.containers.run(BASE, ["sleep", "1000"], detach=True)
    client.networks.create("extra")
    clean_engine.sweep()
    assert client.containers.list(all=True) == []
    assert {network.name for network in client.networks.list()} == {"bridge", "host", "none"}
    images = [image.attrs for image in client.images.list()]
    assert images
    assert all(tag.startswith("watcher-test/") for image in images for tag in image["RepoTags"])
    assert not any(image["RepoDigests"] for image in images)


def _serve(client: DockerClient, mode: StubMode) -> str:
    container = client.containers.run(stub_image(client, f"stub/{mode}:1", mode), SERVE, detach=True, init=True)
    networks = client.api.inspect_container(str(container.id))["NetworkSettings"]["Networks"]
    return f"http://{networks['bridge']['IPAddress']}:8000"


def _status(url: str) -> int | None:
    try:
        return int(urllib.request.urlopen(url, timeout=2).status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


def _ask(base: str, body: dict[str, Any]) -> bytes:
    ask = json.dumps({"model": "tiny", **body}).encode()
    with urllib.request.urlopen(f"{base}/v1/chat/completions", data=ask, timeout=5) as answer:
        return bytes(answer.read())


def _post(base: str, body: dict[str, Any]) -> dict[str, Any]:
    value = json.loads(_ask(base, body))
    assert isinstance(value, dict)
    return value
