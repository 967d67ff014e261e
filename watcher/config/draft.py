"""The text of a first config.toml: what was found stands in it, what was not is a comment that says how. Pure."""

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from watcher.config.adopt import Adopted, repository_of
from watcher.config.first_plan import FirstPlan
from watcher.config.toml_lines import line, off, quoted_key, remark, size
from watcher.model.survey import FoundModel, RunningService, Survey

_HUGGING_FACE = "/root/.cache/huggingface"
_WATCHED = "# What is watched."
"""Begins the last part of the shipped configuration: its sources with their reasons."""
_SEVERAL_SOURCES = 5


def draft(survey: Survey, plan: FirstPlan, shipped: str, root: Path = Path("/")) -> str:
    """Return the file's text.

    Args:
        shipped: text of the shipped configuration, which has the default sources.
        root: below which the device's files are seen, where the file has to say so.
    """
    parts = [
        _head(survey),
        _device(survey, root),
        _schedule(survey),
        _trial(plan),
        *(_engine(adopted, plan) for adopted in plan.adopted.values()),
        *([_engine_without_service(plan)] if plan.engine.id not in plan.adopted else []),
        _images(survey, plan),
        _notify(),
        _sources(plan, shipped),
    ]
    return "\n\n".join(text for part in parts if (text := "\n".join(part))) + "\n"


def _head(survey: Survey) -> Iterator[str]:
    yield from remark("Written by `watcher config init` for this device. `watcher config check` names every fault.")
    yield from remark(
        "What stands behind a # is not in force: a default, or something that only you can decide. All keys: "
        "docs/configuration.md."
    )
    for trouble in survey.troubles:
        yield from remark(f"Not looked at: {trouble}.")


def _device(survey: Survey, root: Path) -> Iterator[str]:
    device = survey.device
    yield "[device]"
    memory = f"{device.memory_total / 2**30:.1f} GiB of memory" if device.memory_total else None
    label = f" (JetPack {device.jetpack})" if device.jetpack else ""
    l4t = f"L4T {device.state.l4t}{label}" if device.state.l4t else None
    told = [part for part in (device.model, l4t, device.architecture, memory) if part]
    yield from remark(f"Found: {', '.join(told)}.")
    yield line("name", device.name)
    if root != Path("/"):
        yield line("root", str(root))
    if survey.docker:
        yield line("docker", survey.docker)
    else:
        yield from remark("No Docker engine answered. `docker version` says why; without one the watcher only watches.")
        yield off("docker", "unix:///var/run/docker.sock")
    yield from _runtime(survey)
    if device.architecture != "arm64":
        yield line("architecture", device.architecture)
    if device.state.l4t is None:
        yield from remark(
            "The L4T was not found, so this is no Jetson. `head -1 /etc/nv_tegra_release` on the Jetson says it; write "
            "it to watch for that one from here."
        )
        yield off("l4t", "36.4.4")


def _runtime(survey: Survey) -> Iterator[str]:
    if "nvidia" in survey.device.runtimes:
        yield line("runtime", "nvidia")
    elif survey.device.state.l4t is not None or not survey.docker:
        yield from remark(
            "Docker does not have the NVIDIA runtime: `sudo apt-get install nvidia-container-toolkit`, then "
            "`sudo nvidia-ctk runtime configure --runtime=docker` and `sudo systemctl restart docker`."
            if survey.docker
            else "`docker info --format '{{.Runtimes}}'` must name nvidia."
        )
        yield off("runtime", "nvidia")
    else:
        yield from remark("No NVIDIA runtime and no Jetson: trials run without a GPU.")
        yield line("runtime", "runc")


def _schedule(survey: Survey) -> Iterator[str]:
    yield "[schedule]"
    yield from remark(
        'When trials may put the service aside by themselves; "any" for always. Nothing is tried by itself until you '
        "remove the # here."
    )
    yield off("window", "02:00-06:00")
    if survey.time_zone:
        yield line("timezone", survey.time_zone)
    else:
        yield from remark("Whose hours these are; `timedatectl` says yours. As it stands, the watcher's own.")
        yield off("timezone", "Europe/Berlin")


