"""What the phases share that train the translator's E, G and D on real faces: `joint` and `student`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from emogan.data import dataset
from emogan.models import translator
from emogan.recipes import state as state_lib
from emogan.util import images, types

if TYPE_CHECKING:
    from emogan import config as config_lib

GRAY = 127.5  # gray levels in a unit of float images
LAST_RATE = 0.05  # of the first learning rate, at the end of the schedule
SHOWN = 8  # faces of a sample
_PENALISED = 4  # one face in so many has its gradients penalised, at the cost of two more steps of D


class EditorState:
    """What is taken of a phase's state as E and G; the state has `translator` and `average`."""

    translator: state_lib.NetworkState
    average: types.Params

    @property
    def best_params(self) -> types.Params:
        """The parameters of E and G: averaged, where there is an average."""
        return self.average if self.average else self.translator.params

    @property
    def best_encoder(self) -> state_lib.Variables:
        """The variables of E."""
        return {"params": self.best_params["encoder"]}

    @property
    def generator(self) -> state_lib.Variables:
        """The variables of G."""
        return {"params": self.best_params["generator"]}


def initialise(
    E: translator.Encoder, G: translator.Generator, keys: jax.Array, spec: dataset.ImageSpec
) -> types.Params:
    """Returns the first parameters of E and G, from a key each."""
    face, label = jnp.zeros((1, *spec.shape)), jnp.zeros((1,), jnp.int32)

    def begin():
        codes, encoder = E.init_with_output(keys[0], face, label)
        return {"encoder": encoder["params"], "generator": G.init(keys[1], codes, label)["params"]}

    return jax.jit(begin)()


def few_of(count: int) -> Callable[[jax.Array], jax.Array]:
    """Returns what takes, of two batches of `count` one behind the other, the faces whose gradients are penalised."""
    # The same faces however the batch is shared, if each device has a multiple of them.
    some = slice(min(_PENALISED, count) - 1, None, _PENALISED)
    return lambda x: jnp.concatenate([half[some] for half in jnp.split(x, 2)])


def sample_of(draw: Callable[..., translator.Drawing], num_classes: int) -> Callable[..., Any]:
    """Returns the sample of a phase: a row a face, which it begins, and its edits to each label.

    Args:
      draw: (params, faces, labels) -> what E and G make of them.
      num_classes: how many labels there are.
    """

    def sample(state: Any, batch: state_lib.Batch, key: jax.Array) -> tuple[jax.Array, types.Metrics]:
        del key
        return every_edit(lambda *face: draw(state.best_params, *face).faces, batch, num_classes), {}

    return sample


def every_edit(
    draw: Callable[[types.Images, types.Labels], types.Images], batch: state_lib.Batch, num_classes: int
) -> types.ByteImages:
    """Returns a row for each face, uint8 [N, 1 + C, S, S(, 3)]: the face, then its edits by `draw` to each label."""
    faces = images.to_float(batch["image"][:SHOWN])
    labels = jnp.repeat(jnp.arange(num_classes), len(faces))
    edits = draw(jnp.tile(faces, (num_classes, 1, 1, 1)), labels)
    columns = jnp.concatenate([faces[None], edits.reshape(num_classes, *faces.shape)])
    return images.to_bytes(columns.swapaxes(0, 1))


def networks(
    config: "config_lib.Config", name: str, num_classes: int, spec: dataset.ImageSpec, features: int = 0
) -> dict[str, types.Params]:
    """Returns the shapes of the parameters of E, G and D, by their names; D also gets so many `features`, if any."""
    sizes, dtypes = config.translator, (jnp.float32, jnp.int32)
    guidance = [(1, features)] if features else []
    # E and G as edits are made with them have the same parameters; G refuses a wrong number of strengths in time.
    E = translator.make_finished_encoder(sizes, num_classes)
    G = translator.make_finished_generator(sizes, num_classes, spec)
    D = translator.make_discriminator(sizes, num_classes)
    code = (1, *translator.code_shape(sizes, spec))
    return {
        f"{name} encoder": state_lib.shapes(E, (1, *spec.shape), (1,), dtypes=dtypes, train=False),
        f"{name} generator": state_lib.shapes(G, code, (1,), dtypes=dtypes, train=False),
        f"{name} discriminator": state_lib.shapes(D, (1, *spec.shape), (1,), *guidance, dtypes=dtypes, train=False),
    }


def refuse_microbatches(config: "config_lib.Config", name: str) -> None:
    """Raises ValueError if a batch is to be cut into parts."""
    if config.parallel.microbatches > 1:
        raise ValueError(
            f"parallel.microbatches: expected 1 with phase {name}, found {config.parallel.microbatches}; "
            f"give it a smaller {name}.batch_size"
        )


LOSSES = state_lib.Panel(
    "losses",
    "loss",
    (
        state_lib.Line("discriminator_loss", "D, real + edited"),
        state_lib.Line("generator_loss", "E and G"),
    ),
)
