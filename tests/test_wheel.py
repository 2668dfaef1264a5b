"""The wheel that `pip install` gets: what is in it, and what it does with the plain requirements only."""

import pathlib
import shutil
import subprocess
import sys
import zipfile

import PIL.Image
import pytest
from support import command_line

pytestmark = pytest.mark.slow

REPOSITORY = pathlib.Path(__file__).parents[1]
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
# What a plain installation does not bring, and what a script may try to import of it.
ABSENT = ("ml_collections", "matplotlib", "tensorflow_datasets", "tensorboardX", "skimage", "cv2", "onnx", "av")
BLOCK = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The folder in which the wheel is unpacked."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    for name in ("emogan", "experiments"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(folder / done.stdout.splitlines()[-1]) as file:
        file.extractall(folder / "installed")
    (folder / "installed" / "sitecustomize.py").write_text(BLOCK.format(absent=ABSENT))
    return folder / "installed"


def test_a_wheel_holds_what_edits_trains_and_scores_and_nothing_else(wheel):
    files = {str(path.relative_to(wheel)) for path in wheel.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    needed = ("experiments/transfer.py", "models/onednn.cc")
    assets = ("yunet.onnx", "landmarks.npz", "emogan_fer2013_flow.npz")
    for name in (*needed, *(f"assets/{one}" for one in assets)):
        assert f"emogan/{name}" in files
    for folder in ("web", "study"):
        assert {path.name for path in (REPOSITORY / "emogan" / "assets" / folder).iterdir()} <= {
            pathlib.Path(name).name for name in files if name.startswith(f"emogan/assets/{folder}/")
        }
    assert not [name for name in files if "/lab/" in name or "/tests/" in name or "benchmark" in name]
    assert {name.partition("/")[0] for name in files if "dist-info" not in name} == {"emogan", "sitecustomize.py"}


def test_a_plain_installation_edits_a_face_and_exports_a_model(wheel, tmp_path):
    command_line.write_face(tmp_path / "face.png")
    done = command_line.call(
        "edit", "face.png", "happy", "--crop=none", "--workdir=fer2013", package=wheel, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (0, "1 face, happy: wrote face_happy.png\n"), done.stderr
    done = command_line.call("export", "--workdir=fer2013", "--format=jax", package=wheel, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "emogan.jax").exists()


@pytest.mark.parametrize("command", ["train", "evaluate", "compare", "study", "figures", "audit", "model"])
def test_what_a_plain_installation_lacks_is_one_line(wheel, command, tmp_path):
    done = command_line.call(command, "--help", package=wheel, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f'error: emogan {command}: expected the package ml_collections, found none; pip install "emogan[train]"\n'
    )


def test_photographs_need_an_extra_and_say_it(wheel, tmp_path):
    PIL.Image.new("RGB", (300, 300)).save(tmp_path / "photo.jpg")
    done = command_line.call("edit", "photo.jpg", "happy", package=wheel, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.endswith('pip install "emogan[photos]"\n')
    assert len(done.stderr.splitlines()) == 1
