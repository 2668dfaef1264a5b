"""A data set in memory, and the order in which an epoch reads it."""

import dataclasses
import hashlib

import jax
import jax.numpy as jnp
import numpy as np

from emogan import emotions

SIZES = (32, 48, 64, 96, 128)  # pixels of a face's sides
MOST_FACES = 250_000  # that a reader takes into memory, seven times FER2013: 0.6 GB of 48x48 gray
# Splits that scores are measured on; docs/data.md says which data have which.
HELD_OUT = ("valid", "public", "private", "test", "validation")


@dataclasses.dataclass(frozen=True)
class ImageSpec:
    """The faces of a data set: squares of `size` pixels a side, gray or in colour; the defaults are FER2013's.

    Attributes:
      size: pixels of a side, one of `SIZES`.
      channels: 1 for gray, 3 for red, green and blue.

    Raises:
      ValueError: if there is no such size or number of channels.
    """

    size: int = 48
    channels: int = 1

    def __post_init__(self):
        if self.size not in SIZES:
            raise ValueError(f"expected faces of {one_of(SIZES)} pixels a side, found {self.size!r:.20}")
        if self.channels not in (1, 3):
            raise ValueError(f"expected faces with 1 channel (gray) or 3 (colour), found {self.channels!r:.20}")

    def __str__(self) -> str:
        return f"{self.size}x{self.size} {'gray' if self.channels == 1 else 'colour'}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of a face as networks take it, [S, S, C]."""
        return self.size, self.size, self.channels

    @property
    def byte_shape(self) -> tuple[int, ...]:
        """The shape of a face as data sets hold it: [S, S] in gray, [S, S, 3] in colour."""
        return self.shape[:2] if self.channels == 1 else self.shape


def one_of(sizes: tuple[int, ...]) -> str:
    """Returns sizes in words: "32, 48 or 64"."""
    return f"{', '.join(map(str, sizes[:-1]))} or {sizes[-1]}"


FER2013 = ImageSpec()


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Faces with labels: `images` uint8 [N, S, S] or [N, S, S, 3], `labels` int32 [N] in 0..len(class_names) - 1.

    `distributions` float32 [N, C] says how likely each of the C classes is, where the data know: rows in [0, 1] whose
    sum is 1. `targets` int32 [N] and `edits`, uint8 as the images, are what a teacher made of each face: its edit to
    the target label; `references`, uint8 as the images, are real faces of the target labels. `label_source` is
    `ferplus` where the labels are not the data's own, and `left_out` how many faces those labels left out.

    Raises:
      ValueError: if the arrays' shapes, types or values are not those above.
    """

    images: np.ndarray
    labels: np.ndarray
    name: str = ""
    split: str = ""
    class_names: tuple[str, ...] = emotions.EMOTIONS
    distributions: np.ndarray | None = None
    targets: np.ndarray | None = None
    edits: np.ndarray | None = None
    references: np.ndarray | None = None
    label_source: str = "own"
    left_out: int = 0

    def __post_init__(self):
        shape = self.images.shape
        square = len(shape) > 2 and shape[1] == shape[2] in SIZES and shape[3:] in ((), (3,))
        if self.images.dtype != np.uint8 or not square:
            raise ValueError(
                f"expected images uint8 [N, S, S] or [N, S, S, 3] with S of {one_of(SIZES)}, "
                f"found {self.images.dtype} {list(shape)}"
            )
        if self.labels.dtype != np.int32 or self.labels.shape != shape[:1]:
            raise ValueError(
                f"expected labels int32 [{len(self.images)}], found {self.labels.dtype} {list(self.labels.shape)}"
            )
        if len(self.labels) and not (self.labels.min() >= 0 and self.labels.max() < len(self.class_names)):
            raise ValueError(
                f"expected labels in 0..{len(self.class_names) - 1}, found {self.labels.min()}..{self.labels.max()}"
            )
        if self.distributions is not None:
            _check_distributions(self.distributions, (len(self.labels), len(self.class_names)))
        if self.edits is not None or self.references is not None:
            self._check_edits()

    def _check_edits(self) -> None:
        images, labels = f"uint8 {list(self.images.shape)}", f"int32 [{len(self.labels)}]"
        for name, expected in (("edits", images), ("references", images), ("targets", labels)):
            values = getattr(self, name)
            found = "none" if values is None else f"{values.dtype} {list(values.shape)}"
            if found != expected:
                raise ValueError(f"expected {name} {expected} with the faces, found {found}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def spec(self) -> ImageSpec:
        """What the faces are."""
        return ImageSpec(self.images.shape[1], 1 if self.images.ndim == 3 else 3)

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
            targets=None if self.targets is None else self.targets[chosen],
            edits=None if self.edits is None else self.edits[chosen],
            references=None if self.references is None else self.references[chosen],
            split=self.split if split is None else split,
        )

    def fingerprint(self) -> str:
        """Returns a SHA-256 of images, labels and distributions, to check whether two runs saw the same data."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        if self.distributions is not None:
            digest.update(np.ascontiguousarray(self.distributions).data)
        return digest.hexdigest()


def no_faces(spec: ImageSpec, class_names: tuple[str, ...] = emotions.EMOTIONS) -> Dataset:
    """Returns a data set without faces, where only the shapes of what is made of it are needed."""
    return Dataset(np.zeros((0, *spec.byte_shape), np.uint8), np.zeros(0, np.int32), class_names=class_names)


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
    """Returns how many steps `epochs` epochs have, at least one; the number of epochs may be a fraction.

    Raises:
      ValueError: if the data holds less than one batch.
    """
    return max(1, round(epochs * steps_per_epoch(num_examples, batch_size)))


def epoch_permutations(key: jax.Array, first_epoch: jax.Array, count: int, num_examples: int) -> jax.Array:
    """Returns the orders of `count` epochs from `first_epoch` on, int32 [count, num_examples].

    Each depends only on key and epoch, so that the step count gives the position of a run in the data.
    """
    epochs = first_epoch + jnp.arange(count)
    return jax.vmap(lambda epoch: jax.random.permutation(jax.random.fold_in(key, epoch), num_examples))(epochs)
