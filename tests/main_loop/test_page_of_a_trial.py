"""A real trial as the page tells it: its stages while it runs, then its evidence among the lines of its real log."""

import gzip
import re
import signal
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.main_loop.one_trial import IMAGE, scene_of
from tests.page.reading import Page
from tests.real.docker import PrivateDaemon
from tests.real.scene import Scene


def page_of(scene: Scene) -> Page:
    file = scene.data_dir / "page" / "index.html"
    return Page(file.read_text(encoding="utf-8") if file.exists() else "")


def numbers_of(scene: Scene) -> dict[tuple[str, ...], float]:
    text = (scene.data_dir / "page" / "metrics").read_text()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_trial_that_fails_shows_its_way_and_the_lines_around_what_decided(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    scene = scene_of(clean_engine, tmp_path, "assert")
    trial = scene.answer("trial", "run", IMAGE)["trial"]
    page = page_of(scene)
    assert page.faults == []
    told = page.text.partition("Last trials")[2]
    for stage in ("preflight", "displace", "ready", "teardown", "restore"):
        assert re.search(rf"{stage} [\d.]+ s", told), stage
    (log,) = [link for link in page.links if link.startswith("logs/")]
    lines = gzip.decompress((scene.data_dir / "page" / log).read_bytes()).decode().splitlines()
    (decisive,) = {row["line"] for row in trial["evidence"] if row["line"] and "CachingAllocator" in row["text"]}
    assert "CUDACachingAllocator.cpp" in lines[decisive - 1]
    marked = re.findall(r'<li class="decides"><span class="number">(\d+)</span><bdi>([^<]*)', page.markup)
    assert str(decisive) in {number for number, _ in marked}
    assert all("CUDACachingAllocator.cpp" in text for number, text in marked if number == str(decisive))
    found = numbers_of(scene)
    assert found["watcher_trials_total", "verdict"] == 1
    assert found["watcher_bug_state", "present"] == 1
    assert 0 < found[("watcher_service_away_seconds_total",)] < 240
    assert found["watcher_owed_services", "overdue"] == found[("watcher_trial_running",)] == 0


def test_what_the_engine_told_of_itself_at_the_end_of_its_acceptance_is_kept(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    scene = scene_of(clean_engine, tmp_path, "healthy")
    trial = scene.answer("trial", "run", IMAGE)["trial"]
    assert (trial["bring_up"], trial["acceptance"]["phrases"]["total"]) == ("works", 32)
    (name,) = [link for link in page_of(scene).links if link.endswith(".metrics.txt")]
    kept = (scene.data_dir / "page" / name).read_text()
    found = {one.name: one.value for family in text_string_to_metric_families(kept) for one in family.samples}
    assert found["stub:requests_total"] >= 32, "the phrases were asked before"
    shown = scene.watcher("trial", "show", str(trial["id"])).stdout
    assert f"metrics of start 0: logs/trial-{trial['id']}/start-0.metrics.txt, {len(kept)} bytes" in shown


def test_while_it_runs_the_page_says_in_which_stage_and_whose_service_is_away(
    clean_engine: PrivateDaemon, tmp_path: Path
) -> None:
    scene = scene_of(clean_engine, tmp_path, "never-ready")
    running = scene.started("trial", "run", IMAGE)
    try:
        scene.wait_until(lambda: "running: ready" in page_of(scene).text, seconds=120)
        page = page_of(scene)
        assert "container:assistant" in page.text.partition("Is the bug")[0], "what is owed stands first"
        assert "A trial is running; it gives back what it put aside." in page.text
        assert re.search(r"ready for [\d.]+ s now", page.text)
        found = numbers_of(scene)
        assert (found[("watcher_trial_running",)], found["watcher_owed_services", "in_trial"]) == (1, 1)
    finally:
        running.send_signal(signal.SIGTERM)
        output, trouble = running.communicate(timeout=120)
    assert running.returncode == 130, output + trouble
    assert "running: " not in page_of(scene).text
    assert numbers_of(scene)["watcher_owed_services", "overdue"] == 0
    scene.assert_all_is_as_before()
