"""Phase `encoder` against eq. (13) and (14) as written down in NumPy and plain jax.grad."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from emogan import config as config_lib
from emogan.data import dataset
from emogan.models import dcgan
from emogan.recipes import encoder
from emogan.util import images

KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def stepped(encoder_step, encoder_state, batch):
    return encoder_step(encoder_state, batch, KEY)


def variant(config, **options):
    """The configuration with other settings of E's model or phase."""
    model = {name: value for name, value in options.items() if hasattr(config.model, name)}
    settings = {name: value for name, value in options.items() if name not in model}
    return config_lib.Config(
        model=config_lib.ModelConfig(**{**vars(config.model), **model}),
        encoder=config_lib.EncoderConfig(**{**vars(config.encoder), **settings}),
    )


def test_only_the_encoder_moves(encoder_state, stepped, generator_variables):
    state, _ = stepped
    jax.tree.map(np.testing.assert_array_equal, state.generator, generator_variables)
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), encoder_state.encoder.params, state.encoder.params)
    assert all(jax.tree.leaves(moved["latent"]))
    assert moved["trunk"]["conv0"]["kernel"]
    assert int(state.step) == 1


def test_state_copies_the_generator_so_that_it_may_be_donated(encoder_phase, generator_variables):
    state = encoder_phase.init(jax.random.key(0))
    pointers = [
        {leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(tree)}
        for tree in (state.generator, generator_variables)
    ]
    assert not pointers[0] & pointers[1]


def test_loss_and_gradient_are_those_of_equation_14(config, encoder_state, stepped, generator_variables, batch):
    E, G = dcgan.make_encoder(config.model, 7), dcgan.make_generator(config.model, 7, dataset.FER2013)
    faces = images.to_float(batch["image"])

    @jax.jit
    def forward(params):
        variables = {"params": params, "batch_stats": encoder_state.encoder.batch_stats}
        latents, updates = E.apply(variables, faces, batch["label"], train=True, mutable=["batch_stats"])
        return G.apply(generator_variables, latents, batch["label"], train=False), (latents, updates["batch_stats"])

    state, metrics = stepped
    answers, (latents, stats) = forward(encoder_state.encoder.params)
    errors = np.square(np.asarray(faces, np.float64) - np.asarray(answers, np.float64)).sum((1, 2, 3))
    expected = errors.mean()
    assert float(metrics["loss"]) == pytest.approx(expected, rel=1e-4)
    assert float(metrics["image_loss"]) == pytest.approx(expected, rel=1e-4)
    assert float(metrics["psnr"]) == pytest.approx(np.mean(10 * np.log10(4 * 48 * 48 / errors)), rel=1e-4)
    assert float(metrics["edge"]) == pytest.approx(float((jnp.abs(latents) > 0.95).mean()))
    assert "latent_loss" not in metrics
    gradients = jax.jit(jax.grad(lambda p: jnp.sum((faces - forward(p)[0]) ** 2) / len(faces)))(
        encoder_state.encoder.params
    )
    moments = state.encoder.opt_state[0].mu  # (1 - b1) times the first gradients
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradients))
    for found, wanted in ((moments, jax.tree.map(lambda g: 0.5 * g, gradients)), (state.encoder.batch_stats, stats)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-5 * scale), found, wanted)


def test_latent_loss_is_that_of_equation_13_and_weighted(config, encoder_state, generator_variables, batch):
    settings = variant(config, image_loss=0.5, latent_loss=3.0)
    step = jax.jit(encoder.make(settings, 7, generator_variables, dataset.FER2013).step)
    _, metrics = step(encoder_state, batch, KEY)
    E, G = dcgan.make_encoder(config.model, 7), dcgan.make_generator(config.model, 7, dataset.FER2013)
    drawn = dcgan.sample_latents(KEY, 8, config.model.latent_size, "uniform")
    generated = G.apply(generator_variables, drawn, batch["label"], train=False)
    estimates, _ = E.apply(
        encoder_state.encoder.variables, generated, batch["label"], train=True, mutable=["batch_stats"]
    )
    expected = np.square(np.asarray(drawn) - np.asarray(estimates)).sum(axis=1).mean()
    assert float(metrics["latent_loss"]) == pytest.approx(expected, rel=1e-3)
    total = 0.5 * float(metrics["image_loss"]) + 3.0 * float(metrics["latent_loss"])
    assert float(metrics["loss"]) == pytest.approx(total, rel=1e-5)


