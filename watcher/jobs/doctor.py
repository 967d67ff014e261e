"""What works and what to do about the rest, area by area: one that cannot be looked at hides no other."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from watcher.errors import NoEngine, WatcherError
from watcher.host.kept import owed_reports
from watcher.host.owed import read_debts
from watcher.jobs.ailing import ailments
from watcher.jobs.health import stale_now
from watcher.jobs.means import Means
from watcher.jobs.plan import QUARANTINE_CLEARED_AT, is_quarantined
from watcher.model.device import DeviceFacts
from watcher.model.text import printable
from watcher.notify.send import channel_name, check_url
from watcher.planner.boot import QUARANTINE
from watcher.planner.preflight import Known, gb, refusals
from watcher.store import facts as fact_store
from watcher.store import trials

_LEAST_FREE = 500_000_000
"""Bytes beside the database: logs and pages are small, a migration keeps a copy."""


class Health(StrEnum):
    """`attention`: it works, or will by itself, but a person should know; `broken`: somebody has to do something."""

    WELL = "ok"
    ATTENTION = "attention"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `remedy` says what to do; empty where nothing is to be done."""

    area: str
    state: Health
    message: str
    remedy: str = ""


def examine(means: Means) -> tuple[Check, ...]:
    """Look at everything but the configuration and the opening of the database, which came before."""
    device = means.device()
    looks: tuple[tuple[str, Callable[[], Iterator[Check]]], ...] = (
        ("database", lambda: _data(means)),
        ("docker", lambda: _docker(means)),
        ("device", lambda: _device(means, device)),
        ("services", lambda: _services(means)),
        ("sources", lambda: _sources(means)),
        ("channels", lambda: _channels(means)),
    )
    found: list[Check] = []
    for area, look in looks:
        try:
            found += look()
        except NoEngine as error:  # told once: what only Docker shows is not looked at
            if area == "docker":
                found.append(Check(area, Health.BROKEN, error.trouble, error.remedy))
        except WatcherError as error:
            found.append(Check(area, Health.BROKEN, str(error)))
    return (*found, *_quarantine(means, device, found))


def _data(means: Means) -> Iterator[Check]:
    with means.store.reading() as tx:
        count = trials.count(tx)
    size = means.store.path.stat().st_size
    yield Check("database", Health.WELL, f"{means.store.path}: {size / 1e6:.1f} MB, {count} trials")
    free = shutil.disk_usage(means.data_dir).free
    if not os.access(means.data_dir, os.W_OK):
        yield Check("data", Health.BROKEN, f"{means.data_dir} cannot be written", "give it to the watcher's user")
    elif free < _LEAST_FREE:
        yield Check("data", Health.ATTENTION, f"{gb(free)} free at {means.data_dir}", "make room there")
    else:
        yield Check("data", Health.WELL, f"{gb(free)} free at {means.data_dir}")


def _docker(means: Means) -> Iterator[Check]:
    host, wanted = means.host, means.settings.device.runtime
    if host is None:
        yield Check("docker", Health.ATTENTION, "watching only, nothing can be tried", "set device.docker")
        return
    facts = host.facts()
    yield Check("docker", Health.WELL, f"{host.docker_url} answers")
    if wanted in facts.runtimes:
        yield Check("runtime", Health.WELL, f"the engine has the runtime {wanted}")
    else:
        there = ", ".join(facts.runtimes) or "none"
        remedy = "install the NVIDIA container toolkit (`nvidia-ctk runtime configure`), or set device.runtime"
        yield Check("runtime", Health.BROKEN, f"the engine has no runtime {wanted}; it has {there}", remedy)
    free = host.free_disk()
    if free is None:
        yield Check("disk", Health.ATTENTION, "the disk that images lie on cannot be seen from here")
    else:
        yield Check("disk", Health.WELL, f"{gb(free)} free where images lie")


