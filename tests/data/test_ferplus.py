"""The votes of FER+: which face they are for, and what labels they give."""

import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from emogan import config as config_lib
from emogan import data as data_lib
from emogan.data import dataset, fer2013
from emogan.data.fer2013 import ferplus
from emogan.train import pipeline
from emogan.util import files

COLUMNS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
OF_LABEL = (4, 5, 6, 1, 3, 2, 0)  # where each of the seven stands among them
REAL = pathlib.Path(__file__).parents[2] / "../shared/data/fer2013"


def votes_csv(rows) -> bytes:
    """Returns fer2013new.csv of (Usage, name, ten votes in the order of its columns) a row."""
    lines = [",".join(("Usage", "Image name", *COLUMNS))]
    return "\n".join([*lines, *(",".join(map(str, (usage, name, *votes))) for usage, name, votes in rows)]).encode()


def all_for(label) -> list[int]:
    """Returns ten votes for one of the seven emotions."""
    return [10 if column == OF_LABEL[label] else 0 for column in range(10)]


def votes_for(faces, shift=0) -> bytes:
    """Returns fer2013new.csv whose ten people all see the label after FER2013's, `shift` labels further."""
    usages = {"train": "Training", "public": "PublicTest", "private": "PrivateTest"}
    pairs = enumerate(zip(faces.labels, faces.splits, strict=True))
    return votes_csv(
        (usages[split], f"fer{number:07d}.png", all_for((label + shift) % 7)) for number, (label, split) in pairs
    )


def voted(*rows) -> np.ndarray:
    """Returns votes in the order that `parse` gives, of rows in the order of the file's columns."""
    content = votes_csv([("Training", "", row) for row in rows])
    return ferplus.parse(content, "votes").counts["train"]


def relabelled(votes, own):
    """Returns label and distribution of faces, in FER2013's order of the seven, and the remark."""
    own = np.array(own, np.int32)
    images = np.arange(len(own), dtype=np.uint8)[:, None, None] * np.ones((1, 48, 48), np.uint8)
    return ferplus.relabel(dataset.Dataset(images, own, "fer2013", "train"), votes)


def test_votes_become_shares_of_the_seven_emotions():
    #          neutral, happy, surprised, sad, angry, disgusted, fearful, contempt, unknown, no face
    votes = voted(
        (0, 0, 6, 0, 0, 0, 4, 0, 0, 0),  # two emotions
        (0, 5, 1, 0, 0, 0, 0, 3, 1, 0),  # a single vote, contempt and unknown
        (0, 0, 0, 1, 1, 0, 0, 8, 0, 0),  # single votes alone
        (0, 0, 0, 0, 0, 0, 0, 6, 4, 0),  # nothing of the seven
        (5, 5, 0, 0, 0, 0, 0, 0, 0, 0),  # as many for FER2013's label as for another
        (0, 4, 0, 4, 0, 0, 0, 0, 2, 0),  # as many for two others
    )
    found, remark = relabelled(votes, [2, 0, 4, 1, 6, 0])
    expected = [
        (0, 0, 0.4, 0, 0, 0.6, 0),
        (0, 0, 0, 1, 0, 0, 0),
        (0.5, 0, 0, 0, 0.5, 0, 0),
        (0, 1, 0, 0, 0, 0, 0),
        (0, 0, 0, 0.5, 0, 0, 0.5),
        (0, 0, 0, 0.5, 0.5, 0, 0),
    ]
    np.testing.assert_allclose(found.distributions, expected, rtol=1e-6)
    assert found.labels.tolist() == [5, 3, 4, 1, 6, 3]
    assert (found.label_source, found.left_out) == ("ferplus", 0)
    assert remark == (
        "labels of FER+ for 6 faces of train, 3 of them other than FER2013's; "
        "0 left out (no face), 1 with FER2013's label (no vote)"
    )


