"""Perfect, contrary and constant methods before every evaluator: the scores that they must have."""

import json
import pathlib

import jax
import numpy as np
import pytest

from emogan import config as config_lib
from emogan.data import dataset, fer2013
from emogan.data.fer2013 import validation_split
from emogan.evaluation import (
    edit_accuracy,
    identity,
    latents,
    methods,
    reconstructions,
    samples,
    scoring,
    tables,
    toy,
    usefulness,
)
from emogan.evaluation import judge as judge_lib
from emogan.evaluation import real_faces as faces_lib

KEY = jax.random.key(0)
ARCHIVE = pathlib.Path(__file__).parents[2] / "../shared/data/fer2013/fer2013-train-public.tar.xz"


@pytest.fixture(scope="module")
def result(entered, toy):
    return json.loads(json.dumps(scoring.score("toy", list(entered.values()), evaluators(), toy, KEY)))


def evaluators():
    return [
        edit_accuracy.Transfers(),
        reconstructions.Reconstructions(),
        samples.Samples(),
        toy.Toy(0),
        latents.Latents(),
    ]


def value(result, name, metric):
    (found,) = [one for one in result["methods"] if one["name"] == name]
    return found["scores"][metric]["value"]


def test_perfect_model_is_recognised_keeps_the_person_and_meets_the_drawing(result):
    assert value(result, "perfect", "edit_accuracy") > 0.85
    assert value(result, "perfect", "identity_rank1") > 0.75
    assert value(result, "perfect", "toy_psnr") == np.inf
    assert value(result, "perfect", "toy_identity") == value(result, "perfect", "toy_expression") == 0
    assert value(result, "perfect", "reconstruction_l1") < 10  # a true drawing has no noise, and the face has
    assert value(result, "perfect", "sample_accuracy") > 0.85


def test_wrong_emotion_on_the_right_person_costs_accuracy_and_not_identity(result):
    assert value(result, "contrary", "edit_accuracy") < 0.1
    assert value(result, "contrary", "sample_accuracy") < 0.1
    assert value(result, "contrary", "toy_expression") == 1
    assert value(result, "contrary", "identity_rank1") > 0.75
    assert value(result, "contrary", "toy_identity") < 0.5


def test_right_emotion_on_another_person_costs_identity_and_not_accuracy(result):
    assert value(result, "stranger", "edit_accuracy") > 0.85
    assert value(result, "stranger", "identity_rank1") < 0.02
    assert value(result, "stranger", "toy_identity") == 1
    assert value(result, "stranger", "identity_own") < value(result, "perfect", "identity_own") - 0.1


def test_unchanged_input_is_the_person_and_nothing_else(result):
    assert value(result, "unchanged", "identity_rank1") == 1
    assert value(result, "unchanged", "identity_own") == pytest.approx(1, abs=1e-6)
    assert value(result, "unchanged", "edit_accuracy") < 0.05  # the judge names the own emotion, never asked for here
    assert value(result, "unchanged", "reconstruction_psnr") == np.inf
    assert value(result, "unchanged", "reconstruction_accuracy") == pytest.approx(result["judge"]["accuracy"])


def test_noise_is_chance(result):
    assert value(result, "noise", "edit_accuracy") == pytest.approx(1 / 7, abs=0.03)
    assert value(result, "noise", "identity_rank1") < 0.03
    assert value(result, "noise", "recall") < 0.02
    assert value(result, "noise", "coverage") < 0.02


def test_samples_are_ordered_as_they_must_be(result):
    distances = [value(result, name, "frechet") for name in ("real faces", "mean face", "noise")]
    assert distances == sorted(distances)
    # The floor: the unbiased kernel distance of real faces to real faces is 0 but for chance.
    assert abs(value(result, "real faces", "kernel")) < 0.02 * value(result, "mean face", "kernel")
    assert value(result, "contrary", "kernel_happy") > 10 * abs(value(result, "perfect", "kernel_happy"))


def test_what_a_method_has_not_is_missing_and_shown_as_such(result):
    (unchanged,) = [one for one in result["methods"] if one["name"] == "unchanged"]
    assert "frechet" not in unchanged["scores"]
    assert "latent_error" not in unchanged["scores"]
    assert "n/a" in tables.to_text(result)


def test_edit_accuracy_is_the_mean_diagonal_of_the_confusion(result):
    for name in ("perfect", "contrary", "stranger"):
        confusion = tables.confusion(np.array(result["verdicts"][name]))
        assert np.diag(confusion).mean() == pytest.approx(value(result, name, "edit_accuracy"))
    assert set(result["verdicts"]) == {"perfect", "contrary", "stranger"}
    assert np.array(result["verdicts"]["perfect"]).sum() == 7 * result["faces"]


