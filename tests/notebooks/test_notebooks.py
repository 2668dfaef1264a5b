"""The notebooks run from a fresh kernel, on small settings."""

import pathlib

import nbclient
import nbformat
import pytest

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((pathlib.Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))

# For each notebook: settings that follow its own, how many pictures come out, and a last cell.
TINY = "FACES, WIDTH, EPOCHS, WORKDIR = 128, 2, 1, pathlib.Path('run')"
STUDY = "devices=(2,), batch_sizes=(4,), modes=('pmap',), scaling=('strong',), width=2, rounds=2, steps=1"
STORED = NOTEBOOKS[0].parents[1] / "docs" / "results" / "scaling_cpu.json"
CASES = {
    "quickstart": (f"{TINY}\nLONG_RUN = pathlib.Path('none')", 4, ""),
    # It takes the model that quickstart trained.
    "explore": (
        f"{TINY}\nMODEL, OFFERED, AMONG = 'none', 4, 16",
        3,
        """
seen = [shown.value]
for widget, value in ((emotion, "sad"), (intensity, 0.5), (who, "drawn 2")):
    widget.value = value
    seen.append(shown.value)
assert len(set(seen)) == 4
import datetime
given = {"name": "face.png", "type": "image/png", "size": 0, "last_modified": datetime.datetime.now()}
upload.value = [given | {"content": memoryview(images.to_png(people["drawn 3"]))}]
assert note.value == "1 faces found on face.png" and who.value == "uploaded 1"
assert (people["uploaded 1"] == people["drawn 3"]).all()
upload.value = [given | {"content": memoryview(b"text")}]
assert "expected an image" in note.value, note.value
""",
    ),
    "research": ("FACES, WIDTH, STEPS, SCORED = 128, 2, 12, 64", 3, ""),
    "scaling": (f"OPTIONS = scaling_runs.Options({STUDY})\nSTORED = pathlib.Path({str(STORED)!r})", 3, ""),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all of them run, so that what one trained another finds."""
    return tmp_path_factory.mktemp("notebooks")


def test_every_notebook_is_run():
    assert {path.stem for path in NOTEBOOKS} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_notebook_runs_and_shows_its_pictures(name, folder, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder / "compiled"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    settings, count, last = CASES[name]
    notebook = nbformat.read(NOTEBOOKS[0].parent / f"{name}.ipynb", as_version=4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source += f"\n{settings}"
    notebook.cells.append(nbformat.v4.new_code_cell(last))
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}}).execute()
    pictures = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == count


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_without_output(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs"), "it holds output; clear it"
        assert not cell.get("execution_count"), "it holds execution counts; clear them"
