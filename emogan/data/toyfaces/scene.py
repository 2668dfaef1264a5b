"""Who is drawn and where: the traits of an identity, the frames with the coordinates of their heads, the camera.

A shape is a signed distance to its edge (Quilez, "2D distance functions", iquilezles.org), turned into a coverage
over about one pixel. Lengths are in face units: half the height of an average head is 1, v points down.
"""

import math
import types

import numpy as np

from emogan.data import dataset
from emogan.data.toyfaces import expression
from emogan.util import images

_PIXELS_PER_UNIT = 23.0  # of a picture of the default size

# Every entry of an identity is uniform in [0, 1]; this is the range over which the trait itself runs.
TRAITS = {
    # Pose at rest.
    "shift_x": (-0.13, 0.13),
    "shift_y": (-0.12, 0.12),
    "scale": (0.86, 1.10),
    "roll": (-0.20, 0.20),
    "yaw": (-0.75, 0.75),
    "pitch": (-0.60, 0.60),
    # Head.
    "skin": (0.30, 0.82),
    "head_width": (0.66, 0.80),
    "chin": (0.93, 1.05),
    "jaw_square": (0.0, 0.75),
    "jaw_taper": (0.0, 0.22),
    "ears": (0.0, 1.0),
    "age": (0.0, 1.0),
    "femininity": (0.0, 1.0),
    # Hair.
    "hair_amount": (0.0, 1.0),
    "hair_tone": (0.04, 0.75),
    "hair_volume": (0.03, 0.20),
    "hair_length": (0.0, 1.0),
    "hairline": (-0.86, -0.58),
    "parting": (-0.75, 0.75),
    "hair_waves": (0.0, 1.0),
    # Eyes and brows.
    "eye_spacing": (0.30, 0.38),
    "eye_height": (-0.17, -0.09),
    "eye_width": (0.155, 0.20),
    "eye_opening": (0.065, 0.10),
    "eye_tilt": (-0.22, 0.14),
    "iris": (0.05, 0.42),
    "gaze": (-0.05, 0.05),
    "brow_height": (0.21, 0.29),
    "brow_slope": (-0.07, 0.07),
    "brow_arch": (0.01, 0.07),
    "brow_thickness": (0.025, 0.06),
    # Nose and mouth.
    "nose_length": (0.36, 0.47),
    "nose_width": (0.10, 0.17),
    "mouth_height": (0.53, 0.62),
    "mouth_width": (0.23, 0.32),
    "mouth_curve": (-0.065, 0.04),
    "mouth_skew": (-0.03, 0.03),
    "lips": (0.04, 0.095),
    "lip_tone": (0.62, 0.88),
    # What a face carries.
    "glasses": (0.0, 1.0),
    "glasses_shape": (0.0, 1.0),
    "beard": (0.0, 1.0),
    "moustache": (0.0, 1.0),
    "clothes": (0.08, 0.85),
    # The photograph.
    "light_x": (-0.38, 0.38),
    "light_y": (-0.30, 0.08),
    "exposure": (0.82, 1.12),
    "background": (0.08, 0.92),
    "background_x": (-0.22, 0.22),
    "background_y": (-0.22, 0.22),
    "blur": (0.0, 0.16),
    "noise": (1.0, 4.0),  # standard deviation in gray levels of 255
    "noise_seed": (0.0, 1.0),
}


def traits(identities: np.ndarray) -> types.SimpleNamespace:
    """Returns the traits of `TRAITS` of identities [N, len(TRAITS)] as named float32 arrays [N, 1, 1]."""
    values = {
        name: (low + (high - low) * identities[:, k, None, None]).astype(np.float32)
        for k, (name, (low, high)) in enumerate(TRAITS.items())
    }
    return types.SimpleNamespace(**values)


def ramp(x, start, end):
    """Returns 0 before `start`, 1 after `end` and a straight line between."""
    return np.clip((x - start) / (end - start), 0, 1)


