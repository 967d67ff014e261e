"""The calls of docs/docker-api.md are what the code makes, and a proxy that allows them alone is enough for a trial."""

import ast
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.main_loop.one_trial import IMAGE, scene_of
from tests.places import CHECKOUT
from tests.real.base_image import base_image
from tests.real.compose import with_compose
from tests.real.docker import PrivateDaemon
from tests.real.scene import ASSISTANT
from tests.real.socket_proxy import socket_proxy

PAGE = CHECKOUT / "docs" / "docker-api.md"
COMPOSE, BEHIND_A_PROXY = CHECKOUT / "compose.yaml", CHECKOUT / "compose.proxy.yaml"
CALLS = {
    "connect_container_to_network": "POST /networks/{id}/connect",
    "containers": "GET /containers/json",
    "create_container": "POST /containers/create",
    "create_container_from_config": "POST /containers/create",
    "create_network": "POST /networks/create",
    "disconnect_container_from_network": "POST /networks/{id}/disconnect",
    "export": "GET /containers/{id}/export",
    "get_archive": "GET /containers/{id}/archive",
    "head": "HEAD /containers/{id}/archive",
    "images": "GET /images/json",
    "info": "GET /info",
    "inspect_container": "GET /containers/{id}/json",
    "inspect_distribution": "GET /distribution/{name}/json",
    "inspect_image": "GET /images/{name}/json",
    "inspect_network": "GET /networks/{id}",
    "inspect_volume": "GET /volumes/{name}",
    "kill": "POST /containers/{id}/kill",
    "logs": "GET /containers/{id}/logs",
    "networks": "GET /networks",
    "pull": "POST /images/create",
    "put_archive": "PUT /containers/{id}/archive",
    "remove_container": "DELETE /containers/{id}",
    "remove_image": "DELETE /images/{name}",
    "remove_network": "DELETE /networks/{id}",
    "remove_volume": "DELETE /volumes/{name}",
    "rename": "POST /containers/{id}/rename",
    "restart": "POST /containers/{id}/restart",
    "start": "POST /containers/{id}/start",
    "stats": "GET /containers/{id}/stats",
    "stop": "POST /containers/{id}/stop",
    "tag": "POST /images/{name}/tag",
    "top": "GET /containers/{id}/top",
    "update_container": "POST /containers/{id}/update",
    "volumes": "GET /volumes",
}
"""The SDK's methods that the code calls, and what they send; the SDK itself asks for the version."""
REFUSED = (
    ("POST", "/v1.41/containers/abc/exec"),
    ("POST", "/v1.41/exec/abc/start"),
    ("POST", "/v1.41/containers/abc/attach"),
    ("GET", "/v1.41/containers/abc/json/../../../secrets"),
    ("POST", "/v1.41/build"),
    ("POST", "/v1.41/commit"),
    ("GET", "/v1.41/secrets"),
    ("POST", "/v1.41/swarm/init"),
    ("POST", "/v1.41/volumes/create"),
    ("POST", "/v1.41/containers/prune"),
    ("DELETE", "/v1.41/plugins/abc"),
    ("GET", "/v1.41/events"),
    ("PUT", "/v1.41/containers/abc/resize"),
)


def documented() -> set[str]:
    return set(re.findall(r"^\| `([A-Z]+ /[^`]*)` \|", PAGE.read_text(), re.MULTILINE))


def allowed() -> dict[str, str]:
    """Return what the proxy of the compose file lets through: a pattern by method, as it reads them."""
    words = yaml.safe_load(BEHIND_A_PROXY.read_text())["services"]["docker-api"]["command"]
    found = (re.fullmatch(r"-allow([A-Z]+)=(.*)", word) for word in words)
    return {match[1]: match[2] for match in found if match}


