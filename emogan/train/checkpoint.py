"""Checkpoints of one phase; the only file that knows Orbax."""

import contextlib
import dataclasses
import gc
import hashlib
import json
import logging
import pathlib
import re
import shutil
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from orbax.checkpoint import v1 as ocp

from emogan.train import hosts, writers
from emogan.util import untrusted, weights

_ABANDONED_SECONDS = 0.2  # within which reads of local files end


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: what was expected, what was found, what to do."""


@dataclasses.dataclass(frozen=True)
class Saved:
    """A whole checkpoint: after which step, the state, and what was saved with it."""

    step: int
    state: Any
    about: dict[str, Any]


def place(folder: pathlib.Path) -> pathlib.Path:
    """Returns the whole path of a folder that holds checkpoints, or is to hold them; to be asked before any work.

    Raises:
      CheckpointError: if it has a backslash, which TensorStore reads as a slash: it would write to another folder.
    """
    whole = pathlib.Path(folder).absolute()
    if "\\" in str(whole):
        raise CheckpointError(
            f"{folder}: expected a path without a backslash, which checkpoints cannot have, found {whole}; choose "
            "another --workdir (in WSL C:\\ is /mnt/c/)"
        )
    return whole


class Checkpoints:
    """The checkpoints that a training writes into one folder: the newest few, each one whole or absent.

    They are written in the background. What a killed process left half-written is deleted.

    Args:
      directory: where they lie; made if missing.
      keep: how many of the newest stay.
    """

    def __init__(self, directory: pathlib.Path, keep: int = 2):
        _hush()
        self._directory = place(directory)
        self._checkpointer = ocp.training.Checkpointer(
            self._directory,
            preservation_policy=ocp.training.preservation_policies.LatestN(keep),
            cleanup_tmp_directories=True,
        )
        self._saving = None

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        # The error that ended the training is reported, and not that the last save then failed too.
        with contextlib.suppress(OSError) if kind else contextlib.nullcontext():
            self.close()

    @property
    def latest_step(self) -> int | None:
        """The step of the newest checkpoint, or None; after `restore` it is the one restored."""
        return newest_step(self._directory) or None

    def save(self, step: int, state: Any, about: dict[str, Any]) -> None:
        """Saves a state in the background; `about` is small JSON that comes back with it.

        The state's arrays may be donated as soon as this returns.

        Raises:
          OSError: if this save, or the one before, cannot be written, as on a full disk.
        """
        # Orbax loads a flipped byte silently, so the checksum is ours to keep.
        metadata = {"checksum": _sealed(weights.checksum(state), about), **about}
        with self._writing():
            self._settle()
            self._saving = self._checkpointer.save_async(step, state, force=True, custom_metadata=metadata)

    def about(self) -> dict[str, Any]:
        """Returns what was saved with the newest checkpoint that can be read.

        Raises:
          CheckpointError: if there is none.
        """
        unread = {}
        for step in reversed(_steps(self._directory)):
            try:
                with _quiet_reads():
                    return _about(self._directory / str(step))
            except Exception as error:  # as in `_newest_whole`
                unread[step] = _reason(error)
        raise _none_whole(self._directory, unread)

    def restore(self, target: Any) -> Any:
        """Returns the newest whole state, with the structure, types and placement of `target`.

        Damaged checkpoints that are newer than it are named and deleted: the training writes them again.

        Raises:
          CheckpointError: if there is no checkpoint, or none is a whole one of this model; then none is deleted.
        """
        saved, damaged = _newest_whole(self._directory, target)
        if damaged:
            if hosts.is_first():
                for step in damaged:
                    shutil.rmtree(self._directory / str(step))
            hosts.meet("damaged checkpoints are deleted")
            self._checkpointer.reload()
        return saved.state

    def wait(self) -> None:
        """Returns when the last save is whole on disk.

        Raises:
          OSError: if it cannot be written.
        """
        with self._writing():
            self._settle()
            self._checkpointer.wait()

    def close(self) -> None:
        """Waits for the last save and lets go of the folder.

        Raises:
          OSError: if the last save cannot be written.
        """
        with self._writing():
            try:
                self._settle()
            finally:
                self._checkpointer.close()

    def _settle(self) -> None:
        # Nobody else ends the thread, and closes the files, that Orbax answers a save with.
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.result()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # TensorStore has its own for what the system refuses
            raise OSError(
                f"{self._directory}: expected to write a checkpoint, found: {_reason(error)}; "
                "those before it are kept, and the same command continues from there"
            ) from error


def read(directory: pathlib.Path, target: Any) -> Saved:
    """Returns the newest whole checkpoint of a folder, which may be one that a training writes to.

    Args:
      directory: where the checkpoints lie; nothing in it is changed.
      target: gives the state's structure, types and placement.

    Raises:
      CheckpointError: if there is no checkpoint, or none is a whole one of this model.
    """
    _hush()
    return _newest_whole(place(directory), target)[0]


def _newest_whole(directory: pathlib.Path, target: Any) -> tuple[Saved, list[int]]:
    """Returns the newest whole checkpoint, and the steps of newer ones, which are damaged."""
    damaged = {}
    for step in reversed(_steps(directory)):
        found, reason = None, "others could not read it"
        try:
            with _quiet_reads():
                found = _load(directory / str(step), target)
        except Exception as error:  # Orbax, TensorStore and JSON each have their own, and they change with versions
            reason = _reason(error)
        if hosts.all_of(found is not None):
            for other, why in damaged.items():
                writers.warn(f"{directory / str(other)}: damaged, passed over for step {step}; {why}")
            return found, list(damaged)
        if not ((directory / str(step)).exists() or hosts.are_many()):
            return _newest_whole(directory, target)  # the training that writes here has deleted it for a newer one
        damaged[step] = reason
    raise _none_whole(directory, damaged)


def _none_whole(directory: pathlib.Path, damaged: Mapping[int, str]) -> CheckpointError:
    """Returns what to raise where every checkpoint of a folder is damaged, each for its reason."""
    if not damaged:
        return CheckpointError(f"{directory}: expected a checkpoint, found none; train first")
    return CheckpointError(
        f"{directory}: expected a whole checkpoint of this model, found in "
        + "; in ".join(f"{directory / str(step)} {why}" for step, why in damaged.items())
        + "; delete this folder to train the phase from its beginning"
    )


def _load(where: pathlib.Path, target: Any) -> Saved:
    about = _about(where)
    kept = about.pop("checksum")
    state = ocp.load(where, target)
    found = weights.checksum(state)
    if kept not in (_sealed(found, about), found):  # once, the checksum was of the state alone
        raise CheckpointError("expected the bytes that were saved, found others")
    return Saved(int(where.name), state, about)


def _reason(error: Exception) -> str:
    """Returns what an error says in one short line; TensorStore's long ones hold the system's own."""
    while error.__cause__:
        error = error.__cause__
    system = re.search(r"([^:]+) \[os_error_code=", str(error))
    return system[1].strip() if system else untrusted.reason(error)


@contextlib.contextmanager
def _quiet_reads() -> Iterator[None]:
    """Lets reads that fail raise, and nothing else: Orbax abandons the others, which report it from their threads."""
    hooks, disabled = (sys.excepthook, sys.unraisablehook), logging.root.manager.disable
    sys.excepthook, sys.unraisablehook = lambda *told: None, lambda told: None
    logging.disable()
    try:
        yield
    except Exception:
        time.sleep(_ABANDONED_SECONDS)
        with warnings.catch_warnings(action="ignore"):
            gc.collect()
        raise
    finally:
        sys.excepthook, sys.unraisablehook = hooks
        logging.disable(disabled)


def _about(where: pathlib.Path) -> dict[str, Any]:
    about = dict(ocp.metadata(where).custom_metadata or {})
    if "checksum" not in about:
        raise CheckpointError("expected a checksum with the state, found none")
    return about


def _sealed(state: str, about: dict[str, Any]) -> str:
    return hashlib.sha256((state + json.dumps(about, sort_keys=True)).encode()).hexdigest()


def _hush() -> None:
    # Orbax logs every save at INFO and WARNING, and a damaged file at ERROR; messages for the user are printed here.
    logging.getLogger("absl").setLevel(logging.CRITICAL)


def _steps(directory: pathlib.Path) -> list[int]:
    """Returns the steps of all checkpoints in a folder in order; those half-written have other names."""
    if not directory.is_dir():
        return []
    return sorted(int(child.name) for child in directory.iterdir() if child.name.isdigit() and child.is_dir())


def is_finite(state: Any) -> bool:
    """Returns whether all floats of a state are numbers."""
    arrays = (np.asarray(weights.gathered(leaf)) for leaf in jax.tree.leaves(state))
    return all(np.isfinite(array).all() for array in arrays if jnp.issubdtype(array.dtype, jnp.floating))


def newest_step(directory: pathlib.Path) -> int:
    """Returns the step of the newest checkpoint in a folder, or 0; the folder may be one that a training writes to."""
    return max(_steps(directory), default=0)
