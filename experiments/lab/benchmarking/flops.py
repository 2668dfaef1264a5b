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

A step of phase `flow` is a pass forward through the U-Net and the way back: three passes (`flow_step`).
"""

import dataclasses
from collections.abc import Sequence

KERNEL, STRIDE = 5, 2


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer of one example: `positions` in each dimension of the smaller map (0: dense), channels, kernel, stride."""

    positions: int
    inputs: int
    outputs: int
    kernel: int = KERNEL
    stride: int = STRIDE

    def forward(self, padding: bool = True) -> int:
        """Returns the operations of one example forward; without `padding`, of the taps that meet the map alone."""
        if not self.positions:
            return 2 * self.inputs * self.outputs
        taps = self.kernel * self.positions if padding else self._taps_on_data()
        return 2 * taps**2 * self.inputs * self.outputs

    def _taps_on_data(self) -> int:
        """Returns how many (position, tap) of one dimension meet the larger map, padded as SAME does."""
        size, before = self.stride * self.positions, (self.kernel - self.stride) // 2
        offsets = [self.stride * o + t - before for o in range(self.positions) for t in range(self.kernel)]
        return sum(0 <= offset < size for offset in offsets)


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


def unet_widths(width: int) -> tuple[int, ...]:
    """Returns the channels of the U-Net at a width; at 64 they are those of preset `flow`, which is deeper."""
    return tuple(width * part // 2 for part in (1, 3, 5))


def unet(widths: Sequence[int], blocks: int, size: int = 48, classes: int = 7) -> list[Layer]:
    """Returns the layers of the U-Net of phase `flow`; attention counts as its products and its dense layers."""
    condition = 4 * widths[0]
    layers = [Layer(0, widths[0], condition), Layer(0, condition, condition), Layer(0, classes + 1, condition)]

    def block(positions: int, inputs: int, outputs: int) -> None:
        layers.extend(
            [
                Layer(positions, inputs, outputs, 3, 1),
                Layer(0, condition, 2 * outputs),
                Layer(positions, outputs, outputs, 3, 1),
            ]
        )
        if inputs != outputs:
            layers.append(Layer(positions, inputs, outputs, 1, 1))

    positions, x = size // 2, widths[0]
    layers.append(Layer(positions, 4, x, 3, 1))
    skips = [x]
    for level, width in enumerate(widths):
        if level:
            positions //= 2
            skips.append(x)
        for _ in range(blocks):
            block(positions, x, width)
            x = width
            skips.append(x)
    block(positions, x, x)
    places = positions**2
    layers += [Layer(positions, x, 3 * x, 1, 1), Layer(positions, x, x, 1, 1), Layer(0, 2 * places * places, x)]
    block(positions, x, x)
    for level, width in reversed(list(enumerate(widths))):
        for _ in range(blocks + 1):
            block(positions, x + skips.pop(), width)
            x = width
        positions *= 2 if level else 1
    return [*layers, Layer(positions, x, 4, 3, 1)]


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


def flow_step(width: int, batch_size: int, padding: bool = True) -> int:
    """Returns the operations of a step of the U-Net: forward, its weights and its inputs."""
    return 3 * forward(unet(unet_widths(width), 1), batch_size, padding)


def _trunk(width: int, classes: int) -> list[Layer]:
    sizes = [1, width, 2 * width, 4 * width, 8 * width]
    return [Layer(24 // 2**i, sizes[i] + classes, sizes[i + 1]) for i in range(4)]
