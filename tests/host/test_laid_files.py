"""Files laid into a trial container: on disk, in a volume that goes with it, with the rest of the isolation as ever."""

import io
import tarfile
from collections.abc import Iterator

from tests.host.docker_world import DockerWorld
from watcher.host.names import TRIAL
from watcher.model.container import LaidFiles

LOOK = """
import os
print(open("/laid/a/b.txt").read())
fields = [line.split() for line in open("/proc/mounts")]
print(*(f"{kind} {options.split(',')[0]}" for _, place, kind, options, *_ in fields if place == "/laid"))
print(*(options.split(",")[0] for _, place, _, options, *_ in fields if place == "/"))
try:
    open("/anything", "w")
except OSError as error:
    print(error.strerror)
"""


def tar() -> Iterator[bytes]:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo("a/b.txt")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"hello"))
    yield out.getvalue()


def test_they_lie_on_disk_beside_a_root_that_stays_read_only(docker: DockerWorld) -> None:
    said = docker.output(docker.script(LOOK, laid=LaidFiles("/laid", tar))).splitlines()
    content, volume, root, refusal = said
    assert content == "hello"
    assert "tmpfs" not in volume
    assert volume.endswith(" rw")
    assert (root, refusal) == ("ro", "Read-only file system")
    docker.host.remove_trial()
    assert docker.client.volumes.list() == []


def test_a_volume_that_somebody_left_is_removed_and_nobody_elses_is(docker: DockerWorld) -> None:
    docker.client.volumes.create("mine")
    docker.host.start(docker.spec(laid=LaidFiles("/laid", tar)))
    docker.client.api.remove_container(TRIAL, force=True, v=False)
    assert len(docker.client.volumes.list()) == 2
    docker.host.remove_trial()
    assert [volume.name for volume in docker.client.volumes.list()] == ["mine"]
