"""The device's time zone, from its own files: what a container sees of the device, too."""

from pathlib import Path

import pytest

from watcher.host.time_zone import device_zone


@pytest.mark.parametrize(
    ("link", "text", "zone"),
    [
        ("/usr/share/zoneinfo/Europe/Berlin", None, "Europe/Berlin"),
        ("../usr/share/zoneinfo/Asia/Kolkata", "Europe/Berlin\n", "Asia/Kolkata"),
        ("/usr/share/zoneinfo/Europe/Nowhere", "Etc/UTC\n", "Etc/UTC"),
        ("/usr/share/zoneinfo/Europe", None, None),
        ("/somewhere/else", "\n", None),
        (None, "Europe/Berlin\n", "Europe/Berlin"),
        (None, "../../etc/passwd\n", None),
        (None, "\udcff", None),
        (None, None, None),
    ],
)
def test_the_link_then_the_file_then_nothing(tmp_path: Path, link: str | None, text: str | None, zone: str) -> None:
    (tmp_path / "etc").mkdir()
    if link:
        (tmp_path / "etc/localtime").symlink_to(link)
    if text is not None:
        (tmp_path / "etc/timezone").write_text(text, errors="surrogateescape")
    assert device_zone(tmp_path) == zone


def test_a_copy_of_the_zone_has_no_name(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/localtime").write_bytes(b"TZif2")
    assert device_zone(tmp_path) is None
