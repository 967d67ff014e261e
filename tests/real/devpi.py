"""A real devpi server in its own virtual environment (`.cache/`, made once), on loopback, with wheels made here."""

import base64
import hashlib
import io
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path

import httpx
import pytest

from tests.places import CACHE, CHECKOUT
from tests.real.ports import free_port, stop, wait_until

_LOCK = CHECKOUT / "requirements-devpi.lock"
_ROOT_PASSWORD = "of a throw-away server"
_CHEAP_SECRETS = ["--argon2-memory-cost", "8", "--argon2-parallelism", "1", "--argon2-time-cost", "1"]
"""The default makes every start take more than ten seconds of hashing, for a secret that guards nothing here."""


@dataclass(frozen=True)
class Devpi:
    """A running server. Indexes are `user/name`, as in `jp6/cu126`."""

    url: str
    client: httpx.Client

    def page(self, index: str, project: str) -> str:
        return f"{self.url}/{index}/+simple/{project}/"

    def create_index(self, index: str, bases: tuple[str, ...] = ()) -> None:
        """Make an index (and its user) whose files may be uploaded again under the same name."""
        user = index.split("/")[0]
        self._ask("PUT", f"/{user}", json={"password": _ROOT_PASSWORD}, expected=(201, 409))
        self._ask("PUT", f"/{index}", user, json={"type": "stage", "volatile": True, "bases": list(bases)})

    def create_mirror(self, index: str, url: str) -> None:
        """Make an index that shows another server's, asked at every look: the only way to yanked files on devpi."""
        user = index.split("/")[0]
        self._ask("PUT", f"/{user}", json={"password": _ROOT_PASSWORD}, expected=(201, 409))
        mirror = {"type": "mirror", "mirror_url": url, "mirror_cache_expiry": 0, "mirror_no_project_list": True}
        self._ask("PUT", f"/{index}", user, json=mirror)

    def upload(self, index: str, filename: str, content: str = "", requires_python: str | None = None) -> str:
        """Upload a tiny wheel and return its sha256; `filename` says name and version."""
        wheel = tiny_wheel(filename, content, requires_python)
        name, version = filename.split("-")[:2]
        fields = {":action": "file_upload", "name": name, "version": version, "filetype": "bdist_wheel"}
        fields |= {"metadata_version": "2.1"} | ({"requires_python": requires_python} if requires_python else {})
        files = {"content": (filename, wheel)}
        self._ask("POST", f"/{index}/", index.split("/")[0], data=fields, files=files)
        return hashlib.sha256(wheel).hexdigest()

    def delete(self, index: str, project: str, version: str) -> None:
        self._ask("DELETE", f"/{index}/{project}/{version}", index.split("/")[0])

    def _ask(
        self,
        method: str,
        path: str,
        user: str | None = None,
        *,
        json: dict[str, object] | None = None,
        data: dict[str, str] | None = None,
        files: dict[str, tuple[str, bytes]] | None = None,
        expected: tuple[int, ...] = (200, 201),
    ) -> httpx.Response:
        headers = {"X-Devpi-Auth": self._login(user or "root")} if user or method == "PUT" else {}
        answer = self.client.request(method, f"{self.url}{path}", json=json, data=data, files=files, headers=headers)
        assert answer.status_code in expected, f"devpi: {method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer

    def _login(self, user: str) -> str:
        answer = self.client.post(
            f"{self.url}/+login", json={"user": user, "password": _ROOT_PASSWORD}
        ).raise_for_status()
        pair = f"{user}:{answer.json()['result']['password']}"
        return base64.b64encode(pair.encode()).decode()


def tiny_wheel(filename: str, content: str = "", requires_python: str | None = None) -> bytes:
    """Return a valid wheel, the same bytes for the same arguments."""
    name, version, *_ = filename.removesuffix(".whl").split("-")
    tags = "-".join(filename.removesuffix(".whl").split("-")[-3:])
    info = f"{name}-{version}.dist-info"
    requires = f"Requires-Python: {requires_python}\n" if requires_python else ""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as wheel:
        for path, text in {
            f"{name}/__init__.py": f'"""{content}"""\n',
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: watcher-tests\nRoot-Is-Purelib: false\nTag: {tags}\n",
            f"{info}/RECORD": "",
        }.items():
            wheel.writestr(zipfile.ZipInfo(path), text)
    return out.getvalue()


def installed_devpi(cache: Path = CACHE) -> Path:
    """Return the folder of the server's programs, installing it on first use (seconds, through pip as configured)."""
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / f"devpi-{sys.version_info.major}.{sys.version_info.minor}"
    with (cache / "devpi.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not (place / "ready").exists():
            shutil.rmtree(place, ignore_errors=True)
            venv.create(place, with_pip=True, symlinks=os.name != "nt")
            pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--require-hashes", "-r", str(_LOCK)], check=True, stderr=subprocess.PIPE)
            (place / "ready").touch()
    return place / "bin"


@contextmanager
def running_devpi(folder: Path) -> Iterator[Devpi]:
    """Run a server with an empty folder of its own until the block ends; it never asks another index."""
    programs, port = installed_devpi(), free_port()
    state = ["--serverdir", str(folder / "server")]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "devpi.log").open("wb") as log:
        init = [str(programs / "devpi-init"), *state, "--no-root-pypi", "--root-passwd", _ROOT_PASSWORD]
        subprocess.run(init, stdout=log, stderr=log, check=True)
        serve = [str(programs / "devpi-server"), *state, "--host", "127.0.0.1", "--port", str(port), *_CHEAP_SECRETS]
        process = subprocess.Popen(serve, stdout=log, stderr=log)
    try:
        with httpx.Client(timeout=30) as client:
            devpi = Devpi(f"http://127.0.0.1:{port}", client)
            wait_until(lambda: _answers(client, f"{devpi.url}/+api"), process, "devpi-server")
            yield devpi
    finally:
        stop(process)


@pytest.fixture(scope="session")
def devpi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devpi]:
    """One server per run: it takes seconds to start. Tests use indexes of their own."""
    with running_devpi(tmp_path_factory.mktemp("devpi")) as running:
        yield running


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == 200
    except httpx.HTTPError:
        return False
