"""Puts the scores of several runs side by side in one page; with --train, trains recipes under one budget first.

python experiments/compare.py runs/quick runs/other --output=runs/compared.html
python experiments/compare.py --train=paper,wgan,began,cyclegan,stargan,emogan --epochs=6 --data_dir=PATH
python experiments/compare.py --train=paper,wgan,began,cyclegan,stargan,emogan --minutes=10 --data_dir=PATH
python experiments/compare.py --train=emogan,emogan+seed=1,emogan+joint.guidance=2 --epochs=36 --jobs=3 --data_dir=PATH

The page shows the same faces under all runs, as does a picture next to it: drawn ones, or those of --show.
"""

import os
import pathlib
import sys

import flag_config
import numpy as np
import script
from absl import flags

from emogan.data import dataset, toyfaces
from emogan.edit import editor, face_files, loading
from emogan.evaluation import comparison, jobs, report, report_pictures, run_scores, tables
from emogan.train import checkpoint, interrupt, loop, writers
from emogan.util import files, images

OUTPUT = script.define_path("output", "runs/compared.html", "the page")
TRAIN = flags.DEFINE_list("train", [], "what to train and score, instead of folders: PRESET or PRESET+FIELD=VALUE...")
EPOCHS = flags.DEFINE_float("epochs", 6.0, "with --train: passes over the data, divided among each one's phases", 1e-6)
MINUTES = flags.DEFINE_float("minutes", None, "with --train: minutes of steps instead of epochs, likewise", 1e-6)
SET = flags.DEFINE_list("set", [], "with --train: fields of every preset, as model.width=32,seed=1")
DATA_DIR = script.define_path("data_dir", "", "with --train: folder of the data; the same as --set=data.dir=PATH")
WORKDIR = script.define_path("workdir", "runs/compared", "with --train: the folder of the runs' folders")
GUIDANCE = script.define_path(
    "guidance", "", "with --train: a run's folder whose trained guidance classifiers these use, too"
)
SCORE = flags.DEFINE_bool("score", True, "with --train: if not, leave WORKDIR/NAME.npz for evaluate.py --model")
JOBS = flags.DEFINE_integer("jobs", 1, "with --train: how many to train at once, each in a process; for a GPU", 1)
SPLIT = flags.DEFINE_enum("split", "valid", dataset.HELD_OUT, "with --train: held-out faces")
FACES = flags.DEFINE_integer("faces", 0, "with --train: score only the first N held-out faces; 0 for all", 0)
SHOW = script.define_path("show", "", "an image, a folder of images or a .npy file: faces that the page shows edited")
CAS = flags.DEFINE_bool("cas", False, "with --train: train small classifiers on edits and real faces (minutes)")

_SHOWN = 3  # drawn faces
_MOST_SHOWN = 20


def main(argv) -> None:
    path = pathlib.Path(OUTPUT.value)
    files.check_folder(path.parent)
    faces = _faces()
    if TRAIN.value:
        if len(argv) > 1:
            raise ValueError(f"--train: cannot be combined with folders, found {argv[1]}")
        folders = [pathlib.Path(WORKDIR.value) / name for name in TRAIN.value]
        results = _trained()
        if not SCORE.value:
            return
    else:
        if len(argv) < 3:
            raise ValueError(f"expected the folders of two or more scored runs, found {len(argv) - 1}")
        folders = [pathlib.Path(folder) for folder in argv[1:]]
        results = [tables.load(folder / "evaluation" / "metrics.json") for folder in folders]
    compared = tables.compare(results)
    print(tables.to_text(compared))
    shown = _side_by_side(folders, faces)
    report.write(compared, shown, path)
    for picture in shown:
        images.save(path.with_suffix(".png"), picture.image, images.SYNTHETIC)
    print(f"wrote {path}{' and its .png' if shown else ''}")


def _faces() -> np.ndarray:
    if not SHOW.value:
        return toyfaces.load("valid", 0, _SHOWN).images
    read = face_files.read(pathlib.Path(SHOW.value), dataset.FER2013)
    faces = read.images
    for line in read.failed:
        writers.warn(line)
    if not 1 <= len(faces) <= _MOST_SHOWN:
        raise ValueError(f"--show: expected 1 to {_MOST_SHOWN} faces, found {len(faces)}")
    return faces


def _side_by_side(folders: list[pathlib.Path], faces: np.ndarray) -> list[report.Picture]:
    names = [folder.name for folder in folders]
    models = {
        folder.name if names.count(folder.name) == 1 else str(folder): loading.load(folder)
        for folder in folders
        if (folder / "checkpoints").is_dir()  # not so where pictures of another program were scored
    }
    # The faces to show have no labels, which an E(x, y) would ask for.
    models = {name: model for name, model in models.items() if model.encoder_labels != editor.SOURCE}
    if not models:
        return []
    caption = "Edits to every label by each run; the first column is the face itself."
    return [report.Picture("The same faces", caption, report_pictures.side_by_side(models, faces))]


def _trained():
    checkpoint.place(pathlib.Path(WORKDIR.value))
    files.check_folder(pathlib.Path(WORKDIR.value), "--workdir")
    changes = {}
    for change in SET.value:
        name, equals, text = change.partition("=")
        if not equals:
            raise ValueError(f"--set: expected FIELD=VALUE, found {change!r}")
        changes[name] = text
    if DATA_DIR.value:
        changes["data.dir"] = DATA_DIR.value
    if "data.dir" in changes:
        changes["data.dir"] = script.expanded(changes["data.dir"])
    study = comparison.Study(
        folder=pathlib.Path(WORKDIR.value),
        budget=comparison.Budget(EPOCHS.value, MINUTES.value or 0.0),
        changes=changes,
        options=run_scores.Options(split=SPLIT.value, cas=CAS.value, faces=FACES.value),
        environment={"commit": script.commit()},
        score=SCORE.value,
        guidance=pathlib.Path(GUIDANCE.value) if GUIDANCE.value else None,
    )
    if JOBS.value > 1:
        # XLA would take most of the GPU for each process, and for this one.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        with interrupt.Signals() as signals:
            if JOBS.value > 1:
                return jobs.run(TRAIN.value, study, JOBS.value, writers.say)
            return comparison.run(TRAIN.value, study, writers.say, signals)
    except (loop.TrainingError, jobs.JobError) as error:
        flag_config.fail(error)
    except interrupt.Interrupted as stopped:
        writers.say(str(stopped))
        sys.exit(interrupt.EXIT_STATUS)


if __name__ == "__main__":
    flag_config.run(main, arguments=True)
