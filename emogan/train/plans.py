"""What a run will do, before anything is computed: how large its networks are, and how many steps its phases have."""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from emogan import config as config_lib
from emogan.data import dataset
from emogan.recipes import classifier, encoder, flow, gan, translators


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run will do: parameters of each network, and steps of each phase."""

    parameters: dict[str, int]
    steps: dict[str, int]
    num_examples: int
    class_names: tuple[str, ...]


def make(config: config_lib.Config, data: dataset.Dataset, phases: Sequence[str] = ("gan", "encoder")) -> Plan:
    """Returns the sizes that a configuration gives with these data and phases; nothing is computed.

    Raises:
      ValueError: if the data hold less than one batch.
    """
    classes = len(data.class_names)
    labels = jax.ShapeDtypeStruct((1,), jnp.int32)
    image = jax.ShapeDtypeStruct((1, 48, 48, 1), jnp.float32)
    latent = jax.ShapeDtypeStruct((1, config.model.latent_size), jnp.float32)
    networks = {
        "generator": (gan.make_generator(config.model, classes), latent, labels),
        "discriminator": (gan.make_discriminator(config.model, classes), image, labels),
        "encoder": (encoder.make_encoder(config.model, classes), image, labels),
        "classifier": (classifier.make_classifier(config.classifier, classes), image),
        "robust classifier": (classifier.make_classifier(config.robust, classes), image),
    }
    sizes = config.translator
    told = [jax.ShapeDtypeStruct((1, size), jnp.float32)] if (size := translators.told_size(config)) else []
    code = jax.ShapeDtypeStruct((1, *translators.code_shape(sizes)), jnp.float32)
    # E and G as edits are made with them have the same parameters; G refuses a wrong number of strengths in time.
    networks |= {
        "joint encoder": (translators.make_finished_encoder(sizes, classes), image, labels),
        "joint generator": (translators.make_finished_generator(sizes, classes), code, labels),
        "joint discriminator": (translators.make_discriminator(sizes, classes), image, labels, *told),
    }
    share, label = jax.ShapeDtypeStruct((1,), jnp.float32), jax.ShapeDtypeStruct((1, classes), jnp.float32)
    networks["flow"] = (flow.make_network(config, classes), image, share, label)
    members = {
        "gan": ("generator", "discriminator"),
        "encoder": ("generator", "encoder"),
        "classifier": ("classifier",),
        "robust": ("robust classifier",),
        "joint": ("joint encoder", "joint generator", "joint discriminator"),
        "flow": ("flow",),
    }
    parameters = {}
    for name in dict.fromkeys(name for phase in phases for name in members[phase]):
        module, *inputs = networks[name]
        options = {} if name == "flow" else {"train": False}
        init = functools.partial(module.init, **options)
        parameters[name] = gan.parameter_count(jax.eval_shape(init, jax.random.key(0), *inputs)["params"])
    steps = {}
    built_on = {"encoder": ("gan",), "joint": config_lib.guides(config)}  # whose steps must be known
    for name in dict.fromkeys(name for phase in phases for name in (*built_on.get(phase, ()), phase)):
        settings = getattr(config, name)
        steps[name] = dataset.total_steps(settings.epochs, len(data), settings.batch_size)
    return Plan(parameters, steps, len(data), data.class_names)
