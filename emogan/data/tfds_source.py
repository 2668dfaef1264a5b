"""Any TFDS data set of labelled images that is prepared as array_record, read without TensorFlow."""

import contextlib
import pathlib
import re
import zlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from PIL import Image

from emogan.data import dataset, pictures

# Which split of a data set answers for each of our names: the first that it has. Where a data set has no
# validation split, its `test` answers for `valid` and `public` too.
_SPLITS = {
    "train": ("train",),
    "valid": ("valid", "public", "validation", "val", "test"),
    "public": ("public", "validation", "valid", "val", "test"),
    "private": ("private", "test"),
    "test": ("test",),
}
_NAME = re.compile(r"(?P<name>\w+)(/(?P<config>\w[\w.\-+]*))?(:(?P<version>\d+\.\d+\.\d+))?", re.ASCII)
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_FORMAT = "array_record"


def load(
    name: str,
    split: str,
    data_dir: str | pathlib.Path | None = None,
    *,
    spec: dataset.ImageSpec,
    progress: Callable[[int, int], None] | None = None,
) -> dataset.Dataset:
    """Returns one split of the TFDS data set `name[/config][:version]` as images of a spec with its class names.

    It has to be prepared as array_record under `data_dir` (TFDS's own folder if None). The first of its features
    that is an image and the first that is a ClassLabel count, those of its supervised keys before others. For a
    gray spec, colour becomes luminance; what is not square loses its longer sides' ends, and is then resized with
    antialiasing.
    A `split` is one of the data set's own or one of ours: 'valid' and 'public' are its validation split, else its
    test split; 'private' is its test split. `progress` takes (done, total) images.

    Raises:
      FileNotFoundError: if the data set is not prepared under `data_dir`.
      ValueError: if it is in another file format, has no image, no ClassLabel or no such split, or an example
        has no label.
    """
    # Imported here, since it is slow and no other data set needs it.
    import tensorflow_datasets as tfds

    folder = _find(name, pathlib.Path(data_dir if data_dir is not None else tfds.core.constants.DATA_DIR))
    builder = _open(tfds, folder)
    formats = {file_format.value for file_format in builder.info.available_file_formats()}
    if _FORMAT not in formats:
        found = ", ".join(sorted(formats)) or "none"
        raise ValueError(f"{folder}: expected file format {_FORMAT}, found {found}; {_how_to_prepare(name)}")
    image_key, label_key = _features(tfds, builder.info, folder)
    source_split = _choose_split(split, list(builder.info.splits), folder)
    class_names = tuple(builder.info.features[label_key].names)
    where = f"{folder} split {source_split!r}"
    with _blaming_files(where):
        source = builder.as_data_source(source_split, file_format=_FORMAT)
        total = len(source)
    if total > dataset.MOST_FACES:  # as the files say, before there is room for so many
        raise ValueError(
            f"{where}: expected at most {dataset.MOST_FACES:,} examples, found {total:,}; use a smaller split"
        )
    examples = _examples(source, image_key, label_key, where)
    images, labels = _read(examples, total, len(class_names), where, progress, spec)
    return dataset.Dataset(images, labels, name=f"tfds:{name}", split=split, class_names=class_names)


def _open(tfds, folder: pathlib.Path):
    from google.protobuf import json_format

    try:
        return tfds.builder_from_directory(str(folder))
    except (json_format.ParseError, ValueError, KeyError, OSError) as e:
        raise ValueError(
            f"{folder}: expected a data set that TFDS can read, found: {_first_line(e)}; prepare it again"
        ) from e


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


