"""The page is written from the real database after each check; that it cannot be written fails nothing."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from tests.clocks import SteppingClock
from tests.page import examples
from tests.page.reading import Page
from tests.places import CHECKOUT
from tests.real.scene import Scene
from tests.real.web import Reply, Web, running_web
from watcher.app import open_means
from watcher.config.load import load_settings
from watcher.host.owed import write_debt
from watcher.jobs.means import Means
from watcher.jobs.plan import answer_now
from watcher.jobs.publish import MOST_EVENTS, MOST_TRIALS, page_facts, pages_of, publish
from watcher.model.container import Debt, OwedService
from watcher.model.facts import Event, EventKind, Fact, FactKind, KnownFact, SourceState
from watcher.model.verdict import BringUp, BugState
from watcher.ports import Lines
from watcher.store import facts as fact_store
from watcher.store import statics, trials

NOW = SteppingClock().now()
DAY = timedelta(days=1)
SOURCES: list[dict[str, Any]] = [
    {"name": "torch", "kind": "simple-index", "url": "https://index.example/jp6/torch/"},
    {"name": "releases", "kind": "github-releases", "repo": "vllm-project/vllm", "exclude": ["nightly"]},
]


@contextmanager
def opened(folder: Path, say: list[str] | None = None, sources: list[dict[str, Any]] = SOURCES) -> Iterator[Means]:
    file = folder / "config.toml"
    table = {"store": {"data_dir": "data"}, "device": {"docker": "none", "name": "orin", "l4t": "36.4.4"}}
    file.write_text(tomli_w.dumps({**table, "sources": sources}))
    lines: list[str] = [] if say is None else say
    with open_means(load_settings(file, {}), Lines(lines.append), clock=SteppingClock()) as means:
        yield means


@pytest.fixture
def means(tmp_path: Path) -> Iterator[Means]:
    with opened(tmp_path) as means:
        yield means


def release(name: str, days: float | None = None, **more: Any) -> Fact:
    stamp = None if days is None else NOW - days * DAY
    return Fact(FactKind.RELEASE, name, name.removeprefix("v"), published_at=stamp, **more)


def look(means: Means, known: list[KnownFact], events: list[Event] | None = None, source: str = "releases") -> None:
    state = SourceState(
        source,
        "github-releases",
        baseline_at=NOW - 50 * DAY,
        last_look=NOW,
        last_ok=NOW,
        newest="v0.33.0",
        newest_at=NOW - 20 * DAY,
    )
    with means.store.transaction() as tx:
        fact_store.save_look(tx, state, known, events or [])


def written(means: Means) -> Page:
    publish(means, answer_now(means, means.device()))
    page = Page((means.data_dir / "page" / "index.html").read_text(encoding="utf-8"))
    assert page.faults == []
    return page


def test_the_page_shows_what_is_stored(means: Means) -> None:
    news = Event("releases", EventKind.NEW, release("v0.33.0", 21), NOW - 20 * DAY)
    look(means, [KnownFact(news.fact, NOW - 20 * DAY)], [news])
    with means.store.transaction() as tx:
        statics.save_static(tx, examples.wheel("2.14.0", BugState.FIXED, index="torch"))
        tried = trials.new_trial(tx, examples.trial(0, 3, BugState.PRESENT, BringUp.FAILS))
    assistant = OwedService("container:assistant", "container", "assistant", "1", "2", "image", {}, None)
    write_debt(means.data_dir / "owed", Debt(tried.id, "unix:///nowhere", NOW, (assistant,)))
    text = written(means).text
    for part in ("container:assistant: down. owed since 2026-11-23 12:00 UTC", "Run watcher restore", "✗engine fails",
                 "first fixed: torch 2.14.0", "newest: v0.33.0, 3 Nov 2026", "v0.33.0new · releases",
                 f"Trial {tried.id}", examples.ASSERT_LINE, "torchsimple-index · 0 facts?not looked at"):  # fmt: skip
        assert part in text, part
    answer = json.loads((means.data_dir / "page" / "answer.json").read_text())
    assert (answer["device"], answer["headline"] in text) == ("orin", True)


def test_each_source_has_its_count_and_what_the_last_look_left_of_it(means: Means) -> None:
    gone = KnownFact(release("v0.32.0"), NOW - 30 * DAY, withdrawn=True)
    look(means, [KnownFact(release("v0.30.0"), NOW), KnownFact(release("v0.31.0"), NOW), gone])
    torch, releases = page_facts(means, examples.PRESENT).sources
    assert (releases.facts, torch.facts, torch.state) == (2, 0, None)
    assert releases.state is not None
    assert (releases.state.newest, releases.state.newest_at) == ("v0.33.0", NOW - 20 * DAY)


def test_what_the_first_look_found_is_shown_where_it_would_be_news_today(means: Means) -> None:
    facts = [
        release("v0.30.0", 100),
        release("v0.31.0", 60),
        release("v0.9.0", 500),
        release("v0.31.0rc1", 61, prerelease=True),
        release("nightly-1", 10),
        release("v0.29.0"),
    ]
    known = [KnownFact(fact, NOW - 50 * DAY, baseline=True) for fact in facts]
    look(means, [*known, KnownFact(release("v0.32.0", 5), NOW - 4 * DAY)])
    look(means, known[:1], source="not-configured-any-more")
    before = page_facts(means, examples.PRESENT).before
    assert [(source, fact.name) for source, fact in before] == [("releases", "v0.31.0"), ("releases", "v0.30.0")]


def test_it_is_capped_and_keeps_the_newest_and_the_trial_that_decides(means: Means) -> None:
    fact = release("v0.33.0")
    events = [Event("releases", EventKind.EDITED, fact, NOW - DAY) for _ in range(MOST_EVENTS + 7)]
    look(means, [KnownFact(fact, NOW)], [*events, Event("releases", EventKind.NEW, fact, NOW)])
    with means.store.transaction() as tx:
        for number in range(MOST_TRIALS + 5):
            trials.new_trial(tx, replace(examples.TRIALS[2], reason=f"reason {number}"))
    shown = page_facts(means, replace(examples.PRESENT, trial_id=2))
    assert (len(shown.events), shown.events[-1].kind) == (MOST_EVENTS, EventKind.NEW)
    assert [one.id for one in shown.trials] == [*range(MOST_TRIALS + 5, 5, -1), 2]
    assert (shown.more_events, shown.more_trials) == (True, True)
    assert len(page_facts(means, replace(examples.PRESENT, trial_id=25)).trials) == MOST_TRIALS


def test_events_of_more_than_a_year_ago_are_history(means: Means) -> None:
    fact = release("v0.33.0")
    look(means, [], [Event("releases", EventKind.NEW, fact, NOW - days * DAY) for days in (400, 300)])
    shown = page_facts(means, examples.PRESENT)
    assert [event.seen_at for event in shown.events] == [NOW - 300 * DAY]
    assert (shown.more_events, shown.more_trials) == (False, False)


def test_a_page_that_cannot_be_written_is_said_and_raises_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    with opened(tmp_path, said) as means:
        (means.data_dir / "page").write_text("a file is in the way")
        publish(means, examples.PRESENT)
        assert len(said) == 1
        assert said[0].startswith("the page was not written: ")
    assert "error of the watcher itself" not in said[0]


NO_ROOM = """
import os, resource, sys
from pathlib import Path
from tests.jobs.test_publish import opened
from tests.page.examples import PRESENT
from watcher.jobs.publish import publish

