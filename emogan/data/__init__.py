"""Data sets by name: drawn faces, FER2013 in every form, pictures in folders, and whatever TFDS has prepared."""

from collections.abc import Callable

import numpy as np

from emogan.data import data_config, dataset, fer2013, folder_source, tfds_source, toyfaces
from emogan.data.fer2013 import ferplus, validation_split
from emogan.util import files

WHOLE_TRAINING = "training"  # of FER2013: `train` and `valid` together


def load(
    config: data_config.DataConfig,
    split: str,
    seed: int,
    *,
    progress: Callable[[int, int], None] | None = None,
    report: Callable[[str], None] | None = None,
) -> dataset.Dataset:
    """Returns one split of the configured data.

    FER2013's Training is cut into `train` and `valid` (see `fer2013_valid`) by its own labels, whichever are asked for;
    together they are `training`.

    Args:
      config: which data, and where.
      split: `train`, `valid` (faces kept from training, on which choices are made), or a split of the data's own.
      seed: decides the drawn faces; other data do not depend on it.
      progress: called with (done, total) while a long read lasts.
      report: called with a line for each remark on the data.

    Raises:
      ValueError, FileNotFoundError: if the data are missing or bad; the text names the place and what to do.
    """
    if config.name == "toyfaces":
        return toyfaces.load(split, seed, config.count or None, files.cache_dir(), config.spec)
    if config.name == "folder":
        if not config.dir:
            raise FileNotFoundError("folder: expected --data_dir=PATH to folders of pictures, found none given")
        return folder_source.load(
            split,
            config.dir,
            class_names=tuple(name.strip() for name in config.class_names.split(",") if name.strip()),
            on_bad_row=config.on_bad_row,
            cache_dir=files.cache_dir(),
            progress=progress,
            report=report,
            spec=config.spec,
        )
    if config.name != "fer2013":
        name = config.name.removeprefix("tfds:")
        return tfds_source.load(name, split, config.dir or None, progress=progress, spec=config.spec)
    data_config.check_fer2013(config)
    if not config.dir:
        raise FileNotFoundError(
            "fer2013: expected --data_dir=PATH to fer2013.csv, its archive or its image folders, found none given"
        )
    return _load_fer2013(config, split, progress, report or (lambda line: None))


def _load_fer2013(config, split, progress, report) -> dataset.Dataset:
    cache_dir = files.cache_dir()
    stored = "train" if split in ("train", "valid", WHOLE_TRAINING) else split
    data, votes = fer2013.load_with_votes(
        stored,
        config.dir,
        ferplus_file=config.ferplus or None,
        on_bad_row=config.on_bad_row,
        cache_dir=cache_dir,
        progress=progress,
        report=report,
    )
    counts = votes.counts
    if split in ("train", "valid"):
        chosen = validation_split.remembered(data, cache_dir) == (split == "valid")
        data, counts = data.take(chosen, split), None if counts is None else counts[chosen]
    elif split == WHOLE_TRAINING:
        data = data.take(np.arange(len(data)), split)
    if config.labels == "ferplus" and counts is None:
        raise ValueError(votes.reason)
    if config.labels != "fer2013" and counts is not None:
        data, remark = ferplus.relabel(data, counts)
        report(remark)
    elif config.labels == "auto":
        report(f"FER2013's own labels; {votes.reason}")
    elif votes.where:
        report(f"{votes.where} is not used; --config.data.labels=ferplus takes its labels")
    if not len(data):
        raise ValueError(f"fer2013: expected faces in split {split!r}, found none; {config.dir} is too small for it")
    return data
