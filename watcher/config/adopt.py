"""From a service that runs to the engine's table that would bring up the same. Pure."""

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from watcher.config.compose import WITHHELD, is_below
from watcher.config.engines import EngineSettings
from watcher.model.survey import RunningService

_SHELLS = {"sh", "bash", "dash", "ash"}
_IN_A_SHELL = re.compile(r"[|&;<>`]|\$[({A-Za-z_]")
_OURS: dict[str, dict[str, int]] = {
    "vllm": {"--host": 1, "--port": 1, "--served-model-name": 1, "--model": 1, "--uvicorn-log-level": 1},
    "llama-cpp": {
        "--host": 1, "--port": 1, "-m": 1, "--model": 1, "-a": 1, "--alias": 1, "--jinja": 0, "--metrics": 0,
        "--no-mmap": 0, "--cache-ram": 1, "-cram": 1,
    },
    "tensorrt-llm": {"--host": 1, "--port": 1, "--model": 1},
    "tensorrt-edge-llm": {"--host": 1, "--port": 1, "--engine-dir": 1},
}  # fmt: skip
"""Options that a preset sets itself, with the number of their values."""
_OF_THE_MODEL = {"--model", "-m", "--engine-dir"}
_SECRET_OPTIONS = {"--api-key", "--api-key-file", "--hf-token", "-hft", "--ssl-keyfile", "--ssl-certfile"}
_FROM_THE_NET = {"-hf", "-hfr", "--hf-repo", "-mu", "--model-url", "-hff", "--hf-file"}
_POSITIONAL = {"vllm", "tensorrt-llm"}
_OUR_ENV = {"OLLAMA_HOST", "LLAMA_ARG_HOST", "LLAMA_ARG_PORT", "LLAMA_ARG_MODEL", "LLAMA_ARG_ALIAS", "VLLM_PORT"}
_MODULES = {"vllm": "vllm.entrypoints.", "tensorrt-edge-llm": "experimental.server"}
_OLLAMA_HOME = "/root/.ollama"
_DOCKER_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")


@dataclass(slots=True)
class Adopted:
    """What `[engines.ID]` and its profile get; None leaves the preset's.

    Attributes:
        mounts: as the configuration has them.
        unresolved: named volumes whose place is not known, each with its mount from `THAT-PATH`.
        withheld: names of variables that hold a secret.
        is_read: its command was understood, so that its arguments are known.
        has_tools: False where the engine was not told to make tool calls.
        remarks: what was not taken over, and why.
    """

    engine: EngineSettings
    service: RunningService
    images: tuple[str, ...] | None = None
    model: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    withheld: tuple[str, ...] = ()
    mounts: list[str] = field(default_factory=list)
    unresolved: list[tuple[str, str]] = field(default_factory=list)
    writable: tuple[str, ...] | None = None
    shm_bytes: int | None = None
    ulimits: dict[str, int] | None = None
    ipc: str | None = None
    is_read: bool = True
    has_tools: bool = True
    remarks: list[str] = field(default_factory=list)

    @property
    def repository(self) -> str:
        return repository_of(self.service.image or "")


def engine_of(service: RunningService, presets: Mapping[str, EngineSettings]) -> str | None:
    """Return the engine that a service runs: by its command, else by its image; None where neither tells."""
    words = _unwrapped([*(service.entrypoint or ()), *service.command]) or []
    for name, preset in presets.items():
        module = _MODULES.get(name)
        program = preset.entrypoint[0]
        if program != "python3" and any(_base(word) == program for word in words[:2]):
            return name
        if module and any(word.startswith(module) for word in words):
            return name
    repository = repository_of(service.image or "")
    by_name = (name for name, preset in presets.items() if repository in preset.images)
    return next(by_name, None) or _by_last_part(repository, presets)


