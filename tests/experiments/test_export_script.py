"""experiments/export.py: each format from a run's folder, and what is wrong in one line."""

import numpy as np
import onnxruntime
import pytest

import emogan
import emogan.export
from emogan.data import toyfaces
from emogan.export import runtime, web

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def faces():
    return toyfaces.load("train", count=100).images


def test_files_give_the_runs_pictures(call_script, trained_workdir, faces, tmp_path):
    labels = np.arange(100, dtype=np.int32) % 7
    live = emogan.load(trained_workdir)
    live = live.decode(live.encode(faces), labels)
    for kind in ("jax", "onnx"):
        path = tmp_path / f"emogan.{kind}"
        done = call_script("export.py", f"--workdir={trained_workdir}", f"--format={kind}", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        compared, wrote = done.stdout.splitlines()
        assert compared.startswith("100 faces: within ")
        assert wrote == f"wrote {path.name} ({path.stat().st_size / 1e6:.2f} MB)"
    portable = emogan.export.load(tmp_path / "emogan.jax")
    assert portable.about["card"]["data"]["name"] == "toyfaces"
    np.testing.assert_allclose(portable(faces, labels), live, atol=1e-5)
    session = onnxruntime.InferenceSession(tmp_path / "emogan.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"faces": faces, "labels": labels})[0], live, atol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["emogan.jax", "emogan.onnx"]


def test_a_page_is_a_folder_with_all_it_needs(call_script, trained_workdir, tmp_path):
    (tmp_path / "dist").mkdir()
    for name in runtime.FILES:
        (tmp_path / "dist" / name).write_text(name)
    flags = [f"--workdir={trained_workdir}", "--format=web", "--output=page", "--runtime=dist"]
    done = call_script("export.py", *flags, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "wrote page (" in done.stdout
    assert {path.name for path in (tmp_path / "page").iterdir()} == {
        *web.PAGE,
        web.MODEL,
        web.DETECTOR,
        web.ABOUT,
        web.RUNTIME,
    }
    again = call_script("export.py", *flags, cwd=tmp_path)
    expected = "error: --output: expected a folder that is not there yet, found page\n"
    assert (again.returncode, again.stdout, again.stderr) == (2, "", expected)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--format=jax", "--workdir=absent"],
            "absent: expected fer2013 or fer2013-flow, the folder of a finished run, or a model's .npz, found none; ",
        ),
        (
            ["--format=jax", "--output=absent/a.jax"],
            "--output: expected a file in a folder that exists, found absent/a",
        ),
        (["--format=onnx", "--output=."], "--output: expected a file in a folder that exists, found ."),
        (["--format=onnx", "--output="], "--output: expected a file in a folder that exists, found ."),
        (["--format=web", "--output="], "--output: expected a folder that is not there yet, found ."),
        (["--format=web", "--runtime=absent"], "absent: expected ort.wasm.min.mjs, "),
        (["--format=torch"], "flag --format=torch: value should be one of <jax|onnx|web>"),
    ],
)
def test_what_is_wrong_ends_in_one_line_and_status_2(call_script, tmp_path, flags, message):
    done = call_script("export.py", "--workdir=run", *flags, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
