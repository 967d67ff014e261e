"""The example of docs/bugs.md is a bug that works: its bytes are found, and its probe answers inside a candidate."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.main_loop.one_trial import IMAGE
from tests.places import CHECKOUT
from tests.real.docker import PrivateDaemon
from tests.real.scene import Scene, scene_with
from tests.real.stub_engine import stub_image
from watcher.config.bugs import BugSettings, StaticRule

PAGE = (CHECKOUT / "docs" / "bugs.md").read_text(encoding="utf-8")
_HERE = "/usr/lib/python3/dist-packages/torch"
_TORCH = """
__version__ = "2.9.0"
class cuda:
    get_device_capability = staticmethod(lambda: {capability})
    get_arch_list = staticmethod(lambda: "{built_for}".split())
"""


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def scene_of(engine: PrivateDaemon, folder: Path, built_for: str, capability: tuple[int, int] = (8, 7)) -> Scene:
    """Return a scene with the bug of the page, and a candidate whose torch was built for `built_for`."""
    bug = folder / "no-sm87"
    bug.mkdir()
    (bug / "bug.toml").write_text(block("toml"))
    (bug / "probe.py").write_text(block("python"))
    files = {
        f"{_HERE}/__init__.py": (_TORCH.format(capability=capability, built_for=built_for).encode(), 0o644),
        f"{_HERE}/lib/libtorch_cuda.so": (f"\0{built_for}\0".encode(), 0o644),
    }
    stub_image(engine.client(), IMAGE, "healthy", files)
    scene = scene_with(engine, folder, ["local/vllm"], [], bug={"id": "no-sm87"})
    scene.table["trial"]["displace"] = []
    return scene


def rungs(trial: dict[str, Any]) -> set[str]:
    return {row["rung"] for row in trial["evidence"]}


@pytest.mark.parametrize(("built_for", "state"), [("sm_80 sm_90", "present"), ("sm_80 sm_87 sm_90", "fixed")])
def test_bytes_and_probe_of_the_example_agree(
    clean_engine: PrivateDaemon, tmp_path: Path, built_for: str, state: str
) -> None:
    scene = scene_of(clean_engine, tmp_path, built_for)
    checked = scene.watcher("config", "check")
    assert checked.returncode == 0, checked.stderr
    assert scene.answer("inspect", IMAGE)["bug"] == {"id": "no-sm87", "state": state}
    trial = scene.answer("trial", "run", IMAGE)["trial"]
    assert trial["bug"] == {"id": "no-sm87", "state": state}
    assert {"static", "probe"} <= rungs(trial)


def test_where_the_trap_is_not_set_the_probe_says_nothing(clean_engine: PrivateDaemon, tmp_path: Path) -> None:
    scene = scene_of(clean_engine, tmp_path, "sm_75", capability=(9, 0))
    trial = scene.answer("trial", "run", IMAGE)["trial"]
    assert trial["bug"]["state"] == "unknown"


def test_every_key_of_a_bug_is_on_the_page() -> None:
    keys = {*BugSettings.model_fields, *StaticRule.model_fields} - {"probe", "folder"}
    assert sorted(keys - set(re.findall(r"`([a-z_]+)`", PAGE))) == []


def test_every_file_of_a_bug_is_on_the_page() -> None:
    files = {file.name for file in (CHECKOUT / "watcher" / "bugs" / "cuda-allocator").iterdir() if file.is_file()}
    assert all(f"`{name}`" in PAGE for name in files)
