"""Data sets in folders: class folders, parquet files and .npz, and the layouts of known data sets."""

import io
import json
import pathlib
import textwrap

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from emogan import config as config_lib
from emogan import data as data_lib
from emogan.data import dataset, folder_source
from emogan.util import files

RANDOM = np.random.default_rng(0)


def picture(size=(48, 48), mode="L", value=None) -> Image.Image:
    shape = (size[1], size[0], *((3,) if mode == "RGB" else ()))
    pixels = RANDOM.integers(0, 256, shape, np.uint8) if value is None else np.full(shape, value, np.uint8)
    return Image.fromarray(pixels)


def write(path, *options, **named):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(*options, **named).save(path)


def load(path, split="train", **options):
    """Returns a split, and the remarks."""
    remarks = []
    return folder_source.load(split, path, spec=dataset.FER2013, report=remarks.append, **options), remarks


def png(image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def test_ck48_gives_its_eight_classes_and_a_tenth_of_each_as_valid(tmp_path):
    # CK+48: folders of classes without a split, 48x48 gray .png, contempt among them.
    names = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
    for name in names:
        for index in range(20):
            write(tmp_path / "CK+48" / name / f"S{index:03d}_001_00000014.png")
    found, remarks = load(tmp_path, "training")
    assert found.class_names == ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "contempt")
    assert found.class_counts().tolist() == [20] * 7
    assert remarks == [f"{tmp_path}: 140 train; classes angry, disgusted, fearful, happy, sad, surprised, contempt"]
    (train, remarks), valid = load(tmp_path), load(tmp_path, "valid")[0]
    assert remarks[1:] == ["14 of train are kept from training, as valid"]
    assert train.class_counts().tolist() == [18] * 7
    assert valid.class_counts().tolist() == [2] * 7
    whole = {face.tobytes() for face in found.images}
    assert {face.tobytes() for face in train.images} | {face.tobytes() for face in valid.images} == whole
    contempt = np.asarray(Image.open(tmp_path / "CK+48" / "contempt" / "S000_001_00000014.png"))
    row = next(index for index, face in enumerate(found.images) if np.array_equal(face, contempt))
    assert found.labels[row] == 6


def test_raf_db_gives_the_classes_that_are_named_for_its_numbers(tmp_path):
    # RAF-DB from Kaggle: DATASET/train/1..7, 100x100 colour .jpg.
    for split, count in (("train", 3), ("test", 1)):
        for number in range(1, 8):
            for index in range(count):
                name = f"{split}_{number * 100 + index:05d}_aligned.jpg"
                write(tmp_path / "DATASET" / split / str(number) / name, size=(100, 100), mode="RGB", value=30 * number)
    names = ("surprised", "fearful", "disgusted", "happy", "sad", "angry", "neutral")
    found, remarks = load(tmp_path, "training", class_names=names)
    assert found.class_names == names
    assert remarks[0].startswith(f"{tmp_path}: 21 train, 7 test; classes surprised, fearful")
    for image, label in zip(found.images, found.labels, strict=True):
        assert abs(int(image.mean()) - 30 * (label + 1)) <= 2
    assert load(tmp_path, "public")[0].class_names == ("1", "2", "3", "4", "5", "6", "7")
    with pytest.raises(
        ValueError, match=r"expected 2 classes \(a, b\), found 7: 1, 2, 3, .*correct --config.data.class_"
    ):
        load(tmp_path, class_names=("a", "b"))


