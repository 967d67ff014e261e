"""A pull from a real registry that breaks off, is refused, wants a login, or does not fit; what may go."""

import json
import os
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.host.contract import unnoted, wait_for
from tests.host.docker_world import DockerWorld
from tests.real.disk import small_disk
from tests.real.docker import private_daemon
from tests.real.registry import PASSWORD, USER, Registry, running_registry
from tests.real.registry_door import Door, door_before
from tests.real.web import Reply
from watcher.errors import HostError, Refused
from watcher.host import pulling
from watcher.host.clock import SystemClock
from watcher.host.engine import Engine
from watcher.host.images import Images
from watcher.host.pulling import Pull, login_for

SMALL, BIG = 200_000, 8_000_000
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with running_registry(tmp_path / "registry") as running:
        yield running


@pytest.fixture
def door(registry: Registry) -> Iterator[Door]:
    with door_before(registry) as door:
        yield door


@pytest.fixture(autouse=True)
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give Docker's client configuration a folder of its own."""
    folder = tmp_path / "docker-config"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "_PAUSES", (0.5, 2.0))


def fresh(*sizes: int) -> list[dict[str, bytes]]:
    """Return layers that no engine has seen."""
    return [{f"file-{number}": os.urandom(size)} for number, size in enumerate(sizes)]


def soon(seconds: float = 120) -> float:
    return time.monotonic() + seconds


def without_pauses(door: Door) -> list[str]:
    """Return the blobs that were asked for, each as often as it was."""
    return sorted(digest for digest, _ in door.blob_requests())


def test_a_layer_that_breaks_off_goes_on_from_there_and_finished_ones_are_not_fetched_again(
    docker: DockerWorld, door: Door
) -> None:
    """Docker's own doing, within one pull: two of the three layers are there when the third breaks off, twice."""
    digest = door.registry.push_image("lab/vllm", "1", fresh(SMALL, SMALL, BIG))
    door.cut_after, door.cuts = 3_000_000, 2
    lines: list[str] = []
    image = docker.host.pull(f"{door.host}/lab/vllm:1", digest, lines.append, soon(), unnoted)
    assert image.pulled
    asked = door.blob_requests()
    (broken,) = {digest for digest, part in asked if part}
    assert [part for digest, part in asked if digest == broken] == ["", "bytes=3000000-", "bytes=6000000-"]
    assert len(asked) == len(set(without_pauses(door))) + 2, "configuration and the other layers were asked for once"
    assert any("1 broken off and tried again" in line for line in lines)
    assert {found[1] for line in lines if (found := re.search(r"of ([1-9]\d*) MB", line))} == {"8"}
    assert any("2 of 3 layers done" in line for line in lines)


@pytest.mark.usefixtures("quick")
def test_a_registry_that_dies_is_asked_again_until_it_is_back(docker: DockerWorld, tmp_path: Path) -> None:
    with running_registry(tmp_path / "lab") as first:
        digest = first.push_image("lab/vllm", "1", fresh(SMALL))
        reference = f"{first.host}/lab/vllm:1"
    lines: list[str] = []
    pulled: list[bool] = []

    def pull() -> None:
        pulled.append(docker.host.pull(reference, digest, lines.append, soon(), unnoted).pulled)

    pulling_thread = threading.Thread(target=pull)
    pulling_thread.start()
    wait_for(lambda: any("could not be pulled" in line and "again in" in line for line in lines))
    with running_registry(tmp_path / "lab", port=int(reference.partition("/")[0].rpartition(":")[2])):
        pulling_thread.join(60)
    assert pulled == [True]


@pytest.mark.usefixtures("quick")
def test_a_daemon_that_is_killed_goes_on_with_the_layers_it_had(docker: DockerWorld, door: Door) -> None:
    digest = door.registry.push_image("lab/vllm", "1", fresh(SMALL, SMALL, BIG))
    door.cut_after, door.cuts = 3_000_000, 1
    lines: list[str] = []
    pulled: list[bool] = []

    def pull() -> None:
        reference = f"{door.host}/lab/vllm:1"
        pulled.append(docker.host.pull(reference, digest, lines.append, soon(), unnoted).pulled)

    thread = threading.Thread(target=pull)
    thread.start()
    wait_for(lambda: any("2 of 3 layers done" in line for line in lines))
    docker.engine.kill()
    wait_for(lambda: any("does not answer" in line for line in lines))
    before = without_pauses(door)
    docker.engine.start()
    thread.join(90)
    assert pulled == [True]
    again = door.blob_requests()[len(before) :]
    assert len([digest for digest, _ in again if digest in before]) == len(again) == 2, "the broken layer, the config"


def test_a_pull_whose_time_is_over_ends_and_leaves_nothing_on_the_disk(docker: DockerWorld, door: Door) -> None:
    digest = door.registry.push_image("lab/vllm", "1", fresh(BIG))
    door.cut_after, door.cuts = 1_000_000, 99
    begun = time.monotonic()
    with pytest.raises(HostError, match=r"not be pulled|not pulled in time"):
        docker.host.pull(f"{door.host}/lab/vllm:1", digest, lambda line: None, soon(4), unnoted)
    assert time.monotonic() - begun < 15
    wait_for(lambda: not half_loaded(docker))


