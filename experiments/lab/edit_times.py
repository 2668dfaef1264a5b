"""Times an edit of one face by the size and the channels of the faces, with untrained networks of two presets.

python experiments/lab/edit_times.py
"""

# isort: off
import beside  # noqa: F401

# isort: on
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import script
from absl import flags

from emogan import config as config_lib
from emogan import emotions, presets
from emogan.data import dataset, toyfaces
from emogan.edit import editor, loading, model_file
from emogan.models import translator, unet
from emogan.train import writers

FACES = flags.DEFINE_integer("faces", 16, "faces in a batch", 1)
ROUNDS = flags.DEFINE_integer("rounds", 5, "how often a batch is edited by each network", 1)

CLASSES = len(emotions.EMOTIONS)


def main(_) -> None:
    writers.say("| faces | `emogan` | `flow`, source label given |\n|---|---|---|")
    for spec in [*(dataset.ImageSpec(size) for size in dataset.SIZES), dataset.ImageSpec(dataset.SIZES[-1], 3)]:
        faces = toyfaces.load("valid", 0, FACES.value, spec=spec).images
        labels = np.zeros(len(faces), int)
        first, second = _translator(spec), _flow(spec)
        times = (
            _seconds_a_face(lambda model=first, faces=faces: model.faces(faces, "happy")),
            _seconds_a_face(lambda model=second, faces=faces, own=labels: model.faces(faces, "happy", labels=own)),
        )
        writers.say(f"| {spec} | " + " | ".join(f"{1000 * one:.1f} ms" for one in times) + " |")


def _translator(spec: dataset.ImageSpec) -> editor.Editor:
    config = _with_spec(presets.emogan(), spec)
    E = translator.make_finished_encoder(config.translator, CLASSES)
    G = translator.make_finished_generator(config.translator, CLASSES, spec)
    variables = []
    for module, shape in ((E, spec.shape), (G, translator.code_shape(config.translator, spec))):
        given = jnp.zeros((1, *shape)), jnp.zeros(1, jnp.int32)
        variables.append(
            jax.jit(lambda key, module=module, given=given: module.init(key, *given, train=False))(jax.random.key(0))
        )
    return _editor(config, *variables)


def _flow(spec: dataset.ImageSpec) -> editor.Editor:
    config = _with_spec(presets.flow(), spec)
    params = unet.initialise(unet.make(config.unet, CLASSES, "float32"), jax.random.key(0), spec)
    return _editor(config, {"params": params}, {})


def _with_spec(config: config_lib.Config, spec: dataset.ImageSpec) -> config_lib.Config:
    config.data.size, config.data.channels = spec.size, spec.channels
    return config


def _editor(config: config_lib.Config, *variables: dict) -> editor.Editor:
    return loading.of(model_file.Model(config_lib.networks(config), emotions.EMOTIONS, *variables, {}))


def _seconds_a_face(edit: Callable[[], np.ndarray]) -> float:
    """Returns the median of the rounds after a first call, which compiles."""
    edit()
    times = []
    for _ in range(ROUNDS.value):
        begin = time.perf_counter()
        edit()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) / FACES.value


if __name__ == "__main__":
    script.run(main)
