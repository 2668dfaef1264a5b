import io
import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from emogan import emotions
from emogan.data import dataset, tfds_builder, tfds_source

CLASSES = ("calm", "cross", "glad")


@pytest.fixture
def prepared(faces, pack, tmp_path):
    """A folder with the miniature FER2013 as a TFDS data set."""
    pack.write(tmp_path / "manual" / "fer2013.csv", faces.csv())
    tfds_builder.prepare(tmp_path / "tfds", tmp_path / "manual")
    return tmp_path / "tfds"


def prepare(folder, name, features, splits, file_format="array_record", supervised_keys=None, config=None):
    """Prepares a TFDS data set of the given features from lists of examples."""

    def info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=supervised_keys,
            disable_shuffling=True,
        )

    members = {
        "VERSION": tfds.core.Version("1.2.0"),
        "_info": info,
        "_split_generators": lambda self, manager: {split: enumerate(examples) for split, examples in splits.items()},
        "_generate_examples": lambda self: (),
    }
    if config:
        members["BUILDER_CONFIGS"] = [tfds.core.BuilderConfig(name=config)]
    with tfds.core.registered.skip_registration():
        builder_class = type(name.title(), (tfds.core.GeneratorBasedBuilder,), {**members, "name": name})
    builder_class(data_dir=str(folder), file_format=file_format).download_and_prepare(file_format=file_format)
    return folder


def load(name, split, folder, **options):
    return tfds_source.load(name, split, folder, spec=dataset.FER2013, **options)


def png(pixels):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "png")
    content.seek(0)
    return content


def tensor(*shape):
    return tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding="zlib")


def test_round_trip_gives_the_same_arrays_and_classes(prepared, faces):
    for split in ("train", "public", "private"):
        loaded = load("fer2013", split, prepared)
        np.testing.assert_array_equal(loaded.images, faces.split(split)[0])
        np.testing.assert_array_equal(loaded.labels, faces.split(split)[1])
        assert loaded.class_names == emotions.EMOTIONS
        assert (loaded.name, loaded.split) == ("tfds:fer2013", split)


@pytest.mark.parametrize("form", ["png_folders", "competition_zip_with_csv"])
def test_builder_reads_other_forms_and_keeps_the_features(form, faces, pack, tmp_path):
    pack.forms[form](faces, tmp_path / "manual")
    builder = tfds_builder.prepare(tmp_path / "tfds", tmp_path / "manual")
    source = builder.as_data_source("public")
    images, labels = faces.split("public")
    for example, image, label in zip(source, images, labels, strict=True):
        np.testing.assert_array_equal(example["image"], image[..., None])
        assert example["label"] == label
    assert tuple(builder.info.features["label"].names) == emotions.EMOTIONS


def test_builder_refuses_what_the_parser_refuses_and_leaves_nothing(faces, pack, tmp_path):
    pack.write(tmp_path / "manual" / "fer2013.csv", faces.csv().replace(b"Training", b"Trainee", 1))
    with pytest.raises(ValueError, match="row 2: expected Usage Training, PublicTest or PrivateTest, found 'Trainee'"):
        tfds_builder.prepare(tmp_path / "tfds", tmp_path / "manual")
    assert not list((tmp_path / "tfds").rglob("*.array_record*"))
    with pytest.raises(FileNotFoundError, match="expected FER2013"):
        tfds_builder.prepare(tmp_path / "tfds", tmp_path / "tfds")
    with pytest.raises(FileNotFoundError, match="expected TFDS data set 'fer2013', found none; prepare it with"):
        load("fer2013", "train", tmp_path / "tfds")


def test_colour_images_become_luminance_of_48_by_48_with_their_own_classes(tmp_path):
    colours = [(255, 0, 0), (0, 255, 0), (10, 10, 10)]
    examples = [
        {"picture": png(np.full((60, 80, 3), colour, np.uint8)), "mood": label} for label, colour in enumerate(colours)
    ]
    features = {"picture": tfds.features.Image(), "mood": tfds.features.ClassLabel(names=list(CLASSES))}
    prepare(tmp_path, "moods", features, {"train": examples})
    loaded = load("moods", "train", tmp_path)
    assert loaded.class_names == CLASSES
    assert loaded.labels.tolist() == [0, 1, 2]
    # ITU-R 601: 0.299 R + 0.587 G + 0.114 B.
    for image, luminance in zip(loaded.images, (76, 150, 10), strict=True):
        np.testing.assert_array_equal(image, np.full((48, 48), luminance, np.uint8))


def test_resizing_is_antialiased_and_keeps_the_middle(tmp_path):
    stripes = np.zeros((96, 192), np.uint8)
    stripes[:, 48:144:2] = 255
    features = {"image": tensor(96, 192), "label": tfds.features.ClassLabel(names=list(CLASSES))}
    prepare(tmp_path, "stripes", features, {"train": [{"image": stripes, "label": 1}]})
    (image,) = load("stripes", "train", tmp_path).images
    # Stripes of one pixel at half the size are gray; the black ends of the longer side are gone.
    assert image[:, 2:-2].min() > 100
    assert image[:, 2:-2].max() < 155
    assert image.min() > 60


