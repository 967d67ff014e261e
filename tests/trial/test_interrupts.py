"""Deadlines and signals break out of a blocking call, and never tear apart what is outside of a deadline block."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from watcher.trial.interrupts import DeadlinePassed, Interrupted, Interrupts

LONG = 30.0


@pytest.fixture
def heard() -> Iterator[None]:
    """Let SIGHUP be heard, also where these tests run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def killed_while_waiting(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(LONG)


def test_a_deadline_breaks_a_blocking_call() -> None:
    begun = time.monotonic()
    with Interrupts() as interrupts, pytest.raises(DeadlinePassed) as rung, interrupts.deadline(0.05):
        time.sleep(LONG)
    assert not rung.value.whole_trial
    assert time.monotonic() - begun < LONG / 2


def test_the_total_rings_before_a_longer_stage() -> None:
    with Interrupts() as interrupts:
        assert interrupts.at_most(LONG) == LONG
        interrupts.start_total(0.05)
        assert interrupts.at_most(LONG) <= 0.05
        with pytest.raises(DeadlinePassed) as rung, interrupts.deadline(LONG):
            time.sleep(LONG)
    assert rung.value.whole_trial


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.usefixtures("heard")
def test_a_signal_breaks_a_blocking_call(number: signal.Signals) -> None:
    with Interrupts() as interrupts:
        with pytest.raises(Interrupted), interrupts.deadline(LONG):
            killed_while_waiting(number)
        assert interrupts.noted


def test_what_nohup_switched_off_stays_off() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts, interrupts.deadline(LONG):
            os.kill(os.getpid(), signal.SIGHUP)
        assert not interrupts.noted
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_of_a_deadline_a_signal_is_only_noted_and_raised_by_the_next_block() -> None:
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.noted
        with pytest.raises(Interrupted), interrupts.deadline(LONG):
            time.sleep(LONG)


def test_afterwards_the_old_handlers_stand_again_and_no_timer_runs() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts() as interrupts, interrupts.deadline(LONG):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


class SlowToGo:
    """Its finalizer is under way when it rings: what is raised there Python drops."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile = meanwhile

    def __del__(self) -> None:
        self._meanwhile()


def finalized_while_waiting(meanwhile: Callable[[], None]) -> None:
    SlowToGo(meanwhile)
    time.sleep(LONG)


def test_a_deadline_that_rings_in_a_finalizer_rings_again() -> None:
    with Interrupts() as interrupts, pytest.raises(DeadlinePassed) as rung, interrupts.deadline(0.1):
        finalized_while_waiting(lambda: time.sleep(0.3))
    assert not rung.value.whole_trial


def test_a_signal_that_comes_in_a_finalizer_still_ends_the_block() -> None:
    with Interrupts() as interrupts:
        with pytest.raises(Interrupted), interrupts.deadline(LONG):
            finalized_while_waiting(lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert interrupts.noted


def test_other_trouble_of_a_finalizer_is_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda seen: told.append(seen.exc_value))
    with Interrupts() as interrupts, interrupts.deadline(LONG):
        SlowToGo(lambda: [].pop())
    assert [type(error) for error in told] == [IndexError]
    assert sys.unraisablehook is not sys.__unraisablehook__
