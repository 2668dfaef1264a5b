"""Models of every kind to export, and a browser for the page."""

import contextlib
import dataclasses
import functools

import browser
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import tiny_models

import emogan
from emogan import config as config_lib
from emogan import presets
from emogan.data import toyfaces
from emogan.export import runtime
from emogan.models import dcgan, translator, unet
from emogan.util import files

KINDS = {
    "paper": config_lib.Config(model=config_lib.ModelConfig(width=4, latent_size=8)),
    "pooled": config_lib.Config(model=config_lib.ModelConfig(width=4, latent_size=8, resampling="pooled")),
    "joint": config_lib.Config(phases="joint", translator=config_lib.TranslatorConfig(width=4, blocks=1)),
    "mirrored": config_lib.Config(
        phases="joint", translator=config_lib.TranslatorConfig(width=4, blocks=1, mirrored=True)
    ),
    "StarGAN": config_lib.Config(
        phases="joint", translator=config_lib.TranslatorConfig(width=4, blocks=1, labels="encoder", skip=False)
    ),
}


def make_model(config: config_lib.Config) -> emogan.Editor:
    """Untrained networks with weights so large that faces and labels make a difference."""
    sizes = config.translator if config.phases == "joint" else config.model
    makers = (
        (translator.make_finished_encoder, translator.make_finished_generator)
        if config.phases == "joint"
        else (dcgan.make_encoder, dcgan.make_generator)
    )
    spec = config.data.spec
    code = translator.code_shape(sizes, spec) if config.phases == "joint" else (config.model.latent_size,)
    random = np.random.default_rng(1)

    def draw(path, leaf):
        name = path[-1].key
        if name in ("mean", "var", "scale"):
            return np.full(leaf.shape, 0.0 if name == "mean" else 1.0, np.float32)
        spread = 0.3 if name == "bias" else (2 / np.prod(leaf.shape[:-1])) ** 0.5
        if path[-2].key == "flow":
            spread /= 4  # a face is bent by a pixel or two: each more multiplies what was rounded
        return random.normal(0.0, spread, leaf.shape).astype(np.float32)

    variables = []
    modules = makers[0](sizes, 7), makers[1](sizes, 7, spec)
    for module, shape in zip(modules, (spec.shape, code), strict=True):
        init = functools.partial(module.init, train=False)
        shapes = jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, *shape)), jnp.zeros((1,), jnp.int32))
        variables.append(jax.tree_util.tree_map_with_path(draw, shapes))
    return tiny_models.make(config, emogan.EMOTIONS, *variables)


@pytest.fixture(scope="session", params=KINDS)
def model(request):
    """A model of each kind."""
    return make_model(KINDS[request.param])


@pytest.fixture(scope="session", params=["paper", "joint"])
def main_model(request):
    """A model of the paper's kind, and one of the joint phase."""
    return make_model(KINDS[request.param])


@pytest.fixture(scope="session")
def joint_model():
    """A model of the joint phase."""
    return make_model(KINDS["joint"])


@pytest.fixture(scope="session")
def colour_model():
    """A model of the joint phase, of larger faces in colour."""
    config = dataclasses.replace(KINDS["joint"], data=config_lib.DataConfig(size=64, channels=3))
    return make_model(config)


@pytest.fixture(scope="session", params=[(48, 1), (32, 3)], ids=["gray", "colour"])
def flow_model(request):
    """A flow in which everything has an effect."""
    config = presets.flow()
    config.data.size, config.data.channels = request.param
    config.unet = config_lib.UNetConfig(widths="8,16", blocks=1)
    config.flow_edit = config_lib.FlowEditConfig(steps=3, noises=2, guidance="3,4,3,3,3.5,2,3", guidance_t_min=0.4)
    random = np.random.default_rng(1)
    first = unet.initialise(unet.make(config.unet, 7, "float32"), jax.random.key(0), config.data.spec)
    params = jax.tree.map(lambda leaf: leaf + random.normal(0, 0.1, leaf.shape).astype(np.float32), first)
    return tiny_models.make(config, emogan.EMOTIONS, {"params": params}, {})


@pytest.fixture(scope="session")
def asked():
    """(faces uint8 [100, 48, 48], labels int32 [100]), other ones than the exports are checked on."""
    return toyfaces.load("train", count=100).images, np.arange(100, dtype=np.int32) * 3 % 7


@pytest.fixture(scope="session")
def live():
    """(model, faces, labels) -> the live model's edits, float32 [N, 48, 48, 1]."""

    def edit(model, faces, labels):
        return model.decode(model.encode(faces, labels if model.encoder_labels else None), labels)

    return edit


@pytest.fixture(scope="session")
def browser_of():
    """(driver, profile, width, height, touch, camera) -> `Browser`."""
    return browser.Browser


@pytest.fixture(scope="session")
def driver():
    """The address of a chromedriver."""
    with contextlib.ExitStack() as stack:
        try:
            address = stack.enter_context(browser.driver())
        except FileNotFoundError as error:
            pytest.skip(str(error))
        yield address


@pytest.fixture(scope="session")
def web_runtime():
    """The folder with onnxruntime-web's files."""
    try:
        return runtime.find(None, files.cache_dir())
    except ValueError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def serve():
    """(folder) -> the address of a static server of it."""
    with contextlib.ExitStack() as stack:
        yield lambda folder: stack.enter_context(browser.serve(folder))