def test_the_recipe_for_raf_db_makes_class_folders_of_its_label_file(tmp_path, monkeypatch):
    # RAF-DB from its authors: basic/Image/aligned and a file of labels, of which 1 is surprise.
    labels = {"train_00001": 5, "train_00002": 1, "train_00003": 5, "test_0001": 1}
    for index, name in enumerate(labels):
        write(tmp_path / "basic" / "Image" / "aligned" / f"{name}_aligned.jpg", (100, 100), "RGB", 40 * index)
    (tmp_path / "basic" / "EmoLabel").mkdir()
    lines = [f"{name}.jpg {label}" for name, label in labels.items()]
    (tmp_path / "basic" / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(lines))
    text = (pathlib.Path(__file__).parents[2] / "docs" / "data.md").read_text()
    block = text.partition("<!-- raf-db -->")[2].partition("<!-- end -->")[0]
    monkeypatch.chdir(tmp_path)
    exec(textwrap.dedent(block), {})
    found, remarks = load(tmp_path / "raf-db", "training")
    assert remarks == [f"{tmp_path / 'raf-db'}: 3 train, 1 test; classes 1, 5"]
    assert sorted(zip(found.labels.tolist(), (found.images[:, 0, 0] // 30).tolist(), strict=True)) == [
        (0, 1),
        (1, 0),
        (1, 2),
    ]


def test_affectnet_gives_colour_of_224_as_gray_squares_with_its_own_validation(tmp_path):
    # AffectNet as it is handed round: train_class/class001 or train/0..7, 224x224 colour .jpg.
    for split, count in (("train", 2), ("val", 1)):
        for number in range(8):
            for index in range(count):
                write(tmp_path / split / str(number) / f"image{index:07d}.jpg", size=(224, 224), mode="RGB")
    names = ("neutral", "happy", "sad", "surprised", "fearful", "disgusted", "angry", "contempt")
    found, _ = load(tmp_path, "train", class_names=names)
    assert found.images.shape == (16, 48, 48)
    assert found.class_names == names
    assert found.class_counts().tolist() == [2] * 8
    valid, _ = load(tmp_path, "valid", class_names=names)
    assert (valid.split, len(valid)) == ("valid", 8)
    with pytest.raises(ValueError, match=r"expected split 'public', found train, validation; ask for one of these"):
        load(tmp_path, "public")


def hugging_face(path, labels, names=("sad", "happy"), how="bytes"):
    """Writes a parquet file as the library `datasets` does; picture i has the gray i."""
    if how == "bytes":
        images = [{"bytes": png(picture((60, 80), value=i)), "path": None} for i in range(len(labels))]
    elif how == "plain":
        images = [png(picture(value=i)) for i in range(len(labels))]
    else:
        images = [np.full((48, 48), i).tolist() for i in range(len(labels))]
    table = pyarrow.table({"image": images, "label": labels})
    if names:
        label = {"names": list(names), "_type": "ClassLabel"}
        features = {"info": {"features": {"image": {"_type": "Image"}, "label": label}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)


@pytest.mark.parametrize("how", ["bytes", "plain", "rows"])
def test_parquet_files_give_their_splits_and_the_names_in_their_metadata(tmp_path, how):
    hugging_face(tmp_path / "data" / "train-00000-of-00002.parquet", [0, 1, 1], how=how)
    hugging_face(tmp_path / "data" / "train-00001-of-00002.parquet", [0], how=how)
    hugging_face(tmp_path / "data" / "validation-00000-of-00001.parquet", [1, 0], how=how)
    hugging_face(tmp_path / "data" / "test-00000-of-00001.parquet", [1], how=how)
    found, remarks = load(tmp_path)
    assert remarks == [f"{tmp_path}: 4 train, 2 validation, 1 test; classes happy, sad"]
    assert found.class_names == ("happy", "sad")
    assert found.labels.tolist() == [1, 0, 0, 1]
    assert found.images[:, 24, 24].tolist() == [0, 1, 2, 0]
    assert load(tmp_path, "valid")[0].labels.tolist() == [0, 1]
    assert load(tmp_path / "data" / "test-00000-of-00001.parquet", "public")[0].labels.tolist() == [0]


def test_parquet_without_metadata_takes_given_names_or_numbers(tmp_path):
    hugging_face(tmp_path / "train.parquet", [2, 0, 2], names=None)
    assert load(tmp_path, "training")[0].class_names == ("0", "2")
    found, _ = load(tmp_path, "training", class_names=("a", "b", "c"))
    assert found.class_names == ("a", "b", "c")
    assert found.labels.tolist() == [2, 0, 2]
    hugging_face(tmp_path / "train.parquet", ["sad", "angry", "sad"], names=None)
    found, _ = load(tmp_path, "training")
    assert (found.class_names, found.labels.tolist()) == (("angry", "sad"), [1, 0, 1])


def test_bad_parquet_is_refused_in_one_line(tmp_path):
    hugging_face(tmp_path / "train.parquet", [0, 2, 1])
    with pytest.raises(ValueError, match=r"train.parquet row 2: expected an image and a label, found a label 2 where "):
        load(tmp_path)
    found, remarks = load(tmp_path, "training", on_bad_row="skip")
    assert found.images[:, 0, 0].tolist() == [0, 2]
    assert remarks[0].startswith("skipped 1 bad rows: ")
    parquet.write_table(pyarrow.table({"a": [1], "b": [2]}), tmp_path / "train.parquet")
    with pytest.raises(ValueError, match="expected columns image and label, found a, b; rename them"):
        load(tmp_path)
    parquet.write_table(pyarrow.table({"image": [b"none"], "label": [2]}), tmp_path / "train.parquet")
    with pytest.raises(ValueError, match="row 1: expected an image and a label, found a file that is no image; repair"):
        load(tmp_path)
    (tmp_path / "train.parquet").write_bytes(b"PAR1 no parquet PAR1")
    with pytest.raises(ValueError, match=r"train.parquet: expected a parquet file, found ") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(48, 48), (64, 60), (48, 48, 1), (96, 96, 3)])
@pytest.mark.parametrize("keys", [("images", "labels"), ("X", "y"), ("x_train", "y_train")])
def test_npz_gives_its_arrays(tmp_path, shape, keys):
    images = np.arange(6, dtype=np.uint8).reshape(6, *[1] * len(shape)) * np.ones((1, *shape), np.uint8) * 20
    np.savez(tmp_path / "faces.npz", **dict(zip(keys, (images, np.array([1, 0, 1, 0, 1, 3])), strict=True)))
    for source in (tmp_path, tmp_path / "faces.npz"):
        found, _ = load(source, "training")
        assert found.images[:, 24, 24].tolist() == [0, 20, 40, 60, 80, 100]
        assert (found.class_names, found.labels.tolist()) == (("0", "1", "3"), [1, 0, 1, 0, 1, 2])
    found, _ = load(tmp_path, "training", class_names=("d", "c", "b", "a"))
    assert (found.class_names, found.labels.tolist()) == (("d", "c", "b", "a"), [1, 0, 1, 0, 1, 3])


def test_npz_with_splits_and_texts_for_labels(tmp_path):
    images = np.zeros((3, 48, 48), np.uint8)
    labels = np.array(["Sad", "happy", "Sad"])
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels, x_test=images[:1], y_test=labels[:1])
    found, remarks = load(tmp_path, "training")
    assert load(tmp_path)[1][1:] == ["no face is kept from training as valid: no class has 10 that differ"]
    assert (found.class_names, found.labels.tolist()) == (("happy", "sad"), [1, 0, 1])
    assert remarks == [f"{tmp_path}: 3 train, 1 test; classes happy, sad"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(3)}, r"expected arrays images and labels \(or X and y\), found a float64 \[3\]"),
        (
            {"images": np.zeros((2, 48, 48)), "labels": np.zeros(2, int)},
            r"expected images uint8 .* of split train, found float64 \[2, 48, 48\] and int64 \[2\]; save them so",
        ),
        ({"images": np.zeros((2, 48, 48), np.uint8), "labels": np.zeros(3, int)}, r"found uint8 .* and int64 \[3\]"),
        ({"images": np.zeros((2, 48, 48), np.uint8), "labels": np.eye(2)}, r"and float64 \[2, 2\]; save them so"),
        (
            {"images": np.zeros((1, 48, 48), np.uint8), "labels": np.array([0.5])},
            r"row 0 of train: expected a label, found a label 0.5; repair it",
        ),
    ],
)
def test_other_arrays_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        load(tmp_path)


