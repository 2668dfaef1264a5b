"""Checkpoints of one phase; the only file that knows Orbax."""

import hashlib
import logging
import pathlib
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from orbax.checkpoint import v1 as ocp


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: what was expected, what was found, what to do."""


class Checkpoints:
    """The checkpoints of one phase in one folder: the newest few, written in the background, each one whole or absent.

    Args:
      directory: where they lie; made if missing.
      keep: how many of the newest stay.
    """

    def __init__(self, directory: pathlib.Path, keep: int = 2):
        # Orbax logs every save at INFO and WARNING; what a user needs to know is told by the loop.
        logging.getLogger("absl").setLevel(logging.ERROR)
        self._directory = pathlib.Path(directory).absolute()
        self._checkpointer = ocp.training.Checkpointer(
            self._directory,
            preservation_policy=ocp.training.preservation_policies.LatestN(keep),
            cleanup_tmp_directories=True,
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def latest_step(self) -> int | None:
        """The step of the newest whole checkpoint, or None."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(self, step: int, state: Any, about: dict[str, Any]) -> None:
        """Saves a state in the background; `about` is small JSON that `restore` gives back.

        The state's arrays may be donated as soon as this returns.
        """
        # Orbax loads a flipped byte silently, so the checksum is ours to keep.
        metadata = {"checksum": checksum(state), **about}
        self._checkpointer.save_async(step, state, force=True, custom_metadata=metadata)

    def about(self) -> dict[str, Any]:
        """Returns the newest checkpoint's `about`.

        Raises:
          CheckpointError: if there is no checkpoint.
        """
        return dict(self._checkpointer.metadata(self._newest()).custom_metadata)

    def restore(self, target: Any) -> Any:
        """Returns the newest state, with the structure, types and placement of `target`.

        Raises:
          CheckpointError: if there is no checkpoint, or it was damaged, or it is of another model.
        """
        step = self._newest()
        where = self._directory / str(step)
        try:
            state = self._checkpointer.load(step, target)
        except Exception as error:  # Orbax, TensorStore and JSON each have their own, and they change with versions
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(
                f"{where}: expected a whole checkpoint of this model, found {type(error).__name__}: {reason}; "
                "delete this folder to continue from the one before"
            ) from error
        if checksum(state) != self.about()["checksum"]:
            raise CheckpointError(
                f"{where}: expected the bytes that were saved, found others; "
                "delete this folder to continue from the one before"
            )
        return state

    def wait(self) -> None:
        """Returns when the last save is whole on disk."""
        self._checkpointer.wait()

    def close(self) -> None:
        """Waits for the last save and lets go of the folder."""
        self._checkpointer.close()

    def _newest(self) -> int:
        step = self.latest_step
        if step is None:
            raise CheckpointError(f"{self._directory}: expected a checkpoint, found none; train first")
        return step


def checksum(state: Any) -> str:
    """Returns a SHA-256 over the names, shapes, types and bytes of a state's arrays."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        array = np.asarray(_gathered(leaf))
        digest.update(f"{jax.tree_util.keystr(path)}{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _gathered(leaf: Any) -> Any:
    """Returns an array whole, which may lie in parts on the devices of several processes."""
    if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        return multihost_utils.process_allgather(leaf, tiled=True)
    return leaf


def newest_step(directory: pathlib.Path) -> int:
    """Returns the step of the newest checkpoint in a folder, or 0; the folder may be one that a training writes to."""
    if not directory.is_dir():
        return 0
    return max((int(child.name) for child in directory.iterdir() if child.name.isdigit()), default=0)
