"""What is scored and written as a whole: names that clash, and results that are not whole."""

import dataclasses

import numpy as np
import pytest

from emogan import config as config_lib
from emogan.data import dataset, toyfaces
from emogan.evaluation import run_scores, tables
from emogan.train import pipeline


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


@pytest.mark.slow
def test_edits_of_another_size_and_in_colour_are_scored_as_gray_faces_of_48_pixels(tmp_path, monkeypatch):
    spec = dataset.ImageSpec(96, 3)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    config = config_lib.Config(data=config_lib.DataConfig(count=100, size=spec.size, channels=spec.channels))
    faces = toyfaces.load("valid", 0, 100, spec=spec)
    sources, said = np.arange(100), []
    found = {}
    for name, shift in (("true", 0), ("next", 1)):
        labels = (faces.labels + 1) % 7
        pictures = toyfaces.true_transfers("valid", 0, 100, spec)[(labels + shift) % 7, sources]
        result, _ = run_scores.score_pictures(
            *(pictures, labels, sources, name, config, run_scores.Options(), said.append)
        )
        found[name] = {key: value["value"] for key, value in result["methods"][0]["scores"].items()}
    assert f"{spec} faces and edits are converted to 48x48 gray to be scored" in said
    assert found["true"]["edit_accuracy"] > 0.8
    assert found["next"]["edit_accuracy"] < 0.2
    assert found["true"]["toy_expression"] == 0  # the share that is nearer to another emotion
    assert found["next"]["toy_expression"] == 1
    with pytest.raises(ValueError, match=r"expected --images uint8 \[N, " + f"{spec.size}, {spec.size}"):
        run_scores.score_pictures(
            *(np.zeros((100, 48, 48), np.uint8), labels, sources, "x", config, run_scores.Options(), said.append)
        )


def test_a_judge_of_other_faces_is_refused(tmp_path):
    config = config_lib.Config(phases="classifier", data=config_lib.DataConfig(count=16, size=32))
    config.classifier.width, config.classifier.epochs, config.classifier.batch_size = 2, 1, 8
    config.run.tensorboard = False
    pipeline.run(config, tmp_path / "judge")
    with pytest.raises(
        ValueError, match=r"expected a judge of 48x48 gray faces, .* found one of 32x32 gray; train one"
    ):
        run_scores.load_faces(config, run_scores.Options(judge=str(tmp_path / "judge")))


def test_the_first_faces_keep_their_distributions(monkeypatch):
    held_out = toyfaces.load("valid", 0, 30)
    held_out = dataclasses.replace(held_out, distributions=np.eye(7, dtype=np.float32)[held_out.labels])
    monkeypatch.setattr(run_scores.pipeline, "load_data", lambda config, split: held_out)
    faces = run_scores.load_faces(config_lib.Config(), run_scores.Options(faces=12))
    assert len(faces.held_out) == 12
    np.testing.assert_array_equal(faces.held_out.distributions, held_out.distributions[:12])
    assert len(run_scores.load_faces(config_lib.Config(), run_scores.Options(faces=99)).held_out) == 30