def called() -> Iterator[str]:
    """Yield the names of the SDK's methods that the code calls on its low-level client."""
    for file in sorted((CHECKOUT / "watcher").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value
                name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
                if name in ("api", "_api") and node.func.attr != "close":
                    yield node.func.attr


def template(call: tuple[str, str]) -> str:
    """Return a call as the page writes it."""
    method, path = call
    path = re.sub(r"^/v1\.\d+", "", path)
    path = re.sub(r"^/(images|distribution)/(?!json$|create$).+?(/json|/tag)?$", r"/\1/{name}\2", path)
    path = re.sub(r"^/volumes/.+$", "/volumes/{name}", path)
    path = re.sub(r"^/(containers|networks)/(?!json$|create$)[^/]+", r"/\1/{id}", path)
    return f"{method} {path}"


def test_the_page_names_what_the_code_calls_and_nothing_else() -> None:
    assert set(called()) == set(CALLS)
    assert documented() == {*CALLS.values(), "GET /version"}


def test_the_proxy_allows_what_the_page_names_and_nothing_else() -> None:
    for call in documented():
        method, path = call.split()
        path = path.replace("{id}", "0a1b").replace("{name}", "ghcr.io/some/vllm:tag" if "image" in path else "v1")
        assert re.fullmatch(allowed()[method], f"/v1.41{path}"), call
    for method, path in REFUSED:
        assert not re.fullmatch(allowed().get(method, "-"), path), path


def test_trials_and_their_way_back_run_behind_the_proxy(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene = scene_of(clean_engine, tmp_path, "healthy")
    client = clean_engine.client()
    with socket_proxy(clean_engine.url, allowed()) as proxy:
        scene.table["device"]["docker"] = proxy.url
        assert scene.answer("trial", "run", IMAGE, "--force", "--keep")["trial"]["bring_up"] == "works"
        client.containers.get(ASSISTANT).remove(force=True)  # it has to be made again
        assert scene.watcher("restore").returncode == 0
        assert scene.watcher("doctor").returncode == 0
    assert proxy.refused == set()
    assert {template(call) for call in proxy.passed} <= documented()
    assert len(proxy.passed) > 20
    scene.assert_all_is_as_before()


def test_both_compose_files_say_the_same_of_the_watcher() -> None:
    open_, closed = (yaml.safe_load(file.read_text())["services"]["watcher"] for file in (COMPOSE, BEHIND_A_PROXY))
    mounts = [mount for mount in open_.pop("volumes") if "docker.sock" not in str(mount)]
    assert closed.pop("volumes") == mounts
    assert closed.pop("environment").pop("WATCHER_DEVICE__DOCKER") == "tcp://docker-api:2375"
    for differs in ("group_add", "environment", "networks", "depends_on"):
        open_.pop(differs, None)
        closed.pop(differs, None)
    assert closed == open_


@pytest.mark.parametrize("file", [COMPOSE, BEHIND_A_PROXY], ids=lambda file: file.name)
def test_compose_takes_the_file_and_says_what_it_needs(tmp_path: Path, file: Path) -> None:
    shutil.copy(file, tmp_path / "compose.yaml")
    needed = {"DOCKER_GID": "999", "MODELS": "/srv/models"} if file == BEHIND_A_PROXY else {"DOCKER_GID": "999"}
    assert all(value in str(shown(tmp_path, needed)) for value in needed.values())
    for name in needed:
        with pytest.raises(subprocess.CalledProcessError) as lacking:
            shown(tmp_path, {other: value for other, value in needed.items() if other != name})
        assert "set it to" in lacking.value.stderr


def test_compose_refuses_a_path_that_is_missing_and_makes_none(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    service = yaml.safe_load(COMPOSE.read_text())["services"]["watcher"]
    (mount,) = (mount for mount in service["volumes"] if "./config" in str(mount))
    service |= {"image": base_image(clean_engine.client()), "group_add": [], "volumes": [mount]}
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump({"services": {"watcher": service}}))
    done = subprocess.run(
        ["docker", "compose", "create", "--no-build"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, **with_compose(tmp_path), **clean_engine.environment},
        check=False,
    )
    assert done.returncode != 0
    assert f"bind source path does not exist: {tmp_path}/config" in done.stderr
    assert not (tmp_path / "config").exists()


def shown(folder: Path, env: dict[str, str]) -> dict[str, Any]:
    """Return the services as Compose understands them."""
    kept = {name: value for name, value in os.environ.items() if name not in ("DOCKER_GID", "MODELS")}
    command = ["docker", "compose", "-f", str(folder / "compose.yaml"), "config"]
    done = subprocess.run(command, capture_output=True, text=True, env=kept | with_compose(folder) | env, check=True)
    services: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return services
