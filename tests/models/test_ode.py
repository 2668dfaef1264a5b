"""The ODE between faces and noise, against solutions known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from emogan.data import dataset
from emogan.models import ode, unet
from emogan.util import images

X = np.random.default_rng(0).uniform(-1, 1, (2, 48, 48, 1)).astype(np.float32)


def growth(x, t, labels):
    """dx/dt = x: the solution is x exp(t)."""
    return x


def by_label(x, t, labels):
    """A velocity that is 10 under the first label, 20 under the second, and 1 under none."""
    del t
    return jnp.ones_like(x) + (labels @ jnp.array([9.0, 19.0]))[:, None, None, None]


def test_euler_and_heun_of_one_step_are_those_worked_out_by_hand():
    condition = ode.null(2, 2)
    solved = lambda solver: ode.step(growth, X, 0.5, 0.25, condition, solver)  # noqa: E731
    np.testing.assert_allclose(solved("euler"), 0.75 * X, rtol=1e-6)
    np.testing.assert_allclose(solved("heun"), (1 - 0.25 + 0.25**2 / 2) * X, rtol=1e-6)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_error_falls_with_the_order_of_the_solver(solver, order):
    def error(steps):
        solved = ode.solve(growth, X, ode.times(0.0, 1.0, steps), ode.null(2, 2), solver)
        return float(jnp.abs(solved - np.e * X).max())

    assert error(8) / error(16) == pytest.approx(2**order, rel=0.15)


def test_guidance_goes_beyond_the_label_away_from_none():
    two, labels = np.zeros_like(X), np.eye(2, dtype=np.float32)
    plain, guided, away = ode.velocities(
        by_label,
        0.5,
        [
            (two, ode.Condition(labels)),
            (two, ode.Condition(labels, jnp.array([2.0, 0.0]))),
            (two, ode.Condition(jnp.zeros((2, 2)), jnp.array([3.0, 3.0]))),
        ],
    )
    np.testing.assert_allclose(plain[:, 0, 0, 0], [10, 20])
    np.testing.assert_allclose(guided[:, 0, 0, 0], [1 + 2 * 9, 1])
    np.testing.assert_allclose(away[:, 0, 0, 0], [1, 1])


def test_blend_of_labels_is_given_on_as_it_is():
    blend = ode.Condition(jnp.array([[0.6, 0.4], [0.5, 0.5]]))
    found = ode.velocities(by_label, 0.5, [(np.zeros_like(X), blend)])[0]
    np.testing.assert_allclose(found[:, 0, 0, 0], [1 + 0.6 * 9 + 0.4 * 19, 15], rtol=1e-6)


def test_times_begin_and_end_where_asked():
    np.testing.assert_allclose(ode.times(0.8, 0.0, 4), [0.8, 0.6, 0.4, 0.2, 0.0], atol=1e-7)


def test_inverse_of_a_small_network_holds_to_40_dB():
    module = unet.UNet((8,), 1)
    random = np.random.default_rng(1)
    params = jax.tree.map(
        lambda leaf: leaf + random.normal(0, 0.1, leaf.shape).astype(np.float32),
        unet.initialise(module, jax.random.key(0), dataset.FER2013),
    )
    velocity = lambda x, t, y: module.apply({"params": params}, x, t, y)  # noqa: E731
    solve = jax.jit(lambda x, path: ode.solve(velocity, x, path, ode.null(2, 7), "heun"))
    noise = solve(X, ode.times(0.0, 1.0, 12))
    assert np.abs(noise - X).mean() > 0.1
    assert (images.psnr(solve(noise, ode.times(1.0, 0.0, 12)), X) >= 40).all()
