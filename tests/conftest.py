"""Strictness for all tests, and what several of them share."""

import pathlib

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 4)  # before the first use of a device
jax.config.update("jax_numpy_rank_promotion", "raise")

from emogan import config as config_lib  # noqa: E402
from emogan import pipeline  # noqa: E402


@pytest.fixture(scope="session")
def tiny_config() -> config_lib.Config:
    """A run of seconds: 128 drawn faces, an epoch of 8 steps for each phase. Copy it before changing it."""
    config = config_lib.quick()
    config.data.size = 128
    config.model.width = 4
    config.gan.epochs = config.encoder.epochs = 1
    config.gan.batch_size = config.encoder.batch_size = 16
    config.run.tensorboard = False
    return config


@pytest.fixture(scope="session")
def trained_workdir(tmp_path_factory: pytest.TempPathFactory, tiny_config: config_lib.Config) -> pathlib.Path:
    """The folder of a finished run of `tiny_config`; only to be read."""
    workdir = tmp_path_factory.mktemp("runs") / "tiny"
    pipeline.run(tiny_config, workdir)
    return workdir
