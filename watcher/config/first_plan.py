"""What a first configuration says about the services that were found: which engine, what is displaced. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from watcher.config.adopt import Adopted, adopt, engine_of
from watcher.config.engines import EngineSettings
from watcher.errors import ConfigError
from watcher.model.survey import FoundModel, RunningService, Survey

DEFAULT_ENGINE = "vllm"
_KINDS = {"vllm": ("safetensors", "huggingface"), "tensorrt-llm": ("safetensors",), "llama-cpp": ("gguf",)}


@dataclass(frozen=True, slots=True)
class FirstPlan:
    """What `[trial]` and the tables of engines are written from.

    Attributes:
        engine: the one that trials bring up.
        adopted: what each engine takes over from a service, by the engine's id.
        displaced: services that trials put aside.
        aside: further ones that may have to stop; a person decides.
        models: those of which one may be the engine's, where no service names it.
    """

    engine: EngineSettings
    adopted: Mapping[str, Adopted]
    displaced: tuple[RunningService, ...]
    aside: tuple[RunningService, ...]
    models: tuple[FoundModel, ...]


def first_plan(
    survey: Survey,
    presets: Mapping[str, EngineSettings],
    chosen: RunningService | None = None,
    missing: Collection[str] = (),
) -> FirstPlan:
    """Return the plan; a `chosen` service of a compose file is the one to take over.

    Args:
        missing: sources of mounts that are not on the device.

    Raises ConfigError where the engine of `chosen` is not known.
    """
    if chosen is not None:
        return _of_chosen(survey, presets, chosen, missing)
    known = [(engine_of(service, presets), service) for service in survey.services]
    adopted: dict[str, Adopted] = {}
    for name, service in known:
        if name and name not in adopted and service.service.startswith("container:"):
            adopted[name] = adopt(service, presets[name], missing)
    displaced = [service for name, service in known if name and service.refusal is None]
    engine = next((name for name in adopted if presets[name].carries_torch), DEFAULT_ENGINE)
    aside = [service for _, service in known if service not in displaced]
    return FirstPlan(presets[engine], adopted, tuple(displaced), tuple(aside), _fitting(survey, engine))


def _of_chosen(
    survey: Survey, presets: Mapping[str, EngineSettings], chosen: RunningService, missing: Collection[str]
) -> FirstPlan:
    name = engine_of(chosen, presets)
    if name is None:
        known = ", ".join(presets)
        raise ConfigError(
            f"neither image nor command says which engine this is; known are {known}. Name another service, or "
            "write an engine of your own (docs/engines.md)",
            service=chosen.origin,
            image=chosen.image,
        )
    others = tuple(one for one in survey.services if one.service != chosen.service)
    adopted = {name: adopt(chosen, presets[name], missing)}
    displaced = (chosen,) if chosen.refusal is None else ()
    aside = others if displaced else (chosen, *others)
    return FirstPlan(presets[name], adopted, displaced, aside, _fitting(survey, name))


def _fitting(survey: Survey, engine: str) -> tuple[FoundModel, ...]:
    return tuple(model for model in survey.models if model.kind in _KINDS.get(engine, ()))
