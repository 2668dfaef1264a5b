import numpy as np
import PIL.Image
import pytest
from sklearn import linear_model

from emogan import emotions
from emogan.data import dataset, toyfaces

NUM_EMOTIONS = len(emotions.EMOTIONS)
NEUTRAL = emotions.label("neutral")


def people(n, seed=0):
    return toyfaces.sample_identities(np.random.default_rng(seed), n)


def wearing(identities, emotion, **options):
    labels = np.full(len(identities), emotions.label(emotion))
    return toyfaces.render(identities, toyfaces.prototype_expressions(labels), **options)


def psnr(a, b):
    error = np.mean((a.astype(np.float64) - b) ** 2, axis=(-2, -1))
    return float(np.mean(10 * np.log10(255**2 / error)))


@pytest.fixture(scope="module")
def valid():
    return toyfaces.load("valid", count=400)


@pytest.fixture(scope="module")
def transfers():
    return toyfaces.true_transfers("valid", count=400)


def test_load_returns_gray_faces_that_fill_the_range(valid):
    assert valid.images.shape == (400, 48, 48)
    assert valid.images.dtype == np.uint8
    assert valid.split == "valid"
    assert valid.images.min() < 20
    assert valid.images.max() > 235
    contrast = valid.images.std(axis=(1, 2))
    assert contrast.min() > 8


def test_default_sizes_are_those_of_fer2013():
    assert toyfaces.SPLIT_SIZES == {"train": 28709, "valid": 3589}


def test_same_seed_gives_same_bytes_and_another_seed_does_not(valid):
    assert toyfaces.load("valid", count=400).fingerprint() == valid.fingerprint()
    assert toyfaces.load("valid", seed=1, count=400).fingerprint() != valid.fingerprint()


def test_smaller_size_gives_the_first_faces(valid):
    # 77 is no multiple of the chunk, so the last chunk is drawn in other company.
    fewer = toyfaces.load("valid", count=77)
    np.testing.assert_array_equal(fewer.images, valid.images[:77])
    np.testing.assert_array_equal(fewer.labels, valid.labels[:77])


def test_render_is_a_pure_function():
    identities = people(40)
    expressions = toyfaces.sample_expressions(np.random.default_rng(1), np.arange(40) % NUM_EMOTIONS)
    before = identities.copy(), expressions.copy()
    images = toyfaces.render(identities, expressions)
    np.testing.assert_array_equal(toyfaces.render(identities, expressions), images)
    np.testing.assert_array_equal(identities, before[0])
    np.testing.assert_array_equal(expressions, before[1])


def test_a_face_does_not_depend_on_the_faces_drawn_with_it():
    # Each part is painted within a window that is shared by a chunk; no shape may reach out of its own.
    identities, rng = people(128), np.random.default_rng(1)
    expressions = rng.random((128, len(toyfaces.ACTION_UNITS)), dtype=np.float32)
    alone = [toyfaces.render(identities[i : i + 1], expressions[i : i + 1]) for i in range(128)]
    np.testing.assert_array_equal(toyfaces.render(identities, expressions), np.concatenate(alone))


def test_splits_and_seeds_share_no_identity(valid):
    people = [toyfaces._people(split, seed, 400)[0] for split, seed in (("valid", 0), ("train", 0), ("valid", 1))]
    assert len(np.unique(np.concatenate(people), axis=0)) == 1200
    train = toyfaces.load("train", count=400)
    other = toyfaces.load("valid", seed=1, count=400)
    faces = np.concatenate([valid.images, train.images, other.images]).reshape(1200, -1)
    assert len(np.unique(faces, axis=0)) == 1200


@pytest.mark.parametrize("size", [100, 400])
def test_every_prefix_has_the_class_frequencies_of_fer2013(valid, size):
    counts = np.bincount(valid.labels[:size], minlength=NUM_EMOTIONS)
    expected = np.array([3995, 436, 4097, 7215, 4830, 3171, 4965]) * (size / 28709)
    np.testing.assert_allclose(counts, expected, atol=3)


