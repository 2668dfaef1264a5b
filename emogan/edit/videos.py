"""Changes the emotion on the faces in a video, and keeps the sound."""

import contextlib
import dataclasses
import errno
import fractions
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from emogan.edit import (
    checked,
    detection,
    editor,
    emotion_spec,
    exposure,
    framing,
    motion,
    photo_reader,
    photos,
    tracks,
)
from emogan.util import files, images, untrusted

INPUTS = (".mp4", ".webm", ".mov", ".mkv", ".m4v", ".avi")
CODECS = {".mp4": "libx264", ".webm": "libvpx-vp9"}  # of the kinds that are written
MOST_FRAMES = 100_000  # an hour at 25 a second
MOST_PIXELS = 1 << 23  # of a frame: 3840x2160
_STEADY = 1.0  # frames: the standard deviation of the Gaussian that smooths what an edit changes over time
_QUALITY = {".mp4": {"crf": "18"}, ".webm": {"crf": "24", "b": "0"}}
_SOUNDS = {".mp4": ("aac", "mp3", "ac3", "eac3", "opus", "alac"), ".webm": ("opus", "vorbis")}  # that they hold
_SOUND_CODECS = {".mp4": "aac", ".webm": "libopus"}  # for what they do not
_BT709, _BT601, _UNKNOWN = 1, 5, 2  # matrices of colours, as FFmpeg numbers them
_STUDIO = 1  # the range 16..235, likewise
_HD = 720  # rows from which a video that does not name its matrix has that of BT.709
_KIND = "a video (.mp4, .webm, .mov, .mkv, .m4v or .avi)"

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
      frames: how many.
      faces: how many faces were followed and edited.
      found: lines that say where.
    """

    frames: int
    faces: int
    found: tuple[str, ...]


def is_video(path: pathlib.Path) -> bool:
    """Returns whether a file is taken for a video, by its name."""
    return path.suffix.lower() in INPUTS


def check(emotion: str, output: pathlib.Path, chosen: photo_reader.Selection) -> None:
    """Checks what can be checked before any frame is read.

    Raises:
      ValueError: if a video cannot have this emotion, this output or this selection, or PyAV is not installed.
    """
    if editor.is_all(emotion) or emotion_spec.is_interpolation(emotion):
        raise ValueError(f"--emotion: expected one emotion for a video, found {emotion}")
    if output.suffix.lower() not in CODECS:
        raise ValueError(f"--output: expected NAME.mp4 or NAME.webm for a video, found {output}")
    if isinstance(chosen.faces, tuple):
        raise ValueError("--faces: expected all or largest for a video, found numbers")
    files.check_folder(output.parent)
    _av()


def write(
    model: editor.Editor,
    source: pathlib.Path,
    emotion: str,
    output: pathlib.Path,
    chosen: photo_reader.Selection | None = None,
    progress: Callable[[str], Progress] | None = None,
    strength: float = 1.0,
) -> Written:
    """Writes a video in which faces have another emotion, and returns what was written.

    Faces are followed (`tracks`), cut out of their smoothed frames, edited by `Editor.sequence`, and put back as into
    photographs. Frames keep their times; the sound is copied, or re-encoded where the output cannot hold it.

    Args:
      model: the trained networks.
      source: the video.
      emotion: a name.
      output: NAME.mp4 (H.264) or NAME.webm (VP9).
      chosen: which faces; all if not given.
      progress: given the name of a part of the work, returns a function of (done, total) frames.
      strength: of `Editor.faces`.

    Raises:
      FileNotFoundError, ValueError: if there is no video, it is damaged or too large, no face is found, or as `check`.
    """
    chosen = chosen or photo_reader.Selection()
    check(emotion, output, chosen)
    emotion_spec.check(model, emotion, 2)
    checked.strength(strength)
    if not source.is_file():
        raise FileNotFoundError(f"{source}: expected {_KIND}, found no file")
    if output.exists() and output.samefile(source):
        raise ValueError(f"--output: expected another file than the input, found {output}")
    note = progress or (lambda what: lambda done, total: None)

    tell, found = note("finding faces"), []
    with _opened(source) as video:
        rate, total = float(video.rate), video.count
        for frame in video.frames():
            found.append(detection.find(frame.pixels, chosen.min_confidence))
            tell(len(found), max(total, len(found) + 1))
        tell(len(found), len(found))
    followed = tracks.follow(found, rate, detection.smallest(model.spec), chosen.any_pose)
    followed = [one for one in followed if one.weights.any()]
    if chosen.faces == photo_reader.LARGEST:
        followed = tracks.largest(followed)
    if not followed:
        raise ValueError(f"{untrusted.escaped(str(source))}: {_why_none(found, rate, model, chosen.any_pose)}")

    cuts: list[list[np.ndarray]] = [[] for _ in followed]
    with _opened(source) as video:
        for i, frame in enumerate(video.frames()):
            for cut, track in zip(cuts, followed, strict=True):
                if track.start <= i < track.start + len(track):
                    cut.append(framing.cut(frame.pixels, track.squares[i - track.start], model.spec))
    tell, edits = note("editing"), []
    whole, done = sum(len(track) for track in followed), 0
    for i, track in enumerate(followed):
        tell_more = lambda more, done=done: tell(done + more, whole)  # noqa: E731
        edits.append(_edited(model, np.stack(cuts[i]), emotion, strength, track, tell_more))
        cuts[i], done = [], done + len(track)
        tell(done, whole)

    tell = note("writing")
    output.parent.mkdir(parents=True, exist_ok=True)
    with _opened(source) as video, files.replacing(output) as temporary:
        _encode(video, temporary, output.suffix.lower(), followed, edits, lambda done: tell(done, len(found)))
    name = untrusted.escaped(str(source))
    lines = tuple(
        f"{name}: face {number} in frames {track.start} to {track.start + len(track) - 1}, first at "
        f"({track.squares[0].left:.0f}, {track.squares[0].top:.0f}), {int(track.squares[0].side)} pixels"
        for number, track in enumerate(followed, 1)
    )
    return Written(len(found), len(followed), lines)


def _why_none(found: Sequence[Sequence[detection.Face]], rate: float, model: editor.Editor, any_pose: bool) -> str:
    """Returns why no face of a video is edited."""
    smallest, frames = detection.smallest(model.spec), f"in {len(found)} frames"
    expected = f"expected a video with a face of at least {smallest} pixels"
    largest = max((face.square.side for faces in found for face in faces), default=0.0)
    if not largest:
        return f"{expected}, found none {frames}; --min_confidence finds those that the detector doubts"
    if largest < smallest:
        return f"{expected}, found none of more than {int(largest)} {frames}"
    lasting = f"{expected}, seen for {tracks.SHORTEST:g} seconds"
    if not any_pose and any(one.weights.any() for one in tracks.follow(found, rate, smallest, any_pose=True)):
        return f"{lasting} from the front, found only others {frames}; --any_pose edits faces that are turned away"
    return f"{lasting}, found only shorter ones {frames}"


@dataclasses.dataclass(frozen=True)
class _Edits:
    """The faces uint8 [T, S, S(, 3)] of a track, their edits, and how these move them, float32 [T, S, S, 2]."""

    before: np.ndarray
    after: np.ndarray
    flows: np.ndarray


def _edited(
    model: editor.Editor,
    before: np.ndarray,
    emotion: str,
    strength: float,
    track: tracks.Track,
    progress: Callable[[int], None],
) -> _Edits:
    """Returns the edits of a track's faces, steadied over time and as strong as its weights say."""
    shown = track.weights > 0
    first, last = np.flatnonzero(shown)[[0, -1]]
    part = slice(int(first), int(last) + 1)
    seen = exposure.of(before[part], together=True)
    edits = seen.back(model.sequence(seen.faces, emotion, strength, progress))
    change = np.zeros(before.shape, np.float32)
    change[part] = edits.astype(np.float32) - before[part]
    change = ndimage.gaussian_filter1d(change, _STEADY, axis=0, mode="nearest")
    weights = track.weights.reshape(-1, *(1,) * (before.ndim - 1))
    flows = np.zeros((*before.shape[:3], 2), np.float32)
    if model.warps:
        flows[part] = model.displacement(seen.faces, emotion, strength)
    else:
        for i, pair in enumerate(zip(before[part], edits, strict=True), int(first)):
            flows[i] = motion.between(*pair)
    flows = ndimage.gaussian_filter1d(flows, _STEADY, axis=0, mode="nearest") * track.weights[:, None, None, None]
    return _Edits(before, np.clip(np.round(before + weights * change), 0, 255).astype(np.uint8), flows)


