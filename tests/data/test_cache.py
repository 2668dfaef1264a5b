import hashlib
import json
import os
import zipfile

import numpy as np
import pytest

from emogan.data import cache, fer2013

KEY = "k" * 64


def load(path, cache_dir, split="train", **options):
    """Returns a split, and whether it was read from the source."""
    calls = []
    faces = fer2013.load(split, path, cache_dir=cache_dir, progress=lambda *call: calls.append(call), **options)
    return faces, bool(calls)


def only_file(folder):
    (file,) = folder.iterdir()
    return file


def test_stored_arrays_come_back(tmp_path):
    file = tmp_path / "new" / "a.npz"
    arrays = {"images": np.arange(12, dtype=np.uint8).reshape(3, 4), "labels": np.array([1, 2], np.int32)}
    cache.store(file, KEY, {"rows": 3}, arrays)
    assert cache.read_metadata(file, KEY) == {"rows": 3, "key": KEY}
    for name, array in arrays.items():
        found = cache.read_array(file, name)
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
    assert cache.read_metadata(file, "another") is None
    assert cache.read_array(file, "another") is None
    assert cache.read_metadata(tmp_path / "none.npz", KEY) is None


@pytest.mark.parametrize("place", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_altered_or_cut_file_is_never_read(tmp_path, place):
    file = tmp_path / "a.npz"
    images = np.random.default_rng(0).integers(0, 256, 5000, np.uint8)
    cache.store(file, KEY, {}, {"images": images})
    whole = file.read_bytes()
    index = int(place * len(whole))

    file.write_bytes(whole[:index])
    assert cache.read_metadata(file, KEY) is None
    assert cache.read_array(file, "images") is None

    file.write_bytes(whole[:index] + bytes([whole[index] ^ 255]) + whole[index + 1 :])
    found = cache.read_array(file, "images")
    assert found is None or np.array_equal(found, images)


def test_altered_byte_of_an_array_is_noticed(tmp_path):
    file = tmp_path / "a.npz"
    cache.store(file, KEY, {}, {"images": np.zeros(5000, np.uint8)})
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] = 1
    file.write_bytes(whole)
    assert cache.read_metadata(file, KEY) is not None
    assert cache.read_array(file, "images") is None


def test_pickles_are_not_read(tmp_path):
    file = tmp_path / "a.npz"
    np.savez(file, images=np.array([{"a": 1}], object))
    assert cache.read_array(file, "images") is None


def test_store_that_fails_leaves_the_old_file(tmp_path):
    file = tmp_path / "a.npz"
    cache.store(file, KEY, {}, {"images": np.zeros(3)})
    before = file.read_bytes()

    class Unwritable:
        def __array__(self, *args, **kwargs):
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        cache.store(file, KEY, {}, {"images": Unwritable()})
    assert only_file(tmp_path).read_bytes() == before


def test_second_read_of_every_form_comes_from_the_cache(any_form, faces, tmp_path):
    for expected in (True, False, False):
        for split in ("train", "public", "private"):
            found, parsed = load(any_form, tmp_path / "cache", split)
            assert parsed == (expected and split == "train")
            np.testing.assert_array_equal(found.images, faces.split(split)[0])
            np.testing.assert_array_equal(found.labels, faces.split(split)[1])


def test_cache_keeps_the_hash_of_the_content_and_the_remarks(faces, pack, tmp_path):
    path = pack.write(tmp_path / "source" / "train.csv", faces.train_csv())
    first, second = [], []
    load(path, tmp_path / "cache", report=first.append)
    load(path, tmp_path / "cache", report=second.append)
    assert first == second
    assert len(first) == 2
    with zipfile.ZipFile(only_file(tmp_path / "cache")) as archive:
        metadata = json.loads(archive.read("metadata.npy")[128:])
    assert metadata["sha256"] == hashlib.sha256(faces.train_csv()).hexdigest()


