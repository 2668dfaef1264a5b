import io
import pathlib
import re
import tarfile

import numpy as np
import pytest
from PIL import Image

from emogan.data import fer2013

ARCHIVE = pathlib.Path(__file__).parents[2] / "../shared/data/fer2013/fer2013-train-public.tar.xz"


def same(found, expected):
    images, labels = expected
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_array_equal(found.labels, labels)


def row(faces, index=0, **changes):
    """Returns a line of fer2013.csv, with fields changed."""
    fields = {
        "emotion": str(faces.labels[index]),
        "pixels": " ".join(map(str, faces.images[index].ravel())),
        "usage": "Training",
    }
    return ",".join((fields | changes).values())


def with_row(faces, line, number=5):
    """Returns fer2013.csv with another line as row `number`; the header is row 1."""
    lines = faces.csv().decode().splitlines()
    lines[number - 1] = line
    return "\n".join(lines).encode()


def refused(split, path, **options):
    """Returns the one line in which `load` refuses."""
    with pytest.raises(ValueError, match=r"expected .* found ") as caught:
        fer2013.load(split, path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_form_gives_the_same_arrays(any_form, faces):
    for split in ("train", "public", "private"):
        loaded = fer2013.load(split, any_form)
        same(loaded, faces.split(split))
        assert (loaded.name, loaded.split) == ("fer2013", split)


def test_every_form_tells_its_splits(any_form):
    assert fer2013.available_splits(any_form) == {"train": 14, "public": 7, "private": 7}


def test_load_all_gives_what_load_gives(faces, pack, tmp_path):
    splits = fer2013.load_all(pack.forms["csv_file"](faces, tmp_path))
    assert list(splits) == ["train", "public", "private"]
    for split, loaded in splits.items():
        same(loaded, faces.split(split))


def test_jpg_folders_give_what_pillow_decodes(faces, tmp_path):
    faces.write_folders(tmp_path, suffix="jpg")
    loaded = fer2013.load("train", str(tmp_path))
    decoded = [np.asarray(Image.open(p)) for p in sorted(tmp_path.glob("train/*/*"), key=lambda p: p.name)]
    same(loaded, (np.stack(decoded), faces.split("train")[1]))
    assert not np.array_equal(loaded.images, faces.split("train")[0])


def test_folders_that_do_not_tell_the_tests_apart_give_one_split_test(faces, tmp_path):
    faces.write_folders(tmp_path, tell=False)
    remarks = []
    loaded = fer2013.load("test", tmp_path, report=remarks.append)
    images = np.concatenate([faces.split("public")[0], faces.split("private")[0]])
    labels = np.concatenate([faces.split("public")[1], faces.split("private")[1]])
    same(loaded, (images, labels))
    same(fer2013.load("train", tmp_path), faces.split("train"))
    expected = f"{tmp_path}/test gives one split `test`: its file names do not distinguish PublicTest from PrivateTest"
    assert expected in remarks
    assert fer2013.available_splits(tmp_path) == {"train": 14, "test": 14}
    found = f"{tmp_path}: expected split 'public', found train, test; ask for a split that is there"
    assert refused("public", tmp_path).startswith(found)


def test_one_untold_file_is_enough_for_one_split_test(faces, tmp_path):
    faces.write_folders(tmp_path)
    path = next((tmp_path / "test" / "happy").glob("PublicTest_*"))
    path.rename(path.with_name("im_1.png"))
    assert fer2013.available_splits(tmp_path) == {"train": 14, "test": 14}


def test_train_csv_says_that_it_gives_training_only(faces, pack, tmp_path):
    path = pack.write(tmp_path / "train.csv", faces.train_csv())
    remarks = []
    same(fer2013.load("train", path, report=remarks.append), faces.split("train"))
    assert remarks[0] == f"{path} gives Training only: it has no Usage column"
    assert remarks[1] == f"{path} gives 14 train; FER2013 has 28709 train, 3589 public, 3589 private"
    found = f"{path}: expected split 'private', found train; ask for a split that is there"
    assert refused("private", path).startswith(found)


def test_labelled_test_csv_without_usage_is_one_split_test(faces, pack, tmp_path):
    path = pack.write(tmp_path / "test.csv", faces.csv(("emotion", "pixels"), range(14, 28)))
    assert fer2013.available_splits(path) == {"test": 14}


@pytest.mark.parametrize("zipped", [False, True])
def test_unlabelled_test_csv_is_refused(faces, pack, tmp_path, zipped):
    members = {"train.csv": faces.train_csv(), "test.csv": faces.test_csv()}
    if zipped:
        source = pack.write(tmp_path / "fer2013.zip", pack.zipped(members))
        where = f"{source}: test.csv"
    else:
        for name, content in members.items():
            pack.write(tmp_path / name, content)
        source, where = tmp_path, f"{tmp_path}/test.csv"
    same(fer2013.load("train", source), faces.split("train"))
    assert refused("test", source) == (
        f"{source}: expected split 'test', found train; {where} has no emotion column and so no labels: "
        "use fer2013.csv or icml_face_data.csv"
    )


def test_unlabelled_test_csv_alone_is_refused_for_every_split(faces, pack, tmp_path):
    path = pack.write(tmp_path / "test.csv", faces.test_csv())
    for split in fer2013.SPLITS:
        assert f"expected split {split!r}, found no labelled faces; {path} has no emotion column" in refused(
            split, path
        )
    with pytest.raises(ValueError, match="has no emotion column and so no labels"):
        fer2013.load_all(path)


def test_what_lies_beside_the_form_that_is_read_is_said(faces, pack, tmp_path):
    faces.write_folders(tmp_path)
    pack.write(tmp_path / "fer2013.csv", faces.csv())
    pack.write(tmp_path / "train.csv", faces.train_csv())
    pack.write(tmp_path / "test.csv", faces.test_csv())
    remarks = []
    fer2013.load("train", tmp_path, report=remarks.append)
    assert remarks[0] == f"reading {tmp_path}/fer2013.csv; next to it there are image folders, train.csv, test.csv"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pixels": "1 2 3"}, "expected 2304 pixels, found 3"),
        ({"pixels": " ".join(["7"] * 2305)}, "expected 2304 pixels, found 2305"),
        ({"pixels": ""}, "expected 2304 pixels, found 0"),
        ({"pixels": "0 256" + " 0" * 2302}, "expected pixels as integers in 0..255, found '256' as pixel 1"),
        ({"pixels": "9" * 30 + " 0" * 2303}, f"found '{'9' * 24}...' as pixel 0"),
        ({"pixels": "0 -1" + " 0" * 2302}, "expected pixels as integers in 0..255, found '-1' as pixel 1"),
        ({"pixels": "0 1.5" + " 0" * 2302}, "expected pixels as integers in 0..255, found '1.5' as pixel 1"),
        ({"pixels": "0 1e1" + " 0" * 2302}, "expected pixels as integers in 0..255, found '1e1' as pixel 1"),
        ({"pixels": "0 nan" + " 0" * 2302}, "expected pixels as integers in 0..255, found 'nan' as pixel 1"),
        ({"emotion": "7"}, "expected a label in 0..6 or an emotion's name, found '7'"),
        ({"emotion": "-1"}, "expected a label in 0..6 or an emotion's name, found '-1'"),
        ({"emotion": "joy"}, "expected a label in 0..6 or an emotion's name, found 'joy'"),
        ({"usage": "Validation"}, "expected Usage Training, PublicTest or PrivateTest, found 'Validation'"),
        ({"usage": "Training,1"}, "expected 3 columns, found 4"),
    ],
)
def test_bad_row_is_named_with_file_row_and_value(faces, pack, tmp_path, changes, message):
    path = pack.write(tmp_path / "fer2013.csv", with_row(faces, row(faces, **changes)))
    line = refused("train", path)
    assert line.startswith(f"{path} row 5: ")
    assert f"{message}; repair it, or leave such rows out with --on_bad_row=skip" in line


