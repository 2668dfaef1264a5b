"""A teacher's edits, made once and kept."""

import types

import numpy as np
import pytest

from emogan.edit import pairs

FACES = np.random.default_rng(0).integers(0, 200, (20, 48, 48), dtype=np.uint8)
LABELS, TARGETS = np.arange(20, dtype=np.int32) % 7, np.arange(1, 21, dtype=np.int32) % 7


class Teacher:
    """One that adds the target label; it counts the faces that it is asked for."""

    def __init__(self, weight=1.0):
        self.networks, self.variables = types.SimpleNamespace(kind="teacher"), ({"w": np.float32(weight)},)
        self.asked = 0

    def faces(self, faces, targets, labels):
        self.asked += len(faces)
        return (faces + targets[:, None, None] + 10 * labels[:, None, None] // 10).astype(np.uint8)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(pairs, "CHUNK", 8)


def load(teacher, folder, faces=FACES, targets=TARGETS, progress=None):
    return pairs.load(teacher, faces, LABELS[: len(faces)], targets[: len(faces)], folder, progress)


def test_edits_are_those_of_the_teacher_and_are_made_once(tmp_path):
    teacher, told = Teacher(), []
    edits = load(teacher, tmp_path / "pairs", progress=lambda *count: told.append(count))
    np.testing.assert_array_equal(edits, FACES + TARGETS[:, None, None] + LABELS[:, None, None])
    assert (teacher.asked, told) == (20, [(8, 20), (16, 20), (20, 20)])
    np.testing.assert_array_equal(load(teacher, tmp_path / "pairs"), edits)
    assert teacher.asked == 20


def test_what_a_killed_run_made_is_used_and_damage_is_made_again(tmp_path):
    teacher = Teacher()
    edits = load(teacher, tmp_path)
    first, second, third = sorted(tmp_path.iterdir())
    first.unlink()
    second.write_bytes(second.read_bytes()[:50])
    np.save(third, np.zeros((3, 48, 48), np.uint8))
    np.testing.assert_array_equal(load(teacher, tmp_path), edits)
    assert teacher.asked == 40
    assert load(teacher, tmp_path, FACES[:0]).shape == (0, 48, 48)


@pytest.mark.parametrize("change", ["teacher", "faces", "targets"])
def test_other_edits_are_not_taken_for_these(tmp_path, change):
    load(Teacher(), tmp_path)
    teacher = Teacher(2.0 if change == "teacher" else 1.0)
    faces = FACES + 1 if change == "faces" else FACES
    targets = (TARGETS + 1) % 7 if change == "targets" else TARGETS
    load(teacher, tmp_path, faces, targets.astype(np.int32))
    assert teacher.asked == 20
