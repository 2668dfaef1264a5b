"""Operations counted from shapes, beside counts by hand."""

import pytest
from benchmarking import flops


def test_a_dense_layer_has_a_product_for_each_pair():
    assert flops.Layer(0, 3, 5).forward() == 2 * 3 * 5


def test_a_convolution_has_its_taps_at_every_output():
    # 6x6 -> 3x3: 9 outputs of 25 taps.
    assert flops.Layer(3, 2, 4).forward() == 2 * 9 * 25 * 2 * 4


def test_taps_on_padding_can_be_left_out():
    # Of 6 positions padded by 1 and 2, outputs 0, 1 and 2 see the places -1..3, 1..5 and 3..7: 4 + 5 + 3 that exist.
    assert flops.Layer(3, 2, 4).forward(padding=False) == 2 * 12**2 * 2 * 4


def test_layers_are_those_of_the_paper():
    assert flops.generator(64) == [
        flops.Layer(0, 107, 4608),
        flops.Layer(3, 519, 256),
        flops.Layer(6, 263, 128),
        flops.Layer(12, 135, 64),
        flops.Layer(24, 71, 1),
    ]
    assert flops.discriminator(2) == [
        flops.Layer(24, 8, 2),
        flops.Layer(12, 9, 4),
        flops.Layer(6, 11, 8),
        flops.Layer(3, 15, 16),
        flops.Layer(0, 151, 1),
    ]
    assert flops.encoder(2)[0] == flops.Layer(24, 1, 2)
    assert flops.encoder(2)[-1] == flops.Layer(0, 144, 100)


def test_a_small_network_by_hand():
    d = 2 * (14400 * 8 * 2 + 3600 * 9 * 4 + 900 * 11 * 8 + 225 * 15 * 16 + 151)
    g = 2 * (107 * 144 + 225 * 23 * 8 + 900 * 15 * 4 + 3600 * 11 * 2 + 14400 * 9)
    assert flops.forward(flops.discriminator(2), 3) == 3 * d
    assert flops.gan_step(2, 3) == 3 * (8 * d + 4 * g)


def test_full_width_has_the_nominal_figure():
    assert flops.gan_step(64, 64) / 1e9 == pytest.approx(151.45, abs=0.01)
    assert flops.gan_step(64, 64, padding=False) / 1e9 == pytest.approx(120.6, abs=0.1)


def test_a_small_u_net_by_hand():
    # 24x24 and 12x12 places of 8 and 16 channels, a condition of 32 numbers.
    dense = 8 * 32 + 32 * 32 + 8 * 32
    large = [(4, 8, 9), (8, 8, 9), (8, 8, 9), (8, 4, 9)]  # stem, down, velocity: inputs, outputs, taps
    large += [(16 + 8, 8, 9), (8, 8, 9), (16 + 8, 8, 1), (8 + 8, 8, 9), (8, 8, 9), (8 + 8, 8, 1)]  # up
    small = [(8, 16, 9), (16, 16, 9), (8, 16, 1), *[(16, 16, 9)] * 4, (16, 48, 1), (16, 16, 1)]  # down, middle
    small += [(32, 16, 9), (16, 16, 9), (32, 16, 1), (24, 16, 9), (16, 16, 9), (24, 16, 1)]  # up
    modulations = 32 * 2 * (3 * 8 + 5 * 16)
    attention = 2 * 144 * 144 * 16
    maps = sum(576 * i * o * taps for i, o, taps in large) + sum(144 * i * o * taps for i, o, taps in small)
    assert flops.forward(flops.unet((8, 16), 1), 1) == 2 * (dense + modulations + attention + maps)


def test_taps_of_a_3x3_convolution_on_padding_can_be_left_out():
    assert flops.Layer(3, 1, 1, 3, 1).forward(padding=False) == 2 * 7**2
