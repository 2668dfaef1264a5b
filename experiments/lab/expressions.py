"""Portraits with another expression, from which the network of details learns: experiments/lab/fit_details.py.

Nobody has photographs of many people under two expressions that differ in nothing else. So an expression is made: a
portrait gets the mouth or the eyes of another person, is bent about eyes and mouth, or an open mouth is drawn into it.
What the network must draw is mostly a portrait as it was; what it is given has the made-up parts.
"""

import dataclasses
import pathlib

import numpy as np
import PIL.Image
from scipy import ndimage

from emogan.data import dataset
from emogan.edit import detection, framing, motion, photos, tints
from emogan.models import details

SIDE = details.SCALE * details.SIZE  # pixels of a face
_MARGIN = 0.25  # of a face's side, around it in a portrait's crop
_CROP = round((1 + 2 * _MARGIN) * SIDE)
_LEAST = 120  # pixels of a face's side in the portrait; smaller ones have no details to learn
_UNIT = SIDE / 144  # lengths below are in pixels of 144 a side

_Y, _X = np.indices((SIDE, SIDE), np.float32)


@dataclasses.dataclass(frozen=True)
class Portraits:
    """Crops uint8 [N, C, C, 3] of upright faces, and eyes, nose and corners of the mouth in them, float32 [N, 5, 2]."""

    crops: np.ndarray
    points: np.ndarray

    def of(self, which: np.ndarray) -> "Portraits":
        """Returns some of them."""
        return Portraits(self.crops[which], self.points[which])


@dataclasses.dataclass(frozen=True)
class Pairs:
    """What the network is given and what it must draw.

    Attributes:
      guides: faces, moved as their edits move them, uint8 [N, 144, 144, 3].
      afters: the edited faces, small and gray, uint8 [N, 48, 48].
      answers: the edited faces, uint8 [N, 144, 144, 3].
    """

    guides: np.ndarray
    afters: np.ndarray
    answers: np.ndarray


def read(folder: pathlib.Path) -> Portraits:
    """Returns the portraits in a folder that show one face, large enough.

    Raises:
      ValueError: if there are fewer than two.
    """
    crops, points = [], []
    for path in sorted(folder.glob("*.jpg")):
        pixels = np.asarray(PIL.Image.open(path).convert("RGB"))
        faces = detection.find(pixels)
        if len(faces) != 1 or faces[0].square.side < _LEAST:
            continue
        square = faces[0].square
        wider = framing.about(square.middle, (1 + 2 * _MARGIN) * square.side, square.angle)
        crop = framing.crop(pixels, wider, _CROP)
        found = detection.detect(crop)
        if found:
            crops.append(crop)
            points.append(found[0].landmarks)
    if len(crops) < 2:
        raise ValueError(f"--data_dir: expected .jpg portraits with one face each, found {len(crops)} in {folder}")
    return Portraits(np.stack(crops), np.float32(points))


def made(portraits: Portraits, count: int, seed: int) -> Pairs:
    """Returns pairs made of portraits."""
    maker = _Maker(portraits, np.random.default_rng(seed))
    pairs = [maker.pair() for _ in range(count)]
    return Pairs(*(np.stack(part) for part in zip(*pairs, strict=True)))


