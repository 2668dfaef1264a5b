"""Which precision networks take."""

import os
import subprocess
import sys

import jax
import pytest

from emogan import presets
from emogan.models import dcgan, onednn, precision, unet


class Gpu:
    def __init__(self, capability):
        self.compute_capability = capability


@pytest.mark.parametrize(
    ("backend", "onednn_has", "devices", "expected"),
    [
        ("tpu", 0, 1, "bfloat16"),
        ("metal", 0, 1, "float32"),
        ("cpu", 2, 1, "bfloat16"),
        ("cpu", 1, 1, "bfloat16"),
        ("cpu", 0, 1, "float32"),
        ("cpu", 2, 4, "float32"),
    ],
)
def test_auto_is_bfloat16_where_the_hardware_has_it(monkeypatch, backend, onednn_has, devices, expected):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(onednn, "load", lambda: onednn.Loaded(onednn_has > 0, onednn_has))
    assert precision.of_machine(devices) == expected


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (Gpu("7.5"), "float32"),
        (Gpu("8.0"), "bfloat16"),
        (Gpu("9.0"), "bfloat16"),
        (Gpu("12.0"), "bfloat16"),
        (Gpu("gfx90a"), "float32"),
        (object(), "float32"),
    ],
    ids=["T4", "A100", "H100", "newer", "AMD", "unknown"],
)
def test_auto_asks_a_gpu_for_its_capability(monkeypatch, device, expected):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "devices", lambda: [device] * 8)
    assert precision.of_machine(8) == expected


@pytest.mark.parametrize(
    ("isa", "expected"), [("AVX2", 0), ("AVX512_CORE", 0), ("AVX512_CORE_VNNI", 0), ("AVX512_CORE_BF16", 1)]
)
def test_emulated_bfloat16_does_not_count(isa, expected):
    loaded = onednn.load()
    if not loaded.available or loaded.bfloat16 < expected:
        pytest.skip("this CPU has no bfloat16, or oneDNN is not there")
    code = "from emogan.models import onednn; print(onednn.load().bfloat16)"
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa, "JAX_PLATFORMS": "cpu"}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(found.stdout) == expected


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
