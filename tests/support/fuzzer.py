"""Readers against thousands of hostile inputs, each reader in a process of its own with little memory."""

import dataclasses
import importlib
import multiprocessing
import pathlib
import random
import resource
import shutil
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection

from support import cases

from emogan.util import process


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one reader may take: `seconds` for an input, and `memory_mib` beyond what its process has at the start."""

    seconds: float = 30.0
    memory_mib: int = 2048


@dataclasses.dataclass
class Tally:
    """What became of a reader's inputs; `fault` is the first that was neither accepted nor refused in one line."""

    reader: str
    accepted: int = 0
    refused: int = 0
    slowest: float = 0.0  # seconds
    start_mib: float = 0.0
    peak_mib: float = 0.0
    fault: str = ""

    @property
    def inputs(self) -> int:
        """Returns how many inputs were read."""
        return self.accepted + self.refused


def run(
    reader: str,
    inputs: int,
    seed: int,
    folder: pathlib.Path,
    limits: Limits,
    progress: Callable[[int, int], None],
    makers: str = "support.cases",
) -> Tally:
    """Returns what became of so many inputs of one reader, up to the first fault.

    Args:
      reader: a name in `MAKERS` of the module `makers`.
      inputs: how many; each is made from seed, reader and its number alone.
      seed: of the inputs.
      folder: a new folder for one input at a time; after a fault it holds the one at fault, else it is taken away.
      limits: what is a fault, beside an exception that is no ValueError or OSError, or says no single line.
      progress: told (done, inputs).
      makers: the module's name; the process imports it, since most makers cannot be sent there.
    """
    tally, late = Tally(reader), f"no answer within {limits.seconds:g} s"
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    worker = context.Process(target=_read_all, args=(theirs, makers, reader, inputs, seed, folder, limits.memory_mib))
    worker.start()
    theirs.close()
    try:
        tally.start_mib = tally.peak_mib = ours.recv()
        while tally.inputs < inputs and not tally.fault:
            if not ours.poll(limits.seconds):
                tally.fault = late
                break
            accepted, seconds, tally.peak_mib, tally.fault = ours.recv()
            if not tally.fault and seconds > limits.seconds:  # the answer came while nobody waited for it
                accepted, tally.fault = False, late
            tally.accepted += accepted
            tally.refused += not accepted and not tally.fault
            tally.slowest = max(tally.slowest, seconds)
            progress(tally.inputs, inputs)
    except EOFError:
        worker.join()
        tally.fault = f"the process ended with status {worker.exitcode}"
    finally:
        worker.kill()
        worker.join()
        ours.close()
    if tally.fault:
        tally.fault = f"input {tally.inputs}: {tally.fault}"
    else:
        shutil.rmtree(folder)
    return tally


def _read_all(
    connection: Connection, makers: str, reader: str, inputs: int, seed: int, folder: pathlib.Path, memory_mib: int
) -> None:
    warnings.simplefilter("error")  # a warning would be a second line
    make = importlib.import_module(makers).MAKERS[reader]
    now = process.memory()
    _limit_memory(memory_mib)
    start = now.get("resident_mib", now["peak_mib"])
    connection.send(start)
    for number in range(inputs):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        read = make(random.Random(f"{seed} {reader} {number}"), folder)
        began, accepted, fault = time.perf_counter(), False, ""
        try:
            accepted = cases.check(read)
        except BaseException as error:  # whatever it is, it is the fault that is looked for
            fault = f"{type(error).__name__}: {error}"
        seconds, peak = time.perf_counter() - began, process.memory()["peak_mib"]
        if not fault and peak - start > memory_mib:
            accepted, fault = False, f"{peak - start:.0f} MiB beyond the start"
        connection.send((accepted, seconds, peak, fault))
        if fault:  # its input is to stay
            return


def _limit_memory(mib: int) -> None:
    """Lets the process have so much more address space than it has now, where the system tells how much that is."""
    statm = pathlib.Path("/proc/self/statm")
    if statm.exists():
        most = int(statm.read_text().split()[0]) * resource.getpagesize() + (mib << 20)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
