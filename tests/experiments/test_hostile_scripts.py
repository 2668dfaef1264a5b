"""Scripts on files that are made to harm: one line that says what was expected and found, and status 2."""

import gzip
import json
import struct
import tarfile

import pytest


def claiming_tar(path):
    info = tarfile.TarInfo("fer2013.csv")
    info.size = 1 << 40
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT)))


def class_folders(path):
    for name in ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral"):
        (path / "train" / name).mkdir(parents=True)
        (path / "train" / name / "a.png").write_bytes(b"GIF89a\n")


def deep_config(path):
    path.mkdir()
    (path / "config.json").write_text("[" * 100_000)


def deep_result(path):
    path.mkdir(parents=True)
    (path / "evaluation").mkdir()
    (path / "evaluation" / "metrics.json").write_text(json.dumps({"format": {"a" * 999: []}}))


def array(path):
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n"
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + b"\x80\4.")


AUDIT = ["audit.py", "--dataset=fer2013", "--splits=train", "--data_dir={}"]
CASES = {
    "CSV": (
        AUDIT,
        "fer2013.csv",
        lambda path: path.write_bytes(b"emotion,pixels,Usage" + b"," * 1_000_000),
        "{}: expected at most 65535 characters in its first row, found more",
    ),
    "archive": (
        AUDIT,
        "fer2013.tar.gz",
        claiming_tar,
        "{}: fer2013.csv: expected at most 1,073,741,824 bytes when unpacked, found 1,099,511,627,776; "
        "FER2013 has a third of that",
    ),
    "folders": (
        AUDIT,
        "faces",
        class_folders,
        "{}/train/angry/a.png: expected a 48x48 image, found a file that is no image; repair it",
    ),
    "run": (
        ["figures.py", "--workdir={}"],
        "run",
        deep_config,
        "{}/config.json: expected a configuration as JSON, found JSON that is nested more than 30 deep; "
        "train the run again",
    ),
    "result": (
        ["compare.py", "{0}", "{0}"],
        "run",
        deep_result,
        "expected format 2, found format {{'" + "a" * 111 + "... in {}/evaluation/metrics.json; "
        "run emogan evaluate again",
    ),
    "array": (
        ["evaluate.py", "--dataset=toyfaces", "--workdir=new", "--images={0}", "--labels={0}"],
        "a.npy",
        array,
        "{}: expected an array that numpy.save wrote, found Object arrays cannot be loaded when allow_pickle=False; "
        "write it again with numpy.save",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_hostile_input_ends_in_one_line_and_status_2(call_script, tmp_path, case):
    arguments, name, make, expected = CASES[case]
    make(tmp_path / name)
    result = call_script(*(argument.format(tmp_path / name) for argument in arguments), cwd=tmp_path)
    assert result.stderr == f"error: {expected.format(tmp_path / name)}\n"
    assert (result.returncode, result.stdout) == (2, "")


@pytest.mark.slow
def test_fuzz_counts_inputs_without_a_fault_and_leaves_nothing(call_script, tmp_path):
    result = call_script("fuzz.py", "--inputs=120", "--memory=1024", cwd=tmp_path)
    assert result.returncode == 0, result.stderr + result.stdout
    assert "results: 10 inputs, no fault" in result.stdout
    assert "| results | 10 | " in result.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_fuzz_ends_with_status_1_after_a_fault(call_script, tmp_path):
    result = call_script("fuzz.py", "--inputs=8", "--seconds=0", "--output=kept", cwd=tmp_path)
    assert result.returncode == 1, result.stderr
    assert "results: 0 inputs, input 0: no answer within 0 s" in result.stdout
