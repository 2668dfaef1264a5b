"""A signal ends a training after its chunk, with a checkpoint; a second one ends the process."""

import signal
import subprocess
import sys

import pytest

from emogan.train import interrupt


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_raises_where_it_finds_the_program(number):
    before = signal.getsignal(number)
    with pytest.raises(interrupt.Interrupted, match=f"stopped by {number.name}; the same command continues"):
        raise_within(number)
    assert signal.getsignal(number) is before


def raise_within(number):
    with interrupt.Signals() as signals:
        assert signals.caught() == ""
        signal.raise_signal(number)
        pytest.fail("it went on")


def test_deferred_signal_waits_until_it_is_asked_for():
    told = []

    def work():
        with interrupt.Signals() as signals, signals.deferred():
            signal.raise_signal(signal.SIGTERM)
            told.append(signals.caught())

    with pytest.raises(interrupt.Interrupted):
        work()
    assert told == ["SIGTERM"]


def test_without_a_signal_nothing_is_raised():
    with interrupt.Signals() as signals, signals.deferred():
        assert signals.caught() == ""


SECOND = """
import signal
from emogan.train import interrupt
with interrupt.Signals() as signals, signals.deferred():
    signal.raise_signal(signal.SIGTERM)
    print("went on", flush=True)
    signal.raise_signal(signal.SIGINT)
    print("and on")
"""


def test_second_signal_ends_at_once():
    result = subprocess.run([sys.executable, "-c", SECOND], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (-signal.SIGINT, "went on\n"), result.stderr


def test_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as nohup and the shell's & do
    try:
        with interrupt.Signals() as signals:
            signal.raise_signal(signal.SIGINT)
            assert signals.caught() == ""
    finally:
        signal.signal(signal.SIGINT, before)
