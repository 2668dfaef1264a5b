"""Editors from a run's folder, from a file, or by the name of a model that ships."""

import pathlib

from emogan.edit import editor, flow_editor, kinds, model_file
from emogan.util import ranges

KINDS = {
    "dcgan": kinds.LatentEditor,
    "translator": kinds.TranslatorEditor,
    "flow": flow_editor.FlowEditor,
    "direct": kinds.DirectEditor,
}


def load(source: str | pathlib.Path = model_file.DEFAULT) -> editor.Editor:
    """Returns a trained model that edits faces.

    Args:
      source: "fer2013-flow" or "fer2013", the models that ship with emogan; the folder of a finished run; or a model's
        file. Where a run's folder has the name of a model that ships, it is the folder.

    Raises:
      FileNotFoundError: if there is neither such a file nor a finished run's.
      ValueError: if the file is no model, or damaged.
    """
    path = pathlib.Path(source)
    if str(source) in model_file.SHIPPED and not (path / model_file.FILE).exists():
        return of(model_file.shipped(str(source)))
    if path.suffix == ".npz":
        return of(model_file.read(path))
    if not (path / model_file.FILE).exists():
        known = " or ".join(model_file.SHIPPED)
        if not (path / "config.json").exists():
            raise FileNotFoundError(
                f"{path}: expected {known}, the folder of a finished run, or a model's .npz, found none; train one by "
                "emogan train --workdir=..."
            )
        raise FileNotFoundError(
            f"{path}: expected {model_file.FILE} of a finished run, found none; run emogan train with the flags of "
            f"this run and --workdir={path}; this finishes the training and writes the file"
        )
    return of(model_file.read(path / model_file.FILE))


def of(model: model_file.Model) -> editor.Editor:
    """Returns a model as an editor.

    Raises:
      ValueError: if it is of no known kind.
    """
    ranges.one_of("kind", model.networks.kind, tuple(KINDS))
    return KINDS[model.networks.kind](model.networks, model.class_names, model.encoder, model.generator, model.card)
