"""The upstream world of the demo on one loopback address, and how a day changes it."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources
from types import TracebackType
from typing import assert_never

from watcher.demo.apt import AptTree, Deb
from watcher.demo.github import COMMITS, RELEASES, Commit, GitHub, Release, Thread
from watcher.demo.hub import Hub, HubTag
from watcher.demo.registry import Layer, Registry, layer_of
from watcher.demo.torch_build import TorchBuild
from watcher.demo.web import NOT_FOUND, Request, Response, WebServer
from watcher.demo.wheel_index import WheelIndex, torch_wheel, vllm_wheel
from watcher.demo.year import (
    JP6,
    NVIDIA,
    OFFICIAL,
    PYTHON,
    SBSA,
    START,
    UPSTREAM,
    Change,
    Day,
    Image,
    L4t,
    Torch,
    Vllm,
    day,
)

PACKAGES = "usr/lib/python3/dist-packages"
HUB_REPOSITORY = "dustynv/vllm"
_HUB_TAGS = (("0.8.6-r36.4-cu128-24.04", "2025-05-06"), ("0.8.5-r36.4.0-cu128-24.04", "2025-04-22"))
"""Names and days of pushes in a public listing; the content is made up."""
_SOC_OF_DIST = {"r36.4": "t234", "r36.5": "t234", "r39.2": "som"}


@dataclass(slots=True)
class World:
    """Use as a context manager. `base` are the layers below the engine: none where nothing is really run."""

    base: tuple[Layer, ...] = ()
    architectures: tuple[str, ...] = ("arm64", "amd64")
    registry: Registry = field(default_factory=Registry)
    github: GitHub = field(default_factory=GitHub)
    apt: AptTree = field(default_factory=AptTree)
    hub: Hub = field(default_factory=Hub)
    indexes: dict[str, WheelIndex] = field(
        default_factory=lambda: {
            name: WheelIndex(f"/{name}/", is_devpi=name in (JP6, SBSA)) for name in (JP6, SBSA, OFFICIAL, PYTHON)
        }
    )
    server: WebServer = field(init=False)

    def __post_init__(self) -> None:
        self.server = WebServer(self._answer)
        self.github.host = self.server.host
        digests = {name: f"sha256:{hashlib.sha256(name.encode()).hexdigest()}" for name, _ in _HUB_TAGS}
        self.hub.tags[HUB_REPOSITORY] = [HubTag(name, digests[name], day(pushed)) for name, pushed in _HUB_TAGS]
        self.live(START)

    def __enter__(self) -> "World":
        self.server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.__exit__(kind, error, trace)

    def image(self, repository: str) -> str:
        """Return a repository as a puller names it."""
        return f"{self.server.host}/{repository}"

    def live(self, today: Day) -> None:
        """Publish what a day brings."""
        for change in today.changes:
            self._happen(change, today.date)

    def _happen(self, change: Change, when: datetime) -> None:
        match change:
            case Torch(index, build):
                self.indexes[index].add(torch_wheel(build, when))
            case Vllm(version, torch):
                self.github.releases.append(Release(f"v{version}", when))
                if torch is not None:
                    self.indexes[PYTHON].add(vllm_wheel(version, torch, when))
            case Image():
                self._push(change)
            case L4t(dist, core, jetpack):
                self._publish(_SOC_OF_DIST[dist], dist, Deb("nvidia-l4t-core", core))
                if jetpack is not None:
                    self._publish("common", dist, Deb("nvidia-jetpack", jetpack))
            case Thread():
                self.github.put(change)
            case Commit():
                self.github.commits.append(change)
            case _:
                assert_never(change)

    def _publish(self, repository: str, dist: str, deb: Deb) -> None:
        place = (repository, dist)
        self.apt.packages[place] = (*self.apt.packages.get(place, ()), deb)

    def _push(self, image: Image) -> None:
        env = (
            "PATH=/usr/local/bin:/usr/bin:/bin",
            f"WATCHER_DEMO_TORCH={image.torch.version}",
            f"WATCHER_DEMO_VLLM={image.vllm}",
            f"WATCHER_DEMO_BUG={'yes' if image.torch.has_bug else 'no'}",
        )
        layers = (*self.base, engine_layer(image.torch, image.vllm))
        for tag in image.tags:
            self.registry.push(image.repository, tag, layers, env, self.architectures)

    def _answer(self, request: Request) -> Response:
        if request.path.startswith("/v2/"):
            return self.registry.answer(request)
        if request.path.startswith("/hub/"):
            return self.hub.answer(request)
        if request.path.startswith("/jetson/"):
            return self.apt.answer(request)
        for index in self.indexes.values():
            if request.path.startswith(index.root):
                return index.answer(request)
        if request.path.startswith(("/api/", f"/{RELEASES}/", f"/{COMMITS}/")):
            return self.github.answer(request)
        return NOT_FOUND

    def sources(self) -> list[dict[str, object]]:
        """Return the `[[sources]]` that watch this world, named as those of the default configuration.

        A thread is watched from the day on which it was opened: what a person adds is no news, what becomes of it is.
        """
        url = self.server.url
        return [
            self._page("torch-jp6-cu126", JP6),
            self._page("torch-sbsa-cu130", SBSA),
            self._page("torch-official-cu130", OFFICIAL),
            self._page("torch-pip", PYTHON),
            self._page("vllm-pip", PYTHON, "vllm"),
            {
                "name": "vllm-releases",
                "kind": "github-releases",
                "repo": RELEASES,
                "api_url": f"{url}/api",
                "feed_url": f"{url}{self.github.feed_path}",
                "image": self.image(UPSTREAM),
            },
            self._tags("images-nvidia-ai-iot", NVIDIA),
            self._tags("images-vllm-openai", UPSTREAM),
            {
                "name": "images-dustynv",
                "kind": "docker-hub",
                "repository": HUB_REPOSITORY,
                "hub_url": f"{url}/hub",
                "moved_to": "ghcr.io/nvidia-ai-iot/vllm",
            },
            {
                "name": "commits-jetson-containers",
                "kind": "feed",
                "url": f"{url}{self.github.commits_path}",
                "match": "(?i)vllm|torch",
            },
            {
                "name": "threads",
                "kind": "github-threads",
                "threads": [f"{one.repository}#{one.number}" for one in self.github.threads.values()],
                "api_url": f"{url}/api",
            },
            self._packages("l4t-r36", ("common", "t234"), ("r36.4",)),
            {"name": "device", "kind": "device"},
        ]

    def _page(self, name: str, index: str, project: str = "torch") -> dict[str, object]:
        url = f"{self.server.url}{self.indexes[index].page(project)}"
        return {"name": name, "kind": "simple-index", "url": url}

    def _tags(self, name: str, repository: str) -> dict[str, object]:
        table: dict[str, object] = {"name": name, "kind": "oci-tags", "image": self.image(repository)}
        return table | {"registry_url": self.server.url, "engine": "vllm"}

    def _packages(self, name: str, repositories: tuple[str, ...], dists: tuple[str, ...]) -> dict[str, object]:
        urls = [f"{self.server.url}/jetson/{repository}" for repository in repositories]
        packages = ["nvidia-jetpack", "nvidia-l4t-core"]
        return {"name": name, "kind": "apt", "urls": urls, "dists": dists, "packages": packages, "follow": True}


def engine_layer(torch: TorchBuild, vllm: str) -> Layer:
    """Return the layer of an engine image: the stub as `vllm`, and the files of its PyTorch."""
    files = {f"{PACKAGES}/{name}": content for name, content in torch.files().items()}
    files["usr/local/suites/builtin.json"] = resources.files("watcher").joinpath("suites/builtin.json").read_bytes()
    files["usr/local/bin/vllm"] = resources.files("watcher.demo").joinpath("stub_engine.py").read_bytes()
    info = f"{PACKAGES}/vllm-{vllm}.dist-info/METADATA"
    files[info] = (
        f"Metadata-Version: 2.1\nName: vllm\nVersion: {vllm}\nRequires-Dist: torch=={torch.version}\n".encode()
    )
    return layer_of(files, executable=frozenset({"usr/local/bin/vllm"}))


def sources_toml(sources: list[dict[str, object]]) -> str:
    """Return them as TOML; a JSON string, list or boolean is valid TOML too."""
    return "\n".join(
        "[[sources]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in source.items())
        for source in sources
    )