class Scene:
    """The frames of one chunk while they are drawn, with the coordinates of their heads."""

    def __init__(self, identities, expressions, spec):
        self.size, self.colour = spec.size, spec.channels == 3
        # Of the default size all is as it was before there were others, to the last bit.
        self.detail = spec.size / dataset.FER2013.size
        self.pixels_per_unit = _PIXELS_PER_UNIT * self.detail
        self.t = t = traits(identities)
        self.tints = tints(t) if self.colour else None
        self.e = e = expression.displacements(expressions)
        axis = (np.arange(self.size, dtype=np.float32) - (self.size - 1) / 2) / self.pixels_per_unit
        self.frame_x, self.frame_y = axis[None, None, :], axis[None, :, None]
        self.centre_x, self.centre_y = t.shift_x + e.head_x, t.shift_y + e.head_y + 0.02
        self.scale = t.scale * e.head_scale
        # Half-angle formulas with tan x = x, near enough up to 0.25. Here as everywhere only correctly rounded
        # arithmetic is used, for NumPy's sines differ in the last bit from one kind of processor to the next.
        half = 0.5 * (t.roll + e.head_roll)
        self.cos, self.sin = (1 - half * half) / (1 + half * half), 2 * half / (1 + half * half)
        self.yaw, self.pitch = t.yaw + e.head_yaw, t.pitch + e.head_pitch
        x, y = (self.frame_x - self.centre_x) / self.scale, (self.frame_y - self.centre_y) / self.scale
        # The outline of the head turns in the picture only; what lies on it also slides over it (yaw and pitch),
        # most in the middle, as on a ball.
        self.head_u = self.cos * x + self.sin * y
        self.head_v = self.cos * y - self.sin * x
        self.u = self.head_u - 0.17 * self.yaw * np.maximum(1 - 0.8 * self.head_u**2, 0)
        self.v = self.head_v - 0.15 * self.pitch * np.maximum(1 - 0.6 * self.head_v**2, 0)
        self.softness = 1.35 / (self.pixels_per_unit * self.scale)
        # Fair hair goes with fair skin, except when it is gray.
        self.hair = t.hair_tone * np.clip(1.6 * (t.skin - 0.16) + 0.5 * ramp(t.age, 0.7, 1.0), 0.25, 1)
        self.image = np.empty((len(t.skin), *spec.byte_shape), np.float32)
        self.everywhere = (slice(None), slice(None), slice(None))

    def window(self, half_width, top, bottom):
        """The part of the frame that holds this box of every head: outside it, painting would be waste."""
        u = np.concatenate([half_width * sign + 0.17 * self.yaw for sign in (-1, 1, -1, 1)], axis=1)
        v = np.concatenate([edge + 0.15 * self.pitch for edge in (top, top, bottom, bottom)], axis=1)
        x = self.centre_x + self.scale * (self.cos * u - self.sin * v)
        y = self.centre_y + self.scale * (self.sin * u + self.cos * v)

        def pixels(z):
            z = z * self.pixels_per_unit + (self.size - 1) / 2
            before, after = 3 * max(1, self.detail), 5 * max(1, self.detail)
            first = int(np.clip(np.floor(z.min()) - before, 0, self.size - 1))
            return slice(first, int(np.clip(z.max() + after, 1, self.size)))

        return slice(None), pixels(y), pixels(x)

    def cover(self, distance):
        """How much of a pixel a shape covers whose edge is at `distance` (negative inside)."""
        return np.clip(0.5 - distance / self.softness, 0, 1)

    def paint(self, tone, coverage, where=None, tint="gray"):
        """Moves pixels towards a tone by how much of each is covered; in colour with a tint out of `tints`."""
        image = self.image[where or self.everywhere]
        image += self._each(coverage) * (self.tinted(tone, tint) - image)

    def tinted(self, tone, tint):
        """A tone with a tint out of `tints`, or as it is in gray."""
        return self._each(tone) * self.tints[tint] if self.colour else tone

    def shade(self, strength, where=None):
        """Darkens by a share (negative: lightens)."""
        image = self.image[where or self.everywhere]
        image *= self._each(1 - strength)

    def developed(self):
        """The photograph: exposure, with highlights that roll off as film's do, and the blur of a cheap lens."""
        image = self.image * self._each(self.t.exposure)
        image *= 1.10 - 0.20 * image
        blur = self._each(self.t.blur)
        for axes in ((0, 1, 2), (0, 2, 1)):
            axes += (3,) * self.colour
            image = image.transpose(axes)
            before = np.concatenate([image[:, :1], image[:, :-1]], axis=1)
            after = np.concatenate([image[:, 1:], image[:, -1:]], axis=1)
            image = (image + blur * (before + after - 2 * image)).transpose(axes)
        return np.clip(image, 0, 1)

    def _each(self, values):
        """Values for each channel alike: with one axis more in colour, where they are arrays."""
        return values[..., None] if self.colour and np.ndim(values) else values


