"""A page that runs the model in the browser: a folder for any static server, which needs nothing from another."""

import pathlib
import shutil
import tempfile
from collections.abc import Mapping
from importlib import resources
from typing import Any

from emogan.data import dataset
from emogan.edit import editor
from emogan.export import card, onnx_file, runtime
from emogan.util import files

PAGE = ("index.html", "style.css", "app.js", "pixels.js", "frame.js")  # in emogan/assets/web
MODEL, ABOUT, RUNTIME = "model.onnx", "model.json", "runtime"


def check(output: pathlib.Path) -> None:
    """Checks where the page shall be, before any work is done.

    Raises:
      ValueError: if there is something already, be it an empty folder, or a file where a folder above must be.
    """
    if output.exists() or output.is_symlink():
        raise ValueError(f"--output: expected a folder that is not there yet, found {output}")
    files.check_folder(output)


def check_model(model: editor.Editor) -> None:
    """Raises ValueError unless the page can show the model's faces."""
    if model.spec != dataset.FER2013:
        raise ValueError(
            f"expected a model of {dataset.FER2013} faces for the page, found one of {model.spec}; export jax or onnx"
        )


def write(
    content: bytes,
    model: editor.Editor,
    about: Mapping[str, Any],
    from_runtime: pathlib.Path,
    output: pathlib.Path,
) -> dict[str, int]:
    """Writes the page of a model, all of it or nothing, and returns the bytes of its files by name.

    Args:
      content: the model as `onnx_file.to_bytes` gave it.
      model: the same, live.
      about: see `card.describe`.
      from_runtime: a folder with `runtime.FILES`.
      output: the folder; `check` says which.

    Raises:
      ValueError: as `check` and `check_model` do.
    """
    check_model(model)
    check(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as temporary:
        folder = pathlib.Path(temporary) / "page"
        (folder / RUNTIME).mkdir(parents=True)
        for name in PAGE:
            files.write_bytes(folder / name, (resources.files("emogan") / "assets" / "web" / name).read_bytes())
        for name in runtime.FILES:
            shutil.copyfile(from_runtime / name, folder / RUNTIME / served(name))
        files.write_bytes(folder / MODEL, content)
        arrays = {"faces": onnx_file.FACES, "labels": onnx_file.LABELS, "edits": onnx_file.EDITS}
        files.write_json(folder / ABOUT, {**card.describe(model, about), "arrays": arrays})
        sizes = {
            str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()
        }
        folder.rename(output)
    return sizes


def served(name: str) -> str:
    """Returns a file's name on the page: not every server says that .mjs is JavaScript, and browsers insist."""
    return name.replace(".mjs", ".js")


def parts(sizes: Mapping[str, int]) -> tuple[int, int]:
    """Returns the bytes of a page beside the runtime, and those of the runtime, of what `write` gave."""
    of_runtime = sum(size for name, size in sizes.items() if name.startswith(RUNTIME))
    return sum(sizes.values()) - of_runtime, of_runtime