def test_identities_and_expressions_stay_in_range():
    rng = np.random.default_rng(0)
    identities = toyfaces.sample_identities(rng, 300)
    expressions = toyfaces.sample_expressions(rng, rng.integers(0, NUM_EMOTIONS, 300))
    assert identities.shape == (300, toyfaces.IDENTITY_SIZE) == (300, len(toyfaces.IDENTITY_FIELDS))
    assert expressions.shape == (300, len(toyfaces.ACTION_UNITS))
    for values in (identities, expressions):
        assert values.dtype == np.float32
        assert values.min() >= 0
        assert values.max() <= 1


def test_extreme_traits_and_action_units_can_be_drawn():
    corners = np.repeat([0.0, 1.0], toyfaces.IDENTITY_SIZE).reshape(2, -1)
    for activation in (0.0, 1.0):
        images = toyfaces.render(corners, np.full((2, len(toyfaces.ACTION_UNITS)), activation))
        assert images.std(axis=(1, 2)).min() > 5


def test_sampled_expressions_vary_around_their_prototype():
    labels = np.repeat(np.arange(NUM_EMOTIONS), 2000)
    sampled = toyfaces.sample_expressions(np.random.default_rng(0), labels).reshape(NUM_EMOTIONS, 2000, -1)
    prototypes = toyfaces.prototype_expressions(np.arange(NUM_EMOTIONS))
    # Every unit also stirs a little, hence the mean lies up to 0.22 / 4 above.
    np.testing.assert_allclose(sampled.mean(axis=1), prototypes, atol=0.08)
    assert sampled[NEUTRAL].mean() < 0.1
    assert (sampled.std(axis=1) > 0.05).all()


@pytest.mark.parametrize(
    ("emotion", "active", "silent"),
    [
        ("angry", {"AU4", "AU7", "AU23"}, {"AU1", "AU2", "AU12"}),
        ("disgusted", {"AU9", "AU10"}, {"AU1", "AU12", "AU26"}),
        ("fearful", {"AU1", "AU2", "AU4", "AU5", "AU20", "AU25"}, {"AU9", "AU12"}),
        ("happy", {"AU6", "AU12"}, {"AU1", "AU4", "AU15"}),
        ("sad", {"AU1", "AU4", "AU15"}, {"AU2", "AU12", "AU27"}),
        ("surprised", {"AU1", "AU2", "AU5", "AU26"}, {"AU4", "AU12", "AU15"}),
        ("neutral", set(), set(toyfaces.ACTION_UNITS)),
    ],
)
def test_prototypes_follow_emfacs(emotion, active, silent):
    row = toyfaces.prototype_expressions(np.array([emotions.label(emotion)]), intensity=1.0)[0]
    activation = dict(zip(toyfaces.ACTION_UNITS, row, strict=True))
    assert all(activation[unit] >= 0.45 for unit in active)
    assert all(activation[unit] == 0 for unit in silent)


def test_intensity_scales_the_prototype():
    label = np.array([emotions.label("happy")])
    half, full = (toyfaces.prototype_expressions(label, intensity=value) for value in (0.5, 1.0))
    np.testing.assert_allclose(half, full / 2)


def test_each_emotion_changes_the_same_face(transfers):
    assert transfers.shape == (7, 400, 48, 48)
    assert transfers.dtype == np.uint8
    for a in range(NUM_EMOTIONS):
        for b in range(a):
            change = np.abs(transfers[a].astype(int) - transfers[b]).mean(axis=(1, 2))
            assert change.min() > 2, (emotions.EMOTIONS[a], emotions.EMOTIONS[b])


def test_trivial_transfers_are_far_from_the_true_ones(valid, transfers):
    index = np.arange(len(valid))
    own = transfers[valid.labels, index]
    others = [transfers[(valid.labels + k) % NUM_EMOTIONS, index] for k in range(1, NUM_EMOTIONS)]
    copied = np.mean([psnr(valid.images, other) for other in others])
    means = np.stack([valid.images[valid.labels == y].mean(axis=0) for y in range(NUM_EMOTIONS)])
    averaged = psnr(means[:, None], transfers)
    assert 16 < copied < 20
    assert 12 < averaged < 16
    # A face is nearer to its own emotion's typical form than to any other emotion's.
    assert psnr(valid.images, own) > copied + 4


