"""The paper's figures and the training curves of a run, drawn from what its folder holds."""

import contextlib
import dataclasses
import io
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from emogan import config as config_lib
from emogan import data as data_lib
from emogan.data import dataset, toyfaces
from emogan.edit import loading, model_file
from emogan.figures import curves, graphs
from emogan.train import checkpoint, run_folder
from emogan.util import files, grids, images

PAPER_EPOCHS = (0, 6, 12, 18, 24, 39)  # of Fig. 5

_HELD_OUT_SHOWN = 128  # faces that the figures choose from
_PAIRS = (6, 4)  # rows and columns of Fig. 6
_ROWS = 12  # faces of Fig. 7
_TRUTHS = 5  # faces with their true drawings


def draw(workdir: pathlib.Path) -> list[pathlib.Path]:
    """Draws every figure for which a run's folder has the data into its `figures/`, and returns their paths.

    Raises:
      FileNotFoundError: if the folder is no run's, or its data are gone.
      ValueError: if its configuration, its data or its checkpoint cannot be read.
    """
    run = run_folder.read(workdir)
    config = run.config
    folder = workdir / "figures"
    folder.mkdir(exist_ok=True)
    per_epoch = {
        name: dataset.steps_per_epoch(run.examples, getattr(config, name).batch_size)
        for name in config_lib.PHASES
        if checkpoint.newest_step(workdir / "checkpoints" / name)
    }
    paths = _draw_graphs(config, len(run.class_names), folder) if "gan" in per_epoch else []
    figure = curves.draw(workdir / "metrics.jsonl", per_epoch)
    if figure:
        paths.append(_save(figure, folder / "losses.png"))
    samples = {int(path.stem.removeprefix("gan_")): path for path in (folder / "samples").glob("gan_*.png")}
    if samples and "gan" in per_epoch:  # not yet before the first checkpoint
        spec = config.data.spec
        loaded = {step: images.load_png(path, spec.channels) for step, path in samples.items()}
        picture = samples_picture(loaded, per_epoch["gan"], spec.size)
        paths.append(_save(picture, folder / "fig5_samples.png"))
    if (workdir / model_file.FILE).exists():
        paths += _draw_transfers(config, loading.load(workdir), folder)
    return paths


def choose_samples(had: Sequence[int], steps_per_epoch: int, wanted: Sequence[float] = PAPER_EPOCHS) -> list[int]:
    """Returns the steps of the samples to show: those nearest to the wanted epochs, in order and without repetition.

    Of a run too short to have one for each, as many as wanted are spread evenly over what it has.
    """
    had = np.unique(had)

    def nearest(steps: np.ndarray) -> np.ndarray:
        return np.unique(had[np.abs(had[None] - steps[:, None]).argmin(axis=1)])

    chosen = nearest(np.asarray(wanted, float) * steps_per_epoch)
    if len(chosen) < len(wanted):
        chosen = nearest(np.linspace(had[0], had[-1], len(wanted)))
    return [int(step) for step in chosen]


def choose_faces(labels: np.ndarray, count: int) -> np.ndarray:
    """Returns the positions of up to `count` faces, [C], as many of each class as can be, ordered by class."""
    turn = np.zeros(len(labels), int)
    for label in np.unique(labels):
        own = labels == label
        turn[own] = np.arange(own.sum())
    chosen = np.lexsort((labels, turn))[:count]
    return chosen[np.lexsort((chosen, labels[chosen]))]


def samples_picture(samples: dict[int, np.ndarray], steps_per_epoch: int, size: int) -> np.ndarray:
    """Returns Fig. 5, uint8 [H, W(, 3)]: pictures of fixed samples by step, those of `choose_samples` side by side."""
    panels = [
        grids.labelled_grid(
            images.untile(samples[step], size),
            columns=(),
            rows=(),
            title=f"epoch {step / steps_per_epoch:.3g}   (step {step:,})",
            scale=1,
        )
        for step in choose_samples(list(samples), steps_per_epoch)
    ]
    across = min(3, len(panels))
    blank = np.full_like(panels[0], panels[0][0, 0])
    panels += [blank] * (-len(panels) % across)
    return images.tile(np.stack(panels).reshape(-1, across, *blank.shape))


