"""Engine presets (`engines/<id>.toml`) and the overrides of `[engines.ID]`."""

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from watcher.config.values import Duration, Section, Size, Strings
from watcher.model.container import Mount

ENGINE_ID = r"^[a-z0-9][a-z0-9._-]{0,39}$"
_SETUP = {"entrypoint", "args", "env", "model", "mounts", "network", "shm_size", "ipc", "profiles"}
Allow = Literal["network", "writable-root", "host-ipc", "capabilities", "new-privileges"]


def _mounts_parse(mounts: tuple[str, ...]) -> tuple[str, ...]:
    for mount in mounts:
        parse_mount(mount)
    return mounts


Mounts = Annotated[tuple[str, ...], AfterValidator(_mounts_parse)]


class Profile(Section):
    """One set of engine arguments and environment.

    Attributes:
        model: another model than the engine's.
        tools: the model is asked for a tool call.
        by_hand: started only where a person names it.
        allow: what it needs beyond the isolation of every trial.
    """

    name: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    model: str | None = None
    tools: bool = True
    by_hand: bool = False
    allow: tuple[Allow, ...] = ()


def _some_need_no_name(profiles: tuple[Profile, ...]) -> tuple[Profile, ...]:
    if profiles and all(profile.by_hand for profile in profiles):
        raise ValueError("at least one profile must be without by_hand = true")
    return profiles


Profiles = Annotated[tuple[Profile, ...], AfterValidator(_some_need_no_name)]


class ImageRule(Section):
    """What a repository's tags need when the tag itself does not say it.

    Attributes:
        image: repository; `tag` a regular expression searched in the tag.
        l4t: specifier such as `>=39` or `>=36.4,<37`; `driver` likewise, on the driver's version.
        version: specifier on the tag's own version; a tag without one is not asked.
        reason: for people, where the rule was found.
    """

    image: str
    tag: str = ""
    l4t: str | None = None
    driver: str | None = None
    version: str | None = None
    reason: str


class EngineOverride(Section):
    """`[engines.ID]` of an engine that has a preset: None leaves the preset's value."""

    images: Strings | None = None
    model: str | None = None
    mounts: Mounts = ()
    env: Mapping[str, str] = {}
    args: tuple[str, ...] = ()
    network: Literal["none", "bridge"] | None = None
    shm_size: Size | None = None
    memory: Size | None = None
    ulimits: Mapping[str, int] | None = None
    ipc: str | None = None
    writable: Strings | None = None
    health_grace: Duration | None = None
    profiles: Profiles | None = None
    image_rules: tuple[ImageRule, ...] = ()


class EngineSettings(Section):
    """An engine as it is brought up: a preset with the operator's overrides laid over it, or the operator's own.

    Attributes:
        entrypoint: the server as main process; `{model}` and `{name}` are filled in here and in `args`.
        health_path: answers 200 once the engine is ready; until then nothing, or another status.
        api: how it is spoken to: OpenAI's routes, or Ollama's own.
        served_name: the model's name in requests; `{model}` where the engine has its own names for models.
        health_grace: how long an engine may stop answering after readiness before it counts as dead.
        multi_model: it can hold several models at once.
        experimental: little is known of it on a Jetson; said wherever its candidates and trials are shown.
        carries_torch: its images hold PyTorch, so there is something to read and to probe.
    """

    id: str = Field(pattern=ENGINE_ID)
    title: str
    images: Strings
    entrypoint: tuple[str, ...]
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    port: int
    health_path: str = "/health"
    api: Literal["openai", "ollama"] = "openai"
    served_name: str = "watcher-trial"
    model: str | None = None
    mounts: Mounts = ()
    network: Literal["none", "bridge"] = "none"
    shm_size: Size | None = None
    memory: Size | None = None
    ulimits: Mapping[str, int] = {}
    ipc: str | None = None
    writable: Strings = ("/tmp",)  # noqa: S108  a tmpfs inside the trial container
    health_grace: Duration = timedelta(seconds=10)
    stop_grace: Duration = timedelta(seconds=15)
    multi_model: bool = False
    experimental: bool = False
    carries_torch: bool = True
    profiles: Profiles = Field(min_length=1)
    image_rules: tuple[ImageRule, ...] = ()

    def overlaid(self, override: EngineOverride) -> "EngineSettings":
        """Return the preset with the operator's values.

        env is merged; args, mounts and image rules are appended; the rest replaces.
        """
        changes: dict[str, object] = {
            key: value
            for key, value in override.model_dump(exclude={"env", "args", "profiles", "mounts", "image_rules"}).items()
            if value is not None
        }
        if override.profiles:
            changes["profiles"] = override.profiles
        changes["env"] = {**self.env, **override.env}
        changes["args"] = (*self.args, *override.args)
        changes["mounts"] = (*self.mounts, *override.mounts)
        changes["image_rules"] = (*self.image_rules, *override.image_rules)
        return self.model_copy(update=changes)

    @property
    def shown_title(self) -> str:
        """Return the title as people read it in an answer."""
        return f"{self.title} (experimental)" if self.experimental else self.title

    @property
    def setup(self) -> str:
        """Return a short hash of what the operator sets about a bring-up: a change makes old content due again."""
        parts = self.model_dump(mode="json", include=_SETUP)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def planned_profiles(self) -> tuple[Profile, ...]:
        """Return the profiles that are tried unless one is named."""
        return tuple(profile for profile in self.profiles if not profile.by_hand)

    def with_model_of(self, profile: Profile) -> "EngineSettings":
        return self.model_copy(update={"model": profile.model}) if profile.model else self

    @property
    def asked_name(self) -> str:
        """Return the model's name in requests."""
        return self.served_name.replace("{model}", self.model or "")

    def parsed_mounts(self) -> tuple[Mount, ...]:
        return tuple(parse_mount(mount) for mount in self.mounts)


def parse_mount(text: str) -> Mount:
    """Return the mount of `DEVICE-PATH:CONTAINER-PATH[:rw|:ro]`. Raises ValueError with the expected form."""
    parts = text.split(":")
    if (
        len(parts) not in (2, 3)
        or not all(part.startswith("/") for part in parts[:2])
        or parts[2:] not in ([], ["rw"], ["ro"])
    ):
        raise ValueError(
            f'{text!r} is not "/on/the/device:/in/the/container", with ":rw" at the end where it may write'
        )
    return Mount(source=parts[0], target=parts[1], read_only=parts[2:] != ["rw"])
