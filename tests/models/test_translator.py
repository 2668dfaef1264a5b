"""E and G of phase `joint`: what each can and cannot see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from emogan.data import dataset
from emogan.models import translator

KEY = jax.random.key(2)
FACES = jax.random.uniform(KEY, (3, 48, 48, 1), minval=-1.0)
LABELS = jnp.asarray([0, 3, 6])


def test_fold_keeps_each_square_of_pixels_together_and_unfold_undoes_it():
    maps = translator.fold(FACES)
    np.testing.assert_array_equal(maps[1, 2, 5], FACES[1, 8:12, 20:24, 0].reshape(-1))
    np.testing.assert_array_equal(translator.unfold(maps), FACES)


def test_smooth_takes_out_what_alternates_and_keeps_what_is_flat():
    alternating = jnp.indices((8, 8)).sum(0) % 2
    maps = jnp.stack([alternating, jnp.full((8, 8), 3.0)], axis=-1)[None]
    found = translator.smooth(maps)
    np.testing.assert_allclose(found[0, 1:-1, 1:-1, 0], 0.5)
    np.testing.assert_allclose(found[0, ..., 1], 3.0)


def test_enlarge_is_linear_between_the_points_of_the_code():
    maps = jax.random.normal(KEY, (3, 12, 12, 2))
    expected = jax.image.resize(maps, (3, 48, 48, 2), "linear")
    np.testing.assert_allclose(translator.enlarge(maps), expected, atol=1e-5)


def test_warp_takes_each_pixel_from_where_the_flow_points():
    rows, columns = jnp.meshgrid(jnp.arange(48.0), jnp.arange(48.0), indexing="ij")
    at = lambda y, x: jnp.stack([y, y * x, y**2 - x**2])  # noqa: E731  parabolas, as Keys' kernel knows
    down, right = 1.5, -2.25
    faces = at(rows, columns)[..., None]
    found = translator.warp(faces, jnp.broadcast_to(jnp.asarray([down, right]), (3, 48, 48, 2)), 3)
    inner = slice(5, -5)
    expected = at(rows + down, columns + right)
    np.testing.assert_allclose(found[:, inner, inner, 0], expected[:, inner, inner], rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(translator.warp(FACES, jnp.zeros((3, 48, 48, 2)), 4), FACES)


def test_warp_of_single_pixels_follows_their_own_flow():
    faces = jnp.zeros((1, 48, 48, 1)).at[0, 10, 20].set(1.0)
    flow = jnp.zeros((1, 48, 48, 2)).at[0, 10, 22].set(jnp.asarray([0.0, -2.0]))
    found = translator.warp(faces, flow, 2)
    assert found[0, 10, 22, 0] == found[0, 10, 20, 0] == 1
    assert found.sum() == 2


def test_instance_norm_gives_each_face_the_mean_and_spread_of_its_label():
    module = translator.InstanceNorm(7)
    maps = 5 + 3 * jax.random.normal(KEY, (3, 12, 12, 2))
    params = {"scale": jnp.arange(14.0).reshape(7, 2), "bias": -jnp.arange(14.0).reshape(7, 2)}
    found = module.apply({"params": params}, maps, LABELS)
    np.testing.assert_allclose(found.mean((1, 2)), params["bias"][LABELS], atol=1e-4)
    np.testing.assert_allclose(found.std((1, 2)), params["scale"][LABELS], rtol=1e-3, atol=1e-4)


def networks(labels_at="generator", skip=True, reach=0):
    at_encoder = labels_at == "encoder"
    E = translator.Encoder(4, 1, 7 if at_encoder else 0, skip)
    G = translator.Generator(4, 1, 0 if at_encoder else 7, skip, reach)
    codes, encoder = jax.jit(E.init_with_output)(KEY, FACES, LABELS)
    return E, G, encoder, jax.jit(G.init)(KEY, codes, LABELS), codes


@pytest.mark.parametrize("skip", [True, False])
def test_only_the_network_that_is_told_the_label_depends_on_it(skip):
    other = (LABELS + 1) % 7
    for at in ("generator", "encoder"):
        E, G, encoder, generator, codes = networks(at, skip)
        # Norms of all labels begin alike.
        generator = jax.tree.map(lambda leaf: leaf + 0.3 * jax.random.normal(KEY, leaf.shape), generator)
        told = (
            jnp.abs(E.apply(encoder, FACES, other) - codes).max(),
            jnp.abs(G.apply(generator, codes, other) - G.apply(generator, codes, LABELS)).max(),
        )
        assert [change > 1e-3 for change in told] == [at == "encoder", at == "generator"]
        assert codes.shape == (3, 12, 12, 12 + (16 if skip else 0))


def test_a_closed_mask_leaves_the_face_as_it_is_and_an_open_one_shades_it_as_the_drawn_face():
    _, G, _, generator, codes = networks(reach=2)
    shaded = FACES + translator.smooth(translator.smooth(jnp.tanh(0.7) - FACES))
    for mask, expected in ((-50.0, FACES), (50.0, shaded)):
        last = {"kernel": jnp.zeros_like(generator["params"]["up1"]["kernel"]), "bias": jnp.asarray([0.7, mask])}
        found = G.apply({"params": {**generator["params"], "up1": last}}, codes, LABELS)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_bent_face_under_a_closed_mask_is_a_warp_of_the_face_in_the_code():
    _, G, _, generator, codes = networks(reach=2)
    flow = {"kernel": jnp.zeros_like(generator["params"]["flow"]["kernel"]), "bias": jnp.asarray([1.0, -0.3])}
    last = {"kernel": jnp.zeros_like(generator["params"]["up1"]["kernel"]), "bias": jnp.asarray([0.7, -50.0])}
    found = G.apply({"params": {**generator["params"], "up1": last, "flow": flow}}, codes, LABELS)
    ways = jnp.broadcast_to(2 * jnp.tanh(flow["bias"]), (3, 48, 48, 2))
    np.testing.assert_allclose(found, translator.warp(FACES, ways, 2), atol=1e-5)
    assert jnp.abs(found - FACES).max() > 0.1


def test_drawing_tells_how_much_was_painted_and_how_roughly_it_was_bent():
    _, G, _, generator, codes = networks(reach=2)
    kernel = jnp.zeros_like(generator["params"]["up1"]["kernel"])
    last = {"kernel": kernel, "bias": jnp.asarray([0.7, 50.0])}
    kernel = generator["params"]["flow"]["kernel"] + jax.random.normal(KEY, generator["params"]["flow"]["kernel"].shape)
    bent = {**generator["params"], "up1": last, "flow": {"kernel": kernel, "bias": jnp.zeros(2)}}
    drawing = G.apply({"params": bent}, codes, LABELS, method="draw")
    closed = {**bent, "up1": {**last, "bias": jnp.asarray([0.7, -50.0])}}
    source = G.apply({"params": closed}, codes, LABELS)
    np.testing.assert_allclose(drawing.residual, jnp.square(drawing.faces - source).mean((1, 2, 3)), rtol=1e-5)
    shades = translator.smooth(translator.smooth(jnp.tanh(0.7) - source))
    np.testing.assert_allclose(drawing.faces, source + shades, atol=1e-5)
    assert (drawing.roughness > 0.1).all()
    shut = G.apply({"params": bent}, codes, LABELS, 0.0, method="draw")
    np.testing.assert_allclose(shut.faces, source, atol=1e-6)
    np.testing.assert_array_equal(shut.residual, 0)
    even = {**bent, "flow": {"kernel": jnp.zeros_like(kernel), "bias": jnp.asarray([1.0, -1.0])}}
    drawing = G.apply({"params": even}, codes, LABELS, method="draw")
    np.testing.assert_allclose(drawing.roughness, 0, atol=1e-10)


def test_strength_multiplies_what_the_flow_is_made_of():
    _, G, _, generator, codes = networks(reach=2)
    kernel = jax.random.normal(KEY, generator["params"]["flow"]["kernel"].shape)
    bend = lambda factor: {"kernel": factor * kernel, "bias": factor * jnp.asarray([0.3, -0.2])}  # noqa: E731
    apply = lambda module, flow: module.apply({"params": {**generator["params"], "flow": flow}}, codes, LABELS)  # noqa: E731
    np.testing.assert_allclose(apply(G.clone(strength=(1.5,)), bend(1.0)), apply(G, bend(1.5)), atol=1e-5)
    assert jnp.abs(apply(G, bend(1.5)) - apply(G, bend(1.0))).max() > 0.01
    strengths = (1.5, 9.0, 9.0, 0.5, 9.0, 9.0, 2.0)
    each = [apply(G.clone(strength=(strengths[label],)), bend(1.0))[i] for i, label in enumerate(LABELS)]
    np.testing.assert_allclose(apply(G.clone(strength=strengths), bend(1.0)), jnp.stack(each), atol=1e-5)


@pytest.mark.parametrize(("labels_at", "skip"), [("generator", True), ("encoder", False)])
def test_mirrored_networks_make_of_a_mirror_image_the_mirror_image_of_what_they_make_of_the_face(labels_at, skip):
    E, G, encoder, generator, codes = networks(labels_at, skip, reach=2)
    generator = jax.tree.map(lambda leaf: leaf + 0.3 * jax.random.normal(KEY, leaf.shape), generator)
    draw = lambda E, G, faces: G.apply(generator, E.apply(encoder, faces, LABELS), LABELS)  # noqa: E731
    assert jnp.abs(draw(E, G, FACES) - translator.mirror(draw(E, G, translator.mirror(FACES)))).max() > 0.1
    both = E.clone(mirrored=True), G.clone(mirrored=True)
    found = draw(*both, FACES)
    np.testing.assert_allclose(found, translator.mirror(draw(*both, translator.mirror(FACES))), atol=1e-4)
    twice = both[0].apply(encoder, FACES, LABELS)
    np.testing.assert_allclose(twice[..., : codes.shape[-1]], codes, atol=1e-5)
    of_mirror_image = E.apply(encoder, translator.mirror(FACES), LABELS)
    np.testing.assert_allclose(twice[..., codes.shape[-1] :], of_mirror_image[..., 16 if skip else 0 :], atol=1e-5)
    assert jnp.abs(found - FACES).max() > 0.1


@pytest.mark.parametrize(("labels_at", "skip"), [("generator", True), ("encoder", False)])
def test_mirrored_networks_that_bend_nothing_draw_the_mean_of_both_edits(labels_at, skip):
    E, G, encoder, generator, _ = networks(labels_at, skip)
    generator = jax.tree.map(lambda leaf: leaf + 0.3 * jax.random.normal(KEY, leaf.shape), generator)
    draw = lambda E, G, faces: G.apply(generator, E.apply(encoder, faces, LABELS), LABELS)  # noqa: E731
    edits, other = draw(E, G, FACES), translator.mirror(draw(E, G, translator.mirror(FACES)))
    assert jnp.abs(edits - other).max() > 0.01
    found = draw(E.clone(mirrored=True), G.clone(mirrored=True), FACES)
    np.testing.assert_allclose(found, (edits + other) / 2, atol=1e-5)


def test_mirrored_networks_bend_by_the_mean_of_both_flows():
    E, G, encoder, generator, _ = networks(reach=2)
    generator = jax.tree.map(lambda leaf: leaf + 0.3 * jax.random.normal(KEY, leaf.shape), generator)

    def asked(E, G, faces):
        codes = E.apply(encoder, faces, LABELS)
        return G.apply(generator, codes, LABELS, mutable=["intermediates"])[1]["intermediates"]["warp"][0]

    other = translator.mirror(asked(E, G, translator.mirror(FACES))) * jnp.asarray([1, -1]).reshape(1, 1, 1, 2)
    expected = (asked(E, G, FACES) + other) / 2
    found = asked(E.clone(mirrored=True), G.clone(mirrored=True), FACES)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert jnp.abs(found - asked(E, G, FACES)).max() > 0.1


def test_without_skip_the_face_itself_is_not_in_the_code():
    _, G, _, generator, codes = networks(skip=False)
    assert codes.shape[-1] == 12
    assert G.apply(generator, codes, LABELS).shape == FACES.shape


def test_displacement_of_a_warp_gives_the_same_picture_in_one_step():
    rows, columns = jnp.meshgrid(jnp.arange(48.0), jnp.arange(48.0), indexing="ij")
    flow = 3 * jnp.tanh(translator.enlarge(jax.random.normal(KEY, (1, 12, 12, 2))))
    ramps = jnp.stack([rows, columns])[..., None]  # which a warp turns into where their values came from
    found = translator.warp(ramps, jnp.concatenate([flow, flow]), 3)[..., 0]
    ways = translator.displacement(flow, 3)[0]
    inner = slice(5, -5)
    np.testing.assert_allclose((found[0] - rows)[inner, inner], ways[inner, inner, 0], atol=1e-4)
    np.testing.assert_allclose((found[1] - columns)[inner, inner], ways[inner, inner, 1], atol=1e-4)


def test_bfloat16_is_near_and_draws_in_float32():
    E, G, encoder, generator, codes = networks(reach=2)
    generator = jax.tree.map(lambda leaf: leaf + 0.1 * jax.random.normal(KEY, leaf.shape), generator)
    rough = E.clone(dtype=jnp.bfloat16), G.clone(dtype=jnp.bfloat16)
    drawn = jax.eval_shape(lambda: (rough[0].init(KEY, FACES, LABELS), rough[1].init(KEY, codes, LABELS)))
    assert drawn == jax.eval_shape(lambda: (encoder, generator))
    draw = lambda E, G: G.apply(generator, E.apply(encoder, FACES, LABELS), LABELS, method="draw")  # noqa: E731
    for found, expected in zip(draw(*rough), draw(E, G), strict=True):
        assert found.dtype == jnp.float32
        assert 0 < jnp.abs(found - expected).max() / jnp.abs(expected).max() < 0.05


@pytest.mark.parametrize("finished", [True, False])
def test_what_edits_computes_in_float32(finished):
    settings, spec = translator.TranslatorConfig(), dataset.FER2013
    if finished:
        made = translator.make_finished_encoder(settings, 7), translator.make_finished_generator(settings, 7, spec)
    else:
        made = (
            translator.make_encoder(settings, 7, "bfloat16"),
            translator.make_generator(settings, 7, spec, "bfloat16"),
        )
    assert {module.dtype for module in made} == {jnp.dtype("float32" if finished else "bfloat16")}
