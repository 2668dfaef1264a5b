"""Videos edited into videos."""

import pathlib
import subprocess
import sys
from fractions import Fraction

import numpy as np
import PIL.Image
import pytest
import skimage

import emogan
from emogan.data import dataset
from emogan.edit import detection, framing, photo_reader, videos

av = pytest.importorskip("av")

COUNT, RATE = 20, 10
SHARPEST = 12  # gray levels by which H.264 may change a frame that is not edited


class Darkens:
    """A model whose edits are 60 gray levels darker."""

    spec, class_names, warps, blends, encoder_labels = dataset.FER2013, emogan.EMOTIONS, False, False, ""
    label = staticmethod(emogan.EMOTIONS.index)

    def sequence(self, faces, emotion, strength, progress=None):
        return np.clip(faces.astype(int) - 60, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def frames():
    """uint8 [20, 240, 301, 3]: Eileen Collins, in the public domain, moving to the right."""
    portrait = PIL.Image.open(pathlib.Path(skimage.__file__).parent / "data" / "astronaut.png").convert("RGB")
    portrait = portrait.crop((80, 0, 380, 300)).resize((240, 240))
    shown = []
    for i in range(COUNT):
        image = PIL.Image.new("RGB", (301, 240), "gray")
        image.paste(portrait, (2 * i, 0))
        shown.append(np.asarray(image))
    return np.stack(shown)


def write_clip(path, frames, sound=None, codec="libx264", rotation=0):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options={"crf": "10"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1] // 2 * 2, frames.shape[2] // 2 * 2, "yuv420p"
        heard = container.add_stream(sound, rate=48_000) if sound else None
        for i, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[: stream.height, : stream.width]), "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        if heard:
            tone = (8000 * np.sin(np.arange(48_000 * COUNT // RATE) / 20)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]).T.reshape(1, -1), "s16", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
            container.mux(heard.encode(frame))
            container.mux(heard.encode(None))
        container.mux(stream.encode(None))
    return path


def read_clip(path):
    with av.open(str(path)) as container:
        seen = [(float(frame.time), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
        names = [stream.codec_context.name for stream in container.streams.audio]
        return np.array([time for time, _ in seen]), np.stack([pixels for _, pixels in seen]), names, container.metadata


@pytest.fixture(scope="module")
def clip(tmp_path_factory, frames):
    return write_clip(tmp_path_factory.mktemp("clip") / "in.mp4", frames, "aac")


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_the_face_of_each_frame_is_edited_and_times_and_sound_stay(clip, frames, tmp_path, suffix):
    told = []
    done = videos.write(
        Darkens(), clip, "sad", tmp_path / f"out{suffix}", None, lambda what: lambda *count: told.append((what, *count))
    )
    assert (done.frames, done.faces) == (COUNT, 1)
    assert done.found[0].startswith(f"{clip}: face 1 in frames 0 to 19, first at (")
    assert told[-1] == ("writing", COUNT, COUNT)
    assert {what for what, *_ in told} == {"finding faces", "editing", "writing"}
    times, pixels, sounds, metadata = read_clip(tmp_path / f"out{suffix}")
    np.testing.assert_allclose(times - times[0], np.arange(COUNT) / RATE, atol=0.002)
    assert pixels.shape == (COUNT, 240, 300, 3)
    assert len(sounds) == 1
    assert "synthetic" in {key.lower(): value for key, value in metadata.items()}["comment"]
    before = read_clip(clip)[1].astype(int)
    change = (pixels.astype(int) - before).mean(-1)
    for i in range(5, 15):
        row, column = 97, 143 * 240 // 300 + 2 * i  # the cheek moves with the frame
        assert change[i, row - 5 : row + 5, column - 5 : column + 5].mean() < -25
        assert np.abs(change[i, :, 292:]).mean() < SHARPEST


def test_successive_edits_flicker_no_more_than_the_video_does(frames, tmp_path):
    still = write_clip(tmp_path / "still.mp4", np.stack([frames[0]] * COUNT))

    class Trembles(Darkens):
        def sequence(self, faces, emotion, strength, progress=None):
            random = np.random.default_rng(0).normal(-60, 20, (len(faces), 1, 1))
            return np.clip(faces + random, 0, 255).astype(np.uint8)

    videos.write(Trembles(), still, "sad", tmp_path / "out.mp4")
    shown = read_clip(tmp_path / "out.mp4")[1][4:-4, 70:110, 90:130].mean((1, 2, 3))
    assert np.abs(np.diff(shown)).mean() < 10  # 22 where nothing steadies the edits


def test_a_file_without_sound_has_none(frames, tmp_path):
    videos.write(Darkens(), write_clip(tmp_path / "in.webm", frames, codec="libvpx-vp9"), "sad", tmp_path / "out.mp4")
    assert read_clip(tmp_path / "out.mp4")[2] == []


@pytest.mark.parametrize(
    ("emotion", "output", "faces", "line"),
    [
        ("all", "out.mp4", "all", "--emotion: expected one emotion for a video, found all"),
        ("sad:happy", "out.mp4", "all", "--emotion: expected one emotion for a video, found sad:happy"),
        ("sad", "out.gif", "all", "--output: expected NAME.mp4 or NAME.webm for a video, found"),
        ("sad", "out.mp4", "1,2", "--faces: expected all or largest for a video, found numbers"),
        ("sad", "in.mp4", "all", "--output: expected another file than the input, found"),
    ],
)
def test_what_a_video_cannot_have_is_said_before_the_work(clip, tmp_path, emotion, output, faces, line):
    target = clip if output == "in.mp4" else tmp_path / output
    with pytest.raises(ValueError, match=line):
        videos.write(Darkens(), clip, emotion, target, photo_reader.selection(faces))
    assert list(tmp_path.iterdir()) == []


def test_bad_files_end_in_a_line_and_leave_nothing(clip, frames, tmp_path):
    whole = clip.read_bytes()
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_bytes(b"no video" * 100)
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    for name in ("empty.mp4", "text.mp4", "cut.mp4"):
        with pytest.raises(ValueError, match=f"{name}: expected a video .*, found"):
            videos.write(Darkens(), tmp_path / name, "sad", tmp_path / "out.mp4")
    write_clip(tmp_path / "gray.mp4", np.full_like(frames, 128))
    with pytest.raises(ValueError, match=r"gray.mp4: expected a video with a face of at least 40 pixels"):
        videos.write(Darkens(), tmp_path / "gray.mp4", "sad", tmp_path / "out.mp4")
    with pytest.raises(FileNotFoundError, match=r"absent.mp4: expected a video .*, found no file"):
        videos.write(Darkens(), tmp_path / "absent.mp4", "sad", tmp_path / "out.mp4")
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("side", "turned", "shown", "line"),
    [
        (80.0, True, COUNT, "seen for 0.4 seconds from the front, found only others in 20 frames; --any_pose edits"),
        (30.9, False, COUNT, "at least 40 pixels, found none of more than 30 in 20 frames"),
        (80.0, False, 1, "seen for 0.4 seconds, found only shorter ones in 20 frames"),
        (80.0, False, 0, "at least 40 pixels, found none in 20 frames; --min_confidence"),
    ],
)
def test_a_line_says_why_no_face_is_edited(clip, tmp_path, monkeypatch, side, turned, shown, line):
    faces = iter([[detection.Face(framing.Square(50, 50, side), 0.9, turned)]] * shown + [[]] * (COUNT - shown))
    monkeypatch.setattr(detection, "find", lambda pixels, least: next(faces))
    with pytest.raises(ValueError, match=f"in.mp4: expected a video .*{line}"):
        videos.write(Darkens(), clip, "sad", tmp_path / "out.mp4")


def test_metadata_that_are_no_utf8_are_no_fault(clip, tmp_path):
    whole = clip.read_bytes()
    assert b"Lavf" in whole  # the program that wrote it
    (tmp_path / "in.mp4").write_bytes(whole.replace(b"Lavf", b"L\xff\xfef"))
    assert videos.write(Darkens(), tmp_path / "in.mp4", "sad", tmp_path / "out.mp4").frames == COUNT


def test_a_model_that_fails_leaves_the_old_file(clip, tmp_path):
    class Fails(Darkens):
        def sequence(self, faces, emotion, strength, progress=None):
            raise RuntimeError("fails")

    (tmp_path / "out.mp4").write_bytes(b"old")
    with pytest.raises(RuntimeError):
        videos.write(Fails(), clip, "sad", tmp_path / "out.mp4")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_frames_beyond_the_bounds_are_refused(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(videos, "MOST_FRAMES", 5)
    with pytest.raises(ValueError, match=r"in.mp4: expected at most 5 frames, found 20; cut it"):
        videos.write(Darkens(), clip, "sad", tmp_path / "out.mp4")
    monkeypatch.setattr(videos, "MOST_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"in.mp4: expected frames of at most 0.0 megapixels, found 0.1"):
        videos.write(Darkens(), clip, "sad", tmp_path / "out.mp4")


def test_without_the_extra_a_line_says_what_to_install():
    script = """
import pathlib, sys
sys.modules["av"] = None
from emogan.edit import photo_reader, videos
try:
    videos.check("sad", pathlib.Path("out.mp4"), photo_reader.Selection())
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("expected PyAV for videos, found none (")
    assert done.stdout.endswith('pip install "emogan[video]"\n')
    assert done.stdout.count("\n") == 1


def test_colours_and_the_shape_of_pixels_stay(frames, tmp_path):
    coloured = np.broadcast_to(np.array([200, 60, 40], np.uint8), frames.shape).copy()
    coloured[:, :, :150] = frames[:, :, :150]
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "10"})
        stream.height, stream.width, stream.pix_fmt = 240, 300, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1  # BT.709
        stream.sample_aspect_ratio = Fraction(4, 3)
        for i, pixels in enumerate(coloured):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:, :300]), "rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1)
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    videos.write(Darkens(), tmp_path / "in.mp4", "sad", tmp_path / "new" / "out.mp4")
    with av.open(str(tmp_path / "new" / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.sample_aspect_ratio == Fraction(4, 3)
        frame = next(container.decode(stream))
        assert int(frame.colorspace) == 1
        shown = frame.reformat(format="rgb24", src_colorspace=1).to_ndarray()
    assert np.abs(shown[100:140, 250:290].reshape(-1, 3).mean(0) - [200, 60, 40]).max() < 6  # 20 by the other matrix


def test_sound_that_the_output_holds_is_copied(frames, tmp_path):
    clip = write_clip(tmp_path / "in.mp4", frames, "libmp3lame")
    videos.write(Darkens(), clip, "sad", tmp_path / "out.mp4")
    found = []
    for path in (clip, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            found.append([bytes(packet) for packet in container.demux(audio=0) if packet.dts is not None])
    assert found[0] == found[1]
