"""Faces from files: every colour depth, orientation and shape becomes the same 48x48 gray."""

import numpy as np
import PIL.Image
import pytest

from emogan.data import dataset
from emogan.edit import face_files


@pytest.fixture
def face():
    """uint8 [48, 48]: brighter to the right, and faster downwards."""
    rows, columns = np.mgrid[:48, :48]
    return (3 * rows + 2 * columns).astype(np.uint8)


def read(image, path, **options):
    image.save(path, **options)
    (face,) = face_files.read(path, dataset.FER2013).images
    return face.astype(int)


MODES = ["L", "LA", "RGB", "RGBA", "P", "I;16"]


@pytest.mark.parametrize(
    ("mode", "suffix"), [("CMYK", "tif"), *((mode, suffix) for mode in MODES for suffix in ("png", "tif"))]
)
def test_every_mode_gives_its_gray(face, tmp_path, mode, suffix):
    image = PIL.Image.fromarray(face)
    image = PIL.Image.fromarray(face.astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    assert np.abs(read(image, tmp_path / f"face.{suffix}") - face).max() <= (3 if mode == "P" else 1)


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_floats_up_to_1_or_255_are_gray(face, tmp_path, scale):
    image = PIL.Image.fromarray((face / 255.0 * scale).astype(np.float32))
    assert np.abs(read(image, tmp_path / "face.tif") - face).max() <= 1


def test_floats_beyond_bytes_are_refused(face, tmp_path):
    PIL.Image.fromarray(face.astype(np.float32) * 2).save(tmp_path / "face.tif")
    with pytest.raises(ValueError, match=r"face.tif: expected an image, found gray values of 0\.\.470"):
        face_files.read(tmp_path / "face.tif", dataset.FER2013)


@pytest.mark.parametrize(("colour", "luma"), [("red", 76), ("lime", 150), ("blue", 29)])
def test_colours_have_the_luma_of_itu_r_601(tmp_path, colour, luma):
    assert (read(PIL.Image.new("RGB", (60, 60), colour), tmp_path / "face.png") == luma).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_is_white(tmp_path, mode):
    assert (read(PIL.Image.new(mode, (48, 48)), tmp_path / "face.png") == 255).all()


def test_orientation_is_that_of_the_metadata(face, tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise
    assert np.array_equal(read(PIL.Image.fromarray(face), tmp_path / "face.png", exif=exif), np.rot90(face, -1))


def test_the_middle_square_is_kept_and_told(face, tmp_path):
    wide = np.pad(face, ((0, 0), (30, 10)))
    PIL.Image.fromarray(wide).save(tmp_path / "face.png")
    faces = face_files.read(tmp_path / "face.png", dataset.FER2013)
    assert np.array_equal(faces.images[0], wide[:, 20:68])
    assert faces.remarks == ("cropped 1 of 1 images to the square in their middle",)


def test_shrinking_averages(tmp_path):
    checks = (np.indices((480, 480)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert np.abs(read(PIL.Image.fromarray(checks), tmp_path / "face.png") - 127.5).max() < 2


def test_tiny_images_grow(tmp_path):
    assert (read(PIL.Image.new("L", (1, 3), 7), tmp_path / "face.png") == 7).all()


def test_a_folder_is_read_by_name_without_what_is_no_image(face, tmp_path):
    for name, value in (("b.png", 2), ("a.JPG", 1), ("c.bmp", 3)):
        PIL.Image.new("L", (48, 48), value).save(tmp_path / name)
    for name in ("a.txt", "._b.png", ".DS_Store"):
        (tmp_path / name).write_text("litter")
    (tmp_path / "folder.png").mkdir()
    seen = []
    faces = face_files.read(tmp_path, dataset.FER2013, lambda *count: seen.append(count))
    assert faces.names == ("a.JPG", "b.png", "c.bmp")
    assert faces.images[:, 0, 0].tolist() == [1, 2, 3]
    assert faces.remarks == (f"{tmp_path}: skipped 4 of 7 entries: no images",)
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_arrays_of_faces_are_kept_as_they_are(face, tmp_path):
    np.save(tmp_path / "faces.npy", np.stack([face, 255 - face]))
    faces = face_files.read(tmp_path / "faces.npy", dataset.FER2013)
    assert np.array_equal(faces.images, [face, 255 - face])
    assert faces.names == ("00000", "00001")
    assert faces.remarks == ()


def test_arrays_of_another_size_are_resized_and_told(face, tmp_path):
    np.save(tmp_path / "faces.npy", face.repeat(2, 0).repeat(2, 1)[None])
    faces = face_files.read(tmp_path / "faces.npy", dataset.FER2013)
    assert faces.images.shape == (1, 48, 48)
    assert np.abs(faces.images[0, 2:-2, 2:-2].astype(int) - face[2:-2, 2:-2]).max() <= 2
    assert faces.remarks == (f"{tmp_path / 'faces.npy'}: resized 96x96 to 48x48",)


def test_files_of_a_folder_that_cannot_be_read_are_named_and_the_others_read(tmp_path):
    for i, name in enumerate(("a.png", "c.png")):
        PIL.Image.new("L", (48, 48), 100 + i).save(tmp_path / name)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:50])
    (tmp_path / "d.png").write_bytes(b"")
    faces = face_files.read(tmp_path, dataset.FER2013)
    assert faces.names == ("a.png", "c.png")
    assert faces.images[:, 0, 0].tolist() == [100, 101]
    assert [line.partition(": ")[0] for line in faces.failed] == [str(tmp_path / name) for name in ("b.png", "d.png")]
    for name in ("a.png", "c.png"):
        (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=r"b.png: expected an image, found .* \(and 1 more files are no better\)$"):
        face_files.read(tmp_path, dataset.FER2013)


def test_faces_are_read_in_colour_and_in_the_size_that_a_model_has(tmp_path):
    spec = dataset.ImageSpec(64, 3)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "face.png")
    np.testing.assert_array_equal(face_files.read(tmp_path / "face.png", spec).images[0], pixels)
    clear = PIL.Image.fromarray(np.zeros((70, 80, 4), np.uint8))
    clear.save(tmp_path / "clear.png")
    assert (face_files.read(tmp_path / "clear.png", spec).images == 255).all()
    np.save(tmp_path / "faces.npy", np.stack([pixels.repeat(2, 0).repeat(2, 1)] * 2))
    assert face_files.read(tmp_path / "faces.npy", spec).images.shape == (2, 64, 64, 3)
    np.save(tmp_path / "gray.npy", pixels[None, ..., 0])
    with pytest.raises(ValueError, match=r"expected faces uint8 \[N, 64, 64, 3\] \(or \[N, H, W, 3\]\), found uint8"):
        face_files.read(tmp_path / "gray.npy", spec)