def test_bad_pictures_are_named_or_left_out(tmp_path):
    for name in ("a", "b"):
        for index in range(3):
            write(tmp_path / name / f"{index}.png")
    (tmp_path / "a" / "1.png").write_bytes(b"no picture")
    with pytest.raises(
        ValueError, match=r"a/1.png: expected an image, found a file that is no image; repair it, or lea"
    ):
        load(tmp_path)
    found, remarks = load(tmp_path, "training", on_bad_row="skip")
    assert len(found) == 5
    assert remarks[0].startswith("skipped 1 bad rows: ")


def test_a_folder_without_a_data_set_says_what_is_there(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(
        FileNotFoundError, match=r"expected folders CLASS/.*, found notes.txt; docs/data.md has recipes"
    ):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"found nothing there; check --data_dir"):
        load(tmp_path / "nowhere")


def test_pictures_come_from_the_cache_until_a_file_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "cache_dir", lambda: tmp_path / "cache")
    for name in ("happy", "sad"):
        for index in range(2):
            write(tmp_path / "faces" / name / f"{index}.png")
    config = config_lib.DataConfig("folder", str(tmp_path / "faces"))
    config.check()
    calls = []

    def read():
        calls.clear()
        return data_lib.load(config, "training", 0, progress=lambda *call: calls.append(call)).fingerprint()

    first = read()
    assert calls
    assert read() == first
    assert not calls
    write(tmp_path / "faces" / "sad" / "1.png")
    assert read() != first
    assert calls


def test_a_class_folder_without_a_name_is_refused(tmp_path):
    for name in ("happy", " "):
        (tmp_path / name).mkdir()
        Image.new("L", (48, 48)).save(tmp_path / name / "a.png")
    with pytest.raises(ValueError, match="expected a folder with a class's name, found a label ' '; rename it"):
        folder_source.load("train", tmp_path, spec=dataset.FER2013)
