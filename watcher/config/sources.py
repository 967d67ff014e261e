"""`[[sources]]`: one class per kind, told apart by `kind`."""

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AnyUrl, BeforeValidator, Field, HttpUrl, UrlConstraints, field_validator

from watcher.config.pip import PREFIX, project_page
from watcher.config.values import Duration, Patterns, Section, Strings

_THREAD = re.compile(r"[\w.-]+/[\w.-]+#[1-9]\d{0,9}", re.ASCII)


def _page(url: object) -> object:
    """Return the page that `pip:NAME` stands for; where pip cannot say it, that source alone fails, at its look."""
    try:
        return project_page(url.removeprefix(PREFIX)) if isinstance(url, str) and url.startswith(PREFIX) else url
    except LookupError:
        return url


PageUrl = Annotated[
    AnyUrl, UrlConstraints(max_length=2083, allowed_schemes=["http", "https", "pip"]), BeforeValidator(_page)
]


class SourceSection(Section):
    """Keys that every kind has. `moved_to` is for people: where publishing went when it stopped here."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    every: Duration | None = None
    enabled: bool = True
    timeout: Duration = timedelta(seconds=60)
    include: Patterns = ()
    exclude: Patterns = ()
    prereleases: bool = False
    allowed_hosts: Strings = ()
    moved_to: str | None = None


class SimpleIndexConfig(SourceSection):
    """A project page of a Python package index: PEP 503 HTML or PEP 691 JSON.

    `pip:NAME` is the project's page on the index that pip uses on this machine. A page of its own is the list at the
    root: of projects (`…/+simple/`), or of devpi's indexes (`https://host/`).
    """

    kind: Literal["simple-index"]
    url: PageUrl
    platforms: Strings = ("linux_aarch64", "manylinux*_aarch64")
    pythons: Strings = ()


class WheelListingConfig(SourceSection):
    """A plain directory page of a web server, with wheels of one project among its links."""

    kind: Literal["wheel-listing"]
    url: HttpUrl
    project: str


class GitHubReleasesConfig(SourceSection):
    """Releases of a GitHub repository: its feed first, the API when the feed moved."""

    kind: Literal["github-releases"]
    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    api_url: HttpUrl = HttpUrl("https://api.github.com")
    feed_url: HttpUrl | None = None
    image: str | None = None


class GitHubThreadsConfig(SourceSection):
    """The state of single issues and pull requests."""

    kind: Literal["github-threads"]
    threads: Strings = Field(min_length=1)
    api_url: HttpUrl = HttpUrl("https://api.github.com")

    @field_validator("threads")
    @classmethod
    def _are_threads(cls, threads: tuple[str, ...]) -> tuple[str, ...]:
        for thread in threads:
            if not _THREAD.fullmatch(thread):
                raise ValueError(f"{thread!r} is not a thread such as pytorch/pytorch#185240")
        return threads


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


class DockerHubConfig(SourceSection):
    """Tags of a repository on Docker Hub, with the dates and sizes that only its web interface tells."""

    kind: Literal["docker-hub"]
    repository: str = Field(pattern=r"^[a-z0-9._-]+/[a-z0-9._-]+$")
    hub_url: HttpUrl = HttpUrl("https://hub.docker.com")
    registry_url: HttpUrl | None = None
    architecture: str | None = None
    engine: str | None = None

    @property
    def image(self) -> str:
        """Return the repository as it is pulled."""
        return self.repository


class AptConfig(SourceSection):
    """Packages of an apt repository, through its Release and Packages files."""

    kind: Literal["apt"]
    urls: tuple[HttpUrl, ...] = Field(min_length=1)
    dists: Strings = Field(min_length=1)
    follow: bool = False
    component: str = "main"
    architecture: str = "arm64"
    packages: Strings = Field(min_length=1)


class FeedConfig(SourceSection):
    """An Atom or RSS feed: a forum, the commits of a branch. It shows only its newest items."""

    kind: Literal["feed"]
    url: HttpUrl
    match: str | None = None

    @field_validator("match")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
        return pattern


class DeviceConfig(SourceSection):
    """The device itself: its L4T and its driver, which change under an upgrade."""

    kind: Literal["device"]


WheelSource = SimpleIndexConfig | WheelListingConfig
"""What shows wheels."""
ImageSource = OciTagsConfig | DockerHubConfig
"""What shows tags of one image; each has `image`, `architecture` and `engine`."""

SourceConfig = Annotated[
    SimpleIndexConfig
    | WheelListingConfig
    | GitHubReleasesConfig
    | GitHubThreadsConfig
    | OciTagsConfig
    | DockerHubConfig
    | AptConfig
    | FeedConfig
    | DeviceConfig,
    Field(discriminator="kind"),
]
