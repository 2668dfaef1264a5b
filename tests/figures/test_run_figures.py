import json
import shutil

import numpy as np
import pytest

from emogan import config as config_lib
from emogan import data
from emogan.data import dataset
from emogan.figures import curves, graphs, run_figures
from emogan.train import plans, writers
from emogan.util import images

_ALWAYS = {"fig2_dcgan.txt", "fig2_dcgan.png", "fig4_encoder.txt", "fig4_encoder.png", "losses.png", "fig5_samples.png"}
_WITH_ENCODER = {"fig6_happy.png", "fig7_emotions.png", "fig7_generated.png", "transfer_truth.png"}


@pytest.fixture(scope="module")
def drawn(trained_workdir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("figures") / "run"
    shutil.copytree(trained_workdir, workdir)
    for path in (workdir / "figures").glob("*.*"):
        path.unlink()
    return {path.name: path for path in run_figures.draw(workdir)}


def test_a_finished_run_has_every_figure_and_nothing_half_written(drawn):
    assert set(drawn) == _ALWAYS | _WITH_ENCODER
    (folder,) = {path.parent for path in drawn.values()}
    assert {path.name for path in folder.glob("*.*")} == set(drawn)


def test_figures_are_no_blank_pictures_and_large_enough_to_read(drawn):
    for path in drawn.values():
        if path.suffix == ".png":
            picture = images.load_png(path)
            assert min(picture.shape) > 300, path
            assert max(picture.shape) < 4000, path
            assert picture.std() > 10, path


def test_run_without_an_encoder_has_the_other_figures(trained_workdir, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(trained_workdir, workdir, ignore=shutil.ignore_patterns("tensorboard", "encoder", "model.npz"))
    for path in (workdir / "figures").glob("*.*"):
        path.unlink()
    assert {path.name for path in run_figures.draw(workdir)} == _ALWAYS
    assert {path.name for path in (workdir / "figures").glob("*.*")} == _ALWAYS


def test_a_run_without_a_checkpoint_has_no_figures(tmp_path):
    config = config_lib.Config()
    config.encoder.batch_size = 32  # more than there are examples
    config_lib.save(config, tmp_path / "config.json")
    about = {"name": "toyfaces", "split": "train", "fingerprint": "", "class_names": ["happy", "sad"], "examples": 20}
    (tmp_path / "data.json").write_text(json.dumps(about))
    (tmp_path / "figures" / "samples").mkdir(parents=True)
    images.save_png(tmp_path / "figures" / "samples" / "gan_00000000.png", np.zeros((96, 96), np.uint8))
    assert run_figures.draw(tmp_path) == []


def test_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected a run's folder, found no config\.json"):
        run_figures.draw(tmp_path)


@pytest.mark.parametrize(
    ("had", "steps_per_epoch", "chosen"),
    [
        (range(0, 501), 10, [0, 60, 120, 180, 240, 390]),  # the paper's own length
        (range(0, 501, 50), 10, [0, 50, 100, 200, 250, 400]),  # the nearest to it
        (range(0, 301, 10), 10, [0, 60, 120, 180, 240, 300]),
        (range(0, 11), 5, [0, 2, 4, 6, 8, 10]),  # two epochs: evenly spread
        ([0, 8], 8, [0, 8]),
        ([0], 8, [0]),
        ([30, 20, 10, 0], 10, [0, 10, 20, 30]),
    ],
)
def test_samples_nearest_to_the_papers_epochs_are_chosen(had, steps_per_epoch, chosen):
    assert run_figures.choose_samples(list(had), steps_per_epoch) == chosen


def test_faces_are_chosen_evenly_over_the_classes():
    labels = np.array([3, 3, 3, 3, 0, 6, 0])
    np.testing.assert_array_equal(run_figures.choose_faces(labels, 5), [4, 6, 0, 1, 5])
    np.testing.assert_array_equal(run_figures.choose_faces(labels, 3), [4, 0, 5])
    assert len(run_figures.choose_faces(labels, 100)) == 7


def test_own_label_is_framed_and_its_face_stays_within():
    faces = np.full((2, 48, 48), 100, np.uint8)
    edits = np.full((3, 2, 48, 48), 100, np.uint8)
    plain = run_figures.emotions_picture(faces, np.array([0, 0]), edits, ("a", "b", "c"), "faces")
    other = run_figures.emotions_picture(faces, np.array([0, 1]), edits, ("a", "a", "c"), "faces")
    assert plain.shape == other.shape
    assert (plain == 100).sum() == (other == 100).sum() < 8 * (3 * 48) ** 2
    assert (edits == 100).all()


def test_curves_show_what_was_recorded(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rows = [
        {"phase": "gan", "step": i + 1, "discriminator_loss": 1.0, "generator_loss": float(i), "real_logit": 0.5,
         "fake_logit": -0.5, "logit_spread": 0.1, "collapsed_for": 0}
        for i in range(10)
    ]  # fmt: skip
    rows += [{"phase": "encoder", "sampled_at": 0, "sample_psnr": 10.0, "edit_spread": 0.1, "sample_edge": 0.0}]
    rows += [{"phase": "encoder", "step": i + 1, "loss": 9.0, "psnr": 12.0, "edge": 0.0} for i in range(4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"phase": "encoder", "st')
    figure = curves.draw(path, {"gan": 5, "encoder": 2})
    axes = [axes for part in figure.subfigs for axes in part.axes]
    assert len(axes) == 6
    losses = {line.get_label(): line for line in axes[0].get_lines()}
    np.testing.assert_array_equal(losses["G"].get_xdata(), np.arange(1, 11))
    np.testing.assert_array_equal(losses["G"].get_ydata(), np.arange(10))
    sampled = {line.get_label(): line for line in axes[4].get_lines()}
    np.testing.assert_array_equal(sampled["the 16 sampled faces"].get_ydata(), [10.0])


def test_curves_of_nothing_are_none(tmp_path):
    assert curves.draw(tmp_path / "metrics.jsonl", {"gan": 5, "encoder": 5}) is None


def test_curves_name_only_metrics_that_the_phases_record(trained_workdir):
    # Of the others: tests/evaluation/test_judge.py, tests/recipes/test_joint.py, tests/recipes/test_flow.py.
    for phase in ("gan", "encoder"):
        for panel in config_lib.RECIPES[phase].curves:
            for line in panel.lines:
                field = "sampled_at" if line.sampled else "step"
                assert line.metric in writers.read_metrics(trained_workdir / "metrics.jsonl", phase, field)


def test_smoothing_is_the_mean_of_the_neighbours():
    np.testing.assert_allclose(curves.smooth(np.array([3.0, 0.0, 3.0, 6.0]), 3), [1.5, 2.0, 3.0, 4.5])
    np.testing.assert_array_equal(curves.smooth(np.array([1.0, 5.0]), 0), [1.0, 5.0])


def test_layer_tables_add_up_to_the_papers_parameter_counts():
    networks = graphs.networks(config_lib.ModelConfig(), 7, dataset.FER2013)
    assert {name: graph.parameters for name, graph in networks.items()} == {
        "generator": 4_889_200,
        "discriminator": 4_477_768,
        "encoder": 4_766_052,
    }
    assert [layer.outputs for layer in networks["generator"].layers if "conv" in layer.kind] == [
        (6, 6, 256),
        (12, 12, 128),
        (24, 24, 64),
        (48, 48, 1),
    ]
    assert "4,889,200" in graphs.to_text([networks["generator"]])


@pytest.mark.parametrize("changed", [{"encoder_labels": True}, {"batch_norm": False}, {"resampling": "pooled"}])
def test_layer_tables_add_up_for_every_kind_of_network(changed):
    config = config_lib.Config(data=config_lib.DataConfig(count=128))
    config.model = config_lib.ModelConfig(width=4, **changed)
    counts = plans.make(config, data.load(config.data, "train", 0)).parameters
    networks = graphs.networks(config.model, 7, dataset.FER2013)
    assert {name: graph.parameters for name, graph in networks.items()} == counts
