"""experiments/evaluate.py and its neighbours as a user calls them, on the folder of a tiny run."""

import json
import re

import numpy as np
import PIL.Image
import pytest

from emogan import config as config_lib
from emogan.data import toyfaces
from emogan.edit import loading
from emogan.evaluation import hog_judge, report_pictures, tables
from emogan.util import images

pytestmark = pytest.mark.slow

TINY_FIELDS = (
    "data.name=toyfaces,data.count=128,model.width=2,model.precision=float32,translator.width=2,translator.critic_width=2,"
    "gan.batch_size=32,encoder.batch_size=32,joint.batch_size=32,run.tensorboard=false"
)


@pytest.fixture(scope="module")
def scored(call_script, trained_workdir, tmp_path_factory):
    """A copy of the tiny run's folder after evaluate.py, and what it printed."""
    workdir = tmp_path_factory.mktemp("scored") / "tiny"
    for path in trained_workdir.rglob("*"):
        if path.is_file():
            copy = workdir / path.relative_to(trained_workdir)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    result = call_script("evaluate.py", f"--workdir={workdir}")
    assert result.returncode == 0, result.stderr
    return workdir, result.stdout


def test_evaluation_writes_numbers_and_a_page(scored):
    workdir, printed = scored
    result = tables.load(workdir / "evaluation" / "metrics.json")
    assert [one["name"] for one in result["methods"]] == ["tiny", "real faces", "unchanged", "mean face", "noise"]
    assert (result["faces"], result["split"]) == (128, "valid")
    model = result["methods"][0]["scores"]
    assert {"edit_accuracy", "identity_rank1", "reconstruction_psnr", "frechet", "toy_psnr", "latent_error"} <= set(
        model
    )
    assert result["config"]["model"]["width"] == 4
    page = (workdir / "evaluation" / "report.html").read_text()
    for title in ("Edits", "Samples", "Memory", "Ways through the latent space", "Training curves"):
        assert f"{title}</" in page, title
    assert "edit accuracy (%)" in printed
    assert not list(workdir.rglob("*.tmp"))


def test_evaluation_again_gives_the_same_numbers(call_script, scored):
    workdir, _ = scored
    before = json.loads((workdir / "evaluation" / "metrics.json").read_text())
    assert call_script("evaluate.py", f"--workdir={workdir}").returncode == 0
    assert json.loads((workdir / "evaluation" / "metrics.json").read_text()) == before


def test_a_run_on_other_training_faces_is_refused(call_script, scored, tmp_path):
    for name in ("config.json", "data.json"):
        (tmp_path / name).write_bytes((scored[0] / name).read_bytes())
    for name in ("checkpoints", "model.npz"):
        (tmp_path / name).symlink_to(scored[0] / name)
    about = json.loads((tmp_path / "data.json").read_text())
    (tmp_path / "data.json").write_text(json.dumps({**about, "fingerprint": "of others"}))
    result = call_script("evaluate.py", f"--workdir={tmp_path}")
    assert result.returncode == 2
    assert (
        "expected a model of these 128 training faces of toyfaces, found a model trained on 128 other faces"
        in result.stderr
    )


def test_the_papers_claims_are_measured_on_the_split_that_is_asked_for(call_script, scored):
    result = call_script("paper_claims.py", f"--workdir={scored[0]}")
    assert result.returncode == 0, result.stderr
    found = json.loads((scored[0] / "evaluation" / "paper_claims.json").read_text())
    assert (found["split"], found["faces"]) == ("valid", 128)
    result = call_script("paper_claims.py", f"--workdir={scored[0]}", "--split=private")
    assert result.returncode == 2
    assert "private" in result.stderr


def test_runs_are_put_side_by_side(call_script, scored, tmp_path):
    workdir, _ = scored
    np.save(tmp_path / "faces.npy", toyfaces.load("valid", 0, 2).images)
    page = tmp_path / "both.html"
    result = call_script("compare.py", workdir, workdir, f"--show={tmp_path / 'faces.npy'}", f"--output={page}")
    assert result.returncode == 0, result.stderr
    assert "tiny (2)" in result.stdout
    assert "tiny (2)" in page.read_text()
    assert "The same faces" in page.read_text()
    with PIL.Image.open(tmp_path / "both.png") as picture:
        assert picture.text["Source"] == images.SYNTHETIC["Source"]
    models = {str(workdir): loading.load(workdir)}
    expected = report_pictures.side_by_side(models, toyfaces.load("valid", 0, 2).images)
    np.testing.assert_array_equal(images.load_png(tmp_path / "both.png"), expected)


