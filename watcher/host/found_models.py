"""Models that lie on the device: a look into the usual folders, bounded in depth, in entries and in what it tells."""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from watcher.model.survey import FoundModel

_USUAL = ("/models", "/data/models", "/opt/models", "/srv/models")
_BELOW_HOME = ("models", ".cache/llama.cpp", "llm", "llms")
_HUB = ".cache/huggingface/hub"
_DEEPEST = 3
_MOST_ENTRIES = 4000
_MOST_MODELS = 20
_NO_MODEL = ("mmproj", "vocab")
"""Parts of the names of files that go with a model and are none."""


def find_models(root: Path, mounted: Iterable[str], home: Path) -> tuple[FoundModel, ...]:
    """Return the models below the folders that services mount, and in the usual places.

    Args:
        root: below which the device's files are seen; `mounted` and `home` are the device's own paths.
    """
    folders = [*mounted, *(str(home / name) for name in _BELOW_HOME), *_USUAL]
    budget = [_MOST_ENTRIES]
    found: dict[tuple[str, str], FoundModel] = {}
    for hub in _hubs(folders, home):
        found |= {(one.folder, one.name): one for one in _cached(root, hub)}
    for folder in dict.fromkeys(folders):
        top = root / folder.lstrip("/")
        found |= {(one.folder, one.name): one for one in _below(top, folder, "", budget)}
    return tuple(islice(sorted(found.values(), key=lambda one: (one.kind, one.folder, one.name)), _MOST_MODELS))


def _hubs(folders: Iterable[str], home: Path) -> Iterator[str]:
    """Yield the folders that may be a cache of Hugging Face."""
    yield str(home / _HUB)
    for folder in folders:
        if "huggingface" in folder:
            yield folder if folder.endswith("/hub") else f"{folder}/hub"


def _cached(root: Path, hub: str) -> Iterator[FoundModel]:
    """Yield what a cache of Hugging Face holds in full: a snapshot with its config.json."""
    top = root / hub.lstrip("/")
    for entry in islice(_entries(top), _MOST_ENTRIES):
        if entry.name.startswith("models--") and any(islice((top / entry.name).glob("snapshots/*/config.json"), 1)):
            yield FoundModel(
                "huggingface", str(Path(hub).parent), entry.name.removeprefix("models--").replace("--", "/")
            )


def _below(folder: Path, shown: str, inside: str, budget: list[int]) -> Iterator[FoundModel]:
    """Yield models in a folder; `inside` is its path below the one that is told as theirs."""
    weights, has_config, deeper = 0, False, []
    for entry in _entries(folder):
        budget[0] -= 1
        if budget[0] < 0:
            return
        path = f"{inside}/{entry.name}".lstrip("/")
        if _is_folder(entry):
            deeper.append((entry.name, path))
        elif entry.name.endswith(".gguf") and not any(part in entry.name.lower() for part in _NO_MODEL):
            yield FoundModel("gguf", shown, path, _bytes(entry))
        elif entry.name.endswith(".safetensors"):
            weights += _bytes(entry)
        elif entry.name == "config.json":
            has_config = True
    if weights and has_config:
        place = (shown, inside) if inside else (str(Path(shown).parent), Path(shown).name)
        yield FoundModel("safetensors", *place, weights)
    elif inside.count("/") + bool(inside) < _DEEPEST:
        for name, path in deeper:
            yield from _below(folder / name, shown, path, budget)


def _entries(folder: Path) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as found:
            yield from sorted(islice(found, _MOST_ENTRIES), key=lambda entry: entry.name)
    except OSError:
        return


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
    except OSError:
        return False


def _bytes(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat().st_size
    except OSError:
        return 0
