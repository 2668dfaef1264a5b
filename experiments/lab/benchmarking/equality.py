"""Whether implementations compute the same losses and gradients from the same weights, faces and latents."""

from collections.abc import Mapping
from typing import Any

import numpy as np

# Between sums of float32 in another order. Adam divides a gradient by its own size, so what is next to nothing moves a
# parameter as far as any other, in a direction that rounding decides: the biases before batch norm, whose true gradient
# is 0, and each small entry of a kernel. G's gradient, taken through a D that has moved so, is the same to a few
# hundredths only (on a CPU with AVX-512, PyTorch with channels_last: 0.05). Movements are compared where the gradient
# is above the noise, and the second step's losses tell whether the rest mattered. (Padding that is not exact: losses
# apart by 4 %, gradients by more than their own size.)
TOLERANCES = {"first_losses": 1e-4, "second_losses": 2e-2, "gradients": 1e-1, "moved": 2e-2}
# In bfloat16 each feature and product is rounded to 8 bits, and what is compared with is float32. The gradients of
# single arrays, such as the bias of G's last layer, may then be mostly rounding; those of whole networks are not.
BFLOAT16_TOLERANCES = {"first_losses": 2e-2, "second_losses": 1e-1, "gradients": 0.3, "moved": 0.05}
# In phase `joint`, G's first loss is already through a D that has moved, and at a larger rate than in phase `gan`.
JOINT_TOLERANCES = TOLERANCES | {"first_losses": 1e-3}
_SMALL = 1e-2  # of the largest gradient of the network; an array with less is compared on this scale


class Unequal(RuntimeError):
    """An implementation that computes something else."""


def differences(reference: dict[str, Any], found: dict[str, Any], by_network: bool = False) -> dict[str, float]:
    """Returns the largest differences between two results of `ours.results`, for `TOLERANCES` or `BFLOAT16_TOLERANCES`.

    Losses are relative. Of the gradients of each array it is the norm of the difference relative to the norm, or to
    that of entries of a hundredth of the network's largest if that is more; of the movements the mean, relative to the
    largest movement. With `by_network`, all arrays of a network are compared as one, and its gradient relative to the
    norm.

    Raises:
      Unequal: if the results do not name the same parameters.
    """
    for what in ("gradients", "moved"):
        if reference[what].keys() != found[what].keys():
            odd = sorted(reference[what].keys() ^ found[what].keys())
            raise Unequal(f"expected the same parameters, found {odd[0]} in one alone")
    first, second = (_losses(*pair) for pair in zip(reference["losses"], found["losses"], strict=True))
    largest: dict[str, float] = {}
    for name, gradient in reference["gradients"].items():
        network = name.split("/")[0]
        largest[network] = max(largest.get(network, 0.0), float(np.abs(gradient).max()))
    step = max(float(np.abs(movement).max()) for movement in reference["moved"].values())
    groups: dict[str, list[str]] = {}
    for name in reference["gradients"]:
        groups.setdefault(name.split("/")[0] if by_network else name, []).append(name)
    gradients, moved = [0.0], [0.0]
    for name, members in groups.items():
        gradient, own = (_joined(of["gradients"], members) for of in (reference, found))
        movement, own_movement = (_joined(of["moved"], members) for of in (reference, found))
        small = _SMALL * largest[name.split("/")[0]]
        floor = 0.0 if by_network else small * np.sqrt(gradient.size)
        gradients.append(np.linalg.norm(own - gradient) / max(np.linalg.norm(gradient), floor))
        apart = np.abs(own_movement - movement)[np.abs(gradient) > small]
        moved.append(apart.mean() / step if apart.size else 0.0)
    return {
        "first_losses": first,
        "second_losses": second,
        "gradients": float(max(gradients)),
        "moved": float(max(moved)),
    }


def tolerances(phase: str, bfloat16: bool) -> Mapping[str, float]:
    """Returns how far results of a phase may lie from emogan's in float32."""
    return BFLOAT16_TOLERANCES if bfloat16 else JOINT_TOLERANCES if phase == "joint" else TOLERANCES


def _joined(arrays: dict[str, np.ndarray], names: list[str]) -> np.ndarray:
    return np.concatenate([np.ravel(arrays[name]) for name in names])


def check(name: str, found: dict[str, float], tolerances: Mapping[str, float] = TOLERANCES) -> None:
    """Raises Unequal if a difference of implementation `name` is beyond its tolerance."""
    wrong = {what: value for what, value in found.items() if not value <= tolerances[what]}
    if wrong:
        text = ", ".join(f"{what} by {value:.2g} (at most {tolerances[what]:g})" for what, value in wrong.items())
        raise Unequal(f"{name}: expected the results of emogan, found them apart: {text}")


def _losses(reference: dict[str, float], found: dict[str, float]) -> float:
    return max(abs(found[name] - value) / max(abs(value), 1e-6) for name, value in reference.items())