@dataclasses.dataclass(frozen=True)
class _Frame:
    """A frame of a video.

    Attributes:
      pixels: uint8 [H, W, 3], upright.
      time: when it is shown, in units of the stream's time, if the file says it.
      matrix: of its colours, as FFmpeg numbers them: 1 (BT.709) or 5 (BT.601).
      ratio: of the sides of its pixels, width over height.
    """

    pixels: np.ndarray
    time: int | None
    matrix: int
    ratio: fractions.Fraction


class _Video:
    """An open video."""

    def __init__(self, container: Any, path: pathlib.Path):
        self._path = untrusted.escaped(str(path))
        pictures, sounds = (
            [stream for stream in streams if stream.codec_context is not None]  # those that FFmpeg can decode
            for streams in (container.streams.video, container.streams.audio)
        )
        if not pictures:
            raise ValueError(f"{self._path}: expected {_KIND}, found no pictures in it that can be read")
        self._container, self.stream, self.sound = container, pictures[0], sounds[0] if sounds else None
        self.stream.thread_type = "AUTO"
        self.rate = self.stream.average_rate or self.stream.guessed_rate or fractions.Fraction(25)
        self.count = int(self.stream.frames or 0)  # 0 where the file does not say it
        size = self.stream.codec_context.width * self.stream.codec_context.height
        if not 0 < size <= MOST_PIXELS:
            raise ValueError(
                f"{self._path}: expected frames of at most {MOST_PIXELS / 1e6:.1f} megapixels, found {size / 1e6:.1f}"
            )
        if self.count > MOST_FRAMES:
            raise ValueError(f"{self._path}: expected at most {MOST_FRAMES} frames, found {self.count}; cut it")

    def frames(self) -> Iterator[_Frame]:
        """Gives the frames from the first on."""
        return (item for item in self._demuxed(self.stream) if isinstance(item, _Frame))

    def frames_and_sound(self) -> Iterator[Any]:
        """Gives frames, and packets of sound as they come between them."""
        return self._demuxed(*filter(None, (self.stream, self.sound)))

    def _demuxed(self, *streams: Any) -> Iterator[Any]:
        count = 0
        for packet in self._container.demux(*streams):
            if packet.stream is self.sound:
                if packet.dts is not None:  # the last is empty
                    yield packet
                continue
            for frame in packet.decode():
                count += 1
                if count > MOST_FRAMES:
                    raise ValueError(f"{self._path}: expected at most {MOST_FRAMES} frames, found more; cut it")
                matrix = _matrix(frame)
                pixels = frame.reformat(format="rgb24", src_colorspace=matrix).to_ndarray()
                quarters = round(frame.rotation / 90) % 4
                if quarters:
                    pixels = np.ascontiguousarray(np.rot90(pixels, quarters))
                ratio = self.stream.sample_aspect_ratio or fractions.Fraction(1)
                yield _Frame(pixels, frame.pts, matrix, 1 / ratio if quarters % 2 else ratio)


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[_Video]:
    """Opens a video; whatever is wrong with it is a ValueError."""
    av = _av()
    try:
        with av.open(str(path), **_lenient(av)) as container:
            yield _Video(container, path)
    except av.error.FFmpegError as error:
        reason = " ".join(str(error.strerror or error).split())
        raise ValueError(f"{untrusted.escaped(str(path))}: expected {_KIND}, found {reason}") from error


