"""What a person points at: a wheel here, a wheel behind a URL, or an image in the engine."""

from pathlib import Path

from watcher.artifacts.wheel import RemoteWheel, WheelFile
from watcher.errors import ConfigError
from watcher.fetch.client import Fetcher
from watcher.ports import Host, Reader


def open_target(target: str, *, download: bool, host: Host | None, fetcher: Fetcher) -> Reader:
    """Return the reader for `target`. Raises ConfigError for what is neither of the three, with what to do.

    Args:
        download: a URL whose host serves no ranges is downloaded as a whole.
        host: where images are looked up; None when no container engine is configured.
    """
    if target.lower().startswith(("http://", "https://")):
        return RemoteWheel(target, fetcher, download=download)
    try:
        path = Path(target).expanduser()
        is_file, is_folder = path.is_file(), path.is_dir()
    except (OSError, RuntimeError) as error:  # too long for a name, or the home of a user who does not exist
        raise ConfigError("this cannot be a file or an image", target=target[:200], cause=str(error)[:100]) from None
    if is_file:
        return WheelFile(path)
    if is_folder:
        raise ConfigError("this is a folder, not a wheel", target=target)
    if _looks_like_a_path(target):
        raise ConfigError("there is no such file", target=target)
    return _open_image(target, host)


def _looks_like_a_path(target: str) -> bool:
    return target.lower().endswith((".whl", ".zip")) or target.startswith(("/", "./", "../", "~"))


def _open_image(target: str, host: Host | None) -> Reader:
    if host is None:
        raise ConfigError("this is no file, and no container engine is configured to look for an image", target=target)
    image = host.find_image(target)
    if image is None:
        raise ConfigError("this is neither a file nor an image in the engine (docker pull it first)", target=target)
    return host.open_image(image)
