"""An edit of a small gray face, enlarged by a network to three times its size and to the photograph's colours.

Enlarged bicubically, new teeth are a blur in gray, and lips of the old expression show through. The network
(`emogan.models.details`) sees the photograph, too, and draws them. The portraits that it learned from smile or are
serious. So it is used for smiles; other expressions it draws too softly (docs/results/history.md).
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from emogan.edit import framing, photos, tints
from emogan.models import details

LEARNED = ("happy",)  # emotions that it draws well

# In gray levels: up to the first, the photograph stays as the edit moved it, from the second on it is the network's.
UNCHANGED, CHANGED = 3.0, 12.0
SPREAD = 1.0  # deviation of the Gaussian that blurs the squared change before, in pixels of the small face

_draw = jax.jit(details.drawn)


def finer(
    pixels: np.ndarray, square: framing.Square, before: np.ndarray, after: np.ndarray, flow: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the faces and the flow for `photos.put_back`, finer if the network knows faces of this size.

    Args:
      pixels, square, before, after, flow: as of `photos.put_back`.

    Returns:
      before, after: uint8 [N, N] or, in a photograph in colour, [N, N, 3]; flow: float32 [N, N, 2], in pixels of these.
        N is 144, or the side of the square if that is smaller. Faces in colour, of another size than the network's, or
        in a square that is not larger than they are, are returned as they came.
    """
    side = min(int(np.ceil(square.side)), details.SCALE * details.SIZE)
    if before.shape != (details.SIZE, details.SIZE) or side <= details.SIZE:
        return before, after, flow
    large = framing.crop(pixels, square, details.SCALE * details.SIZE)
    finer_flow = details.SCALE * _enlarged(flow)
    guide = photos.moved(large, np.moveaxis(finer_flow, -1, 0))
    drawn = _drawn(guide, after)
    plain = photos.moved(before, np.moveaxis(flow, -1, 0))
    size = np.sqrt(ndimage.gaussian_filter(np.square(after - plain), SPREAD))
    share = _enlarged(np.clip((size - UNCHANGED) / (CHANGED - UNCHANGED), 0.0, 1.0)[..., None])
    answer = guide + (share if guide.ndim == 3 else share[..., 0]) * (drawn - guide)
    faces = [_resized(face, side) for face in (large, np.round(np.clip(answer, 0, 255)).astype(np.uint8))]
    return *faces, _resized(finer_flow, side) * (side / len(finer_flow))


def _drawn(guide: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Returns what the network draws in levels, float32 of the guide's shape; it is gray where the whole guide is."""
    colour = guide if guide.ndim == 3 else guide[..., None].repeat(3, axis=-1)
    inputs = (np.asarray(face, np.float32)[None] / 127.5 - 1 for face in (colour, after[..., None]))
    drawn = 127.5 * (np.asarray(_draw(details.packaged(), *inputs))[0] + 1)
    if (colour == colour[..., :1]).all():
        drawn = (drawn @ tints.LUMA)[..., None].repeat(3, axis=-1)
    return drawn if guide.ndim == 3 else drawn[..., 0]


def _resized(maps: np.ndarray, side: int) -> np.ndarray:
    """Returns maps [N, N] or [N, N, C] with fewer pixels, each the mean of what it covers; bytes stay bytes."""
    if len(maps) == side:
        return maps
    edges, pixels = np.arange(side + 1) * len(maps) / side, np.arange(len(maps))
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    shares = np.float32(np.maximum(covered, 0.0) * side / len(maps))
    smaller = np.moveaxis(np.tensordot(shares, np.tensordot(shares, maps, (1, 0)), (1, 1)), 0, 1)
    return np.round(smaller).astype(np.uint8) if maps.dtype == np.uint8 else smaller


def _enlarged(maps: np.ndarray) -> np.ndarray:
    """Returns maps [S, S, C] enlarged, float32 [3 * S, 3 * S, C]; no value lies beyond theirs."""
    shape = (details.SCALE * maps.shape[0], details.SCALE * maps.shape[1], maps.shape[2])
    return np.asarray(jax.image.resize(jnp.asarray(maps, jnp.float32), shape, "linear"))