class _Maker:
    def __init__(self, portraits: Portraits, random: np.random.Generator):
        self._portraits, self._random = portraits, random

    def pair(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns a guide, the edited face, small and gray, and the answer."""
        random = self._random
        crop, points = self._one()
        other = crop
        for feature, share in (("mouth", 0.65), ("eyes", 0.5)):
            if random.random() < share:
                other = _transplanted(other, points, *self._one(), feature)
        place, points = self._place(points)
        bent = np.zeros((2, SIDE, SIDE), np.float32)
        if random.random() < 0.5:
            bent += self._smooth(14, 2) * random.uniform(0, 1.2)
        if random.random() < 0.6:
            bent += self._expression(points, random.uniform(0, 3))
        answer = _taken(crop, place(bent))
        source = _taken(other, place(bent * random.integers(2) + self._expression(points, random.uniform(0, 3.5))))
        if random.random() < 0.38:
            answer = self._open_mouth(answer, points)
        elif random.random() < 0.15:
            source = self._open_mouth(source, points)
        if random.random() < 0.2:
            answer = self._closed_eyes(answer, points)
        if random.random() < 0.6:  # light and shade that the edit adds
            answer = answer * np.exp(random.uniform(0.03, 0.2) * self._smooth(random.uniform(6, 25)))[0][..., None]
        inner = np.clip((1.05 - np.hypot(_X - SIDE / 2 + 0.5, _Y - SIDE / 2 + 0.5) * 2 / SIDE) / 0.25, 0, 1)[..., None]
        source, answer = self._lit(source, source + inner * (answer - source))
        if random.random() < 0.5:
            source, answer = source[:, ::-1], answer[:, ::-1]
        source, answer = (np.round(face).astype(np.uint8) for face in (source, answer))
        whole = framing.whole(SIDE, SIDE)
        before, after = (framing.cut(face, whole, dataset.FER2013) for face in (source, answer))
        after = self._as_an_edit(after)
        flow = np.moveaxis(motion.between(before, after), -1, 0)
        larger = np.stack([ndimage.zoom(part, details.SCALE, order=1) for part in flow]) * details.SCALE
        return np.round(photos.moved(source, larger)).astype(np.uint8), after, answer

    def _one(self) -> tuple[np.ndarray, np.ndarray]:
        i = self._random.integers(len(self._portraits.crops))
        return self._portraits.crops[i].astype(np.float32), self._portraits.points[i]

    def _place(self, points: np.ndarray):
        """Returns where a face is seen in its crop, offsets [2, S, S] -> places [2, S, S], and its points there."""
        random = self._random
        turn = random.uniform(0.9, 1.12) * np.exp(1j * np.deg2rad(random.normal(0, 4)))
        middle = np.array([_CROP, _CROP]) / 2 + random.normal(0, 5 * _UNIT, 2)

        def place(offsets: np.ndarray) -> np.ndarray:
            seen = turn * ((_X + offsets[1] + 1j * (_Y + offsets[0])) - (1 + 1j) * (SIDE - 1) / 2)
            return np.stack([seen.imag + middle[1], seen.real + middle[0]])

        there = ((points - middle) @ [1, 1j]) / turn
        return place, np.stack([there.real, there.imag], axis=1) + (SIDE - 1) / 2

    def _smooth(self, deviation: float, count: int = 1) -> np.ndarray:
        """Returns fields [count, S, S] of mean 0 and deviation 1 that vary over a length."""
        coarse = self._random.standard_normal((count, SIDE // 4, SIDE // 4))
        coarse = ndimage.gaussian_filter(coarse, (0, *(2 * [deviation * _UNIT / 4])), mode="nearest")
        return ndimage.zoom(coarse / coarse.std(), (1, 4, 4), order=1).astype(np.float32)

    def _expression(self, points: np.ndarray, amount: float) -> np.ndarray:
        """Returns offsets [2, S, S] by which mouth, eyes and brows are moved and stretched."""
        offsets = np.zeros((2, SIDE, SIDE), np.float32)
        mouth, brow = points[3:].mean(axis=0), np.array([0, 12 * _UNIT])
        parts = [(mouth, 24), (points[0], 16), (points[1], 16), (points[0] - brow, 12), (points[1] - brow, 12)]
        for (x, y), height in parts:
            across, down = (_X - x) / (28 * _UNIT), (_Y - y) / (height * _UNIT)
            near = np.exp(-(across**2) - down**2)
            a, b, c, d = self._random.normal(0, amount * _UNIT, 4)
            offsets += near * np.stack([a + 1.5 * b * down, c + d * across])
        return offsets

    def _open_mouth(self, face: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Returns a face [S, S, 3] with an open mouth drawn into it: lips, the dark, perhaps teeth and a tongue."""
        random, (x, y) = self._random, points[3:].mean(axis=0)
        width = np.hypot(*(points[4] - points[3]))
        half, high = width * random.uniform(0.25, 0.55), width * random.uniform(0.12, 0.6)
        x, y_of = x + random.uniform(-0.05, 0.05) * width, y + high * random.uniform(0.2, 0.7)
        power, bend, soft = random.uniform(1.8, 3), random.uniform(-1, 1), random.uniform(0.6, 2) * _UNIT
        across = (_X - x) / half
        texture = 1 + 0.06 * self._smooth(3)[0][..., None]

        def inside(margin: float) -> np.ndarray:
            down = (_Y - y_of - 0.15 * high * bend * across**2) / (high + margin)
            radius = np.abs((_X - x) / (half + margin)) ** power + np.abs(down) ** power
            return np.clip((1 - radius) * high / soft / 2 + 0.5, 0, 1)[..., None]

        rows, columns = (np.clip(np.int_([c - r, c + r + 1]), 0, SIDE) for c, r in ((y, 3), (x, width / 4)))
        near = face[slice(*rows), slice(*columns)].reshape(-1, 3)
        lip = np.quantile(near, 0.3, axis=0) if len(near) else np.array([150.0, 90.0, 90.0])
        drawn = face + inside(width * random.uniform(0.06, 0.15)) * random.uniform(0.6, 1) * (
            lip * random.uniform(0.8, 1.15) * texture - face
        )
        hue = np.array([random.uniform(1.2, 1.9), random.uniform(0.65, 0.9), random.uniform(0.6, 0.9)])
        inner = random.uniform(8, 60) * hue * texture * np.ones_like(face)
        if random.random() < 0.6:
            edge = y_of - high + high * random.uniform(0.3, 1.1) + 0.1 * high * np.cos(2 * across)
            tooth = random.uniform(0.09, 0.16) * width
            gap = np.clip(1 - np.abs(((_X - x) / tooth + 0.5) % 1 - 0.5) * tooth / 0.8, 0, 1)
            light = (1 - 0.25 * gap) * np.clip(1.2 - across**2 * random.uniform(0.3, 0.9), 0.2, 1)
            white = np.array([225, 212, 195]) * random.uniform(0.6, 1.05) * light[..., None]
            inner += np.clip((edge - _Y) / soft + 0.5, 0, 1)[..., None] * (white - inner)
        if random.random() < 0.45:
            down = (_Y - y_of - 0.75 * high) / (high * random.uniform(0.4, 0.8))
            tongue = np.clip(3 * (1 - (across / 0.7) ** 2 - down**2), 0, 1)[..., None]
            inner += tongue * (np.array([180, 100, 100]) * random.uniform(0.5, 1) * texture - inner)
        return np.clip(drawn + inside(0) * (inner - drawn), 0, 255)

    def _closed_eyes(self, face: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Returns a face [S, S, 3] whose eyes are closed, or half closed: lids of skin, and a line of lashes."""
        random, apart = self._random, np.hypot(*(points[1] - points[0]))
        half, high = apart * random.uniform(0.24, 0.32), apart * random.uniform(0.1, 0.2)
        lower, bend = random.uniform(-0.2, 0.5), random.uniform(0.1, 0.5)
        soft, thick = random.uniform(0.6, 1.5) * _UNIT, apart * random.uniform(0.015, 0.05)
        dark, lash = random.uniform(0.75, 1.0), random.uniform(0.15, 0.5)
        for x, y in points[:2]:
            across, down = (_X - x) / half, (_Y - y) / high
            around = across**2 + down**2
            skin = np.median(face[(around > 1.2) & (around < 2.5) & (down > 0)], axis=0)
            if not np.isfinite(skin).all():  # the eye lies outside
                continue
            edge = _Y - y - high * (lower + bend * (1 - across**2))  # below 0 is the lid
            lid = np.clip((1.15 - around) * high / soft / 2 + 0.5, 0, 1) * np.clip(0.5 - edge / soft, 0, 1)
            face = face + lid[..., None] * (skin * dark * (1 - 0.12 * np.clip(-down, 0, 1))[..., None] - face)
            line = np.clip(1.2 - np.abs(edge) / thick, 0, 1) * np.clip((1.1 - across**2) * 4, 0, 1)
            face = face + line[..., None] * (skin * lash - face)
        return face

    def _lit(self, *faces: np.ndarray) -> list[np.ndarray]:
        """Returns faces in another light, with weaker or stronger colours or none, and with the grain of a camera."""
        random = self._random
        gain = random.uniform(0.75, 1.2) * random.uniform(0.88, 1.12, 3)
        gamma, colour = random.uniform(0.7, 1.4), random.uniform(0.6, 1.2) * (random.random() < 0.85)
        grain = random.normal(0, random.uniform(0, 4), (SIDE, SIDE, 1)) * (random.random() < 0.5)
        lit = [255 * (np.clip(face, 0, 255) / 255) ** gamma * gain for face in faces]
        gray = [(face @ tints.LUMA)[..., None] for face in lit]
        shown = [np.clip(own + colour * (face - own), 0, 255) for face, own in zip(lit, gray, strict=True)]
        return [np.clip(face + grain, 0, 255) for face in shown]

    def _as_an_edit(self, after: np.ndarray) -> np.ndarray:
        """Returns a small face as soft and as noisy as a model may draw it."""
        random, after = self._random, after.astype(np.float32)
        if random.random() < 0.7:
            after = ndimage.gaussian_filter(after, random.uniform(0, 0.5))
        if random.random() < 0.5:
            noise = ndimage.gaussian_filter(random.standard_normal(after.shape), random.uniform(0, 0.8))
            after = after + noise * random.uniform(0, 4)
        return np.round(np.clip(after, 0, 255)).astype(np.uint8)


def _taken(crop: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Returns the pixels of a crop [C, C, 3] at places [2, H, W], down and right."""
    channels = [ndimage.map_coordinates(crop[..., c], places, order=1, mode="nearest") for c in range(3)]
    return np.stack(channels, axis=-1)


def _transplanted(
    crop: np.ndarray, points: np.ndarray, other: np.ndarray, others: np.ndarray, feature: str
) -> np.ndarray:
    """Returns a crop with the mouth or the eyes of another, in its own light."""
    first, second = (chosen @ [1, 1j] for chosen in (points, others))
    shifted = first - first.mean()
    turn = ((second - second.mean()) @ shifted.conj()) / np.sum(np.abs(shifted) ** 2)
    if feature == "mouth":
        middle, width = points[3:].mean(axis=0), np.hypot(*(points[4] - points[3]))
        radii = 0.85 * width, 0.6 * width
    else:
        middle, width = points[:2].mean(axis=0) - [0, 2 * _UNIT], np.hypot(*(points[1] - points[0]))
        radii = 0.95 * width, 0.42 * width
    first_, last = (np.clip(np.int_(middle + sign * 1.6 * np.array(radii)), 0, _CROP) for sign in (-1, 1))
    y, x = np.mgrid[first_[1] : last[1], first_[0] : last[0]].astype(np.float32)
    there = turn * (x + 1j * y - first.mean()) + second.mean()
    patch = _taken(other, np.stack([there.imag, there.real]))
    own = crop[first_[1] : last[1], first_[0] : last[0]]
    away = ((x - middle[0]) / radii[0]) ** 2 + ((y - middle[1]) / radii[1]) ** 2
    ring = (away > 0.8) & (away < 1.4)
    if not ring.any():
        return crop
    patch = patch + own[ring].mean(axis=0) - patch[ring].mean(axis=0)
    answer = crop.copy()
    share = np.clip((1.25 - away) / 0.5, 0, 1)[..., None]
    answer[first_[1] : last[1], first_[0] : last[0]] = np.clip(own + share * (patch - own), 0, 255)
    return answer
