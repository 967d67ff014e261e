"""Where an image's repository is: for programs, and for a person."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlencode

_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository in a registry: `base` is the registry's address, `path` as the registry knows it."""

    registry: str
    base: str
    path: str

    @classmethod
    def of(cls, image: str, registry_url: str | None = None) -> Self:
        """Return where `dustynv/vllm`, `ghcr.io/owner/name` or `localhost:5000/name` is."""
        registry, _, path = image.partition("/")
        if not ("." in registry or ":" in registry or registry == "localhost"):
            registry, path = "docker.io", image
        if registry in _HUB:
            registry, path = "docker.io", path if "/" in path else f"library/{path}"
        return cls(registry, (registry_url or _base(registry)).rstrip("/"), path)

    @property
    def api(self) -> str:
        return f"{self.base}/v2/{self.path}"

    @property
    def is_docker_hub(self) -> bool:
        return self.base == "https://registry-1.docker.io"

    def page(self, tag: str) -> str:
        """Return a page that a person can open: the registry's own answer where no site is known."""
        owner, _, name = self.path.rpartition("/")
        match self.registry:
            case "docker.io" if owner == "library":
                return f"https://hub.docker.com/_/{name}/tags?{urlencode({'name': tag})}"
            case "docker.io":
                return f"https://hub.docker.com/r/{self.path}/tags?{urlencode({'name': tag})}"
            case "ghcr.io":
                return f"https://github.com/orgs/{owner}/packages/container/package/{name.replace('/', '%2F')}"
            case "nvcr.io":
                return f"https://catalog.ngc.nvidia.com/orgs/{owner}/containers/{name}"
            case "quay.io":
                return f"https://quay.io/repository/{self.path}?tab=tags"
            case _:
                return f"{self.api}/tags/list"


def _base(registry: str) -> str:
    if registry == "docker.io":
        return "https://registry-1.docker.io"
    name = registry.partition(":")[0]
    return f"{'http' if name == 'localhost' or name.startswith('127.') else 'https'}://{registry}"