def test_source_of_another_size_or_time_is_read_again(faces, pack, tmp_path):
    path = pack.write(tmp_path / "source" / "fer2013.csv", faces.csv())
    assert load(path, tmp_path / "cache")[1]
    path.write_bytes(path.read_bytes() + b"\n")
    assert load(path, tmp_path / "cache")[1]
    assert not load(path, tmp_path / "cache")[1]
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert load(path, tmp_path / "cache")[1]
    # One file a source: what is out of date does not pile up.
    only_file(tmp_path / "cache")


def test_image_that_appears_or_leaves_makes_the_cache_old(faces, tmp_path):
    folder = faces.write_folders(tmp_path / "source")
    assert len(load(folder, tmp_path / "cache")[0]) == 14
    path = next((folder / "train" / "happy").iterdir())
    path.rename(tmp_path / "away.png")
    found, parsed = load(folder, tmp_path / "cache")
    assert (len(found), parsed) == (13, True)
    (tmp_path / "away.png").rename(path)
    assert len(load(folder, tmp_path / "cache")[0]) == 14


def test_class_folder_that_empties_after_caching_is_noticed(faces, tmp_path):
    folder = faces.write_folders(tmp_path / "source")
    load(folder, tmp_path / "cache")
    (folder / "train" / "contempt").mkdir()
    with pytest.raises(ValueError, match="contempt: expected images"):
        load(folder, tmp_path / "cache")


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:3000] + b"x" + b[3001:]])
def test_damaged_cache_is_not_used_and_written_anew(faces, pack, tmp_path, damage):
    path = pack.write(tmp_path / "source" / "fer2013.csv", faces.csv())
    load(path, tmp_path / "cache")
    file = only_file(tmp_path / "cache")
    file.write_bytes(damage(file.read_bytes()))
    found, parsed = load(path, tmp_path / "cache")
    assert parsed
    np.testing.assert_array_equal(found.images, faces.split("train")[0])
    assert not load(path, tmp_path / "cache")[1]


def test_rows_skipped_before_are_refused_again_without_skip(faces, pack, tmp_path):
    content = faces.csv().replace(b"Training", b"Trainee", 1)
    path = pack.write(tmp_path / "source" / "fer2013.csv", content)
    first, second = [], []
    assert load(path, tmp_path / "cache", on_bad_row="skip", report=first.append)[1]
    assert not load(path, tmp_path / "cache", on_bad_row="skip", report=second.append)[1]
    assert first == second
    assert first[0].startswith(f"skipped 1 bad rows: {path} row 2: ")
    with pytest.raises(ValueError, match="row 2: expected Usage"):
        load(path, tmp_path / "cache")


def test_a_folder_left_out_before_is_missed_again_without_skip(faces, tmp_path):
    faces.write_folders(tmp_path / "source")
    for path in (tmp_path / "source" / "train" / "fearful").iterdir():
        path.unlink()
    assert load(tmp_path / "source", tmp_path / "cache", on_bad_row="skip")[1]
    assert not load(tmp_path / "source", tmp_path / "cache", on_bad_row="skip")[1]
    with pytest.raises(ValueError, match="expected images"):
        load(tmp_path / "source", tmp_path / "cache")


def test_unwritable_cache_is_no_cache_and_said(faces, pack, tmp_path):
    path = pack.write(tmp_path / "source" / "fer2013.csv", faces.csv())
    blocked = pack.write(tmp_path / "file", b"") / "cache"
    remarks = []
    found, parsed = load(path, blocked, report=remarks.append)
    assert parsed
    np.testing.assert_array_equal(found.images, faces.split("train")[0])
    assert remarks[-1].startswith(f"no cache: {blocked} cannot be written (")


def test_source_that_changes_while_it_is_read_is_not_cached(faces, pack, tmp_path):
    path = pack.write(tmp_path / "source" / "fer2013.csv", faces.csv())

    def change(done, total):
        os.utime(path, ns=(1, 1))

    fer2013.load("train", path, cache_dir=tmp_path / "cache", progress=change)
    assert not (tmp_path / "cache").exists()
