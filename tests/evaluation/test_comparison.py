"""Rows of a comparison take their guidance classifiers from another run."""

import pytest

from emogan import config as config_lib
from emogan import presets
from emogan.evaluation import comparison


@pytest.fixture
def source(tmp_path):
    """The folder of a run that has trained both classifiers of preset emogan, as far as copying looks."""
    folder = tmp_path / "source"
    for name in ("classifier", "robust"):
        (folder / "checkpoints" / name / "40").mkdir(parents=True)
        (folder / "checkpoints" / name / "40" / "state").write_text(name)
    config_lib.save(presets.emogan(), folder / "config.json")
    return folder


def test_classifiers_are_copied_where_what_came_after_is_another(source, tmp_path):
    config = presets.emogan()
    config.joint.guidance, config.translator.reach = 1.0, 0.0
    said = []
    comparison.take_guidance(config, tmp_path / "row", source, said.append)
    for name in ("classifier", "robust"):
        assert (tmp_path / "row" / "checkpoints" / name / "40" / "state").read_text() == name
    assert len(said) == 2
    # What is there stays.
    (tmp_path / "row" / "checkpoints" / "robust" / "40" / "state").write_text("its own")
    comparison.take_guidance(config, tmp_path / "row", source, said.append)
    assert (tmp_path / "row" / "checkpoints" / "robust" / "40" / "state").read_text() == "its own"
    assert len(said) == 2


def test_only_the_classifiers_of_a_row_are_copied(source, tmp_path):
    config = presets.emogan()
    config.phases = "robust,joint"
    comparison.take_guidance(config, tmp_path / "row", source, print)
    assert [path.name for path in (tmp_path / "row" / "checkpoints").iterdir()] == ["robust"]


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("seed", "1", "seed: 0 -> 1"),
        ("robust.epochs", "3", "robust.epochs: 10.0 -> 3.0"),
        ("data.name", "toyfaces", "data.name: 'fer2013' -> 'toyfaces'"),
    ],
)
def test_classifiers_that_would_have_been_others_are_refused(source, tmp_path, field, value, named):
    config = presets.emogan()
    config_lib.override(config, field, value)
    with pytest.raises(ValueError, match="expected a run with the same phase") as error:
        comparison.take_guidance(config, tmp_path / "row", source, print)
    assert named in str(error.value)


def test_classifiers_that_were_not_trained_are_refused(source, tmp_path):
    (source / "checkpoints" / "robust" / "40").rename(source / "checkpoints" / "robust" / "40.part")
    with pytest.raises(ValueError, match="expected a trained phase robust, found none"):
        comparison.take_guidance(presets.emogan(), tmp_path / "row", source, print)
