"""Augmentation: what each change does, and that it is a face's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from emogan.data import augment, toyfaces
from emogan.util import images

KEYS = jax.random.split(jax.random.key(0), 200)


@pytest.fixture(scope="module")
def faces():
    return images.to_float(jnp.asarray(toyfaces.load("train", 0, 8).images))


def test_flip_mirrors_half_of_the_images(faces):
    found = jax.vmap(lambda key: augment.flip(faces[0], key))(KEYS)
    mirrored = (found == faces[0][None, :, ::-1]).all(axis=(1, 2, 3))
    same = (found == faces[0][None]).all(axis=(1, 2, 3))
    assert (mirrored | same).all()
    assert 60 < mirrored.sum() < 140


def test_warp_without_change_is_the_image(faces):
    found = augment.warp(faces[0], KEYS[0], shift=0.0, rotation=0.0, zoom=0.0)
    np.testing.assert_allclose(found, faces[0], atol=1e-5)


def test_warp_moves_by_at_most_the_shift():
    dot = jnp.zeros((48, 48, 1)).at[24, 24].set(1.0)
    found = jax.vmap(lambda key: augment.warp(dot, key, shift=0.1, rotation=0.0, zoom=0.0))(KEYS)
    weights = found[..., 0] / found[..., 0].sum(axis=(1, 2), keepdims=True)
    place = jnp.stack([weights.sum(axis=2) @ jnp.arange(48.0), weights.sum(axis=1) @ jnp.arange(48.0)])
    assert 3.5 < jnp.abs(place - 24).max() <= 4.8 + 1e-3
    assert jnp.abs((place - 24).mean(axis=1)).max() < 1


def test_warp_by_a_quarter_turn_is_the_turned_image(faces):
    # A key whose angle is known: uniform(-1, 1) times the limit that makes it 90 degrees.
    angle = jax.random.uniform(KEYS[3], (4,), minval=-1.0)[2]
    found = augment.warp(faces[0], KEYS[3], shift=0.0, rotation=90.0 / angle, zoom=0.0)
    turned = [np.rot90(faces[0], turns, (0, 1)) for turns in (1, 3)]
    assert min(np.abs(found - one).max() for one in turned) < 1e-3


def test_light_changes_contrast_within_its_limits_and_keeps_the_order(faces):
    found = jax.vmap(lambda key: augment.light(faces[0], key, contrast=0.3, brightness=0.2))(KEYS)
    ratio = jnp.log(found.std(axis=(1, 2, 3)) / faces[0].std())
    assert -0.3 <= ratio.min() < -0.25
    assert 0.25 < ratio.max() <= 0.3
    moved = found.mean(axis=(1, 2, 3)) - faces[0].mean()
    assert -0.2 <= moved.min() < -0.15
    assert 0.15 < moved.max() <= 0.2


def test_erase_puts_the_mean_into_one_rectangle_of_some_images(faces):
    found = np.asarray(jax.vmap(lambda key: augment.erase(faces[0], key, chance=0.5, largest=0.4))(KEYS))
    changed = (found != np.asarray(faces[0])).any(axis=-1)
    share = changed.any(axis=(1, 2)).mean()
    assert 0.35 < share < 0.6
    for one, where in zip(found, changed, strict=True):
        if where.any():
            rows, columns = np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))
            box = one[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            np.testing.assert_allclose(box, faces[0].mean(), atol=1e-6)
            assert max(box.shape[:2]) <= 0.4 * 48 + 1


def test_a_face_changes_by_its_own_key_alone(faces):
    whole = augment.all_of(faces, KEYS[:8])
    alone = augment.all_of(faces[2:3], KEYS[2:3])
    np.testing.assert_allclose(whole[2], alone[0], atol=1e-6)
    assert not np.allclose(whole[2], augment.all_of(faces[2:3], KEYS[3:4])[0])
    assert whole.shape == faces.shape
    assert np.isfinite(whole).all()


def test_blur_is_a_gaussian_and_keeps_a_constant_image(faces):
    dot = jnp.zeros((48, 48, 1)).at[20, 30].set(1.0)
    found = np.asarray(augment.blur(dot, KEYS[0], least=1.0, most=1.0))[..., 0]
    places = np.arange(48)
    one = [
        np.exp(-0.5 * (places - middle) ** 2) / np.exp(-0.5 * np.arange(-20, 21) ** 2.0).sum() for middle in (20, 30)
    ]
    np.testing.assert_allclose(found, np.outer(*one), atol=1e-5)
    flat = jnp.full((48, 48, 1), 0.3)
    np.testing.assert_allclose(augment.blur(flat, KEYS[1]), flat, atol=1e-5)
    widths = [float(jnp.square(augment.blur(dot, key)).sum()) for key in KEYS[:50]]
    limits = 1 / (4 * np.pi * np.square([1.2, 0.6]))  # of the squared Gaussian's sum
    assert limits[0] * 0.95 < min(widths)
    assert max(widths) < limits[1] * 1.1


def test_grain_is_noise_of_its_deviation(faces):
    added = augment.grain(faces[0], KEYS[0], deviation=0.03) - faces[0]
    assert float(added.std()) == pytest.approx(0.03, rel=0.05)
    assert abs(float(added.mean())) < 0.003


def test_without_fine_detail_changes_each_face_by_its_own_key(faces):
    whole = augment.without_fine_detail(faces, KEYS[:8])
    alone = augment.without_fine_detail(faces[2:3], KEYS[2:3])
    np.testing.assert_allclose(whole[2], alone[0], atol=1e-5)
    assert not np.allclose(whole[2], augment.without_fine_detail(faces[2:3], KEYS[3:4])[0], atol=0.1)
