"""Follows faces from frame to frame of a video: frames that move smoothly, and edits that come and go softly."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from emogan.edit import detection, framing

GAP = 0.4  # seconds for which a face may be lost and found again
FADE = 0.2  # seconds in which an edit comes and goes
SHORTEST = 2 * FADE  # seconds for which a face must be edited: a shorter edit would only flash
_SMOOTHING = 0.1  # seconds: the standard deviation of the Gaussian that smooths places, sizes and tilts
_LEVEL = 0.5  # degrees; a smaller tilt counts as none
_AMONG = 0.2  # seconds: whether a face is turned away is what most answers say
_NEAR, _ALIKE = 0.5, 1.5  # of the side: how far a face moves between two frames at most, and how much it may grow


@dataclasses.dataclass(frozen=True)
class Track:
    """One face through T successive frames.

    Attributes:
      start: the first frame.
      squares: its frames, smoothed; T of them.
      weights: how much of an edit each frame shows, float32 [T] in 0..1; 0 where the face must not be edited.
    """

    start: int
    squares: tuple[framing.Square, ...]
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.squares)


def follow(
    found: Sequence[Sequence[detection.Face]], rate: float, smallest: float, any_pose: bool = False
) -> list[Track]:
    """Returns the faces of a video, each as a track, from left to right where they are first seen.

    A face that is lost for at most `GAP` seconds moves on a line meanwhile. Where it is turned away or too small the
    weight is 0, and rises and falls over `FADE` seconds. A run of frames shorter than
    `SHORTEST` keeps the weight 0.

    Args:
      found: the faces of each frame.
      rate: frames a second.
      smallest: pixels of the side of a square below which a face is not edited.
      any_pose: whether faces that are turned away are edited.
    """
    open_tracks: list[dict[int, detection.Face]] = []  # by frame, in order
    closed: list[dict[int, detection.Face]] = []
    gap = max(1, round(GAP * rate))
    for i, faces in enumerate(found):
        lost = [track for track in open_tracks if i - next(reversed(track)) > gap]
        closed += lost
        open_tracks = [track for track in open_tracks if i - next(reversed(track)) <= gap]
        pairs = sorted(
            (_distance(track[next(reversed(track))].square, face.square), t, f)
            for t, track in enumerate(open_tracks)
            for f, face in enumerate(faces)
        )
        matched: dict[int, int] = {}  # faces to tracks
        for distance, t, f in pairs:
            if distance < 1.0 and f not in matched and t not in matched.values():
                matched[f] = t
        for f, face in enumerate(faces):
            if f in matched:
                open_tracks[matched[f]][i] = face
            else:
                open_tracks.append({i: face})
    every = closed + open_tracks
    # A video may be shorter than a face must be seen.
    least = min(max(1, round(SHORTEST * rate)), len(found))
    tracks = [_smooth(track, len(found), rate, smallest, any_pose, least) for track in every if len(track) >= least]
    return sorted(tracks, key=lambda track: (track.start, track.squares[0].left))


def largest(tracks: Sequence[Track]) -> list[Track]:
    """Returns the track that covers most pixels in all frames together; [] of none."""
    return sorted(tracks, key=lambda track: -sum(square.side**2 for square in track.squares))[:1]


def _distance(one: framing.Square, other: framing.Square) -> float:
    """Returns how far apart two squares are: from 1 on, they are those of two faces."""
    side = min(one.side, other.side)
    x, y = np.subtract(one.middle, other.middle)
    grown = max(one.side, other.side) / side
    return float(max(np.hypot(x, y) / (_NEAR * side), np.log(grown) / np.log(_ALIKE)))


def _smooth(
    track: dict[int, detection.Face], count: int, rate: float, smallest: float, any_pose: bool, least: int
) -> Track:
    seen = sorted(track)
    frames = np.arange(seen[0], seen[-1] + 1)
    found = np.array([[*track[i].square.middle, track[i].square.side, track[i].square.angle] for i in seen])
    found[:, 3] = np.unwrap(found[:, 3], period=360.0)
    places = np.stack([np.interp(frames, seen, values) for values in found.T])
    places = ndimage.gaussian_filter1d(places, _SMOOTHING * rate, axis=1, mode="nearest")
    places[3] = (places[3] + 180.0) % 360.0 - 180.0
    places[3][np.abs(places[3]) < _LEVEL] = 0.0
    # A gap is as good as its ends.
    turned = np.interp(frames, seen, [track[i].turned for i in seen]) > 0
    # One answer among others counts for nothing.
    turned = ndimage.median_filter(turned, size=2 * round(_AMONG * rate / 2) + 1, mode="nearest")
    good = (places[2] >= smallest) & (any_pose | ~turned)
    fade = max(1.0, FADE * rate)
    good &= ~_short(good, least)
    # Frames to the next that is not edited; before the first and after the last of the video there is none.
    around = int(np.ceil(fade)) + 1
    ends = (around * [seen[0] == 0 and good[0]], around * [seen[-1] == count - 1 and good[-1]])
    whole = np.concatenate([ends[0], good, ends[1], [False]])
    away = ndimage.distance_transform_edt(whole)[around : around + len(good)]
    weights = np.minimum(away / fade, 1.0).astype(np.float32)
    return Track(
        int(seen[0]),
        tuple(framing.about((float(x), float(y)), float(side), float(angle)) for x, y, side, angle in places.T),
        weights,
    )


def _short(good: np.ndarray, least: int) -> np.ndarray:
    """Returns which frames bool [T] belong to a run of good ones shorter than `least`."""
    runs, _ = ndimage.label(good)
    return good & (np.bincount(runs)[runs] < least)
