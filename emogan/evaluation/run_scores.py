"""Scores a run's folder, or pictures of another program, and writes metrics.json and report.html."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from emogan import config as config_lib
from emogan.data import dataset
from emogan.edit import editor, loading, model_file
from emogan.evaluation import (
    detectability,
    edit_accuracy,
    edit_sets,
    foreign,
    hog_judge,
    identity,
    latents,
    methods,
    recognition,
    reconstructions,
    report,
    report_pictures,
    samples,
    scores,
    scoring,
    tables,
    toy,
    usefulness,
)
from emogan.evaluation import judge as judge_lib
from emogan.evaluation import real_faces as faces_lib
from emogan.figures import curves
from emogan.train import pipeline, run_folder
from emogan.util import files, untrusted


@dataclasses.dataclass(frozen=True)
class Options:
    """How to score.

    Attributes:
      split: the held-out faces.
      judge: a judge's .npz or the folder of a run of phase `classifier`; `hog` for the second judge that ships with
        emogan, of another kind (`hog_judge`); empty for the first.
      cas: whether to train the small classifiers of `usefulness`.
      detect: whether to train the small networks of `detectability`.
      recognise: whether a face-recognition network looks at the edits (`recognition`), where it is installed.
      inception_weights: a file for the FID, empty for none.
      embedder: an ONNX file of a face embedder instead of the descriptor that ships with emogan, empty for that.
      seed: of what is random in the scores.
      faces: how many held-out faces to score on, the first ones; 0 for all.
    """

    split: str = "valid"
    judge: str = ""
    cas: bool = False
    detect: bool = False
    recognise: bool = False
    inception_weights: str = ""
    embedder: str = ""
    seed: int = 0
    faces: int = 0


def score_run(
    workdir: pathlib.Path, data_dir: str, options: Options, say: Callable[[str], None]
) -> tuple[dict[str, Any], Sequence[report.Picture]]:
    """Returns the scores of a run's folder and the pictures of its report.

    Args:
      workdir: of a run whose phase `encoder` has finished.
      data_dir: where its data lie now, empty for where they were.
      options: how to score.
      say: called with a line as each part is done.

    Raises:
      FileNotFoundError, ValueError: if the folder, the data or an option is not as it must be.
    """
    model = loading.load(workdir)
    config = config_lib.of(model.card)
    steps = model.card["steps"]
    done = ", ".join(f"{count} steps of phase {phase}" for phase, count in steps.items())
    about = f"{config.preset}, {done}, seed {config.seed}"
    run = run_folder.read(workdir)
    result, shown = _score_model(workdir.resolve().name, about, model, run.about_data, data_dir, options, say)
    per_epoch = {
        phase: dataset.steps_per_epoch(run.examples, getattr(config, phase).batch_size)
        for phase in config.phases.split(",")
    }
    figure = curves.draw(workdir / "metrics.jsonl", per_epoch)
    if figure:
        shown.append(report.Picture("Training curves", "", figure))
    return result, shown


def score_exported(
    source: str, data_dir: str, options: Options, say: Callable[[str], None]
) -> tuple[dict[str, Any], Sequence[report.Picture]]:
    """Returns the scores of one file's E and G and the pictures of its report.

    Args:
      source: the name of a model that ships with emogan, or a file that experiments/export_model.py wrote.
      data_dir: as `score_run`, and so are the others.

    Raises:
      FileNotFoundError, ValueError: if the file, the data or an option is not as it must be.
    """
    name, model, origin, trained_on = read_exported(source)
    config = config_lib.of(model.card)
    about = f"{config.preset}, {origin}, seed {config.seed}"
    result, shown = _score_model(untrusted.escaped(name), about, model, trained_on, data_dir, options, say)
    cost = model.card.get("cost")  # of a file that compare.py --noscore wrote
    known = [name for name in ("images_seen", "training_time") if isinstance(cost, dict) and name in cost]
    result["methods"][0]["scores"] |= {name: {"value": cost[name], "error": None} for name in known}
    return result, shown


def read_exported(source: str) -> tuple[str, editor.Editor, str, Mapping[str, Any]]:
    """Returns the name of one file's model, the model, where it is from, and what its card says of its training data.

    Raises:
      FileNotFoundError, ValueError: if `source`, see `score_exported`, is no model, or one without such a card.
    """
    model = loading.load(source)
    name = source if source in model_file.SHIPPED else pathlib.Path(source).stem
    origin = "ships with emogan" if source in model_file.SHIPPED else "from a file"
    trained_on = model.card.get("data")
    if not (isinstance(trained_on, dict) and {"fingerprint", "examples"} <= trained_on.keys()):
        raise ValueError(f"{source}: expected a card with its training data, found none; export the run again")
    return name, model, origin, trained_on


def check_trained_on(name: str, trained_on: Mapping[str, Any], train: dataset.Dataset) -> None:
    """Checks that a model learned from these training faces, so that what is held out from them is new to it.

    Raises:
      ValueError: if not.
    """
    if trained_on["fingerprint"] != train.fingerprint():
        raise ValueError(
            f"{name}: expected a model of these {len(train)} training faces of {train.name}, found a model "
            f"trained on {trained_on['examples']} other faces; it may have seen these held-out faces"
        )


def _score_model(
    name: str,
    about: str,
    model: editor.Editor,
    trained_on: Mapping[str, Any],
    data_dir: str,
    options: Options,
    say: Callable[[str], None],
) -> tuple[dict[str, Any], list[report.Picture]]:
    config = config_lib.of(model.card)
    if data_dir:
        config.data.dir = data_dir
    faces = load_faces(config, options)
    check_trained_on(name, trained_on, faces.own_train)
    references = methods.references(faces)
    own = methods.of_model(_distinct(name, references), about, model, faces)
    evaluators = make_evaluators(config, options, say)
    result = _score(name, [own, *references], evaluators, faces, options, say)
    result["config"] = dataclasses.asdict(config)
    return result, _pictures(own, faces)


def score_pictures(
    images: np.ndarray,
    labels: np.ndarray,
    sources: np.ndarray | None,
    name: str,
    config: config_lib.Config,
    options: Options,
    say: Callable[[str], None],
) -> tuple[dict[str, Any], Sequence[report.Picture]]:
    """Returns the scores of another program's pictures, and the pictures of its report.

    Args:
      images: uint8 [M, S, S(, 3)], as the data's faces.
      labels: int [M], the target label of each picture.
      sources: int [M], the place among the held-out faces of the face that each picture is an edit of; None if the
        pictures are samples.
      name: of the program.
      config: with the data that they are compared with.
      options: how to score.
      say: called with a line as each part is done.

    Raises:
      FileNotFoundError, ValueError: if the pictures, the data or an option are not as they must be.
    """
    faces = load_faces(config, options)
    references = methods.references(faces)
    own_name = _distinct(name, references)
    if sources is None:
        own = methods.of_samples(own_name, images, labels, faces)
    else:
        own = methods.of_edits(own_name, images, labels, sources, faces)
    evaluators = make_evaluators(config, dataclasses.replace(options, cas=False), say)
    result = _score(name, [own, *references], evaluators, faces, options, say)
    return result, _pictures(own, faces)


def score_references(config: config_lib.Config, options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """Returns the scores of only the references, with real faces made worse among them: are the scores in order?

    Raises:
      FileNotFoundError, ValueError: if the data or an option is not as it must be.
    """
    faces = load_faces(config, options)
    real, *others = methods.references(faces)
    everyone = [real, *methods.degraded(faces), *others]
    evaluators = make_evaluators(config, dataclasses.replace(options, cas=False), say)
    return _score("references", everyone, evaluators, faces, options, say)


def _score(
    title: str,
    everyone: Sequence[methods.Method],
    evaluators: Sequence[scores.Evaluator],
    faces: faces_lib.Faces,
    options: Options,
    say: Callable[[str], None],
) -> dict[str, Any]:
    if faces.own_held_out.spec != dataset.FER2013:
        say(f"{faces.own_held_out.spec} faces and edits are converted to {dataset.FER2013} to be scored")
    result = scoring.score(title, everyone, evaluators, faces, jax.random.key(options.seed), say)
    for evaluator in evaluators:
        if isinstance(evaluator, recognition.Recognition) and len(faces.held_out) > 1:
            result["identity"] |= evaluator.about(faces)
    return result


def load_faces(config: config_lib.Config, options: Options) -> faces_lib.Faces:
    """Returns the real faces of a configuration's data, with the judge and the descriptor that are asked for.

    Raises:
      FileNotFoundError, ValueError: if the data, the judge or the embedder cannot be read.
    """
    held_out, train = pipeline.load_data(config, options.split), pipeline.load_data(config, "train")
    if options.faces:
        held_out = held_out.take(np.arange(min(options.faces, len(held_out))))
    path = pathlib.Path(options.judge)
    if not options.judge:
        judge = judge_lib.packaged(config.data.name)
    elif options.judge == hog_judge.NAME:
        judge = hog_judge.packaged(config.data.name)
    else:
        judge = judge_lib.from_run(path) if path.is_dir() else judge_lib.from_file(path)
    descriptor = foreign.onnx_descriptor(pathlib.Path(options.embedder)) if options.embedder else identity.hog()
    return faces_lib.Faces(held_out, train, judge, descriptor, files.cache_dir())


def make_evaluators(config: config_lib.Config, options: Options, say: Callable[[str], None]) -> list[scores.Evaluator]:
    """Returns the evaluators that fit the data and the options."""
    weights = pathlib.Path(options.inception_weights)
    inception = foreign.inception_features(weights) if options.inception_weights else None
    evaluators = [
        edit_accuracy.Transfers(),
        edit_sets.EditSets(),
        reconstructions.Reconstructions(),
        samples.Samples(inception),
    ]
    if options.cas:
        trained = lambda name, value: say(f"classifier trained on {name}: balanced accuracy {100 * value:.1f} %")  # noqa: E731
        evaluators.append(usefulness.Usefulness(progress=trained))
    if config.data.name == "toyfaces":
        evaluators.append(toy.Toy(config.seed))
    if options.detect:
        known = lambda name, value: say(f"{name} against held-out faces: AUC {value:.3f}")  # noqa: E731
        evaluators.append(detectability.Detectability(seed=options.seed, progress=known))
    if options.recognise and (lacking := recognition.missing()):
        say(lacking)
    elif options.recognise:
        evaluators.append(recognition.Recognition(options.seed))
    return [*evaluators, latents.Latents()]


def write(result: dict[str, Any], shown: Sequence[report.Picture], workdir: pathlib.Path) -> list[pathlib.Path]:
    """Writes metrics.json and report.html into a folder's `evaluation/`, each as a whole, and returns their paths.

    Raises:
      ValueError: if `tables.check` refuses the result; then nothing is written.
    """
    tables.check(result)
    folder = workdir / "evaluation"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "metrics.json"
    files.write_json(path, result)
    tables.load(path)  # what cannot be read again must not stay unnoticed
    report.write(result, shown, folder / "report.html")
    return [path, folder / "report.html"]


def _distinct(name: str, references: Sequence[methods.Method]) -> str:
    """Returns a name that no reference has, since a table distinguishes methods by their names."""
    return tables.free(name, [one.name for one in references])


def _pictures(own: methods.Method, faces: faces_lib.Faces) -> list[report.Picture]:
    parts = (
        ("Edits", "Held-out faces and their edits to every label.", report_pictures.edits),
        ("Samples", "Faces drawn for each label.", report_pictures.samples),
        (
            "Memory",
            "Samples before the training faces that look most like them; the number is the first one's correlation. "
            "A picture and a retouched copy of it have 0.94 or more.",
            report_pictures.neighbours,
        ),
        ("Ways through the latent space", "", report_pictures.interpolations),
    )
    made = [(title, caption, draw(own, faces)) for title, caption, draw in parts]
    return [report.Picture(title, caption, image) for title, caption, image in made if image is not None]