def _trial(plan: FirstPlan) -> Iterator[str]:
    yield "[trial]"
    yield line("engine", plan.engine.id)
    if not plan.engine.carries_torch:
        yield from remark(
            f"The bug is in PyTorch, and {plan.engine.title} has none: trials say whether it works, not whether the "
            'bug is gone. To wait for vLLM, write engine = "vllm" and name its model under [engines.vllm].'
        )
    yield from remark("What is stopped for the bring-up and started again after it, whatever happens.")
    if plan.displaced:
        yield from _told(plan.displaced)
        yield line("displace", [service.service for service in plan.displaced])
    else:
        yield from remark(
            "No service of a known engine that may be stopped runs. Name yours as `docker ps` or `systemctl` calls "
            "it; an empty list says that nothing has to stop."
        )
        yield off("displace", ["container:NAME"])
    for service in plan.aside:
        why = f"must not be stopped: {service.refusal}" if service.refusal else "add it if it needs the GPU's memory"
        yield from remark(f"Also seen: {service.service} ({_described(service)}); {why}.")


def _told(services: Iterable[RunningService]) -> Iterator[str]:
    for service in services:
        if not service.runs:
            yield from remark(
                f"{service.service} does not run now; once it does, `docker ps --format '{{{{.Names}}}}'` must show "
                "that name."
            )


def _described(service: RunningService) -> str:
    what = service.image or " ".join(service.command[:1]) or service.origin
    return f"{what}, port {', '.join(map(str, service.ports))}" if service.ports else what


def _engine(adopted: Adopted, plan: FirstPlan) -> Iterator[str]:
    key = quoted_key(adopted.engine.id)
    yield f"[engines.{key}]"
    yield from remark(f"Taken over from {adopted.service.origin} ({adopted.service.image}).")
    for told in adopted.remarks:
        yield from remark(f"Not taken over: {told}.")
    if adopted.images is not None:
        yield from remark("Only images of these repositories are run: the preset's, and the service's own.")
        yield line("images", adopted.images)
    yield from _model(adopted, plan)
    if adopted.mounts:
        yield from remark("On the device : in the container, read-only in a trial.")
        yield line("mounts", adopted.mounts)
    for volume, mount in adopted.unresolved:
        yield from remark(
            f"`docker volume inspect --format '{{{{.Mountpoint}}}}' {volume}` says where that volume is, once it "
            f'is there; add "{mount}" to mounts.'
        )
    yield from _container(adopted)
    if adopted.env or adopted.withheld:
        yield ""
        yield f"[engines.{key}.env]"
        for name, value in adopted.env.items():
            yield line(name, value)
        for name in adopted.withheld:
            yield from remark(
                f"{name} holds a secret and is not written down. A trial is offline and should not need it."
            )
    if adopted.is_read and (adopted.args or adopted.engine.id != "ollama"):  # Ollama's settings are its environment
        yield ""
        yield from _profile(adopted, key)


def _model(adopted: Adopted, plan: FirstPlan) -> Iterator[str]:
    if adopted.model:
        yield line("model", adopted.model)
    elif adopted.engine.id == "ollama":
        yield from remark("A model has the name that `ollama list` shows; write the one to try.")
        yield off("model", "llama3.2:3b")
    else:
        yield from remark("Which model it loads is not in its command. Its path in the container, or its name:")
        yield off("model", "/models/NAME")
        if adopted.engine.id == plan.engine.id:
            yield from _choices(plan.models)


def _container(adopted: Adopted) -> Iterator[str]:
    if adopted.shm_bytes:
        yield line("shm_size", size(adopted.shm_bytes))
    if adopted.ulimits is not None:
        yield line("ulimits", adopted.ulimits)
    if adopted.ipc:
        yield line("ipc", adopted.ipc)
    if adopted.writable is not None:
        yield from remark("Kept in memory, and the only places that it may write to.")
        yield line("writable", adopted.writable)


