"""What a script says of a hostile file."""

import pytest


@pytest.mark.parametrize(
    ("command", "file", "content"),
    [
        (("train.py", "--dataset=fer2013", "--data_dir=bad.csv", "--dry_run"), "bad.csv", b"emotion\0,pixels,Usage\n"),
        (("train.py", "--dataset=fer2013", "--data_dir=bad.zip", "--dry_run"), "bad.zip", b"PK\3\4"),
        (("evaluate.py", "--images=bad.npy", "--labels=bad.npy"), "bad.npy", b"\x93NUMPY"),
        (("evaluate.py", "--workdir=bad"), "bad/config.json", b"\0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_scripts_end_with_status_2_and_one_line(command, file, content, call_script, tmp_path):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(content)
    result = call_script(*command, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
