"""The connection to a Docker engine. Whatever goes wrong in it is a HostError: the bench, never the candidate."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watcher.errors import HostError, NoEngine

if TYPE_CHECKING:
    from docker.api.client import APIClient
    from docker.errors import APIError

ANSWER_SECONDS = 60
"""How long the engine may take to answer one ordinary request."""
_NO_SUCH_IMAGE = "No such image"
_SILENT = "the Docker engine does not answer"
_START = "start Docker (`sudo systemctl start docker`), or correct device.docker"


@contextmanager
def asking(what: str, **fields: object) -> Iterator[None]:
    """Raise HostError(`what`) for any trouble with the engine inside the block; an image that is gone is said first."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except APIError as error:
        reason = reason_of(error)
        told = "the image is gone: somebody removed it" if _NO_SUCH_IMAGE in reason else what
        raise HostError(told, **fields, cause=reason) from error
    except (DockerException, RequestException, HTTPError, OSError, ValueError) as error:
        raise HostError(what, **fields, cause=str(error)[:300] or type(error).__name__) from error


def reason_of(error: "APIError") -> str:
    """Return the engine's own sentence."""
    return str(error.explanation or error).strip()[:600]


class Engine:
    """One Docker engine; connects on first use."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._api: APIClient | None = None

    @property
    def api(self) -> "APIClient":
        if self._api is None:
            self._api = self.connect(ANSWER_SECONDS)
        return self._api

    def connect(self, timeout: float) -> "APIClient":
        """Return a connection of one's own, for what takes long; the caller closes it."""
        from docker.api.client import APIClient

        with asking(_SILENT, docker=self.url):
            _knock(self.url)
            api = APIClient(base_url=self.url, version="auto", timeout=max(1, int(timeout)))
            api.trust_env = False  # proxies and .netrc are not for an engine; looking for them takes half of a request
            return api

    def close(self) -> None:
        if self._api is not None:
            self._api.close()
            self._api = None

    def info(self) -> dict[str, Any]:
        with asking(_SILENT, docker=self.url):
            return dict(self.api.info())

    def container(self, name_or_id: str) -> dict[str, Any] | None:
        """Return what Docker knows of the container with exactly this name or id, None when there is none."""
        from docker.errors import NotFound

        with asking("a container could not be looked at", container=name_or_id):
            try:
                told: dict[str, Any] = dict(self.api.inspect_container(name_or_id))
            except NotFound:
                return None
        # Docker also takes the beginning of an id
        return told if name_or_id in (told["Id"], name_of(told)) else None

    def image(self, reference: str) -> dict[str, Any] | None:
        from docker.errors import NotFound

        with asking("an image could not be looked at", image=reference):
            api: Any = self.api  # the stubs leave this call untyped
            try:
                return dict(api.inspect_image(reference))
            except NotFound:
                return None


def _knock(url: str) -> None:
    """Raise NoEngine where nobody listens or we are not let in; the SDK would leave its socket open then."""
    if not url.startswith("unix://"):
        return
    path = url.removeprefix("unix://")
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(ANSWER_SECONDS)
        try:
            door.connect(path)
        except PermissionError:
            raise NoEngine("this account is not in the group of the Docker socket", _way_in(path), docker=url) from None
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NoEngine(_SILENT, _START, docker=url, cause=error.strerror) from None


def _way_in(path: str) -> str:
    """Return how this account gets into the group that owns the socket."""
    try:
        group = str(Path(path).stat().st_gid)
    except OSError:  # the folder above is closed, too
        group = f"$(stat -c %g {path})"
    return f'DOCKER_GID={group} for compose.yaml; on the host `sudo usermod -aG "$(stat -c %G {path})" USER`'


def name_of(container: dict[str, Any]) -> str:
    return str(container["Name"]).removeprefix("/")


def moment_of(stamp: str) -> datetime:
    """Return Docker's time, which has nanoseconds."""
    head, _, rest = stamp.partition(".")
    fraction = rest.rstrip("Z")[:6] if rest else "0"
    return datetime.fromisoformat(f"{head.rstrip('Z')}.{fraction:0<6}+00:00")