def test_our_split_names_find_the_data_sets_own(tmp_path):
    features = {"image": tensor(48, 48, 1), "label": tfds.features.ClassLabel(names=list(CLASSES))}
    numbers = {"train": 1, "validation": 2, "test": 3}
    splits = {
        split: [{"image": np.full((48, 48, 1), number, np.uint8), "label": 0}] for split, number in numbers.items()
    }
    prepare(tmp_path, "three", features, splits)
    del splits["validation"]
    prepare(tmp_path, "two", features, splits)
    for name, expected in (
        ("three", {"train": 1, "valid": 2, "public": 2, "validation": 2, "private": 3, "test": 3}),
        ("two", {"train": 1, "valid": 3, "public": 3, "private": 3, "test": 3}),
    ):
        for split, number in expected.items():
            assert load(name, split, tmp_path).images.flat[0] == number
    with pytest.raises(ValueError, match=r"two/1.2.0: expected split 'dev', found train, test; ask for one of these"):
        load("two", "dev", tmp_path)


def test_more_examples_than_there_is_room_for_are_refused_before_they_are_read(prepared):
    (about,) = prepared.rglob("dataset_info.json")
    found = json.loads(about.read_text())
    for split in found["splits"]:
        split["shardLengths"] = ["14000000000000"]
    about.write_text(json.dumps(found))
    with pytest.raises(ValueError, match="expected at most 250,000 examples, found 14,000,000,000,000; use a smaller"):
        load("fer2013", "train", prepared)


def test_supervised_keys_come_before_other_features(tmp_path):
    features = {
        "a_picture": tensor(48, 48, 1),
        "a_label": tfds.features.ClassLabel(num_classes=2),
        "face": tensor(48, 48, 1),
        "mood": tfds.features.ClassLabel(names=list(CLASSES)),
    }
    black, white = np.zeros((48, 48, 1), np.uint8), np.full((48, 48, 1), 255, np.uint8)
    examples = [{"a_picture": black, "a_label": 0, "face": white, "mood": 2}]
    prepare(tmp_path, "both", features, {"train": examples}, supervised_keys=("face", "mood"))
    loaded = load("both", "train", tmp_path)
    assert (loaded.images.min(), loaded.labels.tolist(), loaded.class_names) == (255, [2], CLASSES)


def test_config_and_version_are_found_by_name(tmp_path):
    features = {"image": tensor(48, 48, 1), "label": tfds.features.ClassLabel(names=list(CLASSES))}
    for number, config in enumerate(("large", "small")):
        examples = [{"image": np.full((48, 48, 1), number, np.uint8), "label": 0}]
        prepare(tmp_path, "sized", features, {"train": examples}, config=config)
    for name, number in (("sized/large", 0), ("sized/small", 1), ("sized/small:1.2.0", 1)):
        assert load(name, "train", tmp_path).images.max() == number
    with pytest.raises(ValueError, match="expected one config, found large, small; name one: sized/large"):
        load("sized", "train", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"expected TFDS data set 'sized/small:2.0.0', found none"):
        load("sized/small:2.0.0", "train", tmp_path)
    for name in ("../sized", "sized/../../x", "", "a b"):
        with pytest.raises(ValueError, match="expected a TFDS name such as"):
            load(name, "train", tmp_path)


def test_other_file_format_and_missing_features_are_refused(tmp_path):
    label = tfds.features.ClassLabel(names=list(CLASSES))
    folder = prepare(
        tmp_path, "text", {"text": tfds.features.Text(), "label": label}, {"train": [{"text": "a", "label": 0}]}
    )
    with pytest.raises(
        ValueError, match=r"expected a feature that is an image, found label \(ClassLabel\), text \(Text\)"
    ):
        load("text", "train", folder)
    folder = prepare(
        tmp_path, "plain", {"image": tensor(48, 48, 1)}, {"train": [{"image": np.zeros((48, 48, 1), np.uint8)}]}
    )
    with pytest.raises(ValueError, match=r"expected a feature that is a ClassLabel, found image \(Tensor\)"):
        load("plain", "train", folder)
    # Metadata is all that it takes to tell the format.
    file = folder / "plain" / "1.2.0" / "dataset_info.json"
    file.write_text(file.read_text().replace("array_record", "tfrecord"))
    with pytest.raises(ValueError, match="expected file format array_record, found tfrecord; prepare it with"):
        load("plain", "train", folder)
    file.write_text("{")
    with pytest.raises(ValueError, match="expected a data set that TFDS can read, found"):
        load("plain", "train", folder)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:99] + b"?" + b[100:]])
def test_damaged_record_file_is_refused(prepared, damage):
    (file,) = prepared.rglob("*train.array_record*")
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ValueError, match=r"1.0.0 split 'train': expected whole array_record files, found: .+; prepare"):
        load("fer2013", "train", prepared)


def test_examples_without_label_are_refused(tmp_path):
    features = {"image": tensor(48, 48, 1), "label": tfds.features.ClassLabel(names=list(CLASSES))}
    examples = [{"image": np.zeros((48, 48, 1), np.uint8), "label": label} for label in (1, -1)]
    prepare(tmp_path, "open", features, {"test": examples})
    with pytest.raises(ValueError, match=r"split 'test' example 1: expected a label in 0..2, found -1; use a split"):
        load("open", "test", tmp_path)


def test_progress_rises_to_the_whole(prepared):
    calls = []
    load("fer2013", "train", prepared, progress=lambda *call: calls.append(call))
    assert calls == [(14, 14)]