def _device(means: Means, device: DeviceFacts) -> Iterator[Check]:
    state = device.state
    if state.l4t is None:
        remedy = "run it on the Jetson, mount its /etc/nv_tegra_release, or set device.l4t and device.driver"
        yield Check("device", Health.ATTENTION, "no L4T release is seen: nothing counts as compatible", remedy)
    else:
        jetpack = f", JetPack {device.jetpack}" if device.jetpack else ""
        model = f"{printable(device.model, 80)}, " if device.model else ""
        yield Check("device", Health.WELL, f"{model}L4T {state.l4t}{jetpack}, driver {state.driver or 'not known'}")
    host = means.host
    if host is None:
        return
    known = Known(
        now=means.clock.now(),
        runtime=means.settings.device.runtime,
        free_disk=host.free_disk(),
        displaced=tuple(name.partition(":")[2] for name in means.settings.trial.services),
        gpu_users=host.gpu_users(),
    )
    for refusal in refusals(device, means.settings.trial.preflight, known):
        when = f"; again at {refusal.retry_at:%H:%M} UTC" if refusal.retry_at else ""
        yield Check("trial", Health.ATTENTION, f"a trial would be refused now: {refusal.reason}{when}")
    if missing := means.settings.auto_missing:
        remedy = f"name {', '.join(missing)} in the configuration"
        yield Check("trial", Health.ATTENTION, "no automatic trials", remedy)


def _services(means: Means) -> Iterator[Check]:
    if means.host is None:
        return
    for report in owed_reports(means.data_dir):
        state = Health.ATTENTION if report.makes_room else Health.BROKEN
        yield Check("owed", state, f"{report.service}: {report.message}", "watcher restore")
    if read_debts(means.data_dir / "owed"):
        return
    ill = {one.service: one for one in ailments(means)}
    for service in means.settings.trial.services:
        try:
            names = ", ".join(owed.service for owed in means.host.examine(service))
        except NoEngine:
            raise
        except WatcherError as error:
            yield Check("service", Health.BROKEN, f"{service}: {error}", "correct trial.displace")
            continue
        if (ailment := ill.get(service)) is not None:
            yield Check("service", Health.ATTENTION, f"{service}: {ailment.what}", ailment.remedy)
        else:
            yield Check("service", Health.WELL, f"{service} runs; a trial puts aside {names}")


def _sources(means: Means) -> Iterator[Check]:
    with means.store.reading() as tx:
        states = fact_store.source_states(tx)
        stale = stale_now(means, tx, states)
    well = 0
    for source in means.settings.sources:
        state = states.get(source.name)
        if not source.enabled:
            continue
        if state is None:
            yield Check("source", Health.ATTENTION, f"{source.name} was never looked at", "watcher check-now")
        elif state.error is not None:
            remedy = f"watcher sources test {source.name}"
            message = f"{source.name} failed {state.failures} times in a row: {state.error.message}"
            yield Check("source", Health.ATTENTION, printable(message, 300), remedy)
        elif source.name in stale:
            yield Check("source", Health.ATTENTION, f"{source.name}: {printable(stale[source.name].sentence, 300)}")
        else:
            well += 1
    yield Check("sources", Health.WELL, f"{well} of {len(means.settings.sources)} do well")


def _channels(means: Means) -> Iterator[Check]:
    urls = [url.get_secret_value() for url in means.settings.notify.urls]
    if not urls:
        yield Check("channels", Health.ATTENTION, "nobody is told anything", "set notify.urls")
    for url in urls:
        if fault := check_url(url):
            yield Check("channel", Health.BROKEN, fault, "correct notify.urls")
        else:
            message = f"{channel_name(url)} is understood"
            yield Check("channel", Health.WELL, message, "watcher notify test, to see that it arrives")


def _quarantine(means: Means, device: DeviceFacts, found: list[Check]) -> Iterator[Check]:
    """Tell of a quarantine; where nothing is broken it is lifted: somebody has looked."""
    with means.store.transaction() as tx:
        if not is_quarantined(tx, device.state.boot_id):
            return
        if any(check.state is Health.BROKEN for check in found):
            yield Check(
                "trials", Health.BROKEN, QUARANTINE, "put right what is broken, then run `watcher doctor` again"
            )
            return
        trials.set_meta(tx, QUARANTINE_CLEARED_AT, means.clock.now().isoformat())
    yield Check("trials", Health.WELL, "two trials failed on our side; nothing is broken now, so trials may go on")
