"""The kept log: complete when small, head and tail when large, readable when cut off."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from watcher.trial import engine_log
from watcher.trial.engine_log import EngineLog, read_log


def kept(path: Path, chunks: Iterator[bytes]) -> bytes:
    shown: list[bytes] = []
    log = EngineLog(path, chunks, shown.append).start()
    log.finish()
    text = b"".join(read_log(path))
    assert b"".join(shown).startswith(text.partition(b"\n[watcher:")[0]), "who watches is shown each chunk"
    return text


def test_a_small_log_is_kept_whole(tmp_path: Path) -> None:
    assert kept(tmp_path / "logs" / "start.gz", iter([b"one\ntwo\n", b"last line\n"])) == b"one\ntwo\nlast line\n"


def test_a_flood_keeps_its_head_and_its_tail_and_says_what_was_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_log, "HEAD_BYTES", 1000)
    monkeypatch.setattr(engine_log, "TAIL_BYTES", 200)
    lines = [b"line %06d\n" % number for number in range(1000)]
    text = kept(tmp_path / "start.gz", iter(lines))
    assert text.startswith(b"line 000000\n")
    assert text.endswith(b"line 000999\n")
    assert b"bytes of this log were left out here" in text
    assert len(text) < 2000


def test_a_log_cut_off_by_a_crash_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "start.gz"
    whole = gzip.compress(b"".join(b"line %06d\n" % number for number in range(20000)))
    path.write_bytes(whole[: len(whole) // 2])
    assert b"".join(read_log(path)).startswith(b"line 000000\n")


def test_of_a_log_that_is_still_written_all_is_read_that_was_flushed(tmp_path: Path) -> None:
    path = tmp_path / "start.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"line 000000\n" * 3)
        file.flush()
        assert b"".join(read_log(path)) == b"line 000000\n" * 3


def test_a_log_that_is_gone_reads_as_empty(tmp_path: Path) -> None:
    assert list(read_log(tmp_path / "none.gz")) == []