def test_csv_that_ends_within_a_row_is_refused(faces, pack, tmp_path):
    path = pack.write(tmp_path / "fer2013.csv", faces.csv()[:-4000])
    assert refused("train", path).startswith(f"{path} row 29: expected 3 columns, found 2")


def test_bad_row_in_an_archive_is_named_with_archive_and_member(faces, pack, tmp_path):
    bad = with_row(faces, row(faces, emotion="9"), number=8)
    inner = pack.tar({"fer2013/fer2013.csv": bad}, "w:gz")
    path = pack.write(tmp_path / "fer2013.zip", pack.zipped({"fer2013.tar.gz": inner}))
    found = (
        f"{path}: fer2013.tar.gz: fer2013/fer2013.csv row 8: expected a label in 0..6 or an emotion's name, found '9'"
    )
    assert refused("train", path).startswith(found)


def test_skip_leaves_out_bad_rows_and_counts_them(faces, pack, tmp_path):
    lines = faces.csv().decode().splitlines()
    for number in (2, 4, 6, 8):
        lines[number - 1] = row(faces, emotion="9")
    path = pack.write(tmp_path / "fer2013.csv", "\n".join(lines).encode())
    remarks = []
    loaded = fer2013.load("train", path, on_bad_row="skip", report=remarks.append)
    images, labels = faces.split("train")
    kept = [index for index in range(14) if index not in (0, 2, 4, 6)]
    same(loaded, (images[kept], labels[kept]))
    problem = "expected a label in 0..6 or an emotion's name, found '9'"
    shown = "; ".join(f"{path} row {number}: {problem}" for number in (2, 4, 6))
    assert remarks[0] == f"skipped 4 bad rows: {shown}; and 1 more"