def _profile(adopted: Adopted, key: str) -> Iterator[str]:
    yield from remark("As the service runs it; this takes the place of the preset's profiles.")
    yield f"[[engines.{key}.profiles]]"
    yield line("name", adopted.service.service.partition(":")[2])
    yield line("args", adopted.args)
    if not adopted.has_tools:
        yield from remark("It was not told --enable-auto-tool-choice: no tool call is asked for.")
        yield line("tools", False)
    if adopted.ipc == "host":
        yield line("allow", ["host-ipc"])


def _engine_without_service(plan: FirstPlan) -> Iterator[str]:
    yield f"[engines.{quoted_key(plan.engine.id)}]"
    models = plan.models
    if len(models) == 1:
        yield from remark("The one model for it that was found on this device.")
        yield from _lines_of(models[0], is_on=True)
        return
    yield from remark("The model to bring up, and the folder where it lies on the device.")
    if not models:
        yield from remark(
            "None was found: `ls ~/.cache/huggingface/hub`, or where you keep folders with config.json and "
            "*.safetensors."
        )
        yield off("model", "/models/NAME")
        yield off("mounts", ["/home/me/models:/models"])
    yield from _choices(models)


def _choices(models: Iterable[FoundModel]) -> Iterator[str]:
    for model in models:
        yield from remark(f"Found, {model.bytes / 1e9:.1f} GB:" if model.bytes else "Found:")
        yield from _lines_of(model, is_on=False)


def _lines_of(model: FoundModel, is_on: bool) -> Iterator[str]:
    write = line if is_on else off
    if model.kind == "huggingface":
        yield write("model", model.name)
        yield write("mounts", [f"{model.folder}:{_HUGGING_FACE}"])
    else:
        yield write("model", f"/models/{model.name}")
        yield write("mounts", [f"{model.folder}:/models"])


def _images(survey: Survey, plan: FirstPlan) -> Iterator[str]:
    allowed = {*plan.engine.images, *(adopted.images or () for adopted in plan.adopted.values())}
    known = {name for one in allowed for name in ([one] if isinstance(one, str) else one)}
    here = [image for image in survey.images if repository_of(image) in known]
    if here:
        yield from remark(
            f"Already in the Docker engine, so `watcher trial run IMAGE` needs no pull: {', '.join(here)}."
        )


def _notify() -> Iterator[str]:
    yield "[notify]"
    yield from remark(
        "Where messages go, as apprise addresses; `watcher notify test` sends one. Keep them out of this file:"
    )
    yield off("urls", ["slack://${SLACK_TOKEN_A}/${SLACK_TOKEN_B}/${SLACK_TOKEN_C}/#jetson"])


def _sources(plan: FirstPlan, shipped: str) -> Iterator[str]:
    own = [
        one for one in plan.adopted.values() if not one.service.is_local and not _is_watched(one.repository, shipped)
    ]
    if not own:
        yield from remark(
            "What is watched: the default list; `watcher sources` shows it, the project's config.toml has it with "
            "reasons. A [[sources]] table here replaces it as a whole."
        )
        return
    yield from remark("The service's own image is in no source of the default list, so it stands before it.")
    for adopted in own:
        yield "[[sources]]"
        yield from remark(f"Where the images of {adopted.service.service} come from. Many tags? `include` chooses.")
        yield from _source(adopted)
        yield ""
    yield shipped[shipped.index(_WATCHED) :].rstrip("\n")


def _source(adopted: Adopted) -> Iterator[str]:
    repository = adopted.repository.removeprefix("docker.io/")
    yield line("name", f"images-of-{adopted.service.service.partition(':')[2]}")
    host = repository.partition("/")[0]
    if "/" in repository and ("." in host or ":" in host or host == "localhost"):
        yield line("kind", "oci-tags")
        yield line("image", repository)
    else:
        yield line("kind", "docker-hub")
        yield line("repository", repository if "/" in repository else f"library/{repository}")
    yield line("engine", adopted.engine.id)


def _is_watched(repository: str, shipped: str) -> bool:
    tables = tomllib.loads(shipped).get("sources", [])
    return repository.removeprefix("docker.io/") in {table.get("image") or table.get("repository") for table in tables}
