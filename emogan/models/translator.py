"""E and G of a joint training: a face becomes a spatial code, and a code and a label a face again."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from emogan.data import dataset
from emogan.models import conv, normalisation, precision
from emogan.util import ranges, types


@dataclasses.dataclass
class TranslatorConfig:
    """The networks of phase `joint`."""

    RENAMED: ClassVar[Mapping[str, str]] = {"informed": "guidance_features"}
    MAY_CHANGE: ClassVar[tuple[str, ...]] = ("strength", "mirrored")
    width: int = 32  # channels of E and G at half the size; at a quarter, where the code is, three times as many
    blocks: int = 2  # residual blocks at the code's size, of E and of G each
    labels: str = "generator"  # where the target emotion enters: generator, as G(E(x) | y), or encoder, as StarGAN
    skip: bool = True  # whether the code holds the face itself, of which G changes a part under a mask
    reach: int = 4  # under `skip`: by how many pixels the face in the code can be warped; 0 leaves it as it is
    strength: str = "1"  # of finished networks' warp, in that of training; or one for each emotion, as 1.1,1,...
    mirrored: bool = False  # whether finished networks see the mirror image of a face, too, and draw the mean of both
    critic_width: int = 48  # channels of D's first convolution; the others are 2, 4 and 8 times as wide
    projection: bool = True  # whether D is conditioned on the label, or only predicts it
    guidance_features: bool = False  # whether D gets the first guidance classifier's features of a face, too

    def check(self) -> None:
        ranges.between("translator.width", self.width, 1, 1024)
        ranges.between("translator.blocks", self.blocks, 1, 64)
        ranges.one_of("translator.labels", self.labels, ("generator", "encoder"))
        ranges.between("translator.reach", self.reach, 0, 24)
        for strength in self.strengths():
            ranges.between("translator.strength", strength, 0.0, 10.0)
        ranges.between("translator.critic_width", self.critic_width, 1, 1024)

    def strengths(self) -> tuple[float, ...]:
        """Returns `strength` as numbers: one, or one for each emotion.

        Raises:
          ValueError: if it is something else.
        """
        return ranges.numbers("translator.strength", self.strength)


_FOLD = 4  # pixels of a face's side for each of the code's
_CLOSED = -4.0  # added to the mask's logits, so that at first the face in the code shines through
_SHADING = 2  # how often the residual is smoothed: it shades, and lines are drawn by the warp alone
_WEIGHTS = nn.initializers.he_normal()


def fold(images: types.Images) -> jax.Array:
    """Returns faces [B, S, S, C] as maps [B, S / 4, S / 4, 16 * C], one for each place in a square of 4x4 pixels."""
    channels, size = images.shape[-1], images.shape[1] // _FOLD
    x = images.reshape(-1, size, _FOLD, size, _FOLD * channels)
    return x.transpose(0, 1, 3, 2, 4).reshape(-1, size, size, _FOLD * _FOLD * channels)


def unfold(maps: jax.Array) -> types.Images:
    """Returns the faces [B, S, S, C] of `fold`."""
    channels, size = maps.shape[-1] // _FOLD**2, maps.shape[1]
    x = maps.reshape(-1, size, size, _FOLD, _FOLD * channels)
    return x.transpose(0, 1, 3, 2, 4).reshape(-1, _FOLD * size, _FOLD * size, channels)


def smooth(x: jax.Array) -> jax.Array:
    """Returns maps [B, H, W, C] filtered by (1, 2, 1) / 4 in both directions, the border repeated.

    It takes out what alternates from pixel to pixel, as the outputs of a transposed convolution of stride 2 do (Odena
    et al. 2016); E and G would satisfy a guidance classifier with it.
    """
    # As matrix products: of sums of moved maps, XLA on CPU computes what they are made of again for each of them.
    for size in x.shape[1:3]:  # rows, then columns: each product moves the new axis to the end
        weights = sum(np.eye(size)[np.clip(np.arange(size) + step, 0, size - 1)] for step in (-1, 0, 0, 1)) / 4
        x = jnp.tensordot(x, jnp.asarray(weights, x.dtype), axes=(1, 1))
    return x.transpose(0, 2, 3, 1)


def mirror(maps: jax.Array) -> jax.Array:
    """Returns maps [B, H, W, C], mirrored left to right."""
    return jnp.flip(maps, axis=2)


def warp(images: types.Images, flow: jax.Array, reach: int) -> types.Images:
    """Returns faces [B, H, W, C] whose every pixel is taken from elsewhere, by cubic convolution between pixels.

    Rows move first, then columns, so that a pixel costs 2 (2 reach + 3) products, none of them a gather, which is slow
    on CPU. Between pixels the kernel is that of Keys 1981 with a = -1/2; a linear one blurs what it moves.

    Args:
      images: the faces; the border is repeated.
      flow: where to take a pixel from, down and right of it in pixels, [B, H, W, 2] within -reach and reach.
      reach: the largest offset.
    """
    for axis in (1, 2):
        size, way = images.shape[axis], flow[..., axis - 1 : axis]
        far = reach + 1
        padded = jnp.pad(images, [(far, far) if a == axis else (0, 0) for a in range(4)], mode="edge")
        images = sum(
            _kernel(way - step) * jax.lax.slice_in_dim(padded, far + step, far + step + size, axis=axis)
            for step in range(-far, far + 1)
        )
    return images


def _kernel(distance: jax.Array) -> jax.Array:
    """Keys' kernel, in the powers of what is left of 1 and of 2 pixels: no branches, which an export would not know."""
    near, far = nn.relu(1 - jnp.abs(distance)), nn.relu(2 - jnp.abs(distance))
    return far * far * (far - 1) / 2 + near * near * (1 - 2 * near)


