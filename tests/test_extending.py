"""The example recipe of docs/extending.md: its parts fit together as the code of emogan asks for them."""

import pathlib
import textwrap
import types

import jax
import jax.numpy as jnp
import pytest

from emogan import config as config_lib
from emogan.data import dataset

TEXT = (pathlib.Path(__file__).parents[1] / "docs" / "extending.md").read_text()


@pytest.fixture(scope="module")
def pair():
    first = TEXT.index("    # emogan/recipes/pair.py")
    last = TEXT.index("From outside, `make` is enough")
    module = types.ModuleType("pair")
    exec(textwrap.dedent(TEXT[first:last]), vars(module))
    return module


@pytest.mark.parametrize("spec", [dataset.FER2013, dataset.ImageSpec(32, 3)], ids=str)
def test_example_recipe_is_one(pair, spec):
    config = config_lib.Config(model=config_lib.ModelConfig(width=2, latent_size=6))
    config.pair = pair.PairConfig()
    config.pair.check()
    recipe = pair.PairConfig.recipe
    parameters = recipe.networks(config, "pair", 7, spec)
    run = types.SimpleNamespace(config=config, num_classes=7, spec=spec)
    phase, about = recipe.build(run, "pair")
    assert about == {}
    state = jax.eval_shape(lambda key: recipe.begin(config, 7, "pair", key, spec), jax.random.key(0))
    assert jax.tree.map(jnp.shape, state.encoder.params) == jax.tree.map(jnp.shape, parameters["pair encoder"])
    batch = {
        "image": jax.ShapeDtypeStruct((8, *spec.byte_shape), jnp.uint8),
        "label": jax.ShapeDtypeStruct((8,), jnp.int32),
    }
    new, metrics = jax.eval_shape(phase.step, state, batch, jax.random.key(0))
    assert jax.tree.map(jnp.shape, new) == jax.tree.map(jnp.shape, state)
    assert set(metrics) == {line.metric for panel in recipe.curves for line in panel.lines}
    pictures, _ = jax.eval_shape(phase.sample, state, batch, jax.random.key(0))
    assert pictures.shape == (8, 2, *spec.byte_shape)
