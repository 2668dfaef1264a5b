"""Scores a run, or another program's pictures, and the references: W/evaluation/metrics.json and report.html.

python experiments/evaluate.py --workdir=runs/quick
python experiments/evaluate.py --workdir=runs/fer --split=public --data_dir=PATH --cas
python experiments/evaluate.py --model=fer2013 --data_dir=PATH --workdir=runs/fer2013
python experiments/evaluate.py --images=F.npy --labels=L.npy --sources=S.npy --dataset=fer2013 --data_dir=PATH \
    --workdir=runs/peer
python experiments/evaluate.py --references --dataset=fer2013 --data_dir=PATH --workdir=runs/references
"""

import pathlib

import flag_config
import script
from absl import flags

from emogan import config as config_lib
from emogan.data import dataset
from emogan.edit import model_file
from emogan.evaluation import run_scores, tables
from emogan.train import pipeline, writers
from emogan.util import files, untrusted

WORKDIR = script.define_path("workdir", "runs/quick", "a run's folder; without a run, where the report goes")
SPLIT = flags.DEFINE_enum("split", "valid", dataset.HELD_OUT, "the held-out faces")
DATA_DIR = script.define_path("data_dir", "", "folder of the data, if it has moved")
DATASET = flags.DEFINE_string("dataset", "fer2013", "without a run: toyfaces, fer2013 or tfds:NAME")
DATA_COUNT = flags.DEFINE_integer("data_count", 0, "without a run: how many toy faces, 0 for all", 0)
JUDGE = script.define_path(
    "judge",
    "",
    "a judge's .npz, the folder of a run of --config=judge, or hog: a linear classifier on gradient histograms, "
    "FER2013 only, never used in training; default: the judge that ships",
)
FACES = flags.DEFINE_integer("faces", 0, "score only the first N held-out faces; 0 for all", 0)
CAS = flags.DEFINE_bool("cas", False, "of a run: train small classifiers on samples, edits and real faces (minutes)")
DETECT = flags.DEFINE_bool("detect", False, "train small networks to distinguish edits from real faces (minutes)")
RECOGNISE = flags.DEFINE_bool(
    "recognise", False, "let a face-recognition network look at edits (extra identity; minutes)"
)
INCEPTION = script.define_path("inception_weights", "", "inception-2015-12-05.pt, for the FID")
EMBEDDER = script.define_path("embedder", "", "an ONNX face embedder, for identity")
IMAGES = script.define_path("images", "", "pictures uint8 [M, 48, 48] of another program, .npy")
LABELS = script.define_path("labels", "", "with --images: the target emotions, int [M], .npy")
SOURCES = script.define_path("sources", "", "with --images: indices in the split of the edited faces, int [M], .npy")
MODEL = script.define_path(
    "model", "", f"without a run: {' or '.join(model_file.SHIPPED)}, which ship, or a file that export_model.py wrote"
)
REFERENCES = flags.DEFINE_bool("references", False, "score no model, but real faces, blurred ones, noise and the like")
WRITE_FACES = script.define_path("write_faces", "", "only write the split as images.npy and labels.npy to this folder")


def main(_) -> None:
    options = run_scores.Options(
        split=SPLIT.value,
        judge=JUDGE.value,
        cas=CAS.value,
        detect=DETECT.value,
        recognise=RECOGNISE.value,
        inception_weights=INCEPTION.value,
        embedder=EMBEDDER.value,
        faces=FACES.value,
    )
    workdir = pathlib.Path(WORKDIR.value)
    data = config_lib.DataConfig(name=DATASET.value, dir=DATA_DIR.value, count=DATA_COUNT.value)
    data.check()
    config = config_lib.Config(preset="pictures", data=data)
    if WRITE_FACES.value:
        folder = pathlib.Path(WRITE_FACES.value)
        files.check_folder(folder, "--write_faces")
        faces = pipeline.load_data(config, SPLIT.value)
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in (("images", faces.images), ("labels", faces.labels)):
            files.write_array(folder / f"{name}.npy", array)
        print(f"wrote {len(faces)} faces to {folder}")
        return
    given = [flag.name for flag in (IMAGES, REFERENCES, MODEL) if flag.value]
    if len(given) > 1:
        raise ValueError(f"expected one of --images, --references and --model, found --{' and --'.join(given)}")
    if given and (workdir / "config.json").exists():
        raise ValueError(f"--workdir: expected a folder without a run for the report, found the run {workdir}")
    if given or workdir.is_dir():  # of what is no run's folder, its reader says more
        files.check_folder(workdir, "--workdir")
    if MODEL.value:
        result, shown = run_scores.score_exported(MODEL.value, DATA_DIR.value, options, writers.say)
    elif REFERENCES.value:
        result, shown = run_scores.score_references(config, options, writers.say), ()
    elif IMAGES.value:
        if not LABELS.value:
            raise ValueError("--images: expected --labels=FILE.npy with the target emotions, found none")
        sources = untrusted.read_array(pathlib.Path(SOURCES.value)) if SOURCES.value else None
        images, labels = (untrusted.read_array(pathlib.Path(path)) for path in (IMAGES.value, LABELS.value))
        name = pathlib.Path(IMAGES.value).stem
        result, shown = run_scores.score_pictures(images, labels, sources, name, config, options, writers.say)
    else:
        result, shown = run_scores.score_run(workdir, DATA_DIR.value, options, writers.say)
    result["environment"]["commit"] = script.commit()
    print(tables.to_text(result))
    for path in run_scores.write(result, shown, workdir):
        print(f"wrote {path}")


if __name__ == "__main__":
    flag_config.run(main)