def displacement(flow: jax.Array, reach: int) -> jax.Array:
    """Returns where `warp` takes pixels from, [B, H, W, 2]: its columns move last, and take the rows' way along."""
    right = flow[..., 1:]
    down = warp(flow[..., :1], jnp.concatenate([jnp.zeros_like(right), right], axis=-1), reach)
    return jnp.concatenate([down, right], axis=-1)


def enlarge(maps: jax.Array) -> jax.Array:
    """Returns maps [B, H, H, C] as [B, 4 * H, 4 * H, C], linearly between their points."""
    # As matrix products, which an export knows, of what `jax.image` does with the basis.
    size = maps.shape[1]
    weights = jax.image.resize(jnp.eye(size), (_FOLD * size, size), "linear")
    for _ in range(2):  # rows, then columns: each product moves the new axis to the end
        maps = jnp.tensordot(maps, weights, axes=(1, 1))
    return maps.transpose(0, 2, 3, 1)


class InstanceNorm(nn.Module):
    """Instance normalisation in float32; scale and bias are the label's, if there are labels (Dumoulin et al. 2017)."""

    num_classes: int = 0

    @nn.compact
    def __call__(self, x: jax.Array, labels: types.Labels | None = None) -> jax.Array:
        dtype, x = x.dtype, x.astype(jnp.float32)
        channels, classes = x.shape[-1], max(self.num_classes, 1)
        scale = self.param("scale", nn.initializers.ones_init(), (classes, channels))
        bias = self.param("bias", nn.initializers.zeros_init(), (classes, channels))
        mean, factor = normalisation.of_examples(x)
        if self.num_classes:
            one_hot = jax.nn.one_hot(labels, self.num_classes, dtype=x.dtype)
            scale, bias = one_hot @ scale, one_hot @ bias
        a = scale * factor
        b = bias - mean * a
        return (x * a[:, None, None] + b[:, None, None]).astype(dtype)


class Block(nn.Module):
    """Two 3x3 convolutions in `dtype` with a shortcut."""

    num_classes: int = 0
    dtype: types.DType = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, labels: types.Labels | None = None) -> jax.Array:
        y = x
        for i in range(2):
            convolve = conv.Conv(
                x.shape[-1], (3, 3), use_bias=False, kernel_init=_WEIGHTS, dtype=self.dtype, name=f"conv{i}"
            )
            y = InstanceNorm(self.num_classes, name=f"norm{i}")(convolve(y), labels)
            y = nn.relu(y) if i == 0 else y
        return x + y


