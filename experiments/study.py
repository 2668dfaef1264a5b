"""A viewer's study: makes a page and sheets of real and edited faces, and scores what viewers answered.

python experiments/study.py --make --model=fer2013 --data_dir=PATH --output=runs/study
python experiments/study.py --make --workdir=runs/a,runs/b --output=runs/study
python experiments/study.py --make --images=F.npy --labels=L.npy --sources=S.npy --dataset=fer2013 --data_dir=PATH
python experiments/study.py --make --pairs --model=a.npz,b.npz --data_dir=PATH --output=runs/pairs
python experiments/study.py --score=answers_ann.json,answers_bob.csv --output=runs/study

Viewers get OUTPUT/for_viewers: study.html, or the sheets with questions.txt and answers.csv. Keep OUTPUT/key.json.
With --same_faces all models edit the same faces, which compares them more precisely with each other.
With --pairs they see two edits of one face side by side and choose one; there is no page then, only sheets.
Scores go to OUTPUT/study.md and study.json, with --report=RUN also into the report that evaluate.py wrote of a run.
"""

import pathlib

import flag_config
import script
from absl import flags

from emogan import config as config_lib
from emogan.data import dataset
from emogan.edit import model_file
from emogan.evaluation import studies, study_answers, study_pairs, study_pictures, study_tables
from emogan.train import writers
from emogan.util import files, untrusted

MAKE = flags.DEFINE_bool("make", False, "make a study")
SAME_FACES = flags.DEFINE_bool(
    "same_faces", False, "with --make: edits of the same faces by all models, instead of other faces for each"
)
PAIRS = flags.DEFINE_bool("pairs", False, "with --make: pairs of edits of one face, by two models")
SCORE = script.define_paths("score", (), "the files of viewers' answers, .json or .csv (of pairs, .csv): score them")
OUTPUT = script.define_path("output", "runs/study", "the study's folder")
MODEL = script.define_paths("model", (), f"with --make: {' or '.join(model_file.SHIPPED)}, or files of export_model.py")
WORKDIR = script.define_paths("workdir", (), "with --make: folders of finished runs")
IMAGES = script.define_paths("images", (), "with --make: edits uint8 [M, 48, 48] of other programs, .npy files")
LABELS = script.define_paths("labels", (), "with --images: the target emotions, int [M], a .npy for each")
SOURCES = script.define_paths("sources", (), "with --images: indices in the split of the edited faces, a .npy for each")
EACH = flags.DEFINE_integer(
    "each", 6, "with --make: pictures of each emotion, of real faces and of each model; or pairs of each", 1, 1000
)
SPLIT = flags.DEFINE_enum("split", "valid", dataset.HELD_OUT, "the held-out faces")
DATASET = flags.DEFINE_string("dataset", "toyfaces", "with only --images: toyfaces, fer2013 or tfds:NAME")
DATA_DIR = script.define_path("data_dir", "", "folder of the data, if it has moved")
DATA_COUNT = flags.DEFINE_integer("data_count", 0, "with only --images: how many toy faces, 0 for all", 0)
SEED = flags.DEFINE_integer("seed", 0, "with --make: of the choice and the order", 0, 2**31 - 1)
REPORT = script.define_path("report", "", "with --score: a run's folder, whose report.html the scores are added to")


def main(_) -> None:
    if MAKE.value == bool(SCORE.value):
        found = "both" if MAKE.value else "neither"
        raise ValueError(f"expected --make or --score=FILES, found {found}; --help says more")
    if PAIRS.value and not MAKE.value:
        raise ValueError(
            "--pairs: expected with --make, found with --score; leave it out, the study's key says what it is of"
        )
    if SAME_FACES.value and not MAKE.value:
        raise ValueError("--same_faces: expected with --make, found with --score; leave it out")
    if SAME_FACES.value and PAIRS.value:
        raise ValueError("--same_faces: expected without --pairs, which always shows edits of the same face")
    (_make if MAKE.value else _score)(pathlib.Path(OUTPUT.value))


def _make(folder: pathlib.Path) -> None:
    if not len(IMAGES.value) == len(LABELS.value) == len(SOURCES.value):
        counts = ", ".join(f"{len(flag.value)} of --{flag.name}" for flag in (IMAGES, LABELS, SOURCES))
        raise ValueError(f"--images: expected as many --labels and --sources, found {counts}")
    if not (MODEL.value or WORKDIR.value or IMAGES.value):
        raise ValueError("--make: expected --model, --workdir or --images, found none")
    files.check_folder(folder)
    edits = []
    for paths in zip(IMAGES.value, LABELS.value, SOURCES.value, strict=True):
        arrays = [untrusted.read_array(pathlib.Path(path)) for path in paths]
        edits.append((untrusted.escaped(pathlib.Path(paths[0]).stem), *arrays))
    data = config_lib.DataConfig(name=DATASET.value, dir=DATA_DIR.value, count=DATA_COUNT.value)
    data.check()
    workdirs = [pathlib.Path(path) for path in WORKDIR.value]
    held_out, compared = studies.read(MODEL.value, workdirs, edits, data, SPLIT.value, writers.say)
    about = {"seed": SEED.value, "each": EACH.value, "commit": script.commit()}
    if PAIRS.value:
        paths = study_pairs.write(
            study_pairs.choose(held_out, compared, EACH.value, SEED.value), held_out, folder, about
        )
    else:
        shown = study_pictures.choose(held_out, compared, EACH.value, SEED.value, SAME_FACES.value)
        paths = study_pictures.write(shown, held_out, folder, {**about, "same_faces": SAME_FACES.value})
    for path in paths:
        print(f"wrote {path}")


def _score(folder: pathlib.Path) -> None:
    pairs = study_pairs.read_key(folder / study_pictures.KEY)
    if pairs is not None:
        _score_pairs(pairs, folder)
        return
    key = study_answers.read_key(folder / study_pictures.KEY)
    result = study_answers.score(key, [study_answers.read(pathlib.Path(path), key) for path in SCORE.value])
    text = study_tables.to_markdown(result)
    print(text)
    if REPORT.value:
        report = pathlib.Path(REPORT.value) / "evaluation" / "report.html"
        study_tables.add_to_report(result, report)
        print(f"added to {report}")
    for path in (
        files.write_text(folder / "study.md", text),
        files.write_json(folder / "study.json", result),
    ):
        print(f"wrote {path}")


def _score_pairs(key: study_pairs.Key, folder: pathlib.Path) -> None:
    if REPORT.value:
        raise ValueError("--report: expected a study of single pictures, found one of pairs; leave it out")
    paths = [pathlib.Path(path) for path in SCORE.value]
    names = [path.stem for path in paths]
    study_answers.check_viewers(names)
    answers = {name: study_pairs.read(path, key) for name, path in zip(names, paths, strict=True)}
    result = study_pairs.score(key, answers)
    text = study_pairs.to_markdown(result)
    print(text)
    for path in (files.write_text(folder / "study.md", text), files.write_json(folder / "study.json", result)):
        print(f"wrote {path}")


if __name__ == "__main__":
    flag_config.run(main)
