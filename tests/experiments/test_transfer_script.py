"""experiments/transfer.py on each kind of input and output, and on what users get wrong."""

import json
import pathlib
import struct
import subprocess
import sys
import zlib

import numpy as np
import PIL.Image
import pytest
import skimage

import emogan
from emogan.data import dataset, toyfaces
from emogan.edit import face_files

SCRIPT = pathlib.Path(__file__).parents[2] / "experiments" / "transfer.py"
SAMPLES = pathlib.Path(skimage.__file__).parent / "data"

# Runs the script many times in one process, which spares the imports; each time as the command line would.
DRIVER = """
import contextlib, io, json, sys
sys.path.insert(0, sys.argv[1])
import flag_config, transfer
from absl import flags
answers = []
for arguments in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    flags.FLAGS.unparse_flags()
    own = ("workdir", "input", "emotion", "output", "crop", "frames", "faces", "min_confidence", "any_pose", "strength")
    for name in own:
        flags.FLAGS[name].unparse()
    sys.argv = ["transfer.py", *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            flag_config.run(transfer.main)
        except SystemExit as end:
            answers.append((end.code or 0, out.getvalue(), err.getvalue()))
print(json.dumps(answers))
"""


def run_all(commands: dict[str, list[str]]) -> dict[str, tuple[int, str, str]]:
    """Returns status, standard output and standard error of each command line."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(SCRIPT.parent)],
        input=json.dumps(list(commands.values())),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(commands, json.loads(done.stdout), strict=True))


@pytest.fixture(scope="module")
def faces():
    return toyfaces.load("valid", 0, 5).images[:5]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, faces):
    """A folder with everything that the commands below read."""
    folder = tmp_path_factory.mktemp("inputs")
    PIL.Image.fromarray(faces[0]).convert("RGB").resize((90, 60)).save(folder / "one.jpg")
    portrait = PIL.Image.open(SAMPLES / "astronaut.png").convert("RGB").crop((80, 0, 380, 300))
    portrait.save(folder / "photo.jpg")
    PIL.Image.open(SAMPLES / "coffee.png").save(folder / "coffee.png")
    far = PIL.Image.new("RGB", (200, 200), "gray")
    far.paste(portrait.resize((100, 100)), (50, 50))
    far.save(folder / "far.png")
    many = folder / "many"
    many.mkdir()
    for i, face in enumerate(faces[:3]):
        PIL.Image.fromarray(face).save(many / f"face{i}.png")
    PIL.Image.fromarray(faces[3]).save(many / "face0.bmp")
    (many / "notes.txt").write_text("none")
    np.save(folder / "faces.npy", faces)
    (folder / "empty").mkdir()
    for kind, whole in (("faces", "many/face0.png"), ("photos", "photo.jpg")):
        mixed = folder / f"mixed_{kind}"
        mixed.mkdir()
        (mixed / "a.png").write_bytes(b"")
        (mixed / f"b{whole[-4:]}").write_bytes((folder / whole).read_bytes())
    (folder / "bad.png").write_bytes(b"no image")
    (folder / "cut.png").write_bytes((many / "face0.png").read_bytes()[:300])
    np.save(folder / "floats.npy", faces / 255.0)
    np.save(folder / "flat.npy", faces.reshape(5, -1))
    np.save(folder / "none.npy", faces[:0])
    np.save(folder / "objects.npy", np.array([{}, None]), allow_pickle=True)
    (folder / "text.npy").write_text("text")
    with (folder / "huge.npy").open("wb") as file:
        file.truncate(1 << 32)
    bomb = bytearray((many / "face0.png").read_bytes())
    bomb[16:24] = struct.pack(">II", 60_000, 60_000)
    (folder / "bomb.png").write_bytes(bomb[:29] + struct.pack(">I", zlib.crc32(bomb[12:29])) + bomb[33:])
    return folder


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    return tmp_path_factory.mktemp("outputs") / "made"


@pytest.fixture(scope="module")
def good(inputs, outputs, trained_workdir):
    """What each good command answered."""

    def command(source, emotion, output):
        source, output = inputs / source, outputs / output
        return [f"--workdir={trained_workdir}", f"--input={source}", f"--emotion={emotion}", f"--output={output}"]

    return run_all(
        {
            "one": command("one.jpg", "happy", "one.png"),
            "strip": command("one.jpg", "all", "strip.png"),
            "sheet": command("many", "all", "sheet.png"),
            "folder": command("many", "Sadness", "folder"),
            "array": command("faces.npy", "all", "all.npy"),
            "array_of_one": command("faces.npy", "happy", "happy.npy"),
            "one_as_jpeg": command("one.jpg", "happy", "one.jpg"),
            "moving": [*command("many", "neutral:happy", "moving.gif"), "--frames=3"],
            "photo": command("photo.jpg", "happy", "photo.jpg"),
            "photo_strip": command("photo.jpg", "all", "photo.png"),
            "photo_moving": [*command("photo.jpg", "neutral:happy", "photo.gif"), "--frames=3"],
            "photo_as_face": [*command("photo.jpg", "happy", "as_face.png"), "--crop=none"],
            "mixed_faces": command("mixed_faces", "happy", "mixed_faces"),
            "mixed_photos": command("mixed_photos", "happy", "mixed_photos"),
            "empty_array": command("none.npy", "all", "none.npy"),
        }
    )


def opened(path):
    with PIL.Image.open(path) as picture:
        assert picture.text == {"Source": "synthetic: generated by emogan"}
        return np.asarray(picture)


def holds(picture, face, scale=3):
    """Whether a picture has a face in it, pixel for pixel."""
    face = face.repeat(scale, 0).repeat(scale, 1)
    windows = np.lib.stride_tricks.sliding_window_view(picture, (1, face.shape[1]))[:, :, 0]
    starts = np.argwhere((windows == face[0]).all(axis=-1))
    return any(np.array_equal(picture[y : y + len(face), x : x + len(face)], face) for y, x in starts)


def test_commands_end_well_and_say_where_the_result_is(good, outputs):
    for name, (status, _, err) in good.items():
        assert name.startswith("mixed") or (name, status, err) == (name, 0, "")
    assert good["one"][1].splitlines() == [
        "cropped 1 of 1 images to the square in their middle",
        f"1 face, happy: wrote {outputs / 'one.png'}",
    ]
    assert good["folder"][1].splitlines()[-1] == f"4 faces, Sadness: wrote {outputs / 'folder'}"
    assert "skipped 1 of 5 entries: no images" in good["folder"][1]


@pytest.mark.parametrize("kind", ["faces", "photos"])
def test_one_bad_file_ends_no_folder_and_is_told_at_the_end(good, inputs, outputs, kind):
    status, out, err = good[f"mixed_{kind}"]
    folder, (made,) = inputs / f"mixed_{kind}", (outputs / f"mixed_{kind}").iterdir()
    assert status == 2
    *places, counts, wrote = out.splitlines()
    assert [counts, wrote] == ["2 images: 1 edited, 0 skipped, 1 failed", f"1 face, happy: wrote {made}"]
    assert len(places) == (kind == "photos")  # where the face is
    assert all(f"{folder}/" in line and ": 1 face: 1 at (" in line for line in places)
    assert err.startswith(f"error: {folder / 'a.png'}: expected an image, found ")
    assert err.count("\n") == 1


def test_arrays_are_the_networks_answers_in_class_order(good, outputs, faces, trained_workdir):
    every = np.load(outputs / "all.npy")
    assert every.dtype == np.uint8
    assert every.shape == (7, 5, 48, 48)
    np.testing.assert_array_equal(every, emogan.load(trained_workdir).faces(faces, "all"))
    np.testing.assert_array_equal(np.load(outputs / "happy.npy"), every[3])
    assert np.load(outputs / "none.npy").shape == (7, 0, 48, 48)


def test_pictures_hold_the_originals_and_the_edits(good, inputs, outputs, faces):
    every = np.load(outputs / "all.npy")
    original = face_files.read(inputs / "one.jpg", dataset.FER2013).images[0]
    for name, width in (("one", 2), ("strip", 8)):
        picture = opened(outputs / f"{name}.png")
        assert holds(picture, original)
        assert width * 144 < picture.shape[1] < width * 144 + 80
    sheet = opened(outputs / "sheet.png")
    for i in range(3):
        assert holds(sheet, faces[i])
        assert holds(sheet, every[6, i])
    single = opened(outputs / "folder" / "face1.png")
    assert holds(single, faces[1])
    assert holds(single, every[4, 1])
    assert not holds(single, faces[2])


def test_photographs_are_edited_in_full_and_say_that_they_are_synthetic(good, inputs, outputs):
    place, wrote = good["photo"][1].splitlines()
    assert wrote == f"1 face, happy: wrote {outputs / 'photo.jpg'}"
    assert place.startswith(f"{inputs / 'photo.jpg'}: 1 face: 1 at (")
    with PIL.Image.open(outputs / "photo.jpg") as edited, PIL.Image.open(inputs / "photo.jpg") as original:
        assert edited.size == original.size
        assert edited.info["comment"] == b"synthetic: generated by emogan"
    assert opened(outputs / "photo.png").shape[1] > 8 * 192
    assert "cropped 1 of 1" not in good["photo_as_face"][1]
    assert opened(outputs / "as_face.png").ndim == 2


@pytest.mark.parametrize("name", ["moving.gif", "photo.gif"])
def test_ways_are_animations_of_as_many_frames_as_asked_for(good, outputs, name):
    with PIL.Image.open(outputs / name) as animation:
        assert animation.n_frames == 3
        assert animation.info["comment"] == b"synthetic: generated by emogan"


def test_a_folder_gets_a_picture_a_face_and_nothing_else(good, outputs):
    names = sorted(path.name for path in (outputs / "folder").iterdir())
    assert names == ["face0.bmp.png", "face0.png.png", "face1.png", "face2.png"]
    assert not list(outputs.rglob("*.tmp"))


@pytest.fixture(scope="module")
def bad(inputs, trained_workdir, tmp_path_factory):
    """What each bad command answered, after checking that none of them wrote anything."""
    out = tmp_path_factory.mktemp("bad")
    good = {"workdir": trained_workdir, "input": inputs / "one.jpg", "emotion": "happy", "output": out / "made.png"}
    (out / "file").write_text("")
    changes = {
        "no workdir": {"workdir": out / "absent"},
        "no run": {"workdir": inputs},
        "no input": {"input": inputs / "absent.png"},
        "no image": {"input": inputs / "bad.png"},
        "cut image": {"input": inputs / "cut.png"},
        "bomb": {"input": inputs / "bomb.png"},
        "huge array": {"input": inputs / "huge.npy"},
        "empty folder": {"input": inputs / "empty"},
        "floats": {"input": inputs / "floats.npy"},
        "flat": {"input": inputs / "flat.npy"},
        "no faces": {"input": inputs / "none.npy"},
        "objects": {"input": inputs / "objects.npy"},
        "text": {"input": inputs / "text.npy"},
        "emotion": {"emotion": "cheerful"},
        "output kind": {"output": out / "made.txt"},
        "output file": {"output": out / "file"},
        "output below a file": {"output": out / "file" / "made.png"},
        "output is input": {"input": inputs / "many" / "face0.png", "output": inputs / "many" / "face0.png"},
        "output folder is input": {"input": inputs / "many" / "face1.png", "output": inputs / "many"},
        "no face": {"input": inputs / "coffee.png"},
        "far face": {"input": inputs / "far.png"},
        "no way": {"emotion": "sad:"},
        "way as picture": {"emotion": "sad:happy"},
        "picture as way": {"output": out / "made.gif"},
        "frames": {"emotion": "sad:happy", "output": out / "made.gif", "frames": 1},
        "crop": {"crop": "tight"},
        "no emotion": {"emotion": None},
        "unknown flag": {"colour": "red"},
    }
    commands = {
        name: [f"--{flag}={value}" for flag, value in (good | change).items() if value is not None]
        for name, change in changes.items()
    }
    before = {path: path.stat().st_mtime_ns for folder in (out, inputs) for path in folder.rglob("*")}
    answers = run_all(commands)
    assert before == {path: path.stat().st_mtime_ns for folder in (out, inputs) for path in folder.rglob("*")}
    return answers


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("no workdir", ["absent: expected fer2013 or fer2013-flow, the folder of a finished run"]),
        ("no run", ["expected fer2013 or fer2013-flow, the folder of a finished run", "emogan train"]),
        ("no input", ["absent.png: expected an image, a folder of images or a .npy file, found nothing"]),
        ("no image", ["bad.png: expected an image, found"]),
        ("cut image", ["cut.png: expected an image, found"]),
        ("bomb", ["bomb.png: expected an image, found Image size (3600000000 pixels) exceeds limit"]),
        ("huge array", ["huge.npy: expected an array that numpy.save wrote, found a file of more than 1024 MiB"]),
        ("empty folder", ["empty: expected images (", "found none"]),
        ("floats", ["floats.npy: expected faces uint8 [N, 48, 48]", "found float64 [5, 48, 48]"]),
        ("flat", ["flat.npy: expected faces uint8 [N, 48, 48]", "found uint8 [5, 2304]"]),
        ("no faces", ["none.npy: expected at least one face"]),
        ("objects", ["objects.npy: expected an array that numpy.save wrote, found Object arrays"]),
        ("text", ["text.npy: expected an array that numpy.save wrote"]),
        ("emotion", ["expected an emotion out of angry, disgusted", "'cheerful'"]),
        (
            "output kind",
            ["--output: expected a folder, NAME.png, NAME.jpg, NAME.webp, NAME.avif, NAME.gif", "made.txt"],
        ),
        (
            "output file",
            ["--output: expected a folder, NAME.png, NAME.jpg, NAME.webp, NAME.avif, NAME.gif", "file"],
        ),
        ("output below a file", ["--output: expected", "to be a folder, found a file"]),
        ("output is input", ["--output: expected another file than the input"]),
        ("output folder is input", ["--output: expected another file than the input", "face1.png"]),
        ("no face", ["coffee.png: expected a photograph with a face, found none", "--crop=none"]),
        ("far face", ["far.png: expected faces of at least 40 pixels, found one of"]),
        ("no way", ["--emotion: expected a name, all, or FROM:TO, found 'sad:'"]),
        ("way as picture", ["--output: expected NAME.gif or a folder for the interpolation sad:happy, found"]),
        ("picture as way", ["--output: expected --emotion=FROM:TO for an animation, found happy for"]),
        ("frames", ["--frames: expected 2 to 240, found 1"]),
        ("crop", ["flag --crop=tight: value should be one of <auto|none|detect>"]),
        ("no emotion", ["--emotion: expected a value, found none"]),
        ("unknown flag", ["--colour=red: expected a flag, found none of this name; --help lists the flags"]),
    ],
)
def test_what_is_wrong_ends_in_one_line_and_status_2(bad, name, parts):
    status, out, err = bad[name]
    assert status == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err


def test_script_runs_by_its_path(tmp_path):
    flags = [f"--workdir={tmp_path}", "--input=x.png", "--emotion=happy", "--output=y.png"]
    done = subprocess.run([sys.executable, SCRIPT, *flags], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path}: expected fer2013 or fer2013-flow, the folder of a finished run")
    assert done.stderr.count("\n") == 1
