"""What is scored and written as a whole: names that clash, and results that are not whole."""

import dataclasses

import numpy as np
import pytest

from emogan import config as config_lib
from emogan.data import toyfaces
from emogan.evaluation import run_scores, tables


def test_pictures_with_the_name_of_a_reference_are_scored_and_written(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # where the judge's opinion is kept
    config = config_lib.Config(data=config_lib.DataConfig(count=100))
    faces = toyfaces.load("valid", 0, 100)
    edits = faces.images[:20], (faces.labels[:20] + 1) % 7, np.arange(20)
    result, shown = run_scores.score_pictures(*edits, "noise", config, run_scores.Options(), lambda line: None)
    assert result["title"] == "noise"
    page, _ = run_scores.write(result, shown, tmp_path)
    found = tables.load(page)
    names = [one["name"] for one in found["methods"]]
    assert names == ["noise (2)", "real faces", "unchanged", "mean face", "noise"]
    assert set(found["verdicts"]) == {"noise (2)"}


def test_nothing_is_written_of_a_result_that_is_not_whole(tmp_path):
    with pytest.raises(ValueError, match="expected a field 'title', found none in the result"):
        run_scores.write({"format": tables.FORMAT}, (), tmp_path)
    assert not list(tmp_path.iterdir())


def test_other_faces_than_those_of_the_judges_are_refused_in_a_line():
    config = config_lib.Config(data=config_lib.DataConfig(size=128, channels=3))
    with pytest.raises(ValueError, match=r"expected faces of 48x48 gray, for which the judges .* found 128x128 colour"):
        run_scores.load_faces(config, run_scores.Options())


def test_the_first_faces_keep_their_distributions(monkeypatch):
    held_out = toyfaces.load("valid", 0, 30)
    held_out = dataclasses.replace(held_out, distributions=np.eye(7, dtype=np.float32)[held_out.labels])
    monkeypatch.setattr(run_scores.pipeline, "load_data", lambda config, split: held_out)
    faces = run_scores.load_faces(config_lib.Config(), run_scores.Options(faces=12))
    assert len(faces.held_out) == 12
    np.testing.assert_array_equal(faces.held_out.distributions, held_out.distributions[:12])
    assert len(run_scores.load_faces(config_lib.Config(), run_scores.Options(faces=99)).held_out) == 30