def test_ratios_are_in_units_of_the_judge_on_real_faces(result):
    for name in ("perfect", "contrary"):
        by_target = np.diag(tables.confusion(np.array(result["verdicts"][name])))
        real = result["judge"]["balanced_accuracy"]
        assert value(result, name, "edit_accuracy_ratio") == pytest.approx(by_target.mean() / real)
        assert value(result, name, "edit_weakest_ratio") == pytest.approx(by_target.min() / real)


@pytest.mark.parametrize(("targets", "named"), [(range(7), True), (range(3, 4), False), (range(6), False)])
def test_edit_accuracy_is_only_over_all_targets_asked_of_other_faces(toy, targets, named):
    target, source = (places.ravel() for places in np.meshgrid(targets, np.arange(len(toy.held_out)), indexing="ij"))
    if len(targets) == 6:  # the seventh is asked of those alone who wear it
        own = np.flatnonzero(toy.held_out.labels == 6)
        target, source = np.append(target, np.full(len(own), 6)), np.append(source, own)
    easy = methods.of_edits("easy", toy.held_out.images[source], target, source, toy)
    found = edit_accuracy.Transfers().run(easy, toy, KEY)
    means = {"edit_accuracy", "edit_confidence", "edit_accuracy_ratio", "edit_weakest_ratio"}
    assert means & set(found) == (means if named else set())
    assert found["identity_rank1"].value == 1


def test_a_person_is_found_more_often_among_few(result):
    for name in ("perfect", "contrary"):
        assert value(result, name, "identity_rank1") < value(result, name, "identity_rank1_small") < 1
    assert value(result, "unchanged", "identity_rank1_small") == 1
    assert value(result, "noise", "identity_rank1_small") == pytest.approx(1 / 64, abs=0.03)


def test_errors_shrink_with_the_faces(entered, toy, train_data, toy_judge):
    few = faces_lib.Faces(first(toy.held_out, 40), train_data, toy_judge, toy.descriptor)
    model = methods.of_model("perfect", "", entered["perfect"].model, few)
    small = edit_accuracy.Transfers().run(model, few, KEY)
    large = edit_accuracy.Transfers().run(entered["perfect"], toy, KEY)
    ratio = small["identity_own"].error / large["identity_own"].error
    assert 1.5 < ratio < 3.5  # sqrt(210 / 40) = 2.3


def test_judge_of_other_names_is_refused_and_of_another_naming_is_not(toy, train_data, toy_judge):
    def scored_by(names):
        other = judge_lib.Judge(toy_judge.width, names, toy_judge.variables, {})
        return faces_lib.Faces(toy.held_out, train_data, other, toy.descriptor)

    angry, *rest = toy_judge.class_names
    assert scored_by(("Anger", *rest)).judge.class_names[0] == "Anger"
    for names in ((*rest, angry), ("calm", *rest), tuple(rest)):
        with pytest.raises(ValueError, match=r"^expected a judge of angry, .* found one of ") as caught:
            scored_by(names)
        assert "\n" not in str(caught.value)


