"""The judge's network: sizes, and that every part of it matters."""

import jax
import jax.numpy as jnp
import numpy as np

from emogan.models import emotion_cnn


def test_shipped_width_has_parameters_that_fit_into_four_megabytes_of_float16():
    module = emotion_cnn.Classifier()
    shapes = jax.eval_shape(lambda key: module.init(key, jnp.zeros((1, 48, 48, 1)), train=False), jax.random.key(0))
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert count > 1_700_000
    assert 2 * count < 4_000_000


def test_answers_have_the_right_shapes_and_follow_the_image():
    module = emotion_cnn.Classifier(width=2, num_classes=5)
    images = jax.random.normal(jax.random.key(1), (3, 48, 48, 1))
    variables = jax.jit(lambda key: module.init(key, images, train=False))(jax.random.key(0))
    logits, features = jax.jit(lambda images: module.apply(variables, images, train=False))(images)
    assert logits.shape == (3, 5)
    assert features.shape == (3, 16)
    last = jax.tree.map(np.asarray, variables["params"]["logits"])
    np.testing.assert_allclose(logits, np.asarray(features) @ last["kernel"] + last["bias"], rtol=1e-4, atol=1e-5)
    # Every corner of the face is seen.
    gradient = jax.jit(jax.grad(lambda x: module.apply(variables, x, train=False)[0].sum()))(images)
    for corner in (gradient[:, :6, :6], gradient[:, -6:, :6], gradient[:, :6, -6:], gradient[:, -6:, -6:]):
        assert jnp.abs(corner).max() > 0


def test_every_parameter_has_a_gradient():
    module = emotion_cnn.Classifier(width=2)
    images = jax.random.normal(jax.random.key(1), (6, 48, 48, 1))
    variables = jax.jit(lambda key: module.init(key, images, train=False))(jax.random.key(0))

    def loss(params):
        answer, _ = module.apply({**variables, "params": params}, images, train=True, mutable=["batch_stats"])
        return jnp.sum(jax.nn.log_softmax(answer[0])[:, 2])

    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(loss))(variables["params"])):
        assert jnp.abs(leaf).max() > 0, jax.tree_util.keystr(path)


def test_bfloat16_is_near_and_answers_in_float32():
    exact, rough = emotion_cnn.Classifier(width=4), emotion_cnn.Classifier(width=4, dtype=jnp.bfloat16)
    images = jax.random.normal(jax.random.key(1), (3, 48, 48, 1))
    variables = jax.jit(lambda key: exact.init(key, images, train=False))(jax.random.key(0))
    drawn = jax.eval_shape(lambda key: rough.init(key, images, train=False), jax.random.key(0))
    assert drawn == jax.eval_shape(lambda: variables)
    pairs = zip(*(module.apply(variables, images, train=False) for module in (rough, exact)), strict=True)
    for found, expected in pairs:
        assert found.dtype == jnp.float32
        assert 0 < jnp.abs(found - expected).max() / jnp.abs(expected).max() < 0.05