def test_what_half_of_the_people_call_no_face_is_left_out_and_counted():
    votes = voted(
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 10), (0, 0, 0, 0, 5, 0, 0, 0, 0, 5), (0, 0, 0, 2, 0, 0, 0, 0, 4, 4), all_for(3)
    )
    found, remark = relabelled(votes, [0, 1, 2, 3])
    assert found.images[:, 0, 0].tolist() == [2, 3]
    assert found.labels.tolist() == [4, 3]
    assert found.left_out == 2
    assert "2 left out (no face)" in remark


@pytest.mark.parametrize("form", ["csv_file", "csv_in_folder", "csv_one_folder_below", "icml_csv", "tar_gz"])
def test_forms_with_rows_take_the_votes_that_lie_beside(faces, pack, tmp_path, form):
    path = pack.forms[form](faces, tmp_path / "source")
    pack.write((path if path.is_dir() else path.parent) / "FER2013new.csv", votes_for(faces, shift=1))
    for split in ("train", "public", "private"):
        data, votes = fer2013.load_with_votes(split, path)
        found, _ = ferplus.relabel(data, votes.counts)
        np.testing.assert_array_equal(found.labels, (faces.split(split)[1] + 1) % 7)
        np.testing.assert_array_equal(found.images, faces.split(split)[0])


@pytest.mark.parametrize("name", ["fer2013.zip", "fer2013.tar.gz"])
@pytest.mark.parametrize("order", [1, -1])
def test_votes_in_an_archive_are_found(faces, pack, tmp_path, name, order):
    members = dict([("a/fer2013.csv", faces.csv()), ("a/fer2013new.csv", votes_for(faces, shift=3))][::order])
    content = pack.zipped(members) if name.endswith("zip") else pack.tar(members, "w:gz")
    data, votes = fer2013.load_with_votes("public", pack.write(tmp_path / name, content))
    assert votes.where == f"{tmp_path / name}: a/fer2013new.csv"
    np.testing.assert_array_equal(ferplus.relabel(data, votes.counts)[0].labels, (data.labels + 3) % 7)


def test_a_named_file_comes_before_one_that_lies_beside(faces, pack, tmp_path):
    path = pack.forms["csv_in_folder"](faces, tmp_path / "source")
    pack.write(path / ferplus.NAME, votes_for(faces, shift=1))
    named = pack.write(tmp_path / "elsewhere" / "votes.csv", votes_for(faces, shift=2))
    data, votes = fer2013.load_with_votes("train", path, ferplus_file=named)
    assert votes.where == str(named)
    np.testing.assert_array_equal(ferplus.relabel(data, votes.counts)[0].labels, (data.labels + 2) % 7)
    with pytest.raises(
        FileNotFoundError, match=r"nowhere: expected fer2013new.csv, found no such file; it is at github"
    ):
        fer2013.load_with_votes("train", path, ferplus_file=tmp_path / "nowhere")


def test_rows_that_are_skipped_keep_the_others_in_step(faces, pack, tmp_path):
    lines = faces.csv().decode().splitlines()
    lines[3] = lines[3].replace(" ", " x", 1)  # pixels that are no numbers, of the third face
    path = pack.write(tmp_path / "fer2013.csv", "\n".join([*lines, "(28 rows)"]).encode())
    pack.write(tmp_path / ferplus.NAME, votes_for(faces, shift=1))
    data, votes = fer2013.load_with_votes("train", path, on_bad_row="skip")
    assert len(data) == 13
    np.testing.assert_array_equal(ferplus.relabel(data, votes.counts)[0].labels, (data.labels + 1) % 7)