def test_missing_columns_are_named(faces, pack, tmp_path):
    path = pack.write(tmp_path / "fer2013.csv", b"id,face,what\n1,2,3\n")
    expected = f"{path}: expected columns emotion, pixels and Usage in its first row, found 'id', 'face', 'what'"
    assert refused("train", path) == expected
    path = pack.write(tmp_path / "fer2013.csv", faces.csv().partition(b"\n")[2])
    assert "expected columns emotion, pixels and Usage in its first row, found " in refused("train", path)


def test_csv_without_rows_is_refused(pack, tmp_path):
    path = pack.write(tmp_path / "fer2013.csv", b"emotion,pixels,Usage\n")
    assert refused("train", path).startswith(f"{path}: expected split 'train', found no labelled faces")


def test_unreadable_and_wrongly_sized_images_are_named(faces, tmp_path):
    faces.write_folders(tmp_path)
    first, second, third, *_ = sorted((tmp_path / "train").glob("*/*"))
    whole = {path: path.read_bytes() for path in (first, second, third)}

    first.write_bytes(b"no picture")
    line = refused("train", tmp_path)
    assert line.startswith(f"{first}: expected a 48x48 image, found a file that is no image; repair it")

    first.write_bytes(whole[first][:600])
    assert refused("train", tmp_path).startswith(f"{first}: expected a 48x48 image, found image file is truncated")

    Image.fromarray(np.zeros((48, 50), np.uint8)).save(first)
    assert refused("train", tmp_path).startswith(f"{first}: expected a 48x48 image, found 50x48; ")

    Image.fromarray(np.zeros((48, 48), np.uint16)).save(first)
    assert refused("train", tmp_path).startswith(f"{first}: expected a 48x48 image, found Pillow mode I;16")

    second.write_bytes(b"")
    remarks = []
    assert len(fer2013.load("train", tmp_path, on_bad_row="skip", report=remarks.append)) == 12
    assert remarks[0].startswith(f"skipped 2 bad rows: {first}: expected a 48x48 image, found Pillow mode I;16")
    assert f"{second}: expected a 48x48 image, found a file that is no image" in remarks[0]


def test_empty_class_folder_is_named(faces, tmp_path):
    faces.write_folders(tmp_path)
    for path in (tmp_path / "train" / "fearful").iterdir():
        path.unlink()
    expected = f"{tmp_path}/train/fearful: expected images (.jpg, .png) in every class folder, found none"
    assert refused("train", tmp_path).startswith(expected)
    remarks = []
    loaded = fer2013.load("train", tmp_path, on_bad_row="skip", report=remarks.append)
    assert loaded.class_counts().tolist() == [2, 2, 0, 2, 2, 2, 2]
    assert remarks[0] == f"{expected}; left out"


def test_missing_class_folder_is_named(faces, pack, tmp_path):
    members = pack.tree(faces.write_folders(tmp_path / "unpacked"))
    members = {name: content for name, content in members.items() if not name.startswith("test/sad/")}
    message = "test: expected seven class folders, found none of sad; repair it"
    for name, content in (("fer2013.zip", pack.zipped(members)), ("fer2013.tar", pack.tar(members, "w:"))):
        path = pack.write(tmp_path / name, content)
        assert refused("train", path).startswith(f"{path}: {message}")


def test_unknown_class_folder_is_named(faces, pack, tmp_path):
    faces.write_folders(tmp_path)
    pack.write(
        tmp_path / "train" / "contempt" / "Training_1.png", next((tmp_path / "train" / "sad").iterdir()).read_bytes()
    )
    names = "angry, disgusted, fearful, happy, sad, surprised, neutral"
    expected = f"{tmp_path}/train/contempt: expected an emotion out of {names}, found 'contempt'"
    assert refused("train", tmp_path).startswith(expected)
    remarks = []
    same(fer2013.load("train", tmp_path, on_bad_row="skip", report=remarks.append), faces.split("train"))
    assert remarks[0] == f"{expected}; left out"


def test_other_files_among_the_images_are_ignored_and_said(faces, pack, tmp_path):
    faces.write_folders(tmp_path)
    pack.write(tmp_path / "train" / "sad" / "notes.txt", b"")
    remarks = []
    same(fer2013.load("train", tmp_path, report=remarks.append), faces.split("train"))
    assert remarks[0] == f"{tmp_path}: ignored 1 entries that are no .jpg or .png in a class folder"


