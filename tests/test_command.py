"""The command `emogan`: what it runs, and the flags that it makes of an edit's arguments."""

import functools
import pathlib

import pytest
from support import command_line

from emogan import __main__ as command
from emogan.edit import face_files, photo_files, videos

REPOSITORY = pathlib.Path(__file__).parents[1]


call = functools.partial(command_line.call, package=REPOSITORY)


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        (["a.jpg", "happy", "b.png"], ["--input=a.jpg", "--emotion=happy", "--output=b.png"]),
        (["in/a.jpg", "happy"], ["--input=in/a.jpg", "--emotion=happy", "--output=in/a_happy.jpg"]),
        (["a.jpg", "sad:happy"], ["--input=a.jpg", "--emotion=sad:happy", "--output=a_sad_happy.gif"]),
        (["photos", "sad"], ["--input=photos", "--emotion=sad", "--output=photos_sad"]),
        (["a.MOV", "sad"], ["--input=a.MOV", "--emotion=sad", "--output=a_sad.mp4"]),
        (["a.webm", "sad"], ["--input=a.webm", "--emotion=sad", "--output=a_sad.webm"]),
        (["a.HEIC", "sad"], ["--input=a.HEIC", "--emotion=sad", "--output=a_sad.jpg"]),
        (["a.tif", "all"], ["--input=a.tif", "--emotion=all", "--output=a_all.png"]),
        (["a.heic", "sad:happy"], ["--input=a.heic", "--emotion=sad:happy", "--output=a_sad_happy.gif"]),
        (["a.jpg", "sad", "--output=c.jpg"], ["--input=a.jpg", "--emotion=sad", "--output=c.jpg"]),
        (["a.jpg", "sad", "b.jpg", "c"], ["--input=a.jpg", "--emotion=sad", "--output=b.jpg", "c"]),
        (["--help"], ["--help"]),
    ],
)
def test_arguments_of_an_edit_become_flags(arguments, flags):
    assert command._edit_flags(arguments) == flags


def test_what_is_read_and_not_written_becomes_what_a_folder_of_it_becomes():
    written = {suffix for suffix in face_files.SUFFIXES if photo_files._becomes(suffix) == suffix}
    pictures = {suffix: photo_files._becomes(suffix) for suffix in face_files.SUFFIXES - written - {".jpeg"}}
    clips = dict.fromkeys(set(videos.INPUTS) - set(videos.CODECS), ".mp4")
    assert pictures | clips == command._BECOMES


def test_each_command_has_its_script():
    for script, about in command.COMMANDS.values():
        assert (REPOSITORY / "experiments" / f"{script}.py").exists()
        assert about


def test_help_shows_the_command_and_a_flag_that_lacks_is_named(tmp_path):
    done = call("edit", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "emogan edit --input=photo.jpg --emotion=happy --output=happy.jpg" in done.stdout
    assert "experiments/transfer.py --" not in done.stdout
    done = call("model", "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "emogan model --workdir=runs/emogan" in done.stdout
    done = call("edit", "face.png", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --emotion: expected a value, found none; --help lists the flags\n"


def test_an_edit_is_one_line(tmp_path):
    command_line.write_face(tmp_path / "face.png")
    done = call("edit", "face.png", "happy", "--crop=none", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 face, happy: wrote face_happy.png\n"
    assert (tmp_path / "face_happy.png").exists()


@pytest.mark.parametrize("arguments", [[], ["residual"]])
def test_a_wrong_command_names_the_right_ones(tmp_path, arguments):
    done = call(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "COMMAND" in done.stderr
    assert "Traceback" not in done.stderr
