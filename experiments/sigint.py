"""SIGINT ends a script in one line; importing this comes before all that takes long to import."""

import multiprocessing
import os
import signal
import sys
import types


def raise_it() -> None:
    """Lets SIGINT raise KeyboardInterrupt from now on, so that unfinished work is cleaned up; reported in one line."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.excepthook = _hook


def _hook(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):  # Python then ends by the signal, as a shell expects it
        _say()
    else:
        sys.__excepthook__(kind, error, trace)


def _end(number: int, frame: types.FrameType | None) -> None:
    # No KeyboardInterrupt, which some modules swallow or turn into an ImportError while they are imported.
    _say()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _say() -> None:
    if multiprocessing.parent_process() is None:  # a terminal sends it to all processes, of which one speaks
        print("stopped by SIGINT", file=sys.stderr, flush=True)


if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nohup and the shell's & ignore it on purpose
    signal.signal(signal.SIGINT, _end)