def tints(t: types.SimpleNamespace) -> dict[str, np.ndarray]:
    """Returns what a tone of each material is multiplied by in colour, float32 [N, 1, 1, 3].

    Their luminance is 1, so that a picture in colour is about as bright as the same in gray. The other colours are
    derived from the digits of `noise_seed`, because a new trait would change the existing faces.
    """

    def digits(place):  # 6 bits each; exact
        return (t.noise_seed * np.float32(64.0**place)) % 1

    def between(a, b, share):
        share = share[..., None]
        made = (1 - share) * np.array(a, np.float32) + share * np.array(b, np.float32)
        return (made / (made @ np.array(images.LUMA, np.float32))[..., None]).astype(np.float32)

    def hue(share, depth):  # round the circle of hues
        turned = (share[..., None] + np.arange(3, dtype=np.float32) / 3) % 1
        made = 1 + depth * (2 * np.abs(2 * turned - 1) - 1)
        return (made / (made @ np.array(images.LUMA, np.float32))[..., None]).astype(np.float32)

    skin = between((1.26, 0.92, 0.78), (1.24, 0.96, 0.66), digits(1))
    skin = 1 + (1.15 - 0.5 * (t.skin - 0.30))[..., None] * (skin - 1)  # dark skin has more of its colour
    hair = between((1.30, 0.94, 0.60), (1.60, 0.80, 0.45), digits(2) ** 3)
    hair = 1 + (1 - ramp(t.age, 0.7, 1.0))[..., None] * (hair - 1)
    lips = skin * np.array((1.16, 0.91, 0.95), np.float32)
    return {
        "gray": np.ones(3, np.float32),
        "skin": skin,
        "hair": hair,
        "lips": (lips / (lips @ np.array(images.LUMA, np.float32))[..., None]).astype(np.float32),
        "iris": between((0.70, 1.00, 1.60), (1.35, 0.92, 0.55), digits(1)),
        "clothes": hue(digits(2), np.float32(0.45)),
        "background": hue(digits(1), np.float32(0.25)),
    }


def noise(identities: np.ndarray, spec: dataset.ImageSpec) -> np.ndarray:
    """Returns the noise of each photograph, float32 [N, S, S(, 3)] in gray levels of 255: a hash of seed and pixel."""
    t = traits(identities)
    shape = (1, *spec.byte_shape)
    each = lambda values: values.reshape(-1, *(1,) * (len(shape) - 1))  # noqa: E731
    seed = each(t.noise_seed).view(np.uint32) * np.uint32(2654435761)
    value = seed + np.arange(math.prod(shape), dtype=np.uint32).reshape(shape) * np.uint32(0x9E3779B1)
    # The finaliser of MurmurHash3 (Appleby, 2011); the sum of its four bytes is close enough to a normal.
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        value ^= value >> np.uint32(shift)
        value *= np.uint32(factor)
    value ^= value >> np.uint32(16)
    total = sum(((value >> np.uint32(8 * k)) & np.uint32(255)).astype(np.float32) for k in range(4))
    return (total - 510.0) * each(t.noise / 147.8)
