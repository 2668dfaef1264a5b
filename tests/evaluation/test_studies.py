"""Whose edits a study shows."""

import types

import pytest

import emogan
from emogan import config as config_lib
from emogan.data import toyfaces
from emogan.evaluation import run_scores, studies


@pytest.fixture
def read(monkeypatch):
    """Reads a study of models whose data are configured so; also what was checked, and the labels that were read."""
    loaded, checked = [], []
    faces = toyfaces.load("valid", 0, 4)

    def load_data(config, split):
        loaded.append((split, config.data.labels, config.data.dir))
        return faces

    def exported(source):
        card = {"config": config_lib.to_json(config_lib.Config(data=source))}
        model = types.SimpleNamespace(encoder_labels="", class_names=emogan.EMOTIONS, card=card)
        return source.labels, model, None, f"trained on {source.labels}"

    monkeypatch.setattr(studies.pipeline, "load_data", load_data)
    monkeypatch.setattr(run_scores, "read_exported", exported)
    monkeypatch.setattr(run_scores, "check_trained_on", lambda name, trained_on, train: checked.append(trained_on))

    def call(*data, **options):
        found = studies.read(data, [], [], config_lib.DataConfig(**options), "valid", lambda line: None)
        return found, loaded, checked

    return call


def test_models_that_learned_other_labels_of_the_same_faces_are_in_one_study(read):
    data = [config_lib.DataConfig(name="fer2013", labels=labels) for labels in ("fer2013", "ferplus")]
    (_, methods), loaded, checked = read(*data, dir="there")
    assert [one.name for one in methods] == ["fer2013", "ferplus"]
    # Those of the first are shown; each is checked against the data that it learned from.
    assert loaded == [("valid", "fer2013", "there"), ("train", "fer2013", "there"), ("train", "ferplus", "there")]
    assert checked == ["trained on fer2013", "trained on ferplus"]


def test_models_of_other_faces_are_not(read):
    data = [config_lib.DataConfig(name="fer2013"), config_lib.DataConfig(name="toyfaces")]
    with pytest.raises(ValueError, match=r"expected models of one data set, found fer2013 .* and toyfaces"):
        read(*data)