def test_pictures_side_by_side_have_a_row_for_each_model_and_face(scored):
    model, faces = loading.load(scored[0]), toyfaces.load("valid", 0, 2).images
    shown = report_pictures.side_by_side({"one": model, "another": model}, faces)
    alone = report_pictures.side_by_side({"one": model}, faces)
    row = 2 * 48 + 4  # pixels, doubled, and what lies between rows
    assert shown.shape[0] - alone.shape[0] == 2 * row
    assert (shown[-12 - 96 : -12, -12 - 96 : -12] == alone[-12 - 96 : -12, -12 - 96 : -12]).all()


def train_and_score(call_script, folder, name, budget):
    """Returns the configuration and the scores of a preset that compare.py trained, and what it printed."""
    arguments = [f"--train={name}", budget, f"--set={TINY_FIELDS}", "--faces=64", f"--workdir={folder}"]
    result = call_script("compare.py", *arguments, f"--output={folder / 'page.html'}")
    assert result.returncode == 0, result.stderr
    found = tables.load(folder / name / "evaluation" / "metrics.json")
    own = found["methods"][0]
    assert (own["name"], found["faces"]) == (name, 64)
    return found["config"], {name: score["value"] for name, score in own["scores"].items()}, result.stdout


def test_recipes_are_trained_on_as_many_faces(call_script, tmp_path):
    config, scores, printed = train_and_score(call_script, tmp_path, "paper", "--epochs=2")
    assert config["gan"]["epochs"] == config["encoder"]["epochs"] == 1
    assert scores["images_seen"] == 256
    assert scores["training_time"] > 0
    assert "training time (min)" in printed
    # Again, nothing is trained, and the time is that of before.
    _, again, _ = train_and_score(call_script, tmp_path, "paper", "--epochs=2")
    assert again == scores


def test_recipes_are_trained_for_as_long(call_script, tmp_path):
    config, scores, printed = train_and_score(call_script, tmp_path, "cyclegan", "--minutes=0.005")
    rate, epochs = re.search(r"cyclegan: (\d+) images/s in phase joint, so ([\d.]+) epochs", printed).groups()
    assert config["joint"]["epochs"] == pytest.approx(float(epochs), abs=0.01)
    # As many faces as pass in 0.3 s at that rate, in steps of 32.
    assert scores["images_seen"] == pytest.approx(0.3 * float(rate), abs=17)


def test_rows_are_trained_beside_each_other_and_scored_elsewhere(call_script, tmp_path):
    row = "cyclegan+joint.learning_rate=0.01"
    (tmp_path / "paper").write_text("where its folder should be")  # its failure does not stop the other
    arguments = [f"--set={TINY_FIELDS}", "--faces=64", "--epochs=2", "--jobs=2", f"--workdir={tmp_path}"]
    result = call_script("compare.py", f"--train=paper,{row}", "--noscore", *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("error: paper: ")
    assert len(result.stderr.strip().splitlines()) == 1
    assert f"{row}: began, see {tmp_path / row}.log" in result.stdout
    file = tmp_path / f"{row}.npz"
    assert f"wrote {file}" in (tmp_path / f"{row}.log").read_text()
    assert config_lib.of(loading.load(file).card).joint.learning_rate == 0.01
    assert not (tmp_path / row / "evaluation").exists()
    result = call_script("evaluate.py", f"--model={file}", "--faces=64", f"--workdir={tmp_path / 'elsewhere'}")
    assert result.returncode == 0, result.stderr
    found = tables.load(tmp_path / "elsewhere" / "evaluation" / "metrics.json")
    own = found["methods"][0]
    assert (own["name"], own["scores"]["images_seen"]["value"], found["faces"]) == (row, 256, 64)
    assert own["scores"]["training_time"]["value"] > 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("absent.npz", "a model's .npz, found none"),
        ("fer2012", "fer2013 or fer2013-flow, the folder of a finished run"),
    ],
)
def test_a_model_that_is_not_there_ends_in_one_line(call_script, tmp_path, name, expected):
    result = call_script("evaluate.py", f"--model={name}", f"--workdir={tmp_path}", cwd=tmp_path)
    assert result.returncode == 2
    assert f"{name}: expected {expected}" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--train=paper", "--epochs=0"], "flag --epochs=0: 0.0 is not number >= 1e-06"),
        (
            ["--train=paper", "--set=gan.speed=2"],
            "gan.speed: expected a field of the configuration, found none of this name; ",
        ),
        (["--train=paper", "--set=gan.batch_size"], "--set: expected FIELD=VALUE, found 'gan.batch_size'"),
        (["--train=cubist"], "--config: expected a preset out of"),
        (["--train=quick", "--split=public"], "public"),
        (["--train=paper", "runs/quick"], "--train: cannot be combined with folders, found runs/quick"),
        (["--train=paper+seed"], "paper+seed: expected PRESET or PRESET+FIELD=VALUE"),
        (["--train=paper+gan.speed=2"], "gan.speed: expected a field of the configuration, found none of this"),
        (["--train=paper+data.dir=a/b"], "paper+data.dir=a/b: expected PRESET or PRESET+FIELD=VALUE, without a slash"),
        (["--train=quick", "--jobs=2", "--minutes=1"], "--jobs: expected 1 with --minutes"),
        (["--train=quick", "--guidance=absent"], "absent: expected a run's folder, found no config.json in it"),
    ],
)
def test_wrong_budgets_end_in_one_line_and_status_two(call_script, arguments, expected):
    result = call_script("compare.py", *arguments)
    assert result.returncode == 2
    assert expected in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr


