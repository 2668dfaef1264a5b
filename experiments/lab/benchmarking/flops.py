"""Floating-point operations of a step, counted from the shapes; a multiplication and an addition are two.

Counted are the convolutions, the transposed convolutions and the dense layers, with the labels joined to every input
as the paper has them: a convolution has (C_in + 7) * C_out products for each of its k * k taps and each position of
the smaller map. Batch norm, activations and Adam are left out; they are moving of memory, not arithmetic.

The way back through a layer is two products as large as the way forward, one for its weights and one for its input.
A textbook step of the GAN, in multiples of a pass forward through D and through G (`gan_step`):

    D's update:  G forward; D forward on real and generated faces; D's weights and inputs, of both      6 D + 1 G
    G's update:  G forward once more; D forward; D's inputs alone; G's weights and inputs               2 D + 3 G

which at full width and batch 64 is 8 * 12.99 + 4 * 11.88 = 151.4 GFLOP. That is the nominal figure: code that computes
less for the same result (G forward once, no gradient of the real faces, label maps that are never written) has a
higher nominal rate. Without the taps that meet nothing but padding (`padding=False`) it is 120.6 GFLOP.
"""

import dataclasses

KERNEL, STRIDE = 5, 2


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer of one example: `positions` in each dimension of the smaller map (0: dense), and channels."""

    positions: int
    inputs: int
    outputs: int

    def forward(self, padding: bool = True) -> int:
        """Returns the operations of one example forward; without `padding`, of the taps that meet the map alone."""
        if not self.positions:
            return 2 * self.inputs * self.outputs
        taps = KERNEL * self.positions if padding else _taps_on_data(self.positions)
        return 2 * taps**2 * self.inputs * self.outputs


def generator(width: int, latent_size: int = 100, classes: int = 7) -> list[Layer]:
    """Returns the layers of G."""
    sizes = [8 * width, 4 * width, 2 * width, width, 1]
    dense = Layer(0, latent_size + classes, 9 * sizes[0])
    return [dense, *(Layer(3 * 2**i, sizes[i] + classes, sizes[i + 1]) for i in range(4))]


def discriminator(width: int, classes: int = 7) -> list[Layer]:
    """Returns the layers of D."""
    return [*_trunk(width, classes), Layer(0, 72 * width + classes, 1)]


def encoder(width: int, latent_size: int = 100) -> list[Layer]:
    """Returns the layers of E(x)."""
    return [*_trunk(width, 0), Layer(0, 72 * width, latent_size)]


def forward(layers: list[Layer], batch_size: int, padding: bool = True) -> int:
    """Returns the operations of one pass forward of a batch."""
    return batch_size * sum(layer.forward(padding) for layer in layers)


def gan_step(width: int, batch_size: int, latent_size: int = 100, padding: bool = True) -> int:
    """Returns the operations of a textbook step of the GAN: 8 passes of D and 4 of G (see above)."""
    d = forward(discriminator(width), batch_size, padding)
    g = forward(generator(width, latent_size), batch_size, padding)
    return 8 * d + 4 * g


def encoder_step(width: int, batch_size: int, latent_size: int = 100, padding: bool = True) -> int:
    """Returns the operations of a step of E: E forward and its weights and inputs; G forward and its inputs."""
    e = forward(encoder(width, latent_size), batch_size, padding)
    g = forward(generator(width, latent_size), batch_size, padding)
    return 3 * e + 2 * g


def _trunk(width: int, classes: int) -> list[Layer]:
    sizes = [1, width, 2 * width, 4 * width, 8 * width]
    return [Layer(24 // 2**i, sizes[i] + classes, sizes[i + 1]) for i in range(4)]


def _taps_on_data(positions: int) -> int:
    """Returns how many (position, tap) of one dimension meet the larger map, padded by 1 before and 2 after."""
    return sum(0 <= STRIDE * o + t - 1 < STRIDE * positions for o in range(positions) for t in range(KERNEL))
