"""A study from models, runs and pictures of other programs: whose edits are shown, and of which faces."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from emogan import config as config_lib
from emogan.data import dataset
from emogan.edit import editor, loading
from emogan.evaluation import methods, run_scores, study_pictures
from emogan.train import pipeline, run_folder
from emogan.util import untrusted


def read(
    models: Sequence[str],
    workdirs: Sequence[pathlib.Path],
    edits: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]],
    data: config_lib.DataConfig,
    split: str,
    say: Callable[[str], None],
) -> tuple[dataset.Dataset, list[study_pictures.Method]]:
    """Returns the held-out faces and all whose edits of them are shown.

    Args:
      models: names of models that ship with emogan, or files that experiments/export_model.py wrote.
      workdirs: folders of finished runs.
      edits: of other programs: name, pictures uint8 [M, 48, 48], labels int [M] and sources int [M], see
        `methods.of_edits`.
      data: where the faces lie. With models or runs its name is not used: they have data of their own.
      split: the held-out faces.
      say: given a line about each model that is read.

    Raises:
      FileNotFoundError, ValueError: if something is not as it must be, or two models are of different data. Other
        labels of the same faces are no other data: those of the first model count.
    """
    found = [run_scores.read_exported(source) for source in models]
    entered = [(untrusted.escaped(name), model, trained_on) for name, model, _, trained_on in found]
    for workdir in workdirs:
        entered.append((workdir.resolve().name, loading.load(workdir), run_folder.read(workdir).about_data))
    for name, model, _ in entered:
        say(f"read {name}")
        if model.encoder_labels == editor.SOURCE:
            say(f"{name}: its encoder is given the emotions that the faces are labelled with")
    configs = [config_lib.of(model.card) for _, model, _ in entered] or [config_lib.Config(data=data)]
    for config in configs:
        if data.dir:
            config.data.dir = data.dir
        if _of_own_labels(config.data) != _of_own_labels(configs[0].data):
            one, other = (f"{part.data.name} in {part.data.dir or 'no folder'}" for part in (configs[0], config))
            raise ValueError(f"expected models of one data set, found {one} and {other}; give --data_dir")
    held_out = pipeline.load_data(configs[0], split)
    training_data: dict[str, dataset.Dataset] = {}
    for (name, _, trained_on), config in zip(entered, configs, strict=False):
        labels = config.data.labels
        if labels not in training_data:
            training_data[labels] = pipeline.load_data(config, "train")
        run_scores.check_trained_on(name, trained_on, training_data[labels])
    compared = [_of_model(name, model, held_out) for name, model, _ in entered]
    return held_out, compared + [_of_edits(*one, held_out) for one in edits]


def _of_own_labels(data: config_lib.DataConfig) -> config_lib.DataConfig:
    """Returns a configuration of the same faces with the labels that came with them."""
    return dataclasses.replace(data, labels="fer2013", ferplus="")


def _of_model(name: str, model: editor.Editor, held_out: dataset.Dataset) -> study_pictures.Method:
    if model.class_names != held_out.class_names:
        raise ValueError(f"{name}: expected a model of {', '.join(held_out.class_names)}, found another")

    def edit(faces: np.ndarray, emotions: np.ndarray) -> np.ndarray:
        return model.faces(held_out.images[faces], emotions.astype(np.int32), held_out.labels[faces])

    return study_pictures.Method(name, np.ones((len(held_out), len(held_out.class_names)), bool), edit)


def _of_edits(
    name: str, pictures: np.ndarray, labels: np.ndarray, sources: np.ndarray, held_out: dataset.Dataset
) -> study_pictures.Method:
    methods.check_edits(pictures, labels, sources, held_out)
    place = np.full((len(held_out), len(held_out.class_names)), -1)
    place[sources, labels] = np.arange(len(pictures))
    return study_pictures.Method(name, place >= 0, lambda faces, emotions: pictures[place[faces, emotions]])
