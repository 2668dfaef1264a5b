"""Forms of FER2013 under other names: splits, labels, files and folders as people have them."""

import gzip

import numpy as np
import pytest
from PIL import Image

from emogan.data import fer2013

NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def splits(path, **options):
    """Returns how many faces each split has, and the remarks but for that of missing faces."""
    remarks = []
    sizes = fer2013.available_splits(path, report=remarks.append, **options)
    return sizes, [line for line in remarks if " gives " not in line or "FER2013 has" not in line]


def write_images(faces, folder, indices, class_names=NAMES, prefix=""):
    for index in indices:
        path = folder / class_names[faces.labels[index]] / f"{prefix}{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(faces.images[index]).save(path)


@pytest.mark.parametrize("name", ["validation", "val", "Valid"])
@pytest.mark.parametrize("zipped", [False, True])
def test_validation_folders_are_a_split_of_their_own(faces, pack, tmp_path, name, zipped):
    write_images(faces, tmp_path / "images" / "train", range(14))
    write_images(faces, tmp_path / "images" / name, range(14, 21), prefix="PrivateTest_")
    source = tmp_path
    if zipped:
        source = pack.write(tmp_path / "z" / "archive.zip", pack.zipped(pack.tree(tmp_path)))
    sizes, remarks = splits(source)
    assert sizes == {"train": 14, "validation": 7}
    assert len(remarks) == 1
    assert remarks[0].endswith("gives a split `validation`; choices are made on `valid`, cut from `train`")
    found = fer2013.load("validation", source)
    np.testing.assert_array_equal(found.images, faces.images[14:21])
    np.testing.assert_array_equal(found.labels, faces.labels[14:21])


def test_train_val_and_test_folders_are_three_splits(faces, tmp_path):
    for name, indices in (("train", range(14)), ("val", range(14, 21)), ("test", range(21, 28))):
        write_images(faces, tmp_path / name, indices)
    assert splits(tmp_path)[0] == {"train": 14, "test": 7, "validation": 7}


def test_folders_may_have_the_words_of_the_competition(faces, tmp_path):
    for name, indices in (("Training", range(14)), ("PublicTest", range(14, 21)), ("PrivateTest", range(21, 28))):
        write_images(faces, tmp_path / name, indices)
    assert splits(tmp_path) == ({"train": 14, "public": 7, "private": 7}, [])
    np.testing.assert_array_equal(fer2013.load("private", tmp_path).images, faces.images[21:])


@pytest.mark.parametrize("name", ["val.csv", "validation.csv", "valid.csv"])
def test_train_val_and_test_csv_are_three_splits(faces, pack, tmp_path, name):
    files = {"train.csv": range(14), name: range(14, 21), "test.csv": range(21, 28)}
    for file, indices in files.items():
        pack.write(tmp_path / file, faces.csv(("emotion", "pixels"), indices))
    sizes, remarks = splits(tmp_path)
    assert sizes == {"train": 14, "test": 7, "validation": 7}
    assert f"{tmp_path / name} gives one split `validation` only: it has no Usage column" in remarks
    np.testing.assert_array_equal(fer2013.load("validation", tmp_path).images, faces.images[14:21])


def test_what_lies_beside_and_may_hold_faces_is_named(faces, pack, tmp_path):
    write_images(faces, tmp_path / "train", range(14))
    write_images(faces, tmp_path / "extra", range(14, 21))
    for name in ("more.csv", "faces.npz", "notes.txt", ".hidden.csv"):
        pack.write(tmp_path / name, b"")
    (tmp_path / "empty").mkdir()
    _, remarks = splits(tmp_path)
    assert remarks == [f"reading {tmp_path}; next to it there are extra/, faces.npz, more.csv"]


def test_images_that_stand_twice_in_a_zip_are_read_once_and_others_named(faces, pack, tmp_path):
    write_images(faces, tmp_path / "in" / "images" / "train", range(14))
    members = pack.tree(tmp_path / "in")
    twice = {f"images/{name}": content for name, content in members.items()}
    path = pack.write(tmp_path / "archive.zip", pack.zipped({**members, **twice, "images/odd/a.png": b""}))
    sizes, remarks = splits(path)
    assert sizes == {"train": 14}
    assert remarks == [
        f"{path}: 14 images in images/images are not read",
        f"{path}: 1 other members are not read: images/odd/a.png",
    ]


@pytest.mark.parametrize("write", ["{}.0", "{}.", "name", "Name", "noun"])
def test_labels_may_be_numbers_with_a_point_or_names(faces, pack, tmp_path, write):
    nouns = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Neutral")
    of = {"name": NAMES, "Name": [name.capitalize() for name in NAMES], "noun": nouns}.get(write)
    header, *lines = faces.csv().decode().splitlines()
    texts = [of[int(line[0])] if of else write.format(line[0]) for line in lines]
    rows = [text + line[1:] for text, line in zip(texts, lines, strict=True)]
    path = pack.write(tmp_path / "fer2013.csv", "\n".join([header, *rows]).encode())
    np.testing.assert_array_equal(fer2013.load("train", path).labels, faces.split("train")[1])


@pytest.mark.parametrize("text", ["7.0", "6.5", "-0.0", "joy", "", "0.0.0"])
def test_other_labels_are_refused(faces, pack, tmp_path, text):
    header, first, *lines = faces.csv().decode().splitlines()
    path = pack.write(tmp_path / "fer2013.csv", "\n".join([header, text + first[1:], *lines]).encode())
    with pytest.raises(ValueError, match=r"row 2: expected a label in 0..6 or an emotion's name, found .*=skip$"):
        fer2013.load("train", path)


