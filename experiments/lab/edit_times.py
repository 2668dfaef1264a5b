"""Times edits: by the models that ship, and of one face by its size and channels, by untrained networks.

python experiments/lab/edit_times.py
python experiments/lab/edit_times.py --model=fer2013-flow,OTHER.npz --nosizes
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

MODEL = script.define_paths("model", tuple(model_file.SHIPPED), "models that ship, or files of export_model.py")
SIZES = flags.DEFINE_bool("sizes", True, "time networks for other sizes and channels, too")
FACES = flags.DEFINE_integer("faces", 16, "faces in a batch, of each size", 1)
ROUNDS = flags.DEFINE_integer("rounds", 5, "how often faces are edited by each network", 1)

CLASSES = len(emotions.EMOTIONS)


def main(_) -> None:
    writers.say("| model | one face, one emotion | nine faces, all emotions |\n|---|---|---|")
    for name in MODEL.value:
        model = loading.load(name)
        faces = toyfaces.load("valid", 0, 9, spec=model.spec).images
        one = _seconds(lambda model=model, faces=faces: model.faces(faces[:1], "happy"))
        every = _seconds(lambda model=model, faces=faces: model.faces(faces, "all"))
        writers.say(f"| `{name}` | {1000 * one:.1f} ms | {every:.2f} s |")
    if SIZES.value:
        writers.say("")
        _of_sizes()


def _of_sizes() -> None:
    writers.say("| faces | `emogan` | `flow`, source label given |\n|---|---|---|")
    for spec in [*(dataset.ImageSpec(size) for size in dataset.SIZES), dataset.ImageSpec(dataset.SIZES[-1], 3)]:
        faces = toyfaces.load("valid", 0, FACES.value, spec=spec).images
        labels = np.zeros(len(faces), int)
        first, second = _translator(spec), _flow(spec)
        times = (
            _seconds(lambda model=first, faces=faces: model.faces(faces, "happy")),
            _seconds(lambda model=second, faces=faces, own=labels: model.faces(faces, "happy", labels=own)),
        )
        writers.say(f"| {spec} | " + " | ".join(f"{1000 * one / len(faces):.1f} ms" for one in times) + " |")


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


def _seconds(edit: Callable[[], np.ndarray]) -> float:
    """Returns the median of the rounds after a first call, which compiles."""
    edit()
    times = []
    for _ in range(ROUNDS.value):
        begin = time.perf_counter()
        edit()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


if __name__ == "__main__":
    script.run(main)
