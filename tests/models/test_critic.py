"""D of phase `joint`: what it can and cannot see."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from emogan import losses
from emogan.models import critic

KEY = jax.random.key(2)
FACES = jax.random.uniform(KEY, (3, 48, 48, 1), minval=-1.0)
LABELS = jnp.asarray([0, 3, 6])


@pytest.mark.parametrize("projection", [True, False])
def test_critic_sees_each_face_by_itself_and_the_label_by_projection_only(projection):
    D = critic.Critic(2, 7, projection)
    params = D.init(KEY, FACES, LABELS)
    logits, emotions = D.apply(params, FACES, LABELS)
    assert (logits.shape, emotions.shape) == ((3,), (3, 7))
    alone = D.apply(params, FACES[1:2], LABELS[1:2])
    np.testing.assert_allclose(alone[0], logits[1:2], rtol=1e-4, atol=1e-5)
    other_logits, other_emotions = D.apply(params, FACES, (LABELS + 1) % 7)
    np.testing.assert_allclose(other_emotions, emotions)
    assert (jnp.abs(other_logits - logits).max() > 1e-4) == projection


def test_critic_sees_a_spot_by_its_patches_wherever_it_is():
    D = critic.Critic(2, 7, projection=False)
    params = D.init(KEY, FACES, LABELS)["params"]
    only = {**params, "logit": jax.tree.map(jnp.zeros_like, params["logit"])}
    blank = jnp.zeros((1, 48, 48, 1))
    spots = [blank.at[0, row, column].set(1.0) for row, column in ((16, 16), (24, 24), (24, 16))]
    seen = [D.apply({"params": only}, face, LABELS[:1])[0][0] for face in (blank, *spots)]
    assert abs(seen[1] - seen[0]) > 1e-3
    np.testing.assert_allclose(seen[2:], seen[1], rtol=1e-4)


def test_bfloat16_keeps_gradients_of_gradients_near():
    exact, rough = critic.Critic(8, 7), critic.Critic(8, 7, dtype=jnp.bfloat16)
    params = exact.init(KEY, FACES, LABELS)["params"]

    def penalty(D):
        critic_of = lambda params: lambda faces: D.apply({"params": params}, faces, LABELS)[0]  # noqa: E731
        loss = lambda params: jnp.mean(losses.squared_gradient(critic_of(params), FACES))  # noqa: E731
        return jax.jit(jax.value_and_grad(loss))(params)

    (value, gradients), (expected, exact_gradients) = penalty(rough), penalty(exact)
    assert value == pytest.approx(float(expected), rel=0.05)
    assert {leaf.dtype for leaf in jax.tree.leaves(gradients)} == {jnp.dtype("float32")}
    flat = lambda tree: jax.flatten_util.ravel_pytree(tree)[0]  # noqa: E731
    apart = jnp.linalg.norm(flat(gradients) - flat(exact_gradients)) / jnp.linalg.norm(flat(exact_gradients))
    assert 0 < apart < 0.1