def test_faces_are_written_for_another_program_and_its_pictures_are_scored(call_script, tmp_path):
    # Drawn faces come in any number; those of FER2013 are read in the same way.
    faces = toyfaces.load("valid", 0, 300)
    np.save(tmp_path / "images.npy", faces.images[:20])
    np.save(tmp_path / "labels.npy", (faces.labels[:20] + 1) % 7)
    np.save(tmp_path / "sources.npy", np.arange(20))
    result = call_script(
        "evaluate.py",
        "--dataset=toyfaces",
        f"--images={tmp_path / 'images.npy'}",
        f"--labels={tmp_path / 'labels.npy'}",
        f"--sources={tmp_path / 'sources.npy'}",
        "--data_count=300",
        f"--workdir={tmp_path / 'peer'}",
    )
    assert result.returncode == 0, result.stderr
    (own, *_) = tables.load(tmp_path / "peer" / "evaluation" / "metrics.json")["methods"]
    assert own["kind"] == "pictures"
    assert own["scores"]["identity_rank1"]["value"] == 1  # they are the sources themselves
    result = call_script(
        "evaluate.py", "--dataset=toyfaces", "--data_count=300", f"--write_faces={tmp_path / 'out'}", "--split=valid"
    )
    assert result.returncode == 0, result.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "images.npy"), faces.images)
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "labels.npy"), faces.labels)


def test_references_are_scored_alone(call_script, tmp_path):
    result = call_script(
        "evaluate.py", "--references", "--dataset=toyfaces", "--data_count=300", f"--workdir={tmp_path}"
    )
    assert result.returncode == 0, result.stderr
    names = [one["name"] for one in tables.load(tmp_path / "evaluation" / "metrics.json")["methods"]]
    assert names == ["real faces", "blurred", "shuffled", "unchanged", "mean face", "noise"]


WRONG = {
    "no run": (["--workdir=nowhere"], "nowhere: expected fer2013 or fer2013-flow, the folder of a finished run"),
    "unknown split": (["--split=training"], "training"),
    "no judge": (["--workdir={run}", "--judge=absent.npz"], "absent.npz: expected a judge's .npz, found none"),
    "a judge of FER2013 alone": (["--workdir={run}", "--judge=hog"], "--judge=hog: expected fer2013, whose faces"),
    "no such split": (["--workdir={run}", "--split=private"], "private"),
    "a run in the way": (["--references", "--workdir={run}"], "expected a folder without a run"),
    "no labels": (["--workdir=new", "--images=a.npy", "--dataset=toyfaces"], "--images: expected --labels=FILE.npy"),
    "no array": (
        ["--images={run}/config.json", "--labels={run}/config.json", "--dataset=toyfaces", "--workdir=new"],
        "config.json: expected an array that numpy.save wrote, found ",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_ends_in_one_line_and_status_two(call_script, case, scored):
    arguments, expected = WRONG[case]
    result = call_script("evaluate.py", *(argument.format(run=scored[0]) for argument in arguments))
    assert result.returncode == 2
    assert expected in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr


@pytest.fixture(scope="module")
def few_faces(tmp_path_factory):
    """A folder with a fer2013.csv of drawn faces."""
    folder = tmp_path_factory.mktemp("few")
    faces = toyfaces.load("train", 0, 120)
    usage = ["Training"] * 100 + ["PublicTest"] * 20
    rows = [f"{faces.labels[i]},{' '.join(map(str, face.flat))},{usage[i]}" for i, face in enumerate(faces.images)]
    (folder / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]))
    return folder


