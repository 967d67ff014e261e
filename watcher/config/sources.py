"""`[[sources]]`: one class per kind, told apart by `kind`."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, HttpUrl, field_validator

from watcher.config.values import Duration, Patterns, Section, Strings


class SourceSection(Section):
    """Keys that every kind has."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    every: Duration | None = None
    enabled: bool = True
    timeout: Duration = timedelta(seconds=60)
    include: Patterns = ()
    exclude: Patterns = ()
    prereleases: bool = False
    allowed_hosts: Strings = ()


class SimpleIndexConfig(SourceSection):
    """A project page of a Python package index: PEP 503 HTML or PEP 691 JSON."""

    kind: Literal["simple-index"]
    url: HttpUrl
    platforms: Strings = ("linux_aarch64", "manylinux*_aarch64")
    pythons: Strings = ()


class GitHubReleasesConfig(SourceSection):
    """Releases of a GitHub repository: its feed first, the API when the feed moved."""

    kind: Literal["github-releases"]
    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    api_url: HttpUrl = HttpUrl("https://api.github.com")
    feed_url: HttpUrl | None = None
    image: str | None = None


class OciTagsConfig(SourceSection):
    """Tags of an image in a registry, with the digest for one architecture."""

    kind: Literal["oci-tags"]
    image: str
    registry_url: HttpUrl | None = None
    architecture: str | None = None
    engine: str | None = None

    @field_validator("image")
    @classmethod
    def _has_no_tag(cls, image: str) -> str:
        if "://" in image or "@" in image or ":" in image.rsplit("/", 1)[-1] or "/" not in image:
            raise ValueError(
                f"{image!r} must be a repository without scheme, tag or digest, such as ghcr.io/owner/name"
            )
        return image


class AptConfig(SourceSection):
    """Packages of an apt repository, through its Release and Packages files."""

    kind: Literal["apt"]
    urls: tuple[HttpUrl, ...] = Field(min_length=1)
    dists: Strings = Field(min_length=1)
    follow: bool = False
    component: str = "main"
    architecture: str = "arm64"
    packages: Strings = Field(min_length=1)


SourceConfig = Annotated[
    SimpleIndexConfig | GitHubReleasesConfig | OciTagsConfig | AptConfig,
    Field(discriminator="kind"),
]
