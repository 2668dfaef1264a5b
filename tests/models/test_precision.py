"""Which precision networks take."""

import jax
import pytest

from emogan import presets
from emogan.models import dcgan, onednn, precision, unet


@pytest.mark.parametrize(
    ("backend", "onednn_has", "devices", "expected"),
    [
        ("gpu", 0, 8, "bfloat16"),
        ("tpu", 0, 1, "bfloat16"),
        ("metal", 0, 1, "float32"),
        ("cpu", 2, 1, "bfloat16"),
        ("cpu", 1, 1, "bfloat16"),
        ("cpu", 0, 1, "float32"),
        ("cpu", 2, 4, "float32"),
    ],
)
def test_bfloat16_is_fastest_where_the_hardware_has_it(monkeypatch, backend, onednn_has, devices, expected):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(onednn, "load", lambda: onednn.Loaded(onednn_has > 0, onednn_has))
    assert precision.fastest(devices) == expected


@pytest.mark.parametrize(("name", "expected"), [("auto", "float32"), ("float32", "float32"), ("bfloat16", "bfloat16")])
def test_networks_compute_in_it(name, expected):
    config = presets.quick()
    config.model.precision = name
    made = [
        dcgan.make_generator(config.model, 7, config.data.spec),
        dcgan.make_discriminator(config.model, 7),
        dcgan.make_encoder(config.model, 7),
        unet.make(config.unet, 7, config.model.precision),
        unet.make_features(config.unet, 7, config.model.precision),
    ]
    assert {str(module.dtype) for module in made} == {expected}
