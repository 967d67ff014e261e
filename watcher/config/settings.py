"""The settings as frozen values: one class per section of CONTRACT."""

import re
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from watcher.config.bugs import BugSettings
from watcher.config.engines import EngineSettings
from watcher.config.listen import is_loopback, parse_listen
from watcher.config.sources import SourceConfig
from watcher.config.values import Duration, Section, Size, Strings, Window, is_time_zone, parse_window
from watcher.model.suite import Suite

SERVICE_KINDS = ("container", "systemd-user", "systemd")


class StoreSection(Section):
    data_dir: Path


class DeviceSection(Section):
    """`docker` is `none` to watch only; `l4t` and `driver` override what is read, to watch from elsewhere."""

    name: str
    docker: str
    root: Path = Path("/")
    runtime: str = "nvidia"
    architecture: str = "arm64"
    l4t: str | None = Field(default=None, pattern=r"^\d+(\.\d+)*$")
    driver: str | None = None

    @field_validator("docker")
    @classmethod
    def _docker_is_reachable_by_url(cls, docker: str) -> str:
        if docker != "none" and not docker.startswith(("unix://", "tcp://", "http://", "https://")):
            raise ValueError(f'{docker!r} is neither "none" nor an address such as unix:///var/run/docker.sock')
        return docker

    @property
    def watch_only(self) -> bool:
        return self.docker == "none"


class ScheduleSection(Section):
    """`window` is None for `any`; `timezone` None for the machine's."""

    every: Duration = timedelta(hours=1)
    jitter: Duration = timedelta(minutes=2)
    window: Window = parse_window("02:00-06:00")
    timezone: str | None = None

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, zone: str | None) -> str | None:
        if zone is not None and not is_time_zone(zone):
            raise ValueError(f"{zone!r} is not a time zone such as Europe/Berlin")
        return zone

    @property
    def zone(self) -> tzinfo:
        """Return the configured time zone, else the machine's, with its clock changes."""
        from zoneinfo import ZoneInfo

        from tzlocal import get_localzone

        return ZoneInfo(self.timezone) if self.timezone else get_localzone()


_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:[A-Za-z0-9.-]+(?::\d{{1,5}})?/)?{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)


class BugSection(Section):
    """`control` is an image that is known to show the bug on this device."""

    id: str = "cuda-allocator"
    control: str | None = None

    @field_validator("control")
    @classmethod
    def _control_is_an_image(cls, control: str | None) -> str | None:
        if control is not None and not _REFERENCE.fullmatch(control):
            raise ValueError(f"{control!r} is not an image such as dustynv/vllm:0.8.6-r36.4 or REPOSITORY@sha256:…")
        return control


class Preflight(Section):
    """What a trial needs before it starts; None is not asked, and leaves heat to the device's own trip points."""

    min_memory: Size | None = None
    min_disk: Size | None = None
    max_celsius: float | None = None
    probe_memory: Size = 1_500_000_000


class Timeouts(Section):
    """One deadline per stage, all within `[trial] total`."""

    pull: Duration = timedelta(hours=1)
    inspect: Duration = timedelta(minutes=10)
    probe: Duration = timedelta(minutes=5)
    displace: Duration = timedelta(minutes=2)
    settle: Duration = timedelta(minutes=2)
    start: Duration = timedelta(minutes=2)
    ready: Duration = timedelta(minutes=15)
    accept: Duration = timedelta(minutes=10)
    teardown: Duration = timedelta(minutes=2)
    restore: Duration = timedelta(minutes=5)


class ServiceCommand(Section):
    """`[[trial.commands]]`: a service that is stopped, started and checked by commands of the operator."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    stop: str = Field(min_length=1)
    start: str = Field(min_length=1)
    check: str = Field(min_length=1)


class TrialSection(Section):
    """`auto` is None until it is derived: true once displaced services, model and window are named."""

    auto: bool | None = None
    engine: str = "vllm"
    displace: Strings | None = None
    commands: tuple[ServiceCommand, ...] = ()
    bring_up: Literal["always", "unless-present", "by-hand"] = "always"
    cool_down: Duration = timedelta(hours=6)
    total: Duration = timedelta(minutes=30)
    repeats: int = Field(default=1, ge=1)
    retries: int = Field(default=3, ge=0)
    keep_images: int = Field(default=2, ge=0)
    preflight: Preflight = Preflight()
    timeouts: Timeouts = Timeouts()

    @field_validator("displace")
    @classmethod
    def _services_are_named(cls, services: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for service in services or ():
            kind, _, name = service.partition(":")
            if kind not in SERVICE_KINDS or not name:
                raise ValueError(f"{service!r} must be container:NAME, systemd-user:UNIT or systemd:UNIT")
        return services

    @field_validator("commands")
    @classmethod
    def _commands_have_names_of_their_own(cls, commands: tuple[ServiceCommand, ...]) -> tuple[ServiceCommand, ...]:
        names = [command.name for command in commands]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the name {', '.join(twice)} is given twice")
        return commands

    def total_of(self, repeats: int) -> timedelta:
        """Return how long a trial may take from the stop of the service on, its soak not counted.

        Each repeat gets the whole of `total`: what is done once (stop, settle) has no time of its own to take off.
        """
        return self.total * repeats

    @property
    def services(self) -> tuple[str, ...]:
        """Return all that is displaced, in the order of starting again."""
        return (*(self.displace or ()), *(f"command:{command.name}" for command in self.commands))

    @property
    def services_named(self) -> bool:
        """Return whether the operator said what is displaced; an empty list says that nothing is."""
        return self.displace is not None or bool(self.commands)

    @property
    def command_words(self) -> dict[str, dict[str, str]]:
        """Return the operator's commands by the name of their service."""
        return {command.name: command.model_dump(exclude={"name"}) for command in self.commands}