def test_running_statistics_are_those_of_real_faces_with_either_loss(
    config, encoder_state, stepped, generator_variables, batch
):
    settings = variant(config, image_loss=0.0, latent_loss=1.0)
    step = jax.jit(encoder.make(settings, 7, generator_variables, dataset.FER2013).step)
    state, metrics = step(encoder_state, batch, KEY)
    assert float(metrics["loss"]) == pytest.approx(float(metrics["latent_loss"]))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        state.encoder.batch_stats,
        stepped[0].encoder.batch_stats,
    )


def test_average_follows_the_encoder_and_is_what_samples_are_made_with(encoder_phase, encoder_state, stepped, batch):
    fresh = encoder_phase.init(jax.random.key(3))
    jax.tree.map(np.testing.assert_array_equal, fresh.average, dict(fresh.encoder.variables))
    state = stepped[0]
    expected = jax.tree.map(lambda a, n: 0.1 * a + 0.9 * n, encoder_state.average, dict(state.encoder.variables))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), state.average, expected)
    assert state.best_encoder is state.average
    sample = jax.jit(encoder_phase.sample)
    averaged, other = (
        sample(changed, batch, KEY)[1]["sample_psnr"]
        for changed in (
            state.replace(encoder=state.encoder.replace(params=jax.tree.map(jnp.zeros_like, state.encoder.params))),
            state.replace(average=jax.tree.map(jnp.zeros_like, state.average)),
        )
    )
    assert float(sample(state, batch, KEY)[1]["sample_psnr"]) == float(averaged) != float(other)


def test_without_average_the_encoder_itself_is_the_best(config, generator_variables):
    phase = encoder.make(variant(config, ema_decay=0.0), 7, generator_variables, dataset.FER2013)
    state = phase.init(jax.random.key(0))
    assert state.average == {}
    assert state.best_encoder["params"] is state.encoder.params


@pytest.mark.parametrize("encoder_labels", [False, True])
def test_label_reaches_the_encoder_only_where_asked_for(config, encoder_labels, batch):
    module = dcgan.make_encoder(variant(config, encoder_labels=encoder_labels).model, 7)
    faces = images.to_float(batch["image"])
    variables = jax.jit(lambda key: module.init(key, faces, batch["label"], train=False))(jax.random.key(0))
    answers = [module.apply(variables, faces, label, train=False) for label in (batch["label"], 6 - batch["label"])]
    assert bool((answers[0] != answers[1]).any()) == encoder_labels


def test_sample_shows_faces_their_own_labels_and_all_edits(config, encoder_phase, encoder_state, batch):
    picture, metrics = jax.jit(encoder_phase.sample)(encoder_state, batch, KEY)
    assert encoder_phase.sample_columns == (
        "face", "own label", "angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral",
    )  # fmt: skip
    assert (picture.shape, picture.dtype) == ((8, 9, 48, 48), jnp.uint8)
    labels = np.asarray(batch["label"])
    np.testing.assert_array_equal(picture[:, 0], batch["image"])
    np.testing.assert_array_equal(picture[:, 1], picture[np.arange(8), 2 + labels])
    E, G = dcgan.make_encoder(config.model, 7), dcgan.make_generator(config.model, 7, dataset.FER2013)
    faces = images.to_float(batch["image"])
    latents = E.apply(encoder_state.best_encoder, faces, batch["label"], train=False)
    edits = np.stack(
        [G.apply(encoder_state.generator, latents, jnp.full((8,), label), train=False) for label in range(7)]
    )
    expected = np.asarray(images.to_bytes(edits.reshape(-1, 48, 48, 1))).reshape(7, 8, 48, 48).swapaxes(0, 1)
    np.testing.assert_allclose(picture[:, 2:].astype(int), expected.astype(int), atol=1)
    errors = np.square(edits[labels, np.arange(8)] - np.asarray(faces)).mean((1, 2, 3))
    assert float(metrics["sample_psnr"]) == pytest.approx(np.mean(10 * np.log10(4 / errors)), rel=1e-4)
    assert float(metrics["edit_spread"]) == pytest.approx(edits.std(axis=0).mean(), rel=1e-3)
    assert float(metrics["edit_spread"]) > 1e-3
    assert float(metrics["sample_edge"]) == pytest.approx(float((jnp.abs(latents) > 0.95).mean()))


def test_encoder_is_never_told_sick(encoder_phase):
    assert encoder_phase.diagnose({"loss": 1e9}) is None


def test_other_labels_than_the_seven_emotions_are_numbered(config):
    G = dcgan.make_generator(config.model, 3, dataset.FER2013)
    latents, labels = jnp.zeros((1, config.model.latent_size)), jnp.zeros((1,), jnp.int32)
    shapes = jax.eval_shape(lambda: G.init(jax.random.key(0), latents, labels, train=False))
    assert encoder.make(config, 3, shapes, dataset.FER2013).sample_columns == ("face", "own label", "0", "1", "2")