folder, said = Path(sys.argv[1]), []
with opened(folder, said) as means:
    publish(means, PRESENT)
    page = means.data_dir / "page" / "index.html"
    first = page.read_text()
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    publish(means, PRESENT)
    print(said, page.read_text() == first, sorted(os.listdir(page.parent)))
"""


def test_without_room_the_old_page_stays_whole(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM, str(tmp_path)], capture_output=True, text=True, cwd=CHECKOUT, check=True
    )
    assert "the page was not written: [Errno 27] File too large" in done.stdout
    assert "True ['answer.json', 'index.html', 'logs', 'metrics', 'trials.json']" in done.stdout


@pytest.mark.parametrize(
    ("source", "pages"),
    [
        ({"kind": "wheel-listing", "url": "https://a.example/pytorch/", "project": "torch"}, ["https://a.example/pytorch/"]),
        ({"kind": "feed", "url": "https://a.example/feed.atom"}, ["https://a.example/feed.atom"]),
        ({"kind": "feed", "url": "https://me:s3cret@a.example/feed.atom"}, ["https://a.example/feed.atom"]),
        ({"kind": "oci-tags", "image": "a.example/vllm", "registry_url": "https://me:s3cret@a.example"},
         ["https://a.example/v2/vllm/tags/list"]),
        ({"kind": "github-releases", "repo": "a/b"}, ["https://github.com/a/b/releases"]),
        ({"kind": "github-threads", "threads": ["a/b#1", "c/d#22"]},
         ["https://github.com/a/b/issues/1", "https://github.com/c/d/issues/22"]),
        ({"kind": "docker-hub", "repository": "dustynv/vllm"}, ["https://hub.docker.com/r/dustynv/vllm/tags?name="]),
        ({"kind": "oci-tags", "image": "ghcr.io/nvidia-ai-iot/vllm"},
         ["https://github.com/orgs/nvidia-ai-iot/packages/container/package/vllm"]),
        ({"kind": "apt", "urls": ["https://a.example/common", "https://a.example/som"], "dists": ["r36.4"],
          "packages": ["p"]}, ["https://a.example/common", "https://a.example/som"]),
        ({"kind": "device"}, []),
    ],
)  # fmt: skip
def test_each_kind_of_source_has_pages_for_a_person(tmp_path: Path, source: dict[str, Any], pages: list[str]) -> None:
    with opened(tmp_path, sources=[{"name": "one", **source}]) as means:
        assert list(pages_of(means.settings.sources[0])) == pages


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[Scene, Web]]:
    with running_web() as web:
        link = b'<a href="torch-2.8.0-cp310-cp310-linux_aarch64.whl#sha256=%s">torch</a>' % (b"a" * 64)
        head = b'<!DOCTYPE html><html><meta name="pypi:repository-version" content="1.0"><body>'
        web.routes["/torch/"] = Reply(200, head + link, {"Content-Type": "text/html"})
        table = {
            "store": {"data_dir": "data"},
            "device": {"docker": "none", "name": "orin"},
            "sources": [{"name": "torch", "kind": "simple-index", "url": f"{web.url}/torch/"}],
        }
        yield Scene(tmp_path, None, table), web


def test_after_a_check_the_page_shows_the_answer(watched: tuple[Scene, Web]) -> None:
    scene, web = watched
    answer = scene.answer("check-now")["answer"]
    page = Page((scene.data_dir / "page" / "index.html").read_text(encoding="utf-8"))
    assert page.faults == []
    assert answer["headline"] in page.text
    assert f"{web.url}/torch/" in page.links
    assert "torchsimple-index · 1 fact" in page.text
    assert json.loads((scene.data_dir / "page" / "answer.json").read_text()) == answer


def test_after_a_check_the_metrics_say_when_it_was_and_how_long_it_took(watched: tuple[Scene, Web]) -> None:
    scene, _ = watched
    check = scene.answer("check-now")
    numbers = dict(
        line.split(" ")
        for line in (scene.data_dir / "page" / "metrics").read_text().splitlines()
        if line.startswith("watcher_last_check")
    )
    began, ended = (datetime.fromisoformat(check[name]).timestamp() for name in ("started_at", "finished_at"))
    assert began <= float(numbers["watcher_last_check_timestamp_seconds"]) <= ended + 1
    assert 0 < float(numbers["watcher_last_check_duration_seconds"]) <= ended - began + 1
    assert 'watcher_source_up{source="torch"} 1.0' in (scene.data_dir / "page" / "metrics").read_text()


def test_a_check_whose_page_cannot_be_written_is_a_check(watched: tuple[Scene, Web]) -> None:
    scene, _ = watched
    scene.data_dir.mkdir()
    (scene.data_dir / "page").write_text("a file is in the way")
    done = scene.watcher("check-now")
    assert done.returncode == 0, done.stderr
    assert "the page was not written" in done.stderr
    assert "Traceback" not in done.stderr