class AcceptanceSection(Section):
    """`suite` is `builtin` or a file; `command` replaces it, and `score` says where in its output the figures stand."""

    level: Literal["minimum", "target", "stretch"] = "minimum"
    soak: Duration = timedelta(0)
    suite: str = "builtin"
    command: str | None = None
    score: str = r"(?P<passed>\d+)\s*/\s*(?P<total>\d+)"

    @field_validator("command")
    @classmethod
    def _command_has_words(cls, command: str | None) -> str | None:
        import shlex

        try:
            words = [] if command is None else shlex.split(command)
        except ValueError as error:
            raise ValueError(f"its words cannot be told apart: {str(error).lower()}") from None
        if command is not None and not words:
            raise ValueError("must name a program")
        return command

    @field_validator("score")
    @classmethod
    def _score_has_its_groups(cls, score: str) -> str:
        import re

        try:
            groups = re.compile(score).groupindex
        except re.error as error:
            raise ValueError(f"{score!r} is not a regular expression: {error}") from None
        if missing := [name for name in ("passed", "total") if name not in groups]:
            raise ValueError(f"{score!r} has no group {' and no group '.join(missing)}")
        return score


class NotifySection(Section):
    urls: tuple[SecretStr, ...] = ()
    on: tuple[Literal["verdict", "news", "trouble", "plan"], ...] = ("verdict", "news", "trouble", "plan")
    ping_url: SecretStr | None = None

    @field_validator("urls", "on", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """Take the environment's comma-separated form. An apprise address may hold commas: it is split at ", scheme://"."""
        if isinstance(value, str):
            import re

            return (
                tuple(part.strip() for part in re.split(r",\s*(?=[a-z0-9+.-]+://)|[\n]+", value) if part.strip())
                if "://" in value
                else tuple(part.strip() for part in value.split(",") if part.strip())
            )
        return value


class LogSection(Section):
    """How the service writes to stderr."""

    format: Literal["text", "json"] = "text"


class PageSection(Section):
    """`token` is what others than this machine need; None where only this machine can reach `listen`."""

    serve: bool = False
    listen: str = "127.0.0.1:8787"
    token: SecretStr | None = Field(default=None, validate_default=True)

    @field_validator("listen")
    @classmethod
    def _listen_is_an_address(cls, listen: str) -> str:
        parse_listen(listen)
        return listen

    @field_validator("token")
    @classmethod
    def _others_need_a_token(cls, token: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if token is not None and not token.get_secret_value().strip():
            raise ValueError("is empty")
        listen = info.data.get("listen")
        if token is None and listen is not None and not is_loopback(parse_listen(listen)[0]):
            raise ValueError(f"is needed, for others can reach page.listen = {listen!r}")
        return token


class GitHubSection(Section):
    token: SecretStr | None = None


class Settings(Section):
    """Everything that the program was told, with presets and the bug already read.

    Attributes:
        origin: the file it came from; None for built-in defaults (watch only).
        window_named: the operator wrote the window, which automatic trials need.
        suite: the phrases that `acceptance.suite` names.
    """

    store: StoreSection
    device: DeviceSection
    schedule: ScheduleSection = ScheduleSection()
    bug_section: BugSection = BugSection()
    trial: TrialSection = TrialSection()
    acceptance: AcceptanceSection = AcceptanceSection()
    notify: NotifySection = NotifySection()
    log: LogSection = LogSection()
    page: PageSection = PageSection()
    github: GitHubSection = GitHubSection()
    sources: tuple[SourceConfig, ...] = ()
    engines: dict[str, EngineSettings]
    bug: BugSettings
    suite: Suite = Suite()
    origin: Path | None = None
    window_named: bool = False

    @property
    def engine(self) -> EngineSettings:
        """Return the engine that automatic trials bring up."""
        return self.engines[self.trial.engine]

    @property
    def engine_titles(self) -> dict[str, str]:
        """Return how people call the engines, by their ids."""
        return {engine.id: engine.title for engine in self.engines.values()}

    @property
    def experimental(self) -> frozenset[str]:
        """Return the ids of the engines of which little is known."""
        return frozenset(engine.id for engine in self.engines.values() if engine.experimental)

    @property
    def auto_missing(self) -> tuple[str, ...]:
        """Return what keeps automatic trials off, as keys for a person; empty when they are on."""
        if self.device.watch_only:
            return ("device.docker",)
        if self.trial.auto is False:
            return ("trial.auto = true",)
        missing = []
        if not self.trial.services_named:
            missing.append("trial.displace")
        if self.engine.model is None:
            missing.append(f"engines.{self.trial.engine}.model")
        if not self.window_named:
            missing.append("schedule.window")
        return tuple(missing)
