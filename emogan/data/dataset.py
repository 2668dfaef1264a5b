"""A data set in memory, and the order in which an epoch reads it."""

import dataclasses
import hashlib

import jax
import jax.numpy as jnp
import numpy as np

from emogan import emotions

IMAGE_SIZE = 48
MOST_FACES = 250_000  # that a reader takes into memory: 0.6 GB, seven times FER2013


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Faces with labels: `images` uint8 [N, 48, 48], `labels` int32 [N] in 0..len(class_names) - 1.

    Raises:
      ValueError: if the arrays' shapes, types or label values are not those above.
    """

    images: np.ndarray
    labels: np.ndarray
    name: str = ""
    split: str = ""
    class_names: tuple[str, ...] = emotions.EMOTIONS

    def __post_init__(self):
        expected = (len(self.images), IMAGE_SIZE, IMAGE_SIZE)
        if self.images.dtype != np.uint8 or self.images.shape != expected:
            raise ValueError(
                f"expected images uint8 [N, {IMAGE_SIZE}, {IMAGE_SIZE}], "
                f"found {self.images.dtype} {list(self.images.shape)}"
            )
        if self.labels.dtype != np.int32 or self.labels.shape != expected[:1]:
            raise ValueError(
                f"expected labels int32 [{len(self.images)}], found {self.labels.dtype} {list(self.labels.shape)}"
            )
        if len(self.labels) and not (self.labels.min() >= 0 and self.labels.max() < len(self.class_names)):
            raise ValueError(
                f"expected labels in 0..{len(self.class_names) - 1}, found {self.labels.min()}..{self.labels.max()}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def class_counts(self) -> np.ndarray:
        """Returns how many faces each class has, int64 [len(class_names)]."""
        return np.bincount(self.labels, minlength=len(self.class_names))

    def fingerprint(self) -> str:
        """Returns a SHA-256 of images and labels, to tell whether two runs saw the same data."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()


def steps_per_epoch(num_examples: int, batch_size: int) -> int:
    """Returns how many whole batches an epoch has; the rest of a permutation is left out of that epoch.

    Raises:
      ValueError: if the data holds less than one batch.
    """
    if num_examples < batch_size:
        raise ValueError(f"expected at least one batch of {batch_size} examples, found {num_examples}")
    return num_examples // batch_size


def total_steps(epochs: float, num_examples: int, batch_size: int) -> int:
    """Returns how many steps so many epochs have, at least one; an epoch need not be a whole one.

    Raises:
      ValueError: if the data holds less than one batch.
    """
    return max(1, round(epochs * steps_per_epoch(num_examples, batch_size)))


def epoch_permutations(key: jax.Array, first_epoch: jax.Array, count: int, num_examples: int) -> jax.Array:
    """Returns the orders of `count` epochs from `first_epoch` on, int32 [count, num_examples].

    Each depends on key and epoch alone, so that the step count says where in the data a run stands.
    """
    epochs = first_epoch + jnp.arange(count)
    return jax.vmap(lambda epoch: jax.random.permutation(jax.random.fold_in(key, epoch), num_examples))(epochs)
