"""The two lines that are drawn anew: what they say, and that they fit whatever width there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.cli.live import Shown, clock_text, last_line

READY = Shown("ready", "waiting until vLLM with profile plain is ready", 900, begun=100)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (42.4, "0:42"), (900, "15:00"), (3600, "1:00:00"), (90061, "25:01:01")]
)
def test_times_read_as_on_a_clock(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (79, "ready  waiting until vLLM with profile plain is ready   0:42 of 15:00"),
        (40, "ready  waiting until vL…   0:42 of 15:00"),
        (24, "ready 0:42 of 15:00"),
        (19, "ready 0:42 of 15:00"),
        (15, "ready 0:42"),
        (3, "re…"),
    ],
)
def test_where_there_is_little_room_the_time_stays_longest(width: int, line: str) -> None:
    assert READY.line(142, width) == line


@given(st.text(), st.text(), st.integers(1, 200), st.none() | st.floats(0, 1e6))
def test_the_first_line_never_is_wider_than_the_terminal(
    stage: str, doing: str, width: int, seconds: float | None
) -> None:
    assert len(Shown(stage[:10], doing, seconds, begun=0).line(1e5, width)) <= width


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (b"", ""),
        (b"INFO one\nINFO two\n", "INFO two"),
        (b"INFO one\nINFO tw", "INFO tw"),
        (b"INFO one\n\n  \r\n", "INFO one"),
        (b"loading:  10 %\rloading:  60 %\r", "loading: 60 %"),
        (b"\x1b[36m(EngineCore pid=7)\x1b[0m loading\n", "(EngineCore pid=7) loading"),
        (b"\x1b]0;title\x07\x1b[2J\x1b[?25l\x9b2Jtext\x07 \xe2\x80\xaereversed\n", "2Jtext reversed"),
        ("\N{PILE OF POO} half ".encode() + b"\xf0\x9f", "\N{PILE OF POO} half"),
    ],
)
def test_the_last_line_of_a_log_that_says_something(log: bytes, line: str) -> None:
    assert last_line(log, 79) == line


@given(st.binary(), st.integers(1, 200))
def test_no_log_reaches_the_terminal_with_more_than_text(log: bytes, width: int) -> None:
    line = last_line(log, width)
    assert len(line) <= width
    assert not [character for character in line if ord(character) < 32 or 127 <= ord(character) < 160]
