"""Where the edits of files go: never onto what they were made from, and never two into one file."""

import pathlib

import pytest

from emogan.edit import transfer_files


@pytest.mark.parametrize("link", [pathlib.Path.hardlink_to, pathlib.Path.symlink_to])
def test_a_file_that_is_read_is_not_written_under_another_name(link, tmp_path):
    source, target = tmp_path / "IMG_1.JPG", tmp_path / "IMG_1.jpg"
    source.touch()
    transfer_files.check_targets([target], [source])
    link(target, source)  # as a disk has it that does not tell capitals apart
    with pytest.raises(ValueError, match=r"--output: expected another file than the input, found .*IMG_1\.jpg"):
        transfer_files.check_targets([tmp_path / "b.jpg", target], [tmp_path / "absent.png", source])


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("a.bmp", "b.jpg"), ["a.png", "b.png"]),
        (("a.bmp", "a.jpg", "b.jpg"), ["a.bmp.png", "a.jpg.png", "b.png"]),
        (("a.bmp", "a.jpg", "a.jpg.bmp"), ["a.bmp.png", "a.jpg.png", "a.jpg.bmp.png"]),
        (
            ("a.bmp", "a.jpg", "a.jpg.bmp", "a.jpg.bmp.gif"),
            ["a.bmp.png", "a.jpg.png", "a.jpg.bmp.png", "a.jpg.bmp.gif.png"],
        ),
        (("00000", "00001"), ["00000.png", "00001.png"]),
    ],
)
def test_every_name_gets_a_file_of_its_own(names, chosen):
    paths = transfer_files.picture_paths(pathlib.Path("out"), names, ".png")
    assert [path.name for path in paths] == chosen