def happy_picture(faces: np.ndarray, happy: np.ndarray, which: str) -> np.ndarray:
    """Returns Fig. 6, uint8 [H, W(, 3)]: faces uint8 [N, S, S(, 3)], each next to its happy form, of the same shape."""
    across = min(_PAIRS[1], len(faces))
    down = min(_PAIRS[0], len(faces) // across)
    shown = down * across
    pairs = np.stack([faces[:shown], happy[:shown]], axis=1)
    return grids.labelled_grid(
        pairs.reshape(down, 2 * across, *faces.shape[1:]),
        columns=("face", "happy") * across,
        rows=(),
        title=f"{which}, and decoded as happy",
    )


def emotions_picture(
    faces: np.ndarray | None, labels: np.ndarray, edits: np.ndarray, names: Sequence[str], which: str
) -> np.ndarray:
    """Returns Fig. 7, uint8 [H, W(, 3)]: faces uint8 [N, S, S(, 3)] and, under every label, edits [C, N, ...].

    Without the faces it shows only generated ones, and may be published where the data's faces may not.

    The edit under the face's own label, which is its reconstruction, is framed.
    """
    edits = edits.copy()
    for face, label in enumerate(labels):
        edits[label, face] = _framed(edits[label, face])
    shown = edits if faces is None else np.concatenate([faces[None], edits])
    return grids.labelled_grid(
        shown.swapaxes(0, 1),
        columns=names if faces is None else ("face", *names),
        rows=tuple(names[label] for label in labels),
        title=f"{which}, decoded under every label (framed: its own)",
    )


def truth_picture(
    faces: np.ndarray, labels: np.ndarray, edits: np.ndarray, truths: np.ndarray, names: Sequence[str]
) -> np.ndarray:
    """Returns a picture uint8 [H, W(, 3)] of edits uint8 [C, N, S, S(, 3)] above the true drawings, of one shape."""
    made = np.concatenate([faces[None], edits])
    true = np.concatenate([np.full_like(faces[None], 255), truths])
    rows = np.stack([made, true], axis=2)  # [1 + C, N, 2, S, S(, 3)]
    return grids.labelled_grid(
        rows.reshape(len(rows), -1, *faces.shape[1:]).swapaxes(0, 1),
        columns=("face", *names),
        rows=tuple(text for label in labels for text in (f"{names[label]} face, model", "true drawing")),
        title="held-out faces: what the model makes of them, and the truth",
    )


def _draw_graphs(config: config_lib.Config, num_classes: int, folder: pathlib.Path) -> list[pathlib.Path]:
    networks = graphs.networks(config.model, num_classes, config.data.spec)
    paths = []
    for name, title, members in (
        ("fig2_dcgan", "Fig. 2: the conditional DCGAN of this run", ("generator", "discriminator")),
        ("fig4_encoder", "Fig. 4: the encoder of this run", ("encoder",)),
    ):
        shown = [networks[member] for member in members]
        paths.append(files.write_text(folder / f"{name}.txt", graphs.to_text(shown)))
        paths.append(_save(graphs.to_figure(shown, title), folder / f"{name}.png"))
    return paths


def _draw_transfers(config: config_lib.Config, model: Any, folder: pathlib.Path) -> list[pathlib.Path]:
    data, which = _unseen_faces(config)
    names = data.class_names
    chosen = choose_faces(data.labels, _PAIRS[0] * _PAIRS[1])
    faces, labels = data.images[chosen], data.labels[chosen]
    edits = np.asarray(model.faces(faces, "all", labels))
    paths = []
    if "happy" in names:
        picture = happy_picture(faces, edits[names.index("happy")], which)
        paths.append(_save(picture, folder / "fig6_happy.png"))
    rows = choose_faces(labels, _ROWS)
    picture = emotions_picture(faces[rows], labels[rows], edits[:, rows], names, which)
    paths.append(_save(picture, folder / "fig7_emotions.png"))
    picture = emotions_picture(None, labels[rows], edits[:, rows], names, which)
    paths.append(_save(picture, folder / "fig7_generated.png"))
    if config.data.name == "toyfaces":
        truths = toyfaces.true_transfers(data.split, config.seed, len(data), data.spec)[:, chosen]
        rows = choose_faces(labels, _TRUTHS)
        picture = truth_picture(faces[rows], labels[rows], edits[:, rows], truths[:, rows], names)
        paths.append(_save(picture, folder / "transfer_truth.png"))
    return paths


def _unseen_faces(config: config_lib.Config) -> tuple[dataset.Dataset, str]:
    settings = config.data
    if settings.name == "toyfaces":  # a smaller set is the beginning of a larger one, and sooner drawn
        count = min(settings.count or _HELD_OUT_SHOWN, _HELD_OUT_SHOWN)
        settings = dataclasses.replace(settings, count=count)
    with contextlib.suppress(ValueError):  # some forms of the data have training faces only
        held_out = data_lib.load(settings, "valid", config.seed)
        if len(held_out):  # a tenth of nine faces is none
            return held_out, "held-out faces"
    return data_lib.load(settings, "train", config.seed), "training faces"


def _framed(face: np.ndarray) -> np.ndarray:
    # White next to black, because a line of one of them would vanish on some faces.
    framed = np.full_like(face, 255)
    framed[1:-1, 1:-1] = 0
    framed[2:-2, 2:-2] = face[2:-2, 2:-2]
    return framed


def _save(picture: Any, path: pathlib.Path) -> pathlib.Path:
    if isinstance(picture, np.ndarray):
        images.save_png(path, picture, images.SYNTHETIC)
        return path
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", dpi=110)
    return files.write_bytes(path, buffer.getvalue())
