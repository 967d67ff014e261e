"""A target is a file, a URL or an image; what is none of them is the caller's to correct."""

from pathlib import Path
from typing import cast

import pytest

from tests.artifacts.builders import PRESENT, saved, torch_wheel
from watcher.artifacts.target import open_target
from watcher.artifacts.wheel import RemoteWheel, WheelFile
from watcher.errors import ConfigError
from watcher.fetch.client import Fetcher
from watcher.model.container import LocalImage
from watcher.ports import Host, Reader


class OneImage:
    """A host with a single image, as far as `open_target` asks."""

    opened: str | None = None

    def find_image(self, reference: str) -> LocalImage | None:
        return LocalImage("sha256:1", reference, None, "arm64", 1) if reference == "dustynv/vllm:r36.4" else None

    def open_image(self, image: LocalImage) -> Reader:
        self.opened = image.reference
        return WheelFile(Path("unused"))


def opened(target: str, fetcher: Fetcher, host: OneImage | None = None) -> Reader:
    return open_target(target, download=False, host=cast(Host | None, host), fetcher=fetcher)


def test_a_file_is_a_wheel_whatever_it_is_called(tmp_path: Path, fetcher: Fetcher) -> None:
    path = saved(tmp_path, torch_wheel(PRESENT), "download.bin")
    assert isinstance(opened(str(path), fetcher), WheelFile)


@pytest.mark.parametrize("url", ["https://example.invalid/torch.whl", "HTTP://example.invalid/t"])
def test_a_url_is_a_remote_wheel(url: str, fetcher: Fetcher) -> None:
    assert isinstance(opened(url, fetcher), RemoteWheel)


def test_a_name_is_looked_up_among_the_images(fetcher: Fetcher) -> None:
    host = OneImage()
    opened("dustynv/vllm:r36.4", fetcher, host)
    assert host.opened == "dustynv/vllm:r36.4"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("torch-2.13.0.whl", "no such file"),
        ("/nowhere/wheel", "no such file"),
        ("./wheel", "no such file"),
        (".", "a folder"),
        ("dustynv/vllm:other", "neither a file nor an image in the engine"),
    ],
)
def test_what_is_none_of_them_is_named(target: str, message: str, fetcher: Fetcher) -> None:
    with pytest.raises(ConfigError, match=message):
        opened(target, fetcher, OneImage())


def test_without_an_engine_a_name_cannot_be_an_image(fetcher: Fetcher) -> None:
    with pytest.raises(ConfigError, match="no container engine is configured"):
        opened("dustynv/vllm:r36.4", fetcher)


@pytest.mark.parametrize("target", ["a\0b", "x" * 5000, "", "~nobody-of-this-name/x"])
def test_nonsense_is_no_crash(target: str, fetcher: Fetcher) -> None:
    with pytest.raises(ConfigError):
        opened(target, fetcher, OneImage())