class Encoder(nn.Module):
    """E: two convolutions of stride 2, then residual blocks (the first half of StarGAN's generator, Choi et al. 2018).

    Attributes:
      width: channels at half the size; the code has three times as many and, under `skip`, the 16 * C of the face.
      blocks: residual blocks at a quarter of the size.
      num_classes: how many label maps join the face; 0 for none.
      skip: whether the code holds the face itself, by `fold`.
      mirrored: whether the mirror image of the face is encoded, too: the code then has twice as many channels besides
        those of `skip`, the face's before its mirror image's.
      dtype: in which the convolutions compute.
    """

    width: int
    blocks: int
    num_classes: int = 0
    skip: bool = True
    mirrored: bool = False
    dtype: types.DType = jnp.float32

    @nn.compact
    def __call__(self, images: types.Images, labels: types.Labels, train: bool = False) -> jax.Array:
        """Returns codes [B, S / 4, S / 4, F] of faces in [-1, 1]; `labels` are used only where `num_classes` > 0."""
        del train  # there is nothing that training does otherwise
        layers = []
        for i, features in enumerate((self.width, 3 * self.width)):
            layers.append(
                conv.Conv(
                    features, (5, 5), (2, 2), use_bias=False, kernel_init=_WEIGHTS, dtype=self.dtype, name=f"conv{i}"
                )
            )
            layers += [InstanceNorm(name=f"norm{i}"), nn.relu]
        layers += [Block(dtype=self.dtype, name=f"block{i}") for i in range(self.blocks)]

        def encode(x):
            if self.num_classes:
                maps = jax.nn.one_hot(labels, self.num_classes, dtype=x.dtype)[:, None, None]
                x = jnp.concatenate([x, jnp.broadcast_to(maps, (*x.shape[:3], self.num_classes))], axis=-1)
            for layer in layers:
                x = layer(x)
            return x

        views = (images, mirror(images)) if self.mirrored else (images,)
        return jnp.concatenate([fold(images)] * self.skip + [encode(view) for view in views], axis=-1)


class Drawing(NamedTuple):
    """What G draws: faces [B, S, S, C] in [-1, 1], and how it changed those in the codes.

    Attributes:
      faces: the drawn ones.
      residual: the mean square over pixels of what was added, [B], in units of [-1, 1] images.
      roughness: the mean square of how far neighbours in the flow (4 pixels apart) differ, [B], in square pixels.
    """

    faces: types.Images
    residual: jax.Array
    roughness: jax.Array


class Generator(nn.Module):
    """G: residual blocks, then two transposed convolutions of stride 2, with the label in every normalisation.

    Under `skip` the last layer draws a face and a mask, and the mask says where the drawn face takes the place of the
    one in the code (GANimation, Pumarola et al. 2018). That one is warped first, if there is a `reach`: most of
    an expression is motion, and a warped face stays a face. The residual is smoothed, because specks satisfy a
    classifier before they satisfy a person.

    Attributes:
      width, blocks, skip: as in `Encoder`.
      num_classes: how many labels there are; 0 where E takes the label.
      reach: how far a pixel of the face in the code can move, in pixels; 0 for not at all. The flow, of the
        code's size, is the intermediate "warp".
      strength: a factor of what the flow is made of, or one for each label; above that of training, 1, an expression is
        stronger.
      mirrored: whether the code is of an `Encoder` that encodes the mirror image, too. Then warp and residual are the
        means of what both ask for, so that no side of it differs from the other without a reason.
      channels: of a face; one mask and one flow are those of all.
      dtype: in which all convolutions but the last compute; the rounding of the last would be visible.
    """

    width: int
    blocks: int
    num_classes: int
    skip: bool = True
    reach: int = 0
    strength: tuple[float, ...] = (1.0,)
    mirrored: bool = False
    channels: int = 1
    dtype: types.DType = jnp.float32

    @property
    def warps(self) -> bool:
        """Whether the face in the code is warped before the residual is added."""
        return self.skip and self.reach > 0

    def __call__(self, codes: jax.Array, labels: types.Labels, train: bool = False) -> types.Images:
        """Returns faces [B, S, S, C] in [-1, 1] for codes [B, S / 4, S / 4, F] and labels [B]."""
        del train
        return self.draw(codes, labels).faces

    @nn.compact
    def draw(
        self,
        codes: jax.Array,
        labels: types.Labels,
        opening: jax.Array | float = 1.0,
        strength: jax.Array | float | None = None,
    ) -> Drawing:
        """Returns the faces and what was done to those in the codes.

        Args:
          codes: [B, S / 4, S / 4, F].
          labels: [B].
          opening: a factor of the mask.
          strength: a factor of the flow and of the mask, from 0, which leaves the face in the code unchanged.
        """
        blocks = [Block(self.num_classes, self.dtype, name=f"block{i}") for i in range(self.blocks)]
        up0 = conv.ConvTranspose(
            self.width, (5, 5), (2, 2), use_bias=False, kernel_init=_WEIGHTS, dtype=self.dtype, name="up0"
        )
        norm0 = InstanceNorm(self.num_classes, name="norm0")
        last = nn.initializers.normal(0.02)  # small, so that the first faces are gray and the first mask is even
        up1 = conv.ConvTranspose(self.channels + self.skip, (5, 5), (2, 2), kernel_init=last, name="up1")
        # Made where the code is, a point for each 4x4 pixels, and so smooth between them; the first moves nothing.
        zeros = nn.initializers.zeros_init()
        warper = nn.Dense(2, dtype=jnp.float32, kernel_init=zeros, name="flow") if self.warps else None

        def plan(x):
            for block in blocks:
                x = block(x, labels)
            y = smooth(up1(nn.relu(norm0(smooth(up0(x).astype(jnp.float32)), labels))))
            mask = nn.sigmoid(y[..., self.channels :] + _CLOSED) if self.skip else jnp.ones_like(y)
            made = warper(x) if self.warps else jnp.zeros_like(x[..., :2])
            flow = self.reach * jnp.tanh(self._strength_of(labels) * made)
            return mask * jnp.tanh(y[..., : self.channels]), mask, flow

        size, own = 3 * self.width, _FOLD**2 * self.channels if self.skip else 0
        features = codes[..., own:].astype(self.dtype)
        drawn, mask, flow = plan(features[..., :size])
        if self.mirrored:
            other_drawn, other_mask, other_flow = map(mirror, plan(features[..., size:]))
            other_flow *= jnp.asarray([1.0, -1.0]).reshape(1, 1, 1, 2)  # what goes right goes left in a mirror
            drawn, mask, flow = (drawn + other_drawn) / 2, (mask + other_mask) / 2, (flow + other_flow) / 2
        nothing = jnp.zeros(drawn.shape[:1])
        if not self.skip:
            return Drawing(drawn, nothing, nothing)
        if strength is not None:
            flow, opening = strength * flow, strength * opening
        source, roughness = unfold(codes[..., :own]), nothing
        if self.warps:
            differences = (jnp.diff(flow, axis=1), jnp.diff(flow, axis=2))
            roughness = sum(jnp.mean(jnp.square(one), axis=(1, 2, 3)) for one in differences)
            self.sow("intermediates", "warp", flow)
            source = warp(source, enlarge(flow), self.reach)
        residual = opening * (drawn - mask * source)
        for _ in range(_SHADING):
            residual = smooth(residual)
        return Drawing(source + residual, jnp.mean(jnp.square(residual), axis=(1, 2, 3)), roughness)

    def _strength_of(self, labels: types.Labels) -> jax.Array | float:
        """Returns the strength for each label, [B, 1, 1, 1], or the one that there is."""
        if len(self.strength) == 1:
            return self.strength[0]
        strengths = jnp.asarray(self.strength)
        return (jax.nn.one_hot(labels, len(strengths)) @ strengths)[:, None, None, None]


