"""While a trial runs the page follows its stages; whatever becomes of the page, the trial goes on at its own speed."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.jobs.test_publish import opened
from tests.page import examples
from tests.page.reading import Page
from watcher.jobs import stage_pages
from watcher.jobs.means import Means
from watcher.jobs.stage_pages import StagePages
from watcher.model.answer import Answer
from watcher.model.trial import Stage, Trial
from watcher.store import trials


@pytest.fixture
def means(tmp_path: Path) -> Iterator[Means]:
    with opened(tmp_path) as means:
        yield means


def begun(means: Means) -> Trial:
    trial = replace(examples.TRIALS[2], stage=Stage.PREFLIGHT, outcome=None, finished_at=None, starts=(), evidence=())
    with means.store.transaction() as tx:
        return trials.new_trial(tx, trial)


def step(means: Means, trial: Trial, stage: Stage) -> None:
    with means.store.transaction() as tx:
        trials.record_trial(tx, replace(trial, stage=stage), means.clock.now())


def shown(means: Means) -> str:
    page = means.data_dir / "page" / "index.html"
    return Page(page.read_text()).text if page.exists() else ""


def within(seconds: float, means: Means, text: str) -> None:
    ends = time.monotonic() + seconds
    while text not in shown(means):
        assert time.monotonic() < ends, text
        time.sleep(0.02)


def test_the_page_follows_the_stages(means: Means) -> None:
    trial = begun(means)
    with StagePages(means) as pages:
        for stage in (Stage.PULL, Stage.READY):
            step(means, trial, stage)
            pages.turn()
            within(30, means, f"running: {stage.value}")
    assert "stage-pages" not in {thread.name for thread in threading.enumerate()}


def test_stages_that_follow_each_other_fast_make_one_page(means: Means, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_pages, "_TOGETHER_SECONDS", 0.5)
    written = threading.Semaphore(0)

    def write(_: Means, __: Answer) -> bool:
        written.release()
        return True

    with StagePages(means, write) as pages:
        for _ in range(20):
            pages.turn()
        assert written.acquire(timeout=30)
        assert not written.acquire(timeout=1.5)


def test_a_page_that_hangs_holds_up_nothing(means: Means, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_pages, "_PATIENCE_SECONDS", 0.2)
    hanging, asked = threading.Event(), threading.Event()

    def hang(_: Means, __: Answer) -> bool:
        asked.set()
        return hanging.wait(60)

    began = time.monotonic()
    try:
        with StagePages(means, hang) as pages:
            pages.turn()
            assert asked.wait(20)
            step(means, begun(means), Stage.PULL)
            for _ in range(100):
                pages.turn()
            began = time.monotonic()
        assert time.monotonic() - began < 5
    finally:
        hanging.set()


def test_one_that_cannot_be_written_is_tried_once_a_trial(means: Means) -> None:
    tried: list[Answer] = []

    def fail(_: Means, answer: Answer) -> bool:
        tried.append(answer)
        return False

    with StagePages(means, fail) as pages:
        pages.turn()
        ends = time.monotonic() + 30
        while "stage-pages" in {thread.name for thread in threading.enumerate()}:
            assert time.monotonic() < ends
            time.sleep(0.02)
        pages.turn()
    assert len(tried) == 1
