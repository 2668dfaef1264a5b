"""A convolution of features joined with label maps, without ever writing the maps.

The paper joins the label y to the input of a convolution as constant maps, one a class. A convolution is linear, so
its answer is that of the features plus that of the maps. The maps of a class are constant, so their answer is the sum
of the taps that meet them rather than padding, once a class. The parameters are those of the joined form: a
kernel over features and classes together, in this order.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from emogan.models import conv, dense
from emogan.util import types

WEIGHTS = nn.initializers.normal(stddev=0.02)  # section 2.3


@jax.custom_vjp
def _of_labels(answers: jax.Array, labels: types.Labels) -> jax.Array:
    """answers[labels]; its gradient is a product, since that of a gather is a scatter, which CPUs do serially."""
    return jnp.take(answers, labels, axis=0)


def _of_labels_backward(given, gradient):
    labels, classes = given
    one_hot = jax.nn.one_hot(labels, classes, dtype=gradient.dtype)
    return jnp.tensordot(one_hot, gradient, (0, 0)), None


_of_labels.defvjp(lambda answers, labels: (_of_labels(answers, labels), (labels, len(answers))), _of_labels_backward)


class LabeledConv(nn.Module):
    """A 5x5 convolution, or transposed convolution, of features and, where `num_classes` > 0, of label maps.

    Attributes:
      features: channels of the result.
      num_classes: how many label maps join the input; 0 for none.
      stride: 2 halves the height and width, or doubles them if transposed; 1 keeps them.
      transpose: whether the convolution is transposed.
      dtype: in which it computes, and of the result; parameters are float32.
    """

    features: int
    num_classes: int = 0
    stride: int = 2
    transpose: bool = False
    dtype: types.DType = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, labels: types.Labels) -> jax.Array:
        """Returns [B, H', W', features] for x [B, H, W, C]."""
        channels = x.shape[-1]
        kernel = self.param("kernel", WEIGHTS, (5, 5, channels + self.num_classes, self.features))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        convolve = conv.conv_transpose if self.transpose else conv.conv
        strides = (self.stride, self.stride)
        y = dense.add_bias(convolve(x, kernel[:, :, :channels], strides), bias)
        if self.num_classes:
            count = conv.taps_of_transpose if self.transpose else conv.taps
            rows, columns = (jnp.asarray(count(n, 5, self.stride), x.dtype) for n in x.shape[1:3])
            answers = jnp.einsum("hi,wj,ijkf->khwf", rows, columns, kernel[:, :, channels:])
            y += _of_labels(answers, labels)
        return y
