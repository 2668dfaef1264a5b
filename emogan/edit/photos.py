"""Puts what an edit changed on a small face back into its photograph, at the photograph's resolution."""

import dataclasses
import functools

import numpy as np
import PIL.Image
from scipy import ndimage

from emogan.edit import framing, tints

_BAND = 512  # rows that are edited at once: floats of a face of many megapixels would take gigabytes
PLATEAU = 0.65  # of the way from a square's middle to its sides, up to which an edit counts in full
ROUNDNESS = 3.0  # of the feathered mask: 2 is a circle, infinity a square
NEAR = 1.5  # deviation of the Gaussian over which gradients are compared, in pixels of the small face
FAINT = 2.0  # gradients below it, in gray levels a pixel, are no edges
GRAIN = 3.0  # gray levels: details up to here, as of skin, belong to no edge and stay everywhere


def put_back(
    pixels: np.ndarray, square: framing.Square, before: np.ndarray, after: np.ndarray, flow: np.ndarray
) -> np.ndarray:
    """Returns a photograph with an edit of the face in a square.

    Where the edit moved the face, the photograph is moved in the same way and stays sharp. The residual is enlarged
    bicubically to the square and added within a feathered mask. Details finer than the pixels of the edit stay those of
    the photograph. They fade where the edit no longer has their edges; only the first `GRAIN` gray levels of each stay
    there, too. A gray edit is added to the luminance. Where its change is large, the pixel takes a new tint (`tints`);
    where it is small, the pixel keeps its own, and becomes darker as in shade. An edit in colour is added to each
    channel, or as its luminance where the photograph is gray. If the square is tilted, all this happens in an upright
    copy, and what it changed is turned back and added.

    Args:
      pixels: uint8 [H, W] or [H, W, 3].
      square: of a face of `detection.find`.
      before: uint8 [S, S] or [S, S, 3], from `framing.cut`.
      after: uint8, as before.
      flow: from where the edit took its pixels, float32 [S, S, 2], down and right in pixels of the small face:
        of `Editor.displacement`, or of `motion.between` if the model warps nothing.
    """
    if square.angle:
        part, own = framing.upright(pixels, square)
        change = np.subtract(put_back(part, own, before, after, flow), part, dtype=np.int16)
        return framing.turned_back(pixels, square, change)
    top, left = (max(0, int(np.floor(start))) for start in (square.top, square.left))
    bottom = min(pixels.shape[0], int(np.ceil(square.top + square.side)))
    right = min(pixels.shape[1], int(np.ceil(square.left + square.side)))
    answer = pixels.copy()
    if right > left and bottom > top:
        edit = _edit(pixels, square, before.astype(np.float32), after.astype(np.float32), flow)
        for start in range(top, bottom, _BAND):
            stop = min(bottom, start + _BAND)
            answer[start:stop, left:right] = _edited(pixels, square, edit, (left, start, right, stop))
    return answer


@dataclasses.dataclass(frozen=True)
class _Edit:
    """What an edit does to a small face.

    Attributes:
      flow: from where it took its pixels, float32 [S, S, 2].
      warped: the face before, warped by it, float32 [S, S] or [S, S, 3].
      change: what was added to that, likewise.
      kept: of the photograph's detail, float32 [S, S] in 0..1.
      tints: of the edit, float32 [S, S, 3]; None where the edit is in colour or the photograph is gray.
      shares: of these tints in each pixel, float32 [S, S] in 0..1; None likewise.
    """

    flow: np.ndarray
    warped: np.ndarray
    change: np.ndarray
    kept: np.ndarray
    tints: np.ndarray | None = None
    shares: np.ndarray | None = None


def _edit(pixels: np.ndarray, square: framing.Square, before: np.ndarray, after: np.ndarray, flow: np.ndarray) -> _Edit:
    warp = functools.partial(moved, offsets=np.moveaxis(flow, -1, 0))
    warped = warp(before)
    edit = _Edit(flow, warped, after - warped, _detail_kept(warped, after))
    if pixels.ndim == 2:
        if before.ndim == 2:
            return edit
        return dataclasses.replace(edit, warped=warped @ tints.LUMA, change=edit.change @ tints.LUMA)
    if before.ndim == 3:
        return edit
    own = warp(tints.of(framing.crop(pixels, square, len(before)).astype(np.float32)))
    return dataclasses.replace(edit, tints=tints.transferred(own, warped, after), shares=tints.shares(edit.change))


