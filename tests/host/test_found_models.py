"""Models on the device: what counts as one, and that the look has an end."""

from pathlib import Path

import pytest

from watcher.host import found_models
from watcher.host.found_models import find_models

HOME = Path("/home/me")


def put(root: Path, path: str, count: int = 10) -> None:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as opened:
        opened.truncate(count)


def shown(root: Path, *mounted: str) -> set[tuple[str, str, str]]:
    return {(model.kind, model.folder, model.name) for model in find_models(root, mounted, HOME)}


def test_a_model_is_a_folder_with_its_weights_a_gguf_file_or_a_full_snapshot(tmp_path: Path) -> None:
    put(tmp_path, "/home/me/models/llama/config.json")
    put(tmp_path, "/home/me/models/llama/model-1.safetensors", 700)
    put(tmp_path, "/home/me/models/llama/model-2.safetensors", 300)
    put(tmp_path, "/home/me/models/half/model.safetensors")
    put(tmp_path, "/data/models/deep/er/q4.gguf", 5)
    put(tmp_path, "/data/models/mmproj-q4.gguf")
    hub = "/home/me/.cache/huggingface/hub"
    put(tmp_path, f"{hub}/models--Qwen--Qwen3-4B/snapshots/0a/config.json")
    put(tmp_path, f"{hub}/models--Qwen--Begun/blobs/x.incomplete")
    assert shown(tmp_path) == {
        ("safetensors", "/home/me/models", "llama"),
        ("gguf", "/data/models", "deep/er/q4.gguf"),
        ("huggingface", "/home/me/.cache/huggingface", "Qwen/Qwen3-4B"),
    }
    (llama,) = (model for model in find_models(tmp_path, (), HOME) if model.name == "llama")
    assert llama.bytes == 1000


def test_a_folder_that_a_service_mounts_is_looked_at(tmp_path: Path) -> None:
    put(tmp_path, "/srv/zoe/one/config.json")
    put(tmp_path, "/srv/zoe/one/model.safetensors")
    assert shown(tmp_path, "/srv/zoe") == {("safetensors", "/srv/zoe", "one")}
    assert shown(tmp_path, "/srv/zoe/one") == {("safetensors", "/srv/zoe", "one")}, "mounted itself"
    assert shown(tmp_path) == set()


def test_links_are_not_followed_and_the_look_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "/models/a/b/c/d/e/too-deep.gguf")
    put(tmp_path, "/elsewhere/q4.gguf")
    (tmp_path / "models" / "again").symlink_to(tmp_path / "elsewhere")
    assert shown(tmp_path) == set(), "a mount of the folder would not hold what the link leads to"
    monkeypatch.setattr(found_models, "_MOST_ENTRIES", 50)
    for number in range(200):
        put(tmp_path, f"/models/{number:03}.gguf")
    assert len(shown(tmp_path)) <= 20
