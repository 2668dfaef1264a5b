"""Edits by the difference of two flows, against ones worked out by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from emogan.data import dataset
from emogan.models import flow_edit, ode
from emogan.util import images

RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (3, 48, 48), dtype=np.uint8)
FACES = np.asarray(images.to_float(BYTES))
NUMBERS = flow_edit.seeds(BYTES)
EYE = np.eye(2, dtype=np.float32)


def condition(*labels, guidance=None):
    return ode.Condition(EYE[list(labels)], None if guidance is None else np.full(len(labels), guidance, np.float32))


def pull(x, t, labels):
    """A velocity that leads to gray faces, of brightness 0.5 under the first label and -0.5 under the second."""
    goal = (labels @ jnp.array([0.5, -0.5]))[:, None, None, None]
    return (x - goal) / t[:, None, None, None]


def edit(velocity, target, source, faces=FACES, numbers=NUMBERS, seed=0, count=1, solver="euler", steps=4):
    """Edits before anything is drawn again, which may lie outside of [-1, 1]."""
    settings = flow_edit.FlowEditConfig(
        t_max=0.8, steps=steps, seed=seed, noises=count, solver=solver, guidance_t_min=0.0
    )
    return faces + flow_edit.difference(velocity, faces, settings, target, source, numbers)


def test_one_step_is_that_worked_out_by_hand():
    t, after = 0.5, 0.3
    moved = 0.1 * np.ones_like(FACES)
    noises = RANDOM.normal(size=(2, 3, 48, 48, 1)).astype(np.float32)
    # v(z_t, y) - v(z_s, y_s) = (z_t - z_s - (goal - goal_s)) / t, whatever the noise.
    first = (0.1 - np.array([-1.0, 0.0, 1.0])) / t
    arguments = pull, FACES, moved, t, after, noises, condition(1, 0, 0), condition(0, 0, 1)
    euler = flow_edit.step(*arguments, "euler")
    np.testing.assert_allclose(euler[:, 7, 7, 0], 0.1 + (after - t) * first, rtol=1e-4, atol=1e-5)
    further = 0.1 + (after - t) * first
    second = (further - np.array([-1.0, 0.0, 1.0])) / after
    heun = flow_edit.step(*arguments, "heun")
    np.testing.assert_allclose(heun[:, 7, 7, 0], 0.1 + (after - t) * (first + second) / 2, rtol=1e-4, atol=1e-5)


def test_flow_is_followed_to_the_difference_of_the_goals():
    # dz/dt = (z - x - d) / t from z = x ends, at t = 0, at z = x + d.
    edited = edit(pull, condition(1, 0, 0), condition(0, 0, 1))
    np.testing.assert_allclose(edited - FACES, np.array([-1.0, 0.0, 1.0])[:, None, None, None] + 0 * FACES, atol=1e-4)


def wild(x, t, labels):
    """A velocity in which every pixel, time and label matters."""
    shift = (labels @ jnp.array([1.0, 2.0]) + t)[:, None, None, None]
    return jnp.sin(3 * x + shift) + jnp.roll(x, 1, axis=1) * shift


def test_edit_to_the_own_label_at_equal_guidance_is_the_face_itself():
    for guidance in (None, 1.0, 4.0):
        own = condition(0, 1, 0, guidance=guidance)
        np.testing.assert_array_equal(edit(wild, own, own, solver="heun", count=2), FACES)
    np.testing.assert_array_equal(edit(wild, condition(0, 1, 0, guidance=1.0), condition(0, 1, 0)), FACES)
    other = edit(wild, condition(0, 1, 0, guidance=4.0), condition(0, 1, 0, guidance=1.0))
    assert np.abs(other - FACES).mean() > 0.01


def test_faces_whose_labels_are_alike_hardly_move_without_being_held():
    # The velocity does not know these labels apart; what is left is the rounding of z_t.
    blind = lambda x, t, labels: wild(x, t, jnp.zeros_like(labels))  # noqa: E731
    np.testing.assert_allclose(edit(blind, condition(1, 0, 1), condition(0, 1, 0)), FACES, atol=1e-5)


def test_noise_is_of_the_face_the_seed_and_the_step_alone():
    alone = edit(wild, condition(1), condition(0), FACES[1:2], NUMBERS[1:2])
    among = edit(wild, condition(1, 1, 1), condition(0, 0, 0))
    np.testing.assert_allclose(among[1:2], alone, atol=1e-5)
    again = edit(wild, condition(1, 1, 1), condition(0, 0, 0))
    np.testing.assert_array_equal(again, among)
    assert np.abs(edit(wild, condition(1, 1, 1), condition(0, 0, 0), seed=1) - among).mean() > 0.01
    noises = flow_edit.noise(0, NUMBERS, 0, 2, dataset.FER2013.shape)
    assert noises.shape == (2, 3, 48, 48, 1)
    assert abs(float(noises.std()) - 1) < 0.02
    others = flow_edit.noise(0, NUMBERS, 1, 2, dataset.FER2013.shape)
    correlated = np.corrcoef([*noises.reshape(6, -1), *others.reshape(6, -1)])
    assert np.abs(correlated - np.eye(12)).max() < 0.1


def test_number_of_a_face_is_that_of_its_bytes():
    assert NUMBERS.dtype == np.uint32
    assert len(set(NUMBERS.tolist())) == 3
    np.testing.assert_array_equal(flow_edit.seeds(BYTES[..., None]), NUMBERS)
    np.testing.assert_array_equal(flow_edit.seeds(FACES), NUMBERS)
    np.testing.assert_array_equal(flow_edit.seeds(FACES[..., 0]), NUMBERS)
    assert flow_edit.seeds(BYTES[:0]).shape == (0,)


def test_more_noises_are_averaged():
    t, moved = 0.6, np.full_like(FACES, 0.2)
    noises = RANDOM.normal(size=(3, 3, 48, 48, 1)).astype(np.float32)
    one = [
        flow_edit.change(wild, FACES, moved, t, noises[i : i + 1], condition(1, 0, 1), condition(0, 0, 0))
        for i in range(3)
    ]
    mean = flow_edit.change(wild, FACES, moved, t, noises, condition(1, 0, 1), condition(0, 0, 0))
    np.testing.assert_allclose(mean, np.mean(one, axis=0), atol=1e-5)


def test_errors_are_least_under_the_label_that_explains_a_face():
    # Under `pull`, gray faces of brightness 0.5 are explained by the first label, and of -0.5 by the second.
    faces = np.full((4, 48, 48, 1), 0.5, np.float32) * np.array([1, -1, -1, 1])[:, None, None, None]
    noises = jax.random.normal(jax.random.key(0), (2, 4, 48, 48, 1))
    found = flow_edit.errors(pull, faces, 0.5, noises, 2)
    np.testing.assert_array_equal(found.argmin(1), [0, 1, 1, 0])
    # Of the other label, the velocity is wrong by 1 / t.
    np.testing.assert_allclose(found, 4 * (1 - EYE[[0, 1, 1, 0]]), atol=1e-4)


def test_what_changed_is_drawn_again():
    level = lambda value: np.full((1, 48, 48, 1), value, np.float32)  # noqa: E731
    for value, expected in ((0.0, 0.0), (0.1, 0.0), (0.16, 0.5), (-0.16, 0.5), (0.22, 1.0), (1.5, 1.0)):
        np.testing.assert_allclose(flow_edit.changed(level(value)), level(expected), atol=1e-5)
    patch = level(0.0)
    patch[0, 10:30, 14:34] = 0.5
    again = np.asarray(flow_edit.changed(patch))[0, ..., 0]
    assert again[14:26, 18:30].min() == 1.0  # inside of it
    assert again[:5].max() == again[35:].max() == again[:, :9].max() == again[:, 39:].max() == 0.0
    single = level(0.0)
    single[0, 20, 20] = 1.0
    assert not np.asarray(flow_edit.changed(single)).any()
    # The blur is of the same share of a larger face; the channels count together.
    large = np.repeat(np.repeat(np.repeat(patch, 2, 1), 2, 2), 3, 3)
    pooled = np.asarray(flow_edit.changed(large)).reshape(48, 2, 48, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(pooled, again, atol=0.08)


def test_parts_that_are_drawn_again_come_from_the_target_and_the_rest_is_held():
    edited = FACES.copy()
    edited[:, :, :24] = np.clip(edited[:, :, :24] + np.where(edited[:, :, :24] > 0, -0.9, 0.9), -1, 1)
    settings = flow_edit.FlowEditConfig(redraw_t=0.5, redraw_steps=3)
    target = condition(1, 0, 1, guidance=1.0)
    found = flow_edit.redraw(pull, FACES, edited, settings, target, NUMBERS)
    # `pull` leads to its goal from any noise.
    goals = np.array([-0.5, 0.5, -0.5])[:, None, None, None] + 0 * FACES
    np.testing.assert_allclose(found[:, :, :18], goals[:, :, :18], atol=1e-5)
    np.testing.assert_array_equal(found[:, :, 32:], edited[:, :, 32:])


def test_an_edit_is_the_difference_and_what_is_drawn_again():
    settings = flow_edit.FlowEditConfig(steps=3, redraw_steps=2, redraw_guidance=3.0)
    target, source = condition(1, 1, 0, guidance=4.0), condition(0, 1, 1)
    moved = flow_edit.difference(wild, FACES, settings, target, source, NUMBERS)
    plain = np.clip(FACES + moved, -1, 1)
    np.testing.assert_allclose(
        flow_edit.edit(wild, FACES, dataclasses.replace(settings, redraw_t=0.0), target, source, NUMBERS), plain
    )
    again = condition(1, 1, 0, guidance=3.0)
    expected = flow_edit.redraw(wild, FACES, plain, settings, again, NUMBERS)
    found = flow_edit.edit(wild, FACES, settings, target, source, NUMBERS)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - plain).mean() > 0.01
    own = condition(0, 1, 1)
    np.testing.assert_array_equal(flow_edit.edit(wild, FACES, settings, own, own, NUMBERS), FACES)