def test_another_number_of_rows_is_refused(faces, pack, tmp_path):
    lines = faces.csv().decode().splitlines()
    path = pack.write(tmp_path / "fer2013.csv", "\n".join(lines[:3] + lines[4:]).encode())
    pack.write(tmp_path / ferplus.NAME, votes_for(faces))
    _, votes = fer2013.load_with_votes("train", path)
    assert votes.counts is None
    assert votes.reason == (
        f"FER+: expected the rows of {path} to be told by their order or by the names of images, found 13 rows of "
        f"train where {tmp_path / ferplus.NAME} has 14; use the whole fer2013.csv"
    )
    assert fer2013.load_with_votes("public", path)[1].counts is not None


def noisy(seed=0, count=1000):
    """Returns labels, and votes of which the first has two thirds of the labels."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 7, count)
    seen = np.where(random.random(count) < 0.66, labels, random.integers(0, 7, count))
    counts = np.zeros((count, 10), np.uint8)
    counts[np.arange(count), seen] = 10
    return labels.astype(np.int32), ferplus.Votes("votes", {"train": counts}, {"train": ("",) * count})


def test_rows_in_another_order_are_refused_though_their_number_is_right():
    labels, votes = noisy()
    places = list(range(1000))
    np.testing.assert_array_equal(ferplus.match(votes, "train", labels, places, 1000, "faces"), votes.counts["train"])
    # One row stands 200 places too late, so those between are one too early.
    moved = np.concatenate([labels[:500], labels[501:700], labels[500:501], labels[700:]])
    with pytest.raises(
        ValueError, match=r"FER\+: expected the rows of faces in the order of votes, found \d+ % of equal"
    ):
        ferplus.match(votes, "train", moved, places, 1000, "faces")
    with pytest.raises(ValueError, match=r"use the competition's fer2013.csv"):
        ferplus.match(votes, "train", np.random.default_rng(1).permutation(labels), places, 1000, "faces")


def test_images_named_by_ferplus_are_matched_by_their_names(faces, pack, tmp_path):
    for number, (pixels, label, split) in enumerate(zip(faces.images, faces.labels, faces.splits, strict=True)):
        if split == "train":
            path = tmp_path / "train" / ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")[label]
            path.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path / f"fer{number:07d}.png")
    pack.write(tmp_path / ferplus.NAME, votes_for(faces, shift=1))
    data, votes = fer2013.load_with_votes("train", tmp_path)
    np.testing.assert_array_equal(ferplus.relabel(data, votes.counts)[0].labels, (data.labels + 1) % 7)


@pytest.mark.parametrize("form", ["png_folders", "rgb_png_folders"])
def test_images_whose_names_tell_no_row_are_refused(faces, pack, tmp_path, form):
    path = pack.forms[form](faces, tmp_path)
    pack.write(tmp_path / ferplus.NAME, votes_for(faces))
    _, votes = fer2013.load_with_votes("train", path)
    assert votes.counts is None
    assert votes.reason == (
        f"FER+: expected the rows of {path} to be told by their order or by the names of images, "
        "found names such as Training_000.png; use fer2013.csv"
    )


def test_numbers_of_kaggles_file_names_are_those_of_known_rows():
    training, public = ferplus._numbers("train"), ferplus._numbers("public")
    assert (len(training), len(public)) == (28709, 3589)
    assert len(set(training)) == 28709
    assert len(set(public)) == 3589
    # Of the two names that stand in two folders each, one is surprised with 7 votes of 10, and one is called no face.
    assert training[2164] == (52789098, 5)
    assert training[15013] == (52789098, 6)
    assert ferplus._numbers("private") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected FER\\+ \\(columns Usage, Image name and anger, .*, found 'usage' is not in list"),
        (b"emotion,pixels,Usage\n", "expected FER\\+ .*, found 'image name' is not in list"),
        (b"\xff\xfe\x00", "expected FER\\+ .*, found 'utf-8' codec can't decode"),
        (votes_csv([("Training", "", (1,) * 9)]), r"row 2: expected Usage, a name and ten votes, found Training,,1,1"),
        (votes_csv([("Training", "", (-1,) * 10)]), "row 2: expected Usage, a name and ten votes"),
        (
            votes_csv([("Validation", "", (1,) * 10)]),
            "row 2: expected Usage, a name and ten votes, found Validation,,1",
        ),
        (b"," * (1 << 22) + b",", "found more than 4 MiB"),
    ],
    ids=["empty", "fer2013", "no text", "few votes", "negative", "other usage", "large"],
)
def test_a_file_that_is_no_ferplus_is_refused(content, message):
    with pytest.raises(ValueError, match=message) as caught:
        ferplus.parse(content, "votes.csv")
    assert "\n" not in str(caught.value)
    assert "github.com/microsoft/FERPlus (MIT licence)" in str(caught.value)


def test_ferplus_alone_is_no_fer2013(faces, pack, tmp_path):
    path = pack.write(tmp_path / ferplus.NAME, votes_for(faces))
    with pytest.raises(ValueError, match=r"expected faces, found the votes of FER\+; point data_dir at fer2013.csv"):
        fer2013.load("train", path)


def test_other_votes_make_the_cache_anew(faces, pack, tmp_path):
    path, cache = pack.forms["csv_in_folder"](faces, tmp_path / "source"), tmp_path / "cache"

    def load():
        calls = []
        progress = lambda *call: calls.append(call)  # noqa: E731
        data, votes = fer2013.load_with_votes("train", path, cache_dir=cache, progress=progress)
        return votes, (data.labels - votes.counts.argmax(1)) % 7 if votes.counts is not None else None, bool(calls)

    votes, _, read = load()
    assert read
    assert votes.counts is None
    assert votes.reason == (
        f"FER+: expected fer2013new.csv next to {path / 'fer2013.csv'}, found none; "
        "it is at github.com/microsoft/FERPlus (MIT licence)"
    )
    for shift in (1, 2):
        pack.write(path / ferplus.NAME, votes_for(faces, shift) + b"\n" * shift)
        for again in (False, True):
            votes, steps, read = load()
            assert set(steps) == {7 - shift}
            assert read is not again
            assert votes.where == str(path / ferplus.NAME)
    (path / ferplus.NAME).unlink()
    assert load()[0].counts is None


@pytest.fixture
def many(pack, tmp_path, monkeypatch):
    """A folder of 280 faces with votes: half of them for the next emotion, and of each 14 one for no face."""
    monkeypatch.setattr(files, "cache_dir", lambda: tmp_path / "cache")
    images = np.random.default_rng(0).integers(0, 256, (280, 48, 48), np.uint8)
    labels = np.arange(280) // 2 % 7
    rows = [f"{label},{' '.join(map(str, face.ravel()))},Training" for label, face in zip(labels, images, strict=True)]
    no_face = [0] * 9 + [10]
    seen = [label if index % 2 else (label + 1) % 7 for index, label in enumerate(labels)]
    ballots = [no_face if index % 14 == 0 else all_for(label) for index, label in enumerate(seen)]
    pack.write(tmp_path / "faces" / "fer2013.csv", "\n".join(["emotion,pixels,Usage", *rows]).encode())
    pack.write(tmp_path / "faces" / ferplus.NAME, votes_csv([("Training", "", ballot) for ballot in ballots]))
    return tmp_path / "faces"


def load(folder, labels, split, **fields):
    remarks = []
    config = config_lib.DataConfig(name="fer2013", dir=str(folder), labels=labels, **fields)
    return data_lib.load(config, split, 0, report=remarks.append), remarks[1:]  # the first says what is missing


def test_valid_has_the_same_faces_under_all_labels(many):
    for split, count, no_face in (("train", 252, None), ("valid", 28, None), ("training", 280, 20)):
        own, remarks = load(many, "fer2013", split)
        assert len(own) == count
        assert own.distributions is None
        assert remarks == [f"{many / ferplus.NAME} is not used; --config.data.labels=ferplus takes its labels"]
        found, remarks = load(many, "ferplus", split)
        assert {face.tobytes() for face in found.images} <= {face.tobytes() for face in own.images}
        assert len(found) + found.left_out == len(own)
        assert no_face is None or found.left_out == no_face
        assert remarks[0].startswith(f"labels of FER+ for {len(found)} faces of {split}, ")
        assert found.distributions.shape == (len(found), 7)
        np.testing.assert_array_equal(found.distributions.argmax(1), found.labels)
        same, _ = load(many, "auto", split)
        assert same.fingerprint() == found.fingerprint() != own.fingerprint()
    left_out = [load(many, "ferplus", split)[0].left_out for split in ("train", "valid")]
    assert sum(left_out) == 20


def test_without_the_file_ferplus_is_refused_and_auto_says_what_it_takes(many):
    (many / ferplus.NAME).unlink()
    missing = (
        f"FER+: expected fer2013new.csv next to {many / 'fer2013.csv'}, found none; "
        "it is at github.com/microsoft/FERPlus (MIT licence)"
    )
    with pytest.raises(ValueError, match="MIT licence") as caught:
        load(many, "ferplus", "train")
    assert str(caught.value) == missing
    found, remarks = load(many, "auto", "train")
    assert remarks == [f"FER2013's own labels; {missing}"]
    assert found.fingerprint() == load(many, "fer2013", "train")[0].fingerprint()
    assert load(many, "fer2013", "train")[1] == []


def test_a_run_says_and_writes_what_was_left_out(many, tmp_path):
    data, _ = load(many, "ferplus", "train")
    config = config_lib.Config(data=config_lib.DataConfig("fer2013", str(many), labels="ferplus"))
    pipeline._settle(config, tmp_path / "run", data, "1 device: cpu")
    about = json.loads((tmp_path / "run" / "data.json").read_text())
    assert (about["labels"], about["no_face"]) == ("ferplus", data.left_out)
    assert about["examples"] == 252 - data.left_out
    assert pipeline._labels_of(data) == f" with labels of ferplus, {data.left_out} left out (no face)"
    own, _ = load(many, "fer2013", "train")
    assert pipeline._labels_of(own) == ""
    with pytest.raises(ValueError, match="expected the data that it was begun with"):
        pipeline._refuse_other_data(tmp_path / "run", own)


@pytest.mark.parametrize(
    ("distributions", "message"),
    [
        (np.full((2, 7), 1 / 7), "expected distributions float32 [2, 7], found float64 [2, 7]"),
        (np.full((2, 6), 1 / 6, np.float32), "expected distributions float32 [2, 7], found float32 [2, 6]"),
        (np.full((2, 7), 1, np.float32), "expected distributions of at least 0 whose sum is 1, found 1 and more"),
        (np.full((2, 7), np.nan, np.float32), "expected distributions of at least 0 whose sum is 1, found nan"),
    ],
)
def test_distributions_of_another_kind_are_refused(distributions, message):
    with pytest.raises(ValueError, match="expected distributions") as caught:
        dataset.Dataset(np.zeros((2, 48, 48), np.uint8), np.zeros(2, np.int32), distributions=distributions)
    assert str(caught.value).startswith(message)


@pytest.mark.skipif(not REAL.exists(), reason="the real FER2013 is not beside the repository")
def test_real_fer2013_has_its_known_counts_under_ferplus(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "cache_dir", lambda: tmp_path)
    counts = {
        "train": (25701, 140, [2414, 256, 696, 6836, 3561, 3167, 8771]),
        "valid": (2858, 10, [300, 26, 105, 733, 386, 375, 933]),
        "public": (3579, 10, [340, 49, 90, 893, 447, 477, 1283]),
    }
    for split, (size, no_face, of_classes) in counts.items():
        found, _ = load(REAL, "ferplus", split)
        assert (len(found), found.left_out) == (size, no_face)
        assert found.class_counts().tolist() == of_classes
