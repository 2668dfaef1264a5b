"""The paper's networks in stock Flax, as one writes them from the paper: the label maps joined to every input.

Layers, parameters and their names are those of `emogan.models`.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

CLASSES = 7
_WEIGHTS = nn.initializers.normal(0.02)


class Generator(nn.Module):
    """G: latents [B, Z] and labels [B] become faces [B, 48, 48, 1] in [-1, 1]."""

    width: int

    @nn.compact
    def __call__(self, latents: jax.Array, labels: jax.Array, train: bool) -> jax.Array:
        """Returns the faces."""
        one_hot = jax.nn.one_hot(labels, CLASSES)
        x = jnp.concatenate([latents, one_hot], axis=1)
        x = nn.Dense(72 * self.width, kernel_init=_WEIGHTS, name="project")(x)
        x = nn.relu(_norm("project_norm", train)(x)).reshape(-1, 3, 3, 8 * self.width)
        for i, features in enumerate((4 * self.width, 2 * self.width, self.width, 1)):
            x = nn.ConvTranspose(features, (5, 5), (2, 2), kernel_init=_WEIGHTS, name=f"conv{i}")(_join(x, one_hot))
            if features > 1:
                x = nn.relu(_norm(f"norm{i}", train)(x))
        return jnp.tanh(x)


class Trunk(nn.Module):
    """The convolutions of D (`labeled`) and of E: faces [B, 48, 48, 1] become features."""

    width: int
    labeled: bool

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array, train: bool) -> jax.Array:
        """Returns the features [B, F]."""
        one_hot = jax.nn.one_hot(labels, CLASSES)
        for i, features in enumerate((self.width, 2 * self.width, 4 * self.width, 8 * self.width)):
            x = _join(x, one_hot) if self.labeled else x
            x = nn.Conv(features, (5, 5), (2, 2), kernel_init=_WEIGHTS, name=f"conv{i}")(x)
            x = nn.leaky_relu(_norm(f"norm{i}", train)(x) if i > 0 else x, 0.2)
        x = x.reshape(x.shape[0], -1)
        return jnp.concatenate([x, one_hot], axis=1) if self.labeled else x


class Discriminator(nn.Module):
    """D: logits [B], above 0 for faces held to be real."""

    width: int

    @nn.compact
    def __call__(self, images: jax.Array, labels: jax.Array, train: bool) -> jax.Array:
        """Returns the logits."""
        features = Trunk(self.width, True, name="trunk")(images, labels, train)
        return nn.Dense(1, kernel_init=_WEIGHTS, name="logit")(features)[:, 0]


class Encoder(nn.Module):
    """E(x): latents [B, latent_size] in (-1, 1)."""

    width: int
    latent_size: int

    @nn.compact
    def __call__(self, images: jax.Array, labels: jax.Array, train: bool) -> jax.Array:
        """Returns the latents."""
        features = Trunk(self.width, False, name="trunk")(images, labels, train)
        return jnp.tanh(nn.Dense(self.latent_size, kernel_init=_WEIGHTS, name="latent")(features))


def _norm(name: str, train: bool) -> nn.BatchNorm:
    return nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, name=name)


def _join(x: jax.Array, one_hot: jax.Array) -> jax.Array:
    maps = jnp.broadcast_to(one_hot[:, None, None, :], (*x.shape[:3], one_hot.shape[1]))
    return jnp.concatenate([x, maps], axis=-1)
