import numpy as np
import pytest

from emogan.data import toyfaces
from emogan.evaluation import identity

# Cosines between the three: 0.6, 0 and 0.8.
_GALLERY = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)


@pytest.fixture(scope="module")
def faces():
    return toyfaces.load("valid", 0, 64).images


def _row(degrees):
    return np.array([[np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))]], np.float32)


def test_nearest_gallery_face_decides():
    edits = np.concatenate([_row(20), _row(40), _row(60), _row(80)])  # the gallery stands at 0, 53 and 90 degrees
    for source, hits in enumerate([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]]):
        answer = identity.rank1(edits, np.full(4, source), _GALLERY)
        assert answer.dtype == bool
        assert answer.tolist() == [bool(hit) for hit in hits]


def test_tie_is_a_miss():
    gallery = np.eye(2, dtype=np.float32)
    tied = np.full((1, 2), np.sqrt(0.5), np.float32)
    assert not identity.rank1(tied, np.array([0]), gallery)
    assert not identity.rank1(tied, np.array([1]), gallery)


def test_same_picture_twice_in_the_gallery_is_no_miss():
    gallery = np.concatenate([_GALLERY, _GALLERY[:1]])
    assert identity.rank1(_row(20), np.array([0]), gallery)
    assert identity.rank1(_row(20), np.array([3]), gallery)
    assert not identity.rank1(_row(40), np.array([3]), gallery)


def test_faces_at_least_as_near_as_the_source_are_counted():
    edits = np.concatenate([_row(20), _row(60), _row(80)])  # the gallery stands at 0, 53 and 90 degrees
    assert identity.nearer(edits, np.zeros(3, int), _GALLERY).tolist() == [0, 2, 2]
    assert identity.nearer(edits, np.full(3, 2), _GALLERY).tolist() == [2, 1, 0]


def test_rank1_of_a_small_gallery_is_the_chance_that_no_nearer_face_is_drawn():
    # Of 10 others 3 are drawn: none of the two nearer ones with 8 * 7 * 6 out of 10 * 9 * 8.
    found = identity.rank1_among(np.array([0, 2, 8, 10]), 10, 4)
    np.testing.assert_allclose(found, [1, 336 / 720, 0, 0], atol=1e-12)
    np.testing.assert_allclose(identity.rank1_among(np.array([0, 1]), 2, 64), [1, 0])  # all others are drawn


def test_similar_picture_is_another_face():
    gallery = np.concatenate([_row(0), _row(1)])  # cosine 0.99985
    assert not identity.rank1(_row(1), np.array([0]), gallery)


def test_row_of_zeros_has_cosine_0_to_all():
    assert not identity.rank1(np.zeros((1, 2), np.float32), np.array([0]), _GALLERY)
    gallery = np.concatenate([_GALLERY, np.zeros((1, 2), np.float32)])
    assert not identity.rank1(_row(20), np.array([3]), gallery)
    assert identity.rank1(_row(225), np.array([3]), gallery)  # the others have cosines below 0


def test_cosines_by_hand():
    edits = np.array([[1, 0], [0.6, 0.8], [0, -1]], np.float32)
    own, others = identity.cosines(edits, np.array([0, 2, 1]), _GALLERY)
    np.testing.assert_allclose(own, [1, 0.8, -0.8], atol=1e-6)
    np.testing.assert_allclose(others, [(0.6 + 0) / 2, (0.6 + 1) / 2, (0 - 1) / 2], atol=1e-6)


def test_blocks_do_not_change_the_answer(monkeypatch):
    random = np.random.default_rng(0)
    edits, gallery = identity._unit(random.normal(size=(70, 5))), identity._unit(random.normal(size=(9, 5)))
    sources = np.argmax(edits @ gallery.T, axis=1)
    sources[::3] = (sources[::3] + 1) % 9
    monkeypatch.setattr(identity, "_BLOCK", 16)
    assert identity.rank1(edits, sources, gallery).tolist() == [index % 3 != 0 for index in range(70)]
    own, others = identity.cosines(edits, sources, gallery)
    table = edits @ gallery.T
    np.testing.assert_allclose(own, table[np.arange(70), sources])
    np.testing.assert_allclose(8 * others + own, table.sum(1))


def test_random_edits_hit_by_chance():
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (1010, 48, 48), dtype=np.uint8)
    rows = identity.hog()(pictures)
    share = identity.rank1(rows[10:], random.integers(0, 10, 1000), rows[:10]).mean()
    assert share == pytest.approx(0.1, abs=0.04)  # four standard errors


def test_descriptor_gives_rows_of_norm_1(faces):
    rows = identity.hog()(faces)
    assert (rows.dtype, rows.shape) == (np.float32, (64, 4 * 4 * 16))
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_descriptor_does_not_depend_on_the_other_faces(faces, monkeypatch):
    rows = identity.hog()(faces)
    monkeypatch.setattr(identity, "_CHUNK", 7)
    np.testing.assert_allclose(identity.hog()(faces), rows, atol=1e-6)


def test_unchanged_face_is_its_own_nearest(faces):
    rows = identity.hog()(faces)
    assert identity.rank1(rows, np.arange(64), rows).all()