def test_true_transfers_draw_the_people_of_load(valid, transfers):
    # Nobody else's drawing is nearer to a photograph than the same person's with the same emotion.
    photos = valid.images[:60].reshape(60, -1).astype(np.float64)
    drawings = transfers[:, :60].reshape(7, 60, -1)
    for i, label in enumerate(valid.labels[:60]):
        assert np.argmin(((drawings[label] - photos[i]) ** 2).sum(axis=1)) == i


def test_without_head_movement_the_background_stays():
    identities = people(64)
    # Small bald heads, so that the upper corners are all background.
    for field in ("hair_amount", "scale"):
        identities[:, toyfaces.IDENTITY_FIELDS.index(field)] = 0
    rest = np.zeros((64, len(toyfaces.ACTION_UNITS)), np.float32)
    smile = rest.copy()
    for unit in ("AU6", "AU12", "AU25"):
        smile[:, toyfaces.ACTION_UNITS.index(unit)] = 0.8
    before, after = toyfaces.render(identities, rest), toyfaces.render(identities, smile)
    np.testing.assert_array_equal(before[:, :6, :6], after[:, :6, :6])
    np.testing.assert_array_equal(before[:, :6, -6:], after[:, :6, -6:])
    assert np.abs(before[:, 24:44, 10:38].astype(int) - after[:, 24:44, 10:38]).mean(axis=(1, 2)).min() > 1


@pytest.mark.parametrize(("unit", "against", "axis"), [("AU51", "AU52", 2), ("AU54", "AU53", 1), ("AU55", "AU56", 2)])
def test_head_movements_go_their_way(unit, against, axis):
    # A dark face on a white wall: its centre of mass tells where the head went.
    identities = np.full((1, toyfaces.IDENTITY_SIZE), 0.5)
    for field, value in {"skin": 0, "background": 1, "clothes": 1, "hair_amount": 0}.items():
        identities[:, toyfaces.IDENTITY_FIELDS.index(field)] = value

    def centre(name):
        expression = np.zeros((1, len(toyfaces.ACTION_UNITS)))
        expression[:, toyfaces.ACTION_UNITS.index(name)] = 1
        ink = 255.0 - toyfaces.render(identities, expression, noise=False)
        profile = ink.sum(axis=3 - axis)[0]
        return profile @ np.arange(48) / profile.sum()

    assert centre(unit) > centre(against) + 0.5


def test_noise_is_small_and_the_same_under_every_emotion():
    identities = people(200)
    identities[:, toyfaces.IDENTITY_FIELDS.index("exposure")] = 0.0
    noise = {
        emotion: wearing(identities, emotion).astype(int) - wearing(identities, emotion, noise=False)
        for emotion in ("sad", "happy")
    }
    deviation = noise["sad"].std(axis=(1, 2))
    assert deviation.min() > 0.5
    assert 2 < deviation.mean() < 3.5
    # Equal up to the rounding of two drawings to whole gray levels.
    assert np.abs(noise["sad"] - noise["happy"])[:, 20:28, 20:28].mean() < 0.6


def test_linear_classifier_sees_something_but_does_not_solve_it():
    def features(data):
        return data.images.reshape(-1, 24, 2, 24, 2).mean(axis=(2, 4)).reshape(len(data), -1) / 255

    train, held_out = toyfaces.load("train", count=5000), toyfaces.load("valid", count=1500)
    # Ridge regression has a closed form; logistic regression on the same pixels takes a minute to be 0.02 better.
    classifier = linear_model.RidgeClassifier(alpha=3.0).fit(features(train), train.labels)
    accuracy = classifier.score(features(held_out), held_out.labels)
    chance = np.bincount(held_out.labels).max() / len(held_out)
    assert 0.24 < chance < 0.26
    assert 0.40 < accuracy < 0.70