def _edited(pixels: np.ndarray, square: framing.Square, edit: _Edit, part_of: tuple[int, int, int, int]) -> np.ndarray:
    """Returns the pixels of `put_back` in a rectangle (left, top, right, bottom) of the photograph."""
    left, top, right, bottom = part_of
    place = (left - square.left, top - square.top, right - square.left, bottom - square.top)
    mask = _mask(square.side, place)
    scale = square.side / len(edit.flow)
    offsets = np.stack([_enlarged(edit.flow[..., axis], square.side, place) * scale * mask for axis in (0, 1)])
    # Of a large photograph, only what the flow can reach.
    reach = int(np.ceil(np.abs(offsets).max())) + 1
    above, beside = (max(0, start - reach) for start in (top, left))
    near = pixels[above : bottom + reach, beside : right + reach]
    part = moved(near, offsets, (top - above, left - beside))
    enlarged = functools.partial(_enlarged, side=square.side, place=place)

    def planes(face: np.ndarray) -> np.ndarray:
        return np.stack([enlarged(face[..., i]) for i in range(face.shape[-1])], axis=-1)

    fades = np.clip(enlarged(edit.kept), 0.0, 1.0) - 1.0
    if edit.change.ndim == 3:
        change = planes(edit.change) + fades[..., None] * _excess(part - planes(edit.warped), GRAIN)
        return np.round(np.clip(part + change * mask[..., None], 0, 255)).astype(np.uint8)
    luminance = part if part.ndim == 2 else part @ tints.LUMA
    change = (enlarged(edit.change) + fades * _excess(luminance - enlarged(edit.warped), GRAIN)) * mask
    if part.ndim == 2:
        return np.round(np.clip(part + change, 0, 255)).astype(np.uint8)
    share = np.clip(enlarged(edit.shares), 0.0, 1.0) * mask
    return np.round(_relit(part, change, planes(edit.tints), share)).astype(np.uint8)


def _excess(values: np.ndarray, limit: float) -> np.ndarray:
    """Returns by how much values go beyond a limit, on either side; 0 within it."""
    return values - np.clip(values, -limit, limit)


def _detail_kept(warped: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Returns how much of a photograph's detail stays, float32 [S, S] in 0..1; 1 where the edit changed nothing.

    Detail is what is finer than the pixels of the edit. It belongs to edges that these pixels show, too: where the edit
    no longer has such an edge, or has it weaker, as when lips close over teeth, its detail must fade alike, or lines of
    the old expression stay. So this is the slope of a local regression of the edit's gradients on those of the face
    before, warped as the edit warps it.
    """
    old, new = (np.stack(np.gradient(face if face.ndim == 2 else face @ tints.LUMA)) for face in (warped, after))
    energy, common = (ndimage.gaussian_filter((one * old).sum(axis=0), NEAR) + FAINT**2 for one in (old, new))
    return np.clip(common / energy, 0.0, 1.0).astype(np.float32)


def moved(pixels: np.ndarray, offsets: np.ndarray, start: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Returns float32 pixels [H', W'(, 3)], from a start on, each taken from offsets [2, H', W'] down and right."""
    places = np.indices(offsets.shape[1:], np.float32) + np.reshape(start, (2, 1, 1)) + offsets
    channels = np.moveaxis(np.atleast_3d(pixels).astype(np.float32), -1, 0)
    warped = [ndimage.map_coordinates(channel, places, order=1, mode="nearest") for channel in channels]
    return np.stack(warped, axis=-1).reshape(*offsets.shape[1:], *pixels.shape[2:])


def _enlarged(change: np.ndarray, side: float, place: tuple[float, float, float, float]) -> np.ndarray:
    """Returns the rectangle (left, top, right, bottom), in pixels of the square, of a change enlarged to its side."""
    scale = len(change) / side
    # The border goes on, since the filter takes what lies beyond it to be nothing.
    padding = 3
    padded = PIL.Image.fromarray(np.pad(change, padding, mode="edge"))
    size = (round(place[2] - place[0]), round(place[3] - place[1]))
    matrix = (scale, 0.0, place[0] * scale + padding, 0.0, scale, place[1] * scale + padding)
    return np.asarray(padded.transform(size, PIL.Image.Transform.AFFINE, matrix, PIL.Image.Resampling.BICUBIC))


def _mask(side: float, place: tuple[float, float, float, float]) -> np.ndarray:
    """Returns float32 [H, W] of the same rectangle: 1 about the square's middle, smoothly down to 0 at its sides."""
    columns, rows = (
        np.abs((np.arange(round(last - first)) + 0.5 + first) * 2 / side - 1)
        for first, last in ((place[0], place[2]), (place[1], place[3]))
    )
    away = (columns[None] ** ROUNDNESS + rows[:, None] ** ROUNDNESS) ** (1 / ROUNDNESS)
    t = np.clip((1 - away) / (1 - PLATEAU), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def _relit(part: np.ndarray, change: np.ndarray, tint: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Returns float pixels [H, W, 3] in 0..255 whose luminance differs by a change [H, W].

    Args:
      part: the pixels before, [H, W, 3].
      change: in gray levels, [H, W].
      tint: new ones of the pixels, [H, W, 3], see `tints`.
      share: of the new tint, [H, W] in 0..1.
    """
    luminance = part @ tints.LUMA
    wanted = np.clip(luminance + change, 0, 255)
    shade = np.minimum(1.0, wanted / np.maximum(luminance, 1.0))
    own = (part - luminance[..., None]) * shade[..., None]
    colour = own + share[..., None] * (tint * wanted[..., None] - own)
    # How far each channel may go from the new gray before it leaves 0..255.
    room = np.where(colour > 0, 255 - wanted[..., None], wanted[..., None])
    shown = np.minimum(1.0, np.min(room / np.maximum(np.abs(colour), 1e-6), axis=-1))
    answer = wanted[..., None] + colour * shown[..., None]
    return np.where((change == 0)[..., None], part, np.clip(answer, 0, 255))