def test_the_model_that_ships_is_scored_on_the_faces_that_it_was_kept_from(call_script, few_faces, tmp_path):
    result = call_script("evaluate.py", "--model=fer2013", f"--data_dir={few_faces}", f"--workdir={tmp_path / 'new'}")
    assert result.returncode == 2
    assert "fer2013: expected a model of these " in result.stderr
    assert "found a model trained on 25841 other faces" in result.stderr
    assert not (tmp_path / "new").exists()


def test_a_validation_file_is_a_split_that_can_be_scored(call_script, few_faces, tmp_path):
    header, *rows = (few_faces / "fer2013.csv").read_text().splitlines()
    rows = [row.rpartition(",")[0] for row in rows]
    for name, part in (("train", rows[:100]), ("val", rows[100:])):
        (tmp_path / f"{name}.csv").write_text("\n".join([header.removesuffix(",Usage"), *part]))
    arguments = ["--references", "--split=validation", f"--data_dir={tmp_path}", f"--workdir={tmp_path / 'new'}"]
    result = call_script("evaluate.py", *arguments)
    assert result.returncode == 0, result.stderr
    found = tables.load(tmp_path / "new" / "evaluation" / "metrics.json")
    assert (found["split"], found["faces"]) == ("validation", 20)


def test_audit_of_fer2013_searches_what_is_held_out_in_what_is_trained_on(call_script, few_faces):
    result = call_script("audit.py", f"--data_dir={few_faces}")
    assert result.returncode == 0, result.stderr
    for pair in ("valid in train", "public in train", "public in valid"):
        assert pair in result.stdout
    result = call_script("audit.py", f"--data_dir={few_faces}", "--splits=training,public")
    assert "public in training" in result.stdout


def test_the_judge_that_is_no_network_is_fitted_and_written(call_script, few_faces, tmp_path):
    result = call_script("export_judge.py", "--hog", f"--data_dir={few_faces}", f"--output={tmp_path / 'hog.npz'}")
    assert result.returncode == 0, result.stderr
    card = json.loads((tmp_path / "hog.json").read_text())
    found = hog_judge.from_file(tmp_path / "hog.npz")
    assert (found.checksum, found.card["scored"]) == (card["checksum"], card["scored"])
    assert card["faces"] + card["scored"]["valid"]["faces"] == 100


def test_audit_counts_what_stands_twice(call_script, tmp_path):
    result = call_script(
        "audit.py",
        "--dataset=toyfaces",
        "--data_count=100",
        "--splits=train,valid",
        f"--output={tmp_path / 'audit.json'}",
    )
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "audit.json").read_text())
    assert found["within"]["train"]["faces"] == 100
    assert found["between"]["valid in train"]["equal"] == 0
    result = call_script("audit.py", "--dataset=toyfaces", "--data_count=100", "--splits=train,train")
    assert result.returncode == 2
    assert (
        "--splits: expected different faces in each, found the same faces under two names: train, train"
        in result.stderr
    )


def test_a_comparison_shows_a_few_faces(call_script, scored, tmp_path):
    np.save(tmp_path / "faces.npy", np.zeros((21, 48, 48), np.uint8))
    result = call_script("compare.py", scored[0], scored[0], f"--show={tmp_path / 'faces.npy'}")
    assert result.returncode == 2
    assert "--show: expected 1 to 20 faces, found 21" in result.stderr


def test_comparison_needs_two_runs(call_script, scored):
    result = call_script("compare.py", scored[0])
    assert result.returncode == 2
    assert "expected the folders of two or more scored runs, found 1" in result.stderr