def test_hog_tells_the_direction_of_an_edge():
    ramp = np.tile(np.arange(48, dtype=np.uint8) * 5, (48, 1))  # brighter to the right: direction 0
    descriptor = identity.hog(orientations=4, cell=12)
    for turns in range(4):
        histograms = descriptor(np.rot90(ramp, -turns)[None]).reshape(4, 4, 4)  # direction, row, column
        np.testing.assert_allclose(histograms[turns], 1 / 4, atol=0.02)  # 16 cells, norm 1
        np.testing.assert_allclose(np.delete(histograms, turns, 0), 0, atol=1e-3)


def test_hog_shares_a_vote_between_neighbouring_directions():
    ramp = 3 * np.arange(48)
    diagonal = (ramp[:, None] + ramp[None]).clip(0, 255).astype(np.uint8)  # brighter down and right: 45 degrees
    histograms = identity.hog(orientations=4, cell=12)(diagonal[None]).reshape(4, 4, 4)
    np.testing.assert_allclose(histograms[0, 1, 1], histograms[1, 1, 1], rtol=1e-3)
    np.testing.assert_allclose(histograms[2:], 0, atol=1e-3)


def test_hog_sees_no_light(faces):
    dimmed = (faces // 2 + 40).astype(np.uint8)
    assert np.all(np.sum(identity.hog()(faces) * identity.hog()(dimmed), axis=1) > 0.99)


def test_blank_face_gives_zeros():
    assert not identity.hog()(np.full((1, 48, 48), 77, np.uint8)).any()


def test_centred_faces_spread_around_zero(faces):
    plain = identity.hog()
    centred = plain.centred(faces[:32])
    assert plain.centre is None
    np.testing.assert_allclose(centred.centre, plain(faces[:32]).mean(0), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(centred(faces), axis=1), 1, atol=1e-6)
    sources = np.arange(32)
    assert identity.cosines(plain(faces[32:]), sources, plain(faces[32:]))[1].mean() > 0.6
    assert abs(identity.cosines(centred(faces[32:]), sources, centred(faces[32:]))[1].mean()) < 0.1
    np.testing.assert_allclose(centred.centred(faces[:32]).centre, centred.centre, atol=1e-6)


def test_hog_knows_the_person_behind_another_emotion(faces):
    happy = toyfaces.true_transfers("valid", 0, 64)[3]
    descriptor = identity.hog()
    assert identity.rank1(descriptor(happy), np.arange(64), descriptor(faces)).mean() > 0.8


def test_changed_copies_are_fixed_by_the_seed(faces):
    copies = identity.changed_copies(faces)
    assert (copies.dtype, copies.shape) == (np.uint8, faces.shape)
    np.testing.assert_array_equal(identity.changed_copies(faces[:5]), copies[:5])
    assert np.all(np.any(identity.changed_copies(faces, seed=1) != copies, axis=(1, 2)))


def test_changed_copies_move_a_dot_by_little():
    dots = np.zeros((50, 48, 48), np.uint8)
    dots[:, 22:26, 22:26] = 255  # around the middle: turning leaves it there
    copies = identity.changed_copies(dots).astype(float)
    places = np.arange(48) - 23.5
    weights = np.where(copies > 100, copies, 0)
    for axis in (1, 2):
        moved = weights.sum(axis) @ places / weights.sum((1, 2))
        assert 1 < np.abs(moved).max() < 2.2


def test_calibration_of_a_good_descriptor_and_of_none(faces):
    scores = identity.calibrate(identity.hog(), faces)
    assert scores["rank1"] > 0.98
    assert scores["own"] > scores["others"] + 0.1
    noise = np.random.default_rng(0)
    blind = identity.Descriptor("blind", lambda faces: noise.normal(size=(len(faces), 8)))
    scores = identity.calibrate(blind, faces)
    assert scores["rank1"] < 0.15
    assert abs(scores["own"]) < 0.2


@pytest.mark.parametrize(
    "faces",
    [np.zeros((2, 48, 48)), np.zeros((48, 48), np.uint8), np.zeros((0, 48, 48), np.uint8)],
    ids=["floats", "one", "none"],
)
def test_what_are_no_faces_is_refused(faces):
    for call in (identity.hog(), identity.hog().centred, identity.changed_copies):
        with pytest.raises(ValueError, match=r"expected faces uint8 \[N, 48, 48\]"):
            call(faces)


def test_rows_that_do_not_fit_are_refused():
    edits = _GALLERY[:2]
    for function in (identity.rank1, identity.cosines):
        with pytest.raises(ValueError, match="found \\[2, 1\\] and \\[3, 2\\]"):
            function(edits[:, :1], np.array([0, 1]), _GALLERY)
        with pytest.raises(ValueError, match="int source for each of 2 edits"):
            function(edits, np.array([0]), _GALLERY)
        with pytest.raises(ValueError, match="int source for each of 2 edits"):
            function(edits, np.array([0.0, 1.0]), _GALLERY)
        for outside in (-1, 3):
            with pytest.raises(ValueError, match=r"sources in 0\.\.2"):
                function(edits, np.array([0, outside]), _GALLERY)
    with pytest.raises(ValueError, match="at least 2 faces, found 1"):
        identity.cosines(edits, np.array([0, 0]), _GALLERY[:1])


def test_cell_that_does_not_fill_a_face_is_refused():
    for cell in (0, 7):
        with pytest.raises(ValueError, match=f"divides 48, found {cell}"):
            identity.hog(cell=cell)
