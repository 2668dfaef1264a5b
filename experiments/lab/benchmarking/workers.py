"""A process for each implementation, so that threads, compiled code and the peak of memory are its own.

An implementation is a class that is made of `Settings` in its process, where alone its framework is imported. Its
methods are called from here by name, and may take and return whatever can be pickled.
"""

import contextlib
import importlib
import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Any

from benchmarking import settings as settings_lib

from emogan.util import process

_CLOSING_SECONDS = 20.0


class WorkerError(RuntimeError):
    """What went wrong in an implementation's process, in one line."""


class Worker:
    """An implementation in a process of its own.

    Args:
      target: its class, as "benchmarking.ours:Steps".
      settings: its task.

    Raises:
      WorkerError: if it cannot be made.
    """

    def __init__(self, target: str, settings: settings_lib.Settings):
        self.began = time.perf_counter()
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, target, settings))
        self._process.start()
        theirs.close()
        try:
            self._answer()
        except WorkerError:
            self.close()
            raise

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def call(self, method: str, *arguments: Any) -> Any:
        """Returns what the implementation's method returns.

        Raises:
          WorkerError: if it raises, or its process ends.
        """
        try:
            self._connection.send((method, arguments))
        except OSError as error:
            raise WorkerError(f"its process has ended: {error}") from error
        return self._answer()

    def run(self, steps: int) -> float:
        """Returns the seconds that the implementation took for `steps` steps."""
        return self.call("run", steps)

    def memory(self) -> dict[str, float]:
        """Returns the process's memory in MiB, and the device's where the implementation can tell."""
        return self.call("memory")

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(OSError):
            self._connection.send(("close", ()))
        self._process.join(_CLOSING_SECONDS)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()
        self._connection.close()

    def _answer(self) -> Any:
        try:
            fine, value = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join(_CLOSING_SECONDS)
            raise WorkerError(f"its process ended with status {self._process.exitcode}") from error
        if not fine:
            raise WorkerError(value)
        return value


def _serve(connection: Connection, target: str, settings: settings_lib.Settings) -> None:
    implementation = None
    process.keep_memory()  # as emogan's scripts do; PyTorch is a little faster so, too

    def make() -> None:
        nonlocal implementation
        module, _, name = target.partition(":")
        implementation = getattr(importlib.import_module(module), name)(settings)

    def memory() -> dict[str, float]:
        return process.memory() | (implementation.device_memory() if hasattr(implementation, "device_memory") else {})

    def answer(method: str, *arguments: Any) -> Any:
        return memory() if method == "memory" else getattr(implementation, method)(*arguments)

    connection.send(_attempt(make))
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:  # the parent is gone
            return
        if method == "close":
            return
        connection.send(_attempt(answer, method, *arguments))


def _attempt(function: Any, *arguments: Any) -> tuple[bool, Any]:
    try:
        return True, function(*arguments)
    except Exception as error:  # any error is reported on the other side
        lines = str(error).strip().splitlines() or [""]
        return False, f"{type(error).__name__}: {lines[0]}"
