"""Data sets by name: drawn faces, FER2013 in every form, and whatever TFDS has prepared."""

from collections.abc import Callable

from emogan import config as config_lib
from emogan.data import dataset, fer2013, tfds_source, toyfaces

# What each data set calls the faces that are kept from training.
_HELD_OUT = {"toyfaces": "valid", "fer2013": "public"}


def load(
    config: config_lib.DataConfig,
    split: str,
    seed: int,
    *,
    progress: Callable[[int, int], None] | None = None,
    report: Callable[[str], None] | None = None,
) -> dataset.Dataset:
    """Returns one split of the configured data; `held_out` means the faces that are kept from training.

    Args:
      config: which data, and where.
      split: `train`, `held_out`, or a split's own name.
      seed: decides the drawn faces; other data do not depend on it.
      progress: told (done, total) while a long read lasts.
      report: told a line of whatever a user should know about the data.

    Raises:
      ValueError, FileNotFoundError: if the data are missing or bad; the text names the place and what to do.
    """
    if config.name == "toyfaces":
        split = _HELD_OUT["toyfaces"] if split == "held_out" else split
        return toyfaces.load(split, seed, config.size or None)
    if not config.dir and config.name == "fer2013":
        raise FileNotFoundError(
            "fer2013: expected --data_dir=PATH to fer2013.csv, its archive or its image folders, found none given"
        )
    if config.name == "fer2013":
        how = {
            "on_bad_row": config.on_bad_row,
            "cache_dir": fer2013.default_cache_dir(),
            "progress": progress,
            "report": report,
        }
        if split == "held_out":
            splits = fer2013.available_splits(config.dir, **how)
            # Folders whose file names do not tell PublicTest from PrivateTest have a `test` split only.
            split = "test" if "public" not in splits and "test" in splits else _HELD_OUT["fer2013"]
        return fer2013.load(split, config.dir, **how)
    split = "valid" if split == "held_out" else split
    return tfds_source.load(config.name.removeprefix("tfds:"), split, config.dir or None, progress=progress)