def _by_last_part(repository: str, presets: Mapping[str, EngineSettings]) -> str | None:
    """Return the engine whose own images are called like this one: a build of one's own, or a mirror."""
    last = _plain(repository.rpartition("/")[2])
    for name, preset in presets.items():
        known = {_plain(name), *(_plain(image.rpartition("/")[2]) for image in preset.images)}
        if any(one in last for one in known):
            return name
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def repository_of(image: str) -> str:
    """Return the reference without its tag and digest."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def adopt(service: RunningService, engine: EngineSettings, missing: Collection[str] = ()) -> Adopted:
    """Return what the configuration needs so that a trial brings up the engine as this service does.

    Args:
        missing: sources of mounts that are not on the device.
    """
    found = Adopted(engine, service, withheld=service.withheld, remarks=list(service.remarks))
    if service.image and found.repository not in engine.images:
        found.images = (*engine.images, found.repository)
    _take_command(found)
    _take_env(found)
    _take_mounts(found, set(missing))
    if service.shm_bytes and service.shm_bytes != engine.shm_size:
        found.shm_bytes = service.shm_bytes
    if service.ulimits and dict(service.ulimits) != dict(engine.ulimits):
        found.ulimits = {**engine.ulimits, **service.ulimits}
    if service.ipc in ("host", "shareable", "none"):
        found.ipc = service.ipc
    elif service.ipc not in (None, "private"):
        found.remarks.append(f"ipc {service.ipc}: a trial cannot share another container's")
    return found


def _take_command(found: Adopted) -> None:
    words = _unwrapped([*(found.service.entrypoint or ()), *found.service.command])
    rest = None if words is None else _without_program(words, found.engine)
    if rest is None:
        started = words[0] if words else "a script of the shell"
        found.is_read = False
        found.remarks.append(
            f"its command, which starts with {started}: write the engine's own arguments into a profile"
        )
        return
    kept: list[str] = []
    if rest and not rest[0].startswith("-") and found.engine.id in _POSITIONAL:
        found.model = rest.pop(0)
    while rest:
        _take_option(found, rest, kept)
    found.args = tuple(kept)
    if found.engine.id == "vllm":
        found.has_tools = "--enable-auto-tool-choice" in kept
    if found.model == WITHHELD:
        found.model = None


def _take_option(found: Adopted, rest: list[str], kept: list[str]) -> None:
    """Move the first option of `rest` to `kept`, unless the preset or nobody may have it."""
    word = rest.pop(0)
    option, equals, value = word.partition("=")
    option = re.sub(r"(?<=[a-z])_(?=[a-z])", "-", option) if option.startswith("--") else option
    has_secret = word == WITHHELD or option in _SECRET_OPTIONS or (rest[:1] == [WITHHELD] and not equals)
    if has_secret or option in _FROM_THE_NET:
        if not equals and word != WITHHELD:
            _drop_values(rest, 1)
        told = f"{option} and what it says" if word != WITHHELD else "an argument"
        why = "a trial has no way out to fetch it" if option in _FROM_THE_NET else "a secret is not written down"
        found.remarks.append(f"{told}: {why}")
        return
    ours = _OURS.get(found.engine.id, {})
    if option not in ours:
        kept.append(word)
        return
    values = [value] if equals else rest[: ours[option]]
    if option in _OF_THE_MODEL and values:
        found.model = values[0]
    if not equals:
        _drop_values(rest, ours[option])
    if option == "--served-model-name" and not equals:
        while rest and not rest[0].startswith("-"):  # it may have several
            rest.pop(0)


def _drop_values(rest: list[str], count: int) -> None:
    del rest[:count]


def _unwrapped(words: Sequence[str]) -> list[str] | None:
    """Return the words without a shell and without what only starts them; None for a script of the shell."""
    words = list(words)
    while words and (_base(words[0]) in ("exec", "env", "tini", "dumb-init", "--") or _is_setting(words[0])):
        words.pop(0)
    if len(words) >= 3 and _base(words[0]) in _SHELLS and re.fullmatch(r"-[a-z]*c", words[1]):
        script = words[2].strip()
        if _IN_A_SHELL.search(script) or "\n" in script:
            return None
        return _unwrapped(shlex.split(script))
    is_script = words and (_base(words[0]) in _SHELLS or words[0].endswith(".sh"))
    return None if is_script else words


def _base(word: str) -> str:
    return PurePosixPath(word).name


def _is_setting(word: str) -> bool:
    return re.fullmatch(r"[A-Z_][A-Z0-9_]*=.*", word) is not None


def _without_program(words: list[str], engine: EngineSettings) -> list[str] | None:
    """Return the engine's arguments; a command without the program goes to the image's own entrypoint."""
    if not words or words[0].startswith("-") or words[0] == WITHHELD:
        return words
    module = _MODULES.get(engine.id)
    if module and re.fullmatch(r"python[0-9.]*", _base(words[0])):
        at = next((index for index, word in enumerate(words) if word.startswith(module)), None)
        return None if at is None else words[at + 1 :]
    program, *own = engine.entrypoint
    if _base(words[0]) == program:
        rest = words[1:]
        return rest[len(own) :] if rest[: len(own)] == own else rest
    if own and words[: len(own)] == own:  # `serve MODEL`, after an entrypoint `vllm`
        return words[len(own) :]
    return words if engine.id in _POSITIONAL and len(words) > 0 and not words[0].startswith("/app/") else None


def _take_env(found: Adopted) -> None:
    preset = found.engine.env
    for name, value in found.service.env.items():
        if name in _OUR_ENV:
            found.remarks.append(f"{name}: the preset sets where the engine listens and what it loads")
        elif preset.get(name) != value:
            found.env[name] = value


def _take_mounts(found: Adopted, missing: set[str]) -> None:
    targets: list[str] = []
    for mount in found.service.mounts:
        source = mount.source if mount.kind == "bind" else None
        if source in _DOCKER_SOCKETS or mount.target in _DOCKER_SOCKETS:
            found.remarks.append("the Docker socket is not mounted into a trial")
        elif source is None:
            source, target = _ollama_models(found, "THAT-PATH", mount.target)
            found.unresolved.append((mount.source, f"{source}:{target}"))
            targets.append(target)
        elif ":" in source + mount.target or source in missing:
            found.remarks.append(f"{source} is not on this device: not mounted at {mount.target}")
        else:
            source, target = _ollama_models(found, source, mount.target)
            found.mounts.append(f"{source}:{target}")
            targets.append(target)
    kept = tuple(path for path in found.engine.writable if path not in targets)
    more = tuple(path for path in found.service.tmpfs if path not in (*kept, *targets))
    if (*kept, *more) != found.engine.writable:
        found.writable = (*kept, *more)
    _say_where_the_model_is(found, targets)


def _ollama_models(found: Adopted, source: str, target: str) -> tuple[str, str]:
    """Ollama writes keys beside its models: a trial gets the models alone, where the preset reads them."""
    if found.engine.id == "ollama" and target == _OLLAMA_HOME and "OLLAMA_MODELS" not in found.env:
        return f"{source}/models", str(found.engine.env["OLLAMA_MODELS"])
    return source, target


def _say_where_the_model_is(found: Adopted, targets: Sequence[str]) -> None:
    model = found.model
    if model and model.startswith("/") and not any(is_below(model, target) for target in targets):
        found.remarks.append(
            f"no mount holds {PurePosixPath(model)}: where it lies in the image, that is as it should be"
        )