def make_encoder(settings: TranslatorConfig, num_classes: int, computed_in: str = "float32") -> Encoder:
    """Returns the module E of a configuration in one of `precision.CHOICES`, for faces of every size and colour."""
    labelled = num_classes if settings.labels == "encoder" else 0
    return Encoder(settings.width, settings.blocks, labelled, settings.skip, dtype=precision.dtype(computed_in))


def make_generator(
    settings: TranslatorConfig, num_classes: int, spec: dataset.ImageSpec, computed_in: str = "float32"
) -> Generator:
    """Returns the module G of a configuration in one of `precision.CHOICES`, for faces of a spec."""
    labelled = num_classes if settings.labels == "generator" else 0
    return Generator(
        settings.width,
        settings.blocks,
        labelled,
        settings.skip,
        settings.reach,
        channels=spec.channels,
        dtype=precision.dtype(computed_in),
    )


def make_finished_encoder(settings: TranslatorConfig, num_classes: int) -> Encoder:
    """Returns the module E of a configuration that edits faces: with the mirror image where `mirrored` is set."""
    return make_encoder(settings, num_classes).clone(mirrored=settings.mirrored)


def make_finished_generator(settings: TranslatorConfig, num_classes: int, spec: dataset.ImageSpec) -> Generator:
    """Returns the module G of a configuration as edits are made with it: its warp is as strong as `strength` says.

    Its codes are those of `make_finished_encoder`.

    Raises:
      ValueError: if that has neither one number nor one for each of the classes.
    """
    strengths = settings.strengths()
    if len(strengths) not in (1, num_classes):
        raise ValueError(
            f"translator.strength: expected 1 number or {num_classes}, one for each emotion, found {len(strengths)}; "
            "--config.translator.strength=1 warps all as in training"
        )
    return make_generator(settings, num_classes, spec).clone(strength=strengths, mirrored=settings.mirrored)


def code_shape(settings: TranslatorConfig, spec: dataset.ImageSpec) -> tuple[int, int, int]:
    """Returns the shape of a code of the finished E."""
    views, size = 2 if settings.mirrored else 1, spec.size // _FOLD
    own = _FOLD**2 * spec.channels if settings.skip else 0
    return size, size, views * 3 * settings.width + own