@contextlib.contextmanager
def _blaming_files(where: str) -> Iterator[None]:
    """Turns what TFDS, array_record and Pillow raise over files that are gone, cut or altered into one line."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, IndexError, OSError, SyntaxError, zlib.error) as e:
        raise ValueError(f"{where}: expected whole {_FORMAT} files, found: {_first_line(e)}; prepare it again") from e


def _examples(source, image_key: str, label_key: str, where: str) -> Iterator[tuple[np.ndarray, int]]:
    with _blaming_files(where):
        for example in source:
            yield example[image_key], example[label_key]


def _read(
    examples: Iterable[tuple[np.ndarray, int]],
    total: int,
    num_classes: int,
    where: str,
    progress: Callable[[int, int], None] | None,
    spec: dataset.ImageSpec,
) -> tuple[np.ndarray, np.ndarray]:
    images = np.empty((total, *spec.byte_shape), np.uint8)
    labels = np.empty(total, np.int32)
    for index, (image, label) in enumerate(examples):
        if not 0 <= label < num_classes:
            expected = f"expected a label in 0..{num_classes - 1}"
            raise ValueError(f"{where} example {index}: {expected}, found {label}; use a split with labels")
        images[index], labels[index] = _square(np.asarray(image), f"{where} example {index}", spec), label
        if progress is not None and ((index + 1) % 256 == 0 or index + 1 == total):
            progress(index + 1, total)
    return images, labels


def _find(name: str, data_dir: pathlib.Path) -> pathlib.Path:
    """Returns the folder of a prepared data set: data_dir/name[/config]/version, the newest unless one is named."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"expected a TFDS name such as mnist, name/config or name:1.0.0, found {name!r}")
    root = data_dir / match["name"]
    parent = root / match["config"] if match["config"] else root
    if not _versions(parent) and not match["config"] and root.is_dir():
        configs = sorted(p.name for p in root.iterdir() if p.is_dir() and _versions(p))
        if len(configs) > 1:
            raise ValueError(f"{root}: expected one config, found {', '.join(configs)}; name one: {name}/{configs[0]}")
        if configs:
            parent = root / configs[0]
    versions = _versions(parent)
    if match["version"]:
        versions = [p for p in versions if p.name == match["version"]]
    if not versions:
        raise FileNotFoundError(f"{parent}: expected TFDS data set {name!r}, found none; {_how_to_prepare(name)}")
    return versions[-1]


def _versions(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the prepared versions in a folder, oldest first."""
    if not folder.is_dir():
        return []
    found = [p for p in folder.iterdir() if _VERSION.fullmatch(p.name) and (p / "dataset_info.json").is_file()]
    return sorted(found, key=lambda p: tuple(map(int, p.name.split("."))))


def _how_to_prepare(name: str) -> str:
    call = f"tfds.builder({name!r}, data_dir=..., file_format={_FORMAT!r}).download_and_prepare()"
    return f"prepare it with {call}, and check data_dir"


def _features(tfds, info, folder: pathlib.Path) -> tuple[str, str]:
    preferred = [key for key in (info.supervised_keys or ()) if isinstance(key, str)]
    keys = sorted(info.features, key=lambda key: (key not in preferred, key))
    image = next((key for key in keys if _is_image(tfds, info.features[key])), None)
    label = next((key for key in keys if isinstance(info.features[key], tfds.features.ClassLabel)), None)
    found = ", ".join(f"{key} ({type(info.features[key]).__name__})" for key in sorted(info.features))
    if image is None:
        raise ValueError(f"{folder}: expected a feature that is an image, found {found}; use another data set")
    if label is None:
        raise ValueError(f"{folder}: expected a feature that is a ClassLabel, found {found}; use another data set")
    return image, label


def _is_image(tfds, feature) -> bool:
    if isinstance(feature, tfds.features.Image):
        return True
    if type(feature) is not tfds.features.Tensor or feature.np_dtype != np.uint8:
        return False
    shape = feature.shape
    return len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3))


def _choose_split(split: str, available: list[str], folder: pathlib.Path) -> str:
    wanted = (split, *_SPLITS.get(split, ()))
    found = next((candidate for candidate in wanted if candidate in available), None)
    if found is None:
        raise ValueError(f"{folder}: expected split {split!r}, found {', '.join(available)}; ask for one of these")
    return found


def _square(image: np.ndarray, where: str, spec: dataset.ImageSpec) -> np.ndarray:
    """Returns an image uint8 [H, W] or [H, W, 1|3|4] as uint8 [S, S(, 3)]."""
    if image.dtype != np.uint8:
        raise ValueError(f"{where}: expected an image of 8 bits a channel, found {image.dtype}; convert the data set")
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.shape == spec.byte_shape:
        return image
    return pictures.square(Image.fromarray(image), spec)
