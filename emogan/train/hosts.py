"""Several processes, on one host or many, that train together."""

import jax
import numpy as np
from jax.experimental import multihost_utils

from emogan.train import writers


def join(coordinator: str = "", processes: int = 0, process: int = -1) -> None:
    """Joins the other processes; to be called before JAX uses a device.

    Without arguments the cluster's environment variables are used (SLURM, Open MPI, Kubernetes and others that JAX
    knows). Only process 0 continues to print.

    Args:
      coordinator: host:port of process 0.
      processes: how many there are.
      process: which one this is, from 0.

    Raises:
      ValueError: if only some of the arguments are given, or no cluster is found.
    """
    given = (bool(coordinator), processes > 0, process >= 0)
    if any(given) and not all(given):
        raise ValueError(
            "expected --coordinator_address, --num_processes and --process_id together, or none of them in a cluster "
            f"that JAX knows, found {coordinator or 'no'} address, {processes} processes, process {process}"
        )
    if process >= processes > 0:
        raise ValueError(f"--process_id: expected 0 to {processes - 1}, found {process}")
    try:
        jax.distributed.initialize(*((coordinator, processes, process) if all(given) else ()))
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"--distributed: expected to join {processes or 'the'} processes, found: {reason}; in a cluster that JAX "
            "does not know give --coordinator_address, --num_processes and --process_id"
        ) from error
    if jax.process_index():
        writers.silence()


def are_many() -> bool:
    """Returns whether there are other processes."""
    return jax.process_count() > 1


def is_first() -> bool:
    """Returns whether this process is the one that writes."""
    return jax.process_index() == 0


def agreed(value: int) -> int:
    """Returns the first process's value, in all of them."""
    return int(multihost_utils.broadcast_one_to_all(np.int32(value))) if are_many() else value


def all_of(value: bool) -> bool:
    """Returns whether it is so in all processes."""
    return bool(np.all(multihost_utils.process_allgather(np.bool_(value)))) if are_many() else value


def meet(place: str) -> None:
    """Returns when all processes are at the same place."""
    if are_many():
        multihost_utils.sync_global_devices(place)