def test_folder_that_is_no_fer2013_says_what_is_there(pack, tmp_path):
    pack.write(tmp_path / "holiday.jpg", b"")
    pack.write(tmp_path / "train" / "readme.txt", b"")
    with pytest.raises(FileNotFoundError) as caught:
        fer2013.load("train", tmp_path)
    assert re.fullmatch(
        rf"{tmp_path}: expected FER2013 \(fer2013.csv, .*\), found holiday.jpg, train; point --data_dir at FER2013",
        str(caught.value),
    )


def test_path_that_does_not_exist_is_said(tmp_path):
    path = tmp_path / "nowhere"
    with pytest.raises(FileNotFoundError, match=rf"{path}: expected FER2013 .* found no such file or folder"):
        fer2013.load("train", path)


def test_file_of_another_kind_is_refused(pack, tmp_path):
    path = pack.write(tmp_path / "fer2013.npz", b"")
    assert refused("train", path).startswith(f"{path}: expected FER2013 as a .csv file, an archive (.zip, ")


@pytest.mark.parametrize(("option", "found"), [("split", "valid"), ("on_bad_row", "ignore")])
def test_unknown_options_are_refused(tmp_path, option, found):
    options = {"split": "train", "on_bad_row": "error", option: found}
    with pytest.raises(ValueError, match=rf"expected (a )?{option} out of .*, found '{found}'"):
        fer2013.load(options["split"], tmp_path, on_bad_row=options["on_bad_row"])


@pytest.mark.parametrize("name", ["fer2013.tar.gz", "fer2013.tar.xz", "fer2013.tar.bz2", "fer2013.tar", "fer2013.zip"])
@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_cut_archive_is_refused(faces, pack, tmp_path, name, part):
    members = {"fer2013.csv": faces.csv()}
    mode = {"gz": "w:gz", "xz": "w:xz", "bz2": "w:bz2", "tar": "w:"}.get(name.rpartition(".")[2])
    whole = pack.tar(members, mode) if mode else pack.zipped(members)
    if mode == "w:":
        # Beyond the last row a plain tar is padding, whose loss is none.
        whole = whole[: len(faces.csv()) + tarfile.BLOCKSIZE]
    path = pack.write(tmp_path / name, whole[: int(part * len(whole))])
    line = refused("train", path)
    assert line.startswith(f"{path}: expected a whole archive, found it cut or damaged (")
    assert line.endswith("; fetch it again")


def test_altered_gz_is_refused(faces, pack, tmp_path):
    content = bytearray(pack.tar({"fer2013.csv": faces.csv()}, "w:gz"))
    content[-8] ^= 1
    path = pack.write(tmp_path / "fer2013.tar.gz", bytes(content))
    assert refused("train", path).startswith(f"{path}: expected a whole archive, found it cut or damaged (CRC check")


def test_archive_without_fer2013_says_what_it_holds(pack, tmp_path):
    for name, content in (("a.zip", pack.zipped({"b.txt": b""})), ("a.tar", pack.tar({"b.txt": b""}, "w:"))):
        path = pack.write(tmp_path / name, content)
        assert refused("train", path).startswith(f"{path}: expected an archive that holds fer2013.csv, ")
        assert refused("train", path).endswith("found b.txt")


def test_links_and_outside_paths_in_archives_are_not_followed(faces, pack, tmp_path):
    secret = pack.write(tmp_path / "elsewhere" / "fer2013.csv", faces.csv())
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        link = tarfile.TarInfo("fer2013.csv")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        archive.addfile(link)
    path = pack.write(tmp_path / "link.tar.gz", content.getvalue())
    assert refused("train", path).endswith("found nothing that can be read")

    path = pack.write(tmp_path / "in" / "up.tar.gz", pack.tar({"../../up/fer2013.csv": faces.csv()}, "w:gz"))
    before = sorted(tmp_path.rglob("*"))
    same(fer2013.load("train", path), faces.split("train"))
    assert sorted(tmp_path.rglob("*")) == before


def test_progress_rises_to_the_whole(any_form):
    calls = []
    fer2013.load("train", any_form, progress=lambda done, total: calls.append((done, total)))
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    assert calls[-1][0] == calls[-1][1] > 0


@pytest.mark.skipif(not ARCHIVE.exists(), reason="the real FER2013 is not beside the repository")
def test_real_fer2013_has_its_known_class_counts(tmp_path):
    remarks = []
    train = fer2013.load("train", ARCHIVE, cache_dir=tmp_path, report=remarks.append)
    public = fer2013.load("public", ARCHIVE, cache_dir=tmp_path)
    assert train.class_counts().tolist() == [3995, 436, 4097, 7215, 4830, 3171, 4965]
    assert public.class_counts().tolist() == [467, 56, 496, 895, 653, 415, 607]
    assert remarks == [f"{ARCHIVE} gives 28709 train, 3589 public; FER2013 has 28709 train, 3589 public, 3589 private"]
