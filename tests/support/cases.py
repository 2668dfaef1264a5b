"""Every reader of files that others may have written, each with a maker of hostile input."""

import dataclasses
import json
import pathlib
import random as random_lib
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from support import hostile, mutations

from emogan import config as config_lib
from emogan import emotions, presets
from emogan.data import dataset, fer2013, folder_source
from emogan.data.fer2013 import collector, ferplus
from emogan.edit import face_files, loading
from emogan.evaluation import tables
from emogan.train import run_folder
from emogan.util import untrusted, weights

Random = random_lib.Random
Read = Callable[[], object]

LONGEST = 2000  # characters of a line, of which a path may take most


def check(read: Read) -> bool:
    """Returns whether a reader accepts its input; else it must say in one line what it expected and found.

    Raises:
      AssertionError: if it says it in another way. What the reader raises beyond ValueError and OSError goes through.
    """
    try:
        read()
    except (ValueError, OSError) as error:
        text = str(error)
        one_line = len(text.splitlines()) == 1 and len(text) <= LONGEST
        if not (one_line and re.search(r"expected .*found ", text)):
            raise AssertionError(f"expected a line 'expected ... found ...', found {text[:LONGEST]!r}") from error
        return False
    return True


def _csv(random: Random, folder: pathlib.Path) -> Read:
    path = folder / random.choice(("fer2013.csv", "train.csv", "test.csv", "FER.CSV"))
    path.write_bytes(hostile.csv(random))
    return _fer2013(path, random)


def _archive(random: Random, folder: pathlib.Path) -> Read:
    name, content = hostile.archive(random)
    (folder / name).write_bytes(content)
    return _fer2013(folder / name, random)


def _folder(random: Random, folder: pathlib.Path) -> Read:
    hostile.write_folder(random, folder)
    return _fer2013(folder, random)


def _votes(random: Random, folder: pathlib.Path) -> Read:
    path = folder / ferplus.NAME
    path.write_bytes(hostile.votes(random))
    return lambda: ferplus.parse(path.read_bytes(), str(path))


def _fer2013(path: pathlib.Path, random: Random) -> Read:
    on_bad_row = random.choice(collector.ON_BAD_ROW)
    return lambda: fer2013.load_all(path, on_bad_row=on_bad_row)


def _image(random: Random, folder: pathlib.Path) -> Read:
    path = folder / random.choice(("a.png", "a.jpg", "a.tif", "a\n.png"))
    path.write_bytes(hostile.image(random))
    chance = random.random()
    if chance > 0.7:
        return lambda: (untrusted.read_size(path), untrusted.read_colour(path))
    return lambda: face_files.read(folder if chance < 0.2 else path, dataset.FER2013)


def _array(random: Random, folder: pathlib.Path) -> Read:
    path = folder / "faces.npy"
    path.write_bytes(hostile.array(random))
    return lambda: face_files.read(path, dataset.FER2013)


def _parquet(random: Random, folder: pathlib.Path) -> Read:
    (folder / random.choice(("train-00000-of-00001.parquet", "test.parquet", "a.parquet"))).write_bytes(
        hostile.parquet(random)
    )
    return _own_data(folder, random)


def _arrays(random: Random, folder: pathlib.Path) -> Read:
    path = folder / "data.npz"
    path.write_bytes(hostile.arrays(random))
    return _own_data(random.choice((folder, path)), random)


def _class_folders(random: Random, folder: pathlib.Path) -> Read:
    hostile.write_class_folders(random, folder)
    return _own_data(folder, random)


def _own_data(path: pathlib.Path, random: Random) -> Read:
    split, on_bad_row = random.choice(("train", "valid", "test")), random.choice(collector.ON_BAD_ROW)
    spec = random.choice((dataset.FER2013, dataset.ImageSpec(32, 3)))
    return lambda: folder_source.load(split, path, on_bad_row=on_bad_row, spec=spec)


def _model(random: Random, folder: pathlib.Path) -> Read:
    path = folder / "model.npz"
    card = {
        **{"kind": "flow", "class_names": emotions.EMOTIONS},
        "networks": dataclasses.asdict(config_lib.networks(presets.flow())),
    }
    card["networks"].pop("kind")
    variables = {"encoder": {"params": {"a": np.zeros(3, np.float32)}}, "generator": {}}
    if random.random() < 0.5:
        card = json.loads(json.dumps(card))
        damaged = mutations.damaged_json(card, random)
        try:
            card = json.loads(damaged)
        except (ValueError, RecursionError):
            card = {"kind": damaged.decode(errors="replace")[:1000]}
        card = card if isinstance(card, dict) else {"kind": card}
    try:
        weights.save(path, variables, card)
    except (RecursionError, ValueError):
        path.write_bytes(b"")
    if random.random() < 0.3:
        path.write_bytes(mutations.damaged(path.read_bytes(), random))
    return lambda: loading.load(path)


def _run(random: Random, folder: pathlib.Path) -> Read:
    config = mutations.damaged_json(dataclasses.asdict(presets.quick()), random)
    about = {"name": "fer2013", "split": "train", "examples": 28_709, "class_names": emotions.EMOTIONS}
    about["fingerprint"] = "0" * 64
    (folder / "config.json").write_bytes(random.choice((config, config_lib.to_json(presets.quick()).encode())))
    (folder / "data.json").write_bytes(mutations.damaged_json(about, random))
    return lambda: run_folder.read(folder)


def _result(random: Random, folder: pathlib.Path) -> Read:
    path = folder / "metrics.json"
    path.write_bytes(mutations.damaged_json(_RESULT, random))

    def read():
        result = tables.load(path)
        tables.to_text(result)
        return tables.to_text(tables.compare([result, result]))

    return read


def _method(name: str, kind: str) -> dict[str, Any]:
    scores = {"edit_accuracy": {"value": 0.4, "error": 0.1}, "frechet_clean": {"value": None, "error": None}}
    return {"name": name, "kind": kind, "about": "what it is", "scores": scores}


_RESULT = {
    "format": tables.FORMAT,
    "title": "quick",
    "split": "valid",
    "faces": 3589,
    "leaked": 12,
    "data": {"name": "fer2013", "fingerprint": "abc"},
    "judge": {"name": "judge_fer2013", "checksum": "123", "balanced_accuracy": 0.62},
    "identity": {"descriptor": "HOG", "rank1_of_changed_copies": 0.98},
    "methods": [_method("quick", "model"), _method("mean face", "reference")],
    "classes": ["happy", "sad"],
    "verdicts": {"quick": [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]},
    "config": {"model": {"width": 16}},
    "environment": {"python": "3.11"},
}

# A maker takes a source of chance and an empty folder, writes an input there, and returns the call that reads it.
MAKERS: dict[str, Callable[[Random, pathlib.Path], Read]] = {
    "FER2013 as CSV": _csv,
    "FER2013 in an archive": _archive,
    "FER2013 in folders": _folder,
    "FER+": _votes,
    "images": _image,
    "arrays": _array,
    "data in parquet": _parquet,
    "data in .npz": _arrays,
    "data in class folders": _class_folders,
    "a model": _model,
    "a run's folder": _run,
    "results": _result,
}
