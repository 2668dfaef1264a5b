"""Models that change the emotion on faces, from a run's folder, from a file, or by the name of one that ships."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from emogan import config as config_lib
from emogan.data import dataset
from emogan.edit import editor, flow_editor, pretrained
from emogan.recipes import encoder, flow, joint, registry
from emogan.recipes import state as state_lib
from emogan.train import checkpoint, run_folder

# The names that callers know them by.
ALL, WEAR, SHALL_WEAR, Emotion = editor.ALL, editor.WEAR, editor.SHALL_WEAR, editor.Emotion
EmotionTransfer, LatentTransfer = editor.EmotionTransfer, editor.LatentTransfer


def make(
    config: config_lib.Config,
    class_names: Sequence[str],
    encoder_variables: state_lib.Variables,
    generator_variables: state_lib.Variables,
    card: Mapping[str, Any] | None = None,
) -> EmotionTransfer:
    """Returns the E and G of a configuration with these variables, and the model card, if there is one."""
    kinds = {"joint": EmotionTransfer, "flow": flow_editor.FlowTransfer, "encoder": LatentTransfer}
    kind = kinds[last_phase(config)]
    return kind(config, class_names, encoder_variables, generator_variables, card)


def load(workdir: str | pathlib.Path) -> EmotionTransfer:
    """Returns the trained E and G of a run's folder, or those that ship with emogan under the name "fer2013".

    Where a run's folder has that name, it is the folder.

    Raises:
      FileNotFoundError: if the folder is no run's.
      ValueError: if its last phase has not finished, or a file in it is damaged.
    """
    name, workdir = str(workdir), pathlib.Path(workdir)
    if name in pretrained.NAMES and not (workdir / "config.json").exists():
        return shipped(name)
    return read_run(workdir)[0]


def shipped(name: str) -> EmotionTransfer:
    """Returns the model that ships with emogan under a name out of `pretrained.NAMES`."""
    return _of(pretrained.read(name))


def from_file(path: pathlib.Path) -> EmotionTransfer:
    """Returns the model in a file that experiments/export_model.py wrote.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is no model, or was changed.
    """
    return _of(pretrained.from_file(path))


def _of(found: pretrained.Pretrained) -> EmotionTransfer:
    return make(found.config, found.class_names, found.encoder, found.generator, found.card)


def read_run(workdir: pathlib.Path) -> tuple[EmotionTransfer, int]:
    """Returns the trained E and G of a run's folder, and after which step of its last phase they are; else as `load`.

    It is not the newest step where that one's checkpoint is damaged.
    """
    run = run_folder.read(workdir)
    config, class_names, examples = run.config, run.class_names, run.examples
    phase = last_phase(config)
    settings = getattr(config, phase)
    steps = dataset.total_steps(settings.epochs, examples, settings.batch_size)
    folder = workdir / "checkpoints" / phase
    done = checkpoint.newest_step(folder)
    if done < steps:
        raise ValueError(
            f"{workdir}: expected a finished phase {phase} ({steps} steps), found {done or 'no'} steps; "
            f"run experiments/train.py --phase={phase} (or all) with the flags of this run and --workdir={workdir}"
        )
    saved = checkpoint.read(folder, _target(config, len(class_names)))
    return make(config, class_names, saved.state.best_encoder, saved.state.generator), saved.step


def last_phase(config: config_lib.Config) -> str:
    """Returns the phase whose checkpoints hold the E and G of a run."""
    phases = config.phases.split(",")
    return next((name for name in ("joint", "flow") if name in phases), "encoder")


def _target(config: config_lib.Config, num_classes: int) -> Any:
    """Returns the shapes, types and placement of the last state of the last phase; nothing is computed."""

    def init(key: jax.Array) -> Any:
        if last_phase(config) == "flow":
            nobody = dataset.Dataset(np.zeros((0, 48, 48), np.uint8), np.zeros(0, np.int32))
            return flow.make(config, num_classes, nobody).init(key)
        if last_phase(config) == "joint":
            guides = joint.draw_guides(config, num_classes, jax.random.key(0))
            return joint.make(config, num_classes, 1, np.ones(num_classes), guides).init(key)
        generator = registry.make_gan(config, num_classes).init(key).best_generator
        return encoder.make(config, num_classes, generator).init(key)

    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    shapes = jax.eval_shape(init, jax.random.key(0))
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), shapes)
