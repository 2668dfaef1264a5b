"""A convolution of features joined with label maps, without ever writing the maps.

The paper joins the label y to the input of a convolution as constant maps, one a class. A convolution is linear, so
its answer is that of the features plus that of the maps; and the maps of all examples of a class are equal, so the
second part is computed once a class rather than once an example. The parameters are those of the joined form: a
kernel over features and classes together, in this order.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from emogan import types
from emogan.models import conv

WEIGHTS = nn.initializers.normal(stddev=0.02)  # section 2.3


class LabeledConv(nn.Module):
    """A 5x5 convolution, or transposed convolution, of features and, where `num_classes` > 0, of label maps.

    Attributes:
      features: channels of the result.
      num_classes: how many label maps join the input; 0 for none.
      stride: 2 halves the height and width, or doubles them if transposed; 1 keeps them.
      transpose: whether the convolution is transposed.
    """

    features: int
    num_classes: int = 0
    stride: int = 2
    transpose: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, labels: types.Labels) -> jax.Array:
        """Returns [B, H', W', features] for x [B, H, W, C]."""
        channels = x.shape[-1]
        kernel = self.param("kernel", WEIGHTS, (5, 5, channels + self.num_classes, self.features))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        convolve = conv.conv_transpose if self.transpose else conv.conv
        strides = (self.stride, self.stride)
        y = convolve(x, kernel[:, :, :channels], strides) + bias[None, None, None]
        if self.num_classes:
            one_hot = jax.nn.one_hot(labels, self.num_classes)
            maps = jnp.broadcast_to(
                jnp.eye(self.num_classes)[:, None, None], (self.num_classes, *x.shape[1:3], self.num_classes)
            )
            answers = convolve(maps, kernel[:, :, channels:], strides)
            # A product rather than a gather: the gradient of a gather is a scatter, which CPUs do serially.
            y += jnp.dot(one_hot, answers.reshape(self.num_classes, -1)).reshape(y.shape)
        return y
