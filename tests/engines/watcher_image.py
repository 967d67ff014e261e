"""The base of the watcher's own image, where none can be pulled: Debian with Python, and the wheels that are locked."""

from typing import TYPE_CHECKING

from tests.engines.build import image_wheels
from tests.real.base_image import build_image, python_image
from tests.real.emulation import HERE

if TYPE_CHECKING:
    from docker import DockerClient

PYTHON_IMAGE = "local/python:3"
_WHEELS = "/opt/wheels"
_PIP = f"[global]\nno-index = true\nfind-links = {_WHEELS}\n"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def watcher_base(client: "DockerClient", architecture: str = HERE) -> str:
    """Make what stands for `python:3.13-slim` and return its tag; pip installs in it without an index."""
    wheels = image_wheels(architecture).iterdir()
    files = {f"{_WHEELS}/{wheel.name}": (wheel.read_bytes(), 0o644) for wheel in wheels}
    files["/etc/pip.conf"] = (_PIP.encode(), 0o644)
    build_image(client, PYTHON_IMAGE, files, {"Env": [_PATH]}, python_image(client, architecture))
    return PYTHON_IMAGE
