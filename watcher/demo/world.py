"""The upstream world of the demo on one loopback address, and how it moves forward."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from types import TracebackType

from watcher.demo.registry import Layer, Registry, layer_of
from watcher.demo.torch_build import TorchBuild
from watcher.demo.upstreams import AptTree, Deb, GitHub, Release, WheelIndex
from watcher.demo.web import NOT_FOUND, Request, Response, WebServer

REPOSITORY = "nvidia-ai-iot/vllm"
PACKAGES = "usr/lib/python3/dist-packages"
_OLD, _BROKEN, _FIXED = (TorchBuild("2.10.0", True), TorchBuild("2.13.0", True), TorchBuild("2.14.0", False))
_TAG = "{}-r36.4-cu126-22.04"


@dataclass(frozen=True, slots=True)
class Step:
    """What happens upstream at one step; `known` are dated public facts that it follows."""

    title: str
    tag: str
    vllm: str
    torch: TorchBuild
    release: Release | None = None
    wheel: TorchBuild | None = None
    known: tuple[str, ...] = ()


START = Step("", _TAG.format("0.31.0"), "0.31.0", _BROKEN)
STEPS = (
    Step(
        "a new image tag appears, still with PyTorch 2.13.0",
        _TAG.format("0.32.0"),
        "0.32.0",
        _BROKEN,
    ),
    Step(
        "a PyTorch 2.14.0 wheel for JetPack 6, vLLM 0.33.0 and an image with both appear",
        _TAG.format("0.33.0"),
        "0.33.0",
        _FIXED,
        release=Release("v0.33.0", datetime(2026, 11, 2, 10, 13, tzinfo=UTC)),
        wheel=_FIXED,
        known=(
            "2026-09-02  PyTorch 2.14.0 is the first release without the assert",
            "2026-11-02  vLLM 0.33.0 is the first release that asks for it",
        ),
    ),
)


@dataclass(slots=True)
class World:
    """Use as a context manager. `base` are the layers below the engine: none where nothing is really run."""

    base: tuple[Layer, ...] = ()
    architectures: tuple[str, ...] = ("arm64", "amd64")
    registry: Registry = field(default_factory=Registry)
    index: WheelIndex = field(default_factory=WheelIndex)
    github: GitHub = field(default_factory=GitHub)
    apt: AptTree = field(default_factory=AptTree)
    server: WebServer = field(init=False)
    steps_done: int = 0

    def __post_init__(self) -> None:
        self.server = WebServer(self._answer)
        self.github.host = self.server.host
        self._publish(START)
        self.index.add(_OLD)
        self.github.releases.append(Release("v0.32.0", datetime(2026, 10, 18, 10, 4, tzinfo=UTC)))
        self.apt.packages = {
            ("common", "r36.4"): (Deb("nvidia-jetpack", "6.2+b77"), Deb("nvidia-jetpack", "6.2.1+b38")),
            ("t234", "r36.4"): (Deb("nvidia-l4t-core", "36.4.4-20250616085344"),),
        }

    def __enter__(self) -> "World":
        self.server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.__exit__(kind, error, trace)

    @property
    def image(self) -> str:
        """Return the repository as a puller names it."""
        return f"{self.server.host}/{REPOSITORY}"

    def advance(self) -> Step | None:
        """Publish what comes next and return it; None when the story is over."""
        if self.steps_done == len(STEPS):
            return None
        step = STEPS[self.steps_done]
        self.steps_done += 1
        self._publish(step)
        if step.wheel:
            self.index.add(step.wheel)
        if step.release:
            self.github.releases.append(step.release)
        return step

    def _publish(self, step: Step) -> None:
        env = (
            "PATH=/usr/local/bin:/usr/bin:/bin",
            f"WATCHER_DEMO_TORCH={step.torch.version}",
            f"WATCHER_DEMO_VLLM={step.vllm}",
            f"WATCHER_DEMO_BUG={'yes' if step.torch.has_bug else 'no'}",
        )
        layers = (*self.base, engine_layer(step.torch, step.vllm))
        self.registry.push(REPOSITORY, step.tag, layers, env, self.architectures)

    def _answer(self, request: Request) -> Response:
        if request.path.startswith("/v2/"):
            return self.registry.answer(request)
        if request.path.startswith(self.index.root):
            return self.index.answer(request)
        if request.path.startswith("/jetson/"):
            return self.apt.answer(request)
        if request.path.startswith(("/api/", f"/{self.github.repository}/")):
            return self.github.answer(request)
        return NOT_FOUND

    def sources(self) -> list[dict[str, object]]:
        """Return the `[[sources]]` that watch this world."""
        url = self.server.url
        return [
            {"name": "torch-jp6-cu126", "kind": "simple-index", "url": f"{url}{self.index.root}+simple/torch/"},
            {
                "name": "vllm-releases",
                "kind": "github-releases",
                "repo": self.github.repository,
                "api_url": f"{url}/api",
                "feed_url": f"{url}{self.github.feed_path}",
                "image": self.image,
            },
            {"name": "images", "kind": "oci-tags", "image": self.image, "registry_url": url, "engine": "vllm"},
            {
                "name": "l4t-r36",
                "kind": "apt",
                "urls": [f"{url}/jetson/common", f"{url}/jetson/t234"],
                "dists": ["r36.4"],
                "packages": ["nvidia-jetpack", "nvidia-l4t-core"],
            },
        ]


def engine_layer(torch: TorchBuild, vllm: str) -> Layer:
    """Return the layer of an engine image: the stub as `vllm`, and the files of its PyTorch."""
    files = {f"{PACKAGES}/{name}": content for name, content in torch.files().items()}
    files["usr/local/bin/vllm"] = resources.files("watcher.demo").joinpath("stub_engine.py").read_bytes()
    info = f"{PACKAGES}/vllm-{vllm}.dist-info/METADATA"
    files[info] = (
        f"Metadata-Version: 2.1\nName: vllm\nVersion: {vllm}\nRequires-Dist: torch=={torch.version}\n".encode()
    )
    return layer_of(files, executable=frozenset({"usr/local/bin/vllm"}))


def sources_toml(sources: list[dict[str, object]]) -> str:
    """Return them as TOML; a JSON string or list of strings is valid TOML too."""
    return "\n".join(
        "[[sources]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in source.items())
        for source in sources
    )
