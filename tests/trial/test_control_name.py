"""`[bug] control` must be an image that an engine could know."""

from pathlib import Path

import pytest

from watcher.config.load import load_settings
from watcher.errors import ConfigError

DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    "control",
    [
        "dustynv/vllm:0.8.6-r36.4-cu128-24.04",
        "ghcr.io/nvidia-ai-iot/vllm:r36.4-tegra-aarch64-cu126-22.04",
        "localhost:5000/vllm",
        f"vllm/vllm-openai@{DIGEST}",
        f"10.0.0.1:5000/a/b__c:1@{DIGEST}",
    ],
)
def test_an_image_is_taken(tmp_path: Path, control: str) -> None:
    (tmp_path / "config.toml").write_text(f'[bug]\ncontrol = "{control}"\n')
    assert load_settings(tmp_path / "config.toml", {}).bug_section.control == control


@pytest.mark.parametrize(
    "control",
    ["", "Vllm:1", "vllm:", "vllm: 1", "a//b", "/vllm", "vllm@sha256:12", "https://ghcr.io/x/vllm", "-v", "vllm:1;ls",
     "vllm\\n", "vllm:" + "x" * 129],
)  # fmt: skip
def test_anything_else_is_refused_with_its_place(tmp_path: Path, control: str) -> None:
    (tmp_path / "config.toml").write_text(f'[bug]\ncontrol = "{control}"\n')
    with pytest.raises(ConfigError) as refused:
        load_settings(tmp_path / "config.toml", {})
    (fault,) = refused.value.faults
    assert fault.startswith("bug.control: ")
    assert "is not an image such as" in fault
