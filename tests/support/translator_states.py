"""States of the phases that train a translator, for tests that look through tiny networks."""

from typing import Any

import jax


def visible(state: Any) -> Any:
    """Returns a state with larger weights, so that networks of width 2 show something, and a warp of the face."""
    grow = lambda tree: jax.tree.map(lambda leaf: 3 * leaf if leaf.ndim > 1 else leaf, tree)  # noqa: E731
    params, critic = grow(state.translator.params), grow(state.discriminator.params)
    flow = params["generator"]["flow"]
    flow["kernel"] = 0.2 * jax.random.normal(jax.random.key(9), flow["kernel"].shape)
    return state.replace(
        translator=state.translator.replace(params=params), discriminator=state.discriminator.replace(params=critic)
    )