def test_the_deadline_is_read_on_the_clock_that_the_pull_was_given() -> None:
    class Late(SystemClock):
        def monotonic(self) -> float:
            return super().monotonic() + 3600

    pull = Pull(Engine("unix:///nowhere"), "lab/vllm:1", print, lambda: None, soon(), Late())
    with pytest.raises(HostError, match="no time left"):
        pull.run()


def half_loaded(docker: DockerWorld) -> list[Path]:
    """Return the files in which the engine keeps layers that it loads."""
    return list((Path(docker.client.info()["DockerRootDir"]) / "tmp").glob("GetImageBlob*"))


def error(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


@pytest.mark.parametrize(
    ("part", "reply", "said", "hours"),
    [
        ("/manifests/", Reply(429, error("TOOMANYREQUESTS", "You have reached your pull rate limit"), JSON),
         "pull limit is used up", 1),
        ("/blobs/", Reply(429, error("TOOMANYREQUESTS", "slow down"), JSON), "pull limit is used up", 1),
        ("/manifests/", Reply(401, error("UNAUTHORIZED", "authentication required"), JSON), "another login", 6),
        ("/manifests/", Reply(403, error("DENIED", "requested access to the resource is denied"), JSON),
         "another login", 6),
        ("/manifests/", Reply(404, error("MANIFEST_UNKNOWN", "manifest unknown"), JSON), "upstream withdrew it", 24),
    ],
    ids=["limit", "limit at a layer", "unauthorized", "denied", "withdrawn"],
)  # fmt: skip
def test_what_another_attempt_would_not_change_is_refused_with_a_time(
    docker: DockerWorld, door: Door, part: str, reply: Reply, said: str, hours: int
) -> None:
    digest = door.registry.push_image("lab/vllm", "1", fresh(SMALL))
    door.refuse[part] = reply
    with pytest.raises(Refused, match=said) as caught:
        docker.host.pull(f"{door.host}/lab/vllm:1", digest, lambda line: None, soon(), unnoted)
    assert caught.value.retry_at is not None
    away = caught.value.retry_at.timestamp() - time.time()
    assert hours - 0.1 < away / 3600 <= hours


def test_an_image_that_was_deleted_upstream_was_withdrawn(docker: DockerWorld, registry: Registry) -> None:
    digest = registry.push_image("lab/vllm", "1", fresh(SMALL))
    registry.delete("lab/vllm", digest)
    with pytest.raises(Refused, match="upstream withdrew it"):
        docker.host.pull(f"{registry.host}/lab/vllm:1", digest, lambda line: None, soon(), unnoted)


def test_a_tag_is_resolved_and_gets_no_name_in_the_engine(docker: DockerWorld, registry: Registry) -> None:
    digest = registry.push_image("lab/vllm", "1", fresh(SMALL))
    begun: list[str] = []
    image = docker.host.pull(
        f"{registry.host}/lab/vllm:1", None, lambda line: None, soon(), lambda name, there: begun.append(name)
    )
    assert begun == [image.reference] == [f"{registry.host}/lab/vllm@{digest}"]
    assert docker.client.images.get(image.id).tags == []


# --- logins -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Registry]:
    with running_registry(tmp_path / "locked", login=True) as running:
        yield running


def plainly(config: Path, registry: Registry) -> None:
    login = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (config / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": login}}}))


def by_store(config: Path, registry: Registry) -> None:
    helper(config, f'echo \'{{"ServerURL": "{registry.host}", "Username": "{USER}", "Secret": "{PASSWORD}"}}\'')
    (config / "config.json").write_text(json.dumps({"credsStore": "lab"}))


def by_helper(config: Path, registry: Registry) -> None:
    by_store(config, registry)
    (config / "config.json").write_text(json.dumps({"credHelpers": {registry.host: "lab"}}))


def helper(folder: Path, script: str) -> None:
    program = folder / "docker-credential-lab"
    program.write_text(f"#!/bin/sh\nread asked\n{script}\n")
    program.chmod(0o755)


Login = Callable[[Path, Registry], None]


@pytest.mark.parametrize("log_in", [plainly, by_store, by_helper], ids=["auths", "credsStore", "credHelpers"])
def test_the_login_comes_from_dockers_own_configuration(
    docker: DockerWorld, locked: Registry, docker_config: Path, monkeypatch: pytest.MonkeyPatch, log_in: Login
) -> None:
    monkeypatch.setenv("PATH", f"{docker_config}:{os.environ['PATH']}")
    digest = locked.push_image("lab/vllm", "1", fresh(SMALL))
    lines: list[str] = []
    with pytest.raises(Refused, match="another login") as caught:
        docker.host.pull(f"{locked.host}/lab/vllm:1", digest, lines.append, soon(), unnoted)
    log_in(docker_config, locked)
    image = docker.host.pull(f"{locked.host}/lab/vllm:1", None, lines.append, soon(), unnoted)
    assert (image.digest, image.pulled) == (digest, True)
    assert PASSWORD not in f"{caught.value} {lines}"


def test_a_wrong_password_is_said_to_be_one(docker: DockerWorld, locked: Registry, docker_config: Path) -> None:
    digest = locked.push_image("lab/vllm", "1", fresh(SMALL))
    login = b64encode(b"lab-user:wrong-secret").decode()
    (docker_config / "config.json").write_text(json.dumps({"auths": {locked.host: {"auth": login}}}))
    with pytest.raises(Refused, match="another login") as caught:
        docker.host.pull(f"{locked.host}/lab/vllm:1", digest, lambda line: None, soon(), unnoted)
    assert "wrong-secret" not in str(caught.value)
    assert login not in str(caught.value)


@pytest.mark.parametrize(
    "script",
    [f"echo {PASSWORD}; exit 1", f"echo {PASSWORD}", 'echo \'{"Secret": "x"}\'', "echo '[]'", None],
    ids=["fails", "no JSON", "no user", "a list", "not there"],
)
def test_a_broken_helper_is_one_sentence_without_the_secret(
    docker_config: Path, monkeypatch: pytest.MonkeyPatch, script: str | None
) -> None:
    monkeypatch.setenv("PATH", f"{docker_config}:{os.environ['PATH']}")
    if script is not None:
        helper(docker_config, script)
    (docker_config / "config.json").write_text(json.dumps({"credsStore": "lab"}))
    with pytest.raises(Refused, match="credential helper") as caught:
        login_for("lab.example:5000/lab/vllm@sha256:00")
    assert "registry=lab.example:5000" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_helper_without_a_login_for_the_registry_is_no_trouble(
    docker_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{docker_config}:{os.environ['PATH']}")
    helper(docker_config, "echo credentials not found in native keychain; exit 1")
    (docker_config / "config.json").write_text(json.dumps({"credsStore": "lab"}))
    assert login_for("lab.example:5000/lab/vllm:1") is None


# --- the disk ---------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused_before_it_is_loaded(docker: DockerWorld, door: Door) -> None:
    digest = door.registry.push_image("lab/vllm", "1", fresh(SMALL, 100_000_000))
    engine = Engine(docker.engine.url)
    images = Images(engine, lambda: 200_000_000, SystemClock())
    with pytest.raises(Refused, match="too little room for the image") as caught:
        images.pull(f"{door.host}/lab/vllm:1", digest, lambda line: None, soon(), unnoted)
    engine.close()
    assert caught.value.retry_at is not None
    assert "free=0.2 GB" in str(caught.value)
    assert "needed=at least 0.3 GB more" in str(caught.value)
    assert docker.host.find_image(f"{door.host}/lab/vllm@{digest}") is None
    wait_for(lambda: not half_loaded(docker))


def test_a_disk_that_becomes_full_is_refused_with_a_time(registry: Registry, tmp_path: Path) -> None:
    """The real thing: an engine whose images lie on a small file system of their own."""
    digest = registry.push_image("lab/vllm", "1", fresh(SMALL, 60_000_000))
    with small_disk(tmp_path / "small", 90 << 20) as folder, private_daemon(folder) as engine:
        reference = f"{registry.host}/lab/vllm@{digest}"
        pull = Pull(Engine(engine.url), reference, lambda line: None, lambda: None, soon())
        with pytest.raises(Refused, match="the disk became full") as caught:
            pull.run()
        assert caught.value.retry_at is not None
        pull.engine.close()


# --- what may be removed ----------------------------------------------------------------------------------------------


def test_an_image_that_somebody_tagged_or_uses_stays(docker: DockerWorld, registry: Registry) -> None:
    names = []
    for tag in ("tagged", "used", "free"):
        digest = registry.push_image("lab/vllm", tag, fresh(SMALL))
        names.append(docker.host.pull(f"{registry.host}/lab/vllm:{tag}", digest, print, soon(), unnoted).reference)
    tagged, used, free = names
    # Docker itself would remove an image whose only tag is of the same repository
    assert docker.client.images.get(tagged).tag(f"{registry.host}/lab/vllm", "mine")
    docker.client.api.create_container(used, ["x"])
    docker.host.remove_image(tagged)
    with pytest.raises(HostError, match="could not be removed"):
        docker.host.remove_image(used)
    docker.host.remove_image(free)
    assert [docker.host.find_image(name) is not None for name in names] == [True, True, False]


def test_layers_that_another_image_shares_stay(docker: DockerWorld, registry: Registry) -> None:
    shared, other = fresh(SMALL), fresh(SMALL)
    digests = [
        registry.push_image(name, "1", layers) for name, layers in (("lab/a", shared), ("lab/b", shared + other))
    ]
    first, second = (
        docker.host.pull(f"{registry.host}/{name}:1", digest, print, soon(), unnoted)
        for name, digest in zip(("lab/a", "lab/b"), digests, strict=True)
    )
    docker.host.remove_image(first.reference)
    assert docker.host.find_image(first.id) is None
    container = docker.client.api.create_container(second.id, ["x"])["Id"]
    _, told = docker.client.api.get_archive(container, "/file-0")
    assert told["size"] == SMALL