def test_judge_does_not_depend_on_the_batch(toy, toy_judge, monkeypatch):
    whole = toy_judge.look(toy.held_out.images)
    alone = toy_judge.look(toy.held_out.images[17:18])
    np.testing.assert_allclose(alone.features[0], whole.features[17], rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(judge_lib, "BATCH", 50)
    again = toy_judge.look(toy.held_out.images)
    np.testing.assert_allclose(again.features, whole.features, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(again.verdicts, whole.verdicts)


def test_edits_of_another_program_score_as_the_model_that_made_them(entered, toy):
    made = entered["stranger"].edits
    order = np.random.default_rng(0).permutation(len(made.source))
    given = methods.of_edits(
        "given", made.pictures[order], made.target[order], made.source[order].astype(np.int32), toy
    )
    for evaluator in (edit_accuracy.Transfers(), reconstructions.Reconstructions()):
        ours, theirs = evaluator.run(entered["stranger"], toy, KEY), evaluator.run(given, toy, KEY)
        for name in ours:
            assert theirs[name].value == pytest.approx(ours[name].value, rel=1e-6), name
    assert samples.Samples().run(given, toy, KEY) == {}


def test_samples_of_another_program_are_taken_by_label(toy, train_data):
    given = methods.of_samples("given", train_data.images, train_data.labels, toy)
    found = samples.Samples().run(given, toy, KEY)
    assert found["sample_accuracy"].value > 0.85
    assert found["frechet"].error is None
    with pytest.raises(ValueError, match=r"at least as many samples of each label as held-out faces: .* happy"):
        methods.of_samples("given", train_data.images[:30], train_data.labels[:30], toy)


def test_pictures_that_are_not_as_they_must_be_are_refused(toy, train_data):
    images, labels = train_data.images[:5], train_data.labels[:5]
    with pytest.raises(ValueError, match=r"--images uint8 \[N, 48, 48\].*float32"):
        methods.of_samples("given", images.astype(np.float32), labels, toy)
    with pytest.raises(ValueError, match=r"labels in 0..6, found 9..9"):
        methods.of_samples("given", images, np.full(5, 9), toy)
    with pytest.raises(ValueError, match=r"--sources: expected integers \[5\], found int64 \[4\]"):
        methods.of_edits("given", images, labels, np.arange(4), toy)
    with pytest.raises(ValueError, match=r"places among the 210 held-out faces, found 0..500"):
        methods.of_edits("given", images, labels, np.array([0, 1, 2, 3, 500]), toy)


def test_leaked_faces_are_found_and_left_out_of_the_clean_scores(toy, toy_judge, train_data, entered):
    leaky = dataset.Dataset(
        np.concatenate([train_data.images, toy.held_out.images[:60]]),
        np.concatenate([train_data.labels, toy.held_out.labels[:60]]),
        name="toyfaces",
    )
    faces = faces_lib.Faces(toy.held_out, leaky, toy_judge, toy.descriptor)
    assert faces.leaked[:60].all()
    assert not faces.leaked[60:].all()
    model = methods.of_model("perfect", "", entered["perfect"].model, faces)
    scores = edit_accuracy.Transfers().run(model, faces, KEY) | samples.Samples().run(model, faces, KEY)
    kept = ~faces.leaked
    edits = model.edits
    other = (edits.target != faces.held_out.labels[edits.source]) & kept[edits.source]
    hits = identity.rank1(model.edit_descriptors[other], edits.source[other], faces.gallery)
    assert scores["identity_rank1_clean"].value == pytest.approx(hits.mean())
    assert {"edit_accuracy_clean", "frechet_clean", "kernel_clean"} <= set(scores)


def test_what_is_known_of_real_faces_is_remembered(toy, train_data, toy_judge, tmp_path, monkeypatch):
    def known():
        faces = faces_lib.Faces(first(toy.held_out, 20), train_data, toy_judge, toy.descriptor, tmp_path)
        return faces.opinion.features, faces.leaked

    once = known()
    monkeypatch.setattr(type(toy_judge), "look", lambda *_: pytest.fail("looked again"))
    for a, b in zip(once, known(), strict=True):
        np.testing.assert_array_equal(a, b)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(pytest.fail.Exception, match=r"looked again"):
        known()


def assert_in_order(found):
    """Real faces, blurred ones, real faces under other labels, and noise, each where it must be."""
    for metric in ("frechet", "kernel"):
        floor, blurred, noise = (found[name][metric].value for name in ("real faces", "blurred", "noise"))
        assert floor < 0.5 * blurred < 0.5 * noise, metric
        assert found["shuffled"][metric].value < 0.5 * blurred, metric  # all of them real, whatever their labels
    accuracy = {name: scores["sample_accuracy"].value for name, scores in found.items() if scores}
    assert accuracy["real faces"] > accuracy["blurred"] > accuracy["shuffled"] + 0.02
    assert abs(accuracy["shuffled"] - 1 / 7) < 0.05
    assert abs(accuracy["noise"] - 1 / 7) < 0.05
    assert found["shuffled"]["kernel_happy"].value > 10 * abs(found["real faces"]["kernel_happy"].value)


def test_degraded_faces_are_in_order(toy):
    everyone = [*methods.references(toy), *methods.degraded(toy)]
    assert_in_order({one.name: samples.Samples().run(one, toy, KEY) for one in everyone})


@pytest.mark.slow
@pytest.mark.skipif(not ARCHIVE.exists(), reason="the real FER2013 is not beside the repository")
def test_degraded_faces_of_fer2013_are_in_order(tmp_path):
    training = fer2013.load("train", ARCHIVE, cache_dir=tmp_path)
    train, valid = validation_split.cut(training)
    faces = faces_lib.Faces(first(valid, 700), train, judge_lib.packaged("fer2013"), identity.hog())
    everyone = [*methods.references(faces), *methods.degraded(faces)]
    assert_in_order({one.name: samples.Samples().run(one, faces, KEY) for one in everyone})


@pytest.mark.slow
def test_a_classifier_learns_from_pictures_that_tell_their_label_and_from_no_others():
    random = np.random.default_rng(0)
    labels = (np.arange(280) % 7).astype(np.int32)
    telling = random.integers(0, 60, (280, 48, 48), dtype=np.uint8)
    telling += (30 * labels[:, None, None]).astype(np.uint8)  # the brightness is the label
    settings = config_lib.ClassifierConfig(width=2, epochs=12, batch_size=28, learning_rate=0.05, ema_decay=0.9)
    found = usefulness.learn(dataset.Dataset(telling, labels), telling, settings, KEY)
    assert (found == labels).mean() > 0.5
    mute = random.integers(0, 60, (280, 48, 48), dtype=np.uint8)
    found = usefulness.learn(dataset.Dataset(mute, labels), telling, settings, KEY)
    assert (found == labels).mean() < 0.35


def first(data, count):
    return dataset.Dataset(data.images[:count], data.labels[:count], data.name, data.split)
