"""The folder of the page: each file whole or as it was, logs beside it, and nothing left over."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.page.examples import NOW, TRIALS, YEAR
from tests.page.reading import Page
from tests.places import CHECKOUT
from watcher.page import write
from watcher.page.facts import KeptLog, PageFacts, TrialDetails
from watcher.page.places import LOGS
from watcher.page.write import write_page

LOG = "logs/trial-3/start-0.log.gz"
METRICS = "logs/trial-3/start-0.metrics.txt"
ADDRESS = "trial-3-start-0.log.gz"
WITH_LOG = replace(YEAR, details={3: TrialDetails(logs=(KeptLog(0, LOG, 10),))})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / LOG).parent.mkdir(parents=True)
    (tmp_path / LOG).write_bytes(gzip.compress(b"the engine's words"))
    return tmp_path


def names(data: Path) -> list[str]:
    folder = data / "page"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_all_that_programs_read_stands_beside_the_page(data: Path) -> None:
    page = write_page(data, WITH_LOG)
    assert names(data) == ["answer.json", "index.html", "logs", f"logs/{ADDRESS}", "metrics", "trials.json"]
    trials = json.loads((page.parent / "trials.json").read_text())
    assert trials["schema"] == "watcher/trials/1"
    assert [one["id"] for one in trials["trials"]] == [one.id for one in TRIALS]
    assert list(text_string_to_metric_families((page.parent / "metrics").read_text()))
    assert json.loads((page.parent / "answer.json").read_text())["headline"] == YEAR.answer.headline
    beside = [link for link in Page(page.read_text()).links if not link.startswith(("https://", "#"))]
    assert all((page.parent / link).is_file() for link in beside)
    assert f"{LOGS}/{ADDRESS}" in beside


def test_a_log_is_a_second_name_of_the_same_file_and_takes_no_room(data: Path) -> None:
    write_page(data, WITH_LOG)
    assert (data / "page" / LOGS / ADDRESS).samefile(data / LOG)
    inode = (data / "page" / LOGS / ADDRESS).stat().st_ino
    write_page(data, WITH_LOG)
    assert (data / "page" / LOGS / ADDRESS).stat().st_ino == inode


def test_metrics_of_a_start_are_linked_like_its_log(data: Path) -> None:
    (data / METRICS).write_text("x 1\n")
    details = TrialDetails(
        logs=(KeptLog(0, LOG, 10),), metrics=(KeptLog(0, METRICS, 4), KeptLog(1, f"{METRICS}.gone", 4))
    )
    page = write_page(data, replace(YEAR, details={3: details}))
    name = f"{LOGS}/trial-3-start-0.metrics.txt"
    assert (page.parent / name).samefile(data / METRICS)
    links = Page(page.read_text()).links
    assert {name, f"{LOGS}/{ADDRESS}"} <= set(links)
    assert not any("start-1.metrics" in link for link in links)
    write_page(data, WITH_LOG)
    assert not (page.parent / name).exists()


def test_on_another_disk_it_is_copied_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refused)
    write_page(data, WITH_LOG)
    copy = data / "page" / LOGS / ADDRESS
    assert gzip.decompress(copy.read_bytes()) == b"the engine's words"
    inode = copy.stat().st_ino
    write_page(data, WITH_LOG)
    assert copy.stat().st_ino == inode


def test_a_log_that_cannot_be_had_leaves_a_page_that_does_not_lead_to_it(data: Path) -> None:
    (data / LOG).unlink()
    page = write_page(data, WITH_LOG)
    assert ADDRESS not in page.read_text()
    assert names(data) == ["answer.json", "index.html", "logs", "metrics", "trials.json"]


def test_logs_of_trials_that_are_not_shown_any_more_go(data: Path) -> None:
    write_page(data, WITH_LOG)
    write_page(data, replace(YEAR, details={}))
    assert names(data) == ["answer.json", "index.html", "logs", "metrics", "trials.json"]
    assert (data / LOG).exists(), "the log itself stays"


def test_what_a_killed_process_left_goes_after_an_hour(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_page(data, YEAR)
    (data / "page" / ".index.html.77-77").write_text("half a pa")
    (data / "page" / LOGS / ".trial-1-start-0.log.gz.77-77").write_text("half a lo")
    write_page(data, YEAR)
    assert len([name for name in names(data) if "77" in name]) == 2, "it may still be written"
    monkeypatch.setattr(write, "_LEFT_SECONDS", -1)
    write_page(data, YEAR)
    assert [name for name in names(data) if "77" in name] == []


WRITER = """
import itertools, sys
from dataclasses import replace
from pathlib import Path
from tests.page.examples import YEAR
from watcher.page.write import write_page

print("ready", flush=True)
for number in itertools.count():
    write_page(Path(sys.argv[1]), replace(YEAR, device=f"device-{number}"))
"""


def test_killed_at_any_moment_it_leaves_whole_files(data: Path) -> None:
    write_page(data, YEAR)
    for attempt in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(data)], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            before = (data / "page" / "index.html").stat().st_mtime_ns
            ends = time.monotonic() + 30
            while (data / "page" / "index.html").stat().st_mtime_ns == before:
                assert time.monotonic() < ends
            time.sleep(0.003 * attempt)  # another moment each time
            writer.send_signal(signal.SIGKILL)
        assert_whole(data)


def assert_whole(data: Path) -> None:
    folder = data / "page"
    assert (folder / "index.html").read_text().endswith("</body></html>\n")
    assert Page((folder / "index.html").read_text()).faults == []
    assert json.loads((folder / "trials.json").read_text())["schema"] == "watcher/trials/1"
    assert json.loads((folder / "answer.json").read_text())["device"] == "orin-nx"
    assert list(text_string_to_metric_families((folder / "metrics").read_text()))


def test_two_that_write_at_once_do_not_spoil_each_others_files(data: Path) -> None:
    command = [sys.executable, "-c", WRITER.replace("itertools.count()", "range(25)"), str(data)]
    writers = [subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    assert_whole(data)
    assert [name for name in names(data) if "/." in f"/{name}"] == []


def test_where_another_was_quicker_with_a_log_no_second_name_is_left(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def link_beside_another(source: Path, neighbour: Path, follow_symlinks: bool) -> None:
        link(source, neighbour, follow_symlinks=follow_symlinks)
        name, _, _ = neighbour.name[1:].rpartition(".")
        link(source, neighbour.with_name(name), follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "link", link_beside_another)
    write_page(data, WITH_LOG)
    assert_whole(data)
    assert [name for name in names(data) if "/." in f"/{name}"] == []


def test_the_folder_itself_is_made(tmp_path: Path) -> None:
    facts: PageFacts = replace(YEAR, now=NOW)
    assert write_page(tmp_path / "deep" / "data", facts).is_file()