@pytest.mark.parametrize("size", dataset.SIZES)
def test_a_person_is_the_same_in_every_size_and_in_colour(valid, size):
    gray = toyfaces.load("valid", count=40, spec=dataset.ImageSpec(size))
    colour = toyfaces.load("valid", count=40, spec=dataset.ImageSpec(size, 3))
    assert (gray.spec, colour.spec) == (dataset.ImageSpec(size, 1), dataset.ImageSpec(size, 3))
    np.testing.assert_array_equal(gray.labels, valid.labels[:40])
    luminance = colour.images @ np.array([0.299, 0.587, 0.114])
    assert np.abs(luminance - gray.images).mean() < 4
    assert colour.images.std(axis=3).mean() > 8  # it is one in colour
    # Each is nearest to the same person's face of the usual size.
    small = [np.asarray(PIL.Image.fromarray(face).resize((24, 24), PIL.Image.Resampling.BOX)) for face in gray.images]
    usual = valid.images[:40].reshape(40, 24, 2, 24, 2).mean(axis=(2, 4))
    apart = np.square(np.stack(small)[:, None].astype(float) - usual[None]).mean(axis=(2, 3))
    np.testing.assert_array_equal(apart.argmin(axis=1), np.arange(40))


def test_faces_of_the_usual_kind_are_drawn_as_before_there_were_others():
    images = toyfaces.load("train", 3, 300).images
    blocks = images[::75].reshape(4, 4, 12, 4, 12).mean(axis=(2, 4))
    expected = [
        [[153, 69, 92, 196], [82, 66, 70, 128], [83, 70, 77, 108], [112, 60, 57, 131]],
        [[11, 59, 62, 54], [43, 131, 117, 70], [44, 146, 125, 83], [12, 102, 105, 60]],
        [[1, 81, 149, 74], [6, 120, 166, 109], [6, 73, 143, 91], [14, 53, 84, 76]],
        [[134, 94, 90, 140], [98, 94, 95, 103], [86, 103, 105, 91], [76, 100, 100, 78]],
    ]
    np.testing.assert_allclose(blocks, expected, atol=0.51)
    # NumPy rounds a few gray levels otherwise with AVX-512 than without.
    assert abs(int(images.sum(dtype=np.int64)) - 76_159_889) <= 20


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: toyfaces.load("test"), "expected a split out of train, valid, found 'test'"),
        (lambda: toyfaces.load("train", count=0), "expected a count of at least 1, found 0"),
        (lambda: toyfaces.prototype_expressions(np.array([7])), "expected labels in 0..6, found 7..7"),
        (lambda: toyfaces.prototype_expressions(np.array([0.5])), "expected labels int"),
        (lambda: toyfaces.prototype_expressions(np.array([1]), intensity=1.5), "expected an intensity"),
        (lambda: toyfaces.render(people(2)[:, 1:], np.zeros((2, len(toyfaces.ACTION_UNITS)))), "expected identities"),
        (lambda: toyfaces.render(people(2), np.zeros((2, 3))), "expected expressions"),
        (lambda: toyfaces.render(people(2), np.full((2, len(toyfaces.ACTION_UNITS)), 2.0)), "expected activations"),
        (lambda: toyfaces.render(people(2) + 1, np.zeros((2, len(toyfaces.ACTION_UNITS)))), r"in \[0, 1\]"),
        (lambda: toyfaces.render(people(2), np.zeros((3, len(toyfaces.ACTION_UNITS)))), "as many expressions"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_faces_are_drawn_once_and_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr(toyfaces, "_WORTH_REMEMBERING", 10)
    drawn = toyfaces.load("valid", 0, 12, tmp_path)
    monkeypatch.setattr(toyfaces, "render", None)
    assert toyfaces.load("valid", 0, 12, tmp_path).fingerprint() == drawn.fingerprint()
    for change in (("train", 0, 12), ("valid", 1, 12), ("valid", 0, 11)):
        with pytest.raises(TypeError):
            toyfaces.load(*change, tmp_path)
    monkeypatch.setattr(toyfaces, "_code", lambda: "other code")
    with pytest.raises(TypeError):
        toyfaces.load("valid", 0, 12, tmp_path)


def test_few_faces_are_not_worth_remembering(tmp_path):
    toyfaces.load("valid", 0, 12, tmp_path)
    assert not list(tmp_path.iterdir())
