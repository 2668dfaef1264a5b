"""Where the edits of files go: never onto what they were made from, and never two into one file."""

import pathlib

import pytest

from emogan import transfer_files


@pytest.mark.parametrize("link", [pathlib.Path.hardlink_to, pathlib.Path.symlink_to])
def test_a_file_that_is_read_is_not_written_under_another_name(link, tmp_path):
    source, target = tmp_path / "IMG_1.JPG", tmp_path / "IMG_1.jpg"
    source.touch()
    transfer_files.check_targets([target], [source])
    link(target, source)  # as a disk has it that does not tell capitals apart
    with pytest.raises(ValueError, match=r"--output: expected another file than the input, found .*IMG_1\.jpg"):
        transfer_files.check_targets([tmp_path / "b.jpg", target], [tmp_path / "absent.png", source])
