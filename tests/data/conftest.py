"""A FER2013 of 28 random faces, in every form in which the real one is handed round."""

import csv
import dataclasses
import io
import pathlib
import tarfile
import types
import zipfile

import numpy as np
import pytest
from PIL import Image

NOUNS = ("Anger", "disgust", "FEAR", "happiness", "Sadness", "surprise", "neutral")
ADJECTIVES = ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral")
USAGES = {"train": "Training", "public": "PublicTest", "private": "PrivateTest"}
ZIP_NAME = "challenges-in-representation-learning-facial-expression-recognition-challenge.zip"

# Each takes a FER2013 and an empty folder, and returns what `data_dir` may be.
FORMS = {}


def form(function):
    FORMS[function.__name__] = function
    return function


@dataclasses.dataclass(frozen=True)
class Miniature:
    """Images uint8 [28, 48, 48], labels [28], and the split of each; every split has all seven labels."""

    images: np.ndarray
    labels: np.ndarray
    splits: tuple[str, ...]

    def split(self, name):
        chosen = [index for index, split in enumerate(self.splits) if split == name]
        return self.images[chosen], self.labels[chosen].astype(np.int32)

    def csv(self, columns=("emotion", "pixels", "Usage"), indices=None, **options) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, **options)
        writer.writerow(columns)
        for index in range(len(self.labels)) if indices is None else indices:
            values = {
                "emotion": self.labels[index],
                "pixels": " ".join(map(str, self.images[index].ravel())),
                "usage": USAGES[self.splits[index]],
            }
            writer.writerow([values[column.strip().lower()] for column in columns])
        return text.getvalue().encode()

    def train_csv(self) -> bytes:
        training = [index for index, split in enumerate(self.splits) if split == "train"]
        return self.csv(("emotion", "pixels"), training, quoting=csv.QUOTE_ALL)

    def test_csv(self) -> bytes:
        rest = [index for index, split in enumerate(self.splits) if split != "train"]
        return self.csv(("pixels",), rest)

    def write_folders(self, folder, suffix="png", class_names=ADJECTIVES, tell=True, mode="L"):
        """Writes train|test/<class>/<name>; with `tell`, names begin with Training_, PublicTest_, PrivateTest_."""
        for index, (pixels, label, split) in enumerate(zip(self.images, self.labels, self.splits, strict=True)):
            name = f"{USAGES[split] if tell else 'im'}_{index:03d}.{suffix}"
            path = folder / ("train" if split == "train" else "test") / class_names[label] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).convert(mode).save(path)
        return folder


def write(path: pathlib.Path, content: bytes) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def tar(members: dict[str, bytes], mode: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def tree(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@form
def csv_file(faces, folder):
    return write(folder / "fer2013.csv", faces.csv())


@form
def csv_in_folder(faces, folder):
    return csv_file(faces, folder).parent


@form
def csv_one_folder_below(faces, folder):
    write(folder / "fer2013" / "fer2013.csv", faces.csv())
    return folder


@form
def csv_with_windows_lines_and_byte_order_mark(faces, folder):
    return write(folder / "FER2013.CSV", b"\xef\xbb\xbf" + faces.csv(lineterminator="\r\n"))


@form
def icml_csv(faces, folder):
    write(folder / "icml_face_data.csv", faces.csv(("emotion", " Usage", " pixels")))
    return folder


@form
def tar_gz(faces, folder):
    members = {"fer2013/README": b"read me", "fer2013/fer2013.csv": faces.csv(), "fer2013/fer2013.bib": b"@article"}
    write(folder / "fer2013.tar.gz", tar(members, "w:gz"))
    return folder


@form
def competition_zip_with_tar_gz(faces, folder):
    inner = tar({"fer2013/fer2013.csv": faces.csv()}, "w:gz")
    members = {"example_submission.csv": b"id,emotion", "train.csv": faces.train_csv(), "fer2013.tar.gz": inner}
    write(folder / ZIP_NAME, zipped(members))
    return folder


@form
def competition_zip_with_csv(faces, folder):
    members = {
        "__MACOSX/._icml_face_data.csv": b"litter",
        "test.csv": faces.test_csv(),
        "train.csv": faces.train_csv(),
        "icml_face_data.csv": faces.csv(("emotion", " Usage", " pixels")),
    }
    return write(folder / ZIP_NAME, zipped(members))


@form
def png_folders(faces, folder):
    return faces.write_folders(folder)


@form
def png_folders_with_nouns_and_litter(faces, folder):
    write(folder / "train" / ".DS_Store", b"litter")
    write(folder / "train" / NOUNS[0] / "._Training_000.png", b"litter")
    return faces.write_folders(folder, class_names=NOUNS)


@form
def rgb_png_folders(faces, folder):
    return faces.write_folders(folder, mode="RGB")


@form
def zip_of_png_folders(faces, folder):
    return write(folder / "archive.zip", zipped(tree(faces.write_folders(folder / "unpacked"))))


@form
def tar_xz_of_png_folders(faces, folder):
    return write(folder / "fer2013.tar.xz", tar(tree(faces.write_folders(folder / "unpacked")), "w:xz"))


@pytest.fixture
def faces() -> Miniature:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (28, 48, 48), np.uint8)
    splits = ("train",) * 14 + ("public",) * 7 + ("private",) * 7
    labels = np.concatenate([generator.permutation(7) for _ in range(4)])
    return Miniature(images, labels, splits)


@pytest.fixture(params=sorted(FORMS))
def any_form(request, faces, tmp_path) -> pathlib.Path:
    """Every form that has all of FER2013 in the same images."""
    return FORMS[request.param](faces, tmp_path / "source")


@pytest.fixture
def pack() -> types.SimpleNamespace:
    """What tests need to write forms of their own."""
    return types.SimpleNamespace(write=write, tar=tar, zipped=zipped, tree=tree, forms=FORMS)