def test_skipping_is_advised_only_where_something_is_left(faces, pack, tmp_path):
    header, *lines = faces.csv().decode().splitlines()
    path = pack.write(tmp_path / "fer2013.csv", "\n".join([header, *("joy" + line[1:] for line in lines)]).encode())
    with pytest.raises(ValueError, match=r"row 2: expected a label .*, found 'joy'; repair it$"):
        fer2013.load("train", path)
    for index in range(14):
        path = tmp_path / "large" / "train" / NAMES[faces.labels[index]] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (100, 100)).save(path)
    with pytest.raises(ValueError, match=r"expected a 48x48 image, found 100x100; repair it$"):
        fer2013.load("train", tmp_path / "large")
    write_images(faces, tmp_path / "odd" / "train", range(7), ("joy",) * 7)
    with pytest.raises(ValueError, match=r"train/joy: expected an emotion out of .*, found 'joy'; repair it$"):
        fer2013.load("train", tmp_path / "odd")


def test_rows_of_commas_are_blank(faces, pack, tmp_path):
    lines = faces.csv().decode().splitlines()
    lines[3:3] = [",,", " , ,", '"","",""', ",,,,,", ""]
    path = pack.write(tmp_path / "fer2013.csv", "\n".join([*lines, ",,"]).encode())
    sizes, remarks = splits(path)
    assert sizes == {"train": 14, "public": 7, "private": 7}
    assert remarks == []


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_are_named(faces, pack, tmp_path, separator):
    path = pack.write(tmp_path / "fer2013.csv", faces.csv().replace(b",", separator.encode()))
    with pytest.raises(ValueError, match=r"expected commas between columns, found .*; save it as CSV with commas"):
        fer2013.load("train", path)


def test_class_folders_may_be_the_numbers_of_the_csv(faces, tmp_path):
    for name, indices in (("train", range(14)), ("test", range(14, 28))):
        write_images(faces, tmp_path / name, indices, "0123456")
    sizes, remarks = splits(tmp_path)
    assert sizes == {"train": 14, "test": 14}
    assert remarks[0] == (
        f"{tmp_path}: class folders are numbers, in FER2013's order: "
        "0 angry, 1 disgusted, 2 fearful, 3 happy, 4 sad, 5 surprised, 6 neutral"
    )
    np.testing.assert_array_equal(fer2013.load("train", tmp_path).labels, faces.split("train")[1])


@pytest.mark.parametrize("on_bad_row", ["error", "skip"])
def test_class_folders_from_1_to_7_are_no_fer2013(faces, tmp_path, on_bad_row):
    write_images(faces, tmp_path / "train", range(14), "1234567")
    with pytest.raises(ValueError, match=r"found 1 to 7; name them after emotions, or read them by --dataset=folder"):
        fer2013.load("train", tmp_path, on_bad_row=on_bad_row)


@pytest.mark.parametrize(
    "name",
    [
        *("fer2013 (1).csv", "fer20131.csv", "FER2013 - copy.csv", "my faces.csv", "fer2013"),
        *("fer2013.csv.gz", "icml_face_data.csv.gz", "fer2013 (1).csv.gz"),
        *("a/b/fer2013.csv", "a/b/fer2013 (1).csv", "archive/fer2013/fer2013.csv.gz"),
    ],
)
def test_files_under_other_names_and_deeper_are_found(faces, pack, tmp_path, name):
    content = gzip.compress(faces.csv()) if name.endswith(".gz") else faces.csv()
    path = pack.write(tmp_path / name, content)
    pack.write(tmp_path / "other.csv", b"id,name\n1,2\n")
    for source in (tmp_path, path):
        assert fer2013.available_splits(source) == {"train": 14, "public": 7, "private": 7}
        np.testing.assert_array_equal(fer2013.load("train", source).images, faces.split("train")[0])


def test_train_csv_gz_is_training(faces, pack, tmp_path):
    pack.write(tmp_path / "train.csv.gz", gzip.compress(faces.train_csv()))
    assert fer2013.available_splits(tmp_path) == {"train": 14}


def test_a_cut_gz_is_refused(faces, pack, tmp_path):
    path = pack.write(tmp_path / "fer2013.csv.gz", gzip.compress(faces.csv())[:5000])
    with pytest.raises(ValueError, match="expected a whole archive, found it cut or damaged"):
        fer2013.load("train", path)


def test_of_several_files_under_other_names_one_must_be_named(faces, pack, tmp_path):
    for name in ("b.csv", "a.csv"):
        pack.write(tmp_path / name, faces.csv())
    with pytest.raises(ValueError, match="expected one file with faces") as caught:
        fer2013.load("train", tmp_path)
    expected = f"{tmp_path}: expected one file with faces, found a.csv, b.csv; name one: --data_dir={tmp_path}/a.csv"
    assert str(caught.value) == expected


def test_image_folders_two_below_are_found(faces, tmp_path):
    write_images(faces, tmp_path / "images" / "images" / "train", range(14))
    assert splits(tmp_path)[0] == {"train": 14}


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("fer2013.npz", "fer2013.npz: read it by --dataset=folder"),
        ("data/train-0.parquet", "train-0.parquet: read its folder by --dataset=folder"),
        ("fer2013.rar", "fer2013.rar: unpack it first"),
        ("happy/1.jpg", "folders of images that are no FER2013 are read by --dataset=folder"),
        ("fer2013.cvs", "the nearest is fer2013.cvs, which is not read as fer2013.csv is; look into it"),
        ("fer.txt", "point --data_dir at FER2013"),
    ],
)
def test_where_nothing_fits_the_line_says_what_to_do(pack, tmp_path, name, advice):
    pack.write(tmp_path / name, b"")
    with pytest.raises(FileNotFoundError) as caught:
        fer2013.load("train", tmp_path)
    assert str(caught.value).endswith(f", found {name.split('/')[0]}; {advice}")
