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

    `distributions` float32 [N, C] says how likely each of the C classes is, where the data know: rows in [0, 1] whose
    sum is 1. `label_source` is `ferplus` where the labels are not the data's own, and `left_out` how many faces those
    labels left out.

    Raises:
      ValueError: if the arrays' shapes, types or values are not those above.
    """

    images: np.ndarray
    labels: np.ndarray
    name: str = ""
    split: str = ""
    class_names: tuple[str, ...] = emotions.EMOTIONS
    distributions: np.ndarray | None = None
    label_source: str = "own"
    left_out: int = 0

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
        if self.distributions is not None:
            _check_distributions(self.distributions, (len(self.labels), len(self.class_names)))

    def __len__(self) -> int:
        return len(self.images)

    def class_counts(self) -> np.ndarray:
        """Returns how many faces each class has, int64 [len(class_names)]."""
        return np.bincount(self.labels, minlength=len(self.class_names))

    def take(self, chosen: np.ndarray, split: str | None = None) -> "Dataset":
        """Returns the faces that `chosen` names, bool [N] or int [M], as the same split or another."""
        return dataclasses.replace(
            self,
            images=self.images[chosen],
            labels=self.labels[chosen],
            distributions=None if self.distributions is None else self.distributions[chosen],
            split=self.split if split is None else split,
        )

    def fingerprint(self) -> str:
        """Returns a SHA-256 of images, labels and distributions, to tell whether two runs saw the same data."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        if self.distributions is not None:
            digest.update(np.ascontiguousarray(self.distributions).data)
        return digest.hexdigest()


def nobody() -> Dataset:
    """Returns a data set of no faces, for those who want but the shapes of what is made of one."""
    return Dataset(np.zeros((0, IMAGE_SIZE, IMAGE_SIZE), np.uint8), np.zeros(0, np.int32))


def _check_distributions(distributions: np.ndarray, shape: tuple[int, int]) -> None:
    if distributions.dtype != np.float32 or distributions.shape != shape:
        raise ValueError(
            f"expected distributions float32 {list(shape)}, found {distributions.dtype} {list(distributions.shape)}"
        )
    sums = distributions.sum(1)
    if distributions.size and not (distributions.min() >= 0 and np.abs(sums - 1).max() < 1e-4):
        raise ValueError(
            f"expected distributions of at least 0 whose sum is 1, found {distributions.min():g} and more, "
            f"with sums of {sums.min():g} to {sums.max():g}"
        )


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
