"""SIGTERM and SIGINT end a run in order, and nothing is lost."""

import contextlib
import signal
import threading
from collections.abc import Iterator

from jax.experimental import multihost_utils

from emogan.train import hosts

EXIT_STATUS = 75  # EX_TEMPFAIL of sysexits.h: the same command continues


class Interrupted(KeyboardInterrupt):
    """A run that a signal ended in order; the same command continues it.

    No Exception, so that what catches those lets it through as it does with Ctrl-C.
    """


class Signals:
    """Catches SIGTERM and SIGINT; after the first one, another ends the process at once.

    A signal raises Interrupted where it finds the program, but for what is `deferred`. Among several processes JAX's
    own notifier catches SIGTERM, and nothing is raised. Outside the main thread, where Python catches no signals,
    nothing is caught.
    """

    def __init__(self) -> None:
        self._caught = ""
        self._deferred = False
        self._asked = 0
        self._before = {}

    def __enter__(self) -> "Signals":
        if not hosts.are_many() and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                # nohup and the shell's & ignore SIGINT on purpose; None is a handler that Python cannot put back.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._catch)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def caught(self) -> str:
        """Returns the name of the signal that came, or ""; of several processes each must ask after each chunk."""
        if hosts.are_many():
            # JAX proposes the highest count that any process has reached, plus 1: they must go up one by one.
            self._asked += 1
            self._caught = "SIGTERM" if multihost_utils.reached_preemption_sync_point(self._asked) else ""
        return self._caught

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Lets signals wait until `caught` is asked.

        Raises:
          Interrupted: at its end, if one came.
        """
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        if self._caught:
            raise self._interrupted()

    def _catch(self, number: int, frame: object) -> None:
        self._caught = signal.Signals(number).name
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)
        if not self._deferred:
            raise self._interrupted()

    def _interrupted(self) -> Interrupted:
        return Interrupted(f"stopped by {self._caught}; the same command continues")
