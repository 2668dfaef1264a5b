"""Every reader of files accepts a generated input, or refuses it in one line."""

import pathlib
import random as random_lib
import tempfile

import hypothesis
import pytest
from hypothesis import strategies
from support import cases, fuzzer, hostile

FAULTY = """
def make(random, folder):
    (folder / "input").write_text("at fault")
    return lambda: {read}

MAKERS = {{"faulty": make}}
"""

each_reader = pytest.mark.parametrize("reader", cases.MAKERS)


@each_reader
@hypothesis.settings(max_examples=120)
@hypothesis.given(seed=strategies.integers(0, 2**32 - 1))
def test_generated_input_is_accepted_or_refused_in_one_line(reader, seed):
    # A seed, not Hypothesis's own generator: how often a maker draws may depend on its folder.
    with tempfile.TemporaryDirectory() as folder:
        cases.check(cases.MAKERS[reader](random_lib.Random(seed), pathlib.Path(folder)))


@each_reader
@hypothesis.settings(max_examples=50)
@hypothesis.given(content=strategies.binary(max_size=300))
def test_random_bytes_are_accepted_or_refused_in_one_line(reader, content):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        read = cases.MAKERS[reader](random_lib.Random(0), folder)
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                path.write_bytes(content)
        cases.check(read)


@each_reader
def test_some_generated_input_is_accepted_and_some_refused(reader, tmp_path):
    answers = set()
    for number in range(60):
        folder = tmp_path / str(number)
        folder.mkdir()
        answers.add(cases.check(cases.MAKERS[reader](random_lib.Random(number), folder)))
    assert answers == {True, False}


def test_refusal_of_two_lines_or_without_what_was_expected_is_a_fault():
    for text in ("expected this,\nfound that", "broken", "expected this, found " + "x" * 3000):

        def read(text=text):
            raise ValueError(text)

        with pytest.raises(AssertionError, match="expected a line"):
            cases.check(read)


@pytest.mark.parametrize(
    ("read", "limits", "fault"),
    [
        ("__import__('time').sleep(60)", fuzzer.Limits(seconds=2.0), "input 0: no answer within 2 s"),
        ("bytearray(1 << 30)", fuzzer.Limits(memory_mib=256), "input 0: MemoryError: "),
        ("__import__('os')._exit(7)", fuzzer.Limits(), "input 0: the process ended with status 7"),
        ("{}['x']", fuzzer.Limits(), "input 0: KeyError: 'x'"),
    ],
)
def test_fault_is_told_and_its_input_is_kept(read, limits, fault, tmp_path, monkeypatch):
    # The reader's process imports this module by the name of its folder's file.
    (tmp_path / "faulty_cases.py").write_text(FAULTY.format(read=read))
    monkeypatch.syspath_prepend(tmp_path)
    tally = fuzzer.run("faulty", 3, 0, tmp_path / "kept", limits, lambda *_: None, makers="faulty_cases")
    assert tally.fault.startswith(fault)
    assert (tmp_path / "kept" / "input").read_text() == "at fault"


def test_whole_run_without_a_fault_leaves_nothing(tmp_path):
    seen = []
    tally = fuzzer.run("arrays", 20, 0, tmp_path / "x", fuzzer.Limits(), lambda *count: seen.append(count))
    assert (tally.inputs, tally.fault) == (20, "")
    assert seen[-1] == (20, 20)
    assert tally.accepted > 0
    assert tally.refused > 0
    assert not list(tmp_path.iterdir())


def test_inputs_are_the_same_for_a_seed():
    contents = [hostile.archive(random_lib.Random(5)) for _ in range(2)]
    assert contents[0] == contents[1]
