"""E and G of a run: image -> encode -> set the emotion -> decode."""

import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image

from emogan import emotions
from emogan.data import dataset
from emogan.edit import checked, compiled, model_file, previews
from emogan.util import images, types

ALL = "all"

Emotion = str | int | np.ndarray | jax.Array | Sequence[int]

SOURCE, TARGET = "source", "target"  # which labels an E(x, y) takes


class Editor:
    """A trained E and G, which set the emotion on faces; `emogan.load` returns one, of a class for its networks.

    A latent is what E gives: Z numbers after phase `encoder`, a code [S / 4, S / 4, F] after phase `joint`. Faces are
    NumPy or JAX arrays of the model's `spec`, [N, S, S] or [N, S, S, 1] in gray, [N, S, S, 3] in colour, uint8 in
    0..255 or floats in [-1, 1]; N may be 0. An emotion is a name, a label, labels [N], or "all" for every label in its
    order.

    Attributes:
      networks: which networks E and G are.
      class_names: the emotions' names; a label is an index into them.
      variables: of E and of G.
      warps: whether G warps the face before it adds a residual; see `displacement`.
      card: the model card of one that ships with emogan, else empty.
      blends: whether an emotion may be a distribution over emotions; see `FlowEditor`.
    """

    blends = False

    def __init__(
        self,
        networks: model_file.Networks,
        class_names: Sequence[str],
        encoder_variables: types.Params,
        generator_variables: types.Params,
        card: Mapping[str, Any] | None = None,
    ):
        self.networks = networks
        self.card = dict(card or {})
        self.class_names = tuple(class_names)
        self.variables = jax.device_put((encoder_variables, generator_variables))
        self._make_networks()

    def _make_networks(self) -> None:
        """Makes E and G for the variables; a class with another kind of model overrides it."""
        E, G, self._code_shape, self._encoder_takes = self._parts()
        self._encode = functools.partial(compiled.encode, E, self.variables[0])
        self._decode = functools.partial(compiled.decode, G, self.variables[1])
        self.warps = getattr(G, "warps", False)
        self._displacement = functools.partial(compiled.displacement, G, self.variables[1])

    def _parts(self) -> tuple[nn.Module, nn.Module, tuple[int, ...], str]:
        """Returns E, G, the shape of a latent, and which label E takes: `SOURCE`, `TARGET` or "" for none."""
        raise NotImplementedError

    def encode(self, faces: np.ndarray | jax.Array, labels: Emotion | None = None) -> np.ndarray:
        """Returns the latents float32 [N, ...] of faces.

        Args:
          faces: see the class.
          labels: only an E(x, y) needs them: under `model.encoder_labels` the source labels (of the unedited faces),
            under `translator.labels=encoder` the target labels.

        Raises:
          ValueError: if the faces' shape, type or values are not those of the class, or labels are missing or wrong.
        """
        faces = checked.faces(faces, self.spec)
        if labels is None and self._encoder_takes:
            raise ValueError(
                f"expected labels=..., the {self._encoder_takes} labels of the faces, since this run's encoder is "
                "E(x, y), found none"
            )
        # Bytes go to the device in the shape of data sets, floats in that of the networks.
        faces = faces.reshape(len(faces), *(self.spec.byte_shape if faces.dtype == np.uint8 else self.spec.shape))
        labels = self._labels(0 if labels is None else labels, len(faces))
        return compiled.in_batches(self._encode, faces, labels)

    def decode(self, latents: np.ndarray | jax.Array, emotion: Emotion) -> np.ndarray:
        """Returns the faces float32 [N, S, S, C] in [-1, 1] of latents [N, ...], or [C, N, ...] under "all".

        Raises:
          ValueError: if the latents' shape or type, or the emotion, is not as expected.
        """
        return self._decoded(functools.partial(self._decode, as_bytes=False), latents, emotion)

    def faces(
        self,
        faces: np.ndarray | jax.Array,
        emotion: Emotion,
        labels: Emotion | None = None,
        strength: float = 1.0,
    ) -> np.ndarray:
        """Returns the faces with another emotion, or [C, N, ...] with all of them under "all".

        Bytes give bytes and floats float32, with a last axis of 1 where the faces have one.

        Args:
          faces: see the class.
          emotion: see the class.
          labels: the source labels; only an E(x, y) (`model.encoder_labels`) needs them.
          strength: from 0, no change beyond what G makes of the face itself, to 1; above 1, up to 10, exaggerates.
            If G warps the face, the warp and the residual are scaled; otherwise pixels are interpolated between the
            face and its edit.

        Raises:
          ValueError: if the faces, the emotion, the labels or the strength are not those of the class.
        """
        faces = checked.faces(faces, self.spec)
        checked.strength(strength)
        if not is_all(emotion):
            self._labels(emotion, len(faces))  # a wrong one fails before the work of E
        options = {} if strength == 1.0 or not self.warps else {"strength": strength}
        decode = functools.partial(self._decode, as_bytes=faces.dtype == np.uint8, **options)
        answer = self._edits(decode, faces, emotion, labels)
        answer = answer.reshape(*answer.shape[: 2 if is_all(emotion) else 1], *faces.shape[1:])
        return answer if strength == 1.0 or self.warps else _between(faces, answer, strength)

    def sequence(
        self,
        faces: np.ndarray,
        emotion: Emotion,
        strength: float = 1.0,
        progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """Returns the edits of one person's faces in successive frames, which differ as little as the faces do.

        Args:
          faces: see the class.
          emotion: a name or a label.
          strength: as of `faces`.
          progress: called with the number of faces that are done.

        Raises:
          ValueError: as `faces`.
        """
        edits = self.faces(faces, emotion, strength=strength)
        if progress:
            progress(len(edits))
        return edits

    def photo(
        self,
        photo: str | pathlib.Path | PIL.Image.Image | np.ndarray,
        emotion: str,
        faces: Sequence[int] | None = None,
        strength: float = 1.0,
    ) -> PIL.Image.Image:
        """Returns a photograph in which faces have another emotion; needs the extra `photos`.

        Args:
          photo: a file, an image, or uint8 [H, W] or [H, W, 3].
          emotion: an emotion's name.
          faces: which of the faces, counted from 0, from left to right; all if not given.
          strength: as of `faces`.

        Raises:
          FileNotFoundError, ValueError: if it is no photograph, has no such face, or the emotion or the strength is
            not as expected.
        """
        from emogan.edit import photo_files  # here, since it is built on this file

        return photo_files.edited(self, photo, emotion, faces, strength)

    def displacement(self, faces: np.ndarray | jax.Array, emotion: Emotion, strength: float = 1.0) -> np.ndarray | None:
        """Returns from where `faces` takes its pixels before it adds a residual; None for a G that warps nothing.

        float32 [N, S, S, 2], or [C, N, S, S, 2] under "all": how far down and right of a pixel, in pixels.

        Args:
          faces, emotion, strength: as of `faces`.

        Raises:
          ValueError: if they are not those of the class.
        """
        if not self.warps:
            return None
        return self._edits(
            functools.partial(self._displacement, strength=strength), checked.faces(faces, self.spec), emotion, None
        )

    @property
    def spec(self) -> dataset.ImageSpec:
        """What the faces are that the model takes and gives."""
        return self.networks.image

    @property
    def encoder_labels(self) -> str:
        """Which labels E takes with a face: "" (none), `SOURCE` or `TARGET`."""
        return self._encoder_takes

    def edit(self, variables: tuple[types.Params, ...], faces: types.ByteImages, labels: types.Labels) -> types.Images:
        """Returns faces [B, S, S, C] in [-1, 1] with other emotions: a pure function, to be compiled or exported.

        Args:
          variables: see the class.
          faces: uint8 [B, S, S(, 3)]; they are not checked.
          labels: int32 [B], the target labels; they are not checked.

        Raises:
          ValueError: if E needs the source labels.
        """
        if self._encoder_takes == SOURCE:
            raise ValueError(
                "expected a model that edits a face without a source label, found an encoder E(x, y) "
                "(model.encoder_labels); train one without"
            )
        E, G = self._encode.args[0], self._decode.args[0]
        return compiled.decode(G, variables[1], compiled.encode(E, variables[0], faces, labels), labels, as_bytes=False)

    def drawing(
        self, variables: tuple[types.Params, ...], faces: types.ByteImages, labels: types.Labels, strengths: jax.Array
    ) -> jax.Array:
        """Returns `edit` of a strength and from where it took the pixels, [B, S, S, C + 2]; pure, as `edit`.

        The last two channels are those of `displacement`, 0 for a G that warps nothing.

        Args:
          variables, faces, labels: as of `edit`.
          strengths: float32 [B], as of `faces`.

        Raises:
          ValueError: as `edit`.
        """
        strengths = strengths[:, None, None, None]
        if not self.warps:
            floats = images.to_float(faces)
            edits = jnp.clip(floats + strengths * (self.edit(variables, faces, labels) - floats), -1.0, 1.0)
            return jnp.concatenate([edits, jnp.zeros((*edits.shape[:3], 2))], axis=-1)
        E, G = self._encode.args[0], self._decode.args[0]
        latents = compiled.encode(E, variables[0], faces, labels)
        return jnp.concatenate(compiled.drawing(G, variables[1], latents, labels, strengths), axis=-1)

    def label(self, name: str) -> int:
        """Returns the label of an emotion's name, in any case; FER2013's seven have either of their names.

        Raises:
          ValueError: if no class has this name.
        """
        names = [known.lower() for known in self.class_names]
        word = name.strip().lower()
        word = word if word in names else emotions.usual(word)  # data sets are read under FER2013's naming
        if word not in names:
            raise ValueError(f"expected an emotion out of {', '.join(self.class_names)}, found {name!r}")
        return names.index(word)

    def _repr_png_(self) -> bytes:
        """Returns what Jupyter shows of a model."""
        return previews.to_png(self)

    def _edits(
        self, decode: Callable[..., jax.Array], faces: np.ndarray, emotion: Emotion, labels: Emotion | None
    ) -> np.ndarray:
        """Returns what `decode` makes of faces' latents and labels, [N, ...], or [C, N, ...] under "all"."""
        if self._encoder_takes != TARGET:
            return self._decoded(decode, self.encode(faces, labels), emotion)
        every = range(len(self.class_names)) if is_all(emotion) else [emotion]
        answers = [self._decoded(decode, self.encode(faces, one), one) for one in every]
        return np.stack(answers) if is_all(emotion) else answers[0]

    def _decoded(self, decode: Callable[..., jax.Array], latents: Any, emotion: Emotion) -> np.ndarray:
        latents = checked.latents(latents, self._code_shape)
        count, classes = len(latents), len(self.class_names)
        if not is_all(emotion):
            return compiled.in_batches(decode, latents, self._labels(emotion, count))
        labels = np.arange(classes, dtype=np.int32).repeat(count)
        answer = compiled.in_batches(decode, np.tile(latents, (classes, *(1,) * len(self._code_shape))), labels)
        return answer.reshape(classes, count, *answer.shape[1:])

    def _labels(self, emotion: Emotion, count: int) -> np.ndarray:
        """Returns labels int32 [count], checked."""
        labels = np.asarray(self.label(emotion) if isinstance(emotion, str) else emotion)
        if labels.size and not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"expected an emotion's name, a label or integer labels [{count}], found {labels.dtype}")
        if labels.shape not in ((), (count,)):
            raise ValueError(f"expected one label or labels [{count}], found {list(labels.shape)}")
        wrong = labels[(labels < 0) | (labels >= len(self.class_names))]
        if wrong.size:
            raise ValueError(f"expected labels in 0..{len(self.class_names) - 1}, found {wrong.flat[0]}")
        return np.broadcast_to(labels.astype(np.int32), (count,))


def is_all(emotion: Emotion) -> bool:
    """Returns whether an emotion is all of them."""
    return isinstance(emotion, str) and emotion.strip().lower() == ALL


def _between(faces: np.ndarray, edits: np.ndarray, strength: float) -> np.ndarray:
    """Returns what lies on the line from faces to their edits, in their type; 0 is the faces."""
    between = faces + np.float32(strength) * (edits.astype(np.float32) - faces)
    if faces.dtype == np.uint8:
        return np.clip(np.round(between), 0, 255).astype(np.uint8)
    return np.clip(between, -1.0, 1.0)
