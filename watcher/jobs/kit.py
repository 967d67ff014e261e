"""`trial kit`: the files that a person needs next, made of a trial, its log, and the configuration as it is now."""

import os
import pwd
import socket
from pathlib import Path
from typing import Any

from watcher.config.engines import EngineSettings, Profile
from watcher.errors import ConfigError, HostError
from watcher.host.isolation import container_config
from watcher.jobs.means import Means
from watcher.model.answer import Answer
from watcher.model.text import span
from watcher.model.trial import Outcome, Trial
from watcher.model.verdict import BringUp, BugState
from watcher.planner.compatibility import repository_of
from watcher.trial.engine_log import read_log
from watcher.trial.kit import Section, compose_file, docker_command, excerpt, report, without_secrets
from watcher.trial.order import engine_spec_of
from watcher.verdict.classes import next_step

COMPOSE, REPORT, WAITING = "compose.yaml", "report.md", "waiting.md"
_MOST_LOG = 20_000_000


def write_kit(means: Means, trial: Trial, answer: Answer, folder: Path) -> tuple[Path, ...]:
    """Write the files and return their paths. Raises ConfigError where one is there, or the trial tells nothing."""
    if trial.outcome is not Outcome.VERDICT:
        raise ConfigError(
            f"trial {trial.id} has no verdict ({trial.outcome or trial.stage}): there is nothing to hand on"
        )
    files = {}
    if trial.bring_up is BringUp.WORKS:
        files[COMPOSE] = _compose(means, trial)
    elif trial.bug is BugState.PRESENT:
        files[WAITING] = _waiting(means, trial, answer)
    if trial.bring_up is BringUp.FAILS:
        files[REPORT] = _report(means, trial)
    if not files:
        raise ConfigError(f"trial {trial.id} neither works nor fails: no engine was started in it")
    paths = {folder / name: text for name, text in files.items()}
    if there := [str(path) for path in paths if path.exists()]:
        raise ConfigError(f"{', '.join(there)} is there already; name another folder with --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in paths.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HostError("the kit could not be written", folder=str(folder), cause=error.strerror) from None
    return tuple(paths)


def _compose(means: Means, trial: Trial) -> str:
    engine, profile, remarks = _as_tried(means, trial)
    image, about = _image(means, trial)
    body = _body(means, engine, profile, image)
    when = f"{trial.started_at:%Y-%m-%d}, L4T {trial.device_state.l4t}"
    remarks = [
        f"{engine.title} as in trial {trial.id}, where it works ({when})",
        about,
        f"Well when: curl --fail http://127.0.0.1:{engine.port}{engine.health_path}",
        *remarks,
    ]
    return compose_file(engine.id, image, body, engine.port, remarks)


def _report(means: Means, trial: Trial) -> str:
    engine, profile, remarks = _as_tried(means, trial)
    image, _ = _image(means, trial)
    start = trial.starts[trial.deciding_start or 0]
    known = next_step(trial.failure_class) if trial.failure_class else ""
    sections = [
        Section("What happens", (trial.reason, *([known] if known else []))),
        Section("Environment", tuple(_surroundings(means, trial, engine, profile))),
        Section("To see it again", tuple(remarks), docker_command(image, _body(means, engine, profile, image))),
        Section("What was seen", tuple(f"{row.rung.value}: {row.text}" for row in trial.evidence[:20])),
        Section("The engine's log", (), _log(means, trial, start.log)),
    ]
    if trial.bug is BugState.PRESENT:
        threads = tuple(f"{thread.title}: {thread.url}" for thread in means.settings.bug.threads)
        sections.insert(1, Section(f"Known upstream: {means.settings.bug.title}", threads))
    what = trial.failure_class.value if trial.failure_class else "fails"
    text = report(f"{engine.title} on L4T {trial.device_state.l4t}: {what} at {start.stage.value}", sections)
    return without_secrets(text, _names(means))


def _waiting(means: Means, trial: Trial, answer: Answer) -> str:
    fixed = tuple(f"{component} {version}" for component, version in (answer.fixed_in or {}).items())
    waits = tuple(
        f"{one.question}: {one.what}" + (f", since {one.since:%Y-%m-%d}" if one.since else "")
        for one in answer.waits_for
    )
    sections = [
        Section("What was found", (trial.reason, *(f"{row.rung.value}: {row.text}" for row in trial.evidence[:6]))),
        Section("Where it is fixed", fixed or ("no build that carries the fix was seen so far",)),
        Section("What this device waits for", waits or ("nothing is known that would bring it",)),
        Section("Upstream", tuple(f"{thread.title}: {thread.url}" for thread in means.settings.bug.threads)),
        Section("Next", (answer.next_step,)),
    ]
    title = f"{means.settings.bug.title}: present in {trial.candidate.image}"
    return without_secrets(report(title, sections), _names(means))


def _as_tried(means: Means, trial: Trial) -> tuple[EngineSettings, Profile, list[str]]:
    """Return the engine and the profile of the start that decided, as they are configured now."""
    engine = means.settings.engines.get(trial.candidate.engine)
    if engine is None:
        raise ConfigError(f"the configuration has no engine {trial.candidate.engine!r} any more")
    if not trial.starts:
        raise ConfigError(f"trial {trial.id} started no engine")
    name = trial.starts[trial.deciding_start or 0].profile
    profile = next((one for one in engine.profiles if one.name == name), None)
    if profile is None:
        raise ConfigError(f"engine {engine.id} has no profile {name!r} any more, with which trial {trial.id} ran")
    changed = engine.setup != trial.setup
    return engine, profile, ["The engine's settings were changed since that trial."] if changed else []


def _image(means: Means, trial: Trial) -> tuple[str, str]:
    """Return the reference to pull, and a remark about it; what was never in a registry has no digest there."""
    candidate = trial.candidate
    pinned = f"{repository_of(candidate.image)}@{candidate.digest}"
    local = means.host.find_image(candidate.image) if means.host is not None else None
    if local is not None and local.digest is None and local.id == candidate.digest:
        return candidate.image, f"This image was built here: its tag is no pin. Its id was {local.id}."
    return pinned, f"Pinned by digest; it was {candidate.image}."


def _body(means: Means, engine: EngineSettings, profile: Profile, image: str) -> dict[str, Any]:
    return container_config(
        engine_spec_of(engine, profile, image, means.settings.device.runtime), means.settings.device.docker
    )


def _surroundings(means: Means, trial: Trial, engine: EngineSettings, profile: Profile) -> list[str]:
    device = means.device()
    torch = means.settings.bug.component
    memory = f"{device.memory_total / 1e9:.1f} GB" if device.memory_total else None
    told = {
        "device": device.model,
        "L4T": trial.device_state.l4t,
        "JetPack": device.jetpack,
        "driver": trial.device_state.driver,
        "memory": memory,
        "up since": f"{span(device.uptime)}" if device.uptime else None,
        "image": trial.candidate.image,
        "digest": trial.candidate.digest,
        f"{torch} (by its bytes)": next((row.text for row in trial.evidence if row.rung.value == "static"), None),
        "engine": f"{engine.title}, profile {profile.name}",
        "exit code": str(trial.starts[trial.deciding_start or 0].exit_code),
    }
    return [f"{name}: {value}" for name, value in told.items() if value not in (None, "", "None")]


def _log(means: Means, trial: Trial, log: str | None) -> str:
    if log is None or not (means.data_dir / log).exists():
        return "the log is gone"
    content = bytearray()
    for piece in read_log(means.data_dir / log):
        content += piece
        if len(content) > _MOST_LOG:
            break
    decisive = [row.line for row in trial.evidence if row.line is not None and row.rung.value == "bring-up"]
    return excerpt(content.decode(errors="replace").splitlines(), decisive)


def _names(means: Means) -> set[str]:
    account = pwd.getpwuid(os.getuid()).pw_name
    return {means.settings.device.name, socket.gethostname(), *({account} if account != "root" else set())}
