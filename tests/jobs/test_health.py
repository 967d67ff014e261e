"""How sources do over days, with the real database, a real upstream and real mail: told once, asked less, told back."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from tests.clocks import SteppingClock
from tests.real.smtp import SmtpServer, running_smtp, text_of
from tests.real.web import Reply, Web, running_web
from watcher.app import open_means
from watcher.config.load import load_settings
from watcher.jobs.means import Means
from watcher.jobs.round import Round, go_round
from watcher.model.facts import LookOutcome
from watcher.ports import Lines
from watcher.store import facts as fact_store

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TROUBLE = Reply(503)


def page(*versions: str) -> Reply:
    names = [f"torch-{version}-cp310-cp310-linux_aarch64.whl" for version in versions]
    links = "".join(f'<a href="{name}#sha256={hashlib.sha256(name.encode()).hexdigest()}">x</a>' for name in names)
    body = f'<!DOCTYPE html><meta name="pypi:repository-version" content="1.0">{links}'
    return Reply(200, body.encode(), {"Content-Type": "text/html"})


@dataclass
class World:
    """A watcher whose clock only the test moves."""

    folder: Path
    web: Web
    mail: SmtpServer
    clock: SteppingClock
    source: dict[str, Any]

    @contextmanager
    def means(self, **schedule: str) -> Iterator[Means]:
        table = {
            "store": {"data_dir": "data"},
            "device": {"docker": "none", "name": "orin"},
            "schedule": {"jitter": "0s", **schedule},
            "notify": {"urls": [self.mail.url]},
            "sources": [{"name": "torch", "kind": "simple-index", "url": f"{self.web.url}/torch/", **self.source}],
        }
        config = self.folder / "config.toml"
        config.write_text(tomli_w.dumps(table))
        with open_means(load_settings(config, {}), Lines(lambda line: None), clock=self.clock) as means:
            yield means

    def turn(self, after: timedelta, by_hand: bool = False) -> Round:
        """Let time pass, then one round."""
        self.clock.time += after
        with self.means() as means:
            return go_round(means, None, may_try=False, scheduled=not by_hand)

    @property
    def titles(self) -> list[str]:
        return [str(message["subject"]) for message in self.mail.messages]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running_web() as web, running_smtp() as mail:
        web.routes["/torch/"] = page("2.9.1", "2.10.0")
        yield World(tmp_path, web, mail, SteppingClock(), {})


def test_a_source_that_goes_on_failing_is_asked_less_and_told_thrice_in_all(world: World) -> None:
    world.turn(HOUR)
    world.web.routes["/torch/"] = TROUBLE
    looked = [hour for hour in range(1, 35) if world.turn(HOUR).looks]
    assert looked == [1, 2, 4, 8, 16, 32], "an hour, then twice as long each time"
    assert world.titles == ["[orin] torch cannot be read", "[orin] torch: not seen since 2026-11-23 13:00 UTC"]
    assert "torch: not seen since 2026-11-23 13:00 UTC." in world.turn(HOUR).answer.next_step
    world.web.routes["/torch/"] = page("2.9.1", "2.10.0")
    back = world.turn(DAY)
    assert world.titles[2:] == ["[orin] torch can be read again"]
    assert "not seen" not in back.answer.next_step
    assert len(world.turn(HOUR).looks) == 1, "well again, it is asked in its own rhythm"


def test_by_hand_a_source_that_fails_is_asked_each_time(world: World) -> None:
    world.web.routes["/torch/"] = TROUBLE
    for _ in range(6):
        world.turn(timedelta(minutes=1), by_hand=True)
    assert len(world.web.asked) == 6


def test_a_failure_after_a_long_pause_of_the_watcher_is_told_at_the_third_in_a_row_and_so_is_its_end(
    world: World,
) -> None:
    world.turn(HOUR)
    world.web.routes["/torch/"] = TROUBLE
    said = [list(world.titles) for pause in (5 * DAY, HOUR, 2 * HOUR, 4 * HOUR) if world.turn(pause).looks]
    once = ["[orin] torch cannot be read"]
    assert said == [[], [], once, once], "that it was not seen for long is told with it"
    world.web.routes["/torch/"] = page("2.9.1", "2.10.0")
    world.turn(8 * HOUR)
    assert world.titles[1:] == ["[orin] torch can be read again"]


def test_one_failed_look_after_a_long_pause_of_the_watcher_is_no_news(world: World) -> None:
    world.turn(HOUR)
    world.web.routes["/torch/"] = TROUBLE
    (look,) = world.turn(5 * DAY).looks
    assert (look.outcome, look.told) == (LookOutcome.FAILED, False)
    world.web.routes["/torch/"] = page("2.9.1", "2.10.0")
    world.turn(HOUR)
    assert world.mail.messages == []


def test_a_host_that_named_a_time_is_not_looked_at_before_it(world: World) -> None:
    world.turn(HOUR)
    asked = len(world.web.asked)
    world.web.routes["/torch/"] = Reply(429, headers={"Retry-After": str(5 * 3600)})
    looked = [hour for hour in range(1, 12) if world.turn(HOUR).looks]
    assert looked == [1, 6, 11]
    assert len(world.web.asked) - asked == 3, "each look really asked"


@pytest.mark.parametrize("asked_for", ["999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_host_that_names_a_time_without_end_is_looked_at_a_day_later(world: World, asked_for: str) -> None:
    world.turn(HOUR)
    world.web.routes["/torch/"] = Reply(429, headers={"Retry-After": asked_for})
    (look,) = world.turn(HOUR).looks
    assert look.error is not None
    assert look.error.retry_after == DAY.total_seconds()
    assert world.turn(23 * HOUR).looks == ()
    assert len(world.turn(HOUR).looks) == 1


def test_what_was_quiet_at_first_sight_is_shown_and_not_told(world: World) -> None:
    name = "torch-2.9.1-cp310-cp310-linux_aarch64.whl"
    file = {"filename": name, "url": name, "hashes": {"sha256": "a" * 64}, "upload-time": "2025-05-06T10:00:00Z"}
    index = json.dumps({"meta": {"api-version": "1.1"}, "name": "torch", "files": [file]}).encode()
    world.web.routes["/torch/"] = Reply(200, index, {"Content-Type": "application/vnd.pypi.simple.v1+json"})
    assert "torch: nothing new since 2025-05-06." in world.turn(HOUR).answer.next_step
    assert world.mail.messages == []


def test_what_goes_quiet_later_is_told_once(world: World) -> None:
    world.source["moved_to"] = "ghcr.io/nvidia-ai-iot/vllm"
    world.turn(HOUR)
    world.web.routes["/torch/"] = page("2.9.1", "2.10.0", "2.11.0")
    world.turn(HOUR)
    assert world.titles == ["[orin] torch: torch-2.11.0-cp310-cp310-linux_aarch64.whl is new"]
    world.turn(180 * DAY)
    assert len(world.mail.messages) == 1
    quiet = "nothing new since 2026-11-23; publishing moved to ghcr.io/nvidia-ai-iot/vllm"
    for _ in range(3):
        assert quiet in world.turn(DAY).answer.next_step
    assert world.titles[1:] == [f"[orin] torch: {quiet}"]


def test_a_source_that_answers_from_another_host_is_told_once_and_forgotten_when_it_does_not(world: World) -> None:
    world.turn(HOUR)
    with running_web() as new:
        new.routes["/torch/"] = page("2.9.1", "2.10.0")
        world.web.routes["/torch/"] = Reply(301, headers={"Location": f"{new.url}/torch/"})
        (look,) = world.turn(HOUR).looks
        assert look.error is not None
        assert f"host={new.host}" in look.error.message
        assert "`allowed_hosts`" in look.error.message
        world.source["allowed_hosts"] = [new.host]
        for _ in range(3):
            (look,) = world.turn(HOUR).looks
            assert look.outcome is LookOutcome.UNCHANGED
        assert moved_host(world) == new.host
    (message,) = world.mail.messages
    sentence = f"torch: now answers from {new.host}: write that address into config.toml"
    assert sentence in str(message["subject"])
    assert f"- {sentence}" in text_of(message)
    world.web.routes["/torch/"] = page("2.9.1", "2.10.0")
    world.turn(HOUR)
    assert moved_host(world) is None


def moved_host(world: World) -> str | None:
    with world.means() as means, means.store.transaction() as tx:
        return fact_store.source_states(tx)["torch"].moved_to_host


def test_a_foreign_host_is_told_at_the_third_failure_with_what_to_set(world: World) -> None:
    world.turn(HOUR)
    world.web.routes["/torch/"] = Reply(301, headers={"Location": "https://new.example/torch/"})
    for _ in range(3):
        world.turn(HOUR, by_hand=True)
    (message,) = world.mail.messages
    assert "leads to another host; name it in `allowed_hosts`" in text_of(message).replace("'", "`")
    assert "host=new.example" in text_of(message)


def test_what_a_host_still_grants_outlives_the_check_and_used_up_it_is_waited_out(world: World) -> None:
    answer = page("2.9.1", "2.10.0")
    limits = {"X-RateLimit-Limit": "2", "X-RateLimit-Reset": "7200"}
    world.web.routes["/torch/"] = Reply(200, answer.body, {**answer.headers, **limits, "X-RateLimit-Remaining": "1"})
    world.turn(HOUR)
    with world.means() as means, means.store.transaction() as tx:
        (budget,) = fact_store.budgets(tx)
    assert (budget.host, budget.limit, budget.remaining) == (world.web.host, 2, 1)
    assert budget.resets_at == world.clock.time + 2 * HOUR
    world.web.routes["/torch/"] = Reply(200, answer.body, {**answer.headers, **limits, "X-RateLimit-Remaining": "0"})
    world.turn(HOUR)
    asked = len(world.web.asked)
    (look,) = world.turn(HOUR, by_hand=True).looks
    assert look.error is not None
    assert look.error.retry_after == 3600
    assert len(world.web.asked) == asked
    assert world.turn(HOUR).looks[0].outcome is LookOutcome.UNCHANGED


@pytest.mark.parametrize(("scheduled", "jitter", "at_most"), [(True, "2m", 4), (True, "1s", 1), (False, "2m", 0)])
def test_only_the_schedule_spreads_its_starts(world: World, scheduled: bool, jitter: str, at_most: int) -> None:
    before = world.clock.time
    with world.means(jitter=jitter) as means:
        go_round(means, None, may_try=False, scheduled=scheduled)
    waited = (world.clock.time - before).total_seconds()
    assert waited <= at_most
    assert (waited > 0) is (at_most > 0)
