"""The notebooks run from a fresh kernel, on small settings."""

import pathlib

import nbclient
import nbformat

NOTEBOOK = pathlib.Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"
SMALL = "\n".join(
    (
        "FACES = 128",
        "WIDTH = 2",
        "EPOCHS = 1",
        "WORKDIR = pathlib.Path('run')",
        "LONG_RUN = pathlib.Path('none')",
    )
)


def test_quickstart_runs_and_ends_with_pictures(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source = SMALL
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": tmp_path}}).execute()
    pictures = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 4


def test_notebooks_are_committed_without_output():
    for path in NOTEBOOK.parent.glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            assert not cell.get("outputs"), f"{path.name} holds output; clear it"