def _lenient(av: Any) -> dict[str, str]:
    """Returns the arguments with which PyAV opens files whose metadata are not UTF-8; PyAV 19 needs none."""
    return {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}


@contextlib.contextmanager
def _told_of_target(path: pathlib.Path) -> Iterator[None]:
    """Has what the system refuses of the file that is written name that file, as the input is being read meanwhile."""
    av = _av()
    try:
        yield
    except av.error.FFmpegError as error:
        if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.ENOENT, errno.EDQUOT):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


class _Target:
    """A video that is being written, with the times and the sound of another."""

    def __init__(self, container: Any, suffix: str, video: _Video, first: _Frame):
        self._container = container
        container.metadata["comment"] = images.SYNTHETIC["Source"]
        self._stream = container.add_stream(CODECS[suffix], rate=video.rate, options=_QUALITY[suffix])
        # Colours are stored for 2x2 pixels, so the sides are even.
        self._height, self._width = (side // 2 * 2 for side in first.pixels.shape[:2])
        self._stream.height, self._stream.width, self._stream.pix_fmt = self._height, self._width, "yuv420p"
        self._unit = video.stream.time_base or 1 / video.rate
        self._stream.codec_context.time_base = self._unit
        self._next, self._matrix = 0, first.matrix
        context = self._stream.codec_context
        context.colorspace, context.color_range = first.matrix, _STUDIO
        self._stream.sample_aspect_ratio = first.ratio
        self._sound, self._copied = None, False
        self._decoder = video.sound.codec_context if video.sound is not None else None
        if video.sound is not None:
            self._copied = video.sound.codec_context.codec.canonical_name in _SOUNDS[suffix]
            self._sound = (
                container.add_stream_from_template(video.sound)
                if self._copied
                else container.add_stream(_SOUND_CODECS[suffix], rate=48_000)
            )

    def add(self, pixels: np.ndarray, time: int | None) -> None:
        """Adds a frame uint8 [H, W, 3]."""
        frame = _av().VideoFrame.from_ndarray(np.ascontiguousarray(pixels[: self._height, : self._width]), "rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=self._matrix, dst_color_range=_STUDIO)
        # Some files repeat a time, which no encoder takes.
        frame.pts, frame.time_base = max(self._next, time or 0), self._unit
        self._next = frame.pts + 1
        self._container.mux(self._stream.encode(frame))

    def add_sound(self, packet: Any) -> None:
        """Adds a packet of the other's sound."""
        if self._copied:
            packet.stream = self._sound
            self._container.mux(packet)
            return
        for frame in packet.decode():
            self._container.mux(self._sound.encode(frame))

    def end(self) -> None:
        """Writes what the encoders still hold."""
        self._container.mux(self._stream.encode(None))
        if self._sound is not None and not self._copied:
            for frame in self._decoder.decode(None):
                self._container.mux(self._sound.encode(frame))
            self._container.mux(self._sound.encode(None))


def _encode(
    video: _Video,
    path: pathlib.Path,
    suffix: str,
    followed: Sequence[tracks.Track],
    edits: Sequence[_Edits],
    tell: Callable[[int], None],
) -> None:
    """Writes the edited frames and the sound."""
    with _told_of_target(path), _av().open(str(path), "w", format=suffix[1:]) as container:
        target, count, waiting = None, 0, []
        for item in video.frames_and_sound():
            if not isinstance(item, _Frame):
                waiting.append(item)
            else:
                target = target or _Target(container, suffix, video, item)
                target.add(_put_back(item.pixels, count, followed, edits), item.time)
                count += 1
                tell(count)
            if target:  # sound may come before the first frame, whose size the video needs
                for packet in waiting:
                    target.add_sound(packet)
                waiting = []
        target.end()


def _matrix(frame: Any) -> int:
    """Returns the matrix of a frame's colours."""
    named = int(frame.colorspace)
    if named == _UNKNOWN:
        return _BT709 if frame.height >= _HD else _BT601
    return _BT709 if named == _BT709 else _BT601


def _put_back(pixels: np.ndarray, number: int, followed: Sequence[tracks.Track], edits: Sequence[_Edits]) -> np.ndarray:
    """Returns the pixels of a frame with the edits of all faces that it shows."""
    for track, made in zip(followed, edits, strict=True):
        i = number - track.start
        if 0 <= i < len(track) and track.weights[i] > 0:
            pixels = photos.put_back(pixels, track.squares[i], made.before[i], made.after[i], made.flows[i])
    return pixels


def _av() -> Any:
    """Returns PyAV, whose wheel holds FFmpeg."""
    try:
        import av
    except ImportError as error:
        raise ValueError(f'expected PyAV for videos, found none ({error}): pip install "emogan[video]"') from error
    return av
