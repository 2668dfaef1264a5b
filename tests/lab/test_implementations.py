"""Implementations run, in this process, at a tiny width."""

import numpy as np
import pytest
from benchmarking import settings, transfers, whole

pytestmark = pytest.mark.slow

TASK = settings.Settings(width=2, batch_size=4, faces=16)


def test_transfers_of_pytorch_are_those_of_emogan():
    pytest.importorskip("torch")
    from benchmarking import torch_transfers

    task = settings.Settings(width=2, faces=20, exact_padding=True, variant="channels_last")
    weights, expected = transfers.Transfer(task).reference()
    found = torch_transfers.Transfer(task).follow(weights)
    assert found.shape == expected.shape == (20, 48, 48)
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_a_training_is_measured_beside_its_bare_steps(capsys):
    found = whole.Training(TASK).measure(6)
    assert "gan           6/6" in capsys.readouterr().out
    assert (found["steps"], found["samples"], found["checkpoints"]) == (6, 1, 1)
    assert found["seconds_a_step"] > 0
    bare = found["bare_seconds_a_step"]["median"]
    assert found["share_outside"] == pytest.approx(1 - bare / found["seconds_a_step"])


def test_a_whole_schedule_makes_every_step():
    found = whole.Schedule(TASK).whole(2)
    assert (found["faces"], found["steps"]) == (16, 8)
    assert found["seconds"] > 0
