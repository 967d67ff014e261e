"""Where the page may be served: loopback, or with a token."""

from pathlib import Path

import pytest
import tomli_w

from watcher.config.listen import is_loopback, parse_listen
from watcher.config.load import load_settings
from watcher.errors import ConfigError


def faults_of(folder: Path, page: dict[str, object], **environ: str) -> tuple[str, ...]:
    file = folder / "config.toml"
    file.write_text(tomli_w.dumps({"store": {"data_dir": "data"}, "sources": [], "page": page}))
    try:
        load_settings(file, environ)
    except ConfigError as error:
        return error.faults
    return ()


@pytest.mark.parametrize("listen", ["127.0.0.1:8787", "127.8.9.1:1", "[::1]:65535", "localhost:8787", "LOCALHOST:80"])
def test_on_loopback_no_token_is_needed(tmp_path: Path, listen: str) -> None:
    assert faults_of(tmp_path, {"serve": True, "listen": listen}) == ()


@pytest.mark.parametrize("listen", ["0.0.0.0:8787", "[::]:8787", "192.168.1.7:80", "jetson.lan:8787", "[fe80::1]:80"])
def test_every_other_address_needs_a_token(tmp_path: Path, listen: str) -> None:
    needed = f"page.token: is needed, for others can reach page.listen = {listen!r}"
    assert faults_of(tmp_path, {"listen": listen}) == (needed,)
    assert faults_of(tmp_path, {"listen": listen, "token": "s3cret"}) == ()
    assert faults_of(tmp_path, {"listen": listen}, WATCHER_PAGE__TOKEN="s3cret") == ()
    (tmp_path / "token").write_text("s3cret\n")
    assert faults_of(tmp_path, {"listen": listen, "token_file": "token"}) == ()
    for empty in ("", "  "):
        assert faults_of(tmp_path, {"listen": listen, "token": empty}) == ("page.token: is empty",)


@pytest.mark.parametrize("listen", ["", "8787", ":8787", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "::1:80", "a:b",
                                    "[127.0.0.1]:80", "[]:80", "127.0.0.1:８０"])  # fmt: skip
def test_what_is_no_address_is_said(tmp_path: Path, listen: str) -> None:
    (fault,) = faults_of(tmp_path, {"listen": listen})
    assert fault.startswith(f"page.listen: {listen!r} is not an address such as ")


def test_an_address_in_parts() -> None:
    assert parse_listen("[::1]:8787") == ("::1", 8787)
    assert not is_loopback("127.0.0.1.example")
