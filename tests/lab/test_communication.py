"""The all-reduces of a step, beside counts by hand."""

import jax
import jax.numpy as jnp
import pytest
from benchmarking import communication, scaling_model, scaling_steps
from benchmarking import settings as settings_lib

from emogan.data import dataset
from emogan.recipes import gan
from emogan.recipes import state as state_lib


def phase_of(step):
    return state_lib.Phase("made up", lambda key: jnp.ones(3), step, None, (), None)


def test_sums_that_wait_for_one_another_are_rounds_and_others_are_not():
    def step(state, batch, key, *, axis_name):
        first, beside = jax.lax.psum(state, axis_name), jax.lax.psum(state[:2], axis_name)
        return jax.jit(lambda x: jax.lax.pmean(x * 2, axis_name))(first)[0] + beside, {}

    found = communication.all_reduces(phase_of(step), 4, 2)
    assert [(one.bytes, one.round) for one in found] == [(12, 1), (8, 1), (12, 2)]
    assert communication.traffic(found) == communication.Traffic(32, 2, 0)


def test_sums_in_loops_are_refused():
    def step(state, batch, key, *, axis_name):
        return jax.lax.fori_loop(0, 3, lambda i, x: jax.lax.pmean(x, axis_name), state), {}

    with pytest.raises(ValueError, match="outside of loops"):
        communication.all_reduces(phase_of(step), 4, 2)


def test_the_gan_waits_at_each_batch_norm_and_sends_its_gradients():
    traffic = communication.traffic(scaling_model.all_reduces(64, "global"))
    # D's update: G's 4 batch norms, D's 3 forward and back, its gradients. G's: D's 3 forward and back, G's 4 back, its
    # gradients.
    assert (traffic.rounds, traffic.batch_norm_rounds) == (4 + 3 + 3 + 1 + 3 + 3 + 4 + 1, 20)
    parameters = 4_889_200 + 4_477_768
    assert 4 * parameters < traffic.bytes < 1.01 * 4 * parameters


def test_batch_norm_of_each_device_waits_for_gradients_only():
    traffic = communication.traffic(scaling_model.all_reduces(64, "device"))
    assert (traffic.rounds, traffic.batch_norm_rounds) == (2, 0)


def test_without_averages_nothing_is_summed():
    phase = gan.make(settings_lib.Settings(width=2).config(), 7, dataset.FER2013)
    assert communication.all_reduces(phase, 4, 2)
    assert not communication.all_reduces(scaling_steps.without_averages(phase), 4, 2)
